//! What stays although its name is that of a stored set: the proof is the file itself.

use std::fs;

use ringhaul::record::Outcome;
use ringhaul::record::haul::Removal;

use super::backups::Set;
use super::stored::{copies, host};
use super::{Yard, counts, ended};

/// Puts a copy in the place of a file, of the same name, size and time.
fn replace(file: &std::path::Path) {
    let copy = file.with_extension("copy");
    fs::copy(file, &copy).unwrap();
    let time = fs::metadata(file).unwrap().modified().unwrap();
    fs::File::options().write(true).open(&copy).unwrap().set_modified(time).unwrap();
    fs::rename(copy, file).unwrap();
}

#[tokio::test]
async fn a_file_that_another_one_took_the_place_of_stays_with_its_set() {
    let yard = Yard::new(1);
    let (same, other) = (Set::big("shop.orders", "1", "a"), Set::big("shop.orders", "2", "b"));
    for set in [&same, &other] {
        set.flush(&yard.tree());
    }
    ended(&yard.ship().await, Outcome::Done);
    replace(&other.file(&yard.tree(), "Index.db"));
    let end = ended(&yard.clean(Removal::default()).await, Outcome::Done);
    assert_eq!(counts(&end), [0, 0, 0, 0, 1, 1], "{end:?}");
    let is_told = |note: &String| {
        note.contains("nb-2-big-Index.db is another file than the one that was stored")
    };
    assert!(end.notes.iter().any(is_told), "{:?}", end.notes);
    assert!(other.is_on(&yard.tree()));
}

#[tokio::test]
async fn a_file_that_is_replaced_between_the_look_and_the_removal_stays() {
    let yard = Yard::new(1);
    let (same, other) = (Set::big("shop.orders", "1", "a"), Set::big("shop.orders", "2", "b"));
    for set in [&same, &other] {
        set.flush(&yard.tree());
    }
    ended(&yard.ship().await, Outcome::Done);
    // It happens just before the removal looks for itself.
    yard.tree().stand_in("stat");
    let file = other.file(&yard.tree(), "Data.db");
    let text = file.display();
    let doing = format!("cp -p '{text}' '{text}.x' && mv '{text}.x' '{text}'\n");
    yard.tree().tell("stat-before", &doing);
    let end = ended(&yard.clean(Removal::default()).await, Outcome::Failed);
    assert!(yard.tree().path("stat-doing").exists());
    assert!(other.is_on(&yard.tree()), "{end:?}");
    assert_eq!(counts(&end), [0, 0, 0, 0, 1, 1], "{end:?}");
    assert!(end.notes.iter().any(|note| note.contains("nb-2-big")), "{:?}", end.notes);
}

#[tokio::test]
async fn a_set_that_came_back_under_the_name_of_a_stored_one_stays() {
    let yard = Yard::new(1);
    let (old, new) = (Set::big("shop.orders", "1", "old"), Set::big("shop.orders", "1", "newer"));
    old.write(&yard.tree());
    ended(&yard.ship_then_clean().await, Outcome::Done);
    new.write(&yard.tree());
    let end = ended(&yard.clean(Removal::default()).await, Outcome::NothingToDo);
    assert_eq!(counts(&end), [0, 0, 0, 0, 0, 1]);
    assert!(new.is_on(&yard.tree()));
    assert_eq!(copies(&yard.store(), &host(1), &new), 0);
    yard.holds(&[&old]);
}

#[tokio::test]
async fn files_that_joined_a_stored_set_later_keep_it_on_the_node() {
    let yard = Yard::new(1);
    let set = Set::big("shop.orders", "1", "a");
    set.flush(&yard.tree());
    ended(&yard.ship().await, Outcome::Done);
    // An index that was built afterwards.
    fs::write(set.file(&yard.tree(), "SAI+aa+new+TermsData.db"), "terms").unwrap();
    ended(&yard.clean(Removal::default()).await, Outcome::NothingToDo);
    assert!(set.is_on(&yard.tree()));
}
