//! What the verbs have in common that work node after node, on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{Asking, Fleet, Showing, Ssh, in_flight, span};
use crate::schedule::{Order, Share, Strategy};

/// What all verbs that work node after node have in common.
#[derive(Debug, Args)]
pub struct Turns {
    /// Which nodes.
    #[command(flatten)]
    pub fleet: Fleet,
    /// When.
    #[command(flatten)]
    pub scheduling: Scheduling,
    /// The run.
    #[command(flatten)]
    pub running: Running,
    /// How to get there.
    #[command(flatten)]
    pub ssh: Ssh,
    /// How to ask.
    #[command(flatten)]
    pub asking: Asking,
    /// How to show it.
    #[command(flatten)]
    pub showing: Showing,
}

/// Who may start when.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Schedule")]
pub struct Scheduling {
    /// At least this long from start to start
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span)]
    pub stagger: Duration,
    /// And up to this much longer, at random
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = span)]
    pub jitter: Duration,
    /// And at least this long after the end of a turn
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = span)]
    pub rest: Duration,
    /// How many nodes at once [default: 1; with --strategy rack, topology, all, --per-rack, --per-dc,
    /// --per-jump: what these allow, at most 32; with --waves: a wave; with --dc-parallel: one of each data
    /// centre]
    #[arg(long, value_name = "N", value_parser = in_flight)]
    pub max_in_flight: Option<usize>,
    /// How many nodes of one rack at once
    #[arg(long, value_name = "N", value_parser = in_flight)]
    pub per_rack: Option<usize>,
    /// How many nodes of one data centre at once; of the data centre named; repeatable
    #[arg(long, value_name = "N|DC=N", value_parser = DcLimit::parse)]
    pub per_dc: Vec<DcLimit>,
    /// Data centres go side by side: the strategy looks at each by itself
    #[arg(long)]
    pub dc_parallel: bool,
    /// Which nodes may run side by side [default: one; topology where several may run at once]
    #[arg(long, value_enum, value_name = "HOW")]
    pub strategy: Option<Strategy>,
    /// In which order
    #[arg(long, value_enum, default_value_t, value_name = "ORDER")]
    pub order: Order,
    /// First these, proven by a flush where they are switched on: a number of nodes, or nodes;
    /// repeatable. Then a question; without a terminal the run stops there, and resume goes on
    #[arg(long, value_name = "N|NODE")]
    pub canary: Vec<String>,
    /// Go on by itself this long after the canary, without a question
    #[arg(long, value_name = "TIME", value_parser = span, requires = "canary")]
    pub canary_wait: Option<Duration>,
    /// Batches, each begun when the one before is done: sizes or percentages, the last repeats
    #[arg(long, value_name = "N,N%,…", value_delimiter = ',')]
    pub waves: Vec<Share>,
    /// Start nothing more when more nodes than this have failed, unreachable ones included
    /// [default: 0; verify, ship and clean: 100%]
    #[arg(long, value_name = "N|%")]
    pub max_failures: Option<Share>,
    /// Count unreachable nodes apart, and start nothing more when they are more than this
    #[arg(long, value_name = "N|%")]
    pub max_unreachable: Option<Share>,
    /// Nodes that may be down while others start; repeatable
    #[arg(long, value_name = "NODE")]
    pub allow_down: Vec<String>,
    /// How long a start waits for the ring to be as it was at the beginning
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = span)]
    pub gate_timeout: Duration,
    /// Take nodes that were down or unreachable again at the end
    #[arg(long)]
    pub retry_down: bool,
}

/// A run and its journal.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub struct Running {
    /// Show what would be done, when, and with which commands; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask before a change of several nodes
    #[arg(short, long)]
    pub yes: bool,
    /// How long to wait for a node that another run has locked
    #[arg(long, value_name = "TIME", default_value = "45s", value_parser = span)]
    pub lock_wait: Duration,
    /// Where.
    #[command(flatten)]
    pub place: StateDir,
    /// What comes out.
    #[command(flatten)]
    pub result: RunResult,
}

/// Where journals are.
#[derive(Debug, Args)]
pub struct StateDir {
    /// Folder of the journals [default: ringhaul in $XDG_STATE_HOME, else in ~/.local/state]
    #[arg(long, value_name = "FOLDER", global = true, env = "RINGHAUL_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// The form of a run's result.
#[derive(Debug, Args)]
pub struct RunResult {
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Print every event as a line of JSON while it happens
    #[arg(long, conflicts_with = "json")]
    pub json_lines: bool,
}

/// How many nodes of a data centre may run at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DcLimit {
    /// Its name; none means every one that is not named.
    pub dc: Option<String>,
    /// The most nodes.
    pub most: usize,
}

impl DcLimit {
    fn parse(text: &str) -> Result<Self, String> {
        let (dc, most) = match text.rsplit_once('=') {
            Some((dc, most)) if !dc.is_empty() => (Some(dc.to_owned()), most),
            Some(_) | None => (None, text),
        };
        let most = in_flight(most).map_err(|error| format!("{error}, or DC=NUMBER"))?;
        Ok(Self { dc, most })
    }
}
