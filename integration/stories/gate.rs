//! The gate before each start: while a node that was up is down, nobody starts; and two
//! controllers on one node, of which one waits.

use std::time::Duration;

use serde_json::json;

use super::lab;
use super::runs::{
    RUN, Runs, assert_nothing_is_left, assert_set, held_after, of, outcomes, reason,
    wait_until_seen_down,
};
use super::three_nodes::{BROKEN, THREE, wait_until_well};

const ALL: [u8; 3] = [1, 2, 3];

/// The node that falls. The first is asked for the ring, the second is the next to start.
const FALLING: u8 = 3;
const FALLING_NAME: &str = "10.77.0.13";

/// Between the end of a turn and the next start, the controller can be held.
const STAGGER: [&str; 2] = ["--stagger", "8s"];

/// How long it has to hold back to be seen to.
const HELD_BACK: Duration = Duration::from_secs(6);

#[test]
fn a_node_that_falls_holds_the_others_back_until_it_is_up_or_the_time_is_over() {
    let lab = THREE.turn();
    let runs = Runs::of(&lab);
    {
        // It comes back in time.
        let two = ["disable", "--json", "--node", "10.77.0.[11-12]"];
        let mut running = runs.start(&[&two[..], &STAGGER].concat());
        runs.wait_for(0, ("turn_begun", ""));
        let broken = lab.broken(FALLING, "kill", &["start"]);
        held_after(&runs, &running, 1, || wait_until_seen_down(&lab, FALLING));
        running.wait_until_said("waiting: 10.77.0.13 is DN (says 10.77.0.1", RUN);
        std::thread::sleep(HELD_BACK);
        assert_eq!(begun(&runs), 1, "{:#?}", runs.records());
        drop(broken);
        let ended = running.end(RUN).fine("the run, once the node is back");
        assert_eq!(outcomes(&lab::parsed(&ended)), ["done"; 2], "{}", ended.stdout);
    }

    // It does not, and nobody waits longer than that; the reason is in the row of each.
    let gate = ["enable", "--json", "--gate-timeout", "5s"];
    let running = runs.start(&[&gate[..], &STAGGER].concat());
    runs.wait_for(0, ("turn_begun", ""));
    lab.ring("fault", &["3", "kill"]);
    held_after(&runs, &running, 1, || wait_until_seen_down(&lab, FALLING));
    let ended = running.end(RUN);
    let run = lab::parsed(&ended);
    assert_eq!(outcomes(&run), ["done", "not_started", "not_started"], "{run:#}");
    for node in [2, 3] {
        let why = reason(of(&run, node));
        assert!(why.contains("10.77.0.13 is DN") && why.contains("5s"), "{run:#}");
    }
    assert_eq!(ended.code, 3, "{}", ended.stderr);

    // It was up at the beginning, so it holds the others back until the operator allows it.
    let (run, ended) = runs.resume(&["--allow-down", "10.77.0.13"]);
    assert_eq!(outcomes(&run), ["done", "done", "not_started"], "{run:#}");
    assert!(reason(of(&run, FALLING)).contains("down at the start"), "{run:#}");
    assert_eq!(ended.code, 3, "{}", ended.stderr);

    // It starts meanwhile, and is taken at the end. Its file said on all the time.
    let running = runs.start(&["disable", "--json", "--retry-down", "--stagger", "4s"]);
    held_after(&runs, &running, 1, || {
        lab.ring("fault", &["3", "start"]);
    });
    let ended = running.end(RUN).fine("disable, a node late");
    assert_eq!(outcomes(&lab::parsed(&ended)), ["done"; 3], "{}", ended.stdout);
    let order: Vec<String> = runs.turns().into_iter().map(|turn| turn.node).collect();
    assert_eq!(order, ["10.77.0.11", "10.77.0.12", FALLING_NAME]);
    assert_set(&lab, &ALL, false);
    runs.run(&["enable", "--strategy", "all"]).fine("enable");
    wait_until_well(&lab);
    assert_nothing_is_left(&lab, &ALL);
}

fn begun(runs: &Runs<'_>) -> usize {
    runs.records().iter().filter(|record| record["event"] == "turn_begun").count()
}

#[test]
fn two_controllers_are_never_in_the_same_node_at_once() {
    let lab = THREE.turn();
    let (on, off) = (Runs::of(&lab), Runs::of(&lab));
    let racing = [
        on.start(&["enable", "--strategy", "all"]),
        off.start(&["disable", "--strategy", "all", "--lock-wait", "2m"]),
    ];
    for running in racing {
        running.end(RUN).fine("each in its turn");
    }
    let waited = [&on, &off].map(|runs| {
        let records = runs.records();
        records.iter().filter(|record| record["event"] == "lock_held").count()
    });
    assert!(waited.iter().sum::<usize>() > 0, "neither ever waited for the other");
    for one in on.turns() {
        for other in off.turns().iter().filter(|other| other.node == one.node) {
            let (Some(here), Some(there)) = (one.first_step, other.first_step) else { continue };
            let is_apart = one.ended <= there || other.ended <= here;
            assert!(is_apart, "{one:#?}\n{other:#?}");
        }
    }
    let (audit, _) = lab.audit(&[]);
    for node in ALL {
        let row = lab::row(&audit, node);
        assert_eq!(row["live"], row["configured"], "{row:#}");
    }

    // Who does not want to wait is told whose it is. A controller that stands still makes it last.
    let runs = Runs::of(&lab);
    {
        let at = lab::address(BROKEN);
        let only = ["--node", &at, "--via", "10.77.0.11"];
        let running = on.start(&[&["disable"], &only[..]].concat());
        let begun = on.wait_for(0, ("begun", ""));
        wait_until_taken(&lab);
        running.signal("STOP");
        let (run, ended) = runs.json(&[&["enable", "--lock-wait", "0s"], &only[..]].concat());
        let row = of(&run, BROKEN);
        assert_eq!((&row["outcome"], ended.code), (&json!("refused"), 2), "{row:#}");
        let (who, id) = (begun["who"].as_str(), begun["run"].as_str());
        let by = format!("{}, run {}, disable, since ", who.unwrap_or("?"), id.unwrap_or("?"));
        assert!(reason(row).starts_with(&format!("locked by {by}")), "{by}: {row:#}");
        running.signal("CONT");
        let _ = running.end(RUN);
    }
    on.run(&["enable", "--strategy", "all"]).fine("enable");
    wait_until_well(&lab);
    assert_nothing_is_left(&lab, &ALL);
}

#[track_caller]
fn wait_until_taken(lab: &lab::Lab) {
    for _ in 0..200 {
        if lab.on(BROKEN, "ls -A /tmp/ringhaul.lock 2>/dev/null || true").contains("ticket") {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nobody took the node");
}
