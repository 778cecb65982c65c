//! What was read back of a node's sets, when, and what was damaged then: `checks/<host id>.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::lock::{self, Asked};
use super::manifest::{Manifest, SCHEMA, StoredSet};
use super::{Store, durable, layout, papers};

/// Another check has the lock while it writes one file.
const PATIENCE: Duration = Duration::from_secs(60);

/// The last reading of each set, by place and id.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Readings {
    schema: u32,
    sets: BTreeMap<String, Reading>,
    /// Those that are not written down yet.
    #[serde(skip)]
    notes: BTreeMap<String, Reading>,
    /// Those that are to be forgotten.
    #[serde(skip)]
    gone: BTreeSet<String>,
}

/// When a set was read, and what was wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Reading {
    at: Timestamp,
    /// The manifest by which it was read, the last that names it: a set that another names since
    /// was stored anew. Times would not tell, as each controller has its own clock.
    run: String,
    part: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// What a set is called beside others of its node.
pub(super) fn key(set: &StoredSet) -> String {
    format!("{}.{}", set.place, set.id)
}

impl Readings {
    /// When a set was read last.
    pub(super) fn last(&self, key: &str) -> Option<Timestamp> {
        self.get(key).map(|reading| reading.at)
    }

    /// What was wrong with a set when it was read, if the last manifest that names it is still the
    /// same.
    pub(super) fn fault(&self, set: &StoredSet, run: &str, part: u32) -> Option<&str> {
        let reading = self.get(&key(set))?;
        let is_of = reading.run == run && reading.part == part;
        reading.fault.as_deref().filter(|_| is_of)
    }

    fn get(&self, key: &str) -> Option<&Reading> {
        self.notes.get(key).or_else(|| self.sets.get(key))
    }

    /// Takes note of a set that was read by a manifest.
    pub(super) fn note(
        &mut self,
        set: &StoredSet,
        of: &Manifest,
        at: Timestamp,
        fault: Option<String>,
    ) {
        let (run, part) = (of.run.clone(), of.part);
        self.notes.insert(key(set), Reading { at, run, part, fault });
    }

    /// Forgets those that were written down when ours began and are not there any more.
    pub(super) fn forget(&mut self, is_known: impl Fn(&str) -> bool) {
        self.gone = self.sets.keys().filter(|key| !is_known(key)).cloned().collect();
    }

    /// Adds the notes to what is written down by now. Damage that another check has written down
    /// since ours began stays, whatever we read.
    fn add_to(&mut self, written: Self) {
        let ours = std::mem::replace(&mut self.sets, written.sets);
        let gone = std::mem::take(&mut self.gone);
        self.sets.retain(|key, reading| !gone.contains(key) || ours.get(key) != Some(reading));
        for (key, note) in std::mem::take(&mut self.notes) {
            let there = self.sets.get(&key);
            let is_anothers = there.is_some() && there != ours.get(&key);
            let is_damage = there.is_some_and(|reading| reading.fault.is_some());
            if note.fault.is_some() || !is_anothers || !is_damage {
                self.sets.insert(key, note);
            }
        }
    }
}

