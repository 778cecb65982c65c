//! The command line of `ringhaul ssh-check`.

use std::path::PathBuf;

use clap::Args;

use super::{Ssh, When};

/// `ringhaul ssh-check`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringhaul ssh-check cass-01                   a node of ./inventory.yaml, or any host
  ringhaul ssh-check ops@10.0.0.11:2222 -J bastion
  ringhaul ssh-check 'cass-[01-03]' --json

It shows the settings and where each comes from, goes the way to the node step by step on
connections of its own, and says what to do about the step that fails. On the node it runs one
look at the account and PATH; it changes nothing.

Exit codes: 0 reached, 3 not reached.")]
pub struct SshCheck {
    /// Nodes of the inventory, or hosts.
    #[arg(
        value_name = "NODE",
        required = true,
        help = "Nodes of the inventory, ranges of them, or [USER@]HOST[:PORT]"
    )]
    pub nodes: Vec<String>,
    /// The inventory [default: $RINGHAUL_INVENTORY, or inventory.yaml if it is there]
    #[arg(short, long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// How to get there.
    #[command(flatten)]
    pub ssh: Ssh,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Colours: on a terminal unless NO_COLOR is set, always, or never
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: When,
}
