//! The lines that move on the terminal: out of the way while somebody is asked or told something.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressDrawTarget};

/// The lines of this process. A terminal has one place for them, so there is one of this, too.
static LINES: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Returns lines that move on standard error; [`away`] takes them away for good.
pub(super) fn begin() -> MultiProgress {
    let lines = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    *LINES.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines.clone());
    lines
}

/// Takes the lines away.
pub(super) fn away() {
    if let Some(lines) = LINES.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // A terminal that is gone shows nothing either.
        let _ = lines.clear();
    }
}

/// The lines out of the way, until this is dropped.
pub(super) struct Aside(Option<MultiProgress>);

/// Takes the lines out of the way of a question.
pub(super) fn aside() -> Aside {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(lines) = &lines {
        let _ = lines.clear();
        lines.set_draw_target(ProgressDrawTarget::hidden());
    }
    Aside(lines)
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(lines) = self.0.take() {
            lines.set_draw_target(ProgressDrawTarget::stderr());
            *LINES.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines);
        }
    }
}

/// Prints one line above those that move.
pub(super) fn say(text: &str) {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    match &*lines {
        // With standard error gone there is nobody left to tell.
        Some(lines) => drop(lines.println(text)),
        None => drop(writeln!(std::io::stderr(), "{text}")),
    }
}
