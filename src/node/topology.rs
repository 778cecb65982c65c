//! What one node knows of the ring's tokens: which nodes share data, and where each begins.
//!
//! Every nodetool call starts a JVM, so keyspaces of equal replication, which have equal ranges,
//! are asked for once.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};

use super::Node;
use super::catalog::{self, Nodetool};
use super::survey::nodetool;
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::nodetool::describecluster::{self, Keyspace, is_keyspace_name};
use crate::cassandra::nodetool::{describering, ring};
use crate::cassandra::replicas::{Replicas, Spread, spread};

/// How many JVMs of nodetool run on the node at once.
const SIDE_BY_SIDE: usize = 4;

/// What to do when it cannot be learnt which nodes share data.
const FIX: &str = "use --strategy rack or one, which need not know it";

/// Asks which nodes share a range of any keyspace of the users.
///
/// Known and empty when there is no such keyspace. Whatever fails makes it unknown: not knowing
/// who shares is not knowing that nobody does.
pub async fn ask_replicas<N: Node>(node: &N, tool: &Nodetool) -> Fact<Replicas> {
    match learn_replicas(node, tool).await {
        Ok(replicas) => Fact::Known(replicas),
        Err(why) if why.fix.is_none() && why.kind == WhyKind::NotUnderstood => {
            Fact::Unknown(why.with_fix(FIX))
        }
        Err(why) => Fact::Unknown(why),
    }
}

/// Asks for the lowest token of each node, by its address.
pub async fn ask_tokens<N: Node>(node: &N, tool: &Nodetool) -> Fact<BTreeMap<String, i128>> {
    nodetool(node, &catalog::nodetool_ring(tool), ring::parse).await
}

/// Asks for all tokens of each node, by its address.
pub async fn ask_all_tokens<N: Node>(
    node: &N,
    tool: &Nodetool,
) -> Fact<BTreeMap<String, Vec<i128>>> {
    nodetool(node, &catalog::nodetool_ring(tool), ring::tokens).await
}

/// Asks for the keyspaces, and who has which version of the schema.
pub async fn ask_cluster<N: Node>(
    node: &N,
    tool: &Nodetool,
) -> Fact<describecluster::DescribedCluster> {
    nodetool(node, &catalog::nodetool_describecluster(tool), describecluster::parse).await
}

async fn learn_replicas<N: Node>(node: &N, tool: &Nodetool) -> Result<Replicas, Why> {
    let first = questions(node, tool).await?;
    let why = match answers(node, tool, &first).await {
        Ok(replicas) => return Ok(replicas),
        Err(why) => why,
    };
    // A keyspace may have been dropped since it was named; nodetool's text on that varies. Where
    // the schema has not moved, or moves on, the first failure stands.
    match questions(node, tool).await {
        Ok(second) if second != first => answers(node, tool, &second).await,
        Ok(_) | Err(_) => Err(why),
    }
}

/// What is left to ask once the keyspaces are known.
#[derive(Debug, Default, PartialEq, Eq)]
struct Questions {
    /// One keyspace for each way of replication.
    keyspaces: BTreeSet<String>,
    /// Whether there is a keyspace that every node has whole.
    everywhere: bool,
}

async fn questions<N: Node>(node: &N, tool: &Nodetool) -> Result<Questions, Why> {
    let command = catalog::nodetool_describecluster(tool);
    let described = known(nodetool(node, &command, describecluster::parse).await)?;
    let keyspaces = described.keyspaces.ok_or_else(|| {
        let text = "nodetool describecluster names no keyspaces, as before Cassandra 4.0: which \
                    nodes share data is not known";
        Why::new(WhyKind::NotUnderstood, text).with_fix(FIX)
    })?;
    one_of_each(keyspaces)
}

fn one_of_each(keyspaces: Vec<Keyspace>) -> Result<Questions, Why> {
    let mut questions = Questions::default();
    let mut ways = BTreeMap::new();
    for keyspace in keyspaces {
        match spread(&keyspace) {
            Spread::NotAsked => {}
            Spread::Everywhere => questions.everywhere = true,
            Spread::ByRange => {
                let name = keyspace.name;
                if !is_keyspace_name(&name) {
                    let text = format!("the node names a keyspace as no keyspace can be: {name}");
                    return Err(Why::new(WhyKind::NotUnderstood, text));
                }
                ways.entry((keyspace.class, keyspace.options)).or_insert(name);
            }
        }
    }
    questions.keyspaces = ways.into_values().collect();
    Ok(questions)
}

async fn answers<N: Node>(
    node: &N,
    tool: &Nodetool,
    questions: &Questions,
) -> Result<Replicas, Why> {
    let mut replicas = Replicas::default();
    let asks = questions.keyspaces.iter().map(|keyspace| ranges(node, tool, keyspace));
    let mut asks = stream::iter(asks).buffer_unordered(SIDE_BY_SIDE);
    while let Some(answer) = asks.next().await {
        replicas.merge(&answer?);
    }
    if questions.everywhere {
        let tokens = known(ask_tokens(node, tool).await)?;
        replicas.add_everywhere(tokens.keys().map(String::as_str));
    }
    Ok(replicas)
}

/// Asks for the ranges of one keyspace.
async fn ranges<N: Node>(node: &N, tool: &Nodetool, keyspace: &str) -> Result<Replicas, Why> {
    let command = catalog::nodetool_describering(tool, keyspace);
    let read = |text: &str| {
        let mut replicas = Replicas::default();
        replicas.add(&describering::parse(text)?);
        Ok(replicas)
    };
    known(nodetool(node, &command, read).await)
}

fn known<T>(fact: Fact<T>) -> Result<T, Why> {
    match fact {
        Fact::Known(value) => Ok(value),
        Fact::Unknown(why) => Err(why),
    }
}
