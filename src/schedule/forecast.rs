//! When each node would start, if all went well.

use std::time::Duration;

use super::{Ending, Next, Schedule};

impl Schedule {
    /// Returns the nodes still to start, each with the time of its start, if every node took
    /// `took` and ended fine, and questions were answered at once.
    ///
    /// Nodes in flight are taken to have begun when they did; jitter is that of the seed, so
    /// that a run with the same rules and durations starts at these very times.
    pub fn forecast(&self, took: Duration) -> Vec<(usize, Duration)> {
        let mut ahead = self.clone();
        let mut now = ahead.latest;
        let mut starts = Vec::new();
        // A node starts, ends and is paused for at most once, and there is one question.
        for _ in 0..=3 * ahead.turns.len() + 1 {
            ahead.end_all_due(now, took);
            let wake = match ahead.next(now) {
                Next::Start(node) => {
                    ahead.started(node, now);
                    starts.push((node, now));
                    continue;
                }
                Next::Ask => {
                    ahead.go_on();
                    continue;
                }
                Next::WaitUntil { at, .. } => Some(at),
                Next::WaitForNode { .. } => None,
                Next::Finished | Next::Stopped(_) => break,
            };
            let Some(at) = wake.into_iter().chain(ahead.first_end(took)).min() else { break };
            now = at;
        }
        starts
    }

    /// Ends what would have ended by `now`.
    fn end_all_due(&mut self, now: Duration, took: Duration) {
        for node in self.flight.all().to_vec() {
            let end = self.end(node, took);
            if end <= now {
                self.ended(node, Ending::Fine, end);
            }
        }
    }

    fn first_end(&self, took: Duration) -> Option<Duration> {
        self.flight.all().iter().map(|&node| self.end(node, took)).min()
    }

    /// Returns when `node`, which is in flight, would end. That may have passed already.
    fn end(&self, node: usize, took: Duration) -> Duration {
        self.turns[node].began.saturating_add(took)
    }
}
