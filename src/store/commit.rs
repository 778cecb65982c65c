//! How a batch of sets becomes part of a store: all of it or nothing, whenever it is stopped.
//!
//! 1. The files in the staging are on the disk.
//! 2. The batch's manifest is in the staging and on the disk. From here on the batch counts:
//!    whoever writes this node's place next goes on with it.
//! 3. The sets' folders are renamed into their places.
//! 4. That is on the disk.
//! 5. The manifest is renamed into its place, and that is on the disk.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::error::StoreError;
use super::manifest::{Manifest, StoredSet};
use super::writer::{Draft, Writer, remove};
use super::{durable, layout, papers, whole};

/// The manifest while it is written.
const PART: &str = "commit.part";

/// Begins the name of what is moved out of the way for a whole set.
const OLD: &str = "old.";

impl Writer {
    /// Stores a batch: the drafts' sets, and in the manifest also sets that are in the store
    /// already. A damaged set of the same place and id is replaced.
    ///
    /// # Errors
    /// When something is missing or the disk says no. After an error the batch is stored whole or
    /// not at all; the next writer, or the next batch, finds out which and ends it.
    pub fn commit(&self, manifest: Manifest, drafts: Vec<Draft>) -> Result<(), StoreError> {
        let _one = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        self.roll_forward()?;
        self.look_at(&manifest, &drafts)?;
        let paper = self.staging.join(layout::COMMIT);
        let bytes = papers::bytes(&paper, &manifest)?;
        self.steps.sync_all(&self.disk, &self.paths(&manifest, &drafts)?)?;
        self.is_sound()?;
        self.make_places(&manifest)?;
        self.steps.write(&self.staging.join(PART), &paper, &bytes)?;
        self.put_in_place(&manifest)
    }

    /// Ends a batch that was being put in place when its writer was stopped.
    pub(super) fn roll_forward(&self) -> Result<(), StoreError> {
        let paper = self.staging.join(layout::COMMIT);
        let Some(bytes) = durable::read_file(&paper)? else { return Ok(()) };
        let mut manifest = match papers::manifest(&paper, &bytes, &self.host, None) {
            Ok(manifest) => manifest,
            // It was renamed there whole: only a disk that lost it makes it another. What it
            // names does not count without it, and is still on the node.
            Err(StoreError::Bad { .. }) => return remove(&paper),
            Err(error) => return Err(error),
        };
        let named = manifest.sets.len();
        let mut there = Vec::with_capacity(named);
        for set in manifest.sets {
            let is_draft = self.draft_of(&set).symlink_metadata().is_ok();
            if is_draft || whole::fault(&self.place_of(&set)?, &set)?.is_none() {
                there.push(set);
            }
        }
        manifest.sets = there;
        if manifest.sets.is_empty() {
            return remove(&paper);
        }
        let to = layout::manifest(&self.host, &manifest.run, manifest.part)?;
        let is_taken = self.store.root().join(to).symlink_metadata().is_ok();
        if is_taken {
            // Without locks, the run went on before this batch was ended.
            manifest.part = self.next_part(&manifest.run)?;
        }
        // Or somebody has removed a set by hand since: the others must not wait for it for ever.
        if is_taken || manifest.sets.len() < named {
            let bytes = papers::bytes(&paper, &manifest)?;
            self.steps.write(&self.staging.join(PART), &paper, &bytes)?;
        }
        self.put_in_place(&manifest)
    }

    /// Makes the folders before the batch counts: a full disk, or one that is another's, stops it
    /// before that.
    fn make_places(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let mut dirs = BTreeSet::from([layout::manifest_dir(&self.host)?]);
        for set in &manifest.sets {
            dirs.insert(layout::table_dir(&self.host, &set.place)?);
        }
        let device = |dir: &Path| dir.metadata().map(|m| m.dev()).map_err(StoreError::at(dir));
        let own = device(&self.staging)?;
        for dir in dirs.into_iter().map(|dir| self.store.root().join(dir)) {
            self.steps.make_dirs(self.store.root(), &dir)?;
            if device(&dir)? != own {
                return Err(durable::elsewhere(&dir));
            }
        }
        Ok(())
    }

