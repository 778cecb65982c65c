//! Several nodes at once, never two that share a range: six nodes in two data centres, one token
//! each, so that not everybody is everybody's neighbour.

use std::collections::BTreeSet;

use super::lab::{Lab, Plan};
use super::runs::{NodeTurn, Runs, assert_set};

pub(crate) static SIX: Plan = Plan {
    name: "six",
    up: &[
        "--nodes",
        "6",
        "--incremental",
        "--topology",
        "dc1/r1,dc1/r2,dc1/r3,dc2/r1,dc2/r2,dc2/r3",
        "--yaml",
        "num_tokens: 1",
    ],
    prepare,
};

pub(crate) const ALL: [u8; 6] = [1, 2, 3, 4, 5, 6];

fn prepare(lab: &Lab) {
    lab.cql(
        "CREATE KEYSPACE IF NOT EXISTS pairs WITH replication =
                {'class': 'SimpleStrategy', 'replication_factor': 2};
             CREATE TABLE IF NOT EXISTS pairs.rows (id int PRIMARY KEY, what text);",
    );
}

/// Several at once, as far as that goes.
const SIDE_BY_SIDE: [&str; 4] = ["--strategy", "topology", "--max-in-flight", "6"];

#[test]
fn no_two_nodes_that_share_a_range_are_in_their_turn_at_once() {
    let lab = SIX.turn();
    let runs = Runs::of(&lab);
    runs.run(&[&["disable"], &SIDE_BY_SIDE[..]].concat()).fine("disable");
    let neighbours = sharing(&lab, &["pairs"]);
    assert!(neighbours.len() < 15, "six nodes of one token are not all neighbours: {neighbours:?}");
    let together = together(&runs.turns());
    assert_eq!(together.intersection(&neighbours).collect::<Vec<_>>(), Vec::<&Pair>::new());
    assert!(!together.is_empty(), "no two ran at once: {:#?}", runs.turns());
    assert_set(&lab, &ALL, false);

    // With a keyspace that is everywhere in one data centre, and twice in the other.
    lab.cql(
        "CREATE KEYSPACE IF NOT EXISTS spread WITH replication =
                {'class': 'NetworkTopologyStrategy', 'dc1': 2, 'dc2': 3};",
    );
    runs.run(&[&["enable"], &SIDE_BY_SIDE[..]].concat()).fine("enable");
    let neighbours = sharing(&lab, &["pairs", "spread"]);
    let together = self::together(&runs.turns());
    assert_eq!(together.intersection(&neighbours).collect::<Vec<_>>(), Vec::<&Pair>::new());
    assert_set(&lab, &ALL, true);
    lab.cql("DROP KEYSPACE IF EXISTS spread;");
}

/// Two nodes, the lower address first.
type Pair = [String; 2];

fn pair(one: &str, other: &str) -> Pair {
    let mut pair = [one.to_owned(), other.to_owned()];
    pair.sort();
    pair
}

/// Which nodes are replicas of the same range, as Cassandra describes its ranges.
#[track_caller]
fn sharing(lab: &Lab, keyspaces: &[&str]) -> BTreeSet<Pair> {
    let mut pairs = BTreeSet::new();
    for keyspace in keyspaces {
        let described = lab.nodetool(1, &["describering", keyspace]);
        let ranges: Vec<&str> = described.split(" endpoints:[").skip(1).collect();
        assert!(ranges.len() >= ALL.len(), "{described}");
        for range in ranges {
            let (replicas, _) = range.split_once(']').expect("a list has an end");
            let replicas: Vec<&str> = replicas.split(", ").collect();
            for (at, one) in replicas.iter().enumerate() {
                pairs.extend(replicas[at + 1..].iter().map(|other| pair(one, other)));
            }
        }
    }
    pairs
}

/// Which nodes were in their turns at the same time.
fn together(turns: &[NodeTurn]) -> BTreeSet<Pair> {
    assert_eq!(turns.len(), ALL.len(), "{turns:#?}");
    let mut pairs = BTreeSet::new();
    for (at, one) in turns.iter().enumerate() {
        let others = turns[at + 1..].iter().filter(|other| one.overlaps(other));
        pairs.extend(others.map(|other| pair(&one.node, &other.node)));
    }
    pairs
}