impl Store {
    /// Returns what was read back of a node.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn readings(&self, host: &str) -> Result<Readings, StoreError> {
        let path = self.root.join(layout::check(host)?);
        match durable::read_file(&path)? {
            Some(bytes) => papers::parse(&path, &bytes, |readings: &Readings| readings.schema),
            None => Ok(Readings::default()),
        }
    }

    /// Writes the notes down, beside what other checks have written since. One that is damaged is
    /// written over only when `is_all`: nothing that it may have held is missing then.
    pub(super) fn keep_readings(
        &self,
        host: &str,
        readings: &mut Readings,
        is_all: bool,
    ) -> Result<(), StoreError> {
        durable::make_dir(&self.root.join(layout::CHECKS))?;
        let path = self.root.join(layout::check_lock(host)?);
        let _lock = match lock::ask(&path, PATIENCE)? {
            Asked::Held(file) => Some(file),
            // Two at once are not likely, and one of them is kept.
            Asked::NoLocks(_) => None,
            Asked::Taken => {
                let what = "another check has held it for a minute";
                return Err(StoreError::io(&path, io::Error::new(io::ErrorKind::TimedOut, what)));
            }
        };
        let written = match self.readings(host) {
            Err(StoreError::Bad { .. }) if is_all => Readings::default(),
            written => written?,
        };
        readings.add_to(written);
        readings.schema = SCHEMA;
        let bytes = papers::bytes(&self.root, readings)?;
        self.put(&layout::check(host)?, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cassandra::sets::SetPlace;
    use crate::store::manifest::NodeAtHand;

    fn set(generation: u32) -> StoredSet {
        StoredSet {
            place: SetPlace {
                keyspace: "ks".into(),
                folder: format!("t-{}", "0".repeat(32)),
                index: None,
                descriptor: format!("nb-{generation}-big"),
            },
            id: "00112233aabbccdd".into(),
            found_in: Vec::new(),
            digest: None,
            files: Vec::new(),
        }
    }

    fn manifest(part: u32) -> Manifest {
        Manifest {
            schema: SCHEMA,
            run: "r".into(),
            part,
            ringhaul: "0".into(),
            written: Timestamp::UNIX_EPOCH,
            node: NodeAtHand::default(),
            sets: Vec::new(),
        }
    }

    fn note(readings: &mut Readings, generation: u32, fault: Option<&str>) {
        let (at, fault) = (Timestamp::UNIX_EPOCH, fault.map(str::to_owned));
        readings.note(&set(generation), &manifest(1), at, fault);
    }

    fn faults(readings: &Readings) -> Vec<Option<&str>> {
        (1..=3).map(|generation| readings.fault(&set(generation), "r", 1)).collect()
    }

    #[test]
    fn what_two_checks_find_at_once_is_kept_and_a_later_one_may_say_that_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_or_make(&folder.path().join("store")).unwrap().0;
        let mut checks = [store.readings("h").unwrap(), store.readings("h").unwrap()];
        note(&mut checks[0], 1, Some("rot"));
        note(&mut checks[1], 1, None);
        note(&mut checks[1], 2, Some("hole"));
        for check in &mut checks {
            store.keep_readings("h", check, false).unwrap();
        }
        let mut later = store.readings("h").unwrap();
        assert_eq!(faults(&later), [Some("rot"), Some("hole"), None]);
        assert_eq!(later.fault(&set(1), "r", 2), None, "stored anew");
        note(&mut later, 1, None);
        later.forget(|key| !key.contains("nb-2-big"));
        // What is written down meanwhile is not forgotten.
        note(&mut checks[1], 3, Some("late"));
        store.keep_readings("h", &mut checks[1], false).unwrap();
        store.keep_readings("h", &mut later, false).unwrap();
        assert_eq!(faults(&store.readings("h").unwrap()), [None, None, Some("late")]);
    }

    #[test]
    fn a_record_that_cannot_be_read_is_written_over_only_when_all_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_or_make(&folder.path().join("store")).unwrap().0;
        let mut readings = Readings::default();
        note(&mut readings, 1, Some("rot"));
        let path = store.root.join(layout::check("h").unwrap());
        std::fs::create_dir(store.root.join(layout::CHECKS)).unwrap();
        std::fs::write(&path, "{").unwrap();
        assert!(store.keep_readings("h", &mut readings, false).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{");
        store.keep_readings("h", &mut readings, true).unwrap();
        assert_eq!(faults(&store.readings("h").unwrap()), [Some("rot"), None, None]);
        std::fs::write(&path, "{\"schema\":99}").unwrap();
        assert!(store.keep_readings("h", &mut readings, true).is_err(), "a later ringhaul's");
    }
}