    /// Refuses a batch that could not be stored whole.
    fn look_at(&self, manifest: &Manifest, drafts: &[Draft]) -> Result<(), StoreError> {
        let path =
            self.store.root().join(layout::manifest(&self.host, &manifest.run, manifest.part)?);
        if path.symlink_metadata().is_ok() {
            return Err(StoreError::bad(&path, "there is such a manifest already"));
        }
        if manifest.node.host_id != self.host {
            return Err(StoreError::bad(&path, "it is of another node than its writer's"));
        }
        papers::check(&path, manifest)?;
        let mut dirs: HashSet<&Path> = drafts.iter().map(|draft| &*draft.dir).collect();
        for set in &manifest.sets {
            let draft = self.draft_of(set);
            let (dir, what) = if dirs.remove(&*draft) {
                (draft, "gathered")
            } else {
                (self.place_of(set)?, "in the store")
            };
            if let Some(fault) = whole::fault(&dir, set)? {
                return Err(StoreError::bad(&dir, format!("not whole as {what}: {fault}")));
            }
        }
        match dirs.into_iter().next() {
            Some(dir) => Err(StoreError::bad(dir, "gathered, but the manifest does not name it")),
            None => Ok(()),
        }
    }

    fn draft_of(&self, set: &StoredSet) -> PathBuf {
        self.staging.join(layout::draft_name(&set.place, &set.id))
    }

    fn place_of(&self, set: &StoredSet) -> Result<PathBuf, StoreError> {
        Ok(self.store.root().join(layout::set_dir(&self.host, &set.place, &set.id)?))
    }

    /// All files of the drafts that are not durable yet, their folders, and the staging's.
    fn paths(&self, manifest: &Manifest, drafts: &[Draft]) -> Result<Vec<PathBuf>, StoreError> {
        let dirs: HashSet<&Path> = drafts.iter().map(|draft| &*draft.dir).collect();
        let mut closed = HashSet::new();
        for draft in drafts {
            closed.extend(draft.settle()?);
        }
        let mut paths = Vec::new();
        for set in &manifest.sets {
            let dir = self.draft_of(set);
            if !dirs.contains(&*dir) {
                continue;
            }
            for file in &set.files {
                let path = dir.join(layout::file_name(&set.place, &file.component)?);
                if !closed.contains(&*path) {
                    paths.push(path);
                }
            }
            paths.push(dir);
        }
        paths.push(self.staging.clone());
        Ok(paths)
    }

    fn put_in_place(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let root = self.store.root();
        let mut touched = BTreeSet::new();
        for set in &manifest.sets {
            let place = self.place_of(set)?;
            let above = place.parent().unwrap_or(root);
            self.steps.make_dirs(root, above)?;
            self.put_set(set, &place)?;
            touched.extend(above.ancestors().take_while(|dir| *dir != root).map(Path::to_owned));
        }
        let to = root.join(layout::manifest(&self.host, &manifest.run, manifest.part)?);
        let papers = to.parent().unwrap_or(root);
        self.steps.make_dirs(root, papers)?;
        touched.extend(papers.ancestors().skip(1).map_while(|dir| {
            let is_inside = dir.starts_with(root);
            is_inside.then(|| dir.to_owned())
        }));
        self.steps.sync_all(&self.disk, &touched.into_iter().collect::<Vec<_>>())?;
        self.steps.rename(&self.staging.join(layout::COMMIT), &to)?;
        self.steps.sync_dir(papers)?;
        self.drop_old()
    }

    /// Puts one set in its place; it may be there from before the batch was stopped.
    fn put_set(&self, set: &StoredSet, place: &Path) -> Result<(), StoreError> {
        let draft = self.draft_of(set);
        if draft.symlink_metadata().is_err() {
            // Either it was renamed before, or it has been in the store all along.
            return match whole::fault(place, set)? {
                None => Ok(()),
                Some(fault) => Err(StoreError::bad(place, fault)),
            };
        }
        if place.symlink_metadata().is_ok() {
            if whole::read(place, set, &mut |_, _| Ok(()))?.is_none() {
                return remove(&draft);
            }
            let name = layout::draft_name(&set.place, &set.id);
            let old = self.staging.join(format!("{OLD}{name}"));
            remove(&old)?;
            self.steps.rename(place, &old)?;
        }
        self.steps.rename(&draft, place)
    }

    /// Throws away what was replaced, now that what replaces it is on the disk.
    fn drop_old(&self) -> Result<(), StoreError> {
        for name in super::names_in(&self.staging)? {
            if name.starts_with(OLD) {
                remove(&self.staging.join(name))?;
            }
        }
        Ok(())
    }
}
