//! What is removed, and what is left.

use std::fs;
use std::sync::Arc;

use ringhaul::cassandra::sets::{FoundSet, Origin, PAPERS};
use ringhaul::inventory::Sudo;
use ringhaul::node::sets::{Removal, Removed, remove};

use crate::tree::{ID, LIMIT, Tree};

async fn removed(tree: &Tree, sets: &[FoundSet]) -> Vec<Removed> {
    let Removal { sets, broke_off } = remove(&tree.door(), &tree.spec(&[]), sets, LIMIT).await;
    assert_eq!(broke_off, None);
    sets
}

fn left(why: &str) -> Removed {
    Removed { left: Some(why.to_owned()), ..Removed::default() }
}

fn gone(files: u64, bytes: u64) -> Removed {
    Removed { files, bytes, freed_bytes: bytes, left: None }
}

/// Bytes of a set of the tree.
const BYTES: u64 = 5 + 10 + 39;

#[tokio::test]
async fn the_files_of_a_set_go_and_nothing_else() {
    let tree = Tree::new();
    let table = format!("da ta/shop/orders-{ID}");
    let backups = format!("{table}/backups");
    tree.set(&backups, "nb-1-big");
    tree.set(&backups, "nb-10-big");
    tree.set(&format!("{backups}/.idx"), "nb-1-big");
    fs::hard_link(
        tree.path(&format!("{backups}/nb-1-big-Data.db")),
        tree.path(&format!("{table}/nb-1-big-Data.db")),
    )
    .unwrap();
    let sets = tree.shelf(&["da ta"], None).await.sets;
    // Comes after the list.
    tree.set(&backups, "nb-2-big");
    tree.write(&format!("{backups}/nb-1-big-Late.db"), "x");
    let of = |descriptor: &str, index: Option<&str>| {
        let is_it = |set: &&FoundSet| {
            set.place.descriptor == descriptor && set.place.index.as_deref() == index
        };
        sets.iter().find(is_it).unwrap().clone()
    };
    let asked = [of("nb-1-big", None), of("nb-1-big", Some(".idx"))];
    let linked = Removed { files: 4, bytes: BYTES, freed_bytes: BYTES - 5, left: None };
    assert_eq!(removed(&tree, &asked).await, [linked, gone(4, BYTES)]);
    let left_over = tree.shelf(&["da ta"], None).await.sets;
    let names: Vec<_> = left_over.iter().map(|set| set.place.descriptor.as_str()).collect();
    assert_eq!(names, ["nb-1-big", "nb-10-big", "nb-2-big"]);
    assert_eq!(left_over[0].files.len(), 1, "what was not listed stays");
    assert!(tree.path(&format!("{table}/nb-1-big-Data.db")).exists());
    assert!(tree.path(&format!("{backups}/.idx")).is_dir());
    // Again: it is gone already.
    assert_eq!(removed(&tree, &asked).await, [Removed::default(), Removed::default()]);
}

#[tokio::test]
async fn a_set_with_another_file_under_a_name_is_left_whole() {
    let tree = Tree::new();
    let backups = format!("data/shop/orders-{ID}/backups");
    for number in 1..=5 {
        tree.set(&backups, &format!("nb-{number}-big"));
    }
    let sets = tree.sets().await;
    let file = |name: &str| tree.path(&format!("{backups}/{name}"));
    // Another inode, in the last file and in the first; another content; a folder; a link.
    fs::write(file("new"), fs::read(file("nb-1-big-TOC.txt")).unwrap()).unwrap();
    fs::rename(file("new"), file("nb-1-big-TOC.txt")).unwrap();
    fs::write(file("nb-2-big-Data.db"), "54321").unwrap();
    fs::remove_file(file("nb-3-big-Filter.db")).unwrap();
    fs::create_dir(file("nb-3-big-Filter.db")).unwrap();
    fs::rename(file("nb-4-big-Data.db"), file("moved")).unwrap();
    std::os::unix::fs::symlink(file("moved"), file("nb-4-big-Data.db")).unwrap();
    let by_now = |component: &str| left(&format!("{component} is another file by now"));
    assert_eq!(
        removed(&tree, &sets).await,
        [
            by_now("TOC.txt"),
            by_now("Data.db"),
            by_now("Filter.db"),
            by_now("Data.db"),
            gone(4, BYTES)
        ]
    );
    assert_eq!(fs::read_dir(tree.path(&backups)).unwrap().count(), 4 * 4 + 1);
}

