//! What a listing of one table shows of links in `backups`, before and after a flush.
//!
//! A new set is one whose Data.db was not there before: the same name can come back with other
//! content, so a file is its device, inode, size and time of modification.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::fact::{Why, WhyKind};
use super::sstable;
use super::table_name::TableName;

/// A table with more SSTables and files of a new set than this is not listed further: a guard
/// for the controller's memory.
const MOST_ENTRIES: usize = 2_000_000;

/// Of a flush and what happens beside it, no more files than this are kept by name.
const MOST_KEPT: usize = 100_000;

/// Linux takes no longer path (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;

/// The component that every SSTable has, and that is never written again.
const DATA: &str = "Data.db";

/// What makes a file the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FileId {
    device: u64,
    inode: u64,
    size: u64,
    /// Nanoseconds since 1970: a file system gives a number of an inode again at once.
    modified: i64,
}

#[derive(Debug, Clone, Copy)]
struct File {
    id: FileId,
    links: u64,
}

/// One SSTable's place: the table's folder, the index folder in it, the descriptor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    folder: String,
    index: Option<String>,
    descriptor: String,
}

type Components = BTreeMap<String, File>;

/// One look at a table's folders.
#[derive(Debug)]
pub struct Listing {
    /// `<data folder>/<keyspace>`, of each data folder.
    roots: Vec<String>,
    table: String,
    /// The node's clock, seconds since 1970.
    pub now: Option<i64>,
    folders: BTreeSet<String>,
    entries: usize,
    kept: usize,
    live_data: HashSet<FileId>,
    backup_data: HashSet<FileId>,
    live: HashMap<Place, Components>,
    backups: HashMap<Place, Components>,
    tocs: HashMap<Place, Vec<String>>,
    is_compacting: bool,
}

/// A set that a flush made and that is linked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MadeSet {
    /// The folder in which the links lie: a table's `backups`, or an index's folder in it.
    pub folder: String,
    /// `nb-1-big`.
    pub descriptor: String,
    /// Every component that the set's TOC names.
    pub components: Vec<Component>,
    /// Whether Data.db was seen to be the live one's inode. `false`: the live SSTable had gone by
    /// then (compacted away), so the set is complete and of this flush, and no more is known.
    pub is_seen_linked: bool,
}

/// One file of a set.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Component {
    /// The file's name, descriptor included.
    pub name: String,
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// When it was written, in nanoseconds since 1970.
    pub modified: i64,
}

/// What the looks so far amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// Every new set is complete, at least one is linked.
    Linked(MadeSet),
    /// A new SSTable is live, or a set is there in part, or as something else than links.
    NotYet {
        /// What is not as it should be.
        why: String,
        /// Whether a compaction, which links nothing, could have made what is live.
        may_be_compaction: bool,
    },
    /// Nothing new.
    Nothing,
}

/// Compares looks after a flush with the one before it.
#[derive(Debug)]
pub struct Watch {
    before: HashSet<FileId>,
    live_before: HashSet<FileId>,
    /// Components of new live SSTables, seen in any look: they can go again.
    seen_live: HashMap<Place, Components>,
    was_compacting: bool,
}

impl Listing {
    /// Returns an empty listing of `table` in `data_dirs`.
    pub fn new(table: &TableName, data_dirs: &[String]) -> Self {
        let root = |dir: &String| format!("{}/{}", dir.trim_end_matches('/'), table.keyspace());
        Self::empty(data_dirs.iter().map(root).collect(), table.table().to_owned())
    }

    fn empty(roots: Vec<String>, table: String) -> Self {
        Self {
            roots,
            table,
            now: None,
            folders: BTreeSet::new(),
            entries: 0,
            kept: 0,
            live_data: HashSet::new(),
            backup_data: HashSet::new(),
            live: HashMap::new(),
            backups: HashMap::new(),
            tocs: HashMap::new(),
            is_compacting: false,
        }
    }

    /// Forgets what was listed; a second pass with other rights follows.
    pub fn restart(&mut self) {
        let (roots, table) = (std::mem::take(&mut self.roots), std::mem::take(&mut self.table));
        *self = Self { now: self.now, ..Self::empty(roots, table) };
    }

    /// Whether a folder of the table was seen.
    pub fn has_folder(&self) -> bool {
        !self.folders.is_empty()
    }

    /// Takes a folder's path.
    ///
    /// # Errors
    /// When there are more than any node has.
    pub fn take_folder(&mut self, path: &str) -> Result<(), Why> {
        self.count(path)?;
        if let Some((folder, [])) = self.split(path).as_ref().map(|(f, rest)| (f, rest.as_slice()))
        {
            self.folders.insert(folder.clone());
        }
        Ok(())
    }

