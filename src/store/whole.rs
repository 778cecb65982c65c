//! Whether a set's files are there, and what they hold.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{Advice, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::durable::NO_FOLLOW;
use super::error::StoreError;
use super::layout;
use super::manifest::{StoredFile, StoredSet};

/// Large enough for the disk and for BLAKE3, small enough for the processor's cache.
const PIECE: usize = 256 * 1024;

/// Is given each piece of each file.
pub(super) type Each<'a> = dyn FnMut(&StoredFile, &[u8]) -> Result<(), StoreError> + 'a;

/// Asks the file system for each file of a set: there, regular, of the recorded size. Returns
/// what is not so.
pub(super) fn fault(dir: &Path, set: &StoredSet) -> Result<Option<String>, StoreError> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let folder = match rustix::fs::open(dir, flags, Mode::empty()) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Ok(Some("its folder is missing".to_owned())),
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Some("its folder is none".to_owned())),
        Err(error) => return Err(StoreError::io(dir, error.into())),
    };
    for file in &set.files {
        let name = layout::file_name(&set.place, &file.component)?;
        let shown = crate::text::visible(&file.component);
        match rustix::fs::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => {
                return Ok(Some(format!("{shown} is no regular file")));
            }
            Ok(stat) if u64::try_from(stat.st_size) != Ok(file.size) => {
                return Ok(Some(format!(
                    "{shown} has {} bytes and not the {} that were stored",
                    stat.st_size, file.size
                )));
            }
            Ok(_) => {}
            Err(Errno::NOENT) => return Ok(Some(format!("{shown} is missing"))),
            Err(error) => return Err(StoreError::io(&dir.join(name), error.into())),
        }
    }
    Ok(None)
}

/// Reads every file of a set and compares it with what was recorded; `each` is given each piece.
/// Returns what is not as it was stored, a file that cannot be read included.
pub(super) fn read(
    dir: &Path,
    set: &StoredSet,
    each: &mut Each<'_>,
) -> Result<Option<String>, StoreError> {
    if let Some(fault) = fault(dir, set)? {
        return Ok(Some(fault));
    }
    let mut piece = vec![0; PIECE];
    for file in &set.files {
        let path = dir.join(layout::file_name(&set.place, &file.component)?);
        let shown = crate::text::visible(&file.component);
        let mut reader = match open(&path) {
            Ok(reader) => reader,
            Err(error) => return Ok(Some(format!("{shown} cannot be read: {error}"))),
        };
        let mut hasher = blake3::Hasher::new();
        loop {
            let count = match reader.read(&mut piece) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Some(format!("{shown} cannot be read: {error}"))),
            };
            if count == 0 {
                break;
            }
            hasher.update(&piece[..count]);
            each(file, &piece[..count])?;
        }
        if hasher.finalize().to_hex().as_str() != file.blake3 {
            return Ok(Some(format!("{shown} is not what was stored: its BLAKE3 is another")));
        }
    }
    Ok(None)
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path)?;
    // What the disk holds is asked for, not what memory still does; advice, so no fault.
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::Sequential);
    Ok(file)
}
