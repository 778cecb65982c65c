//! Ctrl-C, SIGTERM and SIGHUP: the first asks the run to end well, the second ends the program.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::Fault;

/// Listens for signals.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The terminal went; none where that is to be ignored (nohup).
    hang_up: Option<Signal>,
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
            hang_up: match is_hang_up_ignored() {
                true => None,
                false => Some(listen(SignalKind::hangup())?),
            },
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
                () = next(&mut self.hang_up) => {}
            }
            if self.stop.send_replace(true) {
                return None;
            }
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether this program was started so that it outlives its terminal. Where that cannot be seen,
/// it is taken to be: a handler of our own would end what `nohup` is to keep.
fn is_hang_up_ignored() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return true };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGHUP is number 1.
    mask.is_none_or(|mask| mask & 1 != 0)
}