    /// Takes a record `TYPE DEVICE INODE LINKS SIZE TIME PATH`; `known` are the files that were
    /// there before.
    ///
    /// # Errors
    /// When it has another form, or there are too many.
    pub fn take_file(&mut self, record: &str, known: Option<&Watch>) -> Result<(), Why> {
        let odd = || not_understood(record);
        let mut fields = record.splitn(7, ' ');
        let is_file = fields.next().ok_or_else(odd)? == "f";
        let mut number = || fields.next().and_then(|f| f.parse::<u64>().ok()).ok_or_else(odd);
        let (device, inode, links, size) = (number()?, number()?, number()?, number()?);
        let modified = fields.next().and_then(time).ok_or_else(odd)?;
        let path = fields.next().ok_or_else(odd)?;
        self.count(path)?;
        let Some((folder, parts)) = self.split(path) else { return Ok(()) };
        let (is_backup, index, name) = match parts.as_slice() {
            [name] => (false, None, *name),
            ["backups", name] => (true, None, *name),
            [index, name] if index.starts_with('.') => (false, Some(*index), *name),
            ["backups", index, name] if index.starts_with('.') => (true, Some(*index), *name),
            _ => return Ok(()),
        };
        if !is_file {
            return Ok(());
        }
        if !is_backup && is_log_of_compaction(name) {
            self.is_compacting = true;
        }
        let Some((descriptor, component)) = sstable::split_name(name) else { return Ok(()) };
        let id = FileId { device, inode, size, modified };
        if component == DATA {
            let all = if is_backup { &mut self.backup_data } else { &mut self.live_data };
            all.insert(id);
        }
        // Before the flush nothing else matters, and of what was there then, nothing.
        let Some(known) = known else { return Ok(()) };
        if component == DATA && known.before.contains(&id) {
            return Ok(());
        }
        self.kept += 1;
        if self.kept > MOST_KEPT {
            return Err(too_much());
        }
        let place =
            Place { folder, index: index.map(str::to_owned), descriptor: descriptor.to_owned() };
        let component = component.to_owned();
        let sets = if is_backup { &mut self.backups } else { &mut self.live };
        sets.entry(place).or_default().insert(component, File { id, links });
        Ok(())
    }

    /// Takes what `head -v` printed of TOC files: `==> PATH <==`, lines, and so on.
    ///
    /// # Errors
    /// When there are too many.
    pub fn take_tocs(&mut self, text: &str) -> Result<(), Why> {
        let mut open = None;
        for line in text.lines() {
            let header = line.strip_prefix("==> ").and_then(|rest| rest.strip_suffix(" <=="));
            if let Some(path) = header {
                open = self.toc_of(path);
                if let Some(place) = &open {
                    self.tocs.insert(place.clone(), Vec::new());
                }
            } else if let (Some(place), name) = (&open, line.trim())
                && !name.is_empty()
            {
                self.kept += 1;
                if self.kept > MOST_KEPT {
                    return Err(too_much());
                }
                self.tocs.entry(place.clone()).or_default().push(name.to_owned());
            }
        }
        Ok(())
    }

    fn toc_of(&self, path: &str) -> Option<Place> {
        let (folder, parts) = self.split(path)?;
        let (index, name) = match parts.as_slice() {
            ["backups", name] => (None, *name),
            ["backups", index, name] if index.starts_with('.') => {
                (Some((*index).to_owned()), *name)
            }
            _ => return None,
        };
        match sstable::split_name(name)? {
            (descriptor, sstable::TOC) => {
                Some(Place { folder, index, descriptor: descriptor.to_owned() })
            }
            _ => None,
        }
    }

    /// Splits a path into the table's folder and the parts below it.
    fn split<'a>(&self, path: &'a str) -> Option<(String, Vec<&'a str>)> {
        self.roots.iter().find_map(|root| {
            let below = path.strip_prefix(root.as_str())?.strip_prefix('/')?;
            let mut parts = below.split('/');
            let folder = parts.next()?;
            let (table, id) = sstable::split_table_folder(folder);
            (table == self.table && id.is_some())
                .then(|| (format!("{root}/{folder}"), parts.collect()))
        })
    }

    fn count(&mut self, path: &str) -> Result<(), Why> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES || path.len() > LONGEST_PATH {
            return Err(too_much());
        }
        Ok(())
    }
}

impl Watch {
    /// Begins with the look before the flush.
    pub fn new(before: Listing) -> Self {
        let known = before.live_data.union(&before.backup_data).copied().collect();
        Self {
            before: known,
            live_before: before.live_data,
            seen_live: HashMap::new(),
            was_compacting: before.is_compacting,
        }
    }

