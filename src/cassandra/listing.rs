//! The sets in `backups`, and in one snapshot, read from one pass of `find` as it comes.
//!
//! Where a set belongs is told by its depth below the data folder, as in [`super::tree`]. What has
//! an odd name or form is a stray: it is told, and nobody touches it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::links;
use super::sets::{FoundFile, FoundSet, Origin, PAPERS, SetPlace};
use super::shelf::{Shelf, Stray, is_index_folder, is_keyspace, is_table_folder};
use super::sstable;
use super::tree::TreeError;

/// More files than this of one node are not listed: a guard for the controller's memory.
const MOST_FILES: u64 = 2_000_000;

/// Names that are kept take no more than this, in bytes, whatever a node lists.
const MOST_KEPT_BYTES: usize = 256 * 1024 * 1024;

/// As many data folders, and as long paths, as in [`super::tree`].
const MOST_DATA_DIRS: usize = 256;
const LONGEST_PATH: usize = 4096;

/// Of strays so many are shown; all are counted.
const STRAYS_SHOWN: usize = 100;

const DIGEST: &str = "Digest.crc32";

/// Reads the records of one pass.
#[derive(Debug, Default)]
pub struct Listing {
    tag: Option<String>,
    data_dirs: Vec<String>,
    is_seen: Vec<bool>,
    /// The folder that the pass is in, and those above it up to the data folder.
    stack: Vec<Folder>,
    /// Folders at and behind symbolic links, by path.
    linked: HashMap<String, Folder>,
    components: HashSet<Arc<str>>,
    digests: HashMap<String, Option<u32>>,
    shelf: Shelf,
    files: u64,
    kept_bytes: usize,
}

#[derive(Debug)]
struct Folder {
    path: Arc<str>,
    device: u64,
    holds: Holds,
    /// Its sets by descriptor, as places in the shelf.
    sets: HashMap<Box<str>, usize>,
}

#[derive(Debug, Clone)]
enum Holds {
    /// What is no matter of ours.
    Nothing,
    Strays(&'static str),
    Sets(Place),
}

/// A folder in which sets lie.
#[derive(Debug, Clone)]
struct Place {
    keyspace: String,
    folder: String,
    index: Option<String>,
    origin: Origin,
    table_device: u64,
    untouchable: Option<Arc<str>>,
}

/// The fields of a file's record.
struct Entry<'a> {
    kind: &'a str,
    file: FoundFile,
    name: &'a str,
}

impl Listing {
    /// Returns an empty listing of `backups` and, if one is named, of a snapshot.
    pub fn new(snapshot: Option<&str>) -> Self {
        Self { tag: snapshot.map(str::to_owned), ..Self::default() }
    }

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

    /// The data folders.
    pub fn data_dirs(&self) -> &[String] {
        &self.data_dirs
    }

    /// Returns a data folder that the listing does not show.
    pub fn unseen_dir(&self) -> Option<&str> {
        let unseen = self.is_seen.iter().position(|seen| !seen)?;
        self.data_dirs.get(unseen).map(String::as_str)
    }

    /// Forgets what was listed; a second pass with other rights follows.
    pub fn restart(&mut self) {
        let (data_dirs, tag) = (std::mem::take(&mut self.data_dirs), self.tag.take());
        let is_seen = vec![false; data_dirs.len()];
        *self = Self { tag, data_dirs, is_seen, ..Self::default() };
    }

