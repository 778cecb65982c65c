//! One node of three is broken: the audit ends in time, the others are told as ever, and the
//! broken one is UNKNOWN with the reason. Never is it called enabled or disabled.

use std::time::Duration;

use serde_json::Value;

use super::command::Ended;
use super::lab::{AUDIT, Lab, QUICK, row};
use super::restarts::audit_while_starting;
use super::three_nodes::{
    BROKEN, THREE, assert_all_is_well, assert_files_are_known, assert_healthy,
    assert_one_is_unknown, assert_others_came_early, grave_checks, wait_until_well,
};

/// What a reading of a few nodes takes on a busy machine of two cores, beside a limit.
const SLACK: Duration = Duration::from_secs(8);

/// The limits of `QUICK`.
const CONNECT: Duration = Duration::from_secs(6);
const NODETOOL: Duration = Duration::from_secs(12);

#[track_caller]
fn assert_within(ended: &Ended, limit: Duration) {
    let most = limit + SLACK;
    assert!(ended.took <= most, "took {:?}, more than {most:?}:\n{}", ended.took, ended.stderr);
}

#[test]
fn a_ring_without_faults_has_no_findings() {
    let lab = THREE.turn();
    let (audit, ended) = lab.audit(&[]);
    assert_all_is_well(&audit, &ended);
    for node in 1..=3 {
        assert_healthy(row(&audit, node));
    }
}

#[test]
fn a_stopped_sshd_is_refused() {
    let lab = THREE.turn();
    let _broken = lab.broken(BROKEN, "sshd-stop", &["sshd-start"]);
    let (audit, ended) = lab.audit(&[]);
    assert_one_is_unknown(&audit, &ended, &["refused"]);
    assert_eq!(grave_checks(&audit), ["unknown 10.77.0.12"]);
    assert_within(&ended, Duration::ZERO);
}

#[test]
fn a_pulled_cable_is_unreachable() {
    let lab = THREE.turn();
    {
        let _broken = lab.broken(BROKEN, "link-down", &["link-up"]);
        let (audit, ended) = lab.audit(&[]);
        assert_one_is_unknown(&audit, &ended, &["unreachable", "timed_out"]);
        assert_within(&ended, CONNECT);
    }
    wait_until_well(&lab);
}

#[test]
fn an_sshd_that_says_nothing_times_out_and_nobody_waits_for_it() {
    let lab = THREE.turn();
    let _broken = lab.broken(BROKEN, "sshd-pause", &["sshd-resume"]);
    let (audit, ended) = lab.audit_within(&["--connect-timeout", "15s"]);
    assert_one_is_unknown(&audit, &ended, &["timed_out"]);
    assert_within(&ended, Duration::from_secs(15));
    assert_others_came_early(&ended, Duration::from_secs(5));
}

#[test]
fn a_hung_jvm_times_out_and_its_files_are_told() {
    let lab = THREE.turn();
    {
        let _broken = lab.broken(BROKEN, "pause", &["resume"]);
        // With the ordinary limits: 20 s for nodetool.
        let (audit, ended) = lab.audit_within(&[]);
        assert_one_is_unknown(&audit, &ended, &["timed_out"]);
        assert_files_are_known(row(&audit, BROKEN));
        assert_within(&ended, Duration::from_secs(20));
        assert_others_came_early(&ended, Duration::from_secs(8));
    }
    wait_until_well(&lab);
}

#[test]
fn a_killed_cassandra_is_down_and_its_files_are_told() {
    let lab = THREE.turn();
    let _broken = lab.broken(BROKEN, "kill", &["start"]);
    let (audit, ended) = lab.audit(&[]);
    assert_one_is_unknown(&audit, &ended, &["cassandra_down"]);
    assert_files_are_known(row(&audit, BROKEN));
    assert_within(&ended, Duration::ZERO);
}

#[test]
fn a_closed_jmx_port_is_no_answer_and_not_a_dead_cassandra() {
    let lab = THREE.turn();
    let _broken = lab.broken(BROKEN, "jmx-close", &["jmx-open"]);
    let (audit, ended) = lab.audit(&[]);
    assert_one_is_unknown(&audit, &ended, &["cassandra_down"]);
    assert_files_are_known(row(&audit, BROKEN));
    let reason = row(&audit, BROKEN)["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("Cassandra runs"), "{reason}");
    assert_eq!(row(&audit, BROKEN)["version"], "5.0.5");
}

#[test]
fn a_nodetool_that_hangs_is_ended_on_the_node() {
    let lab = THREE.turn();
    let _broken = lab.broken(BROKEN, "nodetool-hang", &["nodetool-ok"]);
    let (audit, ended) = lab.audit(&[]);
    assert_one_is_unknown(&audit, &ended, &["timed_out"]);
    assert_files_are_known(row(&audit, BROKEN));
    assert_within(&ended, NODETOOL);
    assert_others_came_early(&ended, Duration::from_secs(3));
    assert_no_nodetool_lives(&lab, Duration::from_secs(4));
}

#[test]
fn a_nodetool_that_prints_for_ever_is_cut_off() {
    let lab = THREE.turn();
    let _broken = lab.broken(BROKEN, "nodetool-flood", &["nodetool-ok"]);
    let (audit, ended) = lab.audit(&[]);
    assert_one_is_unknown(&audit, &ended, &["too_much"]);
    assert_files_are_known(row(&audit, BROKEN));
    assert_within(&ended, NODETOOL);
    assert_no_nodetool_lives(&lab, NODETOOL);
}

#[test]
fn escape_sequences_of_a_node_reach_no_terminal_and_no_file() {
    let lab = THREE.turn();
    let _broken = lab.broken(BROKEN, "nodetool-escapes", &["nodetool-ok"]);
    let inventory = lab.path("inventory.yaml");
    for format in ["table", "json", "csv", "nagios", "prometheus", "junit"] {
        for color in ["never", "auto"] {
            let show = ["audit", "-i", &inventory, "--format", format, "--color", color];
            let ended = lab.ringhaul(&[&show[..], &QUICK].concat());
            for (stream, text) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
                let bad = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r'));
                assert_eq!(bad, None, "{format} holds a control character on {stream}: {text:?}");
            }
            // It may be read through, or not be understood; it may not be taken for a No.
            assert!(
                [0, 3].contains(&ended.code),
                "{format}: exit {}\n{}",
                ended.code,
                ended.stdout
            );
        }
    }
}

