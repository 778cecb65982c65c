//! `ringhaul store`, as a shell sees it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringhaul::cassandra::sets::{Origin, SetPlace};
use ringhaul::store::{Store, layout};

use super::bench::{
    HOST, NOW, content, files, gather, is_valid, keep, manifest, place, set, store,
};

/// Runs `ringhaul store`; returns code, stdout, stderr.
fn ringhaul(store: &Store, arguments: &[&str]) -> (i32, String, String) {
    let output = assert_cmd::Command::cargo_bin("ringhaul")
        .unwrap()
        .arg("store")
        .args(arguments)
        .env_clear()
        .env("RINGHAUL_STORE", store.root())
        .timeout(Duration::from_secs(60))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn json(store: &Store, arguments: &[&str]) -> (i32, serde_json::Value) {
    let (code, stdout, stderr) = ringhaul(store, &[arguments, &["--json"]].concat());
    (code, serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}")))
}

fn data(store: &Store, place: &SetPlace, salt: &str) -> PathBuf {
    let dir = layout::set_dir(HOST, place, &set(place, salt).id).unwrap();
    store.root().join(dir).join(place.file_name("Data.db"))
}

/// Changes a byte; size and name stay.
fn rot(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[3] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn list_and_show_tell_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let writer = store.writer(HOST, NOW).unwrap();
    keep(&writer, "r1", 1, &[place("orders", 1), place("orders", 2)], "x").unwrap();
    keep(&writer, "r2", 1, &[place("orders", 2), place("users", 1)], "x").unwrap();
    drop(writer);
    let (code, text, _) = ringhaul(&store, &["list"]);
    assert_eq!(code, 0);
    assert!(text.contains("cass-01  0c7e5a9e-6f0b-4c8e-9d2b-6a1adbe06a02       2     3"), "{text}");
    assert!(text.contains("1 node, 3 sets, "), "{text}");
    let (code, shown) = json(&store, &["show", "0c7e"]);
    assert_eq!((code, &shown["node"]["tables"][0]["sets"]), (0, &2.into()));
    let (code, shown) = json(&store, &["show", "cass-01", "shop.u*"]);
    assert_eq!(code, 0);
    assert_eq!(shown["node"]["tables"].as_array().unwrap().len(), 1);
    assert_eq!(shown["node"]["tables"][0]["listed"][0]["descriptor"], "nb-1-big");
    let (_, text, _) = ringhaul(&store, &["show", "cass-01", "shop.users"]);
    assert!(text.contains("2023-11-14T22:13:20Z") && text.contains("backups"), "{text}");

    for wrong in [
        &["show", "cass-02"][..],
        &["show", "cass-01", "shop.no"],
        &["show", "cass-01", "["],
        &["get", "cass-01", "shop.no", "--into", "/tmp/no"],
        &["check", "cass-02"],
        &["check", "--read-data=0%"],
        &["list", "--to", "/proc"],
    ] {
        let (code, stdout, stderr) = ringhaul(&store, wrong);
        assert_eq!((code, stdout.as_str()), (64, ""), "{wrong:?}: {stderr}");
    }
}

#[test]
fn a_check_names_all_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let writer = store.writer(HOST, NOW).unwrap();
    let places: Vec<_> = (0..4).map(|n| place("orders", n)).collect();
    keep(&writer, "r", 1, &places, "x").unwrap();
    drop(writer);
    let (code, text, stderr) = ringhaul(&store, &["check", "--read-data"]);
    assert_eq!(code, 0, "{text}{stderr}");
    assert!(text.contains("4 sets, 4 read") && text.contains("nothing wrong"), "{text}");

    fs::write(data(&store, &places[0], "x"), "torn").unwrap();
    let set_dir = data(&store, &places[1], "x").parent().unwrap().to_owned();
    fs::write(set_dir.join("note"), "").unwrap();
    let table = set_dir.parent().unwrap();
    fs::create_dir_all(table.join(".idx/nb-9-big.00112233aabbccdd")).unwrap();
    fs::write(table.join("stray"), "").unwrap();
    fs::write(store.root().join("nodes").join(HOST).join("odd"), "").unwrap();
    fs::write(store.root().join(format!("manifests/{HOST}/r.0007.json")), "{").unwrap();
    fs::write(store.root().join("tmp/.paper-x"), "").unwrap();
    let (code, text, _) = ringhaul(&store, &["check", "cass-01"]);
    let told = text.split_once("\n\n").unwrap().1;
    let root = format!("{}/", store.root().display());
    let told = told.replace(&root, "").replace(HOST, "HOST");
    let told = told.replace(&set(&places[0], "x").id, "ID0");
    assert_eq!(code, 1);
    insta::assert_snapshot!(told, @r"
    cass-01: damaged: shop/orders-6a1adbe06a0211f184742b61a3e0ec16/nb-0-big.ID0: Data.db has 4 bytes and not the 495 that were stored
    cass-01: unreadable: a manifest: manifests/HOST/r.0007.json: it cannot be read: EOF while parsing an object at line 1 column 1
    cass-01: unnamed: nodes/HOST/odd: it is no folder
    cass-01: unnamed: shop/orders-6a1adbe06a0211f184742b61a3e0ec16/.idx/nb-9-big.00112233aabbccdd: no manifest that can be read names it
    cass-01: unnamed: shop/orders-6a1adbe06a0211f184742b61a3e0ec16/nb-1-big.ID0/note: it is no file of the set
    cass-01: unnamed: shop/orders-6a1adbe06a0211f184742b61a3e0ec16/stray: no manifest that can be read names it
    the store: left over: tmp/.paper-x: left by a controller; when none is at work it can be removed
    4 sets, none read: 7 faults
    ");
}

#[test]
fn rot_that_was_read_once_is_remembered_until_the_set_is_stored_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let writer = store.writer(HOST, NOW).unwrap();
    let at = place("orders", 1);
    let one = set(&at, "x");
    // By a controller whose clock is far ahead.
    let ahead = |part| {
        let mut manifest = manifest("r", part, vec![one.clone()]);
        manifest.written = jiff::Timestamp::from_second(32_503_680_000).unwrap();
        manifest
    };
    writer.commit(ahead(1), vec![gather(&writer, &one, "x").unwrap()]).unwrap();
    drop(writer);
    rot(&data(&store, &at, "x"));
    assert_eq!(ringhaul(&store, &["check"]).0, 0, "nothing was read yet");
    assert_eq!(ringhaul(&store, &["check", "--read-data"]).0, 1);
    assert_eq!(ringhaul(&store, &["check"]).0, 1);
    let holdings = store.holdings(HOST, &mut |_| true).unwrap();
    let fault = holdings.iter().next().unwrap().fault.as_deref();
    assert_eq!(fault, Some("Data.db is not what was stored: its BLAKE3 is another"));

    let writer = store.writer(HOST, NOW).unwrap();
    writer.commit(ahead(2), vec![gather(&writer, &one, "x").unwrap()]).unwrap();
    drop(writer);
    assert_eq!(is_valid(&store), 1);
    assert_eq!(ringhaul(&store, &["check"]).0, 0);
}