    /// Takes a record `DEVICE PATH` of a folder. `is_linked`: it is a symbolic link, or lies behind
    /// one.
    ///
    /// # Errors
    /// When it has another form, or there are too many.
    pub fn take_folder(&mut self, record: &str, is_linked: bool) -> Result<(), TreeError> {
        let odd = || odd(record);
        let (device, path) = record.split_once(' ').ok_or_else(odd)?;
        let device = device.parse().map_err(|_| odd())?;
        self.count(path)?;
        let (dir, parts) = self.split(path).ok_or_else(odd)?;
        let depth = parts.len();
        if depth == 0 && !is_linked {
            self.is_seen[dir] = true;
        }
        let table_device = self.stack.get(2).map_or(device, |table| table.device);
        let untouchable = match parts.as_slice() {
            _ if is_linked => Some("a symbolic link is in its path"),
            [_, folder, ..] if sstable::split_table_folder(folder).1.is_none() => {
                Some("its table's folder has no id")
            }
            [_, _, _, ..] if device != table_device => {
                Some("it is on another file system than its table's folder")
            }
            _ => None,
        };
        let holds = self.holds(&parts, table_device, untouchable.map(Arc::from));
        let path = Arc::from(path.trim_end_matches('/'));
        let folder = Folder { path, device, holds, sets: HashMap::new() };
        if is_linked {
            self.keep(folder.path.len())?;
            self.linked.insert(folder.path.to_string(), folder);
            return Ok(());
        }
        // The pass is in the folder above, or has come back to it.
        let is_below = |above: &Folder| {
            let name = folder.path.strip_prefix(&*above.path).and_then(|n| n.strip_prefix('/'));
            name.is_some_and(|name| !name.contains('/'))
        };
        self.stack.truncate(depth);
        if self.stack.len() != depth || !self.stack.last().is_none_or(is_below) {
            return Err(odd());
        }
        self.stack.push(folder);
        Ok(())
    }

    fn holds(&self, parts: &[&str], table_device: u64, untouchable: Option<Arc<str>>) -> Holds {
        let is_tag = |tag: &str| self.tag.as_deref() == Some(tag);
        let (keyspace, folder, origin, rest) = match parts {
            [keyspace, folder, "backups", rest @ ..] => (keyspace, folder, Origin::Backups, rest),
            [keyspace, folder, "snapshots", tag, rest @ ..] if is_tag(tag) => {
                (keyspace, folder, Origin::Snapshot((*tag).to_owned()), rest)
            }
            _ => return Holds::Nothing,
        };
        let index = match rest {
            [] => None,
            [index] if is_index_folder(index) => Some((*index).to_owned()),
            [_] | [_, _, ..] => return Holds::Strays("it lies in a folder that is no index's"),
        };
        if !is_keyspace(keyspace) || !is_table_folder(folder) {
            return Holds::Strays("its folder is no table's");
        }
        Holds::Sets(Place {
            keyspace: (*keyspace).to_owned(),
            folder: (*folder).to_owned(),
            index,
            origin,
            table_device,
            untouchable,
        })
    }

    /// Takes a record `DEPTH TYPE DEVICE INODE LINKS SIZE TIME NAME` of anything else.
    ///
    /// # Errors
    /// When it has another form, or there are too many.
    pub fn take_file(&mut self, record: &str) -> Result<(), TreeError> {
        let odd = || odd(record);
        let (depth, rest) = record.split_once(' ').ok_or_else(odd)?;
        let depth: usize = depth.parse().map_err(|_| odd())?;
        let entry = entry(rest).filter(|entry| !entry.name.contains('/')).ok_or_else(odd)?;
        self.count(entry.name)?;
        if depth == 0 || depth > self.stack.len() {
            return Err(odd());
        }
        self.stack.truncate(depth);
        let Some(mut folder) = self.stack.pop() else { return Err(odd()) };
        let taken = self.shelve(&mut folder, entry);
        self.stack.push(folder);
        taken
    }

    /// Takes a record `TYPE DEVICE INODE LINKS SIZE TIME PATH` of something behind a symbolic link.
    ///
    /// # Errors
    /// When it has another form, or there are too many.
    pub fn take_linked_file(&mut self, record: &str) -> Result<(), TreeError> {
        let odd = || odd(record);
        let mut entry = entry(record).ok_or_else(odd)?;
        self.count(entry.name)?;
        let (path, name) = entry.name.rsplit_once('/').ok_or_else(odd)?;
        let (key, mut folder) = self.linked.remove_entry(path).ok_or_else(odd)?;
        entry.name = name;
        let taken = self.shelve(&mut folder, entry);
        self.linked.insert(key, folder);
        taken
    }

