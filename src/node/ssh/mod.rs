//! The door over SSH: one connection a node, several commands at once on it.
//!
//! What is measured about russh, and why the settings are what they are, stands beside the
//! constants. The module reads top down: [`Ssh`] settles how a host is reached (`settings`,
//! `config`), makes the line (`line`, `jump`), judges the host key (`host_keys`,
//! `known_hosts`, `revoked`, `certificates`), logs in (`auth`: with keys in `pubkey`, `offers`,
//! `keys` and `agents`; with what the operator knows in `interactive` and `passwords`) and hands
//! out an [`SshNode`] (`exec`, `wire`).

mod agents;
mod algorithms;
mod auth;
mod certificates;
pub(super) mod chance;
mod channels;
mod check;
mod config;
mod dial;
pub(super) mod exec;
mod explain;
#[cfg(fuzzing)]
pub mod fuzz;
mod gate;
mod host_keys;
mod interactive;
mod jump;
mod keys;
mod known_hosts;
mod line;
mod notices;
mod offers;
mod passwords;
mod pattern;
mod proxy;
mod pubkey;
mod reach;
mod resolve;
mod revoked;
mod settings;
mod signers;
mod source;
mod tokens;
mod wanted;
pub(super) mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(super) use check::check_by;
pub use check::{Step, Told};
pub use exec::SshNode;
pub use explain::{Explained, Setting};
pub use notices::Notice;
pub(super) use settings::check_host;

use super::secret::Ask;
use super::{Connect, Endpoint, NodeError};
use algorithms::Load;

/// The port of sshd when nobody says otherwise.
const DEFAULT_PORT: u16 = 22;

/// How lines are made.
#[derive(Clone)]
pub struct Options {
    /// An ssh_config to use in place of ~/.ssh/config and /etc/ssh/ssh_config; `none` for none.
    pub config_file: Option<PathBuf>,
    /// Who reads ssh_config.
    pub config_reader: ConfigReader,
    /// Lets the commands of `Match exec` be run on this machine. Without it a host whose settings
    /// hang on one is not reached.
    pub allow_match_exec: bool,
    /// Hears of directives that matter and are not followed, each once.
    pub notice: Option<Notice>,
    /// Takes in the keys of unknown hosts, as OpenSSH's `StrictHostKeyChecking accept-new`.
    /// A changed or revoked key is refused all the same.
    pub accept_new_host_keys: bool,
    /// For finding the name's addresses and connecting to one of them, in place of
    /// `ConnectTimeout`; 10 s when neither says it.
    pub connect_timeout: Option<Duration>,
    /// For the versions, the key exchange and the host key.
    pub handshake_timeout: Duration,
    /// For logging in, without the time the operator takes to type a passphrase.
    pub auth_timeout: Duration,
    /// Silence after which the server is asked whether it is still there.
    pub keepalive_interval: Duration,
    /// Unanswered questions after which the line counts as dead.
    pub keepalive_max: usize,
    /// Asked once for each encrypted key and each login, whatever the number of nodes.
    pub ask: Option<Ask>,
    /// The home directory, in place of $HOME.
    pub home: Option<PathBuf>,
    /// The agent's socket, in place of $SSH_AUTH_SOCK; `none` for none.
    pub agent: Option<PathBuf>,
}

/// Who reads ssh_config.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConfigReader {
    /// Ourselves; the `ssh` program where only it understands a line.
    #[default]
    Auto,
    /// Ourselves alone.
    Own,
    /// The `ssh` program alone.
    Program,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config_file: None,
            config_reader: ConfigReader::default(),
            allow_match_exec: false,
            notice: None,
            accept_new_host_keys: false,
            connect_timeout: None,
            // A loaded node needs 1 or 2 s for its signature and reverse DNS up to 10.
            handshake_timeout: Duration::from_secs(15),
            // PAM with a directory server that is slow, and an agent that asks its user.
            auth_timeout: Duration::from_secs(30),
            // A stopped sshd is noticed after interval x (max + 1): a minute.
            keepalive_interval: Duration::from_secs(15),
            keepalive_max: 3,
            ask: None,
            home: None,
            agent: None,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("config_file", &self.config_file)
            .field("config_reader", &self.config_reader)
            .field("allow_match_exec", &self.allow_match_exec)
            .field("accept_new_host_keys", &self.accept_new_host_keys)
            .field("connect_timeout", &self.connect_timeout)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("auth_timeout", &self.auth_timeout)
            .finish_non_exhaustive()
    }
}

