//! ship and clean on one node: what lies there, what the store holds of it, and the work between.

pub mod clean;
pub mod closing;
pub mod depot;
mod fetch;
pub(super) mod forecast;
mod rate;
mod reader;
pub mod ship;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;

use self::closing::Closing;
use self::depot::Depot;
use super::turn::{Held, failed, is_out_of_sight, refused};
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::ring::{Member, Ring};
use crate::cassandra::sets::{FoundSet, Origin, SetPlace};
use crate::cassandra::shelf::Shelf;
use crate::node::Connect;
use crate::node::sets::{self, Listed};
use crate::plan::ship::{Item, Known, Stored, selected};
use crate::plan::tables::Tables;
use crate::record::haul::{Amount, Haul};
use crate::record::{Ended, Entry, Outcome};
use crate::store::{Holdings, StoreError, Writer};

/// How long another controller that writes the same node's place in the store is waited for. The
/// node's own lock keeps most of them out before.
const PATIENCE: Duration = Duration::from_secs(30);

/// More reasons than this are counted and not told: a journal is to be read.
const MOST_NOTES: usize = 20;

/// A node's sets, its place in the store, and what came of them so far.
struct Yard<'a, C: Connect> {
    held: &'a Held<'a, C>,
    depot: &'a Depot,
    host: String,
    listed: Listed,
    tables: Tables,
    items: Vec<Item>,
    writer: Arc<Writer>,
    holdings: Arc<Holdings>,
    haul: Haul,
    ended: Ended,
    untold: usize,
    /// What may end a removal early; a removal after a shipment is short.
    closing: Option<Closing>,
}

/// Looks at the node and at its place in the store, side by side.
async fn open<'a, C: Connect>(
    held: &'a Held<'a, C>,
    depot: &'a Depot,
    tables: &[String],
    snapshot: Option<&str>,
) -> Result<Yard<'a, C>, Box<Ended>> {
    let entry = held.entry;
    let host = host_id(entry, held.ring.as_ref()).map_err(|why| Box::new(refused(entry, &why)))?;
    let tables = Tables::read(tables).map_err(|error| {
        Box::new(Ended::new(entry.name(), Outcome::Refused).because(error.to_string()))
    })?;
    let (spec, limit) = (&entry.spec, held.shared.limits.files);
    let store = depot.store.clone();
    let place = host.clone();
    let (mut listed, writer) = tokio::join!(
        sets::list(&*held.node, spec, snapshot, limit),
        blocking(move || store.writer(&place, PATIENCE)),
    );
    let writer = Arc::new(writer.map_err(|error| Box::new(against(entry, &error)))?);
    let shelf = std::mem::replace(&mut listed.sets, Fact::Known(Shelf::default()));
    let shelf = match shelf {
        Fact::Known(shelf) => shelf,
        Fact::Unknown(why) => return Err(Box::new(failed(entry, &why))),
    };
    let mut ended = Ended::new(entry.name(), Outcome::Done);
    ended.notes.extend(writer.remark().map(str::to_owned));
    let haul = Haul {
        strays: Amount { sets: shelf.stray_count, bytes: shelf.stray_bytes },
        ..Haul::default()
    };
    if shelf.stray_count > 0 {
        let files = crate::human::count(shelf.stray_count, "file");
        let first = shelf.strays.first();
        let first = first.map(|stray| format!(", such as {}: {}", stray.path, stray.why));
        let first = first.unwrap_or_default();
        ended.notes.push(format!("{files} of no set left alone{first}"));
    }
    if let Some(tag) = snapshot
        && !shelf.sets.iter().any(|set| set.origin != Origin::Backups)
    {
        ended.notes.push(format!("there is no snapshot '{}' here", crate::text::visible(tag)));
    }
    let items = selected(shelf.sets, &tables);
    let mut yard = Yard {
        held,
        depot,
        host,
        listed,
        tables,
        items,
        writer,
        holdings: Arc::default(),
        haul,
        ended,
        untold: 0,
        closing: None,
    };
    yard.ask_store().await.map_err(|error| Box::new(against(entry, &error)))?;
    Ok(yard)
}

