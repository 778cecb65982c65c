//! What lies in a node's `backups` folders, and which names may stand there.

use super::sets::FoundSet;
use super::sstable;

/// What lies in a node's `backups` and in one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shelf {
    /// The sets, whole or in part, by place; the same place may be in two data folders.
    pub sets: Vec<FoundSet>,
    /// Files that are no set's, the first hundred.
    pub strays: Vec<Stray>,
    /// How many there are.
    pub stray_count: u64,
    /// Their bytes.
    pub stray_bytes: u64,
    /// Bytes of those that no other link holds.
    pub stray_held_bytes: u64,
}

/// A file that is no set's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Its path, made visible.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// Bytes that the disk would get back.
    pub held_bytes: u64,
    /// Why it is none.
    pub why: &'static str,
}

/// Whether a snapshot's name can be asked for: nothing that `find` or a shell would read otherwise.
pub fn is_tag(tag: &str) -> bool {
    (1..=200).contains(&tag.len())
        && !matches!(tag, "." | "..")
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:+=@,".contains(&b))
}

/// Whether it is a keyspace's name.
pub(crate) fn is_keyspace(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether it is the folder of a table, with an id or, from before Cassandra 2.1, without.
pub(crate) fn is_table_folder(name: &str) -> bool {
    is_keyspace(sstable::split_table_folder(name).0)
}

/// Whether it is the folder of a secondary index.
pub(crate) fn is_index_folder(name: &str) -> bool {
    name.strip_prefix('.').is_some_and(is_keyspace)
}