#[tokio::test]
async fn what_a_clean_that_was_cut_left_behind_goes() {
    let tree = Tree::new();
    let backups = format!("data/shop/orders-{ID}/backups");
    tree.set(&backups, "nb-1-big");
    let sets = tree.sets().await;
    fs::remove_file(tree.path(&format!("{backups}/nb-1-big-Data.db"))).unwrap();
    assert_eq!(removed(&tree, &sets).await, [gone(3, BYTES - 5)]);
    fs::remove_dir(tree.path(&backups)).unwrap();
    assert_eq!(removed(&tree, &sets).await, [Removed::default()]);
}

#[tokio::test]
async fn what_lies_anywhere_else_is_never_sent() {
    let tree = Tree::new();
    tree.set(&format!("data/shop/orders-{ID}/backups"), "nb-1-big");
    let set = tree.sets().await.remove(0);
    let changed = |change: &dyn Fn(&mut FoundSet)| {
        let mut set = set.clone();
        change(&mut set);
        set
    };
    let component = |name: &'static str| {
        changed(&move |set: &mut FoundSet| set.files[0].component = Arc::from(name))
    };
    let dir = |dir: String| changed(&move |set: &mut FoundSet| set.dir = Arc::from(&*dir));
    let asked = [
        changed(&|set| set.untouchable = Some(Arc::from("a mount inside"))),
        changed(&|set| set.origin = Origin::Snapshot("s".to_owned())),
        changed(&|set| set.place.descriptor = PAPERS.to_owned()),
        changed(&|set| set.place.keyspace = "..".to_owned()),
        changed(&|set| set.place.folder = "orders".to_owned()),
        changed(&|set| set.place.index = Some(".idx".to_owned())),
        component("../../x.db"),
        component("*.db"),
        component("Data.db\n/etc/passwd"),
        dir(tree.text(&format!("data/shop/orders-{ID}"))),
        dir(format!("{}/../x", set.dir)),
        dir(format!("/x/../{}", set.dir)),
        dir(set.dir.trim_start_matches('/').to_owned()),
        dir(format!("/x\n{}", set.dir)),
        dir(format!("/x\t{}", set.dir)),
    ];
    let fates = removed(&tree, &asked).await;
    assert!(fates.iter().all(|one| one.left.is_some() && one.files == 0), "{fates:?}");
    assert_eq!(fates[0], left("a mount inside"));
    let twice = removed(&tree, &[set.clone(), set.clone()]).await;
    assert_eq!(twice, [gone(4, BYTES), left("it was named twice")]);
}

#[tokio::test]
async fn a_file_that_cannot_be_removed_is_left_with_the_reason() {
    let tree = Tree::new();
    tree.set(&format!("data/shop/orders-{ID}/backups"), "nb-1-big");
    let sets = tree.sets().await;
    tree.program("rm", "echo 'rm: cannot remove it: Read-only file system' >&2; exit 1");
    assert_eq!(removed(&tree, &sets).await, [left("rm: cannot remove it: Read-only file system")]);
    // It takes one and fails at the others.
    tree.program("rm", "shift 2; exec /bin/rm -f \"$1\"");
    let some = Removed { left: Some("it is still there".to_owned()), ..gone(1, 5) };
    assert_eq!(removed(&tree, &sets).await, [some]);
    fs::remove_file(tree.path("bin/rm")).unwrap();
    assert_eq!(removed(&tree, &sets).await, [gone(3, BYTES - 5)]);
}

#[tokio::test]
async fn sudo_is_asked_for_stat_and_rm_alone_and_its_refusal_is_no_removal() {
    let tree = Tree::new();
    tree.set(&format!("data/shop/orders-{ID}/backups"), "nb-1-big");
    let sets = tree.sets().await;
    let sudo = tree.sudo();
    let mut spec = tree.spec(&[]);
    spec.sudo = Sudo::Always;
    sudo.refuse();
    let removal = remove(&tree.door(), &spec, &sets, LIMIT).await;
    assert!(removal.broke_off.is_some() && removal.sets.is_empty(), "{removal:?}");
    assert_eq!(tree.sets().await.len(), 1);
    let sudo = tree.sudo();
    let removal = remove(&tree.door(), &spec, &sets, LIMIT).await;
    assert_eq!(removal, Removal { sets: vec![gone(4, BYTES)], broke_off: None });
    let mut asked = sudo.asked();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, ["rm", "stat"]);
}

#[tokio::test]
async fn more_files_than_one_command_takes_go_by_several() {
    let tree = Tree::new();
    for table in 0..10 {
        let backups = format!("data/shop/t{table}-{ID}/backups");
        for generation in 0..100 {
            tree.set(&backups, &format!("nb-{generation}-big"));
        }
    }
    let sets = tree.sets().await;
    let fates = removed(&tree, &sets).await;
    assert_eq!(fates, vec![gone(4, BYTES); 1000]);
    assert!(tree.sets().await.is_empty());
}
