//! What a master tells while it logs in: how far it is, and with whom it speaks.
//!
//! ssh writes its log with `-E` to a pipe of its own, apart from its standard error, where
//! banners come. What a server says stands in the log behind words of ssh, as one line.

use std::collections::VecDeque;
use std::net::IpAddr;

/// Lines that are no remarks on the way; the last ones are kept.
const SAID_KEPT: usize = 24;

/// Bytes of one line that are kept.
const LINE_KEPT: usize = 1000;

/// Keys that are named in an error.
const OFFERS_KEPT: usize = 8;

/// How far a master is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// It reads its files.
    #[default]
    Begin,
    /// It makes the connection, or waits for a command that does.
    Connect,
    /// The connection stands.
    Handshake,
    /// The server has proved itself.
    Auth,
    /// Commands may run.
    In,
}

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) step: Step,
    /// The way there is a command, perhaps ssh to a jump host.
    pub(super) is_proxied: bool,
    /// The server answered with a version.
    pub(super) is_greeted: bool,
    pub(super) peer: Option<IpAddr>,
    /// `host:port` as ssh understood it, and the login name.
    pub(super) login: Option<(String, String)>,
    /// Type and fingerprint of the host key the server showed.
    pub(super) host_key: Option<(String, String)>,
    pub(super) offers: Vec<String>,
    /// What the server takes.
    pub(super) methods: Option<String>,
    /// What the server said in place of a version.
    pub(super) banner: Option<String>,
    /// Everything but remarks.
    pub(super) said: VecDeque<String>,
    /// The bytes of a line that is not whole.
    open: Vec<u8>,
}

impl Log {
    /// Takes what came; lines may be cut anywhere.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_KEPT.saturating_sub(self.open.len());
            self.open.extend(part.iter().take(room));
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.open);
                let line = String::from_utf8_lossy(&line);
                self.line(line.trim_end());
            }
        }
    }

    /// Takes what is left when no more comes.
    pub(super) fn finish(&mut self) {
        self.take(b"\n");
    }

    fn line(&mut self, line: &str) {
        match line.strip_prefix("debug1: ") {
            Some(remark) => self.remark(remark),
            None if line.is_empty() => {}
            None => {
                if let Some(rest) = line.strip_prefix("Authenticated to ") {
                    self.peer = peer(rest);
                }
                if self.said.len() == SAID_KEPT {
                    self.said.pop_front();
                }
                self.said.push_back(line.to_owned());
            }
        }
    }

    fn remark(&mut self, remark: &str) {
        // Once commands run, nothing but the end is of interest.
        if self.step == Step::In {
            return;
        }
        let reach = |step: Step| self.step.max(step);
        if remark.starts_with("Connecting to ") {
            self.step = reach(Step::Connect);
        } else if remark.starts_with("Executing proxy command: ") {
            self.is_proxied = true;
            self.step = reach(Step::Connect);
        } else if remark.starts_with("Connection established.") {
            self.step = reach(Step::Handshake);
        } else if remark.starts_with("Remote protocol version ") {
            self.is_greeted = true;
            self.step = reach(Step::Handshake);
        } else if remark == "SSH2_MSG_NEWKEYS received" {
            self.step = reach(Step::Auth);
        } else if remark.starts_with("Entering interactive session") {
            self.step = Step::In;
        } else if let Some(rest) = remark.strip_prefix("Authenticating to ") {
            self.login = rest
                .rsplit_once(" as '")
                .map(|(host, user)| (host.to_owned(), user.trim_end_matches('\'').to_owned()));
        } else if let Some(rest) = remark.strip_prefix("Server host key: ") {
            let key = rest.split_once(' ');
            self.host_key = key.map(|(kind, print)| (kind.to_owned(), print.to_owned()));
        } else if let Some(rest) = remark.strip_prefix("Offering public key: ") {
            if self.offers.len() < OFFERS_KEPT {
                self.offers.push(rest.to_owned());
            }
        } else if let Some(rest) = remark.strip_prefix("Authentications that can continue: ") {
            self.methods = Some(rest.to_owned());
        } else if let Some(rest) = remark.strip_prefix("kex_exchange_identification: banner line ")
        {
            self.banner = rest.split_once(": ").map(|(_, said)| said.to_owned());
        }
    }
}

/// Reads `NAME ([ADDRESS]:PORT) using "METHOD".`; through a proxy there is no address.
fn peer(rest: &str) -> Option<IpAddr> {
    let (_, rest) = rest.split_once(" ([")?;
    let (address, _) = rest.split_once("]:")?;
    let address: IpAddr = address.parse().ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_followed_step_by_step_wherever_its_lines_are_cut() {
        let text = "debug1: Connecting to n1 [10.0.0.1] port 22.\n\
             debug1: Connection established.\ndebug1: Remote protocol version 2.0, x\n\
             debug1: Authenticating to n1:22 as 'ops'\n\
             debug1: Server host key: ssh-ed25519 SHA256:abc\ndebug1: SSH2_MSG_NEWKEYS received\n\
             debug1: Authentications that can continue: publickey,password\n\
             debug1: Offering public key: /k ED25519 SHA256:def explicit\n\
             Authenticated to n1 ([::ffff:10.0.0.1]:22) using \"publickey\".\n\
             debug1: Entering interactive session.\ndebug1: Server host key: x y\n";
        for cut in 0..text.len() {
            let mut log = Log::default();
            log.take(&text.as_bytes()[..cut]);
            log.take(&text.as_bytes()[cut..]);
            assert_eq!(log.step, Step::In);
            assert_eq!(log.peer, Some("10.0.0.1".parse().unwrap()));
            assert_eq!(log.login, Some(("n1:22".into(), "ops".into())));
            assert_eq!(log.host_key, Some(("ssh-ed25519".into(), "SHA256:abc".into())));
            assert_eq!(log.methods.as_deref(), Some("publickey,password"));
            assert_eq!(log.offers, ["/k ED25519 SHA256:def explicit"]);
        }
        assert_eq!(peer("n1 (via proxy) using \"publickey\"."), None);
    }

    #[test]
    fn a_server_cannot_fill_the_memory_nor_speak_for_ssh() {
        let mut log = Log::default();
        log.take(&vec![b'x'; 1 << 20]);
        for _ in 0..1000 {
            log.take(b"\nssh: something\ndebug1: Remote: Entering interactive session.\n");
        }
        assert_eq!((log.step, log.said.len()), (Step::Begin, SAID_KEPT));
        assert!(log.said.iter().all(|line| line.len() <= LINE_KEPT));
    }
}