    /// Takes a look after the flush, and returns what all of them amount to.
    pub fn take(&mut self, listing: &Listing) -> Look {
        self.was_compacting |=
            listing.is_compacting || !self.live_before.is_subset(&listing.live_data);
        for (place, components) in &listing.live {
            // Only a finished SSTable has a TOC: what is being written is not yet one.
            if components.contains_key(DATA) && components.contains_key(sstable::TOC) {
                self.seen_live.entry(place.clone()).or_default().extend(components.clone());
            }
        }
        // The best one: no index's, and seen linked.
        let mut made: Option<((bool, bool), MadeSet)> = None;
        let mut faults = BTreeMap::new();
        for (place, components) in &listing.backups {
            if !components.contains_key(DATA) {
                continue;
            }
            match self.check(place, components, listing) {
                Err(why) => {
                    faults.insert(place, why);
                }
                Ok(set) => {
                    // It has been compacted away since it was flushed.
                    let live = listing.live.get(place);
                    self.was_compacting |= !live.is_some_and(|live| live.contains_key(DATA));
                    let rank = (place.index.is_none(), set.is_seen_linked);
                    if made.as_ref().is_none_or(|(best, _)| rank > *best) {
                        made = Some((rank, set));
                    }
                }
            }
        }
        let is_live_alone = faults.is_empty();
        for (place, components) in &self.seen_live {
            let data = components.get(DATA);
            let is_linked = data.is_some_and(|data| listing.backup_data.contains(&data.id));
            // A compaction's output is not linked, and rightly so.
            let may_stand_alone = made.is_some() && self.was_compacting;
            if !is_linked && !may_stand_alone && !faults.contains_key(place) {
                faults.insert(place, format!("{} is live and not in backups", place.shown()));
            }
        }
        match (made, faults.into_values().next()) {
            (Some((_, set)), None) => Look::Linked(set),
            (None, None) => Look::Nothing,
            (_, Some(why)) => {
                let may_be_compaction = is_live_alone && self.was_compacting;
                Look::NotYet { why, may_be_compaction }
            }
        }
    }

    /// Checks that a set is complete, and that its files are the live ones.
    fn check(
        &self,
        place: &Place,
        backup: &Components,
        listing: &Listing,
    ) -> Result<MadeSet, String> {
        let shown = place.shown();
        let toc = listing.tocs.get(place).filter(|toc| !toc.is_empty());
        let Some(toc) = toc else { return Err(format!("{shown} in backups has no TOC.txt")) };
        let lacking: Vec<&str> =
            toc.iter().filter(|name| !backup.contains_key(*name)).map(String::as_str).collect();
        if !lacking.is_empty() {
            return Err(format!("{shown} in backups lacks {}", few(&lacking)));
        }
        let live = self.seen_live.get(place);
        let is_live_now = listing.live.get(place).is_some_and(|live| live.contains_key(DATA));
        let other: Vec<&str> = toc
            .iter()
            .map(String::as_str)
            .filter(|name| {
                let (Some(copy), Some(own)) = (backup.get(*name), live.and_then(|l| l.get(*name)))
                else {
                    return false;
                };
                let is_one = (copy.id.device, copy.id.inode) == (own.id.device, own.id.inode);
                // Cassandra writes the others again when levels or repair states change.
                let is_rewritten = *name != DATA && own.id.modified > copy.id.modified;
                let is_link = copy.links > 1 || !is_live_now;
                !((is_one && is_link) || (!is_one && is_rewritten))
            })
            .collect();
        if !other.is_empty() {
            return Err(format!("{shown} in backups is no link to the live one: {}", few(&other)));
        }
        let components = toc.iter().filter_map(|name| Some((name, backup.get(name)?)));
        Ok(MadeSet {
            folder: match &place.index {
                None => format!("{}/backups", place.folder),
                Some(index) => format!("{}/backups/{index}", place.folder),
            },
            descriptor: place.descriptor.clone(),
            components: components
                .map(|(name, file)| Component {
                    name: format!("{}-{name}", place.descriptor),
                    device: file.id.device,
                    inode: file.id.inode,
                    size: file.id.size,
                    modified: file.id.modified,
                })
                .collect(),
            is_seen_linked: live.is_some_and(|live| live.contains_key(DATA)),
        })
    }
}

impl Place {
    fn shown(&self) -> String {
        let index = self.index.as_deref().map(|index| format!("{index}/")).unwrap_or_default();
        crate::text::visible(&format!("{index}{}", self.descriptor))
    }
}

/// At most five names, in one line.
fn few(names: &[&str]) -> String {
    let more = if names.len() > 5 { ", …" } else { "" };
    let names: Vec<&str> = names.iter().take(5).copied().collect();
    format!("{}{more}", crate::text::one_line(names.join(", ").as_bytes(), 200))
}

/// Cassandra keeps a log beside the SSTables of each operation that writes or removes some, such
/// as `nb_txn_compaction_<id>.log`; a flush's own is no sign of a compaction.
fn is_log_of_compaction(name: &str) -> bool {
    let operation = name.split_once("_txn_").map(|(_, rest)| rest);
    operation.is_some_and(|rest| !rest.starts_with("flush_"))
        && name.rsplit_once('.').is_some_and(|(_, extension)| extension == "log")
}

/// `1795227633.1597618940`: seconds and a fraction of any length, as nanoseconds.
pub(crate) fn time(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    seconds.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
}

fn not_understood(record: &str) -> Why {
    let record = crate::text::one_line(record.as_bytes(), 200);
    let text = format!("the listing of files holds what ringhaul does not understand: {record}");
    Why::new(WhyKind::NotUnderstood, text)
}

fn too_much() -> Why {
    Why::new(WhyKind::TooMuch, "more files, or longer names, were listed than any table has")
}