#[test]
fn a_record_of_damage_that_cannot_be_read_is_told_and_not_replaced_by_a_part() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let writer = store.writer(HOST, NOW).unwrap();
    keep(&writer, "r", 1, &[place("orders", 1), place("orders", 2)], "x").unwrap();
    drop(writer);
    assert_eq!(ringhaul(&store, &["check", "--read-data"]).0, 0);
    let record = store.root().join(format!("checks/{HOST}.json"));
    assert_eq!(fs::metadata(&record).unwrap().permissions().mode() & 0o777, 0o644);
    fs::write(&record, "{").unwrap();
    let holdings = store.holdings(HOST, &mut |_| true).unwrap();
    assert_eq!((holdings.iter().count(), holdings.unread.len()), (2, 1));
    let said = holdings.unread[0].to_string();
    assert!(said.contains(&format!("checks/{HOST}.json: it cannot be read")), "{said}");
    let (code, text, _) = ringhaul(&store, &["check", "--read-data=50%"]);
    assert!(code != 0 && text.contains("what was read is not written down"), "{text}");
    assert_eq!(fs::read_to_string(&record).unwrap(), "{");
    assert_eq!(ringhaul(&store, &["check", "--read-data"]).0, 1, "it is told once more");
    assert_eq!(ringhaul(&store, &["check"]).0, 0);
}

#[test]
fn a_part_is_read_each_time_and_what_was_not_read_for_longest_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let writer = store.writer(HOST, NOW).unwrap();
    let places: Vec<_> = (0..4).map(|n| place("orders", n)).collect();
    keep(&writer, "r", 1, &places, "x").unwrap();
    drop(writer);
    rot(&data(&store, &places[3], "x"));
    let found: Vec<i32> =
        (0..4).map(|_| ringhaul(&store, &["check", "--read-data=25%"]).0).collect();
    assert_eq!(found, [0, 0, 0, 1]);
}

