//! Records: what a run's journal is made of. The table, the progress, the machine formats and a
//! resumed run are made from these alone.

pub mod haul;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::haul::{Clean, Haul, Ship};
use crate::cassandra::table_name::TableName;
use crate::inventory::NodeSpec;
use crate::plan::verify::Proven;

/// The version of the journal's layout. It changes when an older reader would misread it.
pub const SCHEMA: u32 = 1;

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it happened, by the controller's clock.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The run begins: all that is needed to show it, and to go on with it.
    Begun(Box<Begun>),
    /// It is taken up again.
    Resumed(Resumed),
    /// The next start waits for the ring.
    Waiting {
        /// What it waits for.
        why: String,
    },
    /// The canary nodes are done and fine.
    CanaryPassed,
    /// A node's turn begins.
    TurnBegun {
        /// The node's name.
        node: String,
    },
    /// The node's lock is another's, and is waited for.
    LockHeld {
        /// The node's name.
        node: String,
        /// Who holds it, and since when.
        by: String,
    },
    /// Something is about to be done on a node. It is on disk before it is done.
    StepBegun {
        /// The node's name.
        node: String,
        /// What.
        step: Step,
    },
    /// It was done, or it was not.
    StepEnded {
        /// The node's name.
        node: String,
        /// What.
        step: Step,
        /// What went wrong.
        error: Option<String>,
    },
    /// How far a long step is.
    Progress {
        /// The node's name.
        node: String,
        /// One line.
        text: String,
    },
    /// A node's turn is over.
    Ended(Box<Ended>),
    /// Nothing more is started.
    Stopped {
        /// Why.
        why: String,
    },
    /// The operator wants it to end.
    Interrupted,
    /// Nothing is under way any more.
    Finished,
}

/// The beginning of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// [`SCHEMA`] of the writer.
    pub schema: u32,
    /// The run's id.
    pub run: String,
    /// ringhaul's version.
    pub version: String,
    /// The operator's name of the cluster.
    pub cluster: String,
    /// Who runs it, from where: `user@host`.
    pub who: String,
    /// What is done on each node.
    pub job: Job,
    /// The command line's options for schedule and SSH, for whoever goes on with the run.
    pub options: serde_json::Value,
    /// Seeds the jitter.
    pub seed: u64,
    /// Names of the canary nodes.
    pub canary: Vec<String>,
    /// The nodes, in the order of their turns.
    pub nodes: Vec<Entry>,
    /// Other nodes that can tell the ring.
    #[serde(default)]
    pub witnesses: Vec<NodeSpec>,
    /// Members of the ring that the run leaves out although they were selected: no inventory
    /// names them.
    pub unlisted: Vec<Place>,
    /// Addresses of the members that were up and normal at the start.
    pub up: Vec<String>,
}

/// The same run goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resumed {
    /// Who goes on with it.
    pub who: String,
    /// ringhaul's version.
    pub version: String,
    /// Names of the nodes that are taken up.
    pub nodes: Vec<String>,
    /// Addresses of the members that are up and normal now.
    pub up: Vec<String>,
    /// Names of nodes that the ring shows down now.
    pub down: Vec<String>,
}

/// One node of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// How it is reached and asked.
    pub spec: NodeSpec,
    /// Its place.
    #[serde(flatten)]
    pub place: Place,
    /// Whether the ring showed it down at the start.
    pub down: bool,
}

/// Where in the ring a node is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The address the ring shows, else the one that was written.
    pub address: String,
    /// Data centre: the ring's, else the inventory's.
    pub dc: Option<String>,
    /// Rack: the ring's, else the inventory's.
    pub rack: Option<String>,
    /// The id under which the ring knows it.
    pub host_id: Option<String>,
    /// `UN`, `DN` … at the start.
    pub state: Option<String>,
}

impl Entry {
    /// The node's name.
    pub fn name(&self) -> &str {
        self.spec.name()
    }
}

/// What a run does on each node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Job {
    /// Turns incremental backups on.
    Enable(Halves),
    /// Turns them off.
    Disable(Halves),
    /// Proves that links appear.
    Verify(Verify),
    /// Stores what is in backups.
    Ship(Ship),
    /// Removes from backups what the store holds.
    Clean(Clean),
}

/// Which of the two places of the setting are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halves {
    /// The running process.
    pub live: bool,
    /// cassandra.yaml.
    pub config: bool,
}

/// How to prove it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// A table of the operator's to flush; none takes one of Cassandra's own.
    pub table: Option<TableName>,
    /// Whether every Data.db is read and compared with its digest.
    pub deep: bool,
    /// How long the reading may take on one node.
    pub deep_timeout: Duration,
    /// Whether the set that was made for the proof is removed again.
    pub clean_up: bool,
    /// Whether cqlsh on the node may be asked for the schema.
    pub cqlsh: bool,
    /// How long the set may take to appear.
    pub wait: Duration,
}