impl<C: Connect> Yard<'_, C> {
    /// Asks the store what it holds of these sets, file by file.
    async fn ask_store(&mut self) -> Result<(), StoreError> {
        let (store, host) = (self.depot.store.clone(), self.host.clone());
        let places: HashSet<SetPlace> =
            self.items.iter().map(|item| item.set.place.clone()).collect();
        let ask = move || store.holdings(&host, &mut |set| places.contains(&set.place));
        self.holdings = Arc::new(blocking(ask).await?);
        let holdings = Arc::clone(&self.holdings);
        for error in &holdings.unread {
            self.note(format!("what it names does not count: {error}"));
        }
        Ok(())
    }

    fn known(&self) -> Known<'_> {
        known(&self.holdings)
    }

    /// Adds a reason for the table; of very many, the first.
    fn note(&mut self, text: String) {
        if self.ended.notes.len() < MOST_NOTES {
            self.ended.notes.push(crate::text::one_line(text.as_bytes(), 400));
        } else {
            self.untold += 1;
        }
    }

    /// Counts what lies on the node now. Where nobody could look, it is told so.
    async fn survey_again(&mut self) {
        let (spec, limit) = (&self.held.entry.spec, self.held.shared.limits.files);
        let listed = sets::list(&*self.held.node, spec, None, limit).await;
        match listed.sets {
            Fact::Known(shelf) => {
                self.haul.is_left_known = true;
                for set in shelf
                    .sets
                    .iter()
                    .filter(|set| set.origin == Origin::Backups && self.tables.mean(&set.place))
                {
                    self.haul.of(&set.place.table()).left.add(set.bytes());
                }
            }
            Fact::Unknown(why) => {
                self.note(format!("what is left on the node could not be looked at: {why}"));
            }
        }
    }

    /// Nothing was done, so what was listed at first is what is left.
    fn left_as_listed(&mut self) {
        self.haul.is_left_known = true;
        for item in self.items.iter().filter(|item| item.set.origin == Origin::Backups) {
            self.haul.of(&item.set.place.table()).left.add(item.set.bytes());
        }
    }

    fn end(mut self) -> Ended {
        if self.untold > 0 {
            self.ended.notes.push(format!("and {} more of that kind", self.untold));
        }
        self.ended.haul = Some(self.haul);
        self.ended
    }

    /// Ends with a fault of the store.
    fn fail(&mut self, error: &StoreError) {
        let end = against(self.held.entry, error);
        (self.ended.outcome, self.ended.reason) = (Outcome::Failed, end.reason);
        self.ended.hint = end.hint;
    }

    /// Ends with a fault of the node or its line.
    fn fail_for(&mut self, why: &Why) {
        let end = failed(self.held.entry, why);
        (self.ended.outcome, self.ended.reason) = (end.outcome, end.reason);
        self.ended.hint = end.hint;
    }
}

/// The files of sets as they are asked for: path and size, in the order of the sets.
fn named(sets: &[&FoundSet]) -> Vec<(String, u64)> {
    let files =
        sets.iter().flat_map(|set| set.files.iter().map(|file| (set.path(file), file.size)));
    files.collect()
}

/// What was seen in the store, in order to be looked up.
fn known(holdings: &Holdings) -> Known<'_> {
    Known::of(holdings.iter().map(|held| Stored { set: &held.set, fault: held.fault.as_deref() }))
}

/// The node's place in the store is its host id, which no other node ever has. An address is not
/// enough: a node may have been replaced, or have come back under another one. `now` is the ring
/// as it was seen last: a run that is resumed may have begun days ago.
fn host_id(entry: &Entry, now: Option<&Ring>) -> Result<String, Why> {
    let is_member = entry.place.state.is_some();
    let is_it = |member: &&Member| member.address == entry.place.address;
    let there = now.and_then(|ring| ring.members.iter().find(is_it)?.host_id.as_ref());
    let known = entry.place.host_id.as_ref();
    if is_member && now.is_some() && known.is_some() && there != known {
        let text = format!(
            "the ring does not show the host id at {} that it showed when the run began",
            entry.place.address
        );
        return Err(Why::new(WhyKind::NotUnderstood, text)
            .with_fix("see whether the node was replaced or moved, then begin a new run"));
    }
    match (known.or(there), &entry.spec.host_id) {
        (Some(ring), Some(written)) if is_member && !ring.eq_ignore_ascii_case(written) => {
            let text = format!(
                "the inventory gives it the host id {}, the ring {}: it may have been replaced",
                crate::text::visible(written),
                crate::text::visible(ring)
            );
            Err(Why::new(WhyKind::NotUnderstood, text)
                .with_fix("look whose files lie there, then mend host_id in the inventory"))
        }
        (Some(ring), _) if is_member => Ok(ring.to_ascii_lowercase()),
        _ => {
            let text = "the ring does not show its host id, which is its place in the store";
            Err(Why::new(WhyKind::NotUnderstood, text)
                .with_fix("let a node of its ring be asked, by --via or in the inventory"))
        }
    }
}

/// The end of a turn that the store was against.
fn against(entry: &Entry, error: &StoreError) -> Ended {
    let mut ended = Ended::new(entry.name(), Outcome::Failed);
    ended.hint = error.hint().map(str::to_owned);
    ended.because(error.to_string())
}

/// Why a set was not stored, or a node not asked further.
fn is_lost(why: &Why) -> bool {
    is_out_of_sight(why.kind)
}

/// Runs what reads and writes files where it keeps nobody waiting.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    unwound(tokio::task::spawn_blocking(work).await)
}

/// A panic of a thread is one of the turn that waits for it.
fn unwound<T>(joined: Result<T, JoinError>) -> T {
    match joined {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Nobody ends such a task before its end but a runtime that ends itself.
            Err(error) => std::panic::resume_unwind(Box::new(error)),
        },
    }
}
