//! Turns: how many nodes are asked at once, without one that hangs keeping the others waiting.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::inventory::NodeSpec;
use crate::node::{Connect, Endpoint};

/// A node that has not answered after this long no longer counts as being asked: its turn goes
/// to the next, while it may still answer until its own time limits. An ordinary survey takes 1
/// to 3 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs `work` when there is a turn for it.
pub(super) async fn in_turn<W: Future>(turns: &Semaphore, work: W) -> W::Output {
    // The semaphore is never closed; were it, the work would still have to be done.
    let turn = turns.acquire().await.ok();
    let mut work = pin!(work);
    if let Ok(output) = tokio::time::timeout(PATIENCE, &mut work).await {
        return output;
    }
    drop(turn);
    work.await
}

/// Places behind jump hosts, where their number is limited.
#[derive(Default)]
pub(super) struct Behind(HashMap<Endpoint, Arc<Semaphore>>);

impl Behind {
    /// Returns `most` places behind each jump host of these nodes; as many as are wanted for none.
    pub(super) async fn of<C: Connect>(
        connector: &C,
        nodes: &[NodeSpec],
        most: Option<usize>,
    ) -> Self {
        let Some(most) = most else { return Self::default() };
        let (mut places, mut jumps) = (HashMap::new(), HashMap::new());
        for node in nodes {
            if let Some(jump) = connector.behind(&node.endpoint).await {
                let jump = jumps.entry(jump).or_insert_with(|| Arc::new(Semaphore::new(most)));
                places.insert(node.endpoint.clone(), Arc::clone(jump));
            }
        }
        Self(places)
    }

    /// Waits for a place for a node; none is needed for one that is reached without a jump host.
    pub(super) async fn place(&self, endpoint: &Endpoint) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.0.get(endpoint)?.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nodes_that_hang_delay_the_others_by_no_more_than_their_patience() {
        let turns = Arc::new(Semaphore::new(1));
        let hanging: Vec<_> = (0..3)
            .map(|_| {
                let turns = Arc::clone(&turns);
                tokio::spawn(async move {
                    in_turn(&turns, tokio::time::sleep(Duration::from_secs(3600))).await;
                })
            })
            .collect();
        tokio::task::yield_now().await;
        let begun = tokio::time::Instant::now();
        in_turn(&turns, async {}).await;
        assert!(begun.elapsed() <= PATIENCE * 3 + Duration::from_secs(1));
        for task in hanging {
            task.abort();
        }
    }
}
