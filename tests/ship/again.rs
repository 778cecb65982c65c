//! Again: what the store has is not read, what is new under an old name is stored beside it.

use std::fs;

use ringhaul::record::Outcome;

use super::backups::Set;
use super::fleet::Tree;
use super::stored::{copies, files, host, named};
use super::{Yard, counts, ended};

/// Gives `new` the times of `old`, file by file.
fn same_times(tree: &Tree, old: &[std::time::SystemTime], new: &Set) {
    for (component, time) in new.files.keys().zip(old) {
        let file = fs::File::options().write(true).open(new.file(tree, component)).unwrap();
        file.set_modified(*time).unwrap();
    }
}

fn times(tree: &Tree, set: &Set) -> Vec<std::time::SystemTime> {
    let time =
        |component: &String| fs::metadata(set.file(tree, component)).unwrap().modified().unwrap();
    set.files.keys().map(time).collect()
}

#[tokio::test]
async fn a_second_ship_reads_no_file_and_writes_nothing() {
    let yard = Yard::new(1);
    let set = Set::big("shop.orders", "1", "a");
    set.flush(&yard.tree());
    ended(&yard.ship().await, Outcome::Done);
    let before = files(&yard.store());
    // There is no tar any more that could read one.
    yard.tree().stand_in("tar");
    yard.tree().tell("tar-sends", "nothing");
    let end = ended(&yard.ship().await, Outcome::NothingToDo);
    assert_eq!(end.reason.as_deref(), Some("1 set in the store already"));
    assert_eq!(counts(&end), [0, 1, 0, 0, 0, 1]);
    assert_eq!(end.changed, []);
    assert_eq!(files(&yard.store()), before);
    assert!(!yard.tree().said().iter().any(|said| said.starts_with("tar")));
}

#[tokio::test]
async fn only_what_is_new_is_fetched() {
    let yard = Yard::new(1);
    let (old, new) = (Set::big("shop.orders", "1", "a"), Set::big("shop.orders", "2", "b"));
    old.flush(&yard.tree());
    ended(&yard.ship().await, Outcome::Done);
    new.flush(&yard.tree());
    // A compaction changes the number of links and the time of the inode, and nothing else.
    old.compact(&yard.tree());
    let end = ended(&yard.ship().await, Outcome::Done);
    assert_eq!(counts(&end), [1, 1, 0, 0, 0, 2]);
    yard.holds(&[&old, &new]);
    let runs: Vec<String> =
        named(&yard.store(), &host(1)).into_iter().map(|(run, _)| run).collect();
    assert_eq!(runs, ["run-1", "run-2"]);
}

#[tokio::test]
async fn a_set_that_is_not_complete_is_held_back_by_name_and_taken_when_it_is() {
    let yard = Yard::new(1);
    let (whole, part) = (Set::big("shop.orders", "1", "a"), Set::big("shop.orders", "2", "b"));
    whole.flush(&yard.tree());
    part.flush(&yard.tree());
    let file = part.file(&yard.tree(), "Index.db");
    fs::remove_file(&file).unwrap();
    let no_toc = Set::big("shop.orders", "3", "c");
    no_toc.flush(&yard.tree());
    let toc = no_toc.file(&yard.tree(), "TOC.txt");
    fs::remove_file(&toc).unwrap();

    let end = ended(&yard.ship_then_clean().await, Outcome::Done);
    assert_eq!(counts(&end), [1, 0, 2, 0, 1, 2]);
    let held: Vec<_> = end.notes.iter().filter(|note| note.starts_with("held back: ")).collect();
    assert_eq!(held.len(), 2, "{:?}", end.notes);
    assert!(held[0].contains("nb-2-big") && held[0].contains("Index.db"), "{held:?}");
    assert!(held[1].contains("nb-3-big") && held[1].contains("TOC"), "{held:?}");
    assert_eq!((part.left(&yard.tree()), no_toc.left(&yard.tree())), (7, 7));

    fs::hard_link(part.live(&yard.tree()).join(part.name("Index.db")), file).unwrap();
    let end = ended(&yard.ship().await, Outcome::Done);
    assert_eq!(counts(&end), [1, 0, 1, 0, 0, 2]);
    yard.holds(&[&whole, &part]);
    assert_eq!(copies(&yard.store(), &host(1), &no_toc), 0);
}

