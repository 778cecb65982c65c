//! Sets that cannot be stored: each fails alone, and what is no set is left alone.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use ringhaul::record::Outcome;

use super::backups::{ID, Set};
use super::stored::{copies, files, host};
use super::{Yard, counts, ended, haul};

#[tokio::test]
async fn a_set_whose_data_does_not_match_its_digest_fails_alone() {
    let yard = Yard::new(1);
    let (good, bad) = (Set::big("shop.orders", "1", "a"), Set::big("shop.orders", "2", "b"));
    // One that is large, too: it comes in pieces.
    let (large, bad_large) = (
        Set::big("shop.orders", "3", "c").of_size(2_000_000),
        Set::big("shop.orders", "4", "d").of_size(2_000_000),
    );
    for set in [&good, &bad, &large, &bad_large] {
        set.flush(&yard.tree());
    }
    for set in [&bad, &bad_large] {
        let mut data = set.files["Data.db"].clone();
        *data.last_mut().unwrap() ^= 1;
        fs::write(set.file(&yard.tree(), "Data.db"), data).unwrap();
    }
    let end = ended(&yard.ship_then_clean().await, Outcome::Failed);
    assert_eq!(counts(&end), [2, 0, 0, 2, 2, 2], "{end:?}");
    assert_eq!(end.reason.as_deref(), Some("2 complete sets could not be stored"));
    for name in ["nb-2-big", "nb-4-big"] {
        let is_told = |note: &String| note.contains(name) && note.contains("Digest.crc32");
        assert!(end.notes.iter().any(is_told), "{:?}", end.notes);
    }
    yard.holds(&[&good, &large]);
    assert_eq!((bad.left(&yard.tree()), bad_large.left(&yard.tree())), (8, 8));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_fails_its_set_alone() {
    let yard = Yard::new(1);
    let (good, bad) = (Set::big("shop.orders", "1", "a"), Set::big("shop.orders", "2", "b"));
    for set in [&good, &bad] {
        set.flush(&yard.tree());
    }
    let file = bad.file(&yard.tree(), "Index.db");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o0)).unwrap();
    if fs::read(&file).is_ok() {
        return; // root reads everything
    }
    let end = ended(&yard.ship_then_clean().await, Outcome::Failed);
    assert_eq!(counts(&end), [1, 0, 0, 1, 1, 1], "{end:?}");
    assert!(end.notes.iter().any(|note| note.contains("nb-2-big")), "{:?}", end.notes);
    yard.holds(&[&good]);
}

#[tokio::test]
async fn what_is_no_set_is_told_and_left_alone() {
    let yard = Yard::new(1);
    let set = Set::big("shop.orders", "1", "a");
    set.write(&yard.tree());
    let dir = set.backups(&yard.tree());
    fs::write(dir.join("notes of the operator.txt"), "mine").unwrap();
    fs::write(dir.join("nb-9-big-Data.db.tmp"), "half").unwrap();
    fs::create_dir(dir.join("old")).unwrap();
    fs::write(dir.join("old/nb-1-big-Data.db"), "moved aside").unwrap();
    symlink("/etc/passwd", dir.join("nb-8-big-Data.db")).unwrap();
    // Live files of a keyspace and a table with odd names are no backups.
    let backups = Set::big("backups.backups", "1", "live");
    backups.write_to(&backups.live(&yard.tree()));
    let end = ended(&yard.ship_then_clean().await, Outcome::Done);
    assert_eq!(counts(&end), [1, 0, 0, 0, 1, 0], "{end:?}");
    assert_eq!(haul(&end).strays.sets, 4);
    assert!(end.notes.iter().any(|note| note.starts_with("4 files of no set left alone")));
    let left: Vec<String> = files(&dir).into_keys().collect();
    let all = [
        "nb-8-big-Data.db",
        "nb-9-big-Data.db.tmp",
        "notes of the operator.txt",
        "old/nb-1-big-Data.db",
    ];
    assert_eq!(left, all);
    assert_eq!(files(&backups.live(&yard.tree())).len(), 8);
    yard.holds(&[&set]);
}

#[tokio::test]
async fn backups_behind_a_symbolic_link_are_shipped_and_never_cleaned() {
    let yard = Yard::new(1);
    let set = Set::big("shop.orders", "1", "a");
    let far = yard.tree().path("far away");
    set.write_to(&far);
    let table = yard.tree().path("data/shop").join(format!("orders-{ID}"));
    fs::create_dir_all(&table).unwrap();
    symlink(&far, table.join("backups")).unwrap();
    let end = ended(&yard.ship_then_clean().await, Outcome::Done);
    assert_eq!(counts(&end), [1, 0, 0, 0, 0, 1], "{end:?}");
    let is_told = |note: &String| note.contains("nb-1-big") && note.contains("symbolic link");
    assert!(end.notes.iter().any(is_told), "{:?}", end.notes);
    assert_eq!(files(&far).len(), 8);
    assert_eq!(copies(&yard.store(), &host(1), &set), 1);
    yard.is_sound();
}

#[tokio::test]
async fn a_file_that_is_replaced_while_it_is_read_fails_its_set_and_one_that_goes_holds_it_back() {
    let yard = Yard::new(1);
    let sets = ["1", "2", "3", "4"].map(|n| Set::big("shop.orders", n, n).of_size(1000));
    for set in &sets {
        set.flush(&yard.tree());
    }
    let [good, replaced, going, gone] = &sets;
    yard.tree().stand_in("tar");
    let path = |set: &Set, component| set.file(&yard.tree(), component).display().to_string();
    let other = path(replaced, "Index.db");
    let all = gone.backups(&yard.tree()).join("nb-4-big-").display().to_string();
    // Between the list and the stream.
    let before = format!(
        "cp -p '{other}' '{other}.x' && mv '{other}.x' '{other}'\n\
         rm -f '{}' '{all}'*\n",
        path(going, "Filter.db"),
    );
    yard.tree().tell("tar-before", &before);
    let end = ended(&yard.ship_then_clean().await, Outcome::Failed);
    assert_eq!(counts(&end), [1, 0, 2, 1, 1, 2], "{end:?}");
    let is_told = |begin: &str| end.notes.iter().any(|note| note.starts_with(begin));
    assert!(is_told(&format!("not stored: shop/orders-{ID}/nb-2-big: ")), "{:?}", end.notes);
    assert!(is_told(&format!("held back: shop/orders-{ID}/nb-3-big: ")), "{:?}", end.notes);
    assert!(is_told(&format!("held back: shop/orders-{ID}/nb-4-big: ")), "{:?}", end.notes);
    yard.holds(&[good]);
    assert_eq!((replaced.left(&yard.tree()), going.left(&yard.tree())), (8, 7));
    // It is only another inode: the next ship takes it.
    let end = ended(&yard.ship().await, Outcome::Done);
    assert_eq!(counts(&end), [1, 0, 1, 0, 0, 2], "{end:?}");
    yard.holds(&[good, replaced]);
}
