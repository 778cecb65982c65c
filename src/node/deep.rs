//! Reads every Data.db in `backups` on the node itself and compares it with its digest.

use std::time::Duration;

use super::Node;
use super::catalog;
use super::segments::{self, Segment};
use super::survey::Limits;
use crate::cassandra::deep::{Deep, DeepList, Sums};
use crate::cassandra::fact::Why;
use crate::inventory::NodeSpec;

/// How far the reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeepProgress {
    /// Files read.
    pub files_done: u64,
    /// Files in all, as counted at the start.
    pub files: u64,
    /// Bytes read.
    pub bytes_done: u64,
    /// Bytes in all, as counted at the start.
    pub bytes: u64,
}

/// Reads all sets. `limits.files` is for the lists, `limit` for the reading, which may take hours.
///
/// # Errors
/// When the sets could not be listed. What breaks off the reading is told in [`Deep::broke_off`],
/// beside all that was read until then.
pub async fn deep<N: Node>(
    node: &N,
    spec: &NodeSpec,
    data_dirs: &[String],
    limits: Limits,
    limit: Duration,
    on_file: &mut (dyn FnMut(DeepProgress) + Send),
) -> Result<Deep, Why> {
    let (before, may_list) = list(node, spec, data_dirs, limits).await?;
    let mut progress =
        DeepProgress { files_done: 0, files: before.count(), bytes_done: 0, bytes: before.bytes() };
    if progress.files == 0 {
        return Ok(Deep::default());
    }
    on_file(progress);
    let mut sums = Sums::new(before);
    let command = catalog::deep_sums(spec, data_dirs, may_list, limit);
    let read = segments::read(node, &command, &mut |segment| match segment {
        Segment::Word("sum", value) => {
            let bytes = sums.take(value)?;
            progress.files_done += 1;
            progress.bytes_done = progress.bytes_done.saturating_add(bytes);
            on_file(progress);
            Ok(())
        }
        Segment::Word(word, value) => Err(segments::not_understood(word, value)),
        Segment::Files(text) => Err(segments::not_understood(text, "")),
    })
    .await;
    if read.is_ok() && sums.is_clear() {
        return Ok(sums.finish(None, None));
    }
    // Something does not fit: it may have been taken away, or come back as another, meanwhile.
    match list(node, spec, data_dirs, limits).await {
        Ok((after, _)) => Ok(sums.finish(Some(&after), read.err())),
        Err(why) => Ok(sums.finish(None, Some(read.err().unwrap_or(why)))),
    }
}

/// Returns the list, and whether the account could make it without sudo.
async fn list<N: Node>(
    node: &N,
    spec: &NodeSpec,
    data_dirs: &[String],
    limits: Limits,
) -> Result<(DeepList, bool), Why> {
    let mut list = DeepList::new(data_dirs);
    let mut may_list = true;
    let command = catalog::deep_list(spec, data_dirs, limits.files);
    segments::read(node, &command, &mut |segment| match segment {
        Segment::Files(text) => list.take_digests(text),
        Segment::Word("f", value) => list.take_file(value),
        Segment::Word("walk", value) => {
            may_list = value == "yes";
            list.restart();
            Ok(())
        }
        Segment::Word(word, value) => Err(segments::not_understood(word, value)),
    })
    .await?;
    Ok((list, may_list))
}
