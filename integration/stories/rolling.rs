//! enable and disable, node after node: when they start, what they change, and who keeps them
//! from it.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::lab::{self, Lab};
use super::runs::{
    Runs, YAML, assert_nothing_is_left, assert_set, of, outcomes, reason, switched, yaml,
};
use super::three_nodes::{BROKEN, THREE, wait_until_well};

const ALL: [u8; 3] = [1, 2, 3];

/// A look at the ring comes between the time for a start and the start; and machines are busy.
const LATE: SignedDuration = SignedDuration::from_secs(15);

#[test]
fn one_node_after_the_other_and_one_value_of_each() {
    let lab = THREE.turn();
    let before = ALL.map(|node| yaml(&lab, node));
    let runs = Runs::of(&lab);

    let (run, ended) = runs.json(&["disable", "--stagger", "4s", "--jitter", "3s"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_done(&run, "disable", &["edit_config", "disable_backup"]);
    let turns = runs.turns();
    assert_eq!(turns.len(), 3, "{turns:#?}");
    for (at, turn) in turns.iter().enumerate() {
        assert!(!turns[..at].iter().any(|other| other.overlaps(turn)), "{turns:#?}");
    }
    assert_eq!(runs.show(&["--json"]).stdout, ended.stdout);
    assert_set(&lab, &ALL, false);
    assert_nothing_is_left(&lab, &ALL);
    for (node, before) in ALL.iter().zip(&before) {
        assert_eq!(yaml(&lab, *node), switched(before, false));
    }

    // What is so already is left as it is, to the inode.
    let inodes = ALL.map(|node| lab.on(node, &format!("stat -c '%i %Y %Z' {YAML}")));
    let again = runs.run(&["disable", "--strategy", "all"]).fine("a second disable");
    assert!(again.stdout.contains("3 nodes, 3 nothing to do\n"), "{}", again.stdout);
    assert_eq!(runs.show(&[]).stdout, again.stdout);
    assert_eq!(ALL.map(|node| lab.on(node, &format!("stat -c '%i %Y %Z' {YAML}"))), inodes);

    // Side by side, the stagger is from start to start.
    let enable = ["enable", "--strategy", "all", "--stagger", "4s", "--jitter", "2s"];
    let ended = runs.run(&[&enable[..], &["--json-lines"]].concat()).fine("enable");
    assert_staggered(&runs.turns().iter().map(|turn| turn.begun).collect::<Vec<_>>());
    let said: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    assert_eq!(said, runs.records());

    // As it was, and it outlasts a restart.
    assert_eq!(ALL.map(|node| yaml(&lab, node)), before);
    drop(lab.broken(BROKEN, "kill", &["start"]));
    wait_until_well(&lab);
    let list = runs.bare(&["runs", "--json"]).end(lab::AUDIT).fine("runs");
    let list = lab::parsed(&list);
    let rows = list["runs"].as_array().expect("a list");
    let facts = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    assert_eq!(facts("verb"), ["disable", "disable", "enable"]);
    assert_eq!(facts("state"), ["finished", "finished", "finished"]);
}

#[track_caller]
fn assert_done(run: &Value, verb: &str, changed: &[&str]) {
    assert_eq!((&run["verb"], &run["finished"]), (&json!(verb), &json!(true)), "{run:#}");
    assert_eq!(outcomes(run), ["done"; 3], "{run:#}");
    let (before, after) = (verb == "disable", verb == "enable");
    for node in ALL {
        let row = of(run, node);
        assert_eq!(row["before"], json!({"live": before, "configured": before}), "{row:#}");
        assert_eq!(row["after"], json!({"live": after, "configured": after}), "{row:#}");
        assert_eq!(row["changed"], json!(changed), "{row:#}");
        assert_eq!(row["reason"], Value::Null, "{row:#}");
        let times = [&row["started"], &row["ended"]].map(|at| {
            let at: Timestamp = at.as_str().unwrap_or_default().parse().expect("a time");
            at
        });
        assert!(times[0] < times[1], "{row:#}");
    }
}

#[track_caller]
fn assert_staggered(starts: &[Timestamp]) {
    let (least, most) = (SignedDuration::from_secs(4), SignedDuration::from_secs(6) + LATE);
    for pair in starts.windows(2) {
        let apart = pair[1].duration_since(pair[0]);
        assert!(least <= apart && apart <= most, "{apart:?} apart: {starts:?}");
    }
    assert_eq!(starts.len(), 3);
}

/// Asserts that a disable of node `BROKEN` is refused for this reason and that nothing changed.
#[track_caller]
fn assert_refused(lab: &Lab, runs: &Runs<'_>, texts: &[&str]) {
    let before = yaml(lab, BROKEN);
    let (run, ended) = runs.json(&["disable", "--node", &lab::address(BROKEN)]);
    let row = of(&run, BROKEN);
    assert_eq!(row["outcome"], "refused", "{row:#}");
    for text in texts {
        assert!(reason(row).contains(text), "{text}: {row:#}");
    }
    assert!(row["hint"].is_string(), "{row:#}");
    assert_eq!(row["changed"], json!([]), "{row:#}");
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert_eq!(yaml(lab, BROKEN), before);
    assert_set(lab, &[BROKEN], true);
    assert_nothing_is_left(lab, &[BROKEN]);
}

#[test]
fn without_sudo_or_room_a_node_is_refused_with_the_reason() {
    let lab = THREE.turn();
    let runs = Runs::of(&lab);
    {
        let _mended = Mended(&lab, "cp -p /root/sudoers.before /etc/sudoers");
        lab.on(BROKEN, "cp -p /etc/sudoers /root/sudoers.before");
        lab.on(BROKEN, "sed -i 's/NOPASSWD: //' /etc/sudoers");
        assert_refused(&lab, &runs, &["sudo asks for a password", YAML]);
        lab.on(BROKEN, "sed -i '/^ops /d' /etc/sudoers");
        // Whether the account may ever, sudo does not say without a password.
        assert_refused(&lab, &runs, &["sudo", YAML]);
    }
    {
        // The file on a full disk of its own.
        let _mended = Mended(&lab, "umount /etc/cassandra");
        lab.on(
            BROKEN,
            "mkdir -p /root/small && mount -t tmpfs -o size=128k,mode=755 small /root/small
             cp -a /etc/cassandra/. /root/small/ && rm -f /root/small/*.ringhaul-*
             dd if=/dev/zero of=/root/small/filler bs=1k status=none 2>/dev/null || true
             mount --move /root/small /etc/cassandra",
        );
        assert_refused(&lab, &runs, &["no room", YAML]);
        lab.on(BROKEN, "rm /etc/cassandra/filler");
        let before = yaml(&lab, BROKEN);
        let (run, ended) = runs.resume(&["--retry-failed"]);
        assert_eq!((outcomes(&run), ended.code), (vec!["done"], 0), "{run:#}");
        assert_eq!(yaml(&lab, BROKEN), switched(&before, false));
    }
    // Below it the file says on as ever.
    let (run, ended) = runs.json(&["enable", "--node", &lab::address(BROKEN)]);
    assert_eq!(of(&run, BROKEN)["changed"], json!(["enable_backup"]), "{run:#}");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    wait_until_well(&lab);
}

/// A script that mends node `BROKEN`, run when this is dropped.
struct Mended<'a>(&'a Lab, &'static str);

impl Drop for Mended<'_> {
    fn drop(&mut self) {
        // A second panic would hide the first.
        if std::thread::panicking() {
            let script = format!("{} || true", self.1);
            self.0.on(BROKEN, &script);
        } else {
            self.0.on(BROKEN, self.1);
        }
    }
}
