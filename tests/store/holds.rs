//! What a store takes, tells and refuses.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use ringhaul::store::manifest::{SCHEMA, Topology};
use ringhaul::store::{Store, StoreError};

use super::bench::{HOST, NOW, gather, is_valid, keep, manifest, place, set, store};

#[test]
fn a_folder_becomes_a_store_only_when_it_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let refused = |path: &Path| Store::open_or_make(path).unwrap_err().to_string();
    assert!(matches!(Store::open(&at("a")), Err(StoreError::NotAStore { .. })));
    assert!(Store::open_or_make(&at("a")).unwrap().1);
    assert!(!Store::open_or_make(&at("a")).unwrap().1);
    assert!(Store::open(&at("a")).unwrap().room().unwrap() > 0);
    fs::create_dir_all(at("disk/lost+found")).unwrap();
    assert!(Store::open_or_make(&at("disk")).unwrap().1);

    fs::create_dir(at("other")).unwrap();
    fs::write(at("other/x"), "x").unwrap();
    assert!(refused(&at("other")).ends_with("is no store: it holds other things"));
    assert!(refused(&at("other/x")).ends_with("it is no folder"));
    assert!(refused(&at("no/such")).contains("No such file"));
    let later = format!("{{\"schema\":{},\"of\":\"a later time\"}}", SCHEMA + 1);
    fs::write(at("a/ringhaul-store.json"), later).unwrap();
    assert!(matches!(Store::open(&at("a")), Err(StoreError::Newer { .. })));
    fs::write(at("a/ringhaul-store.json"), "{").unwrap();
    assert!(matches!(Store::open_or_make(&at("a")), Err(StoreError::Bad { .. })));
}

#[test]
fn a_name_that_comes_back_with_other_content_lies_beside_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let writer = store.writer(HOST, NOW).unwrap();
    let at = place("orders", 1);
    let first = keep(&writer, "r1", 1, std::slice::from_ref(&at), "old").unwrap();
    let again = keep(&writer, "r2", 1, std::slice::from_ref(&at), "newer").unwrap();
    assert_ne!(first[0].id, again[0].id);
    drop(writer);
    assert_eq!(is_valid(&store), 2);
    let holdings = store.holdings(HOST, &mut |_| true).unwrap();
    assert_eq!(holdings.of(&at).count(), 2);
    assert_eq!(holdings.get(&at, &again[0].id).unwrap().run, "r2");
    assert_eq!(store.hosts().unwrap(), [HOST]);
    let wanted = store.holdings(HOST, &mut |set| set.id == first[0].id).unwrap();
    assert_eq!(wanted.iter().count(), 1);
}

#[test]
fn what_is_missing_torn_or_no_file_is_told_and_a_whole_set_replaces_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let writer = store.writer(HOST, NOW).unwrap();
    let places: Vec<_> = (0..4).map(|n| place("orders", n)).collect();
    keep(&writer, "r", 1, &places, "x").unwrap();
    let file = |n: usize| {
        let set = set(&places[n], "x");
        let dir = ringhaul::store::layout::set_dir(HOST, &places[n], &set.id).unwrap();
        store.root().join(dir).join(format!("nb-{n}-big-Data.db"))
    };
    fs::remove_file(file(0)).unwrap();
    fs::write(file(1), "half").unwrap();
    fs::rename(file(2), folder.path().join("aside")).unwrap();
    symlink(folder.path().join("aside"), file(2)).unwrap();
    let same_size = fs::read_to_string(file(3)).unwrap().replace('x', "y");
    fs::write(file(3), same_size).unwrap();

    let faults = || -> Vec<Option<String>> {
        let holdings = store.holdings(HOST, &mut |_| true).unwrap();
        holdings.iter().map(|held| held.fault.clone()).collect()
    };
    let said = faults();
    assert_eq!(said[0].as_deref(), Some("Data.db is missing"));
    assert!(said[1].as_ref().unwrap().starts_with("Data.db has 4 bytes and not the "));
    assert_eq!(said[2].as_deref(), Some("Data.db is no regular file"));
    assert_eq!(said[3], None);
    let other = store.hash_set(&set(&places[3], "x"), HOST, &mut |_| {}).unwrap_err();
    assert_eq!(other, "Data.db is not what was stored: its BLAKE3 is another");

    keep(&writer, "r", 2, &places, "x").unwrap();
    assert_eq!(faults(), [None, None, None, None]);
    drop(writer);
    assert_eq!(is_valid(&store), 4);
}

