//! The loop that changes nodes, on a ring of this machine: who starts when, what stops it, and
//! what each node's row says.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[allow(dead_code, reason = "the tests of cuts use all of it")]
#[path = "common/fleet.rs"]
mod fleet;
#[path = "change/full.rs"]
mod full;
#[path = "common/local.rs"]
mod local;
#[path = "change/rows.rs"]
mod rows;
#[path = "change/turns.rs"]
mod turns;

use ringhaul::fleet::Fleet;
use ringhaul::record::{Ended, Outcome, Record, What};

use fleet::row;

/// JMX as nodetool tells it when nobody listens.
const REFUSED: &str =
    "nodetool: Failed to connect to '127.0.0.1:7199' - ConnectException: 'Connection refused'.\n";

fn outcomes(fleet: &Fleet) -> Vec<Outcome> {
    fleet.rows.iter().map(ringhaul::fleet::Row::outcome).collect()
}

fn end(fleet: &Fleet, number: usize) -> Ended {
    row(fleet, number).end.clone().unwrap()
}

fn reason(fleet: &Fleet, number: usize) -> String {
    row(fleet, number).reason(fleet).unwrap_or_default()
}

/// `+n1` where a turn begins, `-n1` where it ends.
fn turns(records: &[Record]) -> Vec<String> {
    let mut turns = Vec::new();
    for record in records {
        if let What::TurnBegun { node } = &record.what {
            turns.push(format!("+{node}"));
        } else if let What::Ended(ended) = &record.what {
            turns.push(format!("-{}", ended.node));
        }
    }
    turns
}
