//! What a store holds and what is wrong with it, as data.

use std::collections::BTreeMap;

use globset::GlobMatcher;
use serde::Serialize;

use super::manifest::{Manifest, StoredSet};
use crate::cassandra::sets::{Origin, PAPERS};

/// What a store holds of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NodeContents {
    /// Its host id.
    pub host_id: String,
    /// Its name, as the last run had it.
    pub name: String,
    /// Its cluster's name, as the last run had it.
    pub cluster: String,
    /// Data centre, as the last run had it.
    pub dc: Option<String>,
    /// Rack, as the last run had it.
    pub rack: Option<String>,
    /// Sets.
    pub sets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the newest file was written on the node, in seconds since 1970.
    pub newest: Option<i64>,
    /// The last run that stored something.
    pub last_run: Option<String>,
    /// Its tables, by keyspace and folder.
    pub tables: Vec<TableContents>,
    /// What could not be read: what it names is not counted.
    pub unread: Vec<String>,
}

/// What a store holds of a table's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableContents {
    /// Keyspace.
    pub keyspace: String,
    /// Its folder: name and id.
    pub folder: String,
    /// Sets, those of its indexes included.
    pub sets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the newest file was written on the node, in seconds since 1970.
    pub newest: i64,
    /// Its sets, when they were asked for.
    pub listed: Vec<SetLine>,
}

/// A set in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetLine {
    /// `nb-1-big`
    pub descriptor: String,
    /// The index's folder.
    pub index: Option<String>,
    /// Its id.
    pub id: String,
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
    /// When its newest file was written on the node, in seconds since 1970.
    pub newest: i64,
    /// In which folders of the table it was found.
    pub found_in: Vec<Origin>,
    /// The run that stored it.
    pub run: String,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A set that a manifest names is not as it was stored.
    Damaged,
    /// A manifest, or another file of ringhaul's, cannot be read.
    Unreadable,
    /// Something lies among the sets that no manifest names.
    Unnamed,
    /// Something is left of a controller that died, and was not taken away.
    Leftover,
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CheckFault {
    /// What kind.
    pub kind: FaultKind,
    /// Which set or file.
    pub subject: String,
    /// What is wrong.
    pub what: String,
}

/// What a check looked at of a node, and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Its host id.
    pub host_id: String,
    /// Its name, as the last run had it.
    pub name: String,
    /// Sets that the manifests name.
    pub sets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Sets that were read.
    pub read_sets: u64,
    /// Their bytes.
    pub read_bytes: u64,
    /// What is wrong.
    pub faults: Vec<CheckFault>,
    /// What could not be looked at, and why.
    pub unknown: Vec<String>,
    /// What was done: a batch of a controller that died was brought to its end.
    pub done: Vec<String>,
}

impl FaultKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Unreadable => "unreadable",
            Self::Unnamed => "unnamed",
            Self::Leftover => "left over",
        }
    }
}

impl NodeContents {
    /// Takes a manifest in, the oldest first. Sets of tables that `listed` means are listed.
    pub fn add(&mut self, manifest: &Manifest, listed: Option<&GlobMatcher>, seen: &mut Seen) {
        let node = &manifest.node;
        self.name.clone_from(&node.name);
        self.cluster.clone_from(&node.cluster);
        self.dc.clone_from(&node.dc);
        self.rack.clone_from(&node.rack);
        self.last_run = Some(manifest.run.clone());
        for set in &manifest.sets {
            if listed.is_none_or(|glob| glob.is_match(set.place.table())) && seen.is_new(set) {
                self.add_set(set, &manifest.run, listed.is_some(), seen);
            }
        }
    }

    fn add_set(&mut self, set: &StoredSet, run: &str, is_listed: bool, seen: &mut Seen) {
        let newest = set.newest().div_euclid(1_000_000_000);
        let is_set = u64::from(set.place.descriptor != PAPERS);
        self.sets += is_set;
        self.bytes = self.bytes.saturating_add(set.bytes());
        self.newest = self.newest.max(Some(newest));
        let table = seen.table(&mut self.tables, set);
        table.sets += is_set;
        table.bytes = table.bytes.saturating_add(set.bytes());
        table.newest = table.newest.max(newest);
        if is_listed {
            table.listed.push(SetLine {
                descriptor: set.place.descriptor.clone(),
                index: set.place.index.clone(),
                id: set.id.clone(),
                files: set.files.len() as u64,
                bytes: set.bytes(),
                newest,
                found_in: set.found_in.clone(),
                run: run.to_owned(),
            });
        }
    }

    /// Puts tables and sets in order, when all is in.
    pub fn sort(&mut self) {
        let by_name = |table: &TableContents| (table.keyspace.clone(), table.folder.clone());
        self.tables.sort_by_key(by_name);
        for table in &mut self.tables {
            table.listed.sort_by(|a, b| (a.newest, &a.descriptor).cmp(&(b.newest, &b.descriptor)));
        }
    }
}

/// Which sets and tables were met: of a set only a hash is kept, as there may be very many.
#[derive(Debug, Default)]
pub struct Seen {
    sets: std::collections::HashSet<[u8; 16]>,
    tables: BTreeMap<(String, String), usize>,
}

impl Seen {
    fn is_new(&mut self, set: &StoredSet) -> bool {
        let hash = blake3::hash(format!("{}.{}", set.place, set.id).as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&hash.as_bytes()[..16]);
        self.sets.insert(short)
    }

    fn table<'t>(
        &mut self,
        tables: &'t mut Vec<TableContents>,
        set: &StoredSet,
    ) -> &'t mut TableContents {
        let (keyspace, folder) = (set.place.keyspace.clone(), set.place.folder.clone());
        let at = *self.tables.entry((keyspace.clone(), folder.clone())).or_insert(tables.len());
        if at == tables.len() {
            let listed = Vec::new();
            let newest = i64::MIN;
            tables.push(TableContents { keyspace, folder, sets: 0, bytes: 0, newest, listed });
        }
        &mut tables[at]
    }
}
