//! The one who writes a node's place in a store: its lock, its staging, and what it gathers there.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::disk::{Closers, Disk, Said};
use super::durable::{self, Steps};
use super::error::StoreError;
use super::lock::{self, Asked};
use super::{Store, layout, names_in};
use crate::cassandra::sets::SetPlace;

/// Writes a node's sets. While it lives, no other does.
#[derive(Debug)]
pub struct Writer {
    pub(super) store: Store,
    pub(super) host: String,
    pub(super) staging: PathBuf,
    pub(super) steps: Steps,
    pub(super) disk: Disk,
    /// One batch at a time.
    pub(super) commits: Mutex<()>,
    /// What the disk said about bytes that it was given early.
    spoilt: Mutex<Option<StoreError>>,
    pub(super) remark: Option<String>,
    /// Stagings of controllers without locks that were brought to an end.
    pub(super) ended: usize,
    /// Held as long as this lives.
    _lock: Option<File>,
}

/// A set that is being gathered in the staging. Dropped, it stays there until it is swept.
#[derive(Debug)]
pub struct Draft {
    pub(super) dir: PathBuf,
    place: SetPlace,
    /// Where only the descriptor that wrote is sure to hear of an error.
    closers: Option<Closers>,
    closed: Vec<Said>,
}

impl Store {
    /// Becomes the one that writes a node's sets, and brings to an end what the one before has
    /// left. Waits up to `patience` for another that is at it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another is still at it; or when the store cannot be written.
    pub fn writer(&self, host: &str, patience: Duration) -> Result<Writer, StoreError> {
        let tmp = self.root().join(layout::TMP);
        durable::make_dir(&tmp)?;
        let mut staging = self.root().join(layout::staging(host)?);
        let (lock, remark) = match lock::ask(&self.root().join(layout::lock(host)?), patience)? {
            Asked::Held(lock) => (Some(lock), None),
            Asked::Taken => return Err(StoreError::Locked { host: host.to_owned() }),
            Asked::NoLocks(said) => {
                // Nobody can tell then who else is there: what others have in their staging
                // stays.
                staging = own_staging(&tmp, host)?;
                (None, Some(remark(&said)))
            }
        };
        durable::make_dir(&staging)?;
        let mut writer = self.writer_in(host, staging, lock)?;
        writer.remark = remark;
        writer.roll_forward()?;
        writer.sweep()?;
        writer.end_abandoned();
        Ok(writer)
    }

    /// A writer whose staging is there.
    pub(super) fn writer_in(
        &self,
        host: &str,
        staging: PathBuf,
        lock: Option<File>,
    ) -> Result<Writer, StoreError> {
        let (nodes, manifests) = (Path::new(layout::NODES), Path::new(layout::MANIFESTS));
        let folders = [nodes, &nodes.join(host), manifests, &manifests.join(host), Path::new("")];
        let folders = folders.map(|dir| self.root().join(dir));
        Ok(Writer {
            disk: Disk::of(&staging, &folders)?,
            store: self.clone(),
            host: host.to_owned(),
            staging,
            steps: Steps::all(),
            commits: Mutex::new(()),
            spoilt: Mutex::new(None),
            remark: None,
            ended: 0,
            _lock: lock,
        })
    }
}

fn remark(said: &io::Error) -> String {
    format!(
        "the store's file system has no locks ({said}): see to it that one controller alone \
         writes a node's sets"
    )
}

/// Makes a staging that is nobody else's.
pub(super) fn own_staging(tmp: &Path, host: &str) -> Result<PathBuf, StoreError> {
    let made = tempfile::Builder::new().prefix(&format!("{host}.")).tempdir_in(tmp);
    Ok(made.map_err(StoreError::at(tmp))?.keep())
}