    fn shelve(&mut self, folder: &mut Folder, entry: Entry<'_>) -> Result<(), TreeError> {
        let place = match &folder.holds {
            Holds::Nothing => return Ok(()),
            Holds::Strays(why) => {
                self.stray(&folder.path, &entry, why);
                return Ok(());
            }
            Holds::Sets(place) => place,
        };
        let (descriptor, component) = match sstable::split_name(entry.name) {
            Some(split) => split,
            None if is_paper(place, entry.name) => (PAPERS, entry.name),
            None => {
                self.stray(&folder.path, &entry, "its name is no component's");
                return Ok(());
            }
        };
        match entry.kind {
            "f" => {}
            "l" => {
                self.stray(&folder.path, &entry, "it is a symbolic link");
                return Ok(());
            }
            _ => {
                self.stray(&folder.path, &entry, "it is no regular file");
                return Ok(());
            }
        }
        let component = self.component(component)?;
        let at = match folder.sets.get(descriptor) {
            Some(at) => *at,
            None => self.begin(descriptor, folder)?,
        };
        let file = FoundFile { component, ..entry.file };
        let Some(set) = self.shelf.sets.get_mut(at) else { return Err(odd(entry.name)) };
        if set.files.iter().any(|other| other.component == file.component) {
            return Err(odd(entry.name));
        }
        if let Holds::Sets(place) = &folder.holds
            && file.device != place.table_device
        {
            let why = "a file is on another file system than its table's folder";
            set.untouchable.get_or_insert_with(|| Arc::from(why));
        }
        set.files.push(file);
        Ok(())
    }

    /// Begins a set; returns its place in the shelf.
    fn begin(&mut self, descriptor: &str, folder: &mut Folder) -> Result<usize, TreeError> {
        let Holds::Sets(place) = &folder.holds else { return Err(odd(descriptor)) };
        let at = self.shelf.sets.len();
        let place_of = SetPlace {
            keyspace: place.keyspace.clone(),
            folder: place.folder.clone(),
            index: place.index.clone(),
            descriptor: descriptor.to_owned(),
        };
        // Two hundred bytes: what a set takes besides its names.
        self.keep(200 + place.keyspace.len() + place.folder.len() + 2 * descriptor.len())?;
        self.shelf.sets.push(FoundSet {
            place: place_of,
            origin: place.origin.clone(),
            dir: Arc::clone(&folder.path),
            files: Vec::new(),
            digest: None,
            untouchable: place.untouchable.clone(),
        });
        folder.sets.insert(Box::from(descriptor), at);
        Ok(at)
    }

    fn stray(&mut self, folder: &str, entry: &Entry<'_>, why: &'static str) {
        let bytes = entry.file.size;
        let held_bytes = if entry.file.links == 1 { bytes } else { 0 };
        self.shelf.stray_count += 1;
        self.shelf.stray_bytes = self.shelf.stray_bytes.saturating_add(bytes);
        self.shelf.stray_held_bytes = self.shelf.stray_held_bytes.saturating_add(held_bytes);
        if self.shelf.strays.len() < STRAYS_SHOWN {
            let path = crate::text::visible(&format!("{folder}/{}", entry.name));
            self.shelf.strays.push(Stray { path, bytes, held_bytes, why });
        }
    }

