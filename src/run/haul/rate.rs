//! A limit of bytes a second that several may share.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Time that was not used is not given later, but for so much: pieces come in bursts.
const BURST: Duration = Duration::from_millis(100);

/// The limit.
#[derive(Debug)]
pub(super) struct Rate {
    bytes: u64,
    /// When all that was let through has had its time.
    until: Mutex<Instant>,
}

impl Rate {
    /// Returns a limit of so many bytes a second; 0 is taken for 1.
    pub(super) fn new(bytes: u64) -> Self {
        Self { bytes: bytes.max(1), until: Mutex::new(Instant::now()) }
    }

    /// Waits until so many bytes may go on.
    pub(super) async fn take(&self, bytes: usize) {
        let cost = Duration::from_secs_f64(bytes as f64 / self.bytes as f64);
        let now = Instant::now();
        let at = {
            // A time is whole whatever happened to the one who wrote it.
            let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
            let earliest = now.checked_sub(BURST).unwrap_or(now);
            *until = (*until).max(earliest) + cost;
            *until
        };
        if at > now {
            sleep_until(at).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_who_share_a_limit_get_it_together() {
        let rate = Rate::new(1000);
        let begun = Instant::now();
        let take = async || {
            for _ in 0..10 {
                rate.take(500).await;
            }
        };
        tokio::join!(take(), take());
        let taken = begun.elapsed().as_secs_f64();
        assert!((9.8..10.2).contains(&taken), "{taken}");
    }
}
