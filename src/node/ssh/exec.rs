//! Runs commands on a line, each on a channel of its own that is always drained to its end.

use std::future::Future;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::chance::random_word;
use super::line::Line;
use super::wire::{NOISE_LIMIT, Noise, exec_text};
use crate::node::{Command, Ended, Exit, Node, NodeError, Sink, Stage};
use crate::text::one_line;

/// Commands at once on one line. sshd allows ten by default (`MaxSessions`); four keep a node's
/// sshd and JVMs from being the load we came to look at.
const CHANNELS: usize = 4;

/// Bytes of standard error that are kept. The rest is read and dropped: an unread channel would
/// block every other command of the line.
const STDERR_KEPT: usize = 64 * 1024;

/// How long a server that refuses our only channel may need to let go of the one before.
const ROOM_LIMIT: Duration = Duration::from_secs(2);

/// How long a command that was given up may take to end by itself after a TERM.
const TERM_GRACE: Duration = Duration::from_secs(1);

/// Characters of a server's own words in an error.
const WORDS_SHOWN: usize = 300;

/// What is to be told to commands that were given up, for a run that ends in between.
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
    slots: Arc<Semaphore>,
    /// Channels that are open, ours to close.
    open: AtomicUsize,
    /// The word behind which a command's output begins.
    word: String,
    goodbyes: Goodbyes,
}

impl Channels {
    pub(super) fn new(goodbyes: Goodbyes) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(CHANNELS)),
            open: AtomicUsize::new(0),
            word: random_word(),
            goodbyes,
        }
    }
}

/// A line to a node over SSH.
pub struct SshNode {
    pub(super) line: Arc<Line>,
}

impl std::fmt::Debug for SshNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshNode").field("peer", &self.line.peer).finish_non_exhaustive()
    }
}

impl Node for SshNode {
    async fn feed(&self, command: &Command, sink: &mut Sink<'_>) -> Result<Ended, NodeError> {
        let limit = command.time_limit();
        let (mut running, deadline) = open(&self.line, limit).await?;
        match timeout_at(deadline, running.drive(command, sink)).await {
            Ok(result) => result,
            Err(_) => Err(NodeError::TimedOut { stage: Stage::Command, after: limit }),
        }
    }

    fn peer_address(&self) -> Option<IpAddr> {
        self.line.peer
    }
}

/// A channel that is closed when nobody takes it.
///
/// A future that is dropped between our request and the server's answer would else leave a
/// session open for as long as the line stands.
pub(super) struct Opened(Option<Channel<Msg>>);

impl Opened {
    pub(super) fn take(&mut self) -> Option<Channel<Msg>> {
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

/// Opens a channel in a task of its own, which goes on when the caller no longer waits, so that
/// a channel the server opens too late is closed again.
///
/// Returns `None` when the server did not answer within `limit` and a second more.
pub(super) async fn open_or_close(
    limit: Duration,
    open: impl Future<Output = Result<Channel<Msg>, russh::Error>> + Send + 'static,
) -> Option<Result<Opened, russh::Error>> {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        if let Ok(opened) = timeout(limit.saturating_add(TERM_GRACE), open).await {
            let _ = sender.send(opened.map(|channel| Opened(Some(channel))));
        }
    });
    receiver.await.ok()
}

