//! What flushing a table showed: part of the report, and of the journal.

use super::links::MadeSet;
use super::table_name::TableName;

/// What was seen after one table was flushed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Proof {
    /// The table.
    pub table: TableName,
    /// Whether it is Cassandra's own, taken because no other was asked for; its set can be taken
    /// away again.
    pub is_own_table: bool,
    /// What was seen.
    pub seen: Seen,
}

/// Whether links appeared.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// A set appeared in `backups`, complete by its TOC.
    Linked {
        /// The set; see [`MadeSet::is_seen_linked`].
        set: MadeSet,
    },
    /// A new SSTable is live, and no complete set of links to it came in time.
    NotLinked {
        /// What is lacking, in one line.
        why: String,
    },
    /// Neither a live SSTable nor a set in `backups` appeared.
    NothingToFlush,
}

impl Proof {
    /// Whether it shows nothing, because a table of the operator had nothing to flush: another
    /// proof, with Cassandra's own table, is then needed.
    pub fn needs_another(&self) -> bool {
        !self.is_own_table && self.seen == Seen::NothingToFlush
    }
}
