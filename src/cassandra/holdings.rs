//! What a node's data folders hold of backups, snapshots and dropped tables: sums over a [`Tree`].

use std::collections::BTreeMap;

use super::snapshot::{self, Kind};
use super::sstable;
use super::tree::{Table, Tree};
use crate::human;

/// A set that is incomplete and older than this, in seconds, is not being made any more: the
/// links of one flush appear within 36 ms (measured), a slow disk's within seconds.
const STILL_BEING_MADE: i64 = 300;

/// At most this many sets of which something is to be said are named.
const EXAMPLES_KEPT: usize = 5;

/// At most this many names of snapshots of a kind are kept; their number is always right.
const NAMES_KEPT: usize = 20;

/// What all `backups` folders of a node hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backups {
    /// Sets with every component that their TOC names.
    pub sets: u64,
    /// Other sets.
    pub incomplete_sets: u64,
    /// Those of them that no flush is making any more (older than five minutes).
    pub torn_sets: u64,
    /// Up to five of the torn sets, as `keyspace/table-folder/backups/descriptor`.
    pub torn_examples: Vec<String>,
    /// Sets that hold a component which their TOC does not name.
    pub sets_with_extra: u64,
    /// Up to five such components, as `keyspace/table-folder/backups/descriptor-component`.
    pub extra_examples: Vec<String>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes of files that have no other link: what the disk would get back.
    pub held_bytes: u64,
    /// When the oldest set was written, seconds since 1970.
    pub oldest: Option<i64>,
    /// When the newest set was written, seconds since 1970.
    pub newest: Option<i64>,
    /// Files in backups folders that belong to no set.
    pub strays: u64,
}

/// All snapshots of one kind on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshots {
    /// The kind.
    pub kind: Kind,
    /// How many there are (a snapshot of many tables counts once).
    pub count: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes of files that have no other link.
    pub held_bytes: u64,
    /// When the oldest was taken, seconds since 1970.
    pub oldest: i64,
    /// When the newest was taken, seconds since 1970.
    pub newest: i64,
    /// Their names, at most twenty.
    pub names: Vec<String>,
}

/// The folder of a table that was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOver {
    /// Keyspace.
    pub keyspace: String,
    /// The folder's name: table and id.
    pub folder: String,
    /// Bytes in its backups and snapshots.
    pub bytes: u64,
    /// Sets in its backups.
    pub sets: u64,
    /// How it is known to be dropped.
    pub evidence: Evidence,
}

/// How a folder is known to belong to a dropped table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It holds a snapshot that Cassandra takes on DROP, and no live data.
    DroppedSnapshot,
    /// The table was made again later under another id, and this folder has no live data.
    NewerFolder,
}

/// Sums up all backups of `tree`; `now` is the node's clock, in seconds since 1970.
pub fn backups(tree: &Tree, now: i64) -> Backups {
    let mut sum = Backups::default();
    for (keyspace, folder, table) in tree.tables() {
        sum.strays += table.strays;
        sum.bytes = sum.bytes.saturating_add(table.stray_bytes);
        sum.held_bytes = sum.held_bytes.saturating_add(table.stray_held_bytes);
        for ((index, descriptor), set) in &table.sets {
            sum.bytes = sum.bytes.saturating_add(set.bytes);
            sum.held_bytes = sum.held_bytes.saturating_add(set.held_bytes);
            sum.oldest = match (sum.oldest, set.oldest) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            sum.newest = sum.newest.max(Some(set.newest));
            let shown = || {
                let index = index.as_deref().map(|i| format!("{i}/")).unwrap_or_default();
                format!("{keyspace}/{folder}/backups/{index}{descriptor}")
            };
            if let Some(extra) = set.extra() {
                sum.sets_with_extra += 1;
                if sum.extra_examples.len() < EXAMPLES_KEPT {
                    let component = tree.name_of(extra).unwrap_or_default();
                    sum.extra_examples.push(format!("{}-{component}", shown()));
                }
            }
            if set.is_complete() {
                sum.sets += 1;
                continue;
            }
            sum.incomplete_sets += 1;
            if now.saturating_sub(set.newest) > STILL_BEING_MADE {
                sum.torn_sets += 1;
                if sum.torn_examples.len() < EXAMPLES_KEPT {
                    sum.torn_examples.push(shown());
                }
            }
        }
    }
    sum.torn_examples.sort();
    sum.extra_examples.sort();
    sum
}

