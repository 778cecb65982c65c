//! Locks in a store: the kernel lets go of them with the file, however a process ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::durable::NO_FOLLOW;
use super::error::StoreError;

/// How often a lock is asked for that another has.
const EVERY: Duration = Duration::from_millis(50);

/// What came of asking for a lock.
#[derive(Debug)]
pub(super) enum Asked {
    /// It is held as long as this is.
    Held(File),
    /// Another has it.
    Taken,
    /// The file system has none, and said this.
    NoLocks(io::Error),
}

/// Asks for a lock, for up to `patience`. Its file is made and stays.
pub(super) fn ask(path: &Path, patience: Duration) -> Result<Asked, StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o644).custom_flags(NO_FOLLOW);
    let file = options.open(path).map_err(StoreError::at(path))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Asked::Held(file)),
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => {
                std::thread::sleep(EVERY.min(patience));
            }
            Err(TryLockError::WouldBlock) => return Ok(Asked::Taken),
            Err(TryLockError::Error(error)) if has_no_locks(&error) => {
                return Ok(Asked::NoLocks(error));
            }
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