impl Job {
    /// The verb's name.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Enable(_) => "enable",
            Self::Disable(_) => "disable",
            Self::Verify(_) => "verify",
            Self::Ship(_) => "ship",
            Self::Clean(_) => "clean",
        }
    }

    /// Whether it can do nothing on a node whose Cassandra is down.
    pub fn needs_cassandra(&self) -> bool {
        match self {
            Self::Enable(halves) | Self::Disable(halves) => halves.live,
            Self::Verify(_) => true,
            // Files are there without it.
            Self::Ship(_) | Self::Clean(_) => false,
        }
    }

    /// Whether a start waits for the ring to be as it was at the beginning. Reading and unlinking
    /// files at the lowest priority asks nothing of Cassandra.
    pub fn is_gated(&self) -> bool {
        match self {
            Self::Enable(_) | Self::Disable(_) | Self::Verify(_) => true,
            Self::Ship(_) | Self::Clean(_) => false,
        }
    }

    /// Whether a node that failed speaks against going on with the others.
    pub fn stops_at_failures(&self) -> bool {
        match self {
            Self::Enable(_) | Self::Disable(_) => true,
            Self::Verify(_) | Self::Ship(_) | Self::Clean(_) => false,
        }
    }

    /// Whether files go from the nodes.
    pub fn removes_files(&self) -> bool {
        match self {
            Self::Enable(_) | Self::Disable(_) | Self::Verify(_) => false,
            Self::Ship(ship) => ship.then_clean.is_some(),
            Self::Clean(_) => true,
        }
    }

    /// Whether sets are moved or removed, and counted.
    pub fn is_haul(&self) -> bool {
        match self {
            Self::Enable(_) | Self::Disable(_) | Self::Verify(_) => false,
            Self::Ship(_) | Self::Clean(_) => true,
        }
    }

    /// Whether settings of the nodes are changed.
    pub fn changes_settings(&self) -> bool {
        match self {
            Self::Enable(_) | Self::Disable(_) => true,
            Self::Verify(_) | Self::Ship(_) | Self::Clean(_) => false,
        }
    }
}

/// Something that is done on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// One value of cassandra.yaml.
    EditConfig,
    /// `nodetool enablebackup`.
    EnableBackup,
    /// `nodetool disablebackup`.
    DisableBackup,
    /// A flush, and the look for what it made.
    Prove,
    /// Reading every Data.db.
    Deep,
    /// Removing the set that the proof made.
    CleanUp,
    /// Storing what is new.
    Ship,
    /// Removing what the store holds.
    Clean,
}

impl Step {
    /// What is done, in the words of the table.
    pub fn text(self) -> &'static str {
        match self {
            Self::EditConfig => "the edit of cassandra.yaml",
            Self::EnableBackup => "nodetool enablebackup",
            Self::DisableBackup => "nodetool disablebackup",
            Self::Prove => "the proof by a flush",
            Self::Deep => "reading every Data.db",
            Self::CleanUp => "removing the proof's own set",
            Self::Ship => "shipping",
            Self::Clean => "cleaning",
        }
    }

    /// Whether the setting of a node is another one after it.
    pub fn changes_settings(self) -> bool {
        match self {
            Self::EditConfig | Self::EnableBackup | Self::DisableBackup => true,
            Self::Prove | Self::Deep | Self::CleanUp | Self::Ship | Self::Clean => false,
        }
    }
}

/// How a node's turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done, and seen to be.
    Done,
    /// There was nothing to do.
    NothingToDo,
    /// It was not tried, for a reason that lies with the node.
    Refused,
    /// It was tried and is not done.
    Failed,
    /// The line broke while something was being done, and nobody could look again.
    Unsure,
    /// Some of it is done; the rest was left for the next time on purpose.
    Partly,
    /// Its turn did not come.
    NotStarted,
}

impl Outcome {
    /// All outcomes, the good ones first.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::NothingToDo,
        Self::Refused,
        Self::Failed,
        Self::Unsure,
        Self::Partly,
        Self::NotStarted,
    ];

    /// Returns the outcome in the words of the table.
    pub fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NothingToDo => "nothing to do",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unsure => "unsure",
            Self::Partly => "partly",
            Self::NotStarted => "not started",
        }
    }

    /// Whether the node is as the run wants it.
    pub fn is_fine(self) -> bool {
        match self {
            Self::Done | Self::NothingToDo => true,
            Self::Refused | Self::Failed | Self::Unsure | Self::Partly | Self::NotStarted => false,
        }
    }
}

/// The two places of the setting, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Whether incremental backups are on in the running process.
    pub live: Option<bool>,
    /// Whether they are on after the next start.
    pub configured: Option<bool>,
}

/// The end of a node's turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// The node's name.
    pub node: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, where there is a reason.
    pub reason: Option<String>,
    /// What would help.
    pub hint: Option<String>,
    /// Whether no line could be made.
    pub unreachable: bool,
    /// What was seen before anything was done.
    pub before: State,
    /// What was seen after.
    pub after: State,
    /// What was changed, in the order of doing.
    pub changed: Vec<Step>,
    /// Where the cassandra.yaml is kept as it was before.
    pub kept: Option<String>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
    /// The verdict of a proof.
    pub proven: Option<Proven>,
    /// What was shipped and cleaned.
    #[serde(default)]
    pub haul: Option<Haul>,
}

impl Ended {
    /// Returns the end of a turn in which nothing was learnt or done yet.
    pub fn new(node: &str, outcome: Outcome) -> Self {
        Self {
            node: node.to_owned(),
            outcome,
            reason: None,
            hint: None,
            unreachable: false,
            before: State::default(),
            after: State::default(),
            changed: Vec::new(),
            kept: None,
            notes: Vec::new(),
            proven: None,
            haul: None,
        }
    }

    /// Adds the reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(crate::text::one_line(reason.into().as_bytes(), 600));
        self
    }
}
