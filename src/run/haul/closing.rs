//! When work that takes hours is to end early: the operator wants it to, or its window closes.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::record::haul::Window;
use crate::run::clock;

/// How often it is looked whether it is to end.
const LOOK: Duration = Duration::from_secs(1);

/// How long the set that is under way may still take then.
const GRACE: Duration = Duration::from_secs(30);

/// What may end it.
#[derive(Debug, Clone)]
pub struct Closing {
    stop: watch::Receiver<bool>,
    window: Option<Window>,
}

impl Closing {
    /// Returns what ends when `stop` says so, or when `window` closes.
    pub fn new(stop: watch::Receiver<bool>, window: Option<Window>) -> Self {
        Self { stop, window }
    }

    /// Why nothing more is to be begun, if so.
    pub fn why(&self) -> Option<String> {
        if *self.stop.borrow() {
            return Some("the run was interrupted".to_owned());
        }
        let window = self.window?;
        (!window.is_open(clock::minute_of_day())).then(|| format!("the window {window} is closed"))
    }

    /// Sets `over` when work that should have come to an end has not: a set may be so large that
    /// it takes hours.
    pub(super) async fn cut(&self, over: &AtomicBool) -> Infallible {
        while self.why().is_none() {
            tokio::time::sleep(LOOK).await;
        }
        tokio::time::sleep(GRACE).await;
        over.store(true, Ordering::SeqCst);
        std::future::pending().await
    }

    /// How long it is until the window opens; none while it is open, or there is none.
    pub fn opens_in(&self) -> Option<Duration> {
        let minutes = self.window?.opens_in(clock::minute_of_day());
        // A minute that has begun is waited for in full: a second late is in the window, too.
        (minutes > 0).then(|| Duration::from_secs(u64::from(minutes) * 60))
    }

    /// The window.
    pub fn window(&self) -> Option<Window> {
        self.window
    }
}
