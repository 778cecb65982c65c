//! A node that is starting is neither enabled nor disabled: 4.x answers `not running` before it
//! is up, 5.0 refuses to answer, and both are seen by an audit that comes at that moment.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::lab::{Lab, row};

/// How long a node may take to come back. 10 s alone; several others build and test here, too.
const BACK: Duration = Duration::from_secs(150);

/// Kills these nodes, starts them and audits at once, again and again, until all are enabled.
/// Until then each of them may only be unknown.
#[track_caller]
pub(crate) fn audit_while_starting(lab: &Lab, nodes: &[u8]) {
    lab.side_by_side(nodes, |node| {
        let node = node.to_string();
        lab.ring("fault", &[&node, "kill"]);
        lab.ring("fault", &[&node, "start-nowait"]);
    });
    let began = Instant::now();
    let mut reasons: Vec<Value> = Vec::new();
    loop {
        let (audit, _) = lab.audit(&[]);
        let rows: Vec<&Value> = nodes.iter().map(|node| row(&audit, *node)).collect();
        for row in &rows {
            let is_unknown = row["verdict"] == "unknown" && row["live"].is_null();
            let is_up = row["verdict"] == "enabled" && row["mode"] != "starting";
            assert!(is_unknown || is_up, "{:?} after its start: {row:#}", began.elapsed());
            assert_eq!(row["configured"], true, "{row:#}");
            reasons.push(row["reason_kind"].clone());
        }
        if rows.iter().all(|row| row["verdict"] == "enabled" && row["ring_state"] == "UN") {
            break;
        }
        assert!(began.elapsed() < BACK, "not back after {BACK:?}: {audit:#}");
    }
    for reason in reasons.iter().filter(|reason| !reason.is_null()) {
        let known = ["starting", "cassandra_down", "timed_out"];
        assert!(known.iter().any(|kind| reason == kind), "{reason} of {reasons:?}");
    }
    assert!(
        reasons.iter().any(|reason| !reason.is_null()),
        "no audit came in time to see it start"
    );
}
