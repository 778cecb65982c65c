//! The file system, so that what was done is on the disk: folders, files, renames and their order.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::disk::Disk;
use super::error::StoreError;

/// Batches of more files are made durable as a whole file system at once. Below, file by file is
/// as quick, and waits for nobody else's bytes.
const MOST_SINGLY: usize = 48;

/// Side by side, file systems put several files into one write of their journal, and a server far
/// away answers all in the time of one.
pub(super) const SIDE_BY_SIDE: usize = 8;

/// No manifest is larger: a guard for the memory of who reads it, ten times what 100,000 files
/// need.
pub(super) const LARGEST_PAPER: u64 = 256 << 20;

/// The steps that change a store, one after the other. A test lets it stop before any of them, as
/// a power cut would.
#[derive(Debug)]
pub(super) struct Steps {
    left: AtomicUsize,
}

impl Steps {
    /// All of them.
    pub(super) const fn all() -> Self {
        Self { left: AtomicUsize::new(usize::MAX) }
    }

    pub(super) fn stop_after(&self, steps: usize) {
        self.left.store(steps, Ordering::Relaxed);
    }

    /// Whether the next one would stop.
    pub(super) fn are_over(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    fn take(&self, path: &Path) -> Result<(), StoreError> {
        if self.are_over() {
            return Err(StoreError::io(path, io::Error::other("stopped for a test")));
        }
        self.left.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.take(to)?;
        fs::rename(from, to).map_err(|error| {
            let is_elsewhere = error.kind() == io::ErrorKind::CrossesDevices;
            if is_elsewhere { elsewhere(to) } else { StoreError::io(to, error) }
        })
    }

    /// Makes a folder and those above it, down from `root`.
    pub(super) fn make_dirs(&self, root: &Path, dir: &Path) -> Result<(), StoreError> {
        let missing: Vec<&Path> =
            dir.ancestors().take_while(|at| *at != root && !at.is_dir()).collect();
        for dir in missing.into_iter().rev() {
            self.take(dir)?;
            make_dir(dir)?;
        }
        Ok(())
    }

    /// Writes a file whole, beside its place, and puts it there.
    pub(super) fn write(&self, beside: &Path, to: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        self.take(to)?;
        write_file(beside, bytes)?;
        self.rename(beside, to)?;
        self.sync_dir(to.parent().unwrap_or(to))
    }

    pub(super) fn sync_dir(&self, dir: &Path) -> Result<(), StoreError> {
        self.take(dir)?;
        sync(dir)
    }

    pub(super) fn sync_all(&self, disk: &Disk, paths: &[PathBuf]) -> Result<(), StoreError> {
        let Some(first) = paths.first() else { return Ok(()) };
        self.take(first)?;
        match disk {
            Disk::Whole(dir) if paths.len() > MOST_SINGLY => {
                rustix::fs::syncfs(dir).map_err(|error| StoreError::io(first, error.into()))
            }
            Disk::Whole(_) | Disk::Singly(_) => sync_singly(paths),
        }
    }
}

/// What is said of a folder into which nothing can be moved.
pub(super) fn elsewhere(path: &Path) -> StoreError {
    let what =
        "it lies on another file system than the store's staging: nothing can be moved there";
    StoreError::io(path, io::Error::new(io::ErrorKind::CrossesDevices, what))
}

/// Makes a folder; one that is there is fine.
pub(super) fn make_dir(dir: &Path) -> Result<(), StoreError> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        made => made.map_err(StoreError::at(dir)),
    }
}

/// Writes a file anew and makes it durable.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o644).custom_flags(NO_FOLLOW);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(StoreError::at(path))
}

/// `O_NOFOLLOW`: what is ours is never a link to somewhere else.
pub(super) const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// Reads a file of ours; `None` when there is none.
pub(super) fn read_file(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let file = match OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io(path, error)),
    };
    let metadata = file.metadata().map_err(StoreError::at(path))?;
    if !metadata.is_file() || metadata.len() > LARGEST_PAPER {
        return Err(StoreError::bad(path, "no file that ringhaul writes"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_PAPER).read_to_end(&mut bytes).map_err(StoreError::at(path))?;
    Ok(Some(bytes))
}

/// Makes a file or folder durable.
fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(StoreError::at(path))
}

fn sync_singly(paths: &[PathBuf]) -> Result<(), StoreError> {
    let next = AtomicUsize::new(0);
    let fault: Mutex<Option<StoreError>> = Mutex::new(None);
    let work = || {
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = sync(path) {
                // A poisoned lock still holds what is wanted of it.
                let mut fault = fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                fault.get_or_insert(error);
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..SIDE_BY_SIDE.min(paths.len()) {
            scope.spawn(work);
        }
        work();
    });
    let fault = fault.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    fault.map_or(Ok(()), Err)
}
