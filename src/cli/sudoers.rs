//! `ringhaul sudoers`: its options.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Asking, Ssh};

/// `ringhaul sudoers`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringhaul sudoers                                  for every verb, with the usual paths
  ringhaul sudoers audit ship clean > f; visudo -cf f
  ringhaul sudoers audit ship --node cass-01        with the paths of that node
  ringhaul sudoers --as cassandra --user backup     Cassandra's rights in place of root's
  ringhaul sudoers --doas                           lines for doas.conf")]
pub struct Sudoers {
    /// The verbs to allow; none for all
    #[arg(value_enum, value_name = "VERB")]
    pub verbs: Vec<NodeVerb>,
    /// The inventory [default: $RINGHAUL_INVENTORY, else inventory.yaml, if there is one]
    #[arg(short, long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// Ask this node of the inventory where its programs lie
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,
    /// Whose rights the account gets [default: become.user of the inventory, else root]
    #[arg(long = "as", value_name = "USER", value_parser = account)]
    pub other: Option<String>,
    /// Lines for doas.conf
    #[arg(long)]
    pub doas: bool,
    /// Leave NOPASSWD out: ringhaul is to give a password (become.password)
    #[arg(long, conflicts_with = "doas")]
    pub password: bool,
    /// Allow nodetool too, for jmx.sudo
    #[arg(long)]
    pub nodetool: bool,
    /// Name each program in /bin as well, for systems where /bin is not /usr/bin
    #[arg(long, conflicts_with = "node")]
    pub unmerged: bool,
    /// How to get there. --user is also the login the lines are for.
    #[command(flatten)]
    pub ssh: Ssh,
    /// How to ask.
    #[command(flatten)]
    pub asking: Asking,
}

/// A verb that goes to the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NodeVerb {
    /// ringhaul nodes
    Nodes,
    /// ringhaul audit
    Audit,
    /// ringhaul enable
    Enable,
    /// ringhaul disable
    Disable,
    /// ringhaul verify
    Verify,
    /// ringhaul ship
    Ship,
    /// ringhaul clean
    Clean,
}

fn account(name: &str) -> Result<String, String> {
    crate::inventory::account(name)
        .map(|()| name.to_owned())
        .map_err(|expected| format!("expected {expected}"))
}
