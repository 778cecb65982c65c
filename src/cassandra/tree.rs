//! The data folders of a node, read from the survey's one pass of `find` as it comes.
//!
//! A backups folder is exactly `<data>/<keyspace>/<table folder>/backups`, found by its depth:
//! a keyspace named `backups` or a table named `snapshots` is no such thing.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::sstable;

/// More files than this in backups and snapshots of one node are not counted: a guard for the
/// controller's memory, some fifty times what large clusters report of a node.
const MOST_ENTRIES: u64 = 2_000_000;

/// Names that are kept take no more than this, in bytes, whatever a node lists: fifty times what
/// a hundred thousand sets need.
const MOST_KEPT_BYTES: usize = 256 * 1024 * 1024;

/// Cassandra installations with more data folders than a few dozen disks are not known.
const MOST_DATA_DIRS: usize = 256;

/// Linux takes no longer path (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;

/// Everything that one pass found.
#[derive(Debug, Default)]
pub struct Tree {
    data_dirs: Vec<String>,
    /// Which data folders the listing shows.
    is_seen: Vec<bool>,
    entries: u64,
    kept_bytes: usize,
    /// Component names, numbered: a node has few different ones and very many files.
    names: HashMap<Box<str>, u16>,
    tables: BTreeMap<TableKey, Table>,
}

/// Identity of a table's folder: data folder (by number), keyspace, folder name.
type TableKey = (usize, String, String);

/// One table's folder in one data folder.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) live_data_files: u64,
    pub(super) sets: HashMap<(Option<Box<str>>, Box<str>), Set>,
    /// Files in backups that belong to no set, their bytes, and those that no other link holds.
    pub(super) strays: u64,
    pub(super) stray_bytes: u64,
    pub(super) stray_held_bytes: u64,
    pub(super) snapshots: BTreeMap<String, SnapshotFolder>,
}

/// One SSTable set in a backups folder.
#[derive(Debug, Default)]
pub(super) struct Set {
    present: Vec<u16>,
    toc: Option<Vec<u16>>,
    pub(super) bytes: u64,
    pub(super) held_bytes: u64,
    /// Newest modification time of its files, in seconds since 1970.
    pub(super) newest: i64,
    /// Oldest modification time of its files.
    pub(super) oldest: Option<i64>,
}

/// One table's part of a snapshot.
#[derive(Debug, Default)]
pub(super) struct SnapshotFolder {
    pub(super) modified: i64,
    pub(super) bytes: u64,
    pub(super) held_bytes: u64,
}

/// A record that cannot be understood, or one too many.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The listing's form is not what the survey's command prints.
    #[error("the listing of files holds what ringhaul does not understand: {0}")]
    NotUnderstood(String),
    /// The guard for the controller's memory.
    #[error("more files, or longer names, were listed than any node has")]
    TooMany,
}

impl Set {
    /// Whether every component that its TOC names is there.
    pub(super) fn is_complete(&self) -> bool {
        let present: HashSet<u16> = self.present.iter().copied().collect();
        self.toc.as_ref().is_some_and(|toc| toc.iter().all(|name| present.contains(name)))
    }

    /// Returns the number of a component that is there and not in the TOC, if there is a TOC.
    pub(super) fn extra(&self) -> Option<u16> {
        let toc = self.toc.as_ref()?;
        self.present.iter().find(|name| !toc.contains(name)).copied()
    }
}

impl Tree {
    /// Adds a data folder; records must follow the folders they lie in.
    ///
    /// # Errors
    /// When there are more than any node has.
    pub fn add_data_dir(&mut self, path: &str) -> Result<(), TreeError> {
        let path = path.trim_end_matches('/');
        if self.data_dirs.len() >= MOST_DATA_DIRS || path.len() > LONGEST_PATH {
            return Err(TreeError::TooMany);
        }
        if !self.data_dirs.iter().any(|dir| dir == path) {
            self.data_dirs.push(path.to_owned());
            self.is_seen.push(false);
        }
        Ok(())
    }

    /// Returns a data folder that the listing does not show.
    pub fn unseen_dir(&self) -> Option<&str> {
        let unseen = self.is_seen.iter().position(|seen| !seen)?;
        self.data_dirs.get(unseen).map(String::as_str)
    }

    /// The data folders.
    pub fn data_dirs(&self) -> &[String] {
        &self.data_dirs
    }

