//! Who may start now, when nodes of a ring are changed one after the other.
//!
//! The schedule decides and does nothing: it is told what started and what ended, time is the
//! time since the run began, and randomness is a seed. Nodes are numbers in the order of the run.
//!
//! - The order is a preference: a node that its rack, its data centre or its replicas keep from
//!   starting is overtaken by the first later one of the same batch that may start.
//! - The canary comes first, then batch after batch, then what is taken again. A node starts
//!   only when all of the batch before have ended.
//! - What has started is finished: the run is neither finished nor stopped while a node is in
//!   flight.
//! - A run that has stopped stays so.
//! - Percentages are of all nodes of the run, skipped ones too, so that a run taken up again is
//!   measured as the first one was.

mod answer;
mod flight;
mod forecast;
mod next;
mod order;
mod rules;
mod share;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use answer::{Hold, Next, Pause, Stop};
use flight::Flight;
pub use order::{Order, arranged};
pub use rules::{AfterCanary, RuleError, Rules, Strategy};
pub use share::{Share, ShareError};

/// Where a node stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Its data centre.
    pub dc: String,
    /// Its rack; two data centres may use the same name for racks of theirs.
    pub rack: String,
    /// The jump host it is reached through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<String>,
}

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// As it should.
    Fine,
    /// Not as it should.
    Failed,
    /// The node could not be reached.
    Unreachable,
}

/// The turns of all nodes of a run, and the rules they keep.
#[derive(Debug, Clone)]
pub struct Schedule {
    rules: Rules,
    turns: Vec<Turn>,
    /// All nodes, batch after batch.
    line: Vec<usize>,
    flight: Flight,
    starts: u64,
    last_start: Option<Duration>,
    /// When a turn of this session ended last.
    last_end: Option<Duration>,
    /// When the last canary node ended; the beginning of the run if none has.
    canary_end: Duration,
    is_answered: bool,
    stop: Option<Stop>,
    /// The latest time that was told.
    latest: Duration,
}

/// One node's turn.
#[derive(Debug, Clone, Copy)]
struct Turn {
    batch: Batch,
    state: State,
    /// When it started last.
    began: Duration,
    /// How it ended last; a failure stands until another try has ended better.
    ending: Option<Ending>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Batch {
    Canary,
    Wave(usize),
    /// What is taken again.
    Again,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    InFlight,
    /// Ended, or not to be run.
    Over,
}

impl Schedule {
    /// Makes the schedule of a run over the nodes at `places`, which stand in the order wanted.
    ///
    /// # Errors
    /// Rules that no run can keep.
    pub fn new(rules: Rules, places: Vec<Place>) -> Result<Self, RuleError> {
        rules.check(places.len())?;
        let batches = batches(&rules, places.len());
        let mut line: Vec<usize> = (0..places.len()).collect();
        line.sort_by_key(|&node| batches[node]);
        let turn =
            |batch| Turn { batch, state: State::Waiting, began: Duration::ZERO, ending: None };
        Ok(Self {
            flight: Flight::new(&rules, &places),
            rules,
            turns: batches.into_iter().map(turn).collect(),
            line,
            starts: 0,
            last_start: None,
            last_end: None,
            canary_end: Duration::ZERO,
            is_answered: false,
            stop: None,
            latest: Duration::ZERO,
        })
    }

    /// Takes a node that has not started out of the run: it was done in an earlier session, or
    /// it was down at the start.
    ///
    /// Batches stay as they were cut. A skipped canary node proves nothing and stops nothing,
    /// but the question or the pause after the canary stays, even if all of it is skipped.
    pub fn skip(&mut self, node: usize) {
        if let Some(turn) = self.turns.get_mut(node)
            && turn.state == State::Waiting
        {
            turn.state = State::Over;
        }
    }

    /// Takes a node again that was skipped or has ended, after all others and under the same
    /// rules, but no longer as a canary. If it failed, that counts until it has ended better.
    ///
    /// A node that waits or is in flight stays as it is.
    pub fn retry(&mut self, node: usize) {
        if let Some(turn) = self.turns.get_mut(node)
            && turn.state == State::Over
        {
            turn.state = State::Waiting;
            turn.batch = Batch::Again;
            self.line.retain(|other| *other != node);
            self.line.push(node);
        }
    }

    /// Says that nothing is to be asked or waited for after the canary. It may be said ahead, as
    /// when an earlier session was answered.
    pub fn go_on(&mut self) {
        self.is_answered = true;
    }

    /// Takes note that `node` has started, even against the rules: what is in flight counts.
    pub fn started(&mut self, node: usize, now: Duration) {
        self.latest = self.latest.max(now);
        if let Some(turn) = self.turns.get_mut(node)
            && turn.state != State::InFlight
        {
            turn.state = State::InFlight;
            turn.began = now;
            self.flight.add(node);
            self.starts += 1;
            self.last_start = self.last_start.max(Some(now));
        }
    }

    /// Takes note that `node` has ended. The ending of a node that never started counts too.
    pub fn ended(&mut self, node: usize, ending: Ending, now: Duration) {
        self.latest = self.latest.max(now);
        let Some(turn) = self.turns.get_mut(node) else { return };
        if turn.state == State::InFlight {
            self.flight.remove(node);
            self.last_end = self.last_end.max(Some(now));
        }
        turn.state = State::Over;
        turn.ending = Some(ending);
        let is_canary = turn.batch == Batch::Canary;
        if is_canary {
            self.canary_end = self.canary_end.max(now);
        }
        self.stop = match self.stop {
            Some(Stop::Canary { .. }) => self.stop,
            Some(Stop::Failures { .. } | Stop::Unreachable { .. }) | None => {
                let canary = (is_canary && ending != Ending::Fine).then_some(Stop::Canary { node });
                canary.or_else(|| self.too_many()).or(self.stop)
            }
        };
    }

    /// Returns the limit of failures that is passed, if one is.
    fn too_many(&self) -> Option<Stop> {
        let total = self.turns.len();
        let count = |ending| self.turns.iter().filter(|turn| turn.ending == Some(ending)).count();
        let (failed, unreachable) = (count(Ending::Failed), count(Ending::Unreachable));
        let most = self.rules.max_unreachable;
        let failed = if most.is_some() { failed } else { failed + unreachable };
        let limit = self.rules.max_failures.of(total);
        if failed > limit {
            return Some(Stop::Failures { failed, limit });
        }
        let limit = most?.of(total);
        (unreachable > limit).then_some(Stop::Unreachable { unreachable, limit })
    }
}

/// Cuts the nodes into batches; returns the batch of each.
fn batches(rules: &Rules, total: usize) -> Vec<Batch> {
    let canary: BTreeSet<usize> = rules.canary.iter().copied().collect();
    let repeated = rules.waves.last().into_iter().cycle();
    let mut sizes = rules.waves.iter().chain(repeated).map(|share| share.of(total).max(1));
    let (mut wave, mut room) = (0, 0);
    let mut batch = |node: usize| {
        if canary.contains(&node) {
            return Batch::Canary;
        }
        if room == 0 {
            room = sizes.next().unwrap_or(total);
            wave += 1;
        }
        room -= 1;
        Batch::Wave(wave)
    };
    (0..total).map(&mut batch).collect()
}
