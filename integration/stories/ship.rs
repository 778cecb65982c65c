//! Every byte off the nodes: while rows are written, through kills and full disks, and only what
//! is stored goes. Whether a store holds what it should is told by `depot.rs`, not by ringhaul.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use serde_json::json;

use super::depot::{self, Depot};
use super::lab::{self, Lab};
use super::runs::{Kind, RUN, Runs, assert_nothing_is_left, of, outcomes, reason, wait_until_seen};
use super::three_nodes::{BROKEN, THREE, wait_until_well};

const ALL: [u8; 3] = [1, 2, 3];

/// So often is shipped while rows are written; `RINGHAUL_SHIPS` says otherwise.
const SHIPS: usize = 4;

/// The files of all backups but of a keyspace's live folders, as the store's files are told.
const FILES: &str = "find /var/lib/cassandra/data*/*/*/backups -type f -printf '%i %s %T@ %f\\n'";

/// A store of its own in the lab's folder.
fn store(lab: &Lab, name: &str) -> (PathBuf, String) {
    (lab.file(name), lab.path(name))
}

/// A table with an index of each kind.
fn make_tables(lab: &Lab) {
    lab.cql(
        "CREATE KEYSPACE IF NOT EXISTS haul WITH replication =
             {'class': 'NetworkTopologyStrategy', 'dc1': 3};
         CREATE TABLE IF NOT EXISTS haul.rows (id int PRIMARY KEY, what text, how text);
         CREATE INDEX IF NOT EXISTS by_what ON haul.rows (what);
         CREATE INDEX IF NOT EXISTS by_how ON haul.rows (how) USING 'sai';",
    );
}

fn write_rows(lab: &Lab, from: u32, count: u32) {
    let rows: String = (from..from + count)
        .map(|id| format!("INSERT INTO haul.rows (id, what, how) VALUES ({id}, 'w{id}', 'h');"))
        .collect();
    lab.cql(&rows);
}

fn flush(lab: &Lab, nodes: &[u8]) {
    lab.side_by_side(nodes, |node| drop(lab.nodetool(node, &["flush", "haul"])));
}

/// What lies in backups of a node now.
fn on_node(lab: &Lab, node: u8) -> BTreeSet<String> {
    lab.on(node, FILES).lines().map(str::to_owned).collect()
}

/// The store holds every file that was seen on the node and is not there any more.
#[track_caller]
fn assert_nothing_lost(lab: &Lab, depot: &Depot, seen: &[BTreeSet<String>; 3]) {
    for (node, seen) in ALL.iter().zip(seen) {
        let now = on_node(lab, *node);
        let lost = seen.iter().find(|line| {
            let is_stored = depot.files.iter().any(|(_, stored)| stored == *line);
            !is_stored && !now.contains(*line)
        });
        assert_eq!(lost, None, "neither on node {node} nor in the store");
    }
}

#[test]
fn what_is_flushed_is_in_the_store_or_on_its_node_while_rows_are_written() {
    let lab = THREE.turn();
    let runs = Runs::of(&lab);
    let (folder, to) = store(&lab, "store-written");
    make_tables(&lab);
    let ships = std::env::var("RINGHAUL_SHIPS").ok().and_then(|text| text.parse().ok());
    let (is_over, rows) = (AtomicBool::new(false), AtomicU32::new(0));
    let mut seen: [BTreeSet<String>; 3] = Default::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let from = rows.fetch_add(20, Ordering::SeqCst);
                write_rows(&lab, from, 20);
                flush(&lab, &ALL);
            }
        });
        for turn in 0..ships.unwrap_or(SHIPS) {
            for (node, seen) in ALL.iter().zip(&mut seen) {
                seen.extend(on_node(&lab, *node));
            }
            let mut verb = vec!["ship", "--to", &to, "--strategy", "all"];
            if turn % 2 == 1 {
                verb.push("--then-clean");
            }
            let (run, ended) = runs.json(&verb);
            assert_eq!(ended.code, 0, "{}\n{run:#}", ended.stderr);
            let depot = depot::prove(&folder);
            assert_nothing_lost(&lab, &depot, &seen);
        }
        is_over.store(true, Ordering::SeqCst);
    });
    // The last of it, and then there is nothing new.
    let (run, ended) = runs.json(&["ship", "--to", &to, "--table", "haul", "--then-clean"]);
    assert_eq!(ended.code, 0, "{}\n{run:#}", ended.stderr);
    assert_eq!(run["haul"]["left"]["sets"], 0, "{run:#}");
    let (run, ended) = runs.json(&["ship", "--to", &to, "--table", "haul"]);
    assert_eq!((outcomes(&run), ended.code), (vec!["nothing_to_do"; 3], 0), "{run:#}");
    let depot = depot::prove(&folder);
    assert_nothing_lost(&lab, &depot, &seen);
    for kind in ["", ".by_what"] {
        let is_of = |set: &&depot::Named| set.1 == "haul" && set.3 == kind;
        let count = depot.sets.keys().filter(is_of).count();
        assert!(count >= 3, "{count} sets of '{kind}'");
    }
    let has_sai = depot.files.iter().any(|(_, line)| line.contains("-SAI+"));
    assert!(has_sai, "no component of SAI is stored");
    let check = ["store", "check", "--to", &to, "--read-data"];
    lab.start_ringhaul(&check).end(RUN).fine("store check");
    assert_nothing_is_left(&lab, &ALL);
}

