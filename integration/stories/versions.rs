//! A ring on its way through an upgrade: 4.0, 4.1 and 5.0 side by side, each told right.

use serde_json::json;

use super::lab::{self, Lab, Plan, row};
use super::restarts::audit_while_starting;
use super::runs::{Runs, assert_nothing_is_left, assert_set, yaml};
use super::three_nodes::grave_checks;
use super::truth::{self, Made};

pub(crate) static MIXED: Plan = Plan {
    name: "mixed",
    up: &["--nodes", "3", "--version", "4.0,4.1,5.0", "--incremental"],
    prepare,
};

fn prepare(lab: &Lab) {
    lab.ring("seed", &[]);
}

static MADE: [Made; 3] = [made(1), made(2), made(3)];

const fn made(node: u8) -> Made {
    Made {
        node,
        data: &["/var/lib/cassandra/data"],
        config: "/etc/cassandra/cassandra.yaml",
        files: true,
    }
}

/// See `audit.rs`: a count before and one after must agree.
const TRIES: usize = 6;

#[test]
fn each_version_is_told_right_in_a_mixed_ring() {
    let lab = MIXED.turn();
    for _ in 0..TRIES {
        let before = truth::of(&lab, &MADE);
        let (audit, ended) = lab.audit(&[]);
        if before != truth::of(&lab, &MADE) {
            lab::tell("the nodes changed during the audit; once more");
            continue;
        }
        for (node, truth) in &before {
            truth::assert_told(row(&audit, *node), truth);
        }
        let versions = [1, 2, 3].map(|node| row(&audit, node)["version"].clone());
        assert_eq!(versions, ["4.0.17", "4.1.9", "5.0.5"]);
        assert_eq!(
            audit["summary"],
            json!({"nodes": 3, "enabled": 3, "disabled": 0, "drift": 0, "unknown": 0})
        );
        assert_eq!(grave_checks(&audit), ["disagrees ring"]);
        assert_eq!(ended.code, 1);
        return;
    }
    panic!("the nodes did not stand still in {TRIES} tries");
}

#[test]
fn starting_nodes_of_4_0_and_4_1_are_neither_on_nor_off() {
    let lab = MIXED.turn();
    audit_while_starting(&lab, &[1, 2]);
}

#[test]
fn each_version_is_switched_and_proven_in_a_mixed_ring() {
    let lab = MIXED.turn();
    let before = [1, 2, 3].map(|node| yaml(&lab, node));
    let runs = Runs::of(&lab);
    let all = ["--strategy", "all"];
    runs.run(&[&["disable"], &all[..]].concat()).fine("disable");
    assert_set(&lab, &[1, 2, 3], false);
    let (run, ended) = runs.json(&[&["verify"], &all[..]].concat());
    assert_eq!(run["verdicts"], json!({"proven": 0, "not_proven": 3, "unknown": 0}), "{run:#}");
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    runs.run(&[&["enable"], &all[..]].concat()).fine("enable");
    assert_set(&lab, &[1, 2, 3], true);
    assert_eq!([1, 2, 3].map(|node| yaml(&lab, node)), before);
    let (run, ended) = runs.json(&[&["verify", "--clean-up"], &all[..]].concat());
    assert_eq!(run["verdicts"], json!({"proven": 3, "not_proven": 0, "unknown": 0}), "{run:#}");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_nothing_is_left(&lab, &[1, 2, 3]);
}
