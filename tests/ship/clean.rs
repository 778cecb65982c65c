//! What goes: what the store is proven to hold, and nothing else; counted honestly.

use std::fs;
use std::time::Duration;

use ringhaul::record::haul::{Removal, Ship};
use ringhaul::record::{Job, Outcome, Step};

use super::backups::{ID, Set};
use super::stored::{copies, files, host};
use super::{Yard, counts, ended, haul};

#[tokio::test]
async fn what_was_shipped_goes_and_the_live_files_stay() {
    let yard = Yard::new(1);
    let (live, last) = (Set::big("shop.orders", "1", "a"), Set::big("shop.orders", "2", "b"));
    let index = Set::big("shop.orders", "1", "i").of_index(".by_day");
    let dropped = Set::bti("shop.orders", "3gcm_0c7a_2pdfk2dvq5p6xq3klm", "g")
        .in_folder("orders-f7146460e54c11f19cc7876c33cf10d3");
    let all = [&live, &last, &index, &dropped];
    for set in all {
        set.flush(&yard.tree());
    }
    last.compact(&yard.tree());
    dropped.compact(&yard.tree());
    last.write_to(&last.snapshot(&yard.tree(), "nightly"));
    let end = ended(&yard.ship_then_clean().await, Outcome::Done);
    assert_eq!(counts(&end), [4, 0, 0, 0, 4, 0], "{end:?}");
    assert_eq!(end.changed, [Step::Ship, Step::Clean]);
    let sum = haul(&end).sum();
    assert_eq!(sum.cleaned.bytes, all.iter().map(|set| set.bytes()).sum::<u64>());
    assert_eq!(sum.freed, last.bytes() + dropped.bytes(), "what is live still takes its place");
    for set in all {
        assert_eq!(set.left(&yard.tree()), 0);
        // Folders are Cassandra's.
        assert!(set.backups(&yard.tree()).is_dir());
    }
    assert_eq!(
        files(&live.live(&yard.tree())).len(),
        8 + 8 + 8,
        "live, the index's, the snapshot's"
    );
    yard.holds(&all);
    let end = ended(&yard.ship_then_clean().await, Outcome::NothingToDo);
    assert_eq!(counts(&end), [0; 6]);
}

#[tokio::test]
async fn clean_removes_what_an_earlier_run_shipped_and_leaves_what_came_since() {
    let yard = Yard::new(1);
    let (old, new) = (Set::big("shop.orders", "1", "a"), Set::big("shop.orders", "2", "b"));
    old.flush(&yard.tree());
    ended(&yard.ship().await, Outcome::Done);
    new.flush(&yard.tree());
    let end = ended(&yard.clean(Removal::default()).await, Outcome::Done);
    assert_eq!(counts(&end), [0, 0, 0, 0, 1, 1]);
    assert_eq!(end.changed, [Step::Clean]);
    assert!(end.notes.contains(&"1 set left: the store does not have it".to_owned()), "{end:?}");
    assert_eq!((old.left(&yard.tree()), new.is_on(&yard.tree())), (0, true));
    let end = ended(&yard.clean(Removal::default()).await, Outcome::NothingToDo);
    assert_eq!(end.reason.as_deref(), Some("1 set stay"));
    yard.holds(&[&old]);
}

