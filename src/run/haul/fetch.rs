//! Fetches sets from a node, portion by portion: stream, look again, store.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::closing::Closing;
use super::depot::{NoRoom, Promise};
use super::rate::Rate;
use super::reader::PieceReader;
use super::received::{Came, Received, Taken, received};
use super::{PAUSES, Yard, blocking, count, named, unwound};
use crate::cassandra::fact::{Why, WhyKind};
use crate::cassandra::sets::{FoundSet, SetPlace};
use crate::human;
use crate::node::{Command, Connect, Ended, Node, NodeError, catalog, sets};
use crate::plan::ship::{Standing, found_in, portions, still, twins};
use crate::record::What;
use crate::record::haul::Ship;
use crate::run::clock;
use crate::store::intake::{self, Wanted};
use crate::store::manifest::{Manifest, SCHEMA, StoredSet};
use crate::store::{Draft, StoreError};

/// Pieces of a stream that wait for the disk: a piece is at most 32 KiB.
const PIECES: usize = 128;

/// Nodes that may share `--total-rate`, at the most: what a stream is given time for.
const SHARERS: u64 = 64;

/// How often a line that broke is made again without anything having come over it.
const TRIES: usize = PAUSES.len();

/// So many sets are looked at by a list of all.
const MANY: usize = 512;

/// How often people are shown how far it is.
const SHOW: Duration = Duration::from_millis(500);

/// How often it is written down.
const TELL: Duration = Duration::from_secs(15);

/// Why fetching ended before all was there.
pub(super) enum Stopped {
    /// The line, or the node's answer.
    Line(Why),
    /// The store.
    Store(StoreError),
    /// The store has not room enough.
    NoRoom(NoRoom),
    /// It was to end early.
    Closing(String),
}

impl Stopped {
    /// The reason, for the journal.
    pub(super) fn why(&self) -> Why {
        match self {
            Self::Line(why) => why.clone(),
            Self::Store(error) => Why::new(WhyKind::Local, error.to_string()),
            Self::NoRoom(no_room) => Why::new(WhyKind::Local, no_room.to_string()),
            Self::Closing(why) => Why::new(WhyKind::Local, why.clone()),
        }
    }
}

/// The way of one node's sets to the store.
pub(super) struct Fetch<'y, 'a, C: Connect> {
    yard: &'y mut Yard<'a, C>,
    twins: HashMap<usize, Vec<usize>>,
    promise: Promise<'y>,
    rate: Option<Rate>,
    /// The slowest that a stream may be, in bytes a second.
    slowest: Option<u64>,
    closing: Closing,
    version: Option<String>,
    committing: Option<Committing>,
    line: Option<C::Node>,
    bytes: Arc<AtomicU64>,
    all_bytes: u64,
}

/// Sets that are being stored.
struct Committing {
    task: JoinHandle<Result<(), StoreError>>,
    /// Place and bytes of each.
    sets: Vec<(SetPlace, u64)>,
}

impl<'y, 'a, C: Connect> Fetch<'y, 'a, C> {
    pub(super) fn new(
        yard: &'y mut Yard<'a, C>,
        standings: &[Standing],
        promise: Promise<'y>,
        ship: &Ship,
        closing: Closing,
    ) -> Self {
        let shared = ship.total_rate.map(|total| total / SHARERS);
        let version = yard.listed.version.known().cloned();
        Self {
            yard,
            twins: twins(standings),
            promise,
            rate: ship.rate.map(Rate::new),
            slowest: ship.rate.into_iter().chain(shared).min(),
            closing,
            version,
            committing: None,
            line: None,
            bytes: Arc::default(),
            all_bytes: 0,
        }
    }

    /// Fetches these sets. What was stored, and what not, is counted in the yard.
    pub(super) async fn run(mut self, new: &[usize]) -> Result<(), Stopped> {
        self.all_bytes = human::sum(new.iter().map(|at| self.yard.items[*at].set.bytes()));
        let begun = Instant::now();
        let mut result = Ok(());
        for portion in portions(&self.yard.items, new) {
            result = self.portion(portion).await;
            if result.is_err() {
                break;
            }
        }
        let stored = self.settle().await;
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.yard.haul.streaming_ms = self.yard.haul.streaming_ms.saturating_add(millis);
        result.and(stored)
    }

