//! Where everything that happens in a run goes: to the journal first, then to whoever watches.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::UnboundedSender;

use super::clock;
use super::journal::{Journal, JournalError};
use crate::fleet::Fleet;
use crate::record::{Record, What};

/// What a watcher is told.
#[derive(Debug, Clone)]
pub enum Notice {
    /// Something happened; it is in the journal.
    Happened(Record),
    /// What the next start waits for; `None` when it waits for nothing.
    Pause(Option<Pause>),
    /// How far a node's step is; too often told to be written down.
    Progress {
        /// The node's name.
        node: String,
        /// One line.
        text: String,
    },
}

/// What the next start waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// One line.
    pub why: String,
    /// Until when, if that is known.
    pub until: Option<jiff::Timestamp>,
}

/// The log of one run.
pub struct Log {
    inner: Mutex<Inner>,
    notices: UnboundedSender<Notice>,
}

struct Inner {
    journal: Journal,
    fleet: Fleet,
    pause: Option<Pause>,
}

impl Log {
    /// Returns a log that goes on with `fleet`.
    pub fn new(journal: Journal, fleet: Fleet, notices: UnboundedSender<Notice>) -> Self {
        Self { inner: Mutex::new(Inner { journal, fleet, pause: None }), notices }
    }

    /// Writes down what happens, at this moment.
    ///
    /// # Errors
    /// When the journal cannot be written. The fleet and the watchers know it all the same.
    pub fn write(&self, what: What) -> Result<(), JournalError> {
        self.add(Record { at: clock::now(), what })
    }

    /// Writes down a record that was made before.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn add(&self, record: Record) -> Result<(), JournalError> {
        let mut inner = self.lock();
        let written = inner.journal.add(&record);
        // What is not written down is not begun.
        if written.is_err()
            && matches!(record.what, What::TurnBegun { .. } | What::StepBegun { .. })
        {
            return written;
        }
        inner.fleet.take(&record);
        // Watchers get the records in the order of the journal, so they are told under the lock.
        // One that has gone is no reason to stop.
        let _ = self.notices.send(Notice::Happened(record));
        written
    }

    /// Tells the watchers what the next start waits for.
    pub fn pause(&self, pause: Option<Pause>) {
        let mut inner = self.lock();
        if inner.pause != pause {
            inner.pause.clone_from(&pause);
            let _ = self.notices.send(Notice::Pause(pause));
        }
    }

    /// Tells the watchers how far a node is.
    pub fn show(&self, node: String, text: String) {
        let _ = self.notices.send(Notice::Progress { node, text });
    }

    /// Looks at the run as it is now.
    pub fn look<T>(&self, at: impl FnOnce(&Fleet) -> T) -> T {
        at(&self.lock().fleet)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves whole records behind.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
