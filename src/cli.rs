//! The command line. The doc comments are the help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::report::table::Fold;

/// Audits Cassandra's incremental backups across a whole ring, over SSH, with no agent on the
/// nodes.
#[derive(Debug, Parser)]
#[command(name = "ringhaul", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  ringhaul nodes --via cass-01 --write inventory.yaml   ask one node for the ring, keep it
  ringhaul audit                                        audit every node of ./inventory.yaml
  ringhaul audit --via ops@cass-01 --dc eu              without an inventory, one data centre
  ringhaul audit --json | jq .summary                   for scripts

Exit codes:
    0  all enabled and aligned
    1  findings
    2  a job failed
    3  some node unknown
   64  wrong usage or inventory
  130  interrupted";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the ring as one of its nodes sees it, and write an inventory from it
    Nodes(Nodes),
    /// Tell on which nodes incremental backups are on, now and after the next restart, and what
    /// they hold
    Audit(Audit),
    /// Print completions for a shell
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `ringhaul nodes`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringhaul nodes --via cass-01                  the ring, with no inventory at all
  ringhaul nodes --via ops@10.0.0.11:2222       another user and port
  ringhaul nodes --via cass-01 --write inventory.yaml
  ringhaul nodes -i inventory.yaml              what inventory and ring do not agree on")]
pub struct Nodes {
    /// Which nodes.
    #[command(flatten)]
    pub fleet: Fleet,
    /// How to get there.
    #[command(flatten)]
    pub ssh: Ssh,
    /// How to ask.
    #[command(flatten)]
    pub asking: Asking,
    /// Write an inventory of the ring to FILE
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Let --write replace FILE
    #[arg(long, requires = "write")]
    pub force: bool,
    /// The cluster's name in the inventory that is written
    #[arg(long, value_name = "NAME", requires = "write")]
    pub cluster: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to show it.
    #[command(flatten)]
    pub showing: Showing,
}

/// `ringhaul audit`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringhaul audit                                     every node of ./inventory.yaml
  ringhaul audit -i prod.yaml --dc 'eu-*' --rack '!r3'
  ringhaul audit --node 'cass-[01-12]' --label env=prod
  ringhaul audit --via cass-01                       with no inventory: asks cass-01 for the ring
  ringhaul audit --format prometheus --output /var/lib/node_exporter/ringhaul.prom
  ringhaul audit --format nagios                     as a Nagios plugin")]
pub struct Audit {
    /// Which nodes.
    #[command(flatten)]
    pub fleet: Fleet,
    /// How to get there.
    #[command(flatten)]
    pub ssh: Ssh,
    /// How to ask.
    #[command(flatten)]
    pub asking: Asking,
    /// The form of the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Write the result to FILE, whole or not at all, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// When equal nodes share a row of the table
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub fold: Fold,
    /// How to show it.
    #[command(flatten)]
    pub showing: Showing,
}

impl Audit {
    /// Whether the result is read by Nagios.
    pub fn is_for_nagios(&self) -> bool {
        !self.json && self.format == Format::Nagios
    }
}

/// Which nodes are meant.
#[derive(Debug, Args)]
#[command(next_help_heading = "Nodes")]
pub struct Fleet {
    /// The inventory [default, when --via is not given: $RINGHAUL_INVENTORY, else inventory.yaml]
    #[arg(short, long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// Ask this node for the ring; without --inventory, the ring is all that is known
    #[arg(long, value_name = "[USER@]HOST[:PORT]")]
    pub via: Option<String>,
    /// Only these data centres: globs, `!` excludes, repeatable
    #[arg(long, value_name = "DC")]
    pub dc: Vec<String>,
    /// Only these racks, or DC/RACK
    #[arg(long, value_name = "RACK")]
    pub rack: Vec<String>,
    /// Only these nodes: names, addresses or host ids; ranges such as cass-[01-12]
    #[arg(long, value_name = "NODE")]
    pub node: Vec<String>,
    /// Only nodes with this label: KEY, KEY=VALUE
    #[arg(long, value_name = "LABEL")]
    pub label: Vec<String>,
}

/// How nodes are reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "SSH (over the inventory, which is over ~/.ssh/config)")]
pub struct Ssh {
    /// Login name
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Port of sshd
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Private key to offer; repeatable
    #[arg(short = 'I', long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
    /// known_hosts file in place of the usual ones; repeatable
    #[arg(long, value_name = "FILE")]
    pub known_hosts: Vec<PathBuf>,
    /// Jump hosts, the first hop first.
    #[arg(
        short = 'J',
        long,
        value_name = "HOST",
        help = "Jump host, [USER@]HOST[:PORT]; repeatable, the first hop first; none for none"
    )]
    pub jump: Vec<String>,
    /// ssh_config in place of ~/.ssh/config and /etc/ssh/ssh_config; `none` for none
    #[arg(short = 'F', long, value_name = "FILE")]
    pub ssh_config: Option<PathBuf>,
    /// Take in the keys of hosts that are not known yet; changed keys are refused all the same
    #[arg(long)]
    pub accept_new_host_keys: bool,
    /// How long to wait for a connection
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub connect_timeout: Duration,
}

/// How nodes are asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Asking")]
pub struct Asking {
    /// How many nodes are asked at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = in_flight)]
    pub in_flight: usize,
    /// How long one nodetool call may take; the node itself ends it then
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = duration)]
    pub nodetool_timeout: Duration,
    /// Keep every command and its answer in FOLDER, a text a node, to report a fault with
    #[arg(long, value_name = "FOLDER")]
    pub transcript: Option<PathBuf>,
    /// How long the look at a node's files may take
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub files_timeout: Duration,
}

/// How results and progress are shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Showing")]
pub struct Showing {
    /// Colours: on a terminal unless NO_COLOR is set, always, or never
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: When,
    /// No progress on standard error
    #[arg(short, long)]
    pub quiet: bool,
}

/// When colours are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The form of an audit's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// Everything, schema 1
    Json,
    /// One line a node
    Csv,
    /// A Nagios plugin's output
    Nagios,
    /// For node_exporter's textfile collector
    Prometheus,
    /// A test case a node
    Junit,
}

fn duration(text: &str) -> Result<Duration, String> {
    let expected = "expected a time such as 30s, 5m or 1h30m";
    let span: jiff::SignedDuration = text.parse().map_err(|_| expected.to_owned())?;
    match Duration::try_from(span) {
        Ok(duration) if duration >= Duration::from_secs(1) => Ok(duration),
        _ => Err(format!("{expected}, at least one second")),
    }
}

fn in_flight(text: &str) -> Result<usize, String> {
    match text.parse() {
        // sshd and the controller's own file table are the limit beyond.
        Ok(number @ 1..=1024) => Ok(number),
        _ => Err("expected a number from 1 to 1024".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_holds_the_table_of_exit_codes() {
        for (_, code, meaning) in Exit::TABLE {
            let line = format!("{code:>5}  {meaning}");
            assert!(EXAMPLES.contains(&line), "{line}");
        }
    }

    #[test]
    fn times_are_positive_and_have_a_unit() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        for bad in ["10", "-5m", "0s", "soon"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
