//! The ring is asked once, of the first node that can say.

use std::collections::HashSet;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc::UnboundedReceiver;

use super::lines::Lines;
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::ring::Ring;
use crate::inventory::NodeSpec;
use crate::node::survey::{self, Limits};
use crate::node::{Connect, Endpoint};

/// When a node has not told the ring after this long, another is asked beside it. nodetool takes
/// 1 to 3 s on a busy node.
const PATIENCE: Duration = Duration::from_secs(4);

/// The ring, and who told it.
#[derive(Debug, Clone)]
pub struct Told {
    /// The ring.
    pub ring: Ring,
    /// Where the node that told it is reached.
    pub by: Endpoint,
}

/// Asks the first of `specs` at once, so that its answer comes beside the surveys; where it fails
/// or stays silent, the nodes of `proven` next, which have just answered another question; and
/// the rest of `specs` when nobody else is left.
pub async fn ask<C: Connect>(
    lines: &Lines<C>,
    specs: &[NodeSpec],
    mut proven: UnboundedReceiver<NodeSpec>,
    limits: Limits,
) -> Fact<Told> {
    let mut rest = specs.iter();
    let mut tried: HashSet<Endpoint> = HashSet::new();
    let mut asked = FuturesUnordered::new();
    let mut failure: Option<Why> = None;
    // Whether another node is to be asked, and whether surveys may still bring one.
    let (mut wants_more, mut are_more_proven) = (true, true);
    if let Some(spec) = rest.next() {
        tried.insert(spec.endpoint.clone());
        asked.push(ask_one(lines, spec.clone(), limits));
        wants_more = false;
    }
    loop {
        tokio::select! {
            Some(answer) = asked.next() => match answer {
                Fact::Known(told) => return Fact::Known(told),
                Fact::Unknown(why) => {
                    failure = failure.or(Some(why));
                    wants_more = true;
                }
            },
            () = tokio::time::sleep(PATIENCE), if !wants_more => wants_more = true,
            next = proven.recv(), if wants_more && are_more_proven => match next {
                Some(spec) => {
                    if tried.insert(spec.endpoint.clone()) {
                        asked.push(ask_one(lines, spec, limits));
                        wants_more = false;
                    }
                }
                None => are_more_proven = false,
            },
            else => {}
        }
        if wants_more && !are_more_proven {
            match rest.find(|spec| tried.insert(spec.endpoint.clone())) {
                Some(spec) => {
                    asked.push(ask_one(lines, spec.clone(), limits));
                }
                None if asked.is_empty() => break,
                None => {}
            }
            wants_more = false;
        }
    }
    Fact::Unknown(failure.unwrap_or_else(|| Why::new(WhyKind::NotAsked, "no node to ask")))
}

async fn ask_one<C: Connect>(lines: &Lines<C>, spec: NodeSpec, limits: Limits) -> Fact<Told> {
    let answer = match lines.to(&spec.endpoint).await {
        Ok(node) => survey::ask_ring(&*node, &spec, limits).await,
        Err(error) => Fact::Unknown(error.into()),
    };
    match answer {
        Fact::Unknown(mut why) => {
            why.text = format!("{}: {}", spec.endpoint.host, why.text);
            Fact::Unknown(why)
        }
        Fact::Known(ring) => Fact::Known(Told { ring, by: spec.endpoint }),
    }
}
