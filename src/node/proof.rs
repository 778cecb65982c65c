//! The proof that links appear in `backups`: flush a table, and look for the very set of it.

use std::time::Duration;

use super::catalog::{self, Nodetool};
use super::segments::{self, Segment};
use super::survey::Limits;
use super::{Command, Node, Output};
use crate::cassandra::fact::{Why, WhyKind};
use crate::cassandra::links::{Listing, Look, MadeSet, Watch};
use crate::cassandra::nodetool::failure;
use crate::cassandra::proof::{Proof, Seen};
use crate::cassandra::sstable;
use crate::cassandra::table_name::TableName;
use crate::inventory::NodeSpec;

/// How long a set may take to be there whole. Links of a flush appear within 36 ms (measured),
/// before `nodetool flush` returns; a disk under load may need seconds.
pub const WAIT: Duration = Duration::from_secs(30);

/// When nothing at all has appeared for so long after a flush, there was nothing to flush:
/// Cassandra makes an SSTable live before it says that the flush is done.
const NOTHING_AFTER: Duration = Duration::from_secs(2);

/// The first pause between looks, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// A file system's clock may lag behind the node's by a tick; five seconds are many.
const CLOCK_SLACK: i64 = 5;

/// A compaction can take the live SSTable away before it is looked at. Once more is then enough
/// but on a node that compacts without end.
const TRIES: usize = 2;

/// What is to be proved, and how.
#[derive(Debug)]
pub struct Ask<'a> {
    /// The node.
    pub spec: &'a NodeSpec,
    /// How nodetool is called there.
    pub tool: &'a Nodetool,
    /// The data folders.
    pub data_dirs: &'a [String],
    /// The table to flush; `None` takes one of Cassandra's own, and no user data is touched.
    pub table: Option<&'a TableName>,
    /// How long the set may take to appear; see [`WAIT`].
    pub wait: Duration,
    /// How long each question may take.
    pub limits: Limits,
}

/// Flushes a table and looks for links of what was flushed.
///
/// # Errors
/// When it could not be told: the line broke, JMX did not answer, files cannot be listed.
pub async fn prove<N: Node>(node: &N, ask: &Ask<'_>) -> Result<Proof, Why> {
    let own = TableName::size_estimates();
    let table = ask.table.unwrap_or(&own);
    let told = |seen| Proof { table: table.clone(), is_own_table: ask.table.is_none(), seen };
    let mut doubtful = None;
    for _ in 0..TRIES {
        match attempt(node, ask, table).await? {
            // The first flush left nothing for the second: what it showed stands.
            Attempt::Sure(Seen::NothingToFlush) => {
                return Ok(told(doubtful.unwrap_or(Seen::NothingToFlush)));
            }
            Attempt::Sure(seen) => return Ok(told(seen)),
            Attempt::Doubtful(seen) => doubtful = doubtful.or(seen),
        }
    }
    let blurred = || {
        let text =
            format!("{table} was compacted while it was looked at, so its flush cannot be told");
        Why::new(WhyKind::NotUnderstood, text)
            .with_fix("ask again when the node compacts less, or leave out --table")
    };
    doubtful.map(told).ok_or_else(blurred)
}

/// What one flush showed.
enum Attempt {
    Sure(Seen),
    /// A compaction took the live SSTable away, or made one that no flush made.
    Doubtful(Option<Seen>),
}

/// Proves what is asked; where a table of the operator had nothing to flush, Cassandra's own too.
pub async fn prove_all<N: Node>(node: &N, ask: &Ask<'_>) -> Vec<Result<Proof, Why>> {
    let first = prove(node, ask).await;
    let is_enough = !first.as_ref().is_ok_and(Proof::needs_another);
    let mut proofs = vec![first];
    if !is_enough {
        proofs.push(prove(node, &Ask { table: None, ..*ask }).await);
    }
    proofs
}

