//! How many commands run at once on a line, and the wait for room on a server that allows fewer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::master::Master;
use crate::node::NodeError;

/// Commands at once on one line; as many as the built-in door runs.
const AT_ONCE: usize = 4;

/// How long a server that refuses our only session may need to let go of the one before. Each
/// request is a process here, so they are few.
const ROOM_LIMIT: Duration = Duration::from_secs(6);

/// The longest pause between two requests for a session.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

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

/// The room for commands on one line.
pub(super) struct Slots {
    permits: Arc<Semaphore>,
    /// Commands with a permit that the server has started, or has not refused so far.
    open: AtomicUsize,
    /// All commands that may have a session, with a permit or without.
    all: AtomicUsize,
    goodbyes: Goodbyes,
}

impl Slots {
    pub(super) fn new(goodbyes: Goodbyes) -> Self {
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        Self { permits, open: AtomicUsize::new(0), all: AtomicUsize::new(0), goodbyes }
    }

    /// Returns something to hold until a command that was given up is gone.
    pub(super) fn goodbye(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.goodbyes.0).try_acquire_owned().ok()
    }
}

/// The right to run one command on a line. It keeps the line alive.
pub(super) struct Slot {
    pub(super) master: Arc<Master>,
    /// None for a command that lasts: it takes no place of the others.
    permit: Option<OwnedSemaphorePermit>,
    is_counted: bool,
}

impl Slot {
    /// Waits for a place among our own commands.
    pub(super) async fn take(master: &Arc<Master>) -> Result<Self, NodeError> {
        let permits = Arc::clone(&master.slots.permits);
        let permit = permits.acquire_owned().await.map_err(|_| no_session())?;
        Ok(Self { master: Arc::clone(master), permit: Some(permit), is_counted: false })
    }

    /// A place beside those of the others, for a command that lasts while they come and go.
    pub(super) fn beside(master: &Arc<Master>) -> Self {
        Self { master: Arc::clone(master), permit: None, is_counted: false }
    }

    /// Says that the server is asked for a session.
    pub(super) fn is_asked_for(&mut self) {
        if !std::mem::replace(&mut self.is_counted, true) {
            self.count(1);
        }
    }

    /// Says that the server has refused it.
    pub(super) fn is_refused(&mut self) {
        if std::mem::take(&mut self.is_counted) {
            // Counts down: the numbers wrap around.
            self.count(usize::MAX);
        }
    }

    fn count(&self, one: usize) {
        let slots = &self.master.slots;
        slots.all.fetch_add(one, Ordering::SeqCst);
        if self.permit.is_some() {
            slots.open.fetch_add(one, Ordering::SeqCst);
        }
    }

    /// Whether no other command may have a session.
    pub(super) fn is_alone(&self) -> bool {
        self.is_counted && self.master.slots.all.load(Ordering::SeqCst) == 1
    }

    /// Gives the place up for good: the server allows fewer at once than we do.
    pub(super) fn forget(mut self) {
        self.is_refused();
        if let Some(permit) = self.permit.take() {
            permit.forget();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.is_refused();
    }
}

/// What is to be done when the server has no room.
pub(super) enum Turn {
    /// Ask again.
    Again,
    /// A command of ours has the room, or will; wait for its end.
    Queue,
}

/// Asks a server again and again that has no room.
pub(super) struct Patience {
    /// For a server that holds no session of ours.
    none_of_ours: Instant,
    pause: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { none_of_ours: Instant::now() + ROOM_LIMIT, pause: Duration::from_millis(20) }
    }

    /// Waits before the next request.
    ///
    /// # Errors
    /// [`NodeError::NoCommand`] when none of ours is open, and there is no room all the same.
    pub(super) async fn wait(&mut self, master: &Master) -> Result<Turn, NodeError> {
        if is_used(master) {
            return Ok(Turn::Queue);
        }
        // sshd may not have cleared away the last one yet.
        if Instant::now() + self.pause > self.none_of_ours {
            return Err(no_session());
        }
        self.sleep().await;
        Ok(Turn::Again)
    }

    /// Waits before the next request of a command that takes no place of the others.
    pub(super) async fn wait_beside(
        &mut self,
        master: &Master,
        deadline: Instant,
    ) -> Result<(), NodeError> {
        let patience = if is_used(master) { deadline } else { deadline.min(self.none_of_ours) };
        if Instant::now() + self.pause > patience {
            return Err(no_session());
        }
        self.sleep().await;
        Ok(())
    }

    async fn sleep(&mut self) {
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether a command with a place of its own runs, or may be about to. One that is refused while
/// no other may have the room does not count as one itself, so the last of them never queues.
pub(super) fn is_used(master: &Master) -> bool {
    master.slots.open.load(Ordering::SeqCst) > 0
}

pub(super) fn no_session() -> NodeError {
    NodeError::NoCommand { cause: "it opens no session for us (MaxSessions)".into() }
}