#[test]
fn noise_around_an_answer_is_read_past() {
    let lab = THREE.turn();
    let _broken = lab.broken(BROKEN, "nodetool-noise", &["nodetool-ok"]);
    let (audit, ended) = lab.audit(&[]);
    assert_all_is_well(&audit, &ended);
}

#[test]
fn a_banner_of_the_login_shell_is_no_answer() {
    let lab = THREE.turn();
    let _broken = lab.broken(BROKEN, "rc-banner", &["rc-ok"]);
    let (audit, ended) = lab.audit(&[]);
    assert_all_is_well(&audit, &ended);
}

#[test]
fn a_changed_host_key_is_refused_and_nothing_is_asked() {
    let lab = THREE.turn();
    lab.on(BROKEN, "cp -a /etc/ssh /root/ssh-before");
    {
        let _broken = lab.broken(BROKEN, "hostkey-change", &["sshd-stop", "sshd-start"]);
        for option in [&[][..], &["--accept-new-host-keys"]] {
            let (audit, ended) = lab.audit(option);
            assert_one_is_unknown(&audit, &ended, &["host_key"]);
            assert_eq!(row(&audit, BROKEN)["configured"], Value::Null);
        }
        lab.on(BROKEN, "cp -a /root/ssh-before/ssh_host_* /etc/ssh/; rm -r /root/ssh-before");
    }
    wait_until_well(&lab);
}

#[test]
fn a_starting_node_is_neither_on_nor_off() {
    let lab = THREE.turn();
    audit_while_starting(&lab, &[BROKEN]);
}

#[test]
fn all_nodes_without_an_answer_are_rows_of_their_own() {
    let lab = THREE.turn();
    let nodes = [1, 2, 3];
    {
        let _broken = nodes.map(|node| lab.broken(node, "sshd-stop", &["sshd-start"]));
        let (audit, ended) = lab.audit(&[]);
        for node in nodes {
            assert_eq!(row(&audit, node)["reason_kind"], "refused", "{audit:#}");
        }
        let mut checks = grave_checks(&audit);
        checks.retain(|check| !check.starts_with("unknown "));
        assert_eq!(checks, ["ring_unknown ring"], "{audit:#}");
        assert_eq!(ended.code, 3);
        assert!(ended.took <= AUDIT);
    }
}

/// From this age on a process is not asked whether it is still starting (`YOUNG` in run/audit.rs).
const GROWN_UP: u64 = 185;

/// The name puts it last in this file, when node 1 is old enough or nearly so.
#[test]
fn with_running_a_drained_node_answers_and_is_found_all_the_same() {
    let lab = THREE.turn();
    // The first is the one that is asked for the ring, and it takes itself for UN.
    for node in [BROKEN, 1] {
        if node == 1 {
            wait_until_grown_up(&lab, node);
        }
        let _broken = lab.broken(node, "nodetool-ok", &["kill", "start"]);
        lab.nodetool(node, &["drain"]);
        assert_eq!(lab.nodetool(node, &["statusbackup"]), "running\n");
        let (audit, ended) = lab.audit(&[]);
        let drained = row(&audit, node);
        assert_eq!(drained["mode"], "drained", "{drained:#}");
        let findings = drained["findings"].as_array().into_iter().flatten();
        let checks: Vec<&Value> = findings
            .filter(|finding| finding["severity"] == "critical")
            .map(|finding| &finding["check"])
            .collect();
        assert_eq!(checks, ["drained"], "{drained:#}");
        assert_eq!(ended.code, 1, "{}", ended.stderr);
    }
    wait_until_well(&lab);
}

#[track_caller]
fn wait_until_grown_up(lab: &Lab, node: u8) {
    let age = lab.on(node, "ps -o etimes= -p \"$(cut -d' ' -f1 /run/rig/cassandra)\"");
    let age: u64 = age.trim().parse().unwrap_or_else(|error| panic!("{error}: {age}"));
    std::thread::sleep(Duration::from_secs(GROWN_UP.saturating_sub(age)));
}

/// Waits until the node runs no nodetool any more.
#[track_caller]
pub(crate) fn assert_no_nodetool_lives(lab: &Lab, limit: Duration) {
    let began = std::time::Instant::now();
    loop {
        let all = lab.on(BROKEN, "ps -eo pid=,ppid=,args=");
        // The node's own init sleeps too; as its child.
        let ours: Vec<&str> = all
            .lines()
            .filter(|line| line.contains("nodetool") || line.contains("NodeTool"))
            .collect();
        if ours.is_empty() {
            return;
        }
        assert!(began.elapsed() <= limit, "still on the node after {limit:?}: {ours:#?}");
        std::thread::sleep(Duration::from_millis(500));
    }
}
