//! Settles how one host is reached: the operator's settings, then ssh_config, then the defaults.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command as Process;
use tokio::sync::OnceCell;

use super::config::{Proxy, Said};
use super::known_hosts::Names;
use super::source::Source;
use super::tokens::{Tokens, env_path, expand};
use super::{DEFAULT_PORT, Options};
use crate::node::{AuthMethod, Endpoint, NodeError};
use crate::text::one_line;

/// Three SYNs of a lossy network take 7 s; clush and ansible give up at 10 to 15 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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

/// Settles how hosts are reached.
#[derive(Debug)]
pub(super) struct Resolver {
    options: Arc<Options>,
    home: PathBuf,
    source: Source,
    local_user: OnceCell<Result<String, NodeError>>,
}

impl Resolver {
    pub(super) fn new(options: Arc<Options>, home: PathBuf) -> Self {
        Self {
            source: Source::new(Arc::clone(&options), home.clone()),
            options,
            home,
            local_user: OnceCell::new(),
        }
    }

    /// Returns how `endpoint` is reached.
    ///
    /// # Errors
    /// [`NodeError::Local`]: a host name that is none, a config that cannot be read.
    pub(super) async fn settle(&self, endpoint: &Endpoint) -> Result<Settings, NodeError> {
        check_host(&endpoint.host)?;
        let said = self.source.said(endpoint).await?;
        let user = match endpoint.user.clone().or_else(|| said.user.clone()) {
            Some(user) => user,
            None => self.local_user().await?,
        };
        let name = endpoint.host.clone();
        let host = match (&endpoint.address, &said.host_name) {
            (Some(address), _) => address.clone(),
            (None, Some(host_name)) => expand(host_name, &[('h', &name)])?,
            (None, None) => name.clone(),
        };
        // As OpenSSH: the tokens and known_hosts see it in lower case.
        let host = host.to_lowercase();
        check_host(&host)?;
        let port = endpoint.port.or(said.port).unwrap_or(DEFAULT_PORT);
        // Rarely wanted, and it takes a process.
        let local_user = if said.mentions("%u") { self.local_user().await? } else { String::new() };
        let tokens = Tokens {
            home: &self.home,
            host: &host,
            name: &name,
            port: &port.to_string(),
            user: &user,
            alias: said.host_key_alias.as_deref().unwrap_or(&name),
            local_user: &local_user,
        };
        let jumps = self.jumps(endpoint, &said, &tokens)?;
        Ok(Settings {
            identities: identities(endpoint, &said, &tokens)?,
            identities_given: !endpoint.identity_files.is_empty()
                || !said.identity_files.is_empty(),
            identities_only: said.identities_only.unwrap_or(false),
            agent: self.agent(said.identity_agent.as_deref(), &tokens)?,
            known_hosts: self.known_hosts(endpoint, &said, &tokens)?,
            hash_known_hosts: said.hash_known_hosts.unwrap_or(false),
            revoked_host_keys: Vec::new(),
            alias: said.host_key_alias.clone(),
            jumps,
            proxy_command: None,
            certificates: Vec::new(),
            host_key_checking: HostKeyChecking::Strict,
            connect_timeout: self.options.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            attempts: 1,
            keepalive: Keepalive {
                interval: self.options.keepalive_interval,
                max: self.options.keepalive_max,
            },
            family: Family::Any,
            bind_address: None,
            compression: false,
            rekey: Rekey::default(),
            algorithms: Wanted::default(),
            publickey: true,
            auth: endpoint.auth.clone(),
            is_jump: false,
            port,
            user,
            host,
            name,
        })
    }

    fn jumps(
        &self,
        endpoint: &Endpoint,
        said: &Said,
        tokens: &Tokens<'_>,
    ) -> Result<Vec<String>, NodeError> {
        if let Some(jumps) = &endpoint.proxy_jump {
            return Ok(jumps.clone());
        }
        match &said.proxy {
            Some(Proxy::Jump(jumps)) if jumps != "none" => {
                jumps.split(',').map(|jump| tokens.expand(jump.trim())).collect::<Result<_, _>>()
            }
            Some(Proxy::Command(command)) if command != "none" => Err(NodeError::Local(format!(
                "ProxyCommand of {} is not supported, only ProxyJump",
                one_line(endpoint.host.as_bytes(), 80)
            ))),
            Some(_) | None => Ok(Vec::new()),
        }
    }

