//! What TOC files say, and whether files are still what they were when they were listed.

use std::collections::HashMap;
use std::time::Duration;

use crate::cassandra::fact::{Why, WhyKind};
use crate::cassandra::sets::{FoundFile, FoundSet};
use crate::cassandra::{links, sstable, toc};
use crate::inventory::NodeSpec;
use crate::node::{Command, Ended, Exit, Node, answer, catalog};

/// Files a command: what goes to its input and comes back stays below a few MiB.
const FILES_A_COMMAND: usize = 20_000;

/// A file as it is now; no regular file is `None`.
type Now = Option<(u64, u64, u64, i64)>;

/// Returns what the TOC of each set lists; `None` where there is none that can be read.
///
/// # Errors
/// When the node could not be asked.
pub async fn tocs<N: Node>(
    node: &N,
    spec: &NodeSpec,
    may_read: bool,
    sets: &[&FoundSet],
    limit: Duration,
) -> Result<Vec<Option<Vec<String>>>, Why> {
    let mut found = vec![None; sets.len()];
    let toc_of = |set: &FoundSet| {
        let file = set.files.iter().find(|file| &*file.component == sstable::TOC)?;
        // Nothing is to be read off an empty one.
        (file.size > 0).then(|| set.path(file))
    };
    let wanted: Vec<(usize, String)> = (sets.iter().enumerate())
        .filter_map(|(index, set)| toc_of(set).map(|path| (index, path)))
        .collect();
    for batch in wanted.chunks(FILES_A_COMMAND) {
        let paths: Vec<String> = batch.iter().map(|(_, path)| path.clone()).collect();
        let most = paths.iter().map(|path| toc::MOST_BYTES + path.len() as u64 + 20).sum();
        let command = catalog::sets::tocs(spec, may_read, &paths, most, limit);
        let (stdout, ended) = ask(node, &command).await?;
        let tocs = toc::read(&stdout, &paths);
        if tocs.iter().any(Option::is_none) {
            fault_of(&ended)?;
        }
        for ((index, _), toc) in batch.iter().zip(tocs) {
            found[*index] = toc;
        }
    }
    Ok(found)
}

/// Looks at every file of the sets again. Of each set: whether all are still the same.
///
/// # Errors
/// When the node could not be asked.
pub async fn look_again<N: Node>(
    node: &N,
    spec: &NodeSpec,
    may_read: bool,
    sets: &[&FoundSet],
    limit: Duration,
) -> Result<Vec<Result<(), String>>, Why> {
    let paths: Vec<String> =
        sets.iter().flat_map(|set| set.files.iter().map(|file| set.path(file))).collect();
    let mut now: HashMap<String, Now> = HashMap::new();
    for batch in paths.chunks(FILES_A_COMMAND) {
        let command = catalog::sets::stat(spec, may_read, batch, limit);
        let (stdout, ended) = ask(node, &command).await?;
        let before = now.len();
        now.extend(String::from_utf8_lossy(&stdout).lines().filter_map(stat));
        if now.len() - before < batch.len() {
            fault_of(&ended)?;
        }
    }
    let same = |set: &FoundSet, file: &FoundFile| {
        let component = &file.component;
        match now.get(&set.path(file)) {
            None => Err(format!("{component} went away while it was read")),
            Some(now) if *now == Some(identity(file)) => Ok(()),
            Some(_) => Err(format!("{component} changed while it was read")),
        }
    };
    Ok(sets.iter().map(|set| set.files.iter().try_for_each(|file| same(set, file))).collect())
}

fn identity(file: &FoundFile) -> (u64, u64, u64, i64) {
    (file.device, file.inode, file.size, file.modified)
}

/// `DEVICE:INODE:SIZE:TIME:MODE:LINKS NAME`
fn stat(line: &str) -> Option<(String, Now)> {
    let (facts, path) = line.split_once(' ')?;
    let mut facts = facts.split(':');
    let mut number = || facts.next()?.parse::<u64>().ok();
    let (device, inode, size) = (number()?, number()?, number()?);
    let modified = links::time(facts.next()?)?;
    let mode = u32::from_str_radix(facts.next()?, 16).ok()?;
    let is_file = mode & 0o170_000 == 0o100_000;
    Some((path.to_owned(), is_file.then_some((device, inode, size, modified))))
}

/// Runs a command of `xargs` to its end. That some of its files are gone is no error.
async fn ask<N: Node>(node: &N, command: &Command) -> Result<(Vec<u8>, Ended), Why> {
    let output = node.run(command).await?;
    let said = crate::text::one_line(&output.ended.stderr, 200);
    match output.ended.exit {
        Exit::Code(0 | 123) => Ok((output.stdout, output.ended)),
        Exit::Code(124 | 137) => {
            Err(Why::new(WhyKind::TimedOut, "the look at the sets took too long"))
        }
        Exit::Code(_) | Exit::Signal(_) => {
            let text = format!("the look at the sets was ended: {said}");
            Err(Why::new(WhyKind::NotUnderstood, text))
        }
    }
}

/// Something is missing in an answer: gone, or not to be had.
fn fault_of(ended: &Ended) -> Result<(), Why> {
    answer::walk_fault(&String::from_utf8_lossy(&ended.stderr)).map_or(Ok(()), Err)
}
