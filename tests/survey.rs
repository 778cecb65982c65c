//! The survey's script and the real `find`, on a tree of files made here: odd names, a keyspace
//! called `backups`, index folders, sets that lack components.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[path = "common/local.rs"]
mod local;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use local::Local;
use ringhaul::audit::Surveyed;
use ringhaul::cassandra::fact::{Fact, WhyKind};
use ringhaul::cassandra::facts::Facts;
use ringhaul::cassandra::holdings::Evidence;
use ringhaul::inventory::{NodeSpec, Paths, Sudo};
use ringhaul::node::Endpoint;
use ringhaul::node::survey::Limits;
use ringhaul::run::audit::{Order, RingFrom, audit};
use tokio::sync::{mpsc, watch};

const ID: &str = "6a1adbe06a0211f184742b61a3e0ec16";
const LATER_ID: &str = "f7146460e54c11f19cc7876c33cf10d3";

/// A node's file system in a folder of its own.
struct Tree {
    root: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self { root: tempfile::tempdir().unwrap() };
        tree.write("conf/cassandra.yaml", "incremental_backups: true\n");
        tree.nodetool("case $* in *netstats) echo Mode: NORMAL ;; *) echo running ;; esac");
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn nodetool(&self, body: &str) {
        self.write("bin/nodetool", &format!("#!/bin/sh\n{body}\n"));
        fs::set_permissions(self.path("bin/nodetool"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Writes a set of three components, ten bytes in all besides its TOC.
    fn set(&self, folder: &str, descriptor: &str) {
        let toc = "Data.db\nStatistics.db\nFilter.db\nTOC.txt\n";
        for (component, text) in
            [("Data.db", "12345"), ("Statistics.db", "12345"), ("Filter.db", ""), ("TOC.txt", toc)]
        {
            self.write(&format!("{folder}/{descriptor}-{component}"), text);
        }
    }

    fn set_linked_to_live(&self, table: &str, descriptor: &str) {
        self.set(&format!("{table}/backups"), descriptor);
        for component in ["Data.db", "Statistics.db", "Filter.db", "TOC.txt"] {
            let name = format!("{descriptor}-{component}");
            let backup = self.path(&format!("{table}/backups/{name}"));
            fs::hard_link(backup, self.path(&format!("{table}/{name}"))).unwrap();
        }
    }

    fn age(&self, path: &str) {
        let hour_ago = std::process::Command::new("touch")
            .args(["-d", "1 hour ago"])
            .arg(self.path(path))
            .status();
        assert!(hour_ago.unwrap().success());
    }

    fn spec(&self, data: &[&str]) -> NodeSpec {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        NodeSpec {
            paths: Paths {
                nodetool: None,
                config: Some(text(&self.path("conf/cassandra.yaml"))),
                data: data.iter().map(|data| text(&self.path(data))).collect(),
            },
            sudo: Sudo::Never,
            ..NodeSpec::at(Endpoint { host: "here".into(), ..Endpoint::default() })
        }
    }

    async fn survey(&self, spec: NodeSpec) -> Facts {
        let order = Order {
            nodes: vec![spec],
            ring: RingFrom::Ask(Vec::new()),
            in_flight: 1,
            per_jump: None,
            limits: Limits { nodetool: Duration::from_secs(2), files: Duration::from_secs(30) },
        };
        let (events, _) = mpsc::unbounded_channel();
        let (_stop, stopped) = watch::channel(false);
        let door = Arc::new(Local { bin: self.path("bin") });
        let result = audit(door, order, events, stopped).await;
        let [Surveyed { facts, .. }] = <[Surveyed; 1]>::try_from(result.nodes).unwrap();
        facts
    }
}

#[tokio::test]
async fn sets_are_counted_by_structure_in_every_data_folder() {
    let tree = Tree::new();
    let table = format!("data/shop/orders-{ID}");
    tree.set_linked_to_live(&table, "nb-1-big");
    tree.set(&format!("{table}/backups"), "nb-2-big");
    tree.set(&format!("{table}/backups/.orders_name"), "nb-1-big");
    tree.set(&format!("more data/shop/orders-{ID}/backups"), "da-3h5p_06i9_0spyi2g9g478xhr7vg-bti");
    // Neither a keyspace named `backups` nor a table named `snapshots` is a backups folder.
    tree.set(&format!("data/backups/snapshots-{ID}"), "nb-1-big");
    tree.set(&format!("data/backups/snapshots-{ID}/backups"), "nb-1-big");
    tree.write(&format!("{table}/backups/read me"), "stray");
    let facts = tree.survey(tree.spec(&["data", "more data"])).await;

    let backups = facts.backups.known().expect("known");
    let toc = "Data.db\nStatistics.db\nFilter.db\nTOC.txt\n".len() as u64;
    assert_eq!((backups.sets, backups.incomplete_sets, backups.strays), (5, 0, 1));
    assert_eq!(backups.bytes, 5 * (10 + toc) + 5);
    assert_eq!(backups.held_bytes, 4 * (10 + toc) + 5, "all but the set that is still live");
    assert_eq!((facts.live, facts.config.known().is_some()), (Fact::Known(true), true));
}

#[tokio::test]
async fn a_set_is_complete_when_every_name_in_its_toc_is_there() {
    let tree = Tree::new();
    let backups = format!("data/shop/orders-{ID}/backups");
    for descriptor in ["nb-1-big", "nb-2-big", "nb-3-big", "nb-4-big"] {
        tree.set(&backups, descriptor);
    }
    fs::remove_file(tree.path(&format!("{backups}/nb-1-big-Filter.db"))).unwrap();
    fs::remove_file(tree.path(&format!("{backups}/nb-2-big-TOC.txt"))).unwrap();
    tree.write(&format!("{backups}/nb-3-big-TOC.txt"), "");
    // Only what is older than a flush can take counts as torn.
    for component in ["Data.db", "Statistics.db", "TOC.txt"] {
        tree.age(&format!("{backups}/nb-1-big-{component}"));
    }
    let facts = tree.survey(tree.spec(&["data"])).await;
    let sum = facts.backups.known().expect("known");
    assert_eq!((sum.sets, sum.incomplete_sets, sum.torn_sets), (1, 3, 1));
    assert_eq!(sum.torn_examples, [format!("shop/orders-{ID}/backups/nb-1-big")]);
}

#[tokio::test]
async fn snapshots_are_summed_by_kind_and_dropped_tables_are_found() {
    let tree = Tree::new();
    let gone = format!("data/shop/gone-{ID}");
    tree.set(&format!("{gone}/snapshots/dropped-1795222167483-gone"), "nb-1-big");
    let old = format!("data/shop/again-{ID}");
    tree.set(&format!("{old}/backups"), "nb-1-big");
    tree.set(&format!("data/shop/again-{LATER_ID}"), "nb-1-big");
    for table in ["orders", "carts"] {
        tree.set(&format!("data/shop/{table}-{ID}"), "nb-1-big");
        tree.set(&format!("data/shop/{table}-{ID}/snapshots/nightly"), "nb-1-big");
        tree.set(&format!("data/shop/{table}-{ID}/snapshots/nightly/.idx"), "nb-1-big");
    }
    let facts = tree.survey(tree.spec(&["data"])).await;
    let counts: BTreeMap<_, _> = facts
        .snapshots
        .known()
        .expect("known")
        .iter()
        .map(|one| (one.kind.name(), (one.count, one.names.clone())))
        .collect();
    assert_eq!(
        counts,
        BTreeMap::from([
            ("dropped", (1, vec!["dropped-1795222167483-gone".to_owned()])),
            ("user", (1, vec!["nightly".to_owned()])),
        ])
    );
    let left: Vec<_> = facts
        .left_overs
        .known()
        .expect("known")
        .iter()
        .map(|one| (one.folder.clone(), one.evidence))
        .collect();
    assert_eq!(
        left,
        [
            (format!("again-{ID}"), Evidence::NewerFolder),
            (format!("gone-{ID}"), Evidence::DroppedSnapshot)
        ]
    );
}

#[tokio::test]
async fn data_folders_are_those_of_cassandra_yaml_whatever_its_form() {
    let tree = Tree::new();
    for data in ["one", "t w o"] {
        tree.set(&format!("{data}/shop/orders-{ID}/backups"), "nb-1-big");
    }
    let root = tree.root.path().display();
    for yaml in [
        format!("data_file_directories:\n    - {root}/one\n    - \"{root}/t w o\" # second\n"),
        format!("data_file_directories: [\"{root}/one\", '{root}/t w o']\n"),
        format!("data_file_directories:\r\n- {root}/one\r\n- {root}/t w o\r\nother: 1\r\n"),
    ] {
        tree.write("conf/cassandra.yaml", &yaml);
        let facts = tree.survey(tree.spec(&[])).await;
        assert_eq!(facts.backups.known().map(|sum| sum.sets), Some(2), "{yaml}");
    }
}

#[tokio::test]
async fn what_cannot_be_learnt_is_unknown_and_the_rest_is_shown() {
    let tree = Tree::new();
    tree.nodetool("echo \"nodetool: Failed to connect - 'Connection refused'.\" >&2; exit 1");
    tree.set(&format!("data/shop/orders-{ID}/backups"), "nb-1-big");
    let facts = tree.survey(tree.spec(&["data", "absent"])).await;
    assert_eq!(facts.live.why().map(|why| why.kind), Some(WhyKind::CassandraDown));
    assert_eq!(facts.configured(), Fact::Known(true));
    assert_eq!(facts.backups.why().map(|why| why.kind), Some(WhyKind::FileNotFound));

    tree.nodetool("sleep 30");
    fs::remove_file(tree.path("conf/cassandra.yaml")).unwrap();
    let facts = tree.survey(tree.spec(&["data"])).await;
    assert_eq!(facts.live.why().map(|why| why.kind), Some(WhyKind::TimedOut));
    assert_eq!(facts.configured().why().map(|why| why.kind), Some(WhyKind::FileNotFound));
    assert_eq!(facts.backups.known().map(|sum| sum.sets), Some(1));
}

#[tokio::test]
async fn a_cassandra_yaml_cannot_make_the_survey_run_anything() {
    let tree = Tree::new();
    let made = tree.path("made").display().to_string();
    for data in [
        format!("[-exec, touch, {made}, ;]"),
        format!("[\"/x\\0$(touch {made})\"]"),
        format!("[\"/x\\n-exec touch {made} ;\"]"),
        format!("['/x; touch {made}', '/$(touch {made})', '`touch {made}`']"),
        format!("\n  - -exec\n  - touch\n  - {made}\n  - ;\n"),
        format!("\n  - /x' -exec touch {made} ;\n  - /*/*/*\n"),
    ] {
        tree.write("conf/cassandra.yaml", &format!("data_file_directories: {data}\n"));
        let facts = tree.survey(tree.spec(&[])).await;
        assert!(facts.backups.known().is_none(), "{data}");
        assert!(!tree.path("made").exists(), "{data}");
    }
}

#[tokio::test]
async fn folders_that_cassandra_yaml_does_not_name_are_not_guessed() {
    let tree = Tree::new();
    fs::remove_file(tree.path("conf/cassandra.yaml")).unwrap();
    let facts = tree.survey(tree.spec(&[])).await;
    assert_eq!(facts.backups.why().map(|why| why.kind), Some(WhyKind::FileNotFound));
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
    let facts = tree.survey(tree.spec(&["data"])).await;
    assert_eq!(facts.backups.known().map(|sum| (sum.sets, sum.incomplete_sets)), Some((5000, 0)));
}

#[tokio::test]
async fn files_with_hostile_names_count_as_strays_and_break_nothing() {
    let tree = Tree::new();
    let backups = format!("data/shop/orders-{ID}/backups");
    tree.set(&backups, "nb-1-big");
    for name in
        ["==> x <==", "f 4 f 1 1 1 x", "new\nline", "\u{1b}[2J", "-rf", "nb-2-big-TOC.txt\nx"]
    {
        tree.write(&format!("{backups}/{name}"), "x");
    }
    let facts = tree.survey(tree.spec(&["data"])).await;
    let sum = facts.backups.known().expect("known");
    assert_eq!((sum.sets, sum.incomplete_sets, sum.strays), (1, 0, 6));
}
