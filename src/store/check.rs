//! Whether a store still holds what its manifests name, and nothing else.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::contents::{CheckFault, Checked, FaultKind};
use super::error::StoreError;
use super::manifest::{Manifest, StoredSet};
use super::readings::{Readings, key};
use super::writer::Writer;
use super::{Store, layout, names_in};
use crate::cassandra::sets::SetPlace;

/// What was read is written down each time so many bytes were: a check may take days.
const KEPT_EVERY: u64 = 4 << 30;

/// Who ends just now still has the lock for a moment.
const PATIENCE: Duration = Duration::from_millis(200);

/// What a manifest that cannot be read is called.
const A_MANIFEST: &str = "a manifest";

/// How much is read, and who is told.
pub struct Reading<'a> {
    /// How much of the bytes, in percent; 0 reads nothing.
    pub percent: u8,
    /// Gives the time.
    pub now: &'a mut dyn FnMut() -> Timestamp,
    /// Is told how many bytes will be read, and how many more were.
    pub progress: &'a mut dyn FnMut(Progress),
}

/// How a check gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes are going to be read.
    Begun(u64),
    /// So many more were.
    Read(u64),
}

/// The manifest in which a set stands last, and its bytes.
struct Named {
    run: String,
    part: u32,
    written: Timestamp,
    bytes: u64,
}

impl Named {
    fn is_in(&self, manifest: &Manifest) -> bool {
        self.part == manifest.part && self.run == manifest.run
    }
}

/// What is written down of readings.
#[derive(Default)]
struct Record {
    readings: Readings,
    /// Whether what was written down before could be read.
    is_readable: bool,
    /// Whether every set was read now.
    is_all: bool,
}

impl Store {
    /// Checks a node's sets: each file is there and of its size, a part of them is read, and
    /// nothing lies there that no manifest names. What a controller left that died is brought to
    /// its end.
    ///
    /// # Errors
    /// When the store's folders cannot be looked at.
    pub fn check(&self, host: &str, reading: &mut Reading<'_>) -> Result<Checked, StoreError> {
        let mut checked = Checked { host_id: host.to_owned(), ..Checked::default() };
        // Held while it is looked what lies there, and not while it is read, which takes long.
        let writer = self.take_over(host, &mut checked)?;
        checked.name = self.name_of(host)?;
        // Before the manifests: a set that is stored now may be read by another check at once.
        let mut record = self.record(host, &mut checked);
        let named = self.named(host, &mut checked)?;
        let are_all_named = !checked.faults.iter().any(|fault| fault.subject == A_MANIFEST);
        if writer.is_some() {
            self.find_unnamed(host, &named, &mut checked)?;
        }
        drop(writer);
        let chosen = choose(&named, &record.readings, reading.percent);
        let bytes =
            crate::human::sum(chosen.iter().filter_map(|key| named.get(key)).map(|n| n.bytes));
        (reading.progress)(Progress::Begun(bytes));
        let looked = self.look_and_read(host, &named, &chosen, &mut record, reading, &mut checked);
        if are_all_named {
            record.readings.forget(|key| named.contains_key(key));
            record.is_all = looked.is_ok() && chosen.len() == named.len();
        }
        if !chosen.is_empty() {
            self.keep(host, &mut record, &mut checked)?;
        }
        looked?;
        checked.faults.sort_unstable();
        Ok(checked)
    }

    fn record(&self, host: &str, checked: &mut Checked) -> Record {
        match self.readings(host) {
            Ok(readings) => Record { readings, is_readable: true, is_all: false },
            Err(error) => {
                checked.add(FaultKind::Unreadable, "the record of readings", error.to_string());
                Record::default()
            }
        }
    }

    /// Writes down what was read, unless known damage would be forgotten by it.
    fn keep(
        &self,
        host: &str,
        record: &mut Record,
        checked: &mut Checked,
    ) -> Result<(), StoreError> {
        if record.is_readable || record.is_all {
            return self.keep_readings(host, &mut record.readings, record.is_all);
        }
        let text = "what was read is not written down, as the record of readings cannot be read: \
                    when all data is read, a new one is made";
        checked.unknown.push(text.to_owned());
        Ok(())
    }

