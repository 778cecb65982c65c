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
}