#[test]
fn a_batch_that_is_not_whole_is_refused_and_nothing_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let writer = store.writer(HOST, NOW).unwrap();
    let one = set(&place("orders", 1), "x");
    let two = set(&place("orders", 2), "x");
    let bad = |manifest, drafts| {
        let error = writer.commit(manifest, drafts).unwrap_err();
        assert!(matches!(error, StoreError::Bad { .. }), "{error}");
    };
    // Named and not gathered; gathered and not named; a file too short; of another node.
    bad(manifest("r", 1, vec![one.clone()]), vec![]);
    let draft = gather(&writer, &one, "x").unwrap();
    bad(manifest("r", 1, vec![]), vec![draft]);
    let draft = gather(&writer, &one, "x").unwrap();
    fs::write(draft.dir().join("nb-1-big-Data.db"), "short").unwrap();
    bad(manifest("r", 1, vec![one.clone()]), vec![draft]);
    let mut of_another = manifest("r", 1, vec![one.clone()]);
    of_another.node.host_id = "other".into();
    bad(of_another, vec![gather(&writer, &one, "x").unwrap()]);
    let mut leads_out = one.clone();
    leads_out.place.keyspace = "..".into();
    bad(manifest("r", 1, vec![leads_out]), vec![]);
    assert!(writer.begin(&place("../x", 1), &one.id).is_err());
    assert!(gather(&writer, &two, "x").unwrap().file("../Data.db").is_err());

    // The number of a part is taken once.
    let draft = gather(&writer, &one, "x").unwrap();
    assert_eq!(writer.next_part("r").unwrap(), 1);
    writer.commit(manifest("r", 1, vec![one.clone()]), vec![draft]).unwrap();
    assert_eq!(writer.next_part("r").unwrap(), 2);
    bad(manifest("r", 1, vec![two.clone()]), vec![gather(&writer, &two, "x").unwrap()]);
    // A set that is there already is named again without being gathered.
    writer.commit(manifest("r", 2, vec![one]), vec![]).unwrap();
    gather(&writer, &two, "x").unwrap().discard().unwrap();
    drop(writer);
    assert_eq!(is_valid(&store), 1);
}

#[test]
fn a_manifest_that_cannot_be_read_is_named_and_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let writer = store.writer(HOST, NOW).unwrap();
    for part in 1..=3 {
        keep(&writer, "r", part, &[place("orders", part as usize)], "x").unwrap();
    }
    let path = |part| store.root().join(format!("manifests/{HOST}/r.000{part}.json"));
    fs::write(path(2), "{\"schema\":1,").unwrap();
    fs::write(path(4), "{\"schema\":9}").unwrap();
    fs::copy(path(1), path(5)).unwrap();
    fs::write(store.root().join(format!("manifests/{HOST}/note.txt")), "hi").unwrap();
    let evil = fs::read_to_string(path(3)).unwrap().replace("\"shop\"", "\"../..\"");
    fs::write(path(3), evil).unwrap();
    let holdings = store.holdings(HOST, &mut |_| true).unwrap();
    assert_eq!(holdings.iter().count(), 1);
    let said: Vec<String> = holdings.unread.iter().map(ToString::to_string).collect();
    let said =
        said.join("\n").replace(&format!("{}/manifests/{HOST}/", store.root().display()), "");
    insta::assert_snapshot!(said, @r"
    note.txt: no manifest has that name
    r.0002.json: it cannot be read: EOF while parsing a value at line 1 column 12
    r.0003.json: '../..' is no keyspace
    r.0004.json: a later ringhaul wrote it (schema 9, this one reads 1)
    r.0005.json: it is of another run than its name says
    ");
}

#[test]
fn the_ring_is_kept_once_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let ring = |cluster: &str| Topology {
        schema: SCHEMA,
        run: "r1".into(),
        cluster: cluster.into(),
        ..Topology::default()
    };
    assert_eq!(store.topology("r1").unwrap(), None);
    store.keep_topology(&ring("a")).unwrap();
    store.keep_topology(&ring("b")).unwrap();
    assert_eq!(store.topology("r1").unwrap(), Some(ring("a")));
    assert!(store.topology("../r1").is_err());
    assert!(super::bench::files(&store.root().join("tmp")).is_empty());
}
