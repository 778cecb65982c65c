//! The nodes of a run: inventory, selection and ring joined, in the order of their turns.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::load::{self, Connector, Source};
use super::{Fault, audit, nodes};
use crate::cassandra::fact::Fact;
use crate::cassandra::ring::{Member, Ring};
use crate::cli;
use crate::inventory::NodeSpec;
use crate::join::Joined;
use crate::node::Endpoint;
use crate::plan::resume::{is_down, place};
use crate::record::{Entry, Place};
use crate::run::lines::Lines;
use crate::run::ring::Told;
use crate::selection::Selection;

/// So many nodes beside those of the run are kept to be asked for the ring.
const MOST_WITNESSES: usize = 8;

/// What a run is about to work on.
pub(super) struct Targets {
    /// The operator's name of the cluster.
    pub(super) cluster: String,
    /// The ring as it was seen a moment ago.
    pub(super) ring: Ring,
    /// The nodes.
    pub(super) entries: Vec<Entry>,
    /// Other nodes that can tell the ring.
    pub(super) witnesses: Vec<NodeSpec>,
    /// Selected members of the ring that no inventory names.
    pub(super) unlisted: Vec<Place>,
}

/// Reads inventory and ring. What needs no Cassandra can do without the ring.
pub(super) async fn find(
    source: Source,
    connector: &Arc<Connector>,
    asking: &cli::Asking,
    needs_cassandra: bool,
) -> Result<Targets, Fault> {
    let Source { inventory, via, selection } = source;
    let Some(inventory) = inventory else {
        let via = via.ok_or_else(|| Fault::usage("neither an inventory nor --via"))?;
        let told = audit::ask_via(connector, &via, asking).await?;
        let specs = load::select(&selection, load::nodes_of_ring(&told.ring, &via))?;
        let cluster = nodes::cluster_name(connector, &via, asking).await;
        return Ok(joined(cluster, told.ring, specs, connector, asking, &|_| false).await);
    };
    let first = inventory.ring_from.iter().filter_map(|name| inventory.node(name)).cloned();
    let mut to_ask: Vec<NodeSpec> = via.into_iter().chain(first).collect();
    let specs = load::select(&selection, inventory.nodes.clone())?;
    to_ask.extend(specs.iter().chain(&inventory.nodes).cloned());
    let ring = match ask(connector, &to_ask, asking).await {
        Ok(told) => told.ring,
        Err(fault) if needs_cassandra => return Err(fault),
        Err(fault) => {
            load::warn(&format!("{fault}; going on without: no start waits for the others"));
            Ring::default()
        }
    };
    let all = inventory.nodes;
    let is_wanted = |member: &Member| audit::is_wanted(&selection, &all, member);
    let names: BTreeSet<String> = specs.iter().map(|spec| spec.name().to_owned()).collect();
    let mut targets = joined(inventory.cluster, ring, specs, connector, asking, &is_wanted).await;
    to_ask.retain(|spec| !names.contains(spec.name()));
    to_ask.truncate(MOST_WITNESSES);
    targets.witnesses = to_ask;
    Ok(targets)
}

/// Asks these nodes for the ring, one after the other.
pub(super) async fn ask(
    connector: &Arc<Connector>,
    specs: &[NodeSpec],
    asking: &cli::Asking,
) -> Result<Told, Fault> {
    let lines = Lines::new(Arc::clone(connector), specs.iter().map(|spec| spec.endpoint.clone()));
    match crate::run::ring::ask(&lines, specs, audit::nobody(), load::limits(asking)).await {
        Fact::Known(told) => Ok(told),
        Fact::Unknown(why) => {
            Err(Fault::failed(format!("no node could tell the ring: {why}")).hint(why.hint()))
        }
    }
}

async fn joined(
    cluster: String,
    ring: Ring,
    specs: Vec<NodeSpec>,
    connector: &Arc<Connector>,
    asking: &cli::Asking,
    is_wanted: &dyn Fn(&Member) -> bool,
) -> Targets {
    let joined: Joined = nodes::join_with(connector, &specs, &ring, asking.in_flight).await;
    let entries = specs
        .into_iter()
        .zip(&joined.member_of)
        .map(|(spec, member)| entry(spec, member.map(|at| &ring.members[at])))
        .collect();
    let unlisted = joined.unlisted.iter().map(|at| &ring.members[*at]);
    let unlisted = unlisted.filter(|member| is_wanted(member)).map(place).collect();
    Targets { cluster, entries, unlisted, ring, witnesses: Vec::new() }
}

