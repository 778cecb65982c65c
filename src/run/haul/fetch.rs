//! Fetches sets from a node, portion by portion: stream, look again, store.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::closing::Closing;
use super::depot::{NoRoom, Promise};
use super::rate::Rate;
use super::reader::PieceReader;
use super::{Yard, blocking, named, unwound};
use crate::cassandra::fact::{Why, WhyKind};
use crate::cassandra::sets::FoundSet;
use crate::human;
use crate::node::{Command, Connect, Ended, Exit, Node, NodeError, catalog, sets};
use crate::plan::ship::{Standing, found_in, portions};
use crate::record::What;
use crate::run::clock;
use crate::store::intake::{self, IntakeError, SetFault, Wanted};
use crate::store::manifest::{Manifest, SCHEMA, StoredSet};
use crate::store::{Draft, StoreError};

/// Pieces of a stream that wait for the disk: a piece is at most 32 KiB.
const PIECES: usize = 128;

/// How often a line that broke is made again without anything having come over it.
const TRIES: usize = 3;

/// How long to wait before a line is made again.
const PAUSES: [Duration; TRIES] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(8)];

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
    pub(super) yard: &'y mut Yard<'a, C>,
    pub(super) standings: &'y [Standing],
    pub(super) promise: Promise<'y>,
    pub(super) rate: Option<Rate>,
    pub(super) closing: Closing,
    pub(super) version: Option<String>,
    committing: Option<Committing>,
    line: Option<C::Node>,
    bytes: Arc<AtomicU64>,
    all_bytes: u64,
}

/// Sets that are being stored.
struct Committing {
    task: JoinHandle<Result<(), StoreError>>,
    /// Table and bytes of each.
    sets: Vec<(String, u64)>,
}

/// One set of a stream, by its number in it.
type Taken = (usize, Result<(StoredSet, Draft), SetFault>);

/// What came of one stream.
struct Received {
    whole: Vec<(usize, StoredSet, Draft)>,
    failed: Vec<(usize, SetFault)>,
    /// Those of which nothing, or not all, came.
    missing: Vec<usize>,
    /// How the stream ended, when not well.
    broke: Option<Stopped>,
    /// What tar said.
    said: String,
}