#[tokio::test]
async fn young_sets_and_the_last_of_each_table_stay() {
    let yard = Yard::new(1);
    let day = Duration::from_secs(86_400);
    let set = |table: &str, days: u32| {
        let set = Set::big(table, &format!("{days}"), "x");
        set.write(&yard.tree());
        set.age(&yard.tree(), day * days);
        set
    };
    let orders = [9, 8, 7, 1].map(|days| set("shop.orders", days));
    let other = [9, 8].map(|days| set("shop.other", days));
    ended(&yard.ship().await, Outcome::Done);
    let removal = Removal { min_age: day * 2, keep_last: 2, read_back: None };
    let end = ended(&yard.clean(removal).await, Outcome::Done);
    assert_eq!(counts(&end), [0, 0, 0, 0, 2, 4]);
    assert!(end.notes.contains(&"4 sets left: --keep-last keeps it".to_owned()), "{end:?}");
    let removal = Removal { min_age: day * 2, ..Removal::default() };
    let end = ended(&yard.clean(removal).await, Outcome::Done);
    assert_eq!(counts(&end), [0, 0, 0, 0, 3, 1]);
    assert!(end.notes.contains(&"1 set left: it is younger than --min-age".to_owned()), "{end:?}");
    let left: Vec<usize> = orders.iter().chain(&other).map(|set| set.left(&yard.tree())).collect();
    assert_eq!(left, [0, 0, 0, 8, 0, 0]);
    yard.holds(&orders.iter().chain(&other).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_damaged_copy_is_found_by_reading_back_and_nothing_is_removed_then() {
    let yard = Yard::new(1);
    let sets = ["1", "2", "3"].map(|n| Set::big("shop.orders", n, n));
    for set in &sets {
        set.flush(&yard.tree());
    }
    ended(&yard.ship().await, Outcome::Done);
    let mut all = files(&yard.store()).into_iter();
    let (name, mut content) = all.find(|(name, _)| name.ends_with("nb-2-big-Index.db")).unwrap();
    content[0] ^= 1;
    fs::write(yard.store().join(&name), content).unwrap();
    let removal = Removal { read_back: Some(100), ..Removal::default() };
    let end = ended(&yard.clean(removal.clone()).await, Outcome::Failed);
    let reason = end.reason.clone().unwrap();
    assert!(reason.starts_with("nothing was removed: ") && reason.contains("nb-2-big"), "{reason}");
    assert_eq!(counts(&end), [0, 0, 0, 0, 0, 3]);
    assert_eq!(end.changed, []);
    // The other way round: mended, all of them go.
    fs::write(yard.store().join(&name), &sets[1].files["Index.db"]).unwrap();
    let end = ended(&yard.clean(removal).await, Outcome::Done);
    assert_eq!(counts(&end), [0, 0, 0, 0, 3, 0]);
    yard.holds(&sets.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_clean_that_was_cut_off_in_a_set_is_ended_by_the_next() {
    let yard = Yard::new(1);
    let (one, two) = (Set::big("shop.orders", "1", "a"), Set::big("shop.orders", "2", "b"));
    for set in [&one, &two] {
        set.flush(&yard.tree());
    }
    ended(&yard.ship().await, Outcome::Done);
    // In any order: with the TOC or without, with the digest or without.
    for component in ["TOC.txt", "Data.db", "Index.db"] {
        fs::remove_file(one.file(&yard.tree(), component)).unwrap();
    }
    for component in ["Digest.crc32", "CompressionInfo.db"] {
        fs::remove_file(two.file(&yard.tree(), component)).unwrap();
    }
    // What is left of them is no new set, and nothing that is held back.
    let end = ended(&yard.ship().await, Outcome::NothingToDo);
    assert_eq!(counts(&end), [0, 2, 0, 0, 0, 2], "{end:?}");
    let end = ended(&yard.clean(Removal::default()).await, Outcome::Done);
    assert_eq!(counts(&end), [0, 0, 0, 0, 2, 0], "{end:?}");
    assert_eq!((one.left(&yard.tree()), two.left(&yard.tree())), (0, 0));
    yard.holds(&[&one, &two]);
}

#[tokio::test]
async fn the_backups_of_a_keyspace_called_backups_go_and_its_live_files_stay() {
    let yard = Yard::new(1);
    let sets = ["backups.backups", "backups.snapshots", "snapshots.backups"]
        .map(|table| Set::big(table, "1", table));
    for set in &sets {
        set.flush(&yard.tree());
    }
    let end = ended(&yard.ship_then_clean().await, Outcome::Done);
    assert_eq!(counts(&end), [3, 0, 0, 0, 3, 0]);
    for set in &sets {
        assert_eq!(files(&set.live(&yard.tree())).len(), 8);
    }
    yard.holds(&sets.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_in_a_snapshot_alone_is_shipped_and_stays() {
    let yard = Yard::new(1);
    let set = Set::big("shop.orders", "1", "a");
    set.write_to(&set.live(&yard.tree()));
    set.take_snapshot(&yard.tree(), "nightly");
    let (snapshot, then_clean) = (Some("nightly".to_owned()), Some(Removal::default()));
    let job = Job::Ship(Ship { snapshot, then_clean, ..yard.plain() });
    let end = ended(&yard.run(job).await, Outcome::Done);
    assert_eq!(counts(&end), [1, 0, 0, 0, 0, 0], "{end:?}");
    let papers = files(&yard.tree().path(&format!("data/shop/orders-{ID}/snapshots/nightly")));
    assert_eq!(papers.len(), 10);
    assert_eq!(copies(&yard.store(), &host(1), &set), 1);
    yard.is_sound();
}
