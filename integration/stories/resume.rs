//! Runs that do not come to their end: the controller killed, the line cut, the operator's
//! Ctrl-C, the node's Cassandra gone. What is told is so, and `resume` does the rest.

use std::time::Duration;

use serde_json::{Value, json};

use super::lab;
use super::runs::{
    Kind, RUN, Runs, assert_nothing_is_left, assert_set, held_after, of, outcomes, reason, rewrite,
    switched, wait_until_seen, wait_until_seen_down, yaml,
};
use super::three_nodes::{BROKEN, THREE, wait_until_well};

const ALL: [u8; 3] = [1, 2, 3];

/// What a process that is told to end may take, goodbyes to the nodes included.
const SOON: Duration = Duration::from_secs(12);

/// Kills the controller at each of these records in turn, and each time another goes on.
#[track_caller]
fn killed_at(runs: &Runs<'_>, verb: &[&str], kinds: &[Kind]) {
    let mut running = runs.start(verb);
    let mut from = 0;
    for kind in kinds {
        runs.wait_for(from, *kind);
        running.signal("KILL");
        let ended = running.end(RUN);
        assert_eq!(ended.code, 137, "killed at {kind:?}:\n{}", ended.stderr);
        let shown = runs.show(&[]);
        assert!(shown.stdout.contains("cut off before its end"), "{}", shown.stdout);
        assert_ne!(shown.code, 0, "{}", shown.stdout);
        from = runs.records().len();
        running = runs.start_resume(&[]);
    }
    running.end(RUN).fine("the last resume");
    let shown = runs.show(&["--json"]).fine("runs show");
    let run = lab::parsed(&shown);
    assert_eq!(run["resumed"], kinds.len(), "{run:#}");
    assert_eq!(run["finished"], true, "{run:#}");
    for outcome in outcomes(&run) {
        assert!(["done", "nothing_to_do"].contains(&outcome), "{run:#}");
    }
}

/// Whether the controller is killed at every kind of record. Each takes a lock's linger, and the
/// sweep without a ring (tests/cut.rs, tests/haul_cut.rs) kills it at every single record.
pub(crate) fn every_kill() -> bool {
    std::env::var_os("RINGHAUL_KILLS").is_some()
}

#[test]
fn a_controller_killed_at_any_record_ends_as_if_it_were_not() {
    let lab = THREE.turn();
    let before = ALL.map(|node| yaml(&lab, node));
    let runs = Runs::of(&lab);
    // Of the steps a later one may be over already, done by what the dead controller began; so
    // their order here is one that leaves enough nodes.
    let kinds = [
        ("begun", ""),
        ("step_begun", "edit_config"),
        ("step_ended", "disable_backup"),
        ("ended", ""),
        ("turn_begun", ""),
        ("step_ended", "edit_config"),
        ("step_begun", "disable_backup"),
    ];
    killed_at(&runs, &["disable"], if every_kill() { &kinds } else { &kinds[..4] });
    assert_set(&lab, &ALL, false);
    for (node, before) in ALL.iter().zip(&before) {
        assert_eq!(yaml(&lab, *node), switched(before, false));
    }

    // Killed between the last two records, or in the middle of writing one.
    let file = runs.file().expect("a journal");
    rewrite(&file, |text| {
        let end = text.trim_end().rfind('\n').map_or(0, |end| end + 1);
        assert!(text[end..].contains("finished"), "{text}");
        format!("{}{{\"at\":\"20", &text[..end])
    });
    let (run, ended) = runs.resume(&[]);
    assert_eq!((ended.code, &run["finished"]), (0, &json!(true)), "{}\n{run:#}", ended.stderr);

    // Several nodes in flight at once.
    let runs = Runs::of(&lab);
    killed_at(
        &runs,
        &["enable", "--strategy", "all"],
        &[("step_begun", "edit_config"), ("step_begun", "enable_backup"), ("resumed", "")],
    );
    assert_set(&lab, &ALL, true);
    assert_eq!(ALL.map(|node| yaml(&lab, node)), before);
    assert_nothing_is_left(&lab, &ALL);
}

