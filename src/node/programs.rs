//! Which programs each verb runs with other rights than the account's, and what for. This table is
//! what `ringhaul sudoers` prints; a test runs every verb and compares.

/// A verb that goes to the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Goes {
    /// `ringhaul nodes`
    Nodes,
    /// `ringhaul audit`
    Audit,
    /// `ringhaul enable`
    Enable,
    /// `ringhaul disable`
    Disable,
    /// `ringhaul verify`
    Verify,
    /// `ringhaul ship`
    Ship,
    /// `ringhaul clean`
    Clean,
}

/// A program, and what it is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Its name, without a folder.
    pub name: &'static str,
    /// What for, in a few words.
    pub what_for: &'static str,
}

const fn program(name: &'static str, what_for: &'static str) -> Program {
    Program { name, what_for }
}

/// The first look at a node, with which every verb begins.
const LOOK: [Program; 3] = [
    program("cat", "reads cassandra.yaml"),
    program("df", "tells the room in the data folders"),
    program("find", "lists the data folders, backups and snapshots"),
];

const SETTING: [Program; 6] = [
    program("cp", "makes the new cassandra.yaml, and a copy of the old one, beside it"),
    program("dd", "writes the new one: the old text with one value changed"),
    program("mv", "gives the new one its name"),
    program("readlink", "finds the file behind links"),
    program("stat", "looks whether owner, mode and label stay"),
    program("sync", "makes it last"),
];

const LEFT_OVERS: [Program; 1] =
    [program("rm", "removes copies of cassandra.yaml beyond the last five, and unfinished ones")];

const PROOF: [Program; 2] = [
    program("stat", "looks whether a file is still the one that was listed"),
    program("rm", "removes from backups/ the set that was made for the proof, file by file"),
];

const STREAM: [Program; 3] = [
    program("head", "reads TOC files"),
    program("tar", "sends the files of complete sets"),
    program("stat", "looks whether a file is still the one that was listed"),
];

const REMOVAL: [Program; 2] = [
    program("stat", "looks whether a file is still the one that was stored"),
    program("rm", "removes from backups/ what the store is proven to hold, file by file"),
];

/// nodetool, where `jmx.sudo` is set: it is ended by `timeout`, which must have its rights.
pub const NODETOOL: Program =
    program("timeout", "runs nodetool (jmx.sudo), and ends it when it hangs");

impl Goes {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Nodes,
        Self::Audit,
        Self::Enable,
        Self::Disable,
        Self::Verify,
        Self::Ship,
        Self::Clean,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Audit => "audit",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Verify => "verify",
            Self::Ship => "ship",
            Self::Clean => "clean",
        }
    }

    /// What it runs with other rights, but for [`NODETOOL`].
    pub fn programs(self) -> Vec<Program> {
        match self {
            Self::Nodes | Self::Audit => LOOK.to_vec(),
            Self::Enable | Self::Disable => [&LOOK[..], &SETTING, &LEFT_OVERS].concat(),
            Self::Verify => [&LOOK[..], &PROOF].concat(),
            Self::Ship => [&LOOK[..], &STREAM].concat(),
            Self::Clean => [&LOOK[..], &REMOVAL].concat(),
        }
    }
}
