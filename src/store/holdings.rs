//! What a store is proven to hold of a node: by its manifests, and by asking for each file.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;

use super::error::StoreError;
use super::manifest::StoredSet;
use super::{Store, layout, whole};
use crate::cassandra::sets::SetPlace;

/// Fewer sets are asked for one after the other: a thread costs more than it saves.
const FEW: usize = 64;

/// A server far away answers several questions in the time of one.
const SIDE_BY_SIDE: usize = 8;

/// The sets that a store has of a node.
#[derive(Debug, Default)]
pub struct Holdings {
    sets: BTreeMap<SetPlace, Vec<Held>>,
    /// The manifests that could not be read: what they name is not known. And the record of what
    /// was read back, when that could not be.
    pub unread: Vec<StoreError>,
}

/// A set that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The set.
    pub set: StoredSet,
    /// The run that stored it; of several the last.
    pub run: String,
    /// Which of that run's manifests names it.
    pub part: u32,
    /// When that was written down.
    pub written: Timestamp,
    /// What is missing, of another size, or was found damaged when it was read: then it does not
    /// count.
    pub fault: Option<String>,
}

impl Holdings {
    /// Returns a set.
    pub fn get(&self, place: &SetPlace, id: &str) -> Option<&Held> {
        self.of(place).find(|held| held.set.id == id)
    }

    /// The sets of a place: a name that came back with other content is there more than once.
    pub fn of(&self, place: &SetPlace) -> impl Iterator<Item = &Held> {
        self.sets.get(place).into_iter().flatten()
    }

    /// All sets, by place.
    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        self.sets.values().flatten()
    }

    fn add(&mut self, set: StoredSet, run: &str, part: u32, written: Timestamp) {
        let known = self.sets.entry(set.place.clone()).or_default();
        let mut held = Held { set, run: run.to_owned(), part, written, fault: None };
        let Some(known) = known.iter_mut().find(|known| known.set.id == held.set.id) else {
            known.push(held);
            return;
        };
        // Stored again, because the first was damaged: the last word is what lies there.
        if known.written <= held.written {
            std::mem::swap(known, &mut held);
        }
        // A snapshot that has a set of backups is named with it later, and the other way round.
        for origin in held.set.found_in {
            if !known.set.found_in.contains(&origin) {
                known.set.found_in.push(origin);
            }
        }
    }
}

impl Store {
    /// Returns the sets of a node that are `wanted`, of all its manifests, and asks the file
    /// system for each of their files.
    ///
    /// # Errors
    /// When the folders or files cannot be looked at. A manifest that cannot be read is among
    /// [`Holdings::unread`].
    pub fn holdings(
        &self,
        host: &str,
        wanted: &mut dyn FnMut(&StoredSet) -> bool,
    ) -> Result<Holdings, StoreError> {
        let mut holdings = Holdings::default();
        for manifest in self.manifests(host)? {
            match manifest {
                Ok(manifest) => {
                    for set in manifest.sets {
                        if wanted(&set) {
                            holdings.add(set, &manifest.run, manifest.part, manifest.written);
                        }
                    }
                }
                Err(error) => holdings.unread.push(error),
            }
        }
        self.look(host, holdings.sets.values_mut().flatten().collect())?;
        match self.readings(host) {
            Ok(readings) => {
                for held in holdings.sets.values_mut().flatten() {
                    let known = readings.fault(&held.set, &held.run, held.part);
                    held.fault = held.fault.take().or_else(|| known.map(str::to_owned));
                }
            }
            Err(error) => holdings.unread.push(error),
        }
        Ok(holdings)
    }

    /// Asks for the files of all sets.
    fn look(&self, host: &str, held: Vec<&mut Held>) -> Result<(), StoreError> {
        let threads = if held.len() < FEW { 1 } else { SIDE_BY_SIDE };
        let next = AtomicUsize::new(0);
        let held: Vec<Mutex<&mut Held>> = held.into_iter().map(Mutex::new).collect();
        let work = || -> Result<(), StoreError> {
            while let Some(held) = held.get(next.fetch_add(1, Ordering::Relaxed)) {
                // Each is taken once, so nobody waits here and nothing is poisoned.
                let mut held = held.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                held.fault = self.fault(host, &held.set)?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut all = work();
            for other in others {
                let ended = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                all = all.and(ended);
            }
            all
        })
    }

    /// Returns what is missing of a set, or of another size than its manifest says.
    ///
    /// # Errors
    /// When its files cannot be looked at.
    pub fn fault(&self, host: &str, set: &StoredSet) -> Result<Option<String>, StoreError> {
        let dir = self.root.join(layout::set_dir(host, &set.place, &set.id)?);
        whole::fault(&dir, set)
    }

    /// Reads every file of a set and compares it with its manifest. `progress` is told of each
    /// piece's bytes.
    ///
    /// # Errors
    /// What is not as it was stored, or cannot be read.
    pub fn hash_set(
        &self,
        set: &StoredSet,
        host: &str,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), String> {
        let dir = layout::set_dir(host, &set.place, &set.id).map_err(|error| error.to_string())?;
        let fault = whole::read(&self.root.join(dir), set, &mut |_, piece| {
            progress(piece.len() as u64);
            Ok(())
        });
        match fault {
            Ok(None) => Ok(()),
            Ok(Some(fault)) => Err(fault),
            Err(error) => Err(error.to_string()),
        }
    }
}
