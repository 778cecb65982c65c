//! What only the operator knows: passphrases and passwords. They are asked for once, kept in
//! memory that is wiped, and never stand in an argv, an environment, a log or an error.

use std::path::Path;
use std::sync::Arc;

pub use secrecy::{ExposeSecret, SecretString};

/// What is asked of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question<'a> {
    /// The passphrase of a key file.
    Passphrase(&'a Path),
    /// The password of a login.
    Password {
        /// The login name.
        user: &'a str,
        /// The host, as the operator calls it.
        host: &'a str,
    },
    /// What a server asks itself: a password, a one-time code.
    Prompt {
        /// The login name.
        user: &'a str,
        /// The host, as the operator calls it.
        host: &'a str,
        /// The server's words, made safe to show.
        text: &'a str,
        /// Whether the answer may be seen while it is typed.
        echo: bool,
    },
    /// The password sudo wants on the nodes.
    Become {
        /// The node, when it has a password of its own; else it is that of all nodes.
        host: Option<&'a str>,
    },
}

/// Asks the operator; `None` when there is no answer to be had.
pub type Ask = Arc<dyn Fn(&Question<'_>) -> Option<SecretString> + Send + Sync>;
