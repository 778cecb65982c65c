//! Lists that contradict themselves, and file systems within file systems.

use super::*;

const BACKUPS: &str = "/d/ks/t-6a1adbe06a0211f184742b61a3e0ec16/backups";

fn in_backups() -> Listing {
    let mut listing = Listing::new(None);
    listing.add_data_dir("/d/").unwrap();
    let parts: Vec<_> = BACKUPS.match_indices('/').map(|(at, _)| at).skip(1).collect();
    for end in parts.into_iter().chain([BACKUPS.len()]) {
        listing.take_folder(&format!("1 {}", &BACKUPS[..end]), false).unwrap();
    }
    listing
}

#[test]
fn a_list_that_contradicts_itself_is_refused() {
    let file = "4 f 1 7 1 5 1.5 nb-1-big-Data.db";
    let mut listing = in_backups();
    listing.take_file(file).unwrap();
    assert!(listing.take_file(file).is_err(), "one name twice");
    for odd in ["0 f 1 7 1 5 1.5 x", "9 f 1 7 1 5 1.5 x", "4 f 1 7 1 5 1.5 a/x", "4 f 1 7", ""] {
        assert!(in_backups().take_file(odd).is_err(), "{odd}");
    }
    for odd in ["1 /elsewhere", "1 /d/ks/other/backups", "x /d", "1 /dd", "/d"] {
        assert!(in_backups().take_folder(odd, false).is_err(), "{odd}");
    }
    assert!(in_backups().take_linked_file("f 1 7 1 5 1.5 /d/ks/x/backups/y").is_err());
}

#[test]
fn another_file_system_inside_is_not_touched() {
    let why = |listing: Listing| listing.finish().sets[0].untouchable.clone();
    let mut listing = in_backups();
    listing.take_file("4 f 1 7 1 5 1.5 nb-1-big-Data.db").unwrap();
    assert_eq!(why(listing), None);
    let mut listing = in_backups();
    listing.take_file("4 f 2 7 1 5 1.5 nb-1-big-Data.db").unwrap();
    let said = "a file is on another file system than its table's folder";
    assert_eq!(why(listing).as_deref(), Some(said));
    for folder in [BACKUPS.to_owned(), format!("{BACKUPS}/.idx")] {
        let mut listing = in_backups();
        listing.take_folder(&format!("2 {folder}"), false).unwrap();
        let depth = folder.matches('/').count();
        listing.take_file(&format!("{depth} f 2 7 1 5 1.5 nb-1-big-Data.db")).unwrap();
        let said = "it is on another file system than its table's folder";
        assert_eq!(why(listing).as_deref(), Some(said));
    }
}