    /// Takes what `head -v` printed of digests: `==> PATH <==`, a number, and so on.
    ///
    /// # Errors
    /// When there are too many.
    pub fn take_digests(&mut self, text: &str) -> Result<(), TreeError> {
        let mut open = None;
        for line in text.lines() {
            let header = line.strip_prefix("==> ").and_then(|rest| rest.strip_suffix(" <=="));
            if let Some(path) = header {
                self.keep(path.len() + 64)?;
                // One that is told twice is not known.
                let is_new = self.digests.insert(path.to_owned(), None).is_none();
                open = is_new.then_some(path);
            } else if let Some(path) = open.take_if(|_| !line.trim().is_empty()) {
                self.digests.insert(path.to_owned(), line.trim().parse().ok());
            }
        }
        Ok(())
    }

    /// Returns what was listed.
    pub fn finish(self) -> Shelf {
        let mut shelf = self.shelf;
        for set in &mut shelf.sets {
            set.files.sort_unstable_by(|one, other| one.component.cmp(&other.component));
            set.files.shrink_to_fit();
            let digest = set.files.iter().find(|file| &*file.component == DIGEST);
            set.digest = digest.and_then(|file| *self.digests.get(&set.path(file))?);
        }
        shelf.sets.sort_unstable_by(|one, other| {
            (&one.place, &one.origin, &one.dir).cmp(&(&other.place, &other.origin, &other.dir))
        });
        shelf
    }

    /// Returns a component's name as it is kept once.
    fn component(&mut self, name: &str) -> Result<Arc<str>, TreeError> {
        if let Some(known) = self.components.get(name) {
            return Ok(Arc::clone(known));
        }
        self.keep(name.len() + 64)?;
        let name: Arc<str> = Arc::from(name);
        self.components.insert(Arc::clone(&name));
        Ok(name)
    }

    fn count(&mut self, path: &str) -> Result<(), TreeError> {
        self.files += 1;
        let is_too_much = self.files > MOST_FILES || path.len() > LONGEST_PATH;
        if is_too_much { Err(TreeError::TooMany) } else { Ok(()) }
    }

    fn keep(&mut self, bytes: usize) -> Result<(), TreeError> {
        self.kept_bytes = self.kept_bytes.saturating_add(bytes);
        if self.kept_bytes > MOST_KEPT_BYTES { Err(TreeError::TooMany) } else { Ok(()) }
    }

    /// Splits a folder's path into its data folder, by number, and the parts below it.
    fn split<'a>(&self, path: &'a str) -> Option<(usize, Vec<&'a str>)> {
        let below = |dir: &String| path.strip_prefix(dir.as_str()).filter(|b| is_below(b));
        // The longest folder wins, should one lie in another.
        let dirs = self.data_dirs.iter().enumerate();
        let (dir, rest) = dirs
            .filter_map(|(index, dir)| below(dir).map(|rest| (index, rest)))
            .min_by_key(|(_, rest)| rest.len())?;
        Some((dir, rest.split('/').filter(|part| !part.is_empty()).collect()))
    }
}

fn is_below(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

/// What Cassandra writes about a snapshot beside its sets.
fn is_paper(place: &Place, name: &str) -> bool {
    let is_snapshot = matches!(place.origin, Origin::Snapshot(_)) && place.index.is_none();
    is_snapshot && matches!(name, "manifest.json" | "schema.cql")
}

/// `TYPE DEVICE INODE LINKS SIZE TIME NAME`
fn entry(record: &str) -> Option<Entry<'_>> {
    let mut fields = record.splitn(7, ' ');
    let kind = fields.next()?;
    let mut number = || fields.next()?.parse::<u64>().ok();
    let (device, inode, links, size) = (number()?, number()?, number()?, number()?);
    let modified = links::time(fields.next()?)?;
    let name = fields.next().filter(|name| !name.is_empty())?;
    let component = Arc::default();
    let file = FoundFile { component, device, inode, links, size, modified };
    Some(Entry { kind, file, name })
}

fn odd(record: &str) -> TreeError {
    TreeError::NotUnderstood(crate::text::one_line(record.as_bytes(), 200))
}

#[cfg(test)]
mod tests;