/// Sums up all snapshots of `tree`, by kind, in the order of [`Kind`].
pub fn snapshots(tree: &Tree) -> Vec<Snapshots> {
    // A snapshot has parts in many tables; its name holds it together.
    let mut by_name: BTreeMap<(Kind, &str), Snapshots> = BTreeMap::new();
    for (_, folder, table) in tree.tables() {
        let (name_of_table, _) = sstable::split_table_folder(folder);
        for (name, part) in &table.snapshots {
            let (kind, millis) = snapshot::classify(name, name_of_table);
            let taken = millis.map_or(part.modified, |ms| ms / 1000);
            let one = by_name.entry((kind, name)).or_insert_with(|| Snapshots {
                kind,
                count: 1,
                bytes: 0,
                held_bytes: 0,
                oldest: taken,
                newest: taken,
                names: vec![crate::text::visible(name)],
            });
            one.bytes = one.bytes.saturating_add(part.bytes);
            one.held_bytes = one.held_bytes.saturating_add(part.held_bytes);
            one.oldest = one.oldest.min(taken);
            one.newest = one.newest.max(taken);
        }
    }
    let mut by_kind: BTreeMap<Kind, Snapshots> = BTreeMap::new();
    for ((kind, _), one) in by_name {
        match by_kind.get_mut(&kind) {
            None => {
                by_kind.insert(kind, one);
            }
            Some(sum) => {
                sum.count += 1;
                sum.bytes = sum.bytes.saturating_add(one.bytes);
                sum.held_bytes = sum.held_bytes.saturating_add(one.held_bytes);
                sum.oldest = sum.oldest.min(one.oldest);
                sum.newest = sum.newest.max(one.newest);
                if sum.names.len() < NAMES_KEPT {
                    sum.names.extend(one.names);
                }
            }
        }
    }
    by_kind.into_values().collect()
}

/// Returns the folders of dropped tables, several data folders of one table taken together.
pub fn left_overs(tree: &Tree) -> Vec<LeftOver> {
    let mut folders: BTreeMap<(&str, &str), Vec<&Table>> = BTreeMap::new();
    for (keyspace, folder, table) in tree.tables() {
        folders.entry((keyspace, folder)).or_default().push(table);
    }
    let mut newest: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (keyspace, folder) in folders.keys() {
        let (table, id) = sstable::split_table_folder(folder);
        if let Some(made) = id.and_then(sstable::created) {
            let entry = newest.entry((keyspace, table)).or_insert(made);
            *entry = made.max(*entry);
        }
    }
    let mut found = Vec::new();
    for ((keyspace, folder), parts) in &folders {
        if parts.iter().any(|part| part.live_data_files > 0) {
            continue;
        }
        let (table, id) = sstable::split_table_folder(folder);
        let was_dropped = parts
            .iter()
            .flat_map(|part| part.snapshots.keys())
            .any(|name| snapshot::classify(name, table).0 == Kind::Dropped);
        let made = id.and_then(sstable::created);
        let is_older = made.is_some_and(|made| newest.get(&(*keyspace, table)) > Some(&made));
        let evidence = match (was_dropped, is_older) {
            (true, _) => Evidence::DroppedSnapshot,
            (false, true) => Evidence::NewerFolder,
            (false, false) => continue,
        };
        found.push(LeftOver {
            keyspace: crate::text::visible(keyspace),
            folder: crate::text::visible(folder),
            bytes: human::sum(parts.iter().map(|part| bytes(part))),
            sets: parts.iter().map(|part| part.sets.len() as u64).sum(),
            evidence,
        });
    }
    found
}

fn bytes(table: &Table) -> u64 {
    let sets = table.sets.values().map(|set| set.bytes);
    let snapshots = table.snapshots.values().map(|part| part.bytes);
    human::sum(sets.chain(snapshots).chain([table.stray_bytes]))
}
