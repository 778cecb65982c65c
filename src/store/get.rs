//! Lays sets out in a folder, so that Cassandra's own tools take them.
//!
//! ```text
//! FOLDER/<number>/<keyspace>/<table>[/.<index>]/<component files>
//! ```
//!
//! `sstableloader` wants keyspace and table as the last two folders, `nodetool import` any folder.
//! One folder holds a file's name once, but a descriptor may come back with other content, and a
//! table may have been dropped and made again: then they lie in folders of different numbers, the
//! older in the lower one, each to be loaded by itself.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use globset::GlobMatcher;
use serde::Serialize;

use super::error::StoreError;
use super::holdings::Held;
use super::manifest::StoredSet;
use super::{Store, layout, names_in, whole};
use crate::cassandra::sets::{Origin, PAPERS};
use crate::cassandra::sstable;

/// Which sets of a node are wanted.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Of these tables, `keyspace.table`.
    pub tables: Option<GlobMatcher>,
    /// Only these descriptors; all when empty.
    pub descriptors: Vec<String>,
    /// Only those that a snapshot of this name holds, its papers too.
    pub snapshot: Option<String>,
}

/// What was laid out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Got {
    /// Sets.
    pub sets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The folders of tables that were made, relative to the folder asked for; those of lower
    /// numbers hold what is older.
    pub folders: Vec<PathBuf>,
    /// Sets that could not be laid out, and why. Nothing is left of them.
    pub failed: Vec<(String, String)>,
    /// What is not known: manifests that could not be read.
    pub unknown: Vec<String>,
}

impl Choice {
    fn means(&self, set: &StoredSet) -> bool {
        let place = &set.place;
        let is_named = self.descriptors.is_empty() || self.descriptors.contains(&place.descriptor);
        let is_in = self.snapshot.as_ref().is_none_or(|tag| {
            set.found_in.iter().any(|origin| match origin {
                Origin::Snapshot(of) => of == tag,
                Origin::Backups => false,
            })
        });
        let is_wanted =
            place.descriptor != PAPERS || self.snapshot.is_some() || !self.descriptors.is_empty();
        let is_table = self.tables.as_ref().is_none_or(|glob| glob.is_match(place.table()));
        is_table && is_named && is_in && is_wanted
    }
}

impl Store {
    /// Copies the chosen sets of a node into `into`, which must be empty or not there. Each file
    /// is hashed as it is copied. `progress` is told of each piece's bytes.
    ///
    /// # Errors
    /// When the store cannot be looked at, or `into` cannot be written. A set that is damaged is
    /// among [`Got::failed`].
    pub fn get(
        &self,
        host: &str,
        choice: &Choice,
        into: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Got, StoreError> {
        // Where a set was found is known when all manifests are read.
        let holdings = self.holdings(host, &mut |set| {
            choice.tables.as_ref().is_none_or(|glob| glob.is_match(set.place.table()))
        })?;
        let mut got = Got {
            unknown: holdings.unread.iter().map(ToString::to_string).collect(),
            ..Got::default()
        };
        let chosen: Vec<&Held> = holdings.iter().filter(|held| choice.means(&held.set)).collect();
        if chosen.is_empty() {
            return Ok(got);
        }
        match fs::create_dir(into) {
            Err(_) if into.is_dir() && names_in(into)?.is_empty() => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(StoreError::bad(into, "it is there already, and not empty"));
            }
            made => made.map_err(StoreError::at(into))?,
        }
        let mut folders = std::collections::BTreeSet::new();
        for (held, folder) in places(chosen) {
            let dir = folder.join(held.set.place.index.as_deref().unwrap_or_default());
            match self.copy(host, &held.set, &into.join(dir), progress)? {
                None => {
                    got.sets += u64::from(held.set.place.descriptor != PAPERS);
                    got.bytes = got.bytes.saturating_add(held.set.bytes());
                    folders.insert(folder);
                }
                Some(fault) => got.failed.push((held.set.place.to_string(), fault)),
            }
        }
        got.folders = folders.into_iter().collect();
        Ok(got)
    }

    /// Copies one set; returns what is wrong with it.
    fn copy(
        &self,
        host: &str,
        set: &StoredSet,
        dir: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<String>, StoreError> {
        fs::create_dir_all(dir).map_err(StoreError::at(dir))?;
        let from = self.root().join(layout::set_dir(host, &set.place, &set.id)?);
        let mut made: Vec<(PathBuf, File)> = Vec::new();
        let copied = copy_files(&from, set, dir, &mut made, progress);
        for (file, (path, opened)) in set.files.iter().zip(made) {
            match &copied {
                Ok(None) => {
                    super::intake::stamp(&opened, file.modified).map_err(StoreError::at(&path))?
                }
                // What is not whole must not be taken for a set.
                Ok(Some(_)) | Err(_) => fs::remove_file(&path).map_err(StoreError::at(&path))?,
            }
        }
        copied
    }
}

/// Copies the files of a set; those that were made are in `made`, in the order of the set's.
fn copy_files(
    from: &Path,
    set: &StoredSet,
    dir: &Path,
    made: &mut Vec<(PathBuf, File)>,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<String>, StoreError> {
    for file in &set.files {
        let path = dir.join(layout::file_name(&set.place, &file.component)?);
        let opened = OpenOptions::new().write(true).create_new(true).open(&path);
        made.push((path.clone(), opened.map_err(StoreError::at(&path))?));
    }
    whole::read(from, set, &mut |file, piece| {
        progress(piece.len() as u64);
        let at = set.files.iter().position(|known| known.component == file.component);
        match at.and_then(|at| made.get_mut(at)) {
            Some((path, opened)) => opened.write_all(piece).map_err(StoreError::at(path)),
            None => Ok(()),
        }
    })
}

/// Gives each set the folder of its table, in which no other has its name.
fn places(mut chosen: Vec<&Held>) -> Vec<(&Held, PathBuf)> {
    chosen.sort_by_key(|held| {
        (held.set.place.folder.clone(), held.set.newest(), held.set.place.clone())
    });
    let mut folders_of: BTreeMap<(&str, &str), Vec<(&str, HashSet<_>)>> = BTreeMap::new();
    let mut placed = Vec::new();
    for held in chosen {
        let place = &held.set.place;
        let table = sstable::split_table_folder(&place.folder).0;
        let folders = folders_of.entry((&place.keyspace, table)).or_default();
        let name = (&place.index, &place.descriptor);
        let free = folders
            .iter()
            .position(|(folder, taken)| *folder == place.folder && !taken.contains(&name));
        let at = free.unwrap_or(folders.len());
        if at == folders.len() {
            folders.push((&place.folder, HashSet::new()));
        }
        folders[at].1.insert(name);
        let folder = PathBuf::from((at + 1).to_string()).join(&place.keyspace).join(table);
        placed.push((held, folder));
    }
    placed
}
