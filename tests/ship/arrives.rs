//! What arrives: every complete set, byte for byte, where the layout says, named by a manifest.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use ringhaul::record::haul::Ship;
use ringhaul::record::{Job, Outcome, Step};
use ringhaul::store::manifest::{RingMember, Topology};
use serde_json::json;

use super::backups::{ID, Set};
use super::fleet::run;
use super::stored::{copies, files, host, manifests, named};
use super::{Yard, counts, ended, haul};

/// What Cassandra makes of all kinds of tables.
fn all_kinds() -> Vec<Set> {
    let orders = Set::big("shop.orders", "1", "a");
    vec![
        orders.clone().of_size(300_000),
        Set::bti("shop.orders", "3gcm_0c7a_2pdfk2dvq5p6xq3klm", "b"),
        Set::big("shop.orders", "2", "c")
            .with("SAI+aa+orders_by_day+TermsData.db", b"terms")
            .with("SAI+aa+orders_by_day+GroupComplete.db", b""),
        // The same name as the table's own, in the folder of an index.
        orders.of_index(".orders_by_day"),
        Set::big("shop.orders", "9", "d").in_data("more data"),
        Set::big("backups.snapshots", "1", "e"),
        Set::big("snapshots.backups", "1", "f"),
        // A table that was dropped and made again.
        Set::big("shop.orders", "1", "g").in_folder("orders-f7146460e54c11f19cc7876c33cf10d3"),
        Set::big("system.local", "7", "h"),
    ]
}

/// Tells cassandra.yaml of a second data folder, too.
fn add_data_folder(yard: &Yard) {
    let tree = yard.tree();
    let (first, second) = (tree.path("data"), tree.path("more data"));
    fs::create_dir_all(&second).unwrap();
    tree.write_config(&format!(
        "incremental_backups: true\ndata_file_directories:\n    - {}\n    - {}\n",
        first.display(),
        second.display()
    ));
}

#[tokio::test]
async fn every_complete_set_arrives_byte_for_byte_where_the_layout_says() {
    let yard = Yard::new(1);
    add_data_folder(&yard);
    let sets = all_kinds();
    for (number, set) in sets.iter().enumerate() {
        set.flush(&yard.tree());
        // Of some, the links in backups are the last.
        if number % 2 == 1 {
            set.compact(&yard.tree());
        }
    }
    let before = files(&yard.tree().home.join("data"));
    let end = ended(&yard.ship().await, Outcome::Done);
    assert_eq!(counts(&end), [9, 0, 0, 0, 0, 9]);
    assert_eq!(end.changed, [Step::Ship]);
    assert_eq!(end.notes, [""; 0]);
    let bytes: u64 = sets.iter().map(Set::bytes).sum();
    assert_eq!(haul(&end).sum().shipped.bytes, bytes);
    assert_eq!(haul(&end).of("shop.orders").shipped.sets, 6);
    yard.holds(&sets.iter().collect::<Vec<_>>());
    assert_eq!(files(&yard.tree().home.join("data")), before, "nothing is changed on the node");
    assert_eq!(yard.tree().tickets(), [""; 0]);

    let index = format!("nodes/{}/shop/orders-{ID}/.orders_by_day/nb-1-big.", host(1));
    assert!(files(&yard.store()).keys().any(|name| name.starts_with(&index)), "{index}");
}

