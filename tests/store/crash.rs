//! A writer that is stopped, killed, or not the only one.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use ringhaul::store::{Store, StoreError};

use super::bench::{HOST, NOW, files, gather, is_valid, keep, manifest, place, set, store};

/// Set for a child: the store to write to.
const CHILD: &str = "RINGHAUL_TEST_STORE";

#[test]
fn a_batch_is_stored_whole_or_not_at_all_wherever_it_stops() {
    let mut stored = 0;
    let mut lost = 0;
    for step in 0..200 {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let places = [place("a", 1), place("a", 2), place("b", 1)];
        let writer = store.writer(HOST, NOW).unwrap();
        keep(&writer, "r", 1, &[place("a", 1)], "x").unwrap();
        // What was in the place before is damaged, so that it has to be replaced.
        let dir = ringhaul::store::layout::set_dir(HOST, &places[0], &set(&places[0], "x").id);
        let file = store.root().join(dir.unwrap()).join("nb-1-big-Data.db");
        std::fs::write(file, "torn").unwrap();
        writer.stop_after(step);
        let done = keep(&writer, "r", 2, &places, "x");
        drop(writer);
        // The next writer may be stopped as well.
        if let Ok(next) = store.writer(HOST, NOW) {
            drop(next);
        }
        let named = store.manifests(HOST).unwrap().count();
        if named == 2 {
            assert_eq!(is_valid(&store), 3, "step {step}");
            stored += 1;
        } else {
            assert!(done.is_err(), "step {step}: said to be stored");
            let holdings = store.holdings(HOST, &mut |_| true).unwrap();
            assert!(holdings.iter().all(|held| held.set.place == places[0]));
            assert_eq!(files(&store.root().join("nodes")).len(), 3, "step {step}");
            assert_eq!(files(&store.root().join("tmp")).len(), 1, "step {step}: left over");
            lost += 1;
        }
        if done.is_ok() {
            assert!(stored > 5 && lost > 3, "{stored} {lost}");
            return;
        }
    }
    panic!("never done");
}

#[test]
fn the_same_writer_ends_the_batch_that_the_disk_stopped() {
    for step in 0..60 {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let writer = store.writer(HOST, NOW).unwrap();
        writer.stop_after(step);
        let first = keep(&writer, "r", 1, &[place("a", 1)], "x");
        writer.stop_after(usize::MAX);
        keep(&writer, "r", 2, &[place("a", 2)], "x").unwrap();
        let is_stored = store.manifests(HOST).unwrap().count() == 2;
        drop(writer);
        assert_eq!(is_valid(&store), if is_stored { 2 } else { 1 }, "step {step}");
        if first.is_ok() {
            return;
        }
    }
    panic!("never done");
}

/// Not a test by itself: the process that the others kill.
#[test]
fn child_that_stores_without_end() {
    let Ok(root) = std::env::var(CHILD) else { return };
    let store = Store::open(root.as_ref()).unwrap();
    let writer = store.writer(HOST, Duration::from_secs(10)).unwrap();
    println!("\nhas the lock");
    let run = format!("r{}", std::process::id());
    for part in 1..10_000 {
        let places: Vec<_> = (0..3).map(|n| place("t", part as usize * 10 + n)).collect();
        keep(&writer, &run, part, &places, &run).unwrap();
    }
}

fn child(store: &Store) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_that_stores_without_end", "--nocapture"])
        .env(CHILD, store.root())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "has the lock"));
    child
}

