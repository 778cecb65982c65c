//! The audit tells the truth: a ring of five nodes, no two alike, every number compared with an
//! independent count.

use serde_json::{Value, json};

use super::lab::{self, Lab, Plan, QUICK, row};
use super::truth::{self, Made};

/// Two data centres, three racks in the first of names, four layouts, all four verdicts, and two
/// nodes whose files the account may not see.
pub(crate) static ODD: Plan = Plan {
    name: "odd",
    up: &[
        "--nodes",
        "5",
        "--oa",
        "--topology",
        "east/rack 1.a,east/r2,west/r2,west/r3,east/rack 1.a",
        "--node-opt",
        "1:incremental=1",
        "--node-opt",
        "2:layout=tarball",
        "--node-opt",
        "2:path=hidden",
        "--node-opt",
        "2:jmx-port=7299",
        "--node-opt",
        "2:format=bti",
        "--node-opt",
        "2:uuid=1",
        "--node-opt",
        "3:incremental=1",
        "--node-opt",
        "3:data-dirs=2",
        "--node-opt",
        "3:sudo=root",
        "--node-opt",
        "4:sudo=password",
        "--node-opt",
        "5:incremental=1",
        "--node-opt",
        "5:sudo=none",
    ],
    prepare,
};

const DEBIAN: &str = "/etc/cassandra/cassandra.yaml";

static MADE: [Made; 5] = [
    Made { node: 1, data: &["/var/lib/cassandra/data"], config: DEBIAN, files: true },
    Made {
        node: 2,
        data: &["/opt/apache-cassandra-5.0.5/data/data"],
        config: "/opt/apache-cassandra-5.0.5/conf/cassandra.yaml",
        files: true,
    },
    Made {
        node: 3,
        data: &["/var/lib/cassandra/data", "/var/lib/cassandra/data2"],
        config: DEBIAN,
        files: true,
    },
    Made { node: 4, data: &[], config: DEBIAN, files: false },
    Made { node: 5, data: &[], config: DEBIAN, files: false },
];

