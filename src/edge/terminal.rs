//! The terminal as it was: a prompt for a passphrase turns the echo off, and Ctrl-C may end it there.

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The settings of a terminal at some moment; none when there is no terminal.
pub(super) struct Kept(Option<Termios>);

impl Kept {
    /// Keeps the settings of standard input.
    pub(super) fn of_stdin() -> Self {
        Self(tcgetattr(std::io::stdin()).ok())
    }

    /// Puts them back.
    pub(super) fn restore(self) {
        let Some(kept) = self.0 else { return };
        let now = tcgetattr(std::io::stdin());
        // A job in the background is stopped when it sets the terminal, so only what was changed
        // is set. A terminal that is gone needs no echo.
        if now.is_ok_and(|now| now.local_modes != kept.local_modes) {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &kept);
        }
    }
}
