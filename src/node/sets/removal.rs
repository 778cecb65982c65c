//! Removes sets from `backups`: exact names, each file only while it is what it was.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use crate::cassandra::fact::Why;
use crate::cassandra::sets::{FoundFile, FoundSet, Origin};
use crate::cassandra::shelf::{is_index_folder, is_keyspace, is_table_folder};
use crate::cassandra::sstable;
use crate::inventory::NodeSpec;
use crate::node::refusal::refusal;
use crate::node::segments::{self, Segment};
use crate::node::{Node, catalog};

/// Files a command: a line that breaks leaves no more of them in doubt.
const FILES_A_COMMAND: usize = 2000;

/// What became of sets that were to be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// The sets in their order, as far as it came.
    pub sets: Vec<Removed>,
    /// Why it came no further. Of the sets after those above some may be gone too, in whole or in
    /// part: what is left goes when it is asked for again.
    pub broke_off: Option<Why>,
}

/// What became of one set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Files that were there and are gone. A file that was gone before is not counted.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of those that no other link held right before.
    pub freed_bytes: u64,
    /// Why the set, or some of it, was left.
    pub left: Option<String>,
}

/// Removes the sets' files. Of a set with a file that is another by now nothing is taken; one that
/// lacks files was removed in part before, and the rest goes.
///
/// `limit` is for each command; there is one for some 2,000 files.
pub async fn remove<N: Node>(
    node: &N,
    spec: &NodeSpec,
    sets: &[FoundSet],
    limit: Duration,
) -> Removal {
    let mut removal = Removal::default();
    let mut named = HashSet::new();
    let mut rest = sets;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(batch_length(rest));
        rest = after;
        let may: Vec<Result<(), String>> = batch
            .iter()
            .map(|set| match may_be_removed(set) {
                Ok(()) if !named.insert((&set.dir, &set.place.descriptor)) => {
                    Err("it was named twice".to_owned())
                }
                may => may,
            })
            .collect();
        match remove_batch(node, spec, batch, &may, limit).await {
            Ok(removed) => removal.sets.extend(removed),
            Err(why) => {
                removal.broke_off = Some(why);
                return removal;
            }
        }
    }
    removal
}

/// How many of the sets go into one command; at least one.
fn batch_length(sets: &[FoundSet]) -> usize {
    let mut files = 0;
    let fits = sets.iter().take_while(|set| {
        files += set.files.len();
        files <= FILES_A_COMMAND
    });
    fits.count().max(1)
}

/// Whether a set lies where clean may remove, by structure: in a table's own `backups`, or in the
/// folder of an index there.
fn may_be_removed(set: &FoundSet) -> Result<(), String> {
    if let Some(why) = &set.untouchable {
        return Err(why.to_string());
    }
    let place = &set.place;
    let has_id = sstable::split_table_folder(&place.folder).1.is_some();
    let is_table = is_keyspace(&place.keyspace) && is_table_folder(&place.folder) && has_id;
    let is_index = place.index.as_deref().is_none_or(is_index_folder);
    let index = place.index.as_ref().map(|index| format!("/{index}")).unwrap_or_default();
    let tail = format!("/{}/{}/backups{index}", place.keyspace, place.folder);
    let is_below = set.dir.strip_suffix(&tail).is_some_and(is_plain_path);
    if set.origin != Origin::Backups || !is_table || !is_index || !is_below {
        return Err("it does not lie in a table's own backups folder".to_owned());
    }
    let is_component = |file: &FoundFile| {
        let name = place.file_name(&file.component);
        sstable::split_name(&name) == Some((place.descriptor.as_str(), &*file.component))
    };
    if set.files.iter().all(is_component) {
        Ok(())
    } else {
        Err("it holds a file that is no component's".to_owned())
    }
}

/// Whether a data folder's path is absolute, leads nowhere else, and fits on a line.
fn is_plain_path(path: &str) -> bool {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_plain))
        && !path.chars().any(char::is_control)
}