/// One flush and the looks around it.
async fn attempt<N: Node>(node: &N, ask: &Ask<'_>, table: &TableName) -> Result<Attempt, Why> {
    let before = look(node, ask, table, None).await?;
    let Some(begun) = before.now else { return Err(no_clock()) };
    let mut watch = Watch::new(before);
    if ask.table.is_none() {
        call(node, &catalog::nodetool_refreshsizeestimates(ask.tool)).await?;
    }
    call(node, &catalog::nodetool_flush(ask.tool, table)).await?;

    let flushed = tokio::time::Instant::now();
    let mut pause = PAUSES.0;
    loop {
        let now = look(node, ask, table, Some((&watch, begun))).await?;
        if now.now.is_none_or(|now| now < begun) {
            return Err(no_clock());
        }
        if !now.has_folder() {
            return Err(no_folder(table));
        }
        let gone_by = flushed.elapsed();
        match watch.take(&now) {
            Look::Linked(set) if set.is_seen_linked => {
                return Ok(Attempt::Sure(Seen::Linked { set }));
            }
            Look::Linked(set) => return Ok(Attempt::Doubtful(Some(Seen::Linked { set }))),
            Look::Nothing if gone_by >= NOTHING_AFTER.min(ask.wait) => {
                return Ok(Attempt::Sure(Seen::NothingToFlush));
            }
            // What was written just before has to be flushed, whatever else happens.
            Look::NotYet { may_be_compaction: true, .. }
                if ask.table.is_some() && gone_by >= NOTHING_AFTER.min(ask.wait) =>
            {
                return Ok(Attempt::Doubtful(None));
            }
            Look::NotYet { why, .. } if gone_by >= ask.wait => {
                return Ok(Attempt::Sure(Seen::NotLinked { why }));
            }
            Look::Nothing | Look::NotYet { .. } => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

async fn look<N: Node>(
    node: &N,
    ask: &Ask<'_>,
    table: &TableName,
    after: Option<(&Watch, i64)>,
) -> Result<Listing, Why> {
    let since = after.map(|(_, begun)| begun.saturating_sub(CLOCK_SLACK));
    let known = after.map(|(watch, _)| watch);
    let command = catalog::listing(ask.spec, ask.data_dirs, table, since, ask.limits.files);
    let mut listing = Listing::new(table, ask.data_dirs);
    segments::read(node, &command, &mut |segment| match segment {
        Segment::Files(text) => listing.take_tocs(text),
        Segment::Word("f", value) => listing.take_file(value, known),
        Segment::Word("d", value) => listing.take_folder(value),
        Segment::Word("now", value) => {
            listing.now = value.parse().ok();
            Ok(())
        }
        Segment::Word("walk", _) => {
            listing.restart();
            Ok(())
        }
        Segment::Word(word, value) => Err(segments::not_understood(word, value)),
    })
    .await?;
    Ok(listing)
}

async fn call<N: Node>(node: &N, command: &Command) -> Result<(), Why> {
    let output = node.run(command).await?;
    match failure::why(&output) {
        None => Ok(()),
        Some(why) => Err(refused_flush(&output).unwrap_or(why)),
    }
}

/// What Cassandra says when it flushes nothing of the kind.
fn refused_flush(output: &Output) -> Option<Why> {
    let both = [&output.ended.stderr[..], &output.stdout[..]].concat();
    let said = String::from_utf8_lossy(&both);
    let line = said
        .lines()
        .find(|line| line.contains("Unknown keyspace/cf pair") || line.contains("does not exist"));
    if let Some(line) = line {
        let text = format!("Cassandra knows no such table: {}", line.trim());
        return Some(Why::new(WhyKind::NoSuchTable, text));
    }
    said.contains("has shut down").then(|| {
        Why::new(WhyKind::CassandraDown, "the node is drained: it flushes nothing")
            .with_fix("start Cassandra there again")
    })
}

fn no_folder(table: &TableName) -> Why {
    Why::new(WhyKind::FileNotFound, format!("no data folder holds a folder of {table}"))
        .with_fix("set paths.data in the inventory")
}

fn no_clock() -> Why {
    Why::new(WhyKind::NotUnderstood, "the node's clock cannot be read, or went back: ask again")
}

/// Takes the links of a set away again: exactly these files, each looked at right before.
/// Returns how many there were.
///
/// # Errors
/// When one of them is not the file any more that it was, or may not be removed, or the set's
/// names do not belong into a `backups` folder.
pub async fn clean_up<N: Node>(
    node: &N,
    spec: &NodeSpec,
    set: &MadeSet,
    limit: Duration,
) -> Result<usize, Why> {
    if !is_removable(set) {
        let text = format!("{} in {} is no set of backups", set.descriptor, set.folder);
        return Err(Why::new(WhyKind::NotUnderstood, text));
    }
    let mut removed = 0;
    let command = catalog::remove_set(spec, set, limit);
    segments::read(node, &command, &mut |segment| match segment {
        Segment::Word("removed", _) => {
            removed += 1;
            Ok(())
        }
        Segment::Word("other", path) => {
            let text = format!("{path} is not the file any more that it was: it is left alone");
            Err(Why::new(WhyKind::NotUnderstood, text))
        }
        Segment::Word(word, value) => Err(segments::not_understood(word, value)),
        Segment::Files(text) => Err(segments::not_understood(text, "")),
    })
    .await?;
    Ok(removed)
}

/// Whether every name is one of a component of this set, and the folder a table's `backups` or an
/// index's in it. A journal may have been edited.
fn is_removable(set: &MadeSet) -> bool {
    let mut parts = set.folder.rsplit('/');
    let mut last = parts.next();
    if last.is_some_and(|part| part.starts_with('.')) {
        last = parts.next();
    }
    let is_table = |part| sstable::split_table_folder(part).1.is_some();
    let is_folder = set.folder.starts_with('/')
        && !set.folder.split('/').any(|part| part == ".." || part == ".")
        && last == Some("backups")
        && parts.next().is_some_and(is_table);
    let is_own = |name: &str| {
        sstable::split_name(name).is_some_and(|(descriptor, _)| descriptor == set.descriptor)
    };
    is_folder && !set.components.is_empty() && set.components.iter().all(|file| is_own(&file.name))
}
