//! What the list shows, and what it leaves alone.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use ringhaul::cassandra::fact::WhyKind;
use ringhaul::cassandra::sets::{FoundSet, Origin, PAPERS};

use crate::tree::{ID, LATER_ID, Tree, shown};

const ALL: &str = "Data.db Digest.crc32 Filter.db TOC.txt";

#[tokio::test]
async fn sets_are_found_by_structure_in_every_data_folder() {
    let tree = Tree::new();
    let table = format!("data/shop/orders-{ID}");
    tree.set(&format!("{table}/backups"), "nb-1-big");
    tree.set(&format!("{table}/backups/.orders_name"), "nb-1-big");
    tree.write(&format!("{table}/backups/nb-1-big-SAI+aa+my_index+TermsData.db"), "sai");
    // After the folder of the index has been seen, or before it: the order is the disk's.
    tree.set(&format!("{table}/backups"), "nb-2-big");
    // Live files are no matter of ours.
    tree.set(&table, "nb-3-big");
    tree.set(&format!("{table}/.orders_name"), "nb-3-big");
    tree.set(&format!("more data/shop/orders-{ID}/backups"), "da-3h5p_06i9_0spyi2g9g478xhr7vg-bti");
    // Neither a keyspace named `backups` nor a table named `snapshots` or `backups` is special.
    tree.set(&format!("data/backups/snapshots-{ID}"), "nb-1-big");
    tree.set(&format!("data/backups/snapshots-{ID}/backups"), "nb-7-big");
    tree.set(&format!("data/snapshots/backups-{LATER_ID}/backups"), "nb-8-big");
    // A table that was dropped: nothing of it is live.
    tree.set(&format!("data/shop/orders-{LATER_ID}/backups"), "nb-1-big");
    let shelf = tree.shelf(&["data", "more data"], None).await;
    let orders = format!("shop/orders-{ID}");
    assert_eq!(
        shown(&shelf.sets),
        [
            format!("backups/snapshots-{ID}/nb-7-big: {ALL}"),
            format!("shop/orders-{ID}/da-3h5p_06i9_0spyi2g9g478xhr7vg-bti: {ALL}"),
            format!(
                "{orders}/nb-1-big: Data.db Digest.crc32 Filter.db SAI+aa+my_index+TermsData.db TOC.txt"
            ),
            format!("{orders}/nb-2-big: {ALL}"),
            format!("{orders}/.orders_name/nb-1-big: {ALL}"),
            format!("shop/orders-{LATER_ID}/nb-1-big: {ALL}"),
            format!("snapshots/backups-{LATER_ID}/nb-8-big: {ALL}"),
        ]
    );
    assert_eq!((shelf.stray_count, shelf.strays.len()), (0, 0));
    let all_may_go = |set: &FoundSet| set.untouchable.is_none() && set.digest == Some(3421846044);
    assert!(shelf.sets.iter().all(all_may_go), "{:?}", shelf.sets);

    let set = &shelf.sets[1];
    assert_eq!(*set.dir, tree.text(&format!("more data/{orders}/backups")));
    let file = &set.files[0];
    let found = fs::metadata(set.path(file)).unwrap();
    assert_eq!((file.device, file.inode, file.links), (found.dev(), found.ino(), 1));
    assert_eq!(file.size, 5);
    assert_eq!(file.modified, found.mtime() * 1_000_000_000 + found.mtime_nsec());
}