#[tokio::test]
async fn the_manifest_says_what_the_node_was_and_what_each_file_is() {
    let yard = Yard::new(1);
    let set = Set::big("shop.orders", "1", "a").with("Rows.db", b"");
    set.flush(&yard.tree());
    let mut wish = yard.wish(Job::Ship(yard.plain()));
    wish.topology = Topology {
        members: vec![RingMember {
            host_id: Some(host(1)),
            tokens: Some(vec!["-9".to_owned(), "42".to_owned()]),
            schema_version: Some("2207c2a9-f598-3971-986b-2926e09e239d".to_owned()),
            ..RingMember::default()
        }],
        ..Topology::default()
    };
    run(&yard.nodes, &wish, "run-1").await.result.unwrap();

    let manifest = manifests(&yard.store(), &host(1)).remove(0);
    assert_eq!(manifest["run"], "run-1");
    assert_eq!((&manifest["schema"], &manifest["part"]), (&json!(1), &json!(1)));
    let node = json!({
        "host_id": host(1), "name": "n1", "cluster": "", "address": "10.0.0.1", "dc": "dc1",
        "rack": "r1", "tokens": ["-9", "42"], "cassandra": null,
        "schema_version": "2207c2a9-f598-3971-986b-2926e09e239d",
    });
    assert_eq!(manifest["node"], node);
    let stored = &manifest["sets"][0];
    assert_eq!(stored["found_in"], json!(["backups"]));
    let digest = String::from_utf8(set.files["Digest.crc32"].clone()).unwrap();
    assert_eq!(stored["digest"].to_string(), digest);
    let names: Vec<&str> = stored["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["component"].as_str().unwrap())
        .collect();
    assert_eq!(names, set.files.keys().collect::<Vec<_>>());
    for file in stored["files"].as_array().unwrap() {
        let component = file["component"].as_str().unwrap();
        let on_node = fs::metadata(set.file(&yard.tree(), component)).unwrap();
        assert_eq!(file["size"], on_node.len());
        assert_eq!(file["inode"], on_node.ino());
        assert_eq!(file["modified"], on_node.mtime() * 1_000_000_000 + on_node.mtime_nsec());
        let hash = blake3::hash(&set.files[component]).to_hex().to_string();
        assert_eq!(file["blake3"], hash);
    }
    yard.is_sound();
}

#[tokio::test]
async fn a_snapshot_is_shipped_by_its_name_and_what_backups_has_of_it_is_stored_once() {
    let yard = Yard::new(1);
    let tree = yard.tree();
    let both = Set::big("shop.orders", "1", "both");
    let alone = Set::big("shop.orders", "2", "in the snapshot alone");
    let index = Set::big("shop.orders", "1", "index").of_index(".by_day");
    for set in [&both, &index] {
        set.flush(&tree);
        set.take_snapshot(&tree, "nightly");
    }
    alone.write_to(&alone.live(&tree));
    alone.take_snapshot(&tree, "nightly");
    let other = Set::big("shop.orders", "3", "another tag");
    other.write_to(&other.live(&tree));
    other.take_snapshot(&tree, "nightly2");

    let snapshot = Some("nightly".to_owned());
    let job = Job::Ship(Ship { snapshot, ..yard.plain() });
    let end = ended(&yard.run(job.clone()).await, Outcome::Done);
    // What is no set, manifest.json and schema.cql, is stored and not counted.
    assert_eq!(counts(&end), [3, 0, 0, 0, 0, 2], "{end:?}");
    yard.holds(&[&both, &alone, &index]);
    assert_eq!(copies(&yard.store(), &host(1), &other), 0);
    let origins = |descriptor: &str, is_index: bool| {
        let named = named(&yard.store(), &host(1));
        let mut found = named
            .iter()
            .filter(|(_, set)| {
                set["descriptor"] == descriptor && set["index"].is_string() == is_index
            })
            .map(|(_, set)| set["found_in"].clone());
        let origins = found.next().unwrap();
        assert!(found.next().is_none(), "{descriptor} is named once");
        origins
    };
    assert_eq!(origins("nb-1-big", false), json!(["backups", {"snapshot": "nightly"}]));
    assert_eq!(origins("nb-1-big", true), json!(["backups", {"snapshot": "nightly"}]));
    assert_eq!(origins("nb-2-big", false), json!([{"snapshot": "nightly"}]));
    assert_eq!(origins("snapshot", false), json!([{"snapshot": "nightly"}]));
    let papers = files(&yard.store()).into_iter();
    let papers: Vec<_> = papers.filter(|(name, _)| name.contains("/snapshot.")).collect();
    assert_eq!(papers.len(), 2);
    assert_eq!(
        papers[0].1,
        fs::read(alone.snapshot(&tree, "nightly").join("manifest.json")).unwrap()
    );

    let end = ended(&yard.run(job).await, Outcome::NothingToDo);
    assert_eq!(counts(&end)[..2], [0, 3], "{end:?}");
    yard.is_sound();
}

#[tokio::test]
async fn a_snapshot_that_is_not_there_is_said_and_what_is_in_backups_is_shipped() {
    let yard = Yard::new(1);
    let set = Set::big("shop.orders", "1", "a");
    set.flush(&yard.tree());
    let snapshot = Some("nightly".to_owned());
    let job = Job::Ship(Ship { snapshot, ..yard.plain() });
    let end = ended(&yard.run(job).await, Outcome::Failed);
    let reason = "there is no snapshot 'nightly' here; what is in backups is stored";
    assert_eq!(end.reason.as_deref(), Some(reason));
    yard.holds(&[&set]);
}

#[tokio::test]
async fn only_the_tables_that_are_meant_are_shipped() {
    let yard = Yard::new(1);
    let table = |name: &str| Set::big(name, "1", name);
    let sets =
        ["shop.orders", "shop.cache_a", "shop.cache_b", "system.local", "other.orders"].map(table);
    for set in &sets {
        set.flush(&yard.tree());
    }
    let tables = vec!["sh*.*,!shop.cache*".to_owned(), "system".to_owned()];
    let job = Job::Ship(Ship { tables, then_clean: Some(Default::default()), ..yard.plain() });
    let end = ended(&yard.run(job).await, Outcome::Done);
    assert_eq!(counts(&end), [2, 0, 0, 0, 2, 0]);
    let tables: Vec<_> = haul(&end).tables.into_keys().collect();
    assert_eq!(tables, ["shop.orders", "system.local"]);
    yard.holds(&[&sets[0], &sets[3]]);
    for (set, left) in sets.iter().zip([0, 8, 8, 0, 8]) {
        assert_eq!(set.left(&yard.tree()), left, "{}", set.keyspace);
    }
    let job = Job::Ship(Ship { tables: vec!["a.b.c".to_owned()], ..yard.plain() });
    ended(&yard.run(job).await, Outcome::Refused);
}

#[tokio::test]
async fn an_empty_node_has_nothing_to_do() {
    let yard = Yard::new(1);
    let end = ended(&yard.ship().await, Outcome::NothingToDo);
    assert_eq!(end.reason.as_deref(), Some("no set in backups"));
    assert!(haul(&end).is_left_known);
    let end = ended(&yard.clean(Default::default()).await, Outcome::NothingToDo);
    assert_eq!(end.reason.as_deref(), Some("no set in backups"));
    yard.is_sound();
}