#[test]
fn a_killed_writer_leaves_a_valid_store_and_blocks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    for round in 0..8 {
        let mut child = child(&store);
        let locked = store.writer(HOST, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(locked, StoreError::Locked { .. }), "{locked}");
        // Another node's place is free.
        drop(store.writer("another", NOW).unwrap());
        std::fs::remove_file(store.root().join("tmp/another.lock")).unwrap();
        std::thread::sleep(Duration::from_millis(7 + 13 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let begun = Instant::now();
        drop(store.writer(HOST, Duration::from_secs(5)).unwrap());
        assert!(begun.elapsed() < Duration::from_secs(2));
        let sets = is_valid(&store);
        assert_eq!(sets % 3, 0, "batches of three");
    }
}

#[test]
fn a_second_writer_waits_for_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let first = store.writer(HOST, NOW).unwrap();
    assert!(store.writer(HOST, NOW).is_err());
    std::thread::scope(|scope| {
        let second = scope.spawn(|| store.writer(HOST, Duration::from_secs(20)).map(drop));
        std::thread::sleep(Duration::from_millis(60));
        keep(&first, "r", 1, &[place("a", 1)], "x").unwrap();
        drop(first);
        second.join().unwrap().unwrap();
    });
    assert_eq!(is_valid(&store), 1);
}

#[test]
fn a_set_that_was_removed_by_hand_does_not_hold_the_others_up() {
    for step in 0..60 {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let writer = store.writer(HOST, NOW).unwrap();
        writer.stop_after(step);
        let done = keep(&writer, "r", 1, &[place("a", 1), place("b", 1)], "x").is_ok();
        drop(writer);
        assert!(!done, "no step was the one");
        let dir = store.root().join("nodes").join(HOST).join("shop");
        let moved = fs::remove_dir_all(
            dir.join(place("a", 1).folder)
                .join(format!("nb-1-big.{}", set(&place("a", 1), "x").id)),
        );
        drop(store.writer(HOST, NOW).unwrap());
        if moved.is_ok() {
            assert_eq!(is_valid(&store), 1);
            return;
        }
    }
    panic!("it was never in place");
}

/// Makes all in a staging look old.
fn age(dir: &Path) {
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            age(&path);
        } else {
            fs::File::open(path).unwrap().set_modified(old).unwrap();
        }
    }
    fs::File::open(dir).unwrap().set_modified(old).unwrap();
}

#[test]
fn what_a_controller_without_locks_left_is_ended_when_it_is_a_day_old() {
    let mut stored = 0;
    for step in 0..60 {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let writer = store.writer(HOST, NOW).unwrap();
        writer.stop_after(step);
        let done = keep(&writer, "r", 1, &[place("a", 1), place("b", 1)], "x").is_ok();
        drop(writer);
        if done {
            assert!(stored > 3, "{stored}");
            return;
        }
        let tmp = store.root().join("tmp");
        let left = tmp.join(format!("{HOST}.aB3xyz"));
        fs::rename(tmp.join(HOST), &left).unwrap();
        // The run goes on meanwhile, and has a part of that number.
        let writer = store.writer(HOST, NOW).unwrap();
        let has_commit = left.join("commit.json").exists();
        let part = writer.next_part("r").unwrap();
        keep(&writer, "r", part, &[place("c", 1)], "x").unwrap();
        drop(writer);
        age(&left);
        let file = left.join("large");
        fs::write(&file, "it is just coming").unwrap();
        fs::File::open(&left).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        drop(store.writer(HOST, NOW).unwrap());
        assert!(file.exists(), "one that is at work");
        fs::remove_file(file).unwrap();
        age(&left);
        let writer = store.writer(HOST, NOW).unwrap();
        assert_eq!(writer.remark(), None);
        drop(writer);
        let sets = is_valid(&store);
        assert_eq!(sets, if has_commit || part == 2 { 3 } else { 1 }, "step {step}");
        stored += usize::from(has_commit);
    }
    panic!("never done");
}

#[test]
fn what_was_gathered_and_not_stored_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let writer = store.writer(HOST, NOW).unwrap();
    let one = set(&place("a", 1), "x");
    gather(&writer, &one, "x").unwrap();
    // As killed: nothing is tidied up.
    writer.stop_after(0);
    drop(writer);
    let writer = store.writer(HOST, NOW).unwrap();
    let draft = gather(&writer, &one, "x").unwrap();
    drop(gather(&writer, &set(&place("a", 2), "x"), "x").unwrap());
    writer.commit(manifest("r", 1, vec![one]), vec![draft]).unwrap();
    drop(writer);
    assert_eq!(is_valid(&store), 1);
}
