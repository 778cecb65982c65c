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
    last: tokio::sync::Mutex<Option<(Instant, Ring)>>,
}

impl<C: Connect> Gate<C> {
    pub(super) fn new(
        connector: Arc<C>,
        rules: Rules,
        limits: Limits,
        log: Arc<Log>,
        ring: Option<Ring>,
    ) -> Self {
        let last = tokio::sync::Mutex::new(ring.map(|ring| (Instant::now(), ring)));
        Self { connector, rules, limits, log, last }
    }

    /// Waits until the ring is as it should be. `nodes` are asked for it in this order.
    ///
    /// # Errors
    /// Why it is not, when the time is over.
    pub(super) async fn pass(&self, nodes: &[NodeSpec]) -> Result<(), String> {
        let deadline = Instant::now() + self.rules.timeout;
        let mut told: Option<String> = None;
        loop {
            let Some(why) = self.shut(nodes).await else {
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
        self.last.lock().await.as_ref().map(|(_, ring)| ring.clone())
    }

    /// Returns why no node may start now, if so.
    async fn shut(&self, nodes: &[NodeSpec]) -> Option<String> {
        let mut last = self.last.lock().await;
        if let Some((when, ring)) = &*last
            && when.elapsed() < FRESH
            && missing(ring, &self.rules.up).is_empty()
        {
            return None;
        }
        // Nothing of an earlier question is kept: lines do not last from start to start.
        let lines = Lines::new(Arc::clone(&self.connector), []);
        let (_, nobody) = mpsc::unbounded_channel();
        match ring::ask(&lines, nodes, nobody, self.limits).await {
            Fact::Unknown(why) => Some(format!("no node tells the ring: {why}")),
            Fact::Known(told) => {
                let missing = missing(&told.ring, &self.rules.up);
                *last = Some((Instant::now(), told.ring));
                let by = &told.by.host;
                (!missing.is_empty()).then(|| format!("{} (says {by})", missing.join(", ")))
            }
        }
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
