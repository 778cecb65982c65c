//! The question the schedule is for: who may start now?

use std::time::Duration;

use super::{AfterCanary, Batch, Hold, Next, Pause, Schedule, State};

impl Schedule {
    /// Returns what may happen at `now`. It changes nothing: ask again after every event, and
    /// when a time has come that was to be waited for.
    pub fn next(&self, now: Duration) -> Next {
        if let Some(stop) = self.stop {
            return match self.flight.all().first() {
                Some(&node) => Next::WaitForNode { why: Hold::Stopping { node, stop } },
                None => Next::Stopped(stop),
            };
        }
        let Some(batch) = self.batch() else { return Next::Finished };
        let mut hold = None;
        for node in self.waiting(batch) {
            if self.is_question(batch) {
                return Next::Ask;
            }
            match self.flight.hold(node) {
                None => return self.in_time(node, now),
                // What keeps the first in order is what people wait for.
                Some(why) => hold = hold.or(Some(why)),
            }
        }
        Next::WaitForNode { why: hold.unwrap_or_else(|| self.end_of(batch)) }
    }

    /// Returns the first batch that has not ended; `None` when all have.
    fn batch(&self) -> Option<Batch> {
        let mut turns = self.line.iter().map(|&node| &self.turns[node]);
        turns.find(|turn| turn.state != State::Over).map(|turn| turn.batch)
    }

    /// Returns the nodes of `batch` that have not started, in order.
    fn waiting(&self, batch: Batch) -> impl Iterator<Item = usize> {
        self.line.iter().copied().filter(move |&node| {
            let turn = &self.turns[node];
            turn.batch == batch && turn.state == State::Waiting
        })
    }

    /// Whether `batch` has to wait for an answer.
    fn is_question(&self, batch: Batch) -> bool {
        self.rules.after_canary == AfterCanary::Ask && self.is_after_canary(batch)
    }

    /// Whether `batch` comes after a canary that nobody has let pass yet.
    fn is_after_canary(&self, batch: Batch) -> bool {
        !self.rules.canary.is_empty() && batch > Batch::Canary && !self.is_answered
    }

    /// Starts `node`, which may start beside those in flight, as soon as its time has come.
    fn in_time(&self, node: usize, now: Duration) -> Next {
        let stagger = self
            .last_start
            .map(|start| (start.saturating_add(self.rules.gap(self.starts)), Pause::Stagger));
        let pause = match self.rules.after_canary {
            AfterCanary::Wait(pause) if self.is_after_canary(self.turns[node].batch) => {
                Some((self.canary_end.saturating_add(pause), Pause::AfterCanary))
            }
            AfterCanary::Wait(_) | AfterCanary::GoOn | AfterCanary::Ask => None,
        };
        let rest = self
            .last_end
            .filter(|_| !self.rules.rest.is_zero())
            .map(|end| (end.saturating_add(self.rules.rest), Pause::Rest));
        let latest = stagger.into_iter().chain(rest).chain(pause).max_by_key(|(at, _)| *at);
        match latest.filter(|(at, _)| *at > now) {
            Some((at, why)) => Next::WaitUntil { at, node, why },
            None => Next::Start(node),
        }
    }

    /// Says what is waited for when all of `batch` have started and some have not ended.
    fn end_of(&self, batch: Batch) -> Hold {
        let is_last = self.turns.iter().all(|turn| turn.state != State::Waiting);
        let mut flight = self.flight.all().iter().copied();
        let node = flight.find(|&node| self.turns[node].batch == batch).unwrap_or_default();
        if is_last {
            return Hold::Last { node };
        }
        match batch {
            Batch::Canary => Hold::Canary { node },
            Batch::Wave(_) | Batch::Again => Hold::Wave { node },
        }
    }
}
