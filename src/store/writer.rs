//! The one who writes a node's place in a store: its lock, its staging, and what it gathers there.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::durable::{self, NO_FOLLOW, Steps};
use super::error::StoreError;
use super::{Store, layout, names_in};
use crate::cassandra::sets::SetPlace;

/// How often a lock is asked for that another has.
const EVERY: Duration = Duration::from_millis(50);

/// Writes a node's sets. While it lives, no other does.
#[derive(Debug)]
pub struct Writer {
    pub(super) store: Store,
    pub(super) host: String,
    pub(super) staging: PathBuf,
    pub(super) steps: Steps,
    /// Opened before anything is written: `syncfs` tells of what went wrong since then.
    pub(super) root: File,
    /// One batch at a time.
    pub(super) commits: Mutex<()>,
    /// What the disk said about bytes that it was given early.
    spoilt: Mutex<Option<StoreError>>,
    remark: Option<String>,
    /// The kernel lets go of it with the file, however the process ends.
    _lock: Option<File>,
}

/// A set that is being gathered in the staging. Dropped, it stays there until it is swept.
#[derive(Debug)]
pub struct Draft {
    pub(super) dir: PathBuf,
    place: SetPlace,
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
        let root = File::open(self.root()).map_err(StoreError::at(self.root()))?;
        let mut staging = self.root().join(layout::staging(host)?);
        let (lock, remark) = match lock(&self.root().join(layout::lock(host)?), host, patience)? {
            Ok(file) => (Some(file), None),
            Err(said) => {
                // Nobody can tell then who else is there: what others have in their staging stays.
                staging = own_staging(&tmp, host)?;
                (None, Some(remark(&said)))
            }
        };
        durable::make_dir(&staging)?;
        let writer = Writer {
            store: self.clone(),
            host: host.to_owned(),
            staging,
            steps: Steps::all(),
            root,
            commits: Mutex::new(()),
            spoilt: Mutex::new(None),
            remark,
            _lock: lock,
        };
        writer.roll_forward()?;
        writer.sweep()?;
        Ok(writer)
    }
}

fn remark(said: &io::Error) -> String {
    format!(
        "the store's file system has no locks ({said}): see to it that one controller alone \
         writes a node's sets"
    )
}

fn own_staging(tmp: &Path, host: &str) -> Result<PathBuf, StoreError> {
    let made = tempfile::Builder::new().prefix(&format!("{host}.")).tempdir_in(tmp);
    Ok(made.map_err(StoreError::at(tmp))?.keep())
}

/// Returns the lock, or what a file system without locks said.
fn lock(
    path: &Path,
    host: &str,
    patience: Duration,
) -> Result<Result<File, io::Error>, StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o644).custom_flags(NO_FOLLOW);
    let file = options.open(path).map_err(StoreError::at(path))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Ok(file)),
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => {
                std::thread::sleep(EVERY.min(patience));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { host: host.to_owned() });
            }
            Err(TryLockError::Error(error)) if has_no_locks(&error) => return Ok(Err(error)),
            Err(TryLockError::Error(error)) => return Err(StoreError::io(path, error)),
        }
    }
}

fn has_no_locks(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let none = [Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL];
    error.kind() == io::ErrorKind::Unsupported
        || Errno::from_io_error(error).is_some_and(|errno| none.contains(&errno))
}

impl Writer {
    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What the operator should know: that the file system has no locks.
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
        Ok(Draft { dir, place: place.clone() })
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

    /// Throws it away at once.
    ///
    /// # Errors
    /// When its files cannot be removed.
    pub fn discard(self) -> Result<(), StoreError> {
        remove(&self.dir)
    }
}
