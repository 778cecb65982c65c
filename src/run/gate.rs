//! The gate before each start: every node that was up when the run began is still up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::lines::Lines;
use super::log::{Log, Pause};
use super::{clock, ring};
use crate::cassandra::fact::Fact;
use crate::cassandra::ring::Ring;
use crate::inventory::NodeSpec;
use crate::node::Connect;
use crate::node::survey::Limits;
use crate::record::What;

/// An answer of the ring is good for this long, so that nodes which start together ask once.
const FRESH: Duration = Duration::from_secs(3);

/// Names of so many members are told: in a ring cut in two half of them would be.
const MOST_TOLD: usize = 5;

/// How long the ring may be asked for when the time for waiting is over. nodetool takes 1 to 3 s
/// on a busy node, and nodes that are silent are passed over one after the other.
const LAST_ANSWER: Duration = Duration::from_secs(30);

/// How long it is between two questions while the gate is shut. Gossip needs about as long to
/// see that a node is back.
const POLL: Duration = Duration::from_secs(5);

/// What the gate wants.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Addresses of the members that have to be up.
    pub up: BTreeSet<String>,
    /// How long to wait for them.
    pub timeout: Duration,
}

/// The gate of one run.
pub(super) struct Gate<C: Connect> {
    connector: Arc<C>,
    rules: Rules,
    limits: Limits,
    log: Arc<Log>,
    last: tokio::sync::Mutex<Last>,
}

/// The ring as it was seen last.
struct Last {
    ring: Option<Ring>,
    /// When this gate saw it. One that was seen before the run began is no answer: an operator
    /// may have thought about a question since.
    when: Option<Instant>,
}

impl<C: Connect> Gate<C> {
    pub(super) fn new(
        connector: Arc<C>,
        rules: Rules,
        limits: Limits,
        log: Arc<Log>,
        ring: Option<Ring>,
    ) -> Self {
        let last = tokio::sync::Mutex::new(Last { ring, when: None });
        Self { connector, rules, limits, log, last }
    }

    /// Waits until the ring is as it should be. `nodes` are asked for it in this order.
    ///
    /// # Errors
    /// Why it is not, when the time is over.
    pub(super) async fn pass(&self, nodes: &[NodeSpec]) -> Result<(), String> {
        // What need not be up need not be asked for: no node may be there to say it.
        if self.rules.up.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + self.rules.timeout;
        let mut told: Option<String> = None;
        loop {
            let last_answer = deadline.max(Instant::now() + LAST_ANSWER);
            let shut = tokio::time::timeout_at(last_answer, self.shut(nodes)).await;
            let silent = |_| Some("no node tells the ring in time".to_owned());
            let Some(why) = shut.unwrap_or_else(silent) else {
                self.log.pause(None);
                return Ok(());
            };
            if told.as_ref() != Some(&why) {
                // The journal being full is seen by the next start, before anything is done.
                let _ = self.log.write(What::Waiting { why: why.clone() });
                told = Some(why.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.log.pause(None);
                return Err(format!(
                    "the ring was not as at the start for {}: {why}",
                    crate::human::duration(self.rules.timeout)
                ));
            }
            let until = clock::now().checked_add(left).ok();
            self.log.pause(Some(Pause { why, until }));
            tokio::time::sleep(POLL.min(left)).await;
        }
    }

    /// The ring as it was seen last.
    pub(super) async fn ring(&self) -> Option<Ring> {
        self.last.lock().await.ring.clone()
    }

    /// The ring as it is now; where no node tells it, as it was seen last.
    pub(super) async fn ring_now(&self, nodes: &[NodeSpec]) -> Option<Ring> {
        // Nobody minds what it answers: it is kept.
        let _ = tokio::time::timeout(LAST_ANSWER, self.ask(nodes)).await;
        self.ring().await
    }

    /// Returns why no node may start now, if so.
    async fn shut(&self, nodes: &[NodeSpec]) -> Option<String> {
        if let Last { ring: Some(ring), when: Some(when) } = &*self.last.lock().await
            && when.elapsed() < FRESH
            && missing(ring, &self.rules.up).is_empty()
        {
            return None;
        }
        self.ask(nodes).await
    }

    /// Asks for the ring, and says why no node may start now, if so.
    async fn ask(&self, nodes: &[NodeSpec]) -> Option<String> {
        // Nothing of an earlier question is kept: lines do not last from start to start.
        let lines = Lines::new(Arc::clone(&self.connector), []);
        let (_, nobody) = mpsc::unbounded_channel();
        match ring::ask(&lines, nodes, nobody, self.limits).await {
            Fact::Unknown(why) => Some(format!("no node tells the ring: {why}")),
            Fact::Known(told) => {
                let missing = missing(&told.ring, &self.rules.up);
                *self.last.lock().await =
                    Last { ring: Some(told.ring), when: Some(Instant::now()) };
                let by = &told.by.host;
                (!missing.is_empty()).then(|| format!("{} (says {by})", few(&missing)))
            }
        }
    }
}

/// The first of them, and how many more there are.
fn few(missing: &[String]) -> String {
    let told = missing.get(..MOST_TOLD).unwrap_or(missing).join(", ");
    match missing.len().saturating_sub(MOST_TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// Returns what is not up and normal of what should be, each with its state.
fn missing(ring: &Ring, up: &BTreeSet<String>) -> Vec<String> {
    up.iter()
        .filter_map(|address| {
            let member = ring.members.iter().find(|member| member.address == *address);
            match member {
                Some(member) if member.is_up_and_normal() => None,
                Some(member) => Some(format!("{address} is {}", member.state())),
                None => Some(format!("{address} is not in the ring any more")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_missing_members_the_first_are_told_and_the_rest_counted() {
        let missing =
            |count: usize| (0..count).map(|at| format!("n{at} is DN")).collect::<Vec<_>>();
        assert_eq!(few(&missing(2)), "n0 is DN, n1 is DN");
        assert!(!few(&missing(5)).contains("more"));
        assert!(few(&missing(500)).ends_with("n4 is DN and 495 more"));
    }
}
