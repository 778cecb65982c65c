//! Asks every selected node at once, and the ring of one of them.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::lines::Lines;
use super::look::{is_doubtful, settle_doubt};
use super::peers;
use super::ring::{self, Told};
use super::turns::{Behind, in_turn};
use crate::audit::{Surveyed, Verdict};
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::facts::Facts;
use crate::cassandra::nodetool::netstats::Mode;
use crate::cassandra::ring::Ring;
use crate::event::Event;
use crate::inventory::NodeSpec;
use crate::node::catalog::Nodetool;
use crate::node::survey::{self, Limits};
use crate::node::{Connect, Node};

/// What to ask, and how.
pub struct Order {
    /// The nodes, in the order of the report.
    pub nodes: Vec<NodeSpec>,
    /// The ring when it is known already, else the nodes to ask for it, in this order.
    pub ring: RingFrom,
    /// How many nodes are asked at once.
    pub in_flight: usize,
    /// How many of those behind one jump host.
    pub per_jump: Option<usize>,
    /// How long each command may take.
    pub limits: Limits,
}

/// Where the ring comes from.
pub enum RingFrom {
    /// It was asked before.
    Known(Told),
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

/// What the jobs of one run share.
struct Shared<C: Connect> {
    lines: Lines<C>,
    turns: Semaphore,
    behind: Behind,
    limits: Limits,
    events: mpsc::UnboundedSender<Event>,
    /// The ring, once it is known or given up.
    ring: watch::Receiver<Option<Fact<Told>>>,
}

impl<C: Connect> Shared<C> {
    /// Tells an event. A watcher that has gone is no reason to stop asking.
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

/// Surveys all nodes of `order`; stops when `stop` becomes true, and then what was not learnt is
/// unknown for that reason.
pub async fn audit<C: Connect>(
    connector: Arc<C>,
    order: Order,
    events: mpsc::UnboundedSender<Event>,
    mut stop: watch::Receiver<bool>,
) -> Result {
    let Order { nodes, ring, in_flight, per_jump, limits } = order;
    let to_ask = match &ring {
        RingFrom::Known(_) => &[][..],
        RingFrom::Ask(specs) => specs.as_slice(),
    };
    let endpoints = nodes.iter().chain(to_ask).map(|spec| spec.endpoint.clone());
    let (ring_told, ring_known) = watch::channel(None);
    let (proven, proven_nodes) = mpsc::unbounded_channel();
    let behind = Behind::of(&*connector, &nodes, per_jump).await;
    let shared = Arc::new(Shared {
        lines: Lines::new(connector, endpoints),
        turns: Semaphore::new(in_flight.max(1)),
        behind,
        limits,
        events,
        ring: ring_known.clone(),
    });
    shared.tell(Event::Begun { nodes: nodes.len() });
    // A task each, so that a node whose answer is hard to read keeps no other waiting.
    let mut jobs = JoinSet::new();
    for (index, spec) in nodes.iter().cloned().enumerate() {
        let (shared, proven) = (Arc::clone(&shared), proven.clone());
        jobs.spawn(async move { (index, job(&shared, spec, proven).await) });
    }
    drop(proven);
    let mut surveyed: Vec<Option<Surveyed>> = vec![None; nodes.len()];
    let work = async {
        let collect = async {
            // A job that panicked leaves its node unknown; the others go on.
            while let Some(done) = jobs.join_next().await {
                if let Ok((index, node)) = done {
                    surveyed[index] = Some(node);
                }
            }
        };
        futures::join!(ask_ring(&shared, ring, proven_nodes, ring_told), collect);
    };
    let interrupted = tokio::select! {
        () = work => false,
        () = stopped(&mut stop) => true,
    };
    jobs.shutdown().await;
    let text = if interrupted { "interrupted before it had answered" } else { "its survey failed" };
    let cut = Why::new(WhyKind::NotAsked, text);
    let told = ring_known.borrow().clone().unwrap_or_else(|| Fact::Unknown(cut.clone()));
    let ring = if interrupted {
        ring_of(told)
    } else {
        ring_of_a_node_that_is_up(&shared, told, &surveyed).await
    };
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

/// Learns the ring and tells it to all jobs.
async fn ask_ring<C: Connect>(
    shared: &Shared<C>,
    from: RingFrom,
    proven: mpsc::UnboundedReceiver<NodeSpec>,
    told: watch::Sender<Option<Fact<Told>>>,
) {
    let answer = match from {
        RingFrom::Known(told) => Fact::Known(told),
        RingFrom::Ask(specs) => ring::ask(&shared.lines, &specs, proven, shared.limits).await,
    };
    let members = match &answer {
        Fact::Known(told) => Ok(told.ring.members.len()),
        Fact::Unknown(why) => Err(why.clone()),
    };
    shared.tell(Event::Ring { members });
    told.send_replace(Some(answer));
}

fn ring_of(told: Fact<Told>) -> Fact<Ring> {
    match told {
        Fact::Known(told) => Fact::Known(told.ring),
        Fact::Unknown(why) => Fact::Unknown(why),
    }
}

/// Returns the ring, asked of another node when the one that told it turned out not to be up: a
/// drained node shows a ring that stands still, with itself as a normal member.
async fn ring_of_a_node_that_is_up<C: Connect>(
    shared: &Shared<C>,
    told: Fact<Told>,
    surveyed: &[Option<Surveyed>],
) -> Fact<Ring> {
    let is_up = |node: &Surveyed| {
        let is_normal = matches!(&node.facts.mode, None | Some(Fact::Known(Mode::Normal)));
        node.facts.live.known().is_some() && is_normal
    };
    let nodes = || surveyed.iter().flatten();
    let Fact::Known(Told { by, .. }) = &told else { return ring_of(told) };
    if nodes().all(|node| node.spec.endpoint != *by || is_up(node)) {
        return ring_of(told);
    }
    let others: Vec<NodeSpec> =
        nodes().filter(|node| is_up(node)).map(|node| node.spec.clone()).collect();
    let (_, nobody) = mpsc::unbounded_channel();
    match ring::ask(&shared.lines, &others, nobody, shared.limits).await {
        Fact::Known(better) => Fact::Known(better.ring),
        Fact::Unknown(_) => ring_of(told),
    }
}

/// Takes one node from its turn to its facts.
async fn job<C: Connect>(
    shared: &Shared<C>,
    spec: NodeSpec,
    proven: mpsc::UnboundedSender<NodeSpec>,
) -> Surveyed {
    let name = spec.endpoint.host.clone();
    let endpoint = spec.endpoint.clone();
    let work = async {
        shared.tell(Event::Started { node: name.clone() });
        ask_node(shared, spec, proven).await
    };
    // Unlike a turn it is kept by a node that hangs: the jump host has its connection to carry.
    let place = shared.behind.place(&endpoint).await;
    let node = in_turn(&shared.turns, work).await;
    drop(place);
    shared.lines.let_go(&endpoint).await;
    let (verdict, reason) = Verdict::of(&node.facts.live, &node.facts.configured());
    shared.tell(Event::Finished { node: name, verdict, reason });
    node
}

/// Waits until `stop` says so; for ever when nobody can any more.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn ask_node<C: Connect>(
    shared: &Shared<C>,
    spec: NodeSpec,
    proven: mpsc::UnboundedSender<NodeSpec>,
) -> Surveyed {
    let node = match shared.lines.to(&spec.endpoint).await {
        Ok(node) => node,
        Err(error) => {
            // It cannot tell the ring, and whoever waits for one that can need not wait for it.
            drop(proven);
            let facts = Facts::unknown(&error.into());
            let resolved = peers::resolve(&spec.endpoint).await;
            return Surveyed { spec, facts, peer: None, resolved };
        }
    };
    let mut tool = Nodetool::new(&spec, shared.limits.nodetool);
    let facts = survey::survey(&*node, &spec, &mut tool, shared.limits).await;
    let mut surveyed = Surveyed { spec, facts, peer: node.peer_address(), resolved: Vec::new() };
    if surveyed.facts.live.known().is_none() {
        return surveyed;
    }
    // Nobody to send it to means that the ring is known.
    let _ = proven.send(surveyed.spec.clone());
    drop(proven);
    let mut ring = shared.ring.clone();
    let is_doubtful = match ring.wait_for(Option::is_some).await {
        Ok(told) => {
            let told = told.as_ref().and_then(Fact::known);
            is_doubtful(&surveyed, told.map(|told| &told.ring))
        }
        Err(_) => true,
    };
    if is_doubtful {
        settle_doubt(&*node, &tool, &mut surveyed.facts).await;
    }
    surveyed
}
