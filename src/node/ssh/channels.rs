//! Opens channels on a line: how many at once, and none that nobody wants any more.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelOpenFailure};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::chance::random_word;
use super::line::Line;
use crate::node::{NodeError, Stage};

/// Commands at once on one line. sshd allows ten by default (`MaxSessions`); four keep a node's
/// sshd and JVMs from being the load we came to look at.
const AT_ONCE: usize = 4;

/// How long a server that refuses our only channel may need to let go of the one before.
const ROOM_LIMIT: Duration = Duration::from_secs(2);

/// How long is tried for a second session beside one that lasts. Where there is none, the first is
/// given back in time for commands that wait for it.
const BESIDE_LIMIT: Duration = Duration::from_secs(1);

/// How long a command that was given up may take to end by itself after a TERM.
pub(super) const TERM_GRACE: Duration = Duration::from_secs(1);

/// Counts the commands that are being given up, so that a run can wait for the last word.
#[derive(Debug, Clone)]
pub(super) struct Goodbyes(Arc<Semaphore>);

impl Goodbyes {
    /// More goodbyes at once than a fleet has commands.
    const MOST: u32 = 1 << 16;

    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(Self::MOST as usize)))
    }

    /// Waits until all of them are said, at most `limit`.
    pub(super) async fn said(&self, limit: Duration) {
        let _ = timeout(limit, self.0.acquire_many(Self::MOST)).await;
    }
}

/// The channels of one line.
pub(super) struct Channels {
    permits: Arc<Semaphore>,
    /// Slots that are taken by a channel the server has opened.
    open: AtomicUsize,
    /// The word behind which a command's output begins.
    word: String,
    goodbyes: Goodbyes,
}

impl Channels {
    pub(super) fn new(goodbyes: Goodbyes) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            open: AtomicUsize::new(0),
            word: random_word(),
            goodbyes,
        }
    }

    pub(super) fn word(&self) -> &str {
        &self.word
    }

    /// Returns something to hold until a command that was given up is gone.
    pub(super) fn goodbye(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.goodbyes.0).try_acquire_owned().ok()
    }
}

/// The right to have one channel on a line. It keeps the line alive.
pub(super) struct Slot {
    pub(super) line: Arc<Line>,
    /// None for a command that lasts: it takes no place of the others.
    permit: Option<OwnedSemaphorePermit>,
}