#[tokio::test]
async fn a_snapshot_is_listed_when_it_is_named_with_its_papers() {
    let tree = Tree::new();
    let table = format!("data/shop/orders-{ID}");
    tree.set(&format!("{table}/backups"), "nb-1-big");
    for tag in ["nightly", "nightly2"] {
        let folder = format!("{table}/snapshots/{tag}");
        tree.set(&folder, "nb-1-big");
        tree.set(&format!("{folder}/.idx"), "nb-1-big");
        tree.write(&format!("{folder}/manifest.json"), "{}");
        tree.write(&format!("{folder}/schema.cql"), "CREATE");
    }
    assert_eq!(tree.shelf(&["data"], None).await.sets.len(), 1);
    let sets = tree.shelf(&["data"], Some("nightly")).await.sets;
    let place = format!("shop/orders-{ID}");
    assert_eq!(
        shown(&sets),
        [
            format!("{place}/nb-1-big: {ALL}"),
            format!("{place}/nb-1-big: {ALL}"),
            format!("{place}/{PAPERS}: manifest.json schema.cql"),
            format!("{place}/.idx/nb-1-big: {ALL}"),
        ]
    );
    let origins: Vec<_> = sets.iter().map(|set| set.origin == Origin::Backups).collect();
    assert_eq!(origins, [true, false, false, false]);
    assert!(tree.path(&format!("{table}/snapshots/nightly/manifest.json")).is_file());
    assert_eq!(
        sets[2].path(&sets[2].files[0]),
        tree.text(&format!("{table}/snapshots/nightly/manifest.json"))
    );
    for tag in ["", "..", "a/b", "*", "a b", "x'y"] {
        let listed = tree.list(&["data"], Some(tag)).await;
        assert_eq!(listed.sets.why().map(|why| why.kind), Some(WhyKind::Local), "{tag}");
    }
}

#[tokio::test]
async fn what_is_no_set_is_told_and_kept_apart() {
    let tree = Tree::new();
    let backups = format!("data/shop/orders-{ID}/backups");
    tree.set(&backups, "nb-1-big");
    for name in
        ["==> x <==", "new\nline", "\u{1b}[2J", "-rf", "nb-2-big-TOC.txt\nx", "manifest.json"]
    {
        tree.write(&format!("{backups}/{name}"), "x");
    }
    tree.link(&format!("{backups}/nb-1-big-Data.db"), &format!("{backups}/nb-3-big-Data.db"));
    tree.link("nowhere", &format!("{backups}/nb-3-big-Filter.db"));
    fs::create_dir(tree.path(&format!("{backups}/nb-4-big-Data.db"))).unwrap();
    tree.set(&format!("{backups}/saved"), "nb-1-big");
    tree.set(&format!("data/shop/odd name-{ID}/backups"), "nb-1-big");
    tree.set(&format!("data/od-d/orders-{ID}/backups"), "nb-1-big");
    let shelf = tree.shelf(&["data"], None).await;
    assert_eq!(shown(&shelf.sets), [format!("shop/orders-{ID}/nb-1-big: {ALL}")]);
    let mut whys: Vec<&str> = shelf.strays.iter().map(|stray| stray.why).collect();
    whys.sort_unstable();
    whys.dedup();
    assert_eq!(
        whys,
        [
            "it is a symbolic link",
            "it lies in a folder that is no index's",
            "its folder is no table's",
            "its name is no component's"
        ]
    );
    assert_eq!((shelf.stray_count, shelf.strays.len()), (6 + 2 + 4 + 8, 20));
    assert!(shelf.strays.iter().all(|stray| !stray.path.contains(['\n', '\u{1b}'])));
}

