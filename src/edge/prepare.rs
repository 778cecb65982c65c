//! From options, inventory and ring to a schedule: all that is known before the first node is
//! touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Fault;
use super::change::{Ordered, seed};
use super::load::{self, Connector, Source};
use super::targets::{self, Targets};
use crate::cassandra::fact::Fact;
use crate::cassandra::ring::canonical;
use crate::cli;
use crate::node::catalog::Nodetool;
use crate::node::lock::Terms;
use crate::node::survey::find_nodetool;
use crate::node::{Connect, topology};
use crate::plan::resume;
use crate::record::{Entry, Job};
use crate::run::change::{GateRules, Order as RunOrder};
use crate::schedule::{AfterCanary, Order, Place, Rules, Schedule, Share, Strategy, arranged};

/// Where several nodes may run at once and nobody says how many: as many turns as that take the
/// controller little, and a bastion's sshd too.
const MOST_IN_FLIGHT: usize = 32;

/// All that is known before the first node is touched.
pub(super) struct Prepared {
    /// Its nodes are in the order of their turns.
    pub(super) targets: Targets,
    pub(super) schedule: Schedule,
    pub(super) canary: BTreeSet<usize>,
    pub(super) up: Vec<String>,
    pub(super) seed: u64,
    pub(super) scheduling: cli::Scheduling,
}

/// What the operator wants of the schedule.
pub(super) struct Wish<'a> {
    pub(super) scheduling: &'a cli::Scheduling,
    pub(super) job: &'a Job,
    pub(super) asking: &'a cli::Asking,
    pub(super) per_jump: Option<usize>,
    pub(super) seed: u64,
}

pub(super) async fn prepare(
    source: Source,
    connector: &Arc<Connector>,
    ordered: &Ordered,
) -> Result<Prepared, Fault> {
    let Ordered { scheduling, job, asking, ssh, .. } = ordered;
    let mut targets = targets::find(source, connector, asking, job.needs_cassandra()).await?;
    let tokens = match scheduling.order {
        Order::Ring => tokens(connector, &targets, asking).await?,
        Order::Inventory | Order::Rack => BTreeMap::new(),
    };
    let places: Vec<Place> = targets.entries.iter().map(slot).collect();
    let first_token: Vec<Option<i128>> = targets
        .entries
        .iter()
        .map(|entry| tokens.get(&canonical(&entry.place.address)).copied())
        .collect();
    let order = arranged(scheduling.order, &places, &first_token);
    targets.entries = order.iter().map(|at| targets.entries[*at].clone()).collect();
    let canary = targets.canary(&scheduling.canary)?;
    let up = targets.up(&scheduling.allow_down)?;
    let wish = Wish { scheduling, job, asking, per_jump: ssh.per_jump, seed: seed() };
    schedule(connector, targets, &canary, up, &wish).await
}

/// Makes the schedule of these nodes, in their order.
pub(super) async fn schedule(
    connector: &Arc<Connector>,
    mut targets: Targets,
    canary: &BTreeSet<String>,
    up: Vec<String>,
    wish: &Wish<'_>,
) -> Result<Prepared, Fault> {
    let entries = &mut targets.entries;
    let named = wish.scheduling.per_dc.iter().filter_map(|limit| limit.dc.as_ref());
    for dc in named {
        if !entries.iter().any(|entry| entry.place.dc.as_ref() == Some(dc)) {
            let dc = crate::text::visible(dc);
            return Err(Fault::usage(format!("--per-dc: no node of this run is in '{dc}'")));
        }
    }
    let is_one = wish.scheduling.strategy == Some(Strategy::One) && !wish.scheduling.dc_parallel;
    if is_one && wish.scheduling.max_in_flight.is_some_and(|most| most > 1) {
        return Err(Fault::usage("--strategy one lets one node run at a time, whatever the limit")
            .hint("leave out --max-in-flight, or name another strategy"));
    }
    let canary: BTreeSet<usize> =
        (0..entries.len()).filter(|at| canary.contains(&entries[*at].place.address)).collect();
    let scheduling = wish.scheduling;
    let mut rules = rules(wish, &canary);
    if rules.strategy == Strategy::Topology {
        rules.apart = apart(connector, entries, wish.asking).await?;
    }
    let mut places: Vec<Place> = entries.iter().map(slot).collect();
    if wish.per_jump.is_some() {
        for (place, entry) in places.iter_mut().zip(entries.iter()) {
            place.jump = connector.behind(&entry.spec.endpoint).await;
        }
    }
    let mut schedule =
        Schedule::new(rules, places).map_err(|error| Fault::usage(error.to_string()))?;
    resume::skip_down(&mut schedule, entries, wish.job);
    let (seed, scheduling) = (wish.seed, scheduling.clone());
    Ok(Prepared { targets, schedule, canary, up, seed, scheduling })
}