impl Slot {
    fn new(line: &Arc<Line>, permit: OwnedSemaphorePermit) -> Self {
        line.channels.open.fetch_add(1, Ordering::SeqCst);
        Self { line: Arc::clone(line), permit: Some(permit) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.permit.is_some() {
            self.line.channels.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Opens a channel for one command, and says when the command's time is over.
///
/// Waiting for our own other commands does not count; the time runs from the request on.
pub(super) async fn open(
    line: &Arc<Line>,
    limit: Duration,
) -> Result<(Channel<Msg>, Slot, Instant), NodeError> {
    loop {
        let permits = Arc::clone(&line.channels.permits);
        let Ok(permit) = permits.acquire_owned().await else {
            return Err(line.lost());
        };
        let deadline = Instant::now() + limit;
        let patience = deadline.min(Instant::now() + ROOM_LIMIT);
        let mut pause = Duration::from_millis(20);
        loop {
            match timeout_at(deadline, request(line, limit)).await {
                Ok(Ok(channel)) => return Ok((channel, Slot::new(line, permit), deadline)),
                Ok(Err(Unopened::NoRoom)) => {}
                Ok(Err(Unopened::Refused(error))) => return Err(error),
                Err(_) => {
                    return Err(NodeError::TimedOut { stage: Stage::Channel, after: limit });
                }
            }
            if line.channels.open.load(Ordering::SeqCst) > 0 {
                break;
            }
            // None of ours is open. sshd may not have cleared away the last one yet.
            if Instant::now() + pause > patience {
                return Err(no_session());
            }
            sleep(pause).await;
            pause *= 2;
        }
        // The server allows fewer at once than we do, so this permit stands for nothing. Those
        // that do are held by the commands that run, and come back when they end.
        permit.forget();
    }
}

fn no_session() -> NodeError {
    NodeError::NoCommand { cause: "it opens no session for us (MaxSessions)".into() }
}

/// Opens a channel for a command that lasts while others come and go; `None` when the server allows
/// one session a connection (`MaxSessions 1`).
///
/// Nobody may wait for its end, so it counts neither as a place nor as a command that will make
/// room. The server must have room for one more beside it, which is tried before anything runs.
pub(super) async fn open_beside(
    line: &Arc<Line>,
    limit: Duration,
) -> Result<Option<(Channel<Msg>, Slot)>, NodeError> {
    let Some(channel) = open_within(line, limit).await? else {
        return Err(no_session());
    };
    let opened = Opened(Some(channel));
    match open_within(line, BESIDE_LIMIT).await? {
        Some(other) => drop(Opened(Some(other))),
        // A command of ours has it.
        None if line.channels.open.load(Ordering::SeqCst) > 0 => {}
        None => return Ok(None),
    }
    let slot = Slot { line: Arc::clone(line), permit: None };
    let channel = opened.taken().ok_or_else(|| line.lost())?;
    Ok(Some((channel, slot)))
}

/// Asks for a session until there is room; `None` when there is none for us within `limit`.
async fn open_within(line: &Arc<Line>, limit: Duration) -> Result<Option<Channel<Msg>>, NodeError> {
    let deadline = Instant::now() + limit;
    let none_of_ours = deadline.min(Instant::now() + ROOM_LIMIT);
    let mut pause = Duration::from_millis(20);
    loop {
        match timeout_at(deadline, request(line, limit)).await {
            Ok(Ok(channel)) => return Ok(Some(channel)),
            Ok(Err(Unopened::NoRoom)) => {}
            Ok(Err(Unopened::Refused(error))) => return Err(error),
            Err(_) => return Err(NodeError::TimedOut { stage: Stage::Channel, after: limit }),
        }
        let is_used = line.channels.open.load(Ordering::SeqCst) > 0;
        if Instant::now() + pause > if is_used { deadline } else { none_of_ours } {
            return Ok(None);
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

enum Unopened {
    NoRoom,
    Refused(NodeError),
}

/// Asks the server for one session.
async fn request(line: &Arc<Line>, limit: Duration) -> Result<Channel<Msg>, Unopened> {
    let asked = Arc::clone(line);
    let open = async move { asked.handle.channel_open_session().await };
    let lost = || Unopened::Refused(line.lost());
    match open_or_close(limit, open).await {
        Some(Ok(channel)) => Ok(channel),
        Some(Err(russh::Error::ChannelOpenFailure(why))) => Err(match why {
            ChannelOpenFailure::ConnectFailed | ChannelOpenFailure::ResourceShortage => {
                Unopened::NoRoom
            }
            ChannelOpenFailure::AdministrativelyProhibited
            | ChannelOpenFailure::UnknownChannelType
            | ChannelOpenFailure::Other { .. } => Unopened::Refused(NodeError::NoCommand {
                cause: "it opens no session for us".into(),
            }),
        }),
        Some(Err(_)) | None => Err(lost()),
    }
}

/// A channel that is closed when nobody takes it.
struct Opened(Option<Channel<Msg>>);

impl Opened {
    fn taken(mut self) -> Option<Channel<Msg>> {
        self.0.take()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let (Some(channel), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(async move { timeout(TERM_GRACE, channel.close()).await });
        }
    }
}

/// Opens a channel in a task of its own, which goes on when the caller no longer waits.
///
/// A future that is dropped between our request and the server's answer would else leave a
/// session open for as long as the line stands. Returns `None` when the server did not answer
/// within `limit` and a second more.
pub(super) async fn open_or_close(
    limit: Duration,
    open: impl Future<Output = Result<Channel<Msg>, russh::Error>> + Send + 'static,
) -> Option<Result<Channel<Msg>, russh::Error>> {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        if let Ok(opened) = timeout(limit.saturating_add(TERM_GRACE), open).await {
            let _ = sender.send(opened.map(|channel| Opened(Some(channel))));
        }
    });
    match receiver.await.ok()? {
        Ok(opened) => opened.taken().map(Ok),
        Err(error) => Some(Err(error)),
    }
}
