//! ship and clean on one node: what lies there, what the store holds of it, and the work between.

pub mod clean;
pub mod closing;
pub mod depot;
mod fetch;
pub(super) mod forecast;
mod rate;
mod reader;
mod received;
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
use crate::cassandra::sets::{FoundSet, Origin, PAPERS, SetPlace};
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

/// More remarks than this are counted and not told: a journal is to be read.
const MOST_NOTES: usize = 20;

/// Of sets that failed more are told: each may be the only one of its rows.
const MOST_FAULTS: usize = 200;

/// How long to wait before a line that broke is made again, and again.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(8)];

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
    /// Sets that failed, each with the reason.
    faults: Vec<String>,
    notes: Vec<String>,
    untold: usize,
    /// Bytes that are to be shipped.
    to_come: u64,
    /// Whether a snapshot that was asked for is not there.
    lacks_snapshot: bool,
    /// What was listed last, while nothing of it was removed since.
    shelf: Option<Shelf>,
    /// The snapshot that is shipped beside.
    snapshot: Option<String>,
    /// The line that took the place of one that broke.
    line: Option<Arc<C::Node>>,
    /// What may end the work early.
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
    let haul = Haul {
        strays: Amount { sets: shelf.stray_count, bytes: shelf.stray_bytes },
        ..Haul::default()
    };
    let notes = writer.remark().map(str::to_owned).into_iter().chain(about_strays(&shelf));
    let notes = notes.collect();
    let is_in_snapshot = |set: &FoundSet| set.origin != Origin::Backups;
    let lacks_snapshot = snapshot.is_some() && !shelf.sets.iter().any(is_in_snapshot);
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
        ended: Ended::new(entry.name(), Outcome::Done),
        faults: Vec::new(),
        notes,
        untold: 0,
        to_come: 0,
        lacks_snapshot,
        shelf: None,
        snapshot: snapshot.map(str::to_owned),
        line: None,
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

    /// Adds a remark for the table; of very many, the first are told.
    fn note(&mut self, text: String) {
        let text = crate::text::one_line(text.as_bytes(), 400);
        if self.notes.contains(&text) {
            return;
        }
        if self.notes.len() < MOST_NOTES {
            self.notes.push(text);
        } else {
            self.untold += 1;
        }
    }

    /// Adds what happened to a set that should not have.
    fn fault(&mut self, text: String) {
        self.faults.push(crate::text::one_line(text.as_bytes(), 400));
    }

    /// Some is done, and the rest is left. A failure outweighs it.
    fn leave_rest(&mut self, why: &str) {
        if self.ended.outcome == Outcome::Done {
            self.ended.outcome = Outcome::Partly;
            self.ended.reason = Some(why.to_owned());
            self.ended.hint = Some("running it again, or resume, does what is left".to_owned());
        }
    }

    /// Makes another line to the node, whose own has broken.
    async fn another_line(&self) -> Result<C::Node, Why> {
        let held = self.held;
        let mut last = None;
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            match held.shared.connector.connect(&held.entry.spec.endpoint).await {
                Ok(node) => return Ok(node),
                Err(error) => last = Some(error.into()),
            }
        }
        Err(last.unwrap_or_else(|| Why::new(WhyKind::Lost, "the line broke")))
    }

    /// Lists what lies on the node now, over a line that works.
    async fn list_again(&mut self) -> Result<Shelf, Why> {
        let (spec, limit) = (&self.held.entry.spec, self.held.shared.limits.files);
        let node = self.line.clone().unwrap_or_else(|| Arc::clone(&self.held.node));
        let snapshot = self.snapshot.clone();
        match sets::list(&*node, spec, snapshot.as_deref(), limit).await.sets {
            Fact::Known(shelf) => Ok(shelf),
            Fact::Unknown(why) if is_lost(&why) && self.line.is_none() => {
                let node = Arc::new(self.another_line().await?);
                self.line = Some(Arc::clone(&node));
                match sets::list(&*node, spec, snapshot.as_deref(), limit).await.sets {
                    Fact::Known(shelf) => Ok(shelf),
                    Fact::Unknown(why) => Err(why),
                }
            }
            Fact::Unknown(why) => Err(why),
        }
    }

    /// Counts what lies on the node now. Where nobody could look, it is told so.
    async fn survey_again(&mut self) {
        let seen = match self.shelf.take() {
            Some(shelf) => Ok(shelf),
            None => self.list_again().await,
        };
        match seen {
            Ok(shelf) => {
                self.haul.is_left_known = true;
                let is_meant =
                    |set: &&FoundSet| set.origin == Origin::Backups && self.tables.mean(&set.place);
                for set in shelf.sets.iter().filter(is_meant) {
                    self.haul.of(&set.place.table()).left.add(set.bytes());
                }
            }
            Err(why) => {
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

    /// Ends the turn, and lets go of the store.
    async fn end(mut self) -> Ended {
        if self.untold > 0 {
            self.notes.push(format!("and {} more remarks", self.untold));
        }
        let more = self.faults.len().saturating_sub(MOST_FAULTS);
        self.faults.truncate(MOST_FAULTS);
        if more > 0 {
            self.faults.push(format!("and {more} more that failed"));
        }
        let (faults, notes, writer) = (self.faults, self.notes, self.writer);
        self.ended.notes.extend(faults.into_iter().chain(notes));
        self.ended.haul = Some(self.haul);
        // It sweeps what was gathered and not stored.
        let _ = blocking(move || {
            drop(writer);
            Ok(())
        })
        .await;
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

/// Says what was found that is no set's.
fn about_strays(shelf: &Shelf) -> Option<String> {
    let first = shelf.strays.first()?;
    let files = crate::human::count(shelf.stray_count, "file");
    Some(format!("{files} of no set left alone, such as {}: {}", first.path, first.why))
}

/// Counts a set; the papers of a snapshot are none.
fn count(amount: &mut Amount, place: &SetPlace, bytes: u64) {
    match place.descriptor == PAPERS {
        true => amount.add_bytes(bytes),
        false => amount.add(bytes),
    }
}

/// Whether the line is why something is not known.
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
