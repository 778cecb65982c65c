//! How one host is reached, settled; `resolve` finds it out.

use std::path::PathBuf;
use std::time::Duration;

use super::known_hosts::Names;
pub(super) use super::resolve::Resolver;
#[cfg(any(test, fuzzing))]
use super::{DEFAULT_PORT, Options};
use crate::node::{AuthMethod, NodeError};
use crate::text::one_line;

/// Three SYNs of a lossy network take 7 s; clush and ansible give up at 10 to 15 s.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Characters of the longest name DNS knows, and some for an IPv6 zone.
const LONGEST_HOST: usize = 300;

/// How one host is reached, settled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Settings {
    /// The name the operator uses.
    pub(super) name: String,
    /// The name or address to connect to.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    /// `HostKeyAlias`.
    pub(super) alias: Option<String>,
    pub(super) identities: Vec<Identity>,
    /// Whether `IdentityFile` was set at all; if not, OpenSSH's default files are tried.
    pub(super) identities_given: bool,
    pub(super) identities_only: bool,
    /// The agent's socket.
    pub(super) agent: Option<PathBuf>,
    /// The user's files first; the first of them takes new keys.
    pub(super) known_hosts: Vec<PathBuf>,
    pub(super) hash_known_hosts: bool,
    /// `RevokedHostKeys`: no host may show a key or an authority that is in them.
    pub(super) revoked_host_keys: Vec<PathBuf>,
    /// Jump hosts, first hop first.
    pub(super) jumps: Vec<String>,
    /// A command whose standard input and output are the way there; never beside `jumps`.
    pub(super) proxy_command: Option<String>,
    /// `CertificateFile`, in its order.
    pub(super) certificates: Vec<PathBuf>,
    pub(super) host_key_checking: HostKeyChecking,
    /// For finding the addresses and connecting to one of them.
    pub(super) connect_timeout: Duration,
    /// `ConnectionAttempts`.
    pub(super) attempts: u32,
    pub(super) keepalive: Keepalive,
    pub(super) family: Family,
    /// The address of ours to connect from.
    pub(super) bind_address: Option<String>,
    pub(super) compression: bool,
    pub(super) rekey: Rekey,
    pub(super) algorithms: Wanted,
    /// Whether public keys are offered at all.
    pub(super) publickey: bool,
    /// What else may be tried, in this order.
    pub(super) auth: Vec<AuthMethod>,
    /// It is a jump host: its password may be another than that of the nodes.
    pub(super) is_jump: bool,
}

/// `StrictHostKeyChecking`. A key that changed is refused under every one of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) enum HostKeyChecking {
    /// Unknown keys are refused; also for `ask`, as there is nobody to ask for each of a fleet.
    #[default]
    Strict,
    /// Unknown keys are taken in; also for `no`, which OpenSSH takes for more than this.
    AcceptNew,
}

/// When the server is asked whether it is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Keepalive {
    /// After this silence.
    pub(super) interval: Duration,
    /// Unanswered questions after which the line counts as dead.
    pub(super) max: usize,
}

/// `AddressFamily`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) enum Family {
    #[default]
    Any,
    V4,
    V6,
}

/// `RekeyLimit`; none of both: the defaults of the SSH library.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Rekey {
    pub(super) bytes: Option<u64>,
    pub(super) time: Option<Duration>,
}

/// The algorithms ssh_config asks for, as it writes them: a list with commas, perhaps after
/// `+`, `-` or `^`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    pub(super) ciphers: Option<String>,
    pub(super) kex: Option<String>,
    pub(super) macs: Option<String>,
    /// `HostKeyAlgorithms`.
    pub(super) host_keys: Option<String>,
    /// `PubkeyAcceptedAlgorithms`.
    pub(super) user_keys: Option<String>,
    /// `CASignatureAlgorithms`.
    pub(super) ca_signatures: Option<String>,
}

/// A private key file to offer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) path: PathBuf,
    /// The operator named it in the inventory or on the command line, so it has to be there.
    pub(super) must_exist: bool,
}

impl Settings {
    /// Those of a host of which nothing is said anywhere.
    #[cfg(any(test, fuzzing))]
    pub(super) fn plain(name: &str) -> Self {
        let options = Options::default();
        Self {
            name: name.into(),
            host: name.to_lowercase(),
            port: DEFAULT_PORT,
            user: "u".into(),
            alias: None,
            identities: Vec::new(),
            identities_given: false,
            identities_only: false,
            agent: None,
            known_hosts: Vec::new(),
            hash_known_hosts: false,
            revoked_host_keys: Vec::new(),
            jumps: Vec::new(),
            proxy_command: None,
            certificates: Vec::new(),
            host_key_checking: HostKeyChecking::default(),
            connect_timeout: CONNECT_TIMEOUT,
            attempts: 1,
            keepalive: Keepalive {
                interval: options.keepalive_interval,
                max: options.keepalive_max,
            },
            family: Family::default(),
            bind_address: None,
            compression: false,
            rekey: Rekey::default(),
            algorithms: Wanted::default(),
            publickey: true,
            auth: Vec::new(),
            is_jump: false,
        }
    }

    /// `host:port`, for messages.
    pub(super) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The names its keys are on file under.
    pub(super) fn names(&self) -> Names {
        match &self.alias {
            Some(alias) => Names::alias(alias),
            None => Names::of(&self.host, self.port),
        }
    }
}

pub(super) fn local(text: String) -> NodeError {
    NodeError::Local(one_line(text.as_bytes(), 300))
}

/// Refuses what is no host name: it is given to `ssh`, to shells in the fixes we print, and to
/// the operator's terminal.
pub(in crate::node) fn check_host(host: &str) -> Result<(), NodeError> {
    let bad = |c: char| c.is_whitespace() || "'`\"$\\;&<>|(){},*?!@/".contains(c);
    let unsafe_to_show = one_line(host.as_bytes(), LONGEST_HOST) != host;
    // With these a line of known_hosts would be a comment or a mark, and never be read back.
    let unsafe_start = ['-', '#', '@'];
    if host.is_empty() || host.starts_with(unsafe_start) || host.contains(bad) || unsafe_to_show {
        return Err(local(format!("not a host name: {host:?}")));
    }
    Ok(())
}

/// Refuses a login name that a shell or `ssh` would take for more than a name.
pub(super) fn check_user(user: &str) -> Result<(), NodeError> {
    let bad = |c: char| c.is_control() || "'`\"$;&<>|(){}".contains(c);
    if user.starts_with('-') || user.contains(bad) || user.contains(" -") || user.ends_with('\\') {
        return Err(local(format!("not a login name for a command line: {user:?}")));
    }
    Ok(())
}