impl<'y, 'a, C: Connect> Fetch<'y, 'a, C> {
    pub(super) fn new(
        yard: &'y mut Yard<'a, C>,
        standings: &'y [Standing],
        promise: Promise<'y>,
        rate: Option<u64>,
        closing: Closing,
    ) -> Self {
        let version = yard.listed.version.known().cloned();
        Self {
            yard,
            standings,
            promise,
            rate: rate.map(Rate::new),
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
            let received = self.stream(&left).await?;
            let has_come = !received.whole.is_empty();
            let (missing, broke) = self.take_in(received).await?;
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
        let command = catalog::sets::stream(&entry.spec, self.yard.listed.may_read, &named(&all));
        let (feed, pieces) = mpsc::channel(PIECES);
        let writer = Arc::clone(&self.yard.writer);
        let (closing, bytes) = (self.closing.clone(), Arc::clone(&self.bytes));
        let taking = tokio::task::spawn_blocking(move || {
            let mut taken: Vec<Taken> = Vec::new();
            let end = intake::take(
                PieceReader::new(pieces),
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
            }
        };
        let (taken, end) = unwound(taken);
        Ok(received(portion, taken, end, poured, self.closing.why()))
    }

    /// Looks again at what came, and begins to store it. Returns what did not come, and how the
    /// stream broke off.
    async fn take_in(
        &mut self,
        received: Received,
    ) -> Result<(Vec<usize>, Option<Stopped>), Stopped> {
        let Received { whole, failed, mut missing, broke, said } = received;
        for (at, fault) in failed {
            self.fail(at, &fault.to_string());
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
                    // What cannot be removed now is swept later.
                    let _ = draft.discard();
                    self.fail(at, &format!("it changed while it was read: {why}"));
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

    async fn look_again(&self, asked: &[usize]) -> Result<Vec<Result<(), String>>, Why> {
        let all: Vec<&FoundSet> = asked.iter().map(|at| &self.yard.items[*at].set).collect();
        let held = self.yard.held;
        let (spec, limit) = (&held.entry.spec, held.shared.limits.files);
        let may_read = self.yard.listed.may_read;
        let mut last = match sets::look_again(&*held.node, spec, may_read, &all, limit).await {
            Ok(seen) => return Ok(seen),
            Err(why) => why,
        };
        // The node's own line may have gone with the other.
        for pause in PAUSES {
            if !super::is_lost(&last) {
                return Err(last);
            }
            sleep(pause).await;
            last = match held.shared.connector.connect(&spec.endpoint).await {
                Err(error) => error.into(),
                Ok(node) => match sets::look_again(&node, spec, may_read, &all, limit).await {
                    Ok(seen) => return Ok(seen),
                    Err(why) => why,
                },
            };
        }
        Err(last)
    }

    /// Begins to store sets, once those before are stored: the disk works while the next come.
    async fn commit(&mut self, sets: Vec<(usize, StoredSet, Draft)>) -> Result<(), Stopped> {
        self.settle().await?;
        if sets.is_empty() {
            return Ok(());
        }
        let yard = &*self.yard;
        let counted =
            sets.iter().map(|(at, stored, _)| (yard.items[*at].set.place.table(), stored.bytes()));
        let counted = counted.collect();
        let (mut stored, mut drafts) = (Vec::new(), Vec::new());
        for (at, set, draft) in sets {
            let found_in = found_in(&yard.items, self.standings, at);
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
        for (table, bytes) in sets {
            self.promise.keep(bytes);
            self.yard.haul.of(&table).shipped.add(bytes);
        }
        Ok(())
    }

    fn fail(&mut self, at: usize, why: &str) {
        let (place, bytes) = self.of(at);
        self.yard.haul.of(&self.yard.items[at].set.place.table()).failed.add(bytes);
        self.yard.note(format!("not stored: {place}: {why}"));
    }

    fn hold_back(&mut self, at: usize, why: &str) {
        let (place, bytes) = self.of(at);
        self.yard.haul.of(&self.yard.items[at].set.place.table()).held.add(bytes);
        self.yard.note(format!("held back: {place}: {why}"));
    }

    fn of(&self, at: usize) -> (String, u64) {
        let set = &self.yard.items[at].set;
        (set.place.to_string(), set.bytes())
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

fn received(
    portion: &[usize],
    taken: Vec<Taken>,
    end: Result<(), IntakeError>,
    poured: Result<Ended, NodeError>,
    closing: Option<String>,
) -> Received {
    let mut missing: std::collections::BTreeSet<usize> = portion.iter().copied().collect();
    let (mut whole, mut failed) = (Vec::new(), Vec::new());
    for (at, set) in taken {
        let at = portion[at];
        match set {
            Ok((stored, draft)) => whole.push((at, stored, draft)),
            // Whether it is still there is looked at.
            Err(SetFault::Missing { .. }) => continue,
            Err(fault) => failed.push((at, fault)),
        }
        missing.remove(&at);
    }
    let missing: Vec<usize> = missing.into_iter().collect();
    let mut said = String::new();
    let broke = match (end, closing, poured) {
        (Err(IntakeError::Store(error)), ..) => Some(Stopped::Store(error)),
        (Err(IntakeError::Read(error)), ..) => {
            Some(Stopped::Line(Why::new(WhyKind::Lost, error.to_string())))
        }
        (Err(error @ IntakeError::Hostile(_)), ..) => {
            let why = Why::new(WhyKind::NotUnderstood, error.to_string());
            Some(Stopped::Line(why.with_fix("find out what answers on that node in tar's place")))
        }
        // What came decides, and all came.
        (Ok(()), ..) if missing.is_empty() => None,
        (Ok(()), Some(why), _) => Some(Stopped::Closing(why)),
        (Ok(()), None, Err(error)) => Some(Stopped::Line(error.into())),
        (Ok(()), None, Ok(ended)) => {
            said = crate::text::one_line(&ended.stderr, 200);
            match &ended.exit {
                // tar ends with 1 or 2 on healthy nodes: what came decides.
                Exit::Code(0..=2) => None,
                Exit::Code(code) => Some(Stopped::Line(Why::new(
                    WhyKind::NotUnderstood,
                    format!("the node's tar ended with {code}: {said}"),
                ))),
                Exit::Signal(name) => Some(Stopped::Line(Why::new(
                    WhyKind::Lost,
                    format!("the node's tar was ended by {name}"),
                ))),
            }
        }
    };
    Received { whole, failed, missing, broke, said }
}