    /// Takes the place of a controller that died.
    fn take_over(&self, host: &str, checked: &mut Checked) -> Result<Option<Writer>, StoreError> {
        let staging = self.root().join(layout::staging(host)?);
        let left = names_in(&staging)?;
        match self.writer(host, PATIENCE) {
            Ok(writer) => {
                if writer.ended > 0 {
                    let count = crate::human::count(writer.ended as u64, "controller");
                    checked.done.push(format!("what {count} without locks left was ended"));
                }
                if left.iter().any(|name| name == layout::COMMIT) {
                    checked.done.push("a batch that was cut off was brought to its end".to_owned());
                } else if !left.is_empty() {
                    checked.done.push("what a controller left was swept".to_owned());
                }
                Ok(Some(writer))
            }
            Err(StoreError::Locked { .. }) => {
                let text = "another controller writes there just now: what no manifest names was \
                            not looked for";
                checked.unknown.push(text.to_owned());
                Ok(None)
            }
            Err(error @ (StoreError::Io { .. } | StoreError::Full { .. })) => {
                checked.unknown.push(format!("what no manifest names was not looked for: {error}"));
                Ok(None)
            }
            Err(error @ StoreError::Bad { .. }) => {
                checked.add(FaultKind::Leftover, "a batch that was cut off", error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What the manifests name. Only names are kept: there may be very many sets.
    fn named(
        &self,
        host: &str,
        checked: &mut Checked,
    ) -> Result<HashMap<String, Named>, StoreError> {
        let mut named: HashMap<String, Named> = HashMap::new();
        for manifest in self.manifests(host)? {
            let manifest = match manifest {
                Ok(manifest) => manifest,
                Err(error) => {
                    checked.add(FaultKind::Unreadable, A_MANIFEST, error.to_string());
                    continue;
                }
            };
            for set in &manifest.sets {
                let key = key(set);
                if named.get(&key).is_none_or(|known| known.written <= manifest.written) {
                    let (run, part, written) =
                        (manifest.run.clone(), manifest.part, manifest.written);
                    named.insert(key, Named { run, part, written, bytes: set.bytes() });
                }
            }
        }
        checked.sets = named.len() as u64;
        checked.bytes = crate::human::sum(named.values().map(|named| named.bytes));
        Ok(named)
    }

    fn look_and_read(
        &self,
        host: &str,
        named: &HashMap<String, Named>,
        chosen: &HashSet<String>,
        record: &mut Record,
        reading: &mut Reading<'_>,
        checked: &mut Checked,
    ) -> Result<(), StoreError> {
        let mut looked: HashSet<String> = HashSet::new();
        let mut unkept = 0;
        for manifest in self.manifests(host)?.filter_map(Result::ok) {
            for set in &manifest.sets {
                let key = key(set);
                let is_last = named.get(&key).is_some_and(|named| named.is_in(&manifest));
                if !is_last || looked.contains(&key) {
                    continue;
                }
                let mut fault = self.fault(host, set)?;
                if fault.is_none() && chosen.contains(&key) {
                    fault = self.read(host, set, reading, checked);
                    record.readings.note(set, &manifest, (reading.now)(), fault.clone());
                    unkept += set.bytes();
                    if unkept > KEPT_EVERY && record.is_readable {
                        self.keep_readings(host, &mut record.readings, false)?;
                        unkept = 0;
                    }
                } else if fault.is_none() {
                    let known = record.readings.fault(set, &manifest.run, manifest.part);
                    fault = known.map(str::to_owned);
                }
                match fault {
                    Some(fault) => checked.add(FaultKind::Damaged, &key, fault),
                    None => self.find_strange(host, set, checked)?,
                }
                looked.insert(key);
            }
        }
        Ok(())
    }

    fn read(
        &self,
        host: &str,
        set: &StoredSet,
        reading: &mut Reading<'_>,
        checked: &mut Checked,
    ) -> Option<String> {
        let mut count = |bytes| (reading.progress)(Progress::Read(bytes));
        let fault = self.hash_set(set, host, &mut count).err();
        checked.read_sets += 1;
        checked.read_bytes = checked.read_bytes.saturating_add(set.bytes());
        fault
    }

    /// Looks for folders and files among the sets that no manifest names.
    fn find_unnamed(
        &self,
        host: &str,
        named: &HashMap<String, Named>,
        checked: &mut Checked,
    ) -> Result<(), StoreError> {
        let root = self.root().join(layout::NODES).join(layout::host(host)?);
        for keyspace in names_in(&root)? {
            for folder in names_in_folder(&root.join(&keyspace), checked)? {
                let table = root.join(&keyspace).join(&folder);
                for name in names_in_folder(&table, checked)? {
                    let place =
                        |index: Option<&str>, set: &str| named_as(&keyspace, &folder, index, set);
                    if let Some(index) = name.strip_prefix('.').map(|_| &*name) {
                        for set in names_in_folder(&table.join(index), checked)? {
                            unnamed(named, place(Some(index), &set), checked);
                        }
                    } else {
                        unnamed(named, place(None, &name), checked);
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks for files in a set's folder that are not the set's.
    fn find_strange(
        &self,
        host: &str,
        set: &StoredSet,
        checked: &mut Checked,
    ) -> Result<(), StoreError> {
        let dir = self.root().join(layout::set_dir(host, &set.place, &set.id)?);
        let names = names_in(&dir)?;
        if names.len() > set.files.len() {
            let is_own = |name: &String| {
                set.files.iter().any(|file| set.place.file_name(&file.component) == *name)
            };
            for name in names.iter().filter(|name| !is_own(name)) {
                let subject = format!("{}/{name}", key(set));
                checked.add(FaultKind::Unnamed, &subject, "it is no file of the set".to_owned());
            }
        }
        Ok(())
    }

    /// Returns what is left in the staging by controllers that had no lock, or died in the middle
    /// of a small file.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn leftovers(&self) -> Result<Vec<CheckFault>, StoreError> {
        let names = names_in(&self.root().join(layout::TMP))?.into_iter();
        let is_known =
            |name: &String| layout::host(name.strip_suffix(".lock").unwrap_or(name)).is_ok();
        let fault = |name: String| CheckFault {
            kind: FaultKind::Leftover,
            subject: crate::text::visible(&format!("{}/{name}", layout::TMP)),
            what: "left by a controller; when none is at work it can be removed".to_owned(),
        };
        Ok(names.filter(|name| !is_known(name)).map(fault).collect())
    }
}

/// The key of what lies in a folder of sets.
fn named_as(keyspace: &str, folder: &str, index: Option<&str>, name: &str) -> String {
    let (descriptor, id) = layout::split_set_dir(name).unwrap_or((name, ""));
    let place = SetPlace {
        keyspace: keyspace.to_owned(),
        folder: folder.to_owned(),
        index: index.map(str::to_owned),
        descriptor: descriptor.to_owned(),
    };
    if id.is_empty() { place.to_string() } else { format!("{place}.{id}") }
}

fn unnamed(named: &HashMap<String, Named>, key: String, checked: &mut Checked) {
    if !named.contains_key(&key) {
        checked.add(FaultKind::Unnamed, &key, "no manifest that can be read names it".to_owned());
    }
}

/// The names in a folder; a file in its place is no set either.
fn names_in_folder(dir: &Path, checked: &mut Checked) -> Result<Vec<String>, StoreError> {
    if dir.is_dir() {
        return names_in(dir);
    }
    checked.add(FaultKind::Unnamed, &dir.display().to_string(), "it is no folder".to_owned());
    Ok(Vec::new())
}

/// The sets that were not read for the longest time, up to a part of all bytes.
fn choose(named: &HashMap<String, Named>, readings: &Readings, percent: u8) -> HashSet<String> {
    let all: u128 = named.values().map(|named| u128::from(named.bytes)).sum();
    let wanted = all * u128::from(percent.min(100)) / 100;
    let mut oldest: Vec<_> = named.iter().map(|(key, n)| (readings.last(key), key, n)).collect();
    oldest.sort_unstable_by_key(|(last, key, _)| (*last, *key));
    let mut chosen = HashSet::new();
    let mut bytes: u128 = 0;
    for (_, key, named) in oldest {
        if percent == 0 || (percent < 100 && bytes >= wanted) {
            break;
        }
        bytes += u128::from(named.bytes);
        chosen.insert(key.clone());
    }
    chosen
}

impl Checked {
    fn add(&mut self, kind: FaultKind, subject: &str, what: String) {
        let subject = crate::text::visible(subject);
        self.faults.push(CheckFault { kind, subject, what: crate::text::visible(&what) });
    }
}
