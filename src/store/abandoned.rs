//! What controllers left that died where there are no locks: nobody can tell at once that they are
//! dead, but nobody works a day without writing something.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::error::StoreError;
use super::writer::{Writer, own_staging};
use super::{layout, names_in};

/// Nothing was written for so long: its controller is dead.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

impl Writer {
    /// Ends the batches that lie in the stagings of such controllers, and sweeps these. What
    /// cannot be ended stays as it is, is remarked, and holds nobody up.
    pub(super) fn end_abandoned(&mut self) {
        let tmp = self.store.root().join(layout::TMP);
        let begin = format!("{}.", self.host);
        for name in names_in(&tmp).unwrap_or_default() {
            let dir = tmp.join(&name);
            let is_staging = name.starts_with(&begin)
                && dir != self.staging
                && dir.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
            if !is_staging {
                continue;
            }
            match self.end(&tmp, &dir) {
                Ok(has_ended) => self.ended += usize::from(has_ended),
                Err(error) => {
                    let text = format!("what another left in {} stays: {error}", dir.display());
                    let before = self.remark.take().map(|before| before + "; ");
                    self.remark = Some(before.unwrap_or_default() + &text);
                }
            }
        }
    }

    /// Returns whether a staging was old, and ours to end.
    fn end(&self, tmp: &Path, dir: &Path) -> Result<bool, StoreError> {
        let Some(claimed) = self.claim(tmp, dir)? else { return Ok(false) };
        // It sweeps when it is dropped.
        self.store.writer_in(&self.host, claimed, None)?.roll_forward()?;
        Ok(true)
    }

    /// Gives an old staging a name of our own, as others may be about to do the same.
    fn claim(&self, tmp: &Path, dir: &Path) -> Result<Option<PathBuf>, StoreError> {
        let claimed = own_staging(tmp, &self.host)?;
        // It was made just now, by the clock that gave the others their times.
        let now = claimed.metadata().and_then(|metadata| metadata.modified());
        let taken = now.and_then(|now| {
            let age = now.duration_since(last_change(dir, now)?);
            if age.is_ok_and(|age| age > LONG) {
                // From here on it is young for everybody else.
                File::open(dir)?.set_modified(now)?;
                fs::rename(dir, &claimed).map(|()| true)
            } else {
                Ok(false)
            }
        });
        if !matches!(taken, Ok(true)) {
            let _ = fs::remove_dir(&claimed);
        }
        match taken {
            Ok(is_taken) => Ok(is_taken.then_some(claimed)),
            // Another was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(dir, error)),
        }
    }
}

/// When something in a staging was changed last. A large file that is just coming changes neither
/// its folder nor the staging, so it is asked itself. One that is whole has its node's time, which
/// may be any: what lies far ahead says nothing.
fn last_change(staging: &Path, now: SystemTime) -> io::Result<SystemTime> {
    let mut last = staging.symlink_metadata()?.modified()?;
    let mut dirs = vec![staging.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                dirs.push(entry.path());
            }
            let changed = metadata.modified()?;
            if changed.duration_since(now).is_ok_and(|ahead| ahead > LONG) {
                continue;
            }
            last = last.max(changed);
        }
    }
    Ok(last)
}
