//! The command line. The doc comments are the help.

pub mod haul;
mod ssh;
pub mod ssh_check;
pub mod store;
pub mod sudoers;
mod turns;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use serde::{Deserialize, Serialize};

pub use ssh::{Secrets, Ssh, Transport};
pub use turns::{DcLimit, RunResult, Running, Scheduling, StateDir, Turns};

use crate::cassandra::table_name::TableName;
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
  ringhaul enable --dry-run                             what enabling everywhere would do
  ringhaul enable --stagger 10m                         one node after the other
  ringhaul verify                                       prove that links appear, on every node
  ringhaul ship --to /mnt/nas/cassandra                 store every set of every node
  ringhaul clean --to /mnt/nas/cassandra                remove from the nodes what is stored
  ringhaul sudoers audit ship clean > f; visudo -cf f   what the nodes' sudo must allow

Exit codes:
    0  all enabled and aligned; all done; all proven
    1  findings; not proven
    2  a job failed
    3  some node unknown, or not started
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
    /// Turn incremental backups on, node after node: in cassandra.yaml and in the running process
    Enable(Setting),
    /// Turn incremental backups off, node after node: in cassandra.yaml and in the running process
    Disable(Setting),
    /// Prove on each node that a flush is linked into backups/
    Verify(Verify),
    /// Store what is in backups/, every complete set of every node, in a folder
    Ship(haul::Ship),
    /// Remove from backups/ what the store is proven to hold
    Clean(haul::Clean),
    /// List the runs of verbs that work node after node, or show one
    Runs(Runs),
    /// Go on with a run that was stopped, cut off or killed: do what is not done
    Resume(Resume),
    /// Tell what a store holds, check it, copy sets out of it
    Store(store::Store),
    /// Go the way to a node step by step: settings, host keys, login, and what to do about a fault
    SshCheck(ssh_check::SshCheck),
    /// Print the lines that sudoers of the nodes needs for what verbs run there, and no more
    Sudoers(sudoers::Sudoers),
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

/// `ringhaul enable`, `ringhaul disable`
#[derive(Debug, Args)]
#[command(after_help = SETTING_EXAMPLES)]
pub struct Setting {
    /// Only the running process; its next start takes what cassandra.yaml says
    #[arg(long, conflicts_with = "config_only")]
    pub live_only: bool,
    /// Only cassandra.yaml; the running process stays as it is until its next start
    #[arg(long)]
    pub config_only: bool,
    /// Which nodes, when, and how.
    #[command(flatten)]
    pub turns: Turns,
}

const SETTING_EXAMPLES: &str = "\
Examples (disable takes the same options):
  ringhaul enable --dry-run                    what would be done, when, with which commands
  ringhaul enable                              one node after the other, 10 s apart
  ringhaul enable --stagger 10m --jitter 2m    at least 10 to 12 minutes from start to start
  ringhaul enable --canary 1 --canary-wait 1h  one node first, proven; the rest an hour later
  ringhaul enable --strategy topology --max-in-flight 8 --per-dc 4
                                               several at once, never two replicas of one range
  ringhaul enable --waves 1,5,30% --max-failures 5%
  ringhaul enable --yes --json                 for scripts

Ctrl-C once: what has started is finished, nothing more is started. Twice: stops at once.
Either way `ringhaul resume last` goes on.";

/// `ringhaul verify`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringhaul verify                          flushes system.size_estimates, no user data, and looks
                                           for the set in backups/
  ringhaul verify --table shop.orders      flushes that table instead
  ringhaul verify --deep                   reads every Data.db in backups/ too, at low priority
  ringhaul verify --node cass-07 --json")]
pub struct Verify {
    /// Flush this table of yours instead of system.size_estimates
    #[arg(long, value_name = "KEYSPACE.TABLE", value_parser = TableName::parse)]
    pub table: Option<TableName>,
    /// Read every Data.db in backups/ on the node and compare it with its Digest.crc32
    #[arg(long)]
    pub deep: bool,
    /// How long --deep may take on one node
    #[arg(long, value_name = "TIME", default_value = "6h", value_parser = duration, requires = "deep")]
    pub deep_timeout: Duration,
    /// Remove the set from backups/ that the proof made, and nothing else
    #[arg(long, conflicts_with = "table")]
    pub clean_up: bool,
    /// Let cqlsh on the node be asked which tables have incremental_backups = false
    #[arg(long)]
    pub cqlsh: bool,
    /// How long the set may take to appear
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub wait: Duration,
    /// Which nodes, when, and how.
    #[command(flatten)]
    pub turns: Turns,
}

/// `ringhaul runs`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringhaul runs                list them
  ringhaul runs show last      the table of the last one, from its journal
  ringhaul runs show 20261121  an id may be shortened")]
pub struct Runs {
    /// What to show; a list when nothing is said.
    #[command(subcommand)]
    pub what: Option<WhatOfRuns>,
    /// Where.
    #[command(flatten)]
    pub place: StateDir,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Colours: on a terminal unless NO_COLOR is set, always, or never
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", global = true)]
    pub color: When,
}

/// What of the runs to show.
#[derive(Debug, Subcommand)]
pub enum WhatOfRuns {
    /// List the runs, the newest last
    List,
    /// Show one run as it ended, or as it stands
    Show {
        /// Its id, the beginning of it, or `last`
        #[arg(value_name = "RUN")]
        run: String,
        /// Of ship and clean: count by table, too
        #[arg(long)]
        by_table: bool,
    },
}

/// `ringhaul resume`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringhaul resume last
  ringhaul resume 20261121-1315 --retry-failed

Looks at each node before it touches it: the last change may have happened although the line
broke. Nodes that failed before anything was changed on them are left, but for --retry-failed.")]
pub struct Resume {
    /// The run's id, the beginning of it, or `last`
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Take nodes again that failed or were refused
    #[arg(long)]
    pub retry_failed: bool,
    /// Of ship and clean: count by table, too
    #[arg(long)]
    pub by_table: bool,
    /// Nodes that may be down while others start, besides those the run allows; repeatable
    #[arg(long, value_name = "NODE")]
    pub allow_down: Vec<String>,
    /// Descriptors to read secrets from.
    #[command(flatten)]
    pub secrets: Secrets,
    /// Where.
    #[command(flatten)]
    pub place: StateDir,
    /// What comes out.
    #[command(flatten)]
    pub result: RunResult,
    /// How to show it.
    #[command(flatten)]
    pub showing: Showing,
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

/// How nodes are asked.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Asking")]
pub struct Asking {
    /// How many nodes are looked at at once; changes have --max-in-flight
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

/// A time that may be nothing.
fn span(text: &str) -> Result<Duration, String> {
    let expected = "expected a time such as 0s, 90s, 10m or 1h30m";
    let span: jiff::SignedDuration = text.parse().map_err(|_| expected.to_owned())?;
    Duration::try_from(span).map_err(|_| format!("{expected}, not a negative one"))
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