    /// Forgets what was listed; a second pass with other rights follows.
    pub fn restart(&mut self) {
        let data_dirs = std::mem::take(&mut self.data_dirs);
        let is_seen = vec![false; data_dirs.len()];
        *self = Self { data_dirs, is_seen, ..Self::default() };
    }

    /// The tables' folders: keyspace, folder name, and what is in it.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&str, &str, &Table)> {
        let tables = self.tables.iter();
        tables.map(|((_, keyspace, folder), table)| (keyspace.as_str(), folder.as_str(), table))
    }

    /// Returns the name of a component by its number.
    pub(super) fn name_of(&self, number: u16) -> Option<&str> {
        self.names.iter().find(|(_, known)| **known == number).map(|(name, _)| &**name)
    }

    /// Takes a record `d DEPTH TIME PATH` of a folder.
    ///
    /// # Errors
    /// When it has another form, or there are too many.
    pub fn take_folder(&mut self, record: &str) -> Result<(), TreeError> {
        let odd = || TreeError::NotUnderstood(crate::text::one_line(record.as_bytes(), 200));
        let mut fields = record.splitn(3, ' ');
        let depth: usize = fields.next().and_then(|f| f.parse().ok()).ok_or_else(odd)?;
        let modified = fields.next().and_then(seconds).ok_or_else(odd)?;
        let path = fields.next().ok_or_else(odd)?;
        let (dir, parts) = self.split(path, depth).ok_or_else(odd)?;
        self.count(path)?;
        match parts.as_slice() {
            [] => self.is_seen[dir] = true,
            [keyspace, folder] => {
                self.table(dir, keyspace, folder);
            }
            [keyspace, folder, "snapshots", tag] => {
                let table = self.table(dir, keyspace, folder);
                table.snapshots.entry((*tag).to_owned()).or_default().modified = modified;
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes a record `f DEPTH TYPE LINKS SIZE TIME PATH` of anything else.
    ///
    /// # Errors
    /// When it has another form, or there are too many.
    pub fn take_file(&mut self, record: &str) -> Result<(), TreeError> {
        let odd = || TreeError::NotUnderstood(crate::text::one_line(record.as_bytes(), 200));
        let mut fields = record.splitn(6, ' ');
        let depth: usize = fields.next().and_then(|f| f.parse().ok()).ok_or_else(odd)?;
        let is_file = fields.next().ok_or_else(odd)? == "f";
        let links: u64 = fields.next().and_then(|f| f.parse().ok()).ok_or_else(odd)?;
        let size: u64 = fields.next().and_then(|f| f.parse().ok()).ok_or_else(odd)?;
        let modified = fields.next().and_then(seconds).ok_or_else(odd)?;
        let path = fields.next().ok_or_else(odd)?;
        let (dir, parts) = self.split(path, depth).ok_or_else(odd)?;
        self.count(path)?;
        let file = File { is_file, links, size, modified };
        match parts.as_slice() {
            [keyspace, folder, name] if file.is_file && is_data(name) => {
                self.table(dir, keyspace, folder).live_data_files += 1;
            }
            [keyspace, folder, "backups", name] => {
                self.backup_file(dir, keyspace, folder, None, name, file);
            }
            [keyspace, folder, "backups", index, name] if index.starts_with('.') => {
                self.backup_file(dir, keyspace, folder, Some(index), name, file);
            }
            [keyspace, folder, "snapshots", tag, _]
            | [keyspace, folder, "snapshots", tag, _, _] => {
                let table = self.table(dir, keyspace, folder);
                let part = table.snapshots.entry((*tag).to_owned()).or_default();
                part.bytes = part.bytes.saturating_add(file.size);
                part.held_bytes = part.held_bytes.saturating_add(file.held_bytes());
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes what `head -v` printed of TOC files: `==> PATH <==`, lines, and so on.
    pub fn take_tocs(&mut self, text: &str) {
        let mut open: Option<(usize, Vec<&str>)> = None;
        let mut listed: Vec<&str> = Vec::new();
        for line in text.lines() {
            let header = line.strip_prefix("==> ").and_then(|rest| rest.strip_suffix(" <=="));
            if let Some(path) = header {
                self.close_toc(open.take(), &listed);
                listed.clear();
                open = self.split_any_depth(path);
            } else if !line.trim().is_empty() {
                listed.push(line.trim());
            }
        }
        self.close_toc(open, &listed);
    }

    fn close_toc(&mut self, open: Option<(usize, Vec<&str>)>, listed: &[&str]) {
        let Some((dir, parts)) = open else { return };
        let (keyspace, folder, index, name) = match parts.as_slice() {
            [keyspace, folder, "backups", name] => (keyspace, folder, None, name),
            [keyspace, folder, "backups", index, name] => (keyspace, folder, Some(*index), name),
            _ => return,
        };
        let Some((descriptor, sstable::TOC)) = sstable::split_name(name) else {
            return;
        };
        let toc: Vec<u16> = listed.iter().filter_map(|name| self.number(name)).collect();
        let whole = toc.len() == listed.len() && !toc.is_empty();
        let key = (index.map(Box::from), Box::from(descriptor));
        if let Some(set) = self.table(dir, keyspace, folder).sets.get_mut(&key) {
            set.toc = whole.then_some(toc);
        }
    }

    fn backup_file(
        &mut self,
        dir: usize,
        keyspace: &str,
        folder: &str,
        index: Option<&str>,
        name: &str,
        file: File,
    ) {
        let split = sstable::split_name(name).filter(|_| file.is_file);
        let number = split.and_then(|(_, component)| self.number(component));
        let table = self.table(dir, keyspace, folder);
        let (Some((descriptor, _)), Some(number)) = (split, number) else {
            table.strays += 1;
            table.stray_bytes = table.stray_bytes.saturating_add(file.size);
            table.stray_held_bytes = table.stray_held_bytes.saturating_add(file.held_bytes());
            return;
        };
        let set = table.sets.entry((index.map(Box::from), Box::from(descriptor))).or_default();
        set.present.push(number);
        set.bytes = set.bytes.saturating_add(file.size);
        set.held_bytes = set.held_bytes.saturating_add(file.held_bytes());
        set.newest = set.newest.max(file.modified);
        set.oldest = Some(set.oldest.map_or(file.modified, |oldest| oldest.min(file.modified)));
    }

    /// Returns the number of a component's name; `None` when a node invents names without end.
    fn number(&mut self, name: &str) -> Option<u16> {
        if let Some(number) = self.names.get(name) {
            return Some(*number);
        }
        let number = u16::try_from(self.names.len()).ok()?;
        self.names.insert(Box::from(name), number);
        Some(number)
    }

    fn table(&mut self, dir: usize, keyspace: &str, folder: &str) -> &mut Table {
        self.tables.entry((dir, keyspace.to_owned(), folder.to_owned())).or_default()
    }

    /// Counts a record of which at most `path` is kept.
    fn count(&mut self, path: &str) -> Result<(), TreeError> {
        self.entries += 1;
        // Components of one set share what is kept of it, so a long name counts in full only
        // where it may be a new one: this errs on the safe side by a factor of ten.
        self.kept_bytes += path.len();
        let is_too_much = self.entries > MOST_ENTRIES
            || self.kept_bytes > MOST_KEPT_BYTES
            || path.len() > LONGEST_PATH;
        if is_too_much { Err(TreeError::TooMany) } else { Ok(()) }
    }

    /// Splits a path below a data folder into its parts, which must be `depth`.
    fn split<'a>(&self, path: &'a str, depth: usize) -> Option<(usize, Vec<&'a str>)> {
        let (dir, parts) = self.split_any_depth(path)?;
        (parts.len() == depth).then_some((dir, parts))
    }

    fn split_any_depth<'a>(&self, path: &'a str) -> Option<(usize, Vec<&'a str>)> {
        // The longest folder wins, should one lie in another.
        let (index, rest) = self
            .data_dirs
            .iter()
            .enumerate()
            .filter_map(|(index, dir)| {
                let rest = path.strip_prefix(dir.as_str())?;
                let is_inside = rest.is_empty() || rest.starts_with('/');
                is_inside.then(|| (index, rest.trim_start_matches('/')))
            })
            .min_by_key(|(_, rest)| rest.len())?;
        Some((index, rest.split('/').filter(|part| !part.is_empty()).collect()))
    }
}

struct File {
    is_file: bool,
    links: u64,
    size: u64,
    modified: i64,
}

/// Whether a live component is the one that every SSTable has.
fn is_data(name: &str) -> bool {
    sstable::split_name(name).is_some_and(|(_, component)| component == "Data.db")
}

impl File {
    /// Bytes that the disk gets back when this link goes.
    fn held_bytes(&self) -> u64 {
        if self.links == 1 { self.size } else { 0 }
    }
}

/// `1795227633.1597618940`: seconds, and a fraction that no decision here needs.
fn seconds(text: &str) -> Option<i64> {
    text.split(['.', ',']).next()?.parse().ok()
}