#[test]
fn a_check_ends_what_a_dead_controller_left_and_leaves_a_living_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let mut ended = 0;
    for step in 0..40 {
        let writer = store.writer(HOST, NOW).unwrap();
        writer.stop_after(step);
        let kept = keep(&writer, &format!("r{step}"), 1, &[place("a", step)], "x");
        assert!(step > 3 || kept.is_err());
        if step == 2 {
            let (code, json) = json(&store, &["check"]);
            assert_eq!(code, 3, "{json}");
            assert!(
                json["nodes"][0]["unknown"][0].as_str().unwrap().contains("another controller")
            );
        }
        drop(writer);
        let (code, text, stderr) = ringhaul(&store, &["check"]);
        assert_eq!(code, 0, "{step}: {text}{stderr}");
        ended += usize::from(text.contains("was brought to its end"));
        is_valid(&store);
        if kept.is_ok() {
            break;
        }
    }
    assert!(ended > 0);
}

#[test]
fn sets_are_laid_out_for_the_loader_and_damage_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let writer = store.writer(HOST, NOW).unwrap();
    let old = place("orders", 1);
    let dropped = SetPlace { folder: format!("orders-{}", "0".repeat(32)), ..place("orders", 7) };
    let index = SetPlace { index: Some(".by_day".into()), ..place("orders", 2) };
    keep(&writer, "r", 1, &[old.clone(), index.clone(), place("orders", 2)], "x").unwrap();
    keep(&writer, "r", 2, &[old.clone(), dropped, place("users", 1)], "newer").unwrap();
    let papers = set(&SetPlace { descriptor: "snapshot".into(), ..old.clone() }, "x");
    let mut in_snapshot = set(&old, "x");
    in_snapshot.found_in = vec![Origin::Snapshot("before".into())];
    let mut of_snapshot = papers.clone();
    of_snapshot.found_in.clone_from(&in_snapshot.found_in);
    let draft = gather(&writer, &papers, "x").unwrap();
    writer.commit(manifest("r", 3, vec![of_snapshot, in_snapshot]), vec![draft]).unwrap();
    drop(writer);

    let into = folder.path().join("out");
    let out = into.to_str().unwrap();
    let (code, text, stderr) = ringhaul(&store, &["get", "cass-01", "shop.orders", "--into", out]);
    assert_eq!(code, 0, "{stderr}");
    assert!(text.contains("5 sets, ") && text.contains("/out/3/shop/orders\n"), "{text}");
    let there: Vec<PathBuf> = files(&into).into_iter().filter(|f| f.ends_with_data()).collect();
    let there: Vec<&str> = there.iter().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(
        there,
        [
            "1/shop/orders/nb-7-big-Data.db",
            "2/shop/orders/.by_day/nb-2-big-Data.db",
            "2/shop/orders/nb-1-big-Data.db",
            "2/shop/orders/nb-2-big-Data.db",
            "3/shop/orders/nb-1-big-Data.db",
        ]
    );
    let read = |name: &str| fs::read_to_string(into.join(name)).unwrap();
    assert_eq!(read("2/shop/orders/nb-1-big-Data.db"), content(&old, "x")[0].1);
    assert_eq!(read("3/shop/orders/nb-1-big-Data.db"), content(&old, "newer")[0].1);
    let modified = fs::metadata(into.join(there[4])).unwrap().modified().unwrap();
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(since.as_nanos(), 1_700_000_000_123_456_794);

    let (code, _, stderr) = ringhaul(&store, &["get", "cass-01", "shop.orders", "--into", out]);
    assert!(code == 2 && stderr.contains("it is there already, and not empty"), "{stderr}");

    let of_tag = folder.path().join("tag");
    let tag = of_tag.to_str().unwrap();
    let args = ["get", "0c7e", "shop.*", "--into", tag, "--snapshot", "before"];
    assert_eq!(ringhaul(&store, &args).0, 0);
    let names: Vec<PathBuf> = files(&of_tag).into_iter().filter(|f| f.ends_with_data()).collect();
    let names: Vec<&str> = names.iter().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(names, ["1/shop/orders/Data.db", "1/shop/orders/nb-1-big-Data.db"]);

    rot(&data(&store, &old, "x"));
    let torn = folder.path().join("torn");
    let into = torn.to_str().unwrap();
    let args = ["get", "cass-01", "shop.orders", "--into", into, "--set", "nb-1-big"];
    let (code, text, _) = ringhaul(&store, &args);
    assert!(code == 2 && text.contains("Data.db is not what was stored"), "{text}");
    assert_eq!(files(&torn).len(), 3, "only the whole one is there");
}

trait EndsWithData {
    fn ends_with_data(&self) -> bool;
}

impl EndsWithData for PathBuf {
    fn ends_with_data(&self) -> bool {
        self.to_str().unwrap().ends_with("Data.db")
    }
}
