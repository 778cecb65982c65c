//! Ctrl-C and SIGTERM: the first asks the run to end well, the second ends the program.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::Fault;

/// Listens for signals.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    stop: watch::Sender<bool>,
}

impl Signals {
    /// Begins to listen.
    pub(super) fn listen() -> Result<Self, Fault> {
        let listen = |kind| {
            signal(kind).map_err(|error| Fault::failed(format!("cannot catch signals: {error}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            stop: watch::Sender::new(false),
        })
    }

    /// Becomes true with the first signal.
    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Runs `work`; `None` when a second signal came before it was done.
    pub(super) async fn guard<W: Future>(mut self, work: W) -> Option<W::Output> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                output = &mut work => return Some(output),
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            if self.stop.send_replace(true) {
                return None;
            }
        }
    }
}