/// What one look at the files showed: what stat says of each, and its number of links.
type Look = HashMap<String, (String, u64)>;

async fn remove_batch<N: Node>(
    node: &N,
    spec: &NodeSpec,
    sets: &[FoundSet],
    may: &[Result<(), String>],
    limit: Duration,
) -> Result<Vec<Removed>, Why> {
    let mut lines = String::new();
    for (number, (set, _)) in sets.iter().zip(may).enumerate().filter(|(_, (_, may))| may.is_ok()) {
        for file in &set.files {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{}\t0\t{}\t{number}", set.path(file), identity(file));
        }
    }
    let (mut before, mut after, mut said) = (None, None, String::new());
    if !lines.is_empty() {
        let command = catalog::sets::remove(spec, &lines, limit);
        segments::read(node, &command, &mut |segment| {
            match segment {
                Segment::Word("before", value) => before = Some(look(value)?),
                Segment::Word("after", value) => after = Some(look(value)?),
                Segment::Word("rm-errors", value) => {
                    said = match refusal(value) {
                        Some(why) => format!("{why}: {}", why.hint()),
                        None => crate::text::one_line(value.as_bytes(), 200),
                    };
                }
                Segment::Word(word, value) => return Err(segments::not_understood(word, value)),
                Segment::Files(text) => return Err(segments::not_understood(text, "")),
            }
            Ok(())
        })
        .await?;
        if before.is_none() || after.is_none() {
            return Err(segments::not_understood("the removal's answer lacks a part", ""));
        }
    }
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let fate = |(set, may): (&FoundSet, &Result<(), String>)| match may {
        Ok(()) => fate(set, &before, &after, &said),
        Err(why) => Removed { left: Some(why.clone()), ..Removed::default() },
    };
    Ok(sets.iter().zip(may).map(fate).collect())
}

fn fate(set: &FoundSet, before: &Look, after: &Look, said: &str) -> Removed {
    let mut removed = Removed::default();
    for file in &set.files {
        let path = set.path(file);
        let is_it = |(what, _): &&(String, u64)| is_same(what, file);
        match (before.get(&path), after.get(&path)) {
            (None, None) => {}
            (Some(found), None) if is_it(&found) => {
                removed.files += 1;
                removed.bytes = removed.bytes.saturating_add(file.size);
                if found.1 == 1 {
                    removed.freed_bytes = removed.freed_bytes.saturating_add(file.size);
                }
            }
            (Some(_), None) => {}
            (_, Some(found)) if is_it(&found) => {
                let why = if said.is_empty() { "it is still there" } else { said };
                removed.left.get_or_insert_with(|| why.to_owned());
            }
            (_, Some(_)) => {
                // This is the reason; that the others are still there comes of it.
                let why = format!("{} is another file by now", file.component);
                removed.left = Some(why);
            }
        }
    }
    removed
}

/// `DEVICE:INODE:SIZE:TIME`, as stat prints it.
fn identity(file: &FoundFile) -> String {
    let (seconds, nanos) =
        (file.modified.div_euclid(1_000_000_000), file.modified.rem_euclid(1_000_000_000));
    format!("{}:{}:{}:{seconds}.{nanos:09}", file.device, file.inode, file.size)
}

fn is_same(what: &str, file: &FoundFile) -> bool {
    let kind = what.strip_prefix(&identity(file));
    matches!(kind, Some(":regular file" | ":regular empty file"))
}

/// Reads lines `PATH <tab> 1 <tab> WHAT <tab> LINKS`.
fn look(text: &str) -> Result<Look, Why> {
    let row = |line: &str| {
        let mut fields = line.split('\t');
        let (path, _) = (fields.next()?, fields.next()?);
        let (what, links) = (fields.next()?.to_owned(), fields.next()?.parse().ok()?);
        Some((path.to_owned(), (what, links)))
    };
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| row(line).ok_or_else(|| segments::not_understood("before", line))).collect()
}