#[test]
fn ctrl_c_finishes_what_runs_and_twice_stops_at_once() {
    let lab = THREE.turn();
    let runs = Runs::of(&lab);
    let running = runs.start(&["disable", "--json"]);
    runs.wait_for(0, ("turn_begun", ""));
    running.signal("TERM");
    let ended = running.end(RUN);
    let run = lab::parsed(&ended);
    assert_eq!(outcomes(&run), ["done", "not_started", "not_started"], "{run:#}");
    assert_eq!((&run["interrupted"], ended.code), (&json!(true), 130), "{run:#}");
    assert!(reason(of(&run, 2)).contains("interrupted"), "{run:#}");
    assert!(ended.stderr.contains("what runs is finished"), "{}", ended.stderr);
    assert_eq!(runs.show(&["--json"]).stdout, ended.stdout);

    let from = runs.records().len();
    let running = runs.start_resume(&["--json"]);
    runs.wait_for(from, ("turn_begun", ""));
    running.signal("INT");
    let ended = running.end(RUN);
    let run = lab::parsed(&ended);
    assert_eq!(outcomes(&run), ["done", "done", "not_started"], "{run:#}");
    assert_eq!(ended.code, 130, "{}", ended.stderr);

    let from = runs.records().len();
    let mut running = runs.start_resume(&[]);
    runs.wait_for(from, ("step_begun", "disable_backup"));
    running.signal("INT");
    running.wait_until_said("again: stop at once", SOON);
    let twice = std::time::Instant::now();
    running.signal("INT");
    let ended = running.end(SOON);
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert!(ended.stderr.contains("ringhaul resume"), "{}", ended.stderr);
    assert!(twice.elapsed() < SOON);
    let shown = lab::parsed(&runs.show(&["--json"]));
    assert_eq!(outcomes(&shown), ["done", "done", "unsure"], "{shown:#}");

    let (run, ended) = runs.resume(&[]);
    assert_eq!((ended.code, &run["resumed"]), (0, &json!(3)), "{run:#}");
    assert_set(&lab, &ALL, false);
    assert_nothing_is_left(&lab, &ALL);
    runs.run(&["enable", "--strategy", "all"]).fine("enable");
}

