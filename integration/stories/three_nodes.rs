//! The lab that most stories share: three nodes of 5.0.5, all enabled and aligned, so that
//! whatever an audit finds is what the story did.

use std::time::Duration;

use serde_json::{Value, json};

use super::command::Ended;
use super::lab::{Lab, Plan, row};

pub(crate) static THREE: Plan =
    Plan { name: "three", up: &["--nodes", "3", "--incremental"], prepare: |_| {} };

/// The node that is broken. The first is asked for the ring, the last ends the report; faults
/// must not show in either.
pub(crate) const BROKEN: u8 = 2;

/// Asserts that all three are enabled and that there is nothing to find.
#[track_caller]
pub(crate) fn assert_all_is_well(audit: &Value, ended: &Ended) {
    assert_eq!(
        audit["summary"],
        json!({"nodes": 3, "enabled": 3, "disabled": 0, "drift": 0, "unknown": 0}),
        "{audit:#}"
    );
    assert_eq!(grave_checks(audit), Vec::<String>::new(), "{audit:#}");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

/// Asserts that node `BROKEN` is unknown for the reason of this kind, and that the others are
/// what they are.
#[track_caller]
pub(crate) fn assert_one_is_unknown(audit: &Value, ended: &Ended, kinds: &[&str]) {
    for node in [1, 3] {
        assert_healthy(row(audit, node));
    }
    let broken = row(audit, BROKEN);
    assert_eq!(broken["verdict"], "unknown", "{broken:#}");
    let kind = broken["reason_kind"].as_str().unwrap_or("none");
    assert!(kinds.contains(&kind), "the reason is {kind}, not {kinds:?}: {broken:#}");
    assert_eq!(
        audit["summary"],
        json!({"nodes": 3, "enabled": 2, "disabled": 0, "drift": 0, "unknown": 1}),
        "{audit:#}"
    );
    assert_eq!(ended.code, 3, "{}", ended.stderr);
}

/// Asserts that the row is that of a node which lacks nothing.
#[track_caller]
pub(crate) fn assert_healthy(row: &Value) {
    for (fact, value) in [
        ("verdict", json!("enabled")),
        ("reason", Value::Null),
        ("live", json!(true)),
        ("configured", json!(true)),
        ("version", json!("5.0.5")),
        ("ring_state", json!("UN")),
        ("unknown", json!({})),
    ] {
        assert_eq!(row[fact], value, "{fact} of {row:#}");
    }
    assert!(row["backups"]["sets"].as_u64() > Some(0), "{row:#}");
}

/// Asserts that what the files say is there, although Cassandra was not heard.
#[track_caller]
pub(crate) fn assert_files_are_known(row: &Value) {
    assert_eq!(row["live"], Value::Null, "{row:#}");
    assert_eq!(row["configured"], true, "{row:#}");
    assert_eq!(row["config_file"], "/etc/cassandra/cassandra.yaml", "{row:#}");
    assert!(row["backups"]["sets"].as_u64() > Some(0), "{row:#}");
    assert!(row["snapshots"].is_array() && row["disks"].is_array(), "{row:#}");
}

/// Returns `check node` of every finding that counts for the exit code. The host's disk is not
/// the story's doing.
pub(crate) fn grave_checks(audit: &Value) -> Vec<String> {
    let all = audit["findings"].as_array().into_iter().flatten();
    all.filter(|finding| finding["severity"] != "info" && finding["check"] != "disk_filling")
        .map(|finding| {
            let word = |name: &str| finding[name].as_str().unwrap_or("ring").to_owned();
            format!("{} {}", word("check"), word("node"))
        })
        .collect()
}

/// Asserts that the healthy nodes were told at least `before` the end: nobody waits for the
/// broken one.
#[track_caller]
pub(crate) fn assert_others_came_early(ended: &Ended, before: Duration) {
    for node in ["10.77.0.11: enabled", "10.77.0.13: enabled"] {
        let when = ended.when_said(node);
        assert!(
            when + before <= ended.took,
            "{node} came after {when:?} of {:?}:\n{}",
            ended.took,
            ended.stderr
        );
    }
}

/// Waits until an audit finds the lab as it should be: a mended node needs a moment.
#[track_caller]
pub(crate) fn wait_until_well(lab: &Lab) {
    let mut last = Value::Null;
    for _ in 0..20 {
        let (audit, ended) = lab.audit(&[]);
        if ended.code == 0 {
            return;
        }
        last = audit;
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("the lab is not well again: {last:#}");
}