/// Makes SSH lines to nodes. Clones share keys, known hosts and jump-host connections.
#[derive(Clone)]
pub struct Ssh {
    shared: Arc<Shared>,
}

struct Shared {
    options: Arc<Options>,
    resolver: settings::Resolver,
    host_keys: Arc<host_keys::HostKeys>,
    configs: algorithms::Configs,
    keyring: keys::Keyring,
    jumps: jump::Jumps,
    goodbyes: channels::Goodbyes,
}

impl std::fmt::Debug for Ssh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ssh").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl Ssh {
    /// Returns a maker of lines. Files are read when the first host wants them.
    ///
    /// # Errors
    /// [`NodeError::Local`] when there is no home directory.
    pub fn new(options: Options) -> Result<Self, NodeError> {
        let home = match &options.home {
            Some(home) => home.clone(),
            None => etcetera::home_dir()
                .map_err(|error| NodeError::Local(format!("no home directory: {error}")))?,
        };
        let options = Arc::new(options);
        Ok(Self {
            shared: Arc::new(Shared {
                resolver: settings::Resolver::new(Arc::clone(&options), home.clone()),
                host_keys: Arc::default(),
                configs: algorithms::Configs::default(),
                keyring: keys::Keyring::new(home, options.ask.clone()),
                jumps: jump::Jumps::default(),
                goodbyes: channels::Goodbyes::new(),
                options,
            }),
        })
    }

    /// Returns how `endpoint` would be reached, and where each of its settings comes from.
    ///
    /// # Errors
    /// [`NodeError::Local`]: an ssh_config that cannot be read, a name that is none.
    pub async fn explain(&self, endpoint: &Endpoint) -> Result<Explained, NodeError> {
        self.shared.resolver.explain(endpoint).await
    }

    /// Refuses an endpoint for which ssh_config would run a command that the operator did not allow.
    ///
    /// # Errors
    /// [`NodeError::Local`] with file, line and the option that allows it.
    pub async fn check_match_exec(&self, endpoint: &Endpoint) -> Result<(), NodeError> {
        self.shared.resolver.check_exec(endpoint).await
    }

    /// Returns the same of the jump hosts before `endpoint`, first hop first, and then of itself.
    ///
    /// # Errors
    /// As [`Ssh::explain`]; and a jump host that cannot be read, or too many of them.
    pub async fn explain_way(&self, endpoint: &Endpoint) -> Result<Vec<Explained>, NodeError> {
        let settings = self.shared.resolver.settle(endpoint).await?;
        let mut way = Vec::new();
        for (hop, _) in self.shared.hops_before(&settings, endpoint).await? {
            way.push(self.explain(&hop).await?);
        }
        way.push(self.explain(endpoint).await?);
        Ok(way)
    }

    /// Returns what was to be said of directives that matter and are not followed, each once; the
    /// next call returns what came since.
    pub fn notices(&self) -> Vec<String> {
        self.shared.resolver.notices.drain()
    }

    /// Waits until commands that were given up are told to end, at most `limit`.
    ///
    /// Giving a command up takes up to three seconds in the background; a program that ends
    /// before leaves a nodetool running on the node.
    pub async fn settle(&self, limit: Duration) {
        self.shared.goodbyes.said(limit).await;
    }
}

impl Connect for Ssh {
    type Node = SshNode;

    async fn connect(&self, endpoint: &Endpoint) -> Result<SshNode, NodeError> {
        self.shared.connect(endpoint, Load::Control).await
    }

    async fn connect_bulk(&self, endpoint: &Endpoint) -> Result<SshNode, NodeError> {
        self.shared.connect(endpoint, Load::Bulk).await
    }

    async fn behind(&self, endpoint: &Endpoint) -> Option<String> {
        self.shared.resolver.settle(endpoint).await.ok()?.jumps.pop()
    }
}

impl Shared {
    async fn connect(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        load: Load,
    ) -> Result<SshNode, NodeError> {
        let settings = Arc::new(self.resolver.settle(endpoint).await?);
        let via = self.last_jump(&settings, endpoint, load).await?;
        let line = self.line(&settings, via.as_ref(), load).await?;
        let (shared, endpoint) = (Arc::clone(self), endpoint.clone());
        Ok(SshNode { line: Arc::new(line), shared, endpoint })
    }
}
