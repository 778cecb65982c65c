//! A set as it comes: what of it has come, and whether it is what the node listed.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::SetFault;
use crate::cassandra::sets::{FoundFile, FoundSet};
use crate::store::error::StoreError;
use crate::store::manifest::{StoredFile, StoredSet};
use crate::store::writer::Draft;

/// The component that `Digest.crc32` is about.
pub(super) const DATA: &str = "Data.db";

/// A decimal number of 32 bits, with some room for white space.
const LONGEST_DIGEST: usize = 32;

/// What has come of a set.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    files: Vec<StoredFile>,
    data: Option<u32>,
    /// The number in the `Digest.crc32` that came, if one came, and if it holds one.
    told: Option<Option<u32>>,
}

impl Gathered {
    /// Takes a file in whose content is at hand.
    pub(super) fn add(&mut self, file: &FoundFile, content: &[u8]) {
        match &*file.component {
            DATA => self.data = Some(crc32fast::hash(content)),
            "Digest.crc32" => self.told = Some(number(content)),
            _ => {}
        }
        self.add_hashed(file, &blake3::hash(content), None);
    }

    /// Takes a file in that was hashed as it came.
    pub(super) fn add_hashed(&mut self, file: &FoundFile, hash: &blake3::Hash, crc: Option<u32>) {
        self.data = self.data.or(crc);
        self.files.push(StoredFile {
            component: file.component.to_string(),
            size: file.size,
            modified: file.modified,
            inode: file.inode,
            blake3: hash.to_hex().to_string(),
        });
    }

    /// Returns the set, when all of it has come as it was listed.
    pub(super) fn finish(self, found: &FoundSet) -> Result<StoredSet, SetFault> {
        let has_come = |file: &&FoundFile| {
            self.files.iter().any(|stored| *stored.component == *file.component)
        };
        if let Some(file) = found.files.iter().find(|file| !has_come(file)) {
            return Err(SetFault::Missing { component: file.component.to_string() });
        }
        let digest = match (found.digest, self.told) {
            (Some(listed), Some(told)) if told != Some(listed) => {
                return Err(SetFault::Changed { component: "Digest.crc32".to_owned() });
            }
            (None, Some(None)) => return Err(SetFault::NoNumber),
            (Some(listed), _) => Some(listed),
            (None, told) => told.flatten(),
        };
        if let (Some(was), Some(is)) = (digest, self.data)
            && was != is
        {
            return Err(SetFault::Digest { was, is });
        }
        Ok(StoredSet {
            place: found.place.clone(),
            id: found.id(),
            found_in: vec![found.origin.clone()],
            digest,
            files: self.files,
        })
    }
}

fn number(content: &[u8]) -> Option<u32> {
    let text = content.get(..content.len().min(LONGEST_DIGEST + 1))?;
    std::str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST_DIGEST)?.trim().parse().ok()
}

/// Writes a file whose content is at hand.
pub(super) fn write(draft: &mut Draft, file: &FoundFile, content: &[u8]) -> Result<(), StoreError> {
    let mut opened = draft.file(&file.component)?;
    let written = opened.write_all(content).and_then(|()| stamp(&opened, file.modified));
    written.map_err(|error| StoreError::io(draft.dir(), error))?;
    draft.close(&file.component, opened);
    Ok(())
}

/// Gives a file the time that it has on the node.
pub(in crate::store) fn stamp(file: &File, modified: i64) -> std::io::Result<()> {
    let distance = Duration::from_nanos(modified.unsigned_abs());
    let time: Option<SystemTime> = if modified < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    time.map_or(Ok(()), |time| file.set_modified(time))
}
