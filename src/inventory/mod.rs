//! The inventory: YAML text → [`Inventory`], every problem with its place; and the way back.

mod entry;
mod keys;
mod problem;
mod read;
mod render;
mod rights;
mod settings;
mod words;
mod yaml;

use std::collections::BTreeMap;
use std::path::Path;

pub use keys::known_keys;
pub use problem::{InventoryError, Problem};
pub use render::{Draft, DraftError, DraftNode, render};
pub use rights::{Method, PasswordOf, Rights};
pub use words::account;

use crate::node::Endpoint;

/// What the operator wrote: ranges unfolded, defaults merged into each node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The name shown in reports. It is compared with nothing.
    pub cluster: String,
    /// Names of the nodes to ask for the ring first, each one of `nodes`; empty: any.
    pub ring_from: Vec<String>,
    /// The nodes in the order of the file; never empty, no two alike.
    pub nodes: Vec<NodeSpec>,
}

/// One node of the inventory.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NodeSpec {
    /// Where SSH goes. `endpoint.host` is the node's name.
    pub endpoint: Endpoint,
    /// The address or name under which the ring shows the node, when it is not where SSH goes.
    pub cassandra_address: Option<String>,
    /// The id under which the ring knows the node; it stays when the address changes.
    pub host_id: Option<String>,
    /// The data centre, when written down.
    pub dc: Option<String>,
    /// The rack, when written down.
    pub rack: Option<String>,
    /// Words for `--label`.
    pub labels: BTreeMap<String, String>,
    /// Paths on the node; what is missing is looked for there.
    pub paths: Paths,
    /// How nodetool reaches Cassandra.
    pub jmx: Jmx,
    /// When other rights than the account's are used.
    pub sudo: Sudo,
    /// Whose rights these are, and how they are had.
    #[serde(default, rename = "become", skip_serializing_if = "Rights::is_default")]
    pub rights: Rights,
    /// The line of the inventory where the node stands.
    pub line: usize,
}

impl NodeSpec {
    /// Returns a node of which nothing is written down but where SSH goes.
    pub fn at(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            cassandra_address: None,
            host_id: None,
            dc: None,
            rack: None,
            labels: BTreeMap::new(),
            paths: Paths::default(),
            jmx: Jmx::default(),
            sudo: Sudo::default(),
            rights: Rights::default(),
            line: 0,
        }
    }

    /// The node's name in reports and options.
    pub fn name(&self) -> &str {
        &self.endpoint.host
    }
}

/// Paths on a node, all of them absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Paths {
    /// The nodetool program.
    pub nodetool: Option<String>,
    /// cassandra.yaml.
    pub config: Option<String>,
    /// The data folders; empty: those of cassandra.yaml.
    pub data: Vec<String>,
}

/// How nodetool reaches Cassandra on its node.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Jmx {
    /// nodetool's `--host`.
    pub host: Option<String>,
    /// nodetool's `--port`.
    pub port: Option<u16>,
    /// nodetool's `--username`; never without `password_file`.
    pub user: Option<String>,
    /// nodetool's `--password-file`, a file on the node; never without `user`.
    pub password_file: Option<String>,
    /// Whether nodetool itself is run with other rights, when only those read the password file.
    pub sudo: bool,
}

/// When other rights than the account's are used on a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sudo {
    /// Where they turn out to be needed.
    #[default]
    Auto,
    /// Not even then.
    Never,
    /// Without trying first.
    Always,
}

impl Inventory {
    /// Reads an inventory. `file` is its name in messages, `base` the folder its relative paths
    /// begin at, `home` what `~` stands for.
    ///
    /// # Errors
    /// All that is wrong in the text, each problem with line and column.
    pub fn parse(
        text: &str,
        file: &Path,
        base: &Path,
        home: Option<&Path>,
    ) -> Result<Self, InventoryError> {
        read::inventory(text, file, read::Folders { base, home })
    }

    /// Returns the node of that name.
    pub fn node(&self, name: &str) -> Option<&NodeSpec> {
        self.nodes.iter().find(|node| node.name() == name)
    }
}
