//! A command for a node: an argv, what goes to its standard input, and its limits.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::inventory::Rights;

/// The most a command may print on standard output unless it says otherwise, in bytes.
///
/// The longest ordinary answer, `nodetool status` of a thousand nodes, is below 200 KiB; a
/// stock cassandra.yaml is about 100 KiB.
pub const DEFAULT_OUTPUT_LIMIT: u64 = 4 * 1024 * 1024;

/// How long a stream may bring nothing while more is wanted. Idle I/O priority can starve a reader
/// for a while on a busy disk; two minutes of it are a disk that hangs.
pub const DEFAULT_STALL_LIMIT: Duration = Duration::from_secs(120);

/// One command line, as it is run on a node.
///
/// Its `Display` is the text a POSIX shell would be given; what goes to standard input is left
/// out, because secrets travel there.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    argv: Vec<String>,
    stdin: Cow<'static, [u8]>,
    time_limit: Duration,
    output_limit: u64,
    stall_limit: Duration,
    rights: Option<Rights>,
}

impl Command {
    /// Returns a command with no standard input, the default output limit, and `time_limit`.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>, time_limit: Duration) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            stdin: Cow::Borrowed(&[]),
            time_limit,
            output_limit: DEFAULT_OUTPUT_LIMIT,
            stall_limit: DEFAULT_STALL_LIMIT,
            rights: None,
        }
    }

    /// Gives the command this standard input, followed by end of file.
    #[must_use]
    pub fn with_stdin(mut self, stdin: impl Into<Cow<'static, [u8]>>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// Allows the command `bytes` of standard output.
    #[must_use]
    pub fn with_output_limit(mut self, bytes: u64) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Gives a stream up after this time without output; see [`super::Node::pour`].
    #[must_use]
    pub fn with_stall_limit(mut self, limit: Duration) -> Self {
        self.stall_limit = limit;
        self
    }

    /// Says that programs of the command want these rights, which a password gives. Whoever hands
    /// the command on to the node knows the password.
    #[must_use]
    pub fn with_rights(mut self, rights: Rights) -> Self {
        self.rights = Some(rights);
        self
    }

    /// Returns the command with these words before its own.
    #[must_use]
    pub fn by(mut self, words: &[String]) -> Self {
        self.argv.splice(..0, words.iter().cloned());
        self
    }

    /// The rights that its programs want and only a password gives.
    pub fn rights(&self) -> Option<&Rights> {
        self.rights.as_ref()
    }

    /// The program and its arguments.
    pub fn argv(&self) -> &[String] {
        &self.argv
    }

    /// What the command reads from standard input.
    pub fn stdin(&self) -> &[u8] {
        &self.stdin
    }

    /// How long the controller waits for the command's end.
    pub fn time_limit(&self) -> Duration {
        self.time_limit
    }

    /// How many bytes of standard output are taken before the command is given up.
    pub fn output_limit(&self) -> u64 {
        self.output_limit
    }

    /// How long a stream may bring nothing while its receiver waits.
    pub fn stall_limit(&self) -> Duration {
        self.stall_limit
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.argv.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&quoted(word))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({self})")
    }
}

/// Returns `word` quoted so that POSIX shells, csh and fish read it alike, as long as it holds no
/// newline, which no word of the catalogue does.
///
/// csh looks for its history even between single quotes, and fish knows the backslash there. What
/// they read differently stands outside of quotes, behind a backslash.
fn quoted(word: &str) -> Cow<'_, str> {
    if let Ok(Cow::Borrowed(plain)) = shlex::try_quote(word) {
        return Cow::Borrowed(plain);
    }
    let mut text = String::with_capacity(word.len() + 2);
    let mut is_open = false;
    // A NUL cannot be passed in an argv at all, so a word is refused for it where it comes in;
    // were one to get here, what is left without it is quoted like any other word.
    for c in word.chars().filter(|&c| c != '\0') {
        let stands_alone = matches!(c, '\'' | '\\' | '!');
        if is_open == stands_alone {
            text.push('\'');
            is_open = !is_open;
        }
        if stands_alone {
            text.push('\\');
        }
        text.push(c);
    }
    if is_open {
        text.push('\'');
    }
    if text.is_empty() { Cow::Borrowed("''") } else { Cow::Owned(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_quotes_for_a_shell_and_leaves_stdin_out() {
        let command = Command::new(["find", "/a b", "*/x"], Duration::from_secs(1))
            .with_stdin(b"secret".as_slice());
        assert_eq!(command.to_string(), "find '/a b' '*/x'");
        assert!(!format!("{command:?}").contains("secret"));
    }

    #[test]
    fn what_shells_read_differently_stands_outside_of_quotes() {
        for (word, text) in [
            ("", "''"),
            ("/a.b-c_1", "/a.b-c_1"),
            ("it's", r"'it'\''s'"),
            ("!", r"\!"),
            ("a!b\\c d", r"'a'\!'b'\\'c d'"),
            ("$x\0", "'$x'"),
            ("\0", "''"),
        ] {
            assert_eq!(quoted(word), text, "{word:?}");
        }
    }
}