fn rules(wish: &Wish<'_>, canary: &BTreeSet<usize>) -> Rules {
    let Wish { scheduling, job, per_jump, seed, .. } = *wish;
    let allows_several =
        matches!(scheduling.strategy, Some(Strategy::Rack | Strategy::Topology | Strategy::All));
    let allows_several = allows_several
        || !scheduling.waves.is_empty()
        || !scheduling.per_dc.is_empty()
        || scheduling.per_rack.is_some()
        || per_jump.is_some()
        || scheduling.dc_parallel;
    let default = if allows_several { MOST_IN_FLIGHT } else { 1 };
    let max_in_flight = scheduling.max_in_flight.unwrap_or(default);
    let strategy = scheduling.strategy.unwrap_or(match max_in_flight {
        1 => Strategy::One,
        // One of each data centre.
        _ if scheduling.dc_parallel && scheduling.max_in_flight.is_none() => Strategy::One,
        // Several at once must never be two replicas, unless the operator says otherwise.
        _ => Strategy::Topology,
    });
    let after_canary = match scheduling.canary_wait {
        Some(wait) => AfterCanary::Wait(wait),
        None => AfterCanary::Ask,
    };
    // A proof that fails says nothing against proving the others.
    let default_failures = match job.stops_at_failures() {
        true => Share::Count(0),
        false => Share::Percent(100),
    };
    Rules {
        stagger: scheduling.stagger,
        jitter: scheduling.jitter,
        seed,
        max_in_flight,
        per_rack: scheduling.per_rack,
        per_jump,
        rest: scheduling.rest,
        per_dc: scheduling.per_dc.iter().find(|limit| limit.dc.is_none()).map(|limit| limit.most),
        of_dc: scheduling
            .per_dc
            .iter()
            .filter_map(|limit| Some((limit.dc.clone()?, limit.most)))
            .collect(),
        dc_parallel: scheduling.dc_parallel,
        strategy,
        apart: Vec::new(),
        canary: canary.iter().copied().collect(),
        after_canary,
        waves: scheduling.waves.clone(),
        max_failures: scheduling.max_failures.unwrap_or(default_failures),
        max_unreachable: scheduling.max_unreachable,
    }
}

fn slot(entry: &Entry) -> Place {
    // A rack that is not known is nobody else's.
    let rack = entry.place.rack.clone().unwrap_or_else(|| format!("of {}", entry.name()));
    Place { dc: entry.place.dc.clone().unwrap_or_default(), rack, jump: None }
}

/// Which nodes share replicas, by their numbers.
async fn apart(
    connector: &Arc<Connector>,
    entries: &[Entry],
    asking: &cli::Asking,
) -> Result<Vec<BTreeSet<usize>>, Fault> {
    let replicas =
        ask_one(connector, entries, asking, "which nodes share replicas", async |node, tool| {
            topology::ask_replicas(node, tool).await
        })
        .await?;
    let number: BTreeMap<String, usize> = entries
        .iter()
        .enumerate()
        .map(|(at, entry)| (canonical(&entry.place.address), at))
        .collect();
    let mut apart = vec![BTreeSet::new(); entries.len()];
    for (address, others) in replicas.apart() {
        let Some(at) = number.get(&canonical(&address)) else { continue };
        apart[*at].extend(others.iter().filter_map(|other| number.get(&canonical(other))));
    }
    // A node of which no member is known may share ranges with any other.
    let unknown = entries.iter().enumerate().filter(|(_, entry)| entry.place.state.is_none());
    for (at, _) in unknown {
        apart[at] = (0..entries.len()).filter(|other| *other != at).collect();
    }
    Ok(apart)
}

async fn tokens(
    connector: &Arc<Connector>,
    targets: &Targets,
    asking: &cli::Asking,
) -> Result<BTreeMap<String, i128>, Fault> {
    let tokens = ask_one(connector, &targets.entries, asking, "the tokens", async |node, tool| {
        topology::ask_tokens(node, tool).await
    })
    .await?;
    Ok(tokens.into_iter().map(|(address, token)| (canonical(&address), token)).collect())
}

/// Asks the nodes one after the other until one answers.
async fn ask_one<T>(
    connector: &Arc<Connector>,
    entries: &[Entry],
    asking: &cli::Asking,
    what: &str,
    ask: impl AsyncFn(&<Connector as Connect>::Node, &Nodetool) -> Fact<T>,
) -> Result<T, Fault> {
    let mut first = None;
    // Three that cannot tell it are enough to say so.
    for entry in entries.iter().filter(|entry| !entry.down).take(3) {
        let answer = match connector.connect(&entry.spec.endpoint).await {
            Ok(node) => {
                let limits = load::limits(asking);
                let tool = find_nodetool(&node, &entry.spec, limits).await;
                ask(&node, &tool).await
            }
            Err(error) => Fact::Unknown(error.into()),
        };
        match answer {
            Fact::Known(value) => return Ok(value),
            Fact::Unknown(why) => first = first.or(Some((entry.name(), why))),
        }
    }
    let text = match &first {
        Some((name, why)) => format!("cannot learn {what}: {name}: {why}"),
        None => format!("cannot learn {what}: no node is up"),
    };
    let hint = first.map_or_else(|| "start Cassandra there".to_owned(), |(_, why)| why.hint());
    Err(Fault::failed(text).hint(hint))
}

impl Prepared {
    /// Returns what the loop is given.
    pub(super) fn into_order(
        self,
        lock_wait: &Duration,
        asking: &cli::Asking,
        job: &Job,
    ) -> RunOrder {
        let up = if job.is_gated() { self.up } else { Vec::new() };
        RunOrder {
            schedule: self.schedule,
            canary: self.canary,
            gate: GateRules { up: up.into_iter().collect(), timeout: self.scheduling.gate_timeout },
            ring: Some(self.targets.ring),
            retry_down: self.scheduling.retry_down,
            limits: load::limits(asking),
            patience: *lock_wait,
            terms: Terms::outliving(asking.nodetool_timeout),
            not_before: Duration::ZERO,
            question: None,
            depot: None,
            window: super::depot::window(job),
        }
    }
}