/// Kills the controller at each of these records, and each time another goes on.
#[track_caller]
fn killed_at(runs: &Runs<'_>, verb: &[&str], kinds: &[Kind]) {
    let mut running = runs.start(verb);
    let mut from = 0;
    for kind in kinds {
        runs.wait_for(from, *kind);
        running.signal("KILL");
        let ended = running.end(RUN);
        assert_eq!(ended.code, 137, "killed at {kind:?}:\n{}", ended.stderr);
        from = runs.records().len();
        running = runs.start_resume(&[]);
    }
    running.end(RUN).fine("the last resume");
}

#[test]
fn a_controller_killed_or_a_line_cut_in_the_middle_loses_nothing_and_leaves_nothing_half() {
    let lab = THREE.turn();
    let (folder, to) = store(&lab, "store-killed");
    make_tables(&lab);
    write_rows(&lab, 100_000, 200);
    flush(&lab, &ALL);
    let seen = ALL.map(|node| on_node(&lab, node));
    let runs = Runs::of(&lab);
    let slow = ["ship", "--to", &to, "--rate", "150KiB"];
    let kinds = [("step_begun", "ship"), ("ended", ""), ("turn_begun", ""), ("step_begun", "ship")];
    killed_at(&runs, &slow, if super::resume::every_kill() { &kinds } else { &kinds[..2] });
    assert_nothing_lost(&lab, &depot::prove(&folder), &seen);

    // The line is cut in the stream; another node reboots: Cassandra and every session end.
    let (folder, to) = store(&lab, "store-cut");
    let runs = Runs::of(&lab);
    let running = runs.start(&["ship", "--to", &to, "--rate", "80KiB", "--json"]);
    runs.wait_for_node(("step_begun", "ship"), 1);
    lab.on(1, super::resume::END_SESSIONS);
    {
        runs.wait_for_node(("step_begun", "ship"), BROKEN);
        let _broken = lab.broken(BROKEN, "kill", &["start"]);
        lab.on(BROKEN, super::resume::END_SESSIONS);
        let _cut = lab.broken(BROKEN, "link-down", &["link-up"]);
        thread::sleep(std::time::Duration::from_secs(3));
    }
    let ended = running.end(RUN);
    let run = lab::parsed(&ended);
    for row in [1, BROKEN].map(|node| of(&run, node)) {
        let outcome = row["outcome"].as_str().unwrap_or_default();
        assert!(["done", "failed"].contains(&outcome), "{row:#}");
    }
    wait_until_seen(&lab, BROKEN, "UN");
    let (run, ended) = runs.json(&["ship", "--to", &to]);
    assert_eq!(ended.code, 0, "{}\n{run:#}", ended.stderr);
    let depot = depot::prove(&folder);
    assert_nothing_lost(&lab, &depot, &seen);
    for (node, seen) in ALL.iter().zip(&seen) {
        let is_stored = |line: &&String| depot.files.iter().any(|(_, stored)| stored == *line);
        assert_eq!(seen.iter().find(|line| !is_stored(line)), None, "of node {node}");
    }

    // Ctrl-C: what is under way is stored, the rest is left for `resume`.
    let (folder, to) = store(&lab, "store-stopped");
    let runs = Runs::of(&lab);
    let running = runs.start(&["ship", "--to", &to, "--rate", "80KiB", "--json"]);
    runs.wait_for_node(("step_begun", "ship"), 1);
    thread::sleep(std::time::Duration::from_secs(2));
    running.signal("INT");
    let ended = running.end(RUN);
    let run = lab::parsed(&ended);
    assert_eq!(outcomes(&run), ["partly", "not_started", "not_started"], "{run:#}");
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    depot::prove(&folder);
    let (run, ended) = runs.resume(&[]);
    assert_eq!(ended.code, 0, "{}\n{run:#}", ended.stderr);
    assert_nothing_lost(&lab, &depot::prove(&folder), &seen);
    wait_until_well(&lab);
    assert_nothing_is_left(&lab, &ALL);
}

