//! A run that is played: nodes take as long and end as told, and every answer of the schedule is
//! held against the rules as a person would read them.

use std::collections::BTreeSet;
use std::time::Duration;

use ringhaul::schedule::{
    AfterCanary, Ending, Hold, Next, Pause, Place, Rules, Schedule, Stop, Strategy,
};

/// What one try of a node will do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Try {
    pub(crate) took: Duration,
    pub(crate) ending: Ending,
}

/// A run to be played.
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    pub(crate) rules: Rules,
    pub(crate) places: Vec<Place>,
    pub(crate) skipped: BTreeSet<usize>,
    /// For each node, its first try and the ones after; the last repeats.
    pub(crate) tries: Vec<Vec<Try>>,
    /// How often a node that did not end fine is taken again.
    pub(crate) again: usize,
    /// These of the skipped are taken after all, as soon as so many nodes have ended.
    pub(crate) late: Vec<(usize, usize)>,
}

/// What happened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) starts: Vec<(usize, Duration)>,
    pub(crate) ends: Vec<(usize, Ending, Duration)>,
    /// When the question after the canary was asked.
    pub(crate) asked: Vec<Duration>,
    /// How it ended: `None` is fine.
    pub(crate) stopped: Option<Stop>,
    /// The end of the run.
    pub(crate) over: Duration,
}

/// What the rules are held against, kept in the plainest way.
struct Play<'a> {
    plot: &'a Plot,
    schedule: Schedule,
    batch: Vec<usize>,
    waiting: Vec<usize>,
    flight: Vec<(usize, Duration, Ending)>,
    tries: Vec<usize>,
    last: Vec<Option<Ending>>,
    has_failed_canary: bool,
    is_stopped: bool,
    log: Log,
    now: Duration,
}

const CANARY: usize = 0;
const AGAIN: usize = usize::MAX;

/// Plays a run to its end.
pub(crate) fn play(plot: &Plot) -> Log {
    let total = plot.places.len();
    let mut play = Play {
        schedule: Schedule::new(plot.rules.clone(), plot.places.clone()).unwrap(),
        batch: cut(plot),
        waiting: (0..total).filter(|node| !plot.skipped.contains(node)).collect(),
        flight: Vec::new(),
        tries: vec![0; total],
        last: vec![None; total],
        has_failed_canary: false,
        is_stopped: false,
        log: Log::default(),
        now: Duration::ZERO,
        plot,
    };
    for &node in &plot.skipped {
        play.schedule.skip(node);
    }
    // Each try is a start, an end and at most one pause; then the question and the end.
    for _ in 0..3 * total * (plot.again + 2) + 3 {
        if play.step() {
            play.log.over = play.now;
            return play.log;
        }
    }
    panic!("the run does not end: {plot:#?}");
}

/// Batches as the documentation has them: the canary is 0, waves count from 1.
fn cut(plot: &Plot) -> Vec<usize> {
    let total = plot.places.len();
    let mut batch = vec![CANARY; total];
    let mut rest: Vec<usize> =
        (0..total).filter(|node| !plot.rules.canary.contains(node)).collect();
    for wave in 1.. {
        if rest.is_empty() {
            break;
        }
        let share = plot.rules.waves.get(wave - 1).or(plot.rules.waves.last());
        let size = share.map_or(total, |share| share.of(total).max(1)).min(rest.len());
        for node in rest.drain(..size) {
            batch[node] = wave;
        }
    }
    batch
}

