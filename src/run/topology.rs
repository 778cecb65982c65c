//! The ring as the store keeps it once a run: members, tokens, schema, replication.

use std::collections::BTreeMap;

use super::clock;
use crate::cassandra::fact::Fact;
use crate::cassandra::nodetool::describecluster::DescribedCluster;
use crate::cassandra::ring::{Member, Ring, canonical};
use crate::inventory::NodeSpec;
use crate::node::catalog::Nodetool;
use crate::node::survey::{Limits, find_nodetool};
use crate::node::{Connect, Node, topology};
use crate::store::manifest::{RingMember, SCHEMA, Topology};

/// So many nodes are tried; after that the ring is kept without tokens and schema.
const MOST_ASKED: usize = 2;

/// Asks the first of these nodes that answers. What cannot be learnt is named in the answer: to
/// ship is worth more than to know the tokens.
pub async fn ask<C: Connect>(
    connector: &C,
    nodes: &[NodeSpec],
    limits: Limits,
    ring: &Ring,
    run: &str,
    cluster: &str,
) -> Topology {
    let mut topology = Topology {
        schema: SCHEMA,
        run: run.to_owned(),
        at: Some(clock::now()),
        cluster: cluster.to_owned(),
        members: ring.members.iter().map(member).collect(),
        keyspaces: None,
        missing: Vec::new(),
    };
    if ring.members.is_empty() {
        topology.missing.push("the ring: no node could tell it".to_owned());
        return topology;
    }
    let mut missing = vec!["tokens, schema and keyspaces: no node is up".to_owned()];
    for spec in nodes.iter().take(MOST_ASKED) {
        let node = match connector.connect(&spec.endpoint).await {
            Ok(node) => node,
            Err(error) => {
                missing = vec![format!("tokens, schema and keyspaces: {error}")];
                continue;
            }
        };
        missing = learn(&mut topology, &node, &Nodetool::new(spec, limits.nodetool)).await;
        if !missing.is_empty() {
            // It may lie elsewhere than in PATH.
            let tool = find_nodetool(&node, spec, limits).await;
            missing = learn(&mut topology, &node, &tool).await;
        }
        if missing.is_empty() {
            break;
        }
    }
    topology.missing = missing;
    topology
}

async fn learn<N: Node>(topology: &mut Topology, node: &N, tool: &Nodetool) -> Vec<String> {
    let (tokens, cluster) =
        tokio::join!(topology::ask_all_tokens(node, tool), topology::ask_cluster(node, tool));
    add(topology, tokens, cluster)
}

fn member(member: &Member) -> RingMember {
    RingMember {
        address: member.address.clone(),
        host_id: member.host_id.clone(),
        dc: member.dc.clone(),
        rack: member.rack.clone(),
        state: member.state(),
        tokens: None,
        schema_version: None,
    }
}

/// Adds what was learnt; returns what was not.
fn add(
    topology: &mut Topology,
    tokens: Fact<BTreeMap<String, Vec<i128>>>,
    cluster: Fact<DescribedCluster>,
) -> Vec<String> {
    let mut missing = Vec::new();
    match tokens {
        Fact::Unknown(why) => missing.push(format!("tokens: {why}")),
        Fact::Known(tokens) => {
            let tokens: BTreeMap<String, Vec<i128>> =
                tokens.into_iter().map(|(address, its)| (canonical(&address), its)).collect();
            for member in &mut topology.members {
                let its = tokens.get(&canonical(&member.address));
                member.tokens = its.map(|its| its.iter().map(i128::to_string).collect());
            }
        }
    }
    match cluster {
        Fact::Unknown(why) => missing.push(format!("schema and keyspaces: {why}")),
        Fact::Known(cluster) => {
            for member in &mut topology.members {
                let version = cluster.schema_versions.get(&canonical(&member.address));
                member.schema_version = version.cloned();
            }
            topology.keyspaces = cluster.keyspaces.map(|keyspaces| {
                let with_options = keyspaces.into_iter().map(|keyspace| {
                    let options: Vec<String> = keyspace
                        .options
                        .iter()
                        .map(|(key, value)| format!("{key}={value}"))
                        .collect();
                    (keyspace.name, format!("{} {{{}}}", keyspace.class, options.join(", ")))
                });
                with_options.collect()
            });
            if topology.keyspaces.is_none() {
                missing.push("keyspaces: nodetool describecluster names none".to_owned());
            }
        }
    }
    missing
}
