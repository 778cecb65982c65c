//! A finding: what is not as it should be, on which node, and what to do about it.

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Backups are not being made, or something is about to be lost.
    Critical,
    /// It will be, or it cannot be told.
    Warning,
    /// Good to know. It does not change the exit code.
    Info,
}

impl Severity {
    /// Returns the severity's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

macro_rules! checks {
    ($($variant:ident $name:literal $what:literal,)*) => {
        /// What was checked. The names are part of the machine formats.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check {
            $(#[doc = $what] $variant,)*
        }

        impl Check {
            /// All checks, in the order of the report.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the check's name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

checks! {
    Disabled "disabled" "Incremental backups are off, live and in the file.",
    OnAtRestart "on_at_restart" "Off now, on after the next start.",
    LostAtRestart "lost_at_restart" "On now, off after the next start.",
    Unknown "unknown" "It could not be told whether they are on.",
    Drained "drained" "The node is drained: it takes no writes and flushes nothing.",
    NodeDown "node_down" "The ring sees the node down.",
    NodeMoving "node_moving" "The node is joining, leaving or moving.",
    NotInInventory "not_in_inventory" "A member of the ring that the inventory does not name.",
    NotInRing "not_in_ring" "A node of the inventory that the ring does not show.",
    Disputed "disputed" "Two nodes want to be the same member.",
    PlaceDiffers "place_differs" "Inventory and ring name another data centre or rack.",
    RingUnknown "ring_unknown" "No node could be asked for the ring.",
    Disagrees "disagrees" "The node differs from most others.",
    DuplicateKey "duplicate_key" "cassandra.yaml has the key more than once.",
    CommentedKey "commented_key" "cassandra.yaml has the key in a comment alone.",
    AutoSnapshotOff "auto_snapshot_off" "DROP and TRUNCATE take no snapshot.",
    SnapshotBeforeCompaction "snapshot_before_compaction" "Every compaction takes a snapshot.",
    TornSets "torn_sets" "Sets in backups that lack components.",
    DiskFilling "disk_filling" "Little free space under the data folders.",
    FilesUnknown "files_unknown" "The files could not be looked at.",
    LeftOver "left_over" "Folders of dropped tables hold files.",
    Strays "strays" "Files in backups that belong to no set.",
}

impl serde::Serialize for Check {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One finding. Texts are one line each, free of control characters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// What was checked.
    pub check: Check,
    /// The node's name; `None` when it is about the whole ring.
    pub node: Option<String>,
    /// What was found.
    pub text: String,
    /// What to do about it.
    pub hint: String,
}
