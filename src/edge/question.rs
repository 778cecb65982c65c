//! Questions to the operator, on the terminal.

use std::io::{BufRead as _, Write as _};

/// Asks for a yes or a no; anything but a yes is a no.
pub(super) async fn ask(text: String) -> bool {
    // Reading cannot be cut off, so it waits on a thread of its own, which the program does not
    // wait for when it ends.
    let answer = tokio::task::spawn_blocking(move || read(&text));
    answer.await.unwrap_or(false)
}

fn read(text: &str) -> bool {
    // With standard error gone nobody sees the question, and nothing may be read as a yes.
    if write!(std::io::stderr(), "{text} [y/N] ").is_err() {
        return false;
    }
    let mut line = String::new();
    let is_read = std::io::stdin().lock().read_line(&mut line).is_ok();
    is_read && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
