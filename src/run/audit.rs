//! Asks every selected node at once, and the ring of one of them.

use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Semaphore, mpsc, watch};

use super::lines::Lines;
use super::turns::in_turn;
use super::{peers, ring};
use crate::audit::{self, Surveyed, Verdict};
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::facts::Facts;
use crate::cassandra::nodetool::netstats::Mode;
use crate::cassandra::ring::Ring;
use crate::event::Event;
use crate::inventory::NodeSpec;
use crate::join;
use crate::node::catalog::Nodetool;
use crate::node::survey::{self, Limits};
use crate::node::{Connect, Node};

/// A Cassandra younger than this, in seconds, is asked whether it is still starting: 4.x answers
/// `statusbackup` before it is up, with a value that means nothing yet.
const YOUNG: u64 = 180;

/// What to ask, and how.
pub struct Order {
    /// The nodes, in the order of the report.
    pub nodes: Vec<NodeSpec>,
    /// The ring when it is known already, else the nodes to ask for it, in this order.
    pub ring: RingFrom,
    /// How many nodes are asked at once.
    pub in_flight: usize,
    /// How long each command may take.
    pub limits: Limits,
}

/// Where the ring comes from.
pub enum RingFrom {
    /// It was asked before.
    Known(Ring),
    /// Ask these.
    Ask(Vec<NodeSpec>),
}

/// What came of it.
pub struct Result {
    /// The ring.
    pub ring: Fact<Ring>,
    /// Every node of the order, in its order.
    pub nodes: Vec<Surveyed>,
    /// Whether it was stopped before all nodes were asked.
    pub interrupted: bool,
}

/// Surveys all nodes of `order`; stops when `stop` becomes true, and then what was not learnt is
/// unknown for that reason.
pub async fn audit<C: Connect>(
    connector: Arc<C>,
    order: Order,
    events: mpsc::UnboundedSender<Event>,
    mut stop: watch::Receiver<bool>,
) -> Result {
    let Order { nodes, ring, in_flight, limits } = order;
    // A watcher that has gone is no reason to stop asking.
    let tell = |event| drop(events.send(event));
    tell(Event::Begun { nodes: nodes.len() });
    let to_ask = match &ring {
        RingFrom::Known(_) => &[][..],
        RingFrom::Ask(specs) => specs.as_slice(),
    };
    let lines = Lines::new(connector, nodes.iter().chain(to_ask).map(|spec| spec.endpoint.clone()));
    let (ring_told, ring_known) = watch::channel(None::<Fact<Ring>>);
    let ask_ring = async {
        let answer = match &ring {
            RingFrom::Known(ring) => Fact::Known(ring.clone()),
            RingFrom::Ask(specs) => ring::ask(&lines, specs, limits).await,
        };
        let members = match &answer {
            Fact::Known(ring) => Ok(ring.members.len()),
            Fact::Unknown(why) => Err(why.clone()),
        };
        tell(Event::Ring { members });
        ring_told.send_replace(Some(answer));
    };
    let turns = Semaphore::new(in_flight.max(1));
    let mut surveyed: Vec<Option<Surveyed>> = vec![None; nodes.len()];
    let mut jobs: FuturesUnordered<_> = nodes
        .iter()
        .enumerate()
        .map(|(index, spec)| {
            let (ring_known, lines, turns, tell) = (ring_known.clone(), &lines, &turns, &tell);
            async move {
                let work = async {
                    tell(Event::Started { node: spec.endpoint.host.clone() });
                    ask_node(lines, spec, limits, ring_known).await
                };
                (index, in_turn(turns, work).await)
            }
        })
        .collect();
    let work = async {
        let ask_all = async {
            while let Some((index, node)) = jobs.next().await {
                let (verdict, reason) = Verdict::of(&node.facts.live, &node.facts.configured());
                tell(Event::Finished { node: node.spec.endpoint.host.clone(), verdict, reason });
                surveyed[index] = Some(node);
            }
        };
        futures::join!(ask_ring, ask_all);
    };
    let interrupted = tokio::select! {
        () = work => false,
        () = stopped(&mut stop) => true,
    };
    drop(jobs);
    let cut = Why::new(WhyKind::NotAsked, "interrupted before it had answered");
    let ring = ring_known.borrow().clone().unwrap_or_else(|| Fact::Unknown(cut.clone()));
    let nodes = nodes
        .into_iter()
        .zip(surveyed)
        .map(|(spec, done)| {
            done.unwrap_or_else(|| {
                let facts = Facts::unknown(&cut);
                Surveyed { spec, facts, peer: None, resolved: Vec::new() }
            })
        })
        .collect();
    Result { ring, nodes, interrupted }
}

/// Waits until `stop` says so; for ever when nobody can any more.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn ask_node<C: Connect>(
    lines: &Lines<C>,
    spec: &NodeSpec,
    limits: Limits,
    mut ring_known: watch::Receiver<Option<Fact<Ring>>>,
) -> Surveyed {
    let node = match lines.to(&spec.endpoint).await {
        Ok(node) => node,
        Err(error) => {
            let facts = Facts::unknown(&error.into());
            let resolved = peers::resolve(&spec.endpoint).await;
            return Surveyed { spec: spec.clone(), facts, peer: None, resolved };
        }
    };
    let mut tool = Nodetool::new(spec, limits.nodetool);
    let facts = survey::survey(&*node, spec, &mut tool, limits).await;
    let (spec, peer) = (spec.clone(), node.peer_address());
    let mut surveyed = Surveyed { spec, facts, peer, resolved: Vec::new() };
    if surveyed.facts.live.known().is_some() {
        let ring = match ring_known.wait_for(Option::is_some).await {
            Ok(told) => told.as_ref().and_then(Fact::known).cloned(),
            Err(_) => None,
        };
        if is_doubtful(&surveyed, ring.as_ref()) {
            let mode = survey::ask_mode(&*node, &tool).await;
            if mode == Fact::Known(Mode::Starting) {
                surveyed.facts.live = Fact::unknown(WhyKind::Starting, "Cassandra is starting");
            }
            surveyed.facts.mode = Some(mode);
        }
    }
    surveyed
}

/// Whether the live flag may be that of a node which is not up: the ring does not show it up and
/// normal, or it was started a moment ago, when the ring may not know yet.
fn is_doubtful(node: &Surveyed, ring: Option<&Ring>) -> bool {
    let process = node.facts.process.known().and_then(Option::as_ref);
    let is_old = process.and_then(|process| process.age).is_some_and(|age| age >= YOUNG);
    let is_fine_in_ring = ring.is_none_or(|ring| {
        let joined = join::join(&[audit::identity(node)], ring);
        joined.member_of[0].is_some_and(|member| ring.members[member].is_up_and_normal())
    });
    !is_old || !is_fine_in_ring
}
