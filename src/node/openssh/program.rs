//! The `ssh` program of this machine: whether it is there, and what it can do.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command as Process;

use crate::node::NodeError;
use crate::text::one_line;

/// The oldest version that knows `accept-new` and `RemoteCommand none`.
const OLDEST: Version = Version(7, 6);

/// From here on ssh asks through a program although there is a terminal, and writes before what a
/// server asks who that is: without that a server could ask for the passphrase of a key.
const ASKS_THROUGH_US: Version = Version(8, 5);

/// Far more than printing a line takes.
const LIMIT: Duration = Duration::from_secs(10);

/// The version of OpenSSH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32);

impl Version {
    /// Asks the program.
    ///
    /// # Errors
    /// [`NodeError::Local`] when there is none, or it is none we can drive.
    pub(super) async fn of_ssh() -> Result<Self, NodeError> {
        let ask = Process::new("ssh").arg("-V").stdin(Stdio::null()).kill_on_drop(true).output();
        let said = match tokio::time::timeout(LIMIT, ask).await {
            Ok(Ok(output)) => output.stderr,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(local("ssh is not installed"));
            }
            Ok(Err(error)) => return Err(local(&format!("ssh: {error}"))),
            Err(_) => return Err(local("ssh -V does not end")),
        };
        let said = one_line(&said, 100);
        match Self::parse(&said) {
            Some(version) if version >= OLDEST => Ok(version),
            Some(_) => Err(local(&format!("it takes OpenSSH 7.6 or newer, this is {said}"))),
            None => Err(local(&format!("the ssh of this machine is not OpenSSH: {said}"))),
        }
    }

    /// Whether ringhaul can answer what this version asks.
    pub(super) fn asks_through_us(self) -> bool {
        self >= ASKS_THROUGH_US
    }

    /// Reads `OpenSSH_9.2p1 Debian-2, OpenSSL ...`, and `OpenSSH_for_Windows_9.5p1`.
    fn parse(said: &str) -> Option<Self> {
        let rest = said.strip_prefix("OpenSSH_")?;
        let (major, rest) =
            rest.trim_start_matches(|c: char| !c.is_ascii_digit()).split_once('.')?;
        let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

fn local(problem: &str) -> NodeError {
    NodeError::Local(format!("transport openssh: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_ssh_prints_them() {
        let parse = Version::parse;
        assert_eq!(parse("OpenSSH_9.2p1 Debian-2, OpenSSL 3.0"), Some(Version(9, 2)));
        assert_eq!(parse("OpenSSH_8.0p1, OpenSSL 1.1.1k"), Some(Version(8, 0)));
        assert_eq!(parse("OpenSSH_for_Windows_9.5p1"), Some(Version(9, 5)));
        assert_eq!(parse("OpenSSH_10.0p2"), Some(Version(10, 0)));
        assert_eq!(parse("Dropbear v2022.83"), None);
        assert!(Version(10, 0).asks_through_us() && !Version(8, 0).asks_through_us());
    }
}