#[tokio::test]
async fn what_lies_behind_a_symbolic_link_is_listed_and_never_removed() {
    let tree = Tree::new();
    let table = format!("orders-{ID}");
    tree.set(&format!("far/ks/{table}/backups"), "nb-1-big");
    tree.set(&format!("far/ks/{table}/backups/.idx"), "nb-1-big");
    tree.link("far/ks", "data/shop");
    tree.link(&format!("far/ks/{table}"), &format!("data/carts/{table}"));
    tree.link(&format!("far/ks/{table}/backups"), &format!("data/offers/{table}/backups"));
    tree.set(&format!("data/items/{table}/backups"), "nb-1-big");
    tree.link(&format!("far/ks/{table}/backups"), &format!("data/items/{table}/backups/.idx"));
    tree.set("data/items/old/backups", "nb-1-big");
    // The data folder itself may be one.
    tree.link("data", "linked data");
    let shelf = tree.shelf(&["linked data"], None).await;
    let mut seen: Vec<_> = shelf
        .sets
        .iter()
        .map(|set| (set.place.to_string().replace(ID, "ID"), set.untouchable.as_deref()))
        .collect();
    seen.sort_unstable();
    let link = Some("a symbolic link is in its path");
    assert_eq!(
        seen,
        [
            ("carts/orders-ID/.idx/nb-1-big".to_owned(), link),
            ("carts/orders-ID/nb-1-big".to_owned(), link),
            ("items/old/nb-1-big".to_owned(), Some("its table's folder has no id")),
            ("items/orders-ID/.idx/nb-1-big".to_owned(), link),
            ("items/orders-ID/nb-1-big".to_owned(), None),
            ("offers/orders-ID/.idx/nb-1-big".to_owned(), link),
            ("offers/orders-ID/nb-1-big".to_owned(), link),
            ("shop/orders-ID/.idx/nb-1-big".to_owned(), link),
            ("shop/orders-ID/nb-1-big".to_owned(), link),
        ]
    );
    assert!(shelf.sets.iter().all(|set| set.digest == Some(3421846044)), "{:?}", shelf.sets);
}

#[tokio::test]
async fn data_folders_are_those_of_cassandra_yaml_and_one_that_is_not_there_is_told() {
    let tree = Tree::new();
    for data in ["one", "t w o"] {
        tree.set(&format!("{data}/shop/orders-{ID}/backups"), "nb-1-big");
    }
    let (one, two) = (tree.text("one"), tree.text("t w o"));
    for yaml in [
        format!("data_file_directories:\n    - {one}\n    - \"{two}\" # second\n"),
        format!("data_file_directories: [\"{one}\", '{two}']\n"),
    ] {
        tree.write("conf/cassandra.yaml", &yaml);
        let listed = tree.list(&[], None).await;
        assert_eq!(listed.sets.known().map(|shelf| shelf.sets.len()), Some(2), "{listed:?}");
        assert_eq!(listed.data_dirs, [one.clone(), two.clone()]);
        assert!(listed.may_read && listed.disks.known().is_some() && listed.now.known().is_some());
    }
    let listed = tree.list(&["one", "absent"], None).await;
    assert_eq!(listed.sets.why().map(|why| why.kind), Some(WhyKind::FileNotFound));
    fs::remove_file(tree.path("conf/cassandra.yaml")).unwrap();
    let listed = tree.list(&[], None).await;
    assert_eq!(listed.sets.why().map(|why| why.kind), Some(WhyKind::FileNotFound));
}

#[tokio::test]
async fn a_digest_that_cannot_be_read_is_none() {
    let tree = Tree::new();
    let backups = format!("data/shop/orders-{ID}/backups");
    for (number, text) in (1..).zip(["", "12x", "99999999999", &"1".repeat(70), " 7\n"]) {
        tree.set(&backups, &format!("nb-{number}-big"));
        tree.write(&format!("{backups}/nb-{number}-big-Digest.crc32"), text);
    }
    let digests: Vec<_> = tree.sets().await.iter().map(|set| set.digest).collect();
    assert_eq!(digests, [None, None, None, None, Some(7)]);
}

#[tokio::test]
async fn twenty_thousand_files_are_one_pass() {
    let tree = Tree::new();
    for table in 0..50 {
        let backups = format!("data/shop/t{table}-{ID}/backups");
        for generation in 0..100 {
            tree.set(&backups, &format!("nb-{generation}-big"));
        }
    }
    let sets = tree.sets().await;
    assert_eq!(sets.len(), 5000);
    assert!(sets.iter().all(|set| set.files.len() == 4 && set.digest.is_some()));
}