    fn known_hosts(
        &self,
        endpoint: &Endpoint,
        said: &Said,
        tokens: &Tokens<'_>,
    ) -> Result<Vec<PathBuf>, NodeError> {
        if !endpoint.known_hosts.is_empty() {
            return Ok(endpoint.known_hosts.iter().map(|path| tokens.home_path(path)).collect());
        }
        let mut files = match &said.user_known_hosts {
            Some(files) => files.iter().map(|file| tokens.path(file)).collect::<Result<_, _>>()?,
            None => ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]
                .map(|file| tokens.home_path(Path::new(file)))
                .to_vec(),
        };
        match &said.global_known_hosts {
            // No tokens are filled in here.
            Some(list) => files.extend(list.iter().map(|file| tokens.home_path(Path::new(file)))),
            None => files.extend(
                ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"].map(PathBuf::from),
            ),
        }
        files.retain(|file| file.as_os_str() != "none");
        Ok(files)
    }

    fn agent(&self, said: Option<&str>, tokens: &Tokens<'_>) -> Result<Option<PathBuf>, NodeError> {
        let from_env = || match &self.options.agent {
            Some(socket) if socket.as_os_str() == "none" => None,
            Some(socket) => Some(socket.clone()),
            None => env_path("SSH_AUTH_SOCK"),
        };
        match said {
            None | Some("SSH_AUTH_SOCK") => Ok(from_env()),
            Some("none") => Ok(None),
            Some(variable) if variable.starts_with('$') && !variable.starts_with("${") => {
                Ok(env_path(variable.trim_start_matches('$')))
            }
            Some(path) => tokens.path(path).map(Some),
        }
    }

    /// Returns the name of the user who runs this.
    ///
    /// `id` asks the same sources as OpenSSH; $USER may be another's under sudo.
    async fn local_user(&self) -> Result<String, NodeError> {
        let ask = || async {
            let id = Process::new("id").arg("-un").stdin(Stdio::null()).output().await;
            let name = id
                .ok()
                .filter(|id| id.status.success())
                .map(|id| String::from_utf8_lossy(&id.stdout).trim().to_owned());
            name.filter(|name| !name.is_empty())
                .or_else(|| std::env::var("USER").ok())
                .ok_or_else(|| NodeError::Local("no login name: set a user".into()))
        };
        self.local_user.get_or_init(ask).await.clone()
    }
}

fn identities(
    endpoint: &Endpoint,
    said: &Said,
    tokens: &Tokens<'_>,
) -> Result<Vec<Identity>, NodeError> {
    if endpoint.identity_files.is_empty() {
        let files = said.identity_files.iter().filter(|file| *file != "none");
        return files
            .map(|file| Ok(Identity { path: tokens.path(file)?, must_exist: false }))
            .collect();
    }
    let files = endpoint.identity_files.iter();
    Ok(files.map(|file| Identity { path: tokens.home_path(file), must_exist: true }).collect())
}

pub(super) fn local(text: String) -> NodeError {
    NodeError::Local(one_line(text.as_bytes(), 300))
}

/// Refuses what is no host name: it is given to `ssh`, to shells in the fixes we print, and to
/// the operator's terminal.
pub(in crate::node) fn check_host(host: &str) -> Result<(), NodeError> {
    let bad = |c: char| c.is_whitespace() || "'`\"$\\;&<>|(){},*?!".contains(c);
    let unsafe_to_show = one_line(host.as_bytes(), LONGEST_HOST) != host;
    // With these a line of known_hosts would be a comment or a mark, and never be read back.
    let unsafe_start = ['-', '#', '@'];
    if host.is_empty() || host.starts_with(unsafe_start) || host.contains(bad) || unsafe_to_show {
        return Err(local(format!("not a host name: {host:?}")));
    }
    Ok(())
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