impl Writer {
    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What the operator should know: that the file system has no locks, or what was left by
    /// another and cannot be ended.
    pub fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// Begins to gather a set; what was gathered of the same set before is thrown away.
    ///
    /// # Errors
    /// When a word of the place is bad, or the folder cannot be made.
    pub fn begin(&self, place: &SetPlace, id: &str) -> Result<Draft, StoreError> {
        layout::place(place)?;
        let dir = self.staging.join(layout::draft_name(place, layout::id(id)?));
        match fs::create_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove(&dir)?;
                durable::make_dir(&dir)?;
            }
            made => made.map_err(StoreError::at(&dir))?,
        }
        let closers = self.disk.closers();
        Ok(Draft { dir, place: place.clone(), closers, closed: Vec::new() })
    }

    /// Returns the number that the next manifest of a run has.
    ///
    /// # Errors
    /// When the manifests cannot be listed.
    pub fn next_part(&self, run: &str) -> Result<u32, StoreError> {
        let dir = self.store.root().join(layout::manifest_dir(&self.host)?);
        let names = names_in(&dir)?;
        let parts = names.iter().filter_map(|name| layout::split_manifest(name));
        let last = parts.filter(|(of, _)| *of == run).map(|(_, part)| part).max();
        Ok(last.unwrap_or_default().saturating_add(1))
    }

    /// Takes note of what the disk said about bytes that it was given early: the kernel says so
    /// once, and whoever asks later hears nothing. No batch is stored any more.
    pub(super) fn spoil(&self, error: StoreError) {
        self.spoilt.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(super) fn is_sound(&self) -> Result<(), StoreError> {
        match &*self.spoilt.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(StoreError::Full { path }) => Err(StoreError::Full { path: path.clone() }),
            Some(error) => Err(StoreError::bad(&self.staging, error.to_string())),
        }
    }

    /// Lets the next steps that change the store be the last ones, as a power cut would. For
    /// tests.
    #[doc(hidden)]
    pub fn stop_after(&self, steps: usize) {
        self.steps.stop_after(steps);
    }

    /// Throws away what lies in the staging, but for a batch that is being put in place.
    fn sweep(&self) -> Result<(), StoreError> {
        for name in names_in(&self.staging)? {
            remove(&self.staging.join(name))?;
        }
        Ok(())
    }
}

impl Drop for Writer {
    /// What was not stored is not kept. A batch half in place is: the next writer ends it.
    fn drop(&mut self) {
        let is_open = self.staging.join(layout::COMMIT).symlink_metadata().is_ok();
        if !is_open && !self.steps.are_over() {
            // What cannot be removed now is by the next writer.
            let _ = self.sweep();
            let _ = fs::remove_dir(&self.staging);
        }
    }
}

/// Removes a file, or a folder with all in it; links are not followed.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Draft {
    /// Its folder in the staging.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes a component's file (`Data.db`).
    ///
    /// # Errors
    /// When the name is bad or was there already, or the file cannot be made.
    pub fn file(&self, component: &str) -> Result<File, StoreError> {
        let path = self.dir.join(layout::file_name(&self.place, component)?);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o644);
        options.open(&path).map_err(StoreError::at(&path))
    }

    /// Ends a file of [`Self::file`] in which all is written. What is only dropped becomes durable
    /// too; but on some servers nobody hears then of a write that failed.
    pub(super) fn close(&mut self, component: &str, file: File) {
        if let Some(closers) = &self.closers {
            let path = self.dir.join(self.place.file_name(component));
            self.closed.push(closers.close(path, file));
        }
    }

    /// Waits for the files that are being closed, and returns them; they are durable.
    pub(super) fn settle(&self) -> Result<impl Iterator<Item = &Path>, StoreError> {
        self.closed.iter().try_for_each(Said::wait)?;
        Ok(self.closed.iter().map(|said| &*said.path))
    }

    /// Throws it away at once.
    ///
    /// # Errors
    /// When its files cannot be removed.
    pub fn discard(self) -> Result<(), StoreError> {
        remove(&self.dir)
    }
}