fn entry(mut spec: NodeSpec, member: Option<&Member>) -> Entry {
    // A resumed run may be started from another folder.
    for paths in [&mut spec.endpoint.identity_files, &mut spec.endpoint.known_hosts] {
        for path in paths {
            *path = load::absolute(path);
        }
    }
    let written = spec.cassandra_address.as_ref().or(spec.endpoint.address.as_ref());
    let place = member.map_or_else(
        || Place {
            address: written.unwrap_or(&spec.endpoint.host).clone(),
            dc: spec.dc.clone(),
            rack: spec.rack.clone(),
            host_id: spec.host_id.clone(),
            state: None,
        },
        place,
    );
    Entry { down: member.is_some_and(is_down), spec, place }
}

impl Targets {
    /// Addresses of the members that have to stay up: those that are, but for the allowed.
    pub(super) fn up(&self, allow_down: &[String]) -> Result<Vec<String>, Fault> {
        let up = self.ring.members.iter().filter(|member| member.is_up_and_normal());
        self.but_for(up.map(|member| member.address.clone()), allow_down)
    }

    /// Those of these addresses that are in the ring, but for the allowed.
    pub(super) fn still_members(
        &self,
        addresses: &[String],
        allow_down: &[String],
    ) -> Result<Vec<String>, Fault> {
        let is_member =
            |address: &&String| self.ring.members.iter().any(|member| member.address == **address);
        self.but_for(addresses.iter().filter(is_member).cloned(), allow_down)
    }

    fn but_for(
        &self,
        addresses: impl Iterator<Item = String>,
        allow_down: &[String],
    ) -> Result<Vec<String>, Fault> {
        let via = NodeSpec::at(Endpoint::default());
        let members = load::nodes_of_ring(&self.ring, &via).into_iter();
        let others = members.map(|spec| (spec.endpoint.host.clone(), spec));
        let all: Vec<(String, NodeSpec)> = self.selectable().chain(others).collect();
        let allowed = chosen(&all, allow_down, "--allow-down")?;
        Ok(addresses.filter(|address| !allowed.contains(address)).collect())
    }

    /// The canary nodes' addresses: so many from the front, or those named.
    pub(super) fn canary(&self, words: &[String]) -> Result<BTreeSet<String>, Fault> {
        if let [word] = words
            && let Ok(count) = word.parse::<usize>()
        {
            if count == 0 {
                return Err(Fault::usage("--canary 0 is no canary: leave it out"));
            }
            let up = self.entries.iter().filter(|entry| !entry.down);
            return Ok(up.take(count).map(|entry| entry.place.address.clone()).collect());
        }
        let all: Vec<(String, NodeSpec)> = self.selectable().collect();
        let canary = chosen(&all, words, "--canary")?;
        let down = |entry: &&Entry| entry.down && canary.contains(&entry.place.address);
        match self.entries.iter().find(down) {
            None => Ok(canary),
            Some(entry) => Err(Fault::failed(format!("the canary {} is down", entry.name()))
                .hint("name a node that is up")),
        }
    }

    fn selectable(&self) -> impl Iterator<Item = (String, NodeSpec)> {
        let entries = self.entries.iter();
        entries.map(|entry| (entry.place.address.clone(), entry.spec.clone()))
    }
}

/// Returns the addresses of the nodes that these words of an option mean.
fn chosen(
    all: &[(String, NodeSpec)],
    words: &[String],
    option: &str,
) -> Result<BTreeSet<String>, Fault> {
    if words.is_empty() {
        return Ok(BTreeSet::new());
    }
    let wrong = |error: &dyn std::fmt::Display| Fault::usage(format!("{option}: {error}"));
    let none: &[String] = &[];
    let selection = Selection::new(none, none, words, none).map_err(|error| wrong(&error))?;
    let specs = all.iter().map(|(_, spec)| spec.clone()).collect();
    let selected = selection.select(specs).map_err(|error| wrong(&error))?;
    if let Some(remark) = selected.unmatched.first() {
        return Err(wrong(remark));
    }
    let names: BTreeSet<&str> = selected.chosen.iter().map(NodeSpec::name).collect();
    let chosen = all.iter().filter(|(_, spec)| names.contains(spec.name()));
    Ok(chosen.map(|(address, _)| address.clone()).collect())
}