impl Play<'_> {
    /// Asks once and does what is answered; whether that was the end.
    fn step(&mut self) -> bool {
        let next = self.schedule.next(self.now);
        assert_eq!(next, self.schedule.next(self.now), "asking changes nothing");
        match next {
            Next::Start(node) => self.start(node),
            Next::WaitUntil { at, node, why } => self.wait(at, node, why),
            Next::WaitForNode { why } => self.wait_for(why),
            Next::Ask => {
                assert_eq!(self.plot.rules.after_canary, AfterCanary::Ask);
                self.check_canary_is_over();
                assert!(!self.waiting.is_empty(), "a question that nothing hangs on");
                assert!(self.log.asked.is_empty(), "asked twice");
                self.log.asked.push(self.now);
                self.schedule.go_on();
            }
            Next::Finished => {
                assert!(self.waiting.is_empty() && self.flight.is_empty() && !self.is_stopped);
                return true;
            }
            Next::Stopped(stop) => {
                assert!(self.is_stopped && self.flight.is_empty());
                self.log.stopped = Some(stop);
                return true;
            }
        }
        false
    }

    fn start(&mut self, node: usize) {
        assert_eq!(self.wanted(), Some(node), "the first in order that may start");
        self.check_time();
        let tries = &self.plot.tries[node];
        let one = tries[self.tries[node].min(tries.len() - 1)];
        self.tries[node] += 1;
        self.schedule.started(node, self.now);
        self.waiting.retain(|other| *other != node);
        self.flight.push((node, self.now.saturating_add(one.took), one.ending));
        self.log.starts.push((node, self.now));
    }

    fn wait(&mut self, at: Duration, node: usize, why: Pause) {
        assert!(at > self.now, "a time to wait for lies ahead");
        assert_eq!(self.schedule.next(at), Next::Start(node), "what was waited for comes");
        assert!(
            matches!(self.schedule.next(at - Duration::from_nanos(1)), Next::WaitUntil { .. }),
            "not a moment longer than needed"
        );
        assert_eq!(self.wanted(), Some(node));
        if why == Pause::AfterCanary {
            assert!(matches!(self.plot.rules.after_canary, AfterCanary::Wait(_)));
        }
        let end = self.first_end().filter(|end| *end <= at);
        self.now = end.unwrap_or(at);
        self.end_all_due();
    }

    fn wait_for(&mut self, why: Hold) {
        assert!(!self.flight.is_empty(), "nothing is in flight: {why}");
        assert_eq!(self.wanted(), None, "a node could start: {why:?}");
        if let Some(node) = why.node() {
            assert!(self.flight.iter().any(|(other, ..)| *other == node), "{why:?}");
        }
        match why {
            Hold::Stopping { .. } => assert!(self.is_stopped),
            Hold::Last { .. } => assert!(self.waiting.is_empty()),
            Hold::Canary { node } => assert_eq!(self.batch[node], CANARY),
            Hold::Wave { node } => assert!(self.waiting.iter().all(|other| {
                self.batch[*other] > self.batch[node] && self.batch[node] > CANARY
            })),
            Hold::Replicas { node } => {
                assert!(self.waiting.iter().any(|other| self.are_apart(node, *other)));
            }
            Hold::InFlight { .. }
            | Hold::PerRack { .. }
            | Hold::PerDc { .. }
            | Hold::PerJump { .. }
            | Hold::Rack { .. } => {}
        }
        self.now = self.first_end().unwrap();
        self.end_all_due();
    }

    fn first_end(&self) -> Option<Duration> {
        self.flight.iter().map(|(_, end, _)| *end).min()
    }

    fn end_all_due(&mut self) {
        let (due, rest) = self.flight.drain(..).partition(|(_, end, _)| *end <= self.now);
        self.flight = rest;
        for (node, _, ending) in due {
            self.end(node, ending);
        }
    }

    fn end(&mut self, node: usize, ending: Ending) {
        self.schedule.ended(node, ending, self.now);
        self.log.ends.push((node, ending, self.now));
        self.last[node] = Some(ending);
        self.has_failed_canary |= self.batch[node] == CANARY && ending != Ending::Fine;
        self.is_stopped |= self.has_failed_canary || self.has_too_many();
        if ending != Ending::Fine && self.tries[node] <= self.plot.again {
            self.again(node);
        }
        let late: Vec<usize> = self.plot.late.iter().map(|(node, _)| *node).collect();
        for (node, after) in late.into_iter().zip(self.plot.late.iter().map(|(_, after)| after)) {
            if self.log.ends.len() == *after && self.tries[node] == 0 {
                self.again(node);
            }
        }
    }

    fn again(&mut self, node: usize) {
        self.schedule.retry(node);
        if !self.waiting.contains(&node) {
            self.waiting.push(node);
            self.batch[node] = AGAIN;
        }
    }

    fn has_too_many(&self) -> bool {
        let rules = &self.plot.rules;
        let count = |ending| self.last.iter().filter(|last| **last == Some(ending)).count();
        let (failed, lost) = (count(Ending::Failed), count(Ending::Unreachable));
        let most = rules.max_failures.of(self.last.len());
        match rules.max_unreachable {
            Some(share) => failed > most || lost > share.of(self.last.len()),
            None => failed + lost > most,
        }
    }

    /// The node that the rules would have start next, its time aside.
    fn wanted(&self) -> Option<usize> {
        if self.is_stopped {
            return None;
        }
        let flying = self.flight.iter().map(|(node, ..)| *node);
        let batch = self.waiting.iter().copied().chain(flying).map(|n| self.batch[n]).min()?;
        self.waiting.iter().copied().find(|node| self.batch[*node] == batch && self.fits(*node))
    }

    /// Whether `node` and those in flight keep every limit together.
    fn fits(&self, node: usize) -> bool {
        let Rules {
            max_in_flight, per_rack, per_dc, per_jump, of_dc, dc_parallel, strategy, ..
        } = &self.plot.rules;
        let per_dc = of_dc.get(&self.plot.places[node].dc).or(per_dc.as_ref());
        let meets = |other: &usize| {
            !dc_parallel || self.plot.places[*other].dc == self.plot.places[node].dc
        };
        let place = |node: usize| &self.plot.places[node];
        let rack = |node: usize| (&place(node).dc, &place(node).rack);
        let flying: Vec<usize> = self.flight.iter().map(|(node, ..)| *node).collect();
        let same_dc = flying.iter().filter(|n| place(**n).dc == place(node).dc).count();
        let same_rack = flying.iter().filter(|n| rack(**n) == rack(node)).count();
        let same_jump = flying.iter().filter(|n| place(**n).jump == place(node).jump).count();
        flying.len() < *max_in_flight
            && per_rack.is_none_or(|most| same_rack < most)
            && per_dc.is_none_or(|most| same_dc < *most)
            && (place(node).jump.is_none() || per_jump.is_none_or(|most| same_jump < most))
            && match strategy {
                Strategy::One => !flying.iter().any(meets),
                Strategy::Rack => same_rack == flying.iter().filter(|n| meets(n)).count(),
                Strategy::Topology => {
                    !flying.iter().any(|other| meets(other) && self.are_apart(node, *other))
                }
                Strategy::All => true,
            }
    }

    fn are_apart(&self, a: usize, b: usize) -> bool {
        let says = |a: usize, b: usize| {
            self.plot.rules.apart.get(a).is_some_and(|others| others.contains(&b))
        };
        a != b && (says(a, b) || says(b, a))
    }

    /// The stagger since the last start, and the pause after the canary.
    fn check_time(&self) {
        let Rules { stagger, rest, canary, after_canary, .. } = &self.plot.rules;
        if let Some((.., last)) = self.log.ends.last() {
            assert!(self.now >= *last + *rest, "the rest is kept");
        }
        if let Some((_, last)) = self.log.starts.last() {
            assert!(self.now >= *last + *stagger, "the stagger is kept");
        }
        let node = self.wanted().unwrap();
        if canary.is_empty() || self.batch[node] == CANARY {
            return;
        }
        self.check_canary_is_over();
        match after_canary {
            AfterCanary::GoOn => {}
            AfterCanary::Ask => assert_eq!(self.log.asked.len(), 1, "the question was asked"),
            AfterCanary::Wait(pause) => {
                let ends = self.log.ends.iter().filter(|(n, ..)| self.batch[*n] == CANARY);
                let end = ends.map(|(.., at)| *at).max().unwrap_or_default();
                assert!(self.now >= end + *pause, "the pause after the canary is kept");
            }
        }
    }

    fn check_canary_is_over(&self) {
        let flying = self.flight.iter().map(|(node, ..)| node);
        let is_open = self.waiting.iter().chain(flying).any(|node| self.batch[*node] == CANARY);
        assert!(!is_open && !self.has_failed_canary);
    }
}