/// A small disk of its own, until this is dropped.
struct Disk(PathBuf);

impl Disk {
    fn of(folder: PathBuf, size: &str) -> Self {
        std::fs::create_dir(&folder).expect("a folder");
        let disk = Self(folder);
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={size},mode=755"), "tmpfs"]);
        disk
    }

    fn mount(&self, options: &[&str]) {
        let mounted = Command::new("mount").args(options).arg(&self.0).status();
        assert!(mounted.expect("mount").success());
    }

    fn grow(&self, size: &str) {
        self.mount(&["-o", &format!("remount,size={size}")]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn a_full_store_is_refused_or_stops_the_work_and_with_more_room_it_goes_on() {
    let lab = THREE.turn();
    let runs = Runs::of(&lab);
    make_tables(&lab);
    write_rows(&lab, 200_000, 200);
    flush(&lab, &[1]);
    let (folder, to) = store(&lab, "store-full");
    let disk = Disk::of(folder.clone(), "1m");
    let ship = ["ship", "--to", &to, "--node", &lab::address(1)];
    let (run, ended) = runs.json(&ship);
    let row = of(&run, 1);
    assert_eq!((&row["outcome"], ended.code), (&json!("refused"), 2), "{row:#}");
    assert!(reason(row).contains("more are needed"), "{row:#}");
    // Without a reserve the sizes of the files fit, what they need on a disk does not.
    let (run, ended) = runs.json(&[&ship[..], &["--reserve", "0"]].concat());
    let row = of(&run, 1);
    assert_eq!(ended.code, 2, "{row:#}");
    assert!(
        ["refused", "failed"].contains(&row["outcome"].as_str().unwrap_or_default()),
        "{row:#}"
    );
    disk.grow("64m");
    depot::prove(&folder);
    let (run, ended) = runs.json(&[&ship[..], &["--reserve", "1MiB"]].concat());
    assert_eq!((outcomes(&run), ended.code), (vec!["done"], 0), "{run:#}");
    depot::prove(&folder);
}

#[test]
fn a_name_that_comes_back_after_a_clean_is_stored_beside_the_old_one() {
    let lab = THREE.turn();
    let runs = Runs::of(&lab);
    let (folder, to) = store(&lab, "store-reborn");
    lab.cql(
        "CREATE KEYSPACE IF NOT EXISTS reborn WITH replication =
             {'class': 'NetworkTopologyStrategy', 'dc1': 3};
         CREATE TABLE IF NOT EXISTS reborn.rows (id int PRIMARY KEY, what text);
         INSERT INTO reborn.rows (id, what) VALUES (1, 'the first life');",
    );
    let only = ["--node", &lab::address(3), "--table", "reborn"];
    let ship = [&["ship", "--to", &to, "--then-clean"], &only[..]].concat();
    lab.nodetool(3, &["flush", "reborn"]);
    let (run, ended) = runs.json(&ship);
    assert_eq!(ended.code, 0, "{run:#}");
    let haul = &of(&run, 3)["haul"];
    assert_eq!((&haul["shipped"]["sets"], &haul["cleaned"]["sets"]), (&json!(1), &json!(1)));
    // The live SSTable is the other link: nothing was freed.
    assert_eq!((&haul["freed"], &haul["left"]["sets"]), (&json!(0), &json!(0)), "{run:#}");

    lab.cql("TRUNCATE reborn.rows");
    drop(lab.broken(3, "kill", &["start"]));
    lab.cql("INSERT INTO reborn.rows (id, what) VALUES (2, 'the second life')");
    lab.nodetool(3, &["flush", "reborn"]);
    let (run, ended) = runs.json(&ship);
    assert_eq!(ended.code, 0, "{run:#}");
    assert_eq!(of(&run, 3)["haul"]["shipped"]["sets"], 1, "{run:#}");
    let depot = depot::prove(&folder);
    let names: Vec<&str> = depot.sets.keys().map(|set| set.4.as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    lab::tell(&format!("two sets of one table, before and after: {names:?}"));

    // Each life is laid out apart where the names are one.
    let into = lab.path("laid-out");
    let get = ["store", "get", "3", "reborn.rows", "--to", &to, "--into", &into];
    let host = depot.sets.keys().next().expect("a set").0.clone();
    let get: Vec<&str> = get.iter().map(|word| if *word == "3" { &host } else { *word }).collect();
    lab.start_ringhaul(&get).end(RUN).fine("store get");
    wait_until_well(&lab);
}