    /// Fetches one portion; a line that breaks is made again as long as something comes.
    async fn portion(&mut self, mut left: Vec<usize>) -> Result<(), Stopped> {
        let mut tries = 0;
        while !left.is_empty() {
            if let Some(why) = self.closing.why() {
                return Err(Stopped::Closing(why));
            }
            let (has_come, missing, broke) = match self.stream(&left).await {
                // A node whose sshd starts again refuses lines for a while.
                Err(stopped) => (false, left, Some(stopped)),
                Ok(received) => {
                    let has_come = !received.whole.is_empty();
                    let (missing, broke) = self.take_in(received).await?;
                    (has_come, missing, broke)
                }
            };
            match broke {
                None => return Ok(()),
                Some(Stopped::Line(why)) => {
                    self.line = None;
                    tries = if has_come { 0 } else { tries + 1 };
                    if tries >= TRIES || !super::is_lost(&why) || self.yard.held.is_lost() {
                        return Err(Stopped::Line(why));
                    }
                    sleep(PAUSES[tries]).await;
                    left = missing;
                }
                Some(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Runs the stream and takes it apart.
    async fn stream(&mut self, portion: &[usize]) -> Result<Received, Stopped> {
        let entry = self.yard.held.entry;
        if self.line.is_none() {
            let line = self.yard.held.shared.connector.connect_bulk(&entry.spec.endpoint).await;
            self.line = Some(line.map_err(|error| Stopped::Line(error.into()))?);
        }
        let Some(line) = &self.line else {
            return Err(Stopped::Line(Why::new(WhyKind::Lost, "there is no line")));
        };
        let sets: Arc<[FoundSet]> =
            portion.iter().map(|at| self.yard.items[*at].set.clone()).collect();
        let all: Vec<&FoundSet> = sets.iter().collect();
        let may_read = self.yard.listed.may_read;
        let command = catalog::sets::stream(&entry.spec, may_read, &named(&all), self.slowest);
        let (feed, pieces) = mpsc::channel(PIECES);
        let writer = Arc::clone(&self.yard.writer);
        let (closing, bytes) = (self.closing.clone(), Arc::clone(&self.bytes));
        let over = Arc::new(AtomicBool::new(false));
        let reader = PieceReader::new(pieces, Arc::clone(&over));
        let taking = tokio::task::spawn_blocking(move || {
            let mut taken: Vec<Taken> = Vec::new();
            let end = intake::take(
                reader,
                Wanted { sets: &sets },
                &writer,
                &mut |at, set| {
                    taken.push((at, set));
                    match closing.why() {
                        None => ControlFlow::Continue(()),
                        Some(_) => ControlFlow::Break(()),
                    }
                },
                &mut |count| {
                    bytes.fetch_add(count, Ordering::Relaxed);
                },
            );
            (taken, end)
        });
        let pouring =
            pour(line, &command, feed, [self.yard.depot.total.as_ref(), self.rate.as_ref()]);
        let (poured, taken) = {
            let work = async { tokio::join!(pouring, taking) };
            tokio::select! {
                done = work => done,
                never = self.show() => match never {},
                never = self.closing.cut(&over) => match never {},
            }
        };
        let (taken, end) = unwound(taken);
        let ask = |at: usize| &self.yard.items[at].set;
        Ok(received(portion, &ask, Came { taken, end, poured, closing: self.closing.why() }))
    }

    /// Looks again at what came, and begins to store it. Returns what did not come, and how the
    /// stream broke off.
    async fn take_in(
        &mut self,
        received: Received,
    ) -> Result<(Vec<usize>, Option<Stopped>), Stopped> {
        let Received { whole, failed, mut missing, broke, said } = received;
        for (at, fault, draft) in failed {
            self.fail(at, &fault);
            discard(draft).await;
        }
        let asked: Vec<usize> = whole.iter().map(|(at, ..)| *at).chain(missing.clone()).collect();
        let seen = match self.look_again(&asked).await {
            Ok(seen) => seen,
            // What came is not known to be what lies there: it is fetched again another time.
            Err(why) => return Err(broke.unwrap_or(Stopped::Line(why))),
        };
        let (of_whole, of_missing) = seen.split_at(whole.len());
        let mut sets = Vec::new();
        for ((at, stored, draft), seen) in whole.into_iter().zip(of_whole) {
            match seen {
                Ok(()) => sets.push((at, stored, draft)),
                Err(why) => {
                    discard(Some(draft)).await;
                    self.fail(at, why);
                }
            }
        }
        let mut lasting = Vec::new();
        for (at, seen) in missing.drain(..).zip(of_missing) {
            match seen {
                Err(why) => self.hold_back(at, &format!("not there any more as listed: {why}")),
                Ok(()) if broke.is_some() => lasting.push(at),
                Ok(()) => self.fail(at, &format!("the node did not send it: {said}")),
            }
        }
        self.commit(sets).await?;
        Ok((lasting, broke))
    }

    /// Looks at sets after they were read: whether they are still what was listed.
    async fn look_again(&mut self, asked: &[usize]) -> Result<Vec<Result<(), String>>, Why> {
        if asked.len() >= MANY {
            // For so many a list of all costs less than a look at each, and is the one that tells
            // what is left at the end.
            let shelf = self.yard.list_again().await?;
            let items = &self.yard.items;
            let seen = still(asked.iter().map(|at| &items[*at].set), &shelf);
            self.yard.shelf = Some(shelf);
            return Ok(seen);
        }
        self.yard.shelf = None;
        let all: Vec<&FoundSet> = asked.iter().map(|at| &self.yard.items[*at].set).collect();
        let held = self.yard.held;
        let (spec, limit) = (&held.entry.spec, held.shared.limits.files);
        let may_read = self.yard.listed.may_read;
        match sets::look_again(&*held.node, spec, may_read, &all, limit).await {
            // The node's own line may have gone with the other.
            Err(why) if super::is_lost(&why) => {
                let node = self.yard.another_line().await?;
                sets::look_again(&node, spec, may_read, &all, limit).await
            }
            seen => seen,
        }
    }

    /// Begins to store sets, once those before are stored: the disk works while the next come.
    async fn commit(&mut self, sets: Vec<(usize, StoredSet, Draft)>) -> Result<(), Stopped> {
        self.settle().await?;
        if sets.is_empty() {
            return Ok(());
        }
        let yard = &*self.yard;
        let counted =
            sets.iter().map(|(at, stored, _)| (yard.items[*at].set.place.clone(), stored.bytes()));
        let counted = counted.collect();
        let (mut stored, mut drafts) = (Vec::new(), Vec::new());
        for (at, set, draft) in sets {
            let found_in = found_in(&yard.items, &self.twins, at);
            stored.push(StoredSet { found_in, ..set });
            drafts.push(draft);
        }
        let node = yard.depot.node(yard.held.entry, &yard.host, self.version.as_ref()).await;
        let mut manifest = Manifest {
            schema: SCHEMA,
            run: yard.held.shared.run.clone(),
            part: 0,
            ringhaul: env!("CARGO_PKG_VERSION").to_owned(),
            written: clock::now(),
            node,
            sets: stored,
        };
        let writer = Arc::clone(&yard.writer);
        let task = tokio::spawn(blocking(move || {
            manifest.part = writer.next_part(&manifest.run)?;
            writer.commit(manifest, drafts)
        }));
        self.committing = Some(Committing { task, sets: counted });
        Ok(())
    }

    /// Waits for what is being stored.
    async fn settle(&mut self) -> Result<(), Stopped> {
        let Some(Committing { task, sets }) = self.committing.take() else { return Ok(()) };
        unwound(task.await).map_err(Stopped::Store)?;
        for (place, bytes) in sets {
            self.promise.keep(bytes);
            count(&mut self.yard.haul.of(&place.table()).shipped, &place, bytes);
        }
        Ok(())
    }

    fn fail(&mut self, at: usize, why: &str) {
        let (place, bytes) = self.of(at);
        count(&mut self.yard.haul.of(&place.table()).failed, &place, bytes);
        self.yard.fault(format!("not stored: {place}: {why}"));
    }

    fn hold_back(&mut self, at: usize, why: &str) {
        let (place, bytes) = self.of(at);
        count(&mut self.yard.haul.of(&place.table()).held, &place, bytes);
        self.yard.note(format!("held back: {place}: {why}"));
    }

    fn of(&self, at: usize) -> (SetPlace, u64) {
        let set = &self.yard.items[at].set;
        (set.place.clone(), set.bytes())
    }

    /// Shows how far it is, without end.
    async fn show(&self) -> std::convert::Infallible {
        let shared = self.yard.held.shared;
        let mut told = Instant::now();
        loop {
            sleep(SHOW).await;
            let text = format!(
                "{} of {}",
                human::bytes(self.bytes.load(Ordering::Relaxed)),
                human::bytes(self.all_bytes)
            );
            let node = self.yard.held.entry.name().to_owned();
            if told.elapsed() >= TELL {
                told = Instant::now();
                // The journal being full is seen by the next step.
                let _ = shared.log.write(What::Progress { node, text });
            } else {
                shared.log.show(node, text);
            }
        }
    }
}

/// Throws away what was gathered of a set. What cannot be removed now is swept later.
async fn discard(draft: Option<Draft>) {
    if let Some(draft) = draft {
        let _ = blocking(|| draft.discard()).await;
    }
}

/// The stream of a command, no faster than these limits.
async fn pour<N: Node>(
    line: &N,
    command: &Command,
    feed: mpsc::Sender<Bytes>,
    rates: [Option<&Rate>; 2],
) -> Result<Ended, NodeError> {
    if rates.iter().all(Option::is_none) {
        return line.pour(command, feed).await;
    }
    let (fast, mut pieces) = mpsc::channel::<Bytes>(1);
    let slow = async move {
        while let Some(piece) = pieces.recv().await {
            for rate in rates.into_iter().flatten() {
                rate.take(piece.len()).await;
            }
            if feed.send(piece).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(line.pour(command, fast), slow).0
}
