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
        /// The node that took the last one for wrong.
        again: Option<&'a str>,
    },
}

/// Asks the operator; `None` when there is no answer to be had.
pub type Ask = Arc<dyn Fn(&Question<'_>) -> Option<SecretString> + Send + Sync>;

/// Words of questions for a code that is good once, however they call it.
const ONCE: [&str; 8] =
    ["one-time", "one time", "otp", "oath", "code", "token", "s/key", "challenge"];

/// Returns whether a server's question is one for the login's own password.
pub fn asks_for_password(question: &str) -> bool {
    let question = question.to_lowercase();
    question.contains("password") && !ONCE.iter().any(|once| question.contains(once))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_is_good_once_is_no_password() {
        for question in ["Password: ", "ops@n1's password:", "LDAP Password:", "PASSWORD FOR ops"] {
            assert!(asks_for_password(question), "{question}");
        }
        for question in [
            "Verification code: ",
            "One-time password (OATH) for `ops': ",
            "Password or token code: ",
            "otp-md5 498 ke1234 ext\nPassword: ",
            "PIN: ",
            "",
        ] {
            assert!(!asks_for_password(question), "{question}");
        }
    }
}