#[tokio::test]
async fn a_name_that_comes_back_with_other_content_is_stored_beside_the_old_one() {
    let yard = Yard::new(1);
    let (old, new) = (Set::big("shop.orders", "1", "old"), Set::big("shop.orders", "1", "newer"));
    old.flush(&yard.tree());
    // Our own clean lets Cassandra take the number again.
    ended(&yard.ship_then_clean().await, Outcome::Done);
    old.compact(&yard.tree());
    new.flush(&yard.tree());
    let end = ended(&yard.ship().await, Outcome::Done);
    assert_eq!(counts(&end), [1, 0, 0, 0, 0, 1]);
    yard.holds(&[&old, &new]);
}

#[tokio::test]
async fn another_digest_alone_makes_another_set() {
    let yard = Yard::new(1);
    let (old, new) = (Set::big("shop.orders", "1", "old"), Set::big("shop.orders", "1", "new"));
    // Digests have as many digits, so that names, sizes and times are all the same.
    let old = old.of_size(1000);
    let digits = |set: &Set| set.files["Digest.crc32"].len();
    let seeds = (0..1000).map(|n| new.clone().with("Data.db", n.to_string().as_bytes()));
    let new = seeds.map(|set| set.of_size(1000)).find(|set| digits(set) == digits(&old)).unwrap();
    old.write(&yard.tree());
    let times = times(&yard.tree(), &old);
    ended(&yard.ship().await, Outcome::Done);
    for component in old.files.keys() {
        fs::remove_file(old.file(&yard.tree(), component)).unwrap();
    }
    new.write(&yard.tree());
    same_times(&yard.tree(), &times, &new);
    // And nothing of the new one goes by the proof of the old.
    ended(&yard.clean(Default::default()).await, Outcome::NothingToDo);
    assert!(new.is_on(&yard.tree()));
    let end = ended(&yard.ship().await, Outcome::Done);
    assert_eq!(counts(&end), [1, 0, 0, 0, 0, 1]);
    yard.holds(&[&old, &new]);
}

#[tokio::test]
async fn a_set_that_the_store_has_lost_a_file_of_is_shipped_again() {
    let yard = Yard::new(1);
    let (lost, torn) = (Set::big("shop.orders", "1", "a"), Set::big("shop.orders", "2", "b"));
    let well = Set::big("shop.orders", "3", "c");
    for set in [&lost, &torn, &well] {
        set.flush(&yard.tree());
    }
    ended(&yard.ship().await, Outcome::Done);
    let find = |name: &str| {
        let mut all = files(&yard.store()).into_keys();
        yard.store().join(all.find(|file| file.ends_with(name)).unwrap())
    };
    fs::remove_file(find("nb-1-big-Filter.db")).unwrap();
    fs::write(find("nb-2-big-Data.db"), "half").unwrap();
    let end = ended(&yard.clean(Default::default()).await, Outcome::Failed);
    assert_eq!(counts(&end), [0, 0, 0, 0, 1, 2], "{end:?}");
    assert!(lost.is_on(&yard.tree()) && torn.is_on(&yard.tree()));
    let end = ended(&yard.ship().await, Outcome::Done);
    assert_eq!(counts(&end), [2, 0, 0, 0, 0, 2]);
    yard.holds(&[&lost, &torn, &well]);
}

#[tokio::test]
async fn a_store_whose_manifest_cannot_be_read_gets_the_sets_again_and_nothing_is_cleaned_by_it() {
    let yard = Yard::new(1);
    let set = Set::big("shop.orders", "1", "a");
    set.flush(&yard.tree());
    ended(&yard.ship().await, Outcome::Done);
    let manifest = yard.store().join("manifests").join(host(1)).join("run-1.0001.json");
    fs::write(&manifest, "{").unwrap();
    let end = ended(&yard.clean(Default::default()).await, Outcome::Failed);
    let reason = end.reason.clone().unwrap();
    assert!(reason.starts_with("nothing was removed: "), "{reason}");
    assert!(reason.contains("run-1.0001.json"), "{reason}");
    assert!(set.is_on(&yard.tree()));
    ended(&yard.ship().await, Outcome::Done);
    fs::remove_file(manifest).unwrap();
    yard.holds(&[&set]);
}
