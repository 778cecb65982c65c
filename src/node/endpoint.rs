//! Where a node is reached over SSH, as the operator wrote it: the inventory's settings with the
//! command line's on top. What is left open is filled from ~/.ssh/config when the line is made.

use std::path::PathBuf;

/// How to reach one host over SSH. Everything but `host` may be left open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Endpoint {
    /// The name the operator uses; it is what ~/.ssh/config is asked with.
    pub host: String,
    /// A name or address to connect to instead of `host` (wins over `HostName`).
    pub address: Option<String>,
    /// TCP port; 22 when nobody says otherwise.
    pub port: Option<u16>,
    /// Login name; the local user's when nobody says otherwise.
    pub user: Option<String>,
    /// Private keys to offer, in this order. Empty: those of ~/.ssh/config, the agent's, and
    /// OpenSSH's default files.
    pub identity_files: Vec<PathBuf>,
    /// known_hosts files in place of the default ones.
    pub known_hosts: Vec<PathBuf>,
    /// Jump hosts, `[user@]host[:port]`, first hop first. `Some(vec![])` means none, whatever
    /// ~/.ssh/config says.
    pub proxy_jump: Option<Vec<String>>,
    /// Ways to log in beside public keys, which are always tried first. Empty: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auth: Vec<AuthMethod>,
    /// Who speaks SSH to the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
}

/// A way to log in that asks the operator for a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMethod {
    /// The server asks in its own words.
    KeyboardInteractive,
    /// The password is sent as it is.
    Password,
}

/// Who speaks SSH to a node.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// ringhaul itself.
    #[default]
    Builtin,
    /// The `ssh` program of this machine.
    Openssh,
}