fn prepare(lab: &Lab) {
    lab.nodetool(2, &["enablebackup"]);
    lab.ring("seed", &[]);
    // Sets that no snapshot holds: once compacted, only backups hold them.
    lab.ring(
        "cql",
        &["1", "INSERT INTO shop.orders (id, status, customer) VALUES (99, 'new', 'x');"],
    );
    lab.side_by_side(&[1, 2, 3], |node| {
        lab.nodetool(node, &["flush", "shop"]);
        lab.nodetool(node, &["compact", "shop"]);
    });
    // In a keyspace called backups, beside the one that `seed` took of another.
    lab.nodetool(1, &["snapshot", "-t", "second", "backups"]);
    lab.nodetool(3, &["disablebackup"]);
    // One set torn long ago, one that is being made just now, and a file that belongs to none.
    lab.on(
        1,
        "
        cd /var/lib/cassandra/data/shop/orders-*/backups
        set -- *-Statistics.db
        rm \"$1\"
        touch -d '2 hours ago' \"${1%-Statistics.db}\"-*
        echo mine >notes.txt",
    );
    lab.on(
        3,
        "
        set -- /var/lib/cassandra/data*/shop/orders-*/backups/*-TOC.txt
        rm \"$1\"
        touch \"${1%-TOC.txt}\"-*",
    );
}

/// Cassandra flushes and compacts its own tables when it likes: a count before the audit and one
/// after it must agree before the audit is judged by them.
const TRIES: usize = 6;

#[test]
fn every_number_is_that_of_an_independent_count() {
    let lab = ODD.turn();
    for _ in 0..TRIES {
        let before = truth::of(&lab, &MADE);
        let (audit, ended) = lab.audit(&[]);
        let after = truth::of(&lab, &MADE);
        if before != after {
            lab::tell("the nodes changed during the audit; once more");
            continue;
        }
        for (node, truth) in &before {
            truth::assert_told(row(&audit, *node), truth);
        }
        // The lab is what this story is about: none of the counts is nothing.
        for (node, least) in [(1, 1), (2, 0), (3, 1)] {
            let backups = &before[&node]["backups"];
            let held = backups["held_bytes"].as_u64();
            assert!(held > Some(0) && held < backups["bytes"].as_u64(), "{node}: {backups:#}");
            assert!(backups["sets"].as_u64() > Some(10), "{node}: {backups:#}");
            assert_eq!(backups["incomplete_sets"], least, "{node}: {backups:#}");
            assert_eq!(before[&node]["snapshots"].as_array().map(Vec::len), Some(3), "{node}");
            assert_eq!(before[&node]["left_overs"].as_array().map(Vec::len), Some(1), "{node}");
        }
        assert_eq!(
            audit["summary"],
            json!({"nodes": 5, "enabled": 2, "disabled": 1, "drift": 2, "unknown": 0})
        );
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        return;
    }
    panic!("the nodes did not stand still in {TRIES} tries");
}

#[test]
fn the_findings_are_what_was_done_to_the_nodes_and_no_other() {
    let lab = ODD.turn();
    let (audit, _) = lab.audit(&[]);
    let findings = audit["findings"].as_array().expect("an array").iter();
    let told: Vec<String> = findings
        // The disk is the host's own.
        .filter(|finding| finding["check"] != "disk_filling")
        .map(|finding| {
            let word = |name: &str| finding[name].as_str().unwrap_or("ring").to_owned();
            format!("{} {} {}", word("severity"), word("check"), word("node"))
        })
        .collect();
    let at = |severity: &str, check: &str, node: u8| {
        format!("{severity} {check} {}", lab::address(node))
    };
    assert_eq!(
        told,
        [
            at("critical", "disabled", 4),
            at("critical", "on_at_restart", 3),
            at("warning", "lost_at_restart", 2),
            at("warning", "disagrees", 3),
            at("warning", "disagrees", 4),
            at("warning", "disagrees", 2),
            at("warning", "disagrees", 4),
            at("warning", "torn_sets", 1),
            at("warning", "files_unknown", 4),
            at("warning", "files_unknown", 5),
            at("info", "left_over", 1),
            at("info", "left_over", 2),
            at("info", "left_over", 3),
            at("info", "strays", 1),
        ]
    );
}

#[test]
fn a_node_without_sudo_rights_keeps_its_verdict_and_its_files_are_unknown() {
    let lab = ODD.turn();
    let (audit, _) = lab.audit(&[]);
    for (node, verdict, on) in [(4, "disabled", false), (5, "enabled", true)] {
        let row = row(&audit, node);
        for (fact, value) in [
            ("verdict", json!(verdict)),
            ("live", json!(on)),
            ("configured", json!(on)),
            ("version", json!("5.0.5")),
            ("reason_kind", Value::Null),
            ("backups", Value::Null),
            ("snapshots", Value::Null),
        ] {
            assert_eq!(row[fact], value, "{fact} of {row:#}");
        }
        let why = row["unknown"]["backups"].as_str().unwrap_or_default();
        let word = if node == 4 { "sudo asks for a password" } else { "sudo" };
        assert!(why.contains(word), "why the backups of node {node} are unknown: '{why}'");
    }
}

#[test]
fn a_password_for_sudo_from_a_descriptor_shows_the_files_and_stands_nowhere() {
    let lab = ODD.turn();
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let inventory = std::fs::read_to_string(lab.path("inventory.yaml")).expect("an inventory");
    assert!(inventory.contains("\ndefaults:\n"), "{inventory}");
    let text = inventory.replace("\ndefaults:\n", "\ndefaults:\n  become: {password: ask}\n");
    std::fs::write(at("inventory.yaml"), text).expect("an inventory");
    let shown = |name: &str| at(name).display().to_string();
    let (file, transcript) = (shown("inventory.yaml"), shown("transcript"));
    let audit = [&["audit", "--json", "-i", &file, "--transcript", &transcript][..]].concat();
    for (secret, backups) in [("lab-secret", true), ("lab-wrong-one", false)] {
        std::fs::write(at("secret"), format!("{secret}\n")).expect("a secret");
        let arguments = [&audit[..], &QUICK, &["--become-password-fd", "3"]].concat();
        let ended = lab.ringhaul_reading(&at("secret"), &arguments);
        let found = lab::parsed(&ended);
        let node = row(&found, 4);
        assert_eq!(node["backups"].is_null(), !backups, "{node:#}");
        // The others want none, and are not bothered.
        assert_eq!(row(&found, 1)["verdict"], "enabled", "{found:#}");
        if !backups {
            let why = node.to_string();
            assert!(why.contains("sudo took the password for wrong"), "{node:#}");
        }
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains(secret), "{text}");
        }
        for entry in std::fs::read_dir(at("transcript")).expect("transcripts") {
            let text = std::fs::read(entry.expect("an entry").path()).expect("a transcript");
            assert!(!String::from_utf8_lossy(&text).contains(secret));
        }
    }
}

#[test]
fn without_an_inventory_the_audit_says_the_same() {
    let lab = ODD.turn();
    let (known, ended) = lab.audit(&[]);
    let config = lab.path("ssh_config");
    let found = lab.ringhaul(&["audit", "--json", "--via", "10.77.0.11", "-F", &config]);
    let via = lab::parsed(&found);
    for made in &MADE {
        let facts = ["verdict", "live", "configured", "version", "config_file", "host_id", "rack"];
        let of = |audit: &Value| facts.map(|fact| row(audit, made.node)[fact].clone());
        assert_eq!(of(&via), of(&known), "node {}", made.node);
    }
    assert_eq!(via["summary"], known["summary"]);
    let verdicts = [1, 2, 3, 4, 5].map(|node| row(&via, node)["verdict"].clone());
    let made = ["enabled", "lost_at_restart", "on_at_restart", "disabled", "enabled"];
    assert_eq!(verdicts, made, "{via:#}");
    assert_eq!(found.code, ended.code);
}
