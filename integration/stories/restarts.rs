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
    // The last that has no reason is what ends this; there must be others before it.
    let mut was_seen_starting = false;
    loop {
        let (audit, _) = lab.audit(&[]);
        let rows: Vec<&Value> = nodes.iter().map(|node| row(&audit, *node)).collect();
        for row in &rows {
            let after = began.elapsed();
            if row["verdict"] == "unknown" {
                let reason = row["reason_kind"].as_str().unwrap_or("none");
                let known = ["starting", "cassandra_down", "timed_out"].contains(&reason);
                assert!(known, "{reason} {after:?} after its start: {row:#}");
                assert_eq!(row["live"], Value::Null, "{after:?} after its start: {row:#}");
                was_seen_starting = true;
            } else {
                assert_eq!(row["verdict"], "enabled", "{after:?} after its start: {row:#}");
                assert_ne!(row["mode"], "starting", "{after:?} after its start: {row:#}");
            }
            assert_eq!(row["configured"], true, "{row:#}");
        }
        if rows.iter().all(|row| row["verdict"] == "enabled" && row["ring_state"] == "UN") {
            break;
        }
        assert!(began.elapsed() < BACK, "not back after {BACK:?}: {audit:#}");
    }
    assert!(was_seen_starting, "no audit came in time to see it start");
}