/// Opens a channel for one command and says when its time is over.
///
/// Waiting for our own other commands does not count; the time runs from the request on.
async fn open(line: &Arc<Line>, limit: Duration) -> Result<(Running, Instant), NodeError> {
    loop {
        let slots = Arc::clone(&line.channels.slots);
        let Ok(slot) = slots.acquire_owned().await else {
            return Err(line.end.lost());
        };
        let deadline = Instant::now() + limit;
        let patience = deadline.min(Instant::now() + ROOM_LIMIT);
        let mut pause = Duration::from_millis(20);
        loop {
            match timeout_at(deadline, request(line, limit)).await {
                Ok(Ok(channel)) => return Ok((Running::new(line, channel, slot), deadline)),
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
                return Err(NodeError::NoCommand {
                    cause: "it opens no session for us (MaxSessions)".into(),
                });
            }
            sleep(pause).await;
            pause *= 2;
        }
        // The server allows fewer at once than we do: this slot does not exist. Those that do
        // are held by the commands that are open, and come back when they end.
        slot.forget();
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
    let lost = || Unopened::Refused(line.end.lost());
    match open_or_close(limit, open).await {
        Some(Ok(mut opened)) => opened.take().ok_or_else(lost),
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

/// A command that runs. Dropping it gives the command up: TERM, a second's grace, close.
struct Running {
    line: Arc<Line>,
    halves: Option<(ChannelReadHalf, ChannelWriteHalf<Msg>)>,
    slot: Option<OwnedSemaphorePermit>,
    /// The server has closed the channel, or the line is gone.
    closed: bool,
}

impl Running {
    fn new(line: &Arc<Line>, channel: Channel<Msg>, slot: OwnedSemaphorePermit) -> Self {
        line.channels.open.fetch_add(1, Ordering::SeqCst);
        let halves = Some(channel.split());
        Self { line: Arc::clone(line), halves, slot: Some(slot), closed: false }
    }

    async fn drive(&mut self, command: &Command, sink: &mut Sink<'_>) -> Result<Ended, NodeError> {
        let line = Arc::clone(&self.line);
        let Some((read, write)) = &mut self.halves else {
            return Err(line.end.lost());
        };
        let text = exec_text(&line.channels.word, command);
        write.exec(true, text).await.map_err(|_| line.end.lost())?;
        let mut heard = Heard::new(&line.channels.word, command);
        // What cannot be written is no fault: a command may end without reading its input.
        let stdin = async {
            if !command.stdin().is_empty() {
                let _ = write.data(command.stdin()).await;
            }
            let _ = write.eof().await;
        };
        let mut stdin = std::pin::pin!(stdin.fuse());
        loop {
            let message = tokio::select! {
                biased;
                message = read.wait() => message,
                // Only once sshd has started the command is there somebody to read it.
                () = &mut stdin, if heard.accepted => continue,
            };
            if matches!(message, None | Some(ChannelMsg::Close)) {
                self.closed = true;
                break;
            }
            if let Some(message) = message {
                heard.take(message, sink)?;
            }
        }
        heard.end(&line)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let open = &self.line.channels.open;
        let Some((mut read, write)) = self.halves.take().filter(|_| !self.closed) else {
            open.fetch_sub(1, Ordering::SeqCst);
            return;
        };
        // Queued at once, so that it leaves even if the run ends before the task below starts.
        let _ = write.signal(Sig::TERM).now_or_never();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (line, slot) = (Arc::clone(&self.line), self.slot.take());
        let goodbye = Arc::clone(&line.channels.goodbyes.0).try_acquire_owned();
        runtime.spawn(async move {
            if timeout(TERM_GRACE, drain(&mut read)).await.is_err() {
                let _ = timeout(TERM_GRACE, write.close()).await;
                let _ = timeout(TERM_GRACE, drain(&mut read)).await;
            }
            line.channels.open.fetch_sub(1, Ordering::SeqCst);
            drop((slot, goodbye));
        });
    }
}

async fn drain(read: &mut ChannelReadHalf) {
    while !matches!(read.wait().await, None | Some(ChannelMsg::Close)) {}
}

/// What a command has said so far.
struct Heard<'a> {
    command: &'a Command,
    noise: Noise,
    stderr: Vec<u8>,
    printed: u64,
    exit: Option<Exit>,
    /// sshd has started something for us.
    accepted: bool,
}

impl<'a> Heard<'a> {
    fn new(word: &str, command: &'a Command) -> Self {
        Self {
            command,
            noise: Noise::new(word),
            stderr: Vec::new(),
            printed: 0,
            exit: None,
            accepted: false,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what else a server may say changes nothing"
    )]
    fn take(&mut self, message: ChannelMsg, sink: &mut Sink<'_>) -> Result<(), NodeError> {
        match message {
            ChannelMsg::Success => self.accepted = true,
            ChannelMsg::Failure => {
                return Err(NodeError::NoCommand { cause: "it refused the request".into() });
            }
            ChannelMsg::Data { data } => return self.stdout(&data, sink),
            ChannelMsg::ExtendedData { data, ext: 1 } => {
                let room = STDERR_KEPT.saturating_sub(self.stderr.len());
                self.stderr.extend(data.iter().take(room));
            }
            ChannelMsg::ExitStatus { exit_status } => self.exit = Some(Exit::Code(exit_status)),
            ChannelMsg::ExitSignal { signal_name, .. } => {
                self.exit = Some(Exit::Signal(match signal_name {
                    Sig::Custom(name) => one_line(name.as_bytes(), 40),
                    known => format!("{known:?}"),
                }));
            }
            _ => {}
        }
        Ok(())
    }

    fn stdout(&mut self, piece: &[u8], sink: &mut Sink<'_>) -> Result<(), NodeError> {
        let own = self.noise.strip(piece);
        if self.noise.is_too_much() {
            let cause = one_line(&self.noise.text(), WORDS_SHOWN);
            return Err(NodeError::NoCommand {
                cause: format!("it printed more than {NOISE_LIMIT} bytes instead: {cause}"),
            });
        }
        if own.is_empty() {
            return Ok(());
        }
        let limit = self.command.output_limit();
        self.printed = self.printed.saturating_add(own.len() as u64);
        if self.printed > limit || sink(own) == ControlFlow::Break(()) {
            return Err(NodeError::TooMuch { limit });
        }
        Ok(())
    }

    /// Returns how the command ended, now that its channel has.
    fn end(self, line: &Line) -> Result<Ended, NodeError> {
        let Some(exit) = self.exit else {
            // A missing exit status is never a success: sshd was killed, or the line broke.
            return Err(if line.handle.is_closed() {
                line.end.lost()
            } else {
                NodeError::Lost { cause: "the command ended without an exit status".into() }
            });
        };
        if self.noise.is_over() {
            return Ok(Ended { exit, stderr: self.stderr });
        }
        let words = [self.noise.text(), self.stderr];
        let words = words.iter().map(|words| one_line(words, WORDS_SHOWN));
        let said = words.filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; ");
        Err(NodeError::NoCommand {
            cause: if said.is_empty() { format!("it printed nothing, {exit:?}") } else { said },
        })
    }
}
