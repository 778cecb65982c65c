//! The ring is asked once, of the first node that can say.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};

use super::lines::Lines;
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::ring::Ring;
use crate::inventory::NodeSpec;
use crate::node::Connect;
use crate::node::survey::{self, Limits};

/// When a node has not told the ring after this long, the next is asked beside it. nodetool
/// takes 1 to 3 s on a busy node.
const PATIENCE: Duration = Duration::from_secs(4);

/// So many nodes are asked before the ring is given up.
const MOST_ASKED: usize = 32;

/// Asks `specs` in their order, one at a time as long as each answers soon.
pub async fn ask<C: Connect>(lines: &Lines<C>, specs: &[NodeSpec], limits: Limits) -> Fact<Ring> {
    let mut asked = FuturesUnordered::new();
    let mut first_failure: Option<Why> = None;
    for spec in specs.iter().take(MOST_ASKED) {
        asked.push(ask_one(lines, spec, limits));
        // Wait for an answer, a failure of all that are asked, or the end of patience.
        while let Ok(answer) = tokio::time::timeout(PATIENCE, asked.next()).await {
            match answer {
                Some(Fact::Known(ring)) => return Fact::Known(ring),
                Some(Fact::Unknown(why)) => first_failure = first_failure.or(Some(why)),
                None => break,
            }
        }
    }
    while let Some(answer) = asked.next().await {
        match answer {
            Fact::Known(ring) => return Fact::Known(ring),
            Fact::Unknown(why) => first_failure = first_failure.or(Some(why)),
        }
    }
    Fact::Unknown(first_failure.unwrap_or_else(|| Why::new(WhyKind::NotAsked, "no node to ask")))
}

async fn ask_one<C: Connect>(lines: &Lines<C>, spec: &NodeSpec, limits: Limits) -> Fact<Ring> {
    let name = &spec.endpoint.host;
    let answer = match lines.to(&spec.endpoint).await {
        Ok(node) => survey::ask_ring(&*node, spec, limits).await,
        Err(error) => Fact::Unknown(error.into()),
    };
    match answer {
        Fact::Unknown(mut why) => {
            why.text = format!("{name}: {}", why.text);
            Fact::Unknown(why)
        }
        known @ Fact::Known(_) => known,
    }
}