/// Ends every session of a node's sshd; its listener lives on.
pub(crate) const END_SESSIONS: &str = "listener=$(cut -d' ' -f1 /run/rig/sshd)
    for privileged in $(ps -o pid= --ppid \"$listener\"); do
        kill -9 $(ps -o pid= --ppid \"$privileged\") \"$privileged\" || true
    done";

#[test]
fn a_line_that_breaks_in_a_change_is_looked_behind() {
    let lab = THREE.turn();
    let runs = Runs::of(&lab);
    let only = ["--node", &lab::address(BROKEN)];
    // It can be gone to again: done, or not, is seen.
    let running = runs.start(&[&["disable", "--json"], &only[..]].concat());
    runs.wait_for(0, ("step_begun", "disable_backup"));
    lab.on(BROKEN, END_SESSIONS);
    let ended = running.end(RUN);
    let run = lab::parsed(&ended);
    let row = of(&run, BROKEN);
    match row["outcome"].as_str() {
        Some("done") => {
            let notes = row["notes"].to_string();
            assert!(notes.contains("a second look found it done"), "{row:#}");
        }
        Some("failed") => {
            assert!(reason(row).starts_with("cassandra.yaml is off, live is on: "), "{row:#}");
            assert_eq!(row["after"], json!({"live": true, "configured": false}), "{row:#}");
        }
        _ => panic!("{row:#}"),
    }
    // Either way the end is the same.
    let (run, ended) = runs.resume(&[]);
    assert_eq!(ended.code, 0, "{}\n{run:#}", ended.stderr);
    assert_set(&lab, &[BROKEN], false);

    // It cannot: nobody knows, and nobody claims to.
    let runs = Runs::of(&lab);
    {
        let running = runs.start(&["enable", "--json"]);
        runs.wait_for_node(("step_begun", "edit_config"), BROKEN);
        // The sessions of a listener that has ended are nobody's children that could be told.
        lab.on(BROKEN, END_SESSIONS);
        let _broken = lab.broken(BROKEN, "sshd-stop", &["sshd-start"]);
        let ended = running.end(RUN);
        let run = lab::parsed(&ended);
        assert_eq!(outcomes(&run), ["nothing_to_do", "unsure", "not_started"], "{run:#}");
        let row = of(&run, BROKEN);
        assert!(reason(row).contains("not known"), "{row:#}");
        assert_eq!(row["after"], json!({"live": null, "configured": null}), "{row:#}");
        assert_eq!(row["changed"], json!(["edit_config"]), "{row:#}");
        assert!(reason(of(&run, 3)).contains("stopped before its turn"), "{run:#}");
        assert_eq!(ended.code, 2, "{}", ended.stderr);
    }
    let (run, ended) = runs.resume(&[]);
    let last = outcomes(&run);
    assert!(["done", "nothing_to_do"].contains(&last[1]), "{run:#}");
    assert_eq!((last[0], last[2], ended.code), ("nothing_to_do", "nothing_to_do", 0), "{run:#}");
    wait_until_well(&lab);
    assert_nothing_is_left(&lab, &ALL);
}

#[test]
#[ignore = "two minutes of waiting for the keepalive; cargo test --test ring -- --ignored cable"]
fn a_cable_pulled_in_a_change_is_noticed_and_what_is_left_is_done_later() {
    let lab = THREE.turn();
    let runs = Runs::of(&lab);
    {
        let running = runs.start(&["disable", "--json", "--node", &lab::address(BROKEN)]);
        runs.wait_for(0, ("step_begun", "edit_config"));
        let _broken = lab.broken(BROKEN, "link-down", &["link-up"]);
        let ended = running.end(RUN);
        let run = lab::parsed(&ended);
        let row = of(&run, BROKEN);
        assert_eq!((&row["outcome"], ended.code), (&json!("unsure"), 2), "{row:#}");
        assert!(reason(row).contains("not known"), "{row:#}");
        lab::tell(&format!("the cable was noticed after {:?}: {}", ended.took, reason(row)));
    }
    wait_until_seen(&lab, BROKEN, "UN");
    let (run, ended) = runs.resume(&[]);
    assert_eq!((ended.code, outcomes(&run)[0]), (0, "done"), "{run:#}");
    assert_set(&lab, &[BROKEN], false);
    runs.run(&["enable", "--node", &lab::address(BROKEN)]).fine("enable");
    wait_until_well(&lab);
    assert_nothing_is_left(&lab, &[BROKEN]);
}

#[test]
fn a_cassandra_that_ends_between_two_steps_leaves_a_row_that_says_which() {
    let lab = THREE.turn();
    let runs = Runs::of(&lab);
    {
        // One that may fall holds nobody back.
        let allowed = ["--allow-down", "10.77.0.12", "--max-failures", "1", "--stagger", "8s"];
        let running = runs.start(&[&["disable", "--json"], &allowed[..]].concat());
        runs.wait_for_node(("step_ended", "edit_config"), BROKEN);
        let _broken = lab.broken(BROKEN, "kill", &["start"]);
        held_after(&runs, &running, BROKEN, || wait_until_seen_down(&lab, BROKEN));
        let ended = running.end(RUN);
        let run = lab::parsed(&ended);
        assert_eq!(outcomes(&run), ["done", "failed", "done"], "{run:#}");
        assert!(!ended.stderr.contains("waiting: "), "{}", ended.stderr);
        assert_half(of(&run, BROKEN));
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        // It is left as it is, and what was done there stays told.
        let (run, ended) = runs.resume(&[]);
        assert_eq!(outcomes(&run), ["done", "not_started", "done"], "{run:#}");
        let row = of(&run, BROKEN);
        assert!(reason(row).contains("down"), "{row:#}");
        assert_eq!(row["changed"], json!(["edit_config"]), "{row:#}");
        assert_eq!(ended.code, 3, "{}", ended.stderr);
    }
    // Its start took the file's value.
    let (run, ended) = runs.resume(&[]);
    assert_eq!((outcomes(&run), ended.code), (vec!["done", "nothing_to_do", "done"], 0), "{run:#}");
    assert_set(&lab, &ALL, false);
    runs.run(&["enable", "--strategy", "all"]).fine("enable");
    wait_until_well(&lab);
    assert_nothing_is_left(&lab, &ALL);
}

/// The file is changed, and nothing is known of the process.
#[track_caller]
fn assert_half(row: &Value) {
    assert!(reason(row).starts_with("cassandra.yaml is off, live is not known"), "{row:#}");
    assert_eq!(row["changed"], json!(["edit_config"]), "{row:#}");
    assert_eq!(row["after"], json!({"live": null, "configured": false}), "{row:#}");
    assert!(row["hint"].as_str().is_some_and(|hint| hint.contains("resume")), "{row:#}");
}
