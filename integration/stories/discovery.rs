//! From one node's name to an inventory, and what inventory and ring do not agree on.

use std::fs;

use serde_json::{Value, json};

use super::lab::{self, Lab, row};
use super::three_nodes::{THREE, assert_all_is_well, assert_healthy, grave_checks};

/// Asks node 1 for the ring and returns the inventory it wrote.
fn discover(lab: &Lab, name: &str) -> String {
    let (file, key, known) = (lab.path(name), lab.path("id_ed25519"), lab.path("known_hosts"));
    let how = ["-I", key.as_str(), "--known-hosts", &known, "-F", "none"];
    let nodes = ["nodes", "--via", "ops@10.77.0.11", "--write", &file, "--force"];
    let shown = lab.ringhaul(&[&nodes[..], &how].concat()).fine("ringhaul nodes --write");
    for node in 1..=3 {
        assert!(shown.stdout.contains(&lab::address(node)), "{}", shown.stdout);
    }
    file
}

#[test]
fn an_inventory_written_from_the_ring_is_audited_as_it_is() {
    let lab = THREE.turn();
    let written = discover(&lab, "written.yaml");
    let mine = fs::read_to_string(&written).expect("it was written");
    let ended = lab.ringhaul(&["audit", "--json", "-i", &written, "-F", "none"]);
    let audit = lab::parsed(&ended);
    assert_all_is_well(&audit, &ended);
    let (known, known_ended) = lab.audit(&[]);
    assert_eq!(ended.code, known_ended.code);
    for node in 1..=3 {
        assert_healthy(row(&audit, node));
        for fact in ["name", "host_id", "dc", "rack"] {
            assert_eq!(row(&audit, node)[fact], row(&known, node)[fact], "{fact}\n{mine}");
        }
    }
    // A second time it is not overwritten, and stays as it was.
    let key = lab.path("id_ed25519");
    let known = lab.path("known_hosts");
    let again = lab.ringhaul(&[
        "nodes",
        "--via",
        "ops@10.77.0.11",
        "-I",
        &key,
        "--known-hosts",
        &known,
        "-F",
        "none",
        "--write",
        &written,
    ]);
    assert_eq!(again.code, 64, "{}", again.stderr);
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(&written).expect("it is there"), mine);
}

#[test]
fn a_node_missing_from_the_inventory_and_one_missing_from_the_ring_are_findings() {
    let lab = THREE.turn();
    let written = discover(&lab, "edited.yaml");
    let text = fs::read_to_string(&written).expect("it was written");
    assert_eq!(text.matches("10.77.0.13").count(), 1, "{text}");
    // Its host id goes with the node it belongs to.
    let host_id = host_id(&lab, 3);
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains(&host_id)).collect();
    let edited = kept.join("\n").replace("10.77.0.13", "10.77.0.1") + "\n";
    fs::write(&written, &edited).expect("the lab's folder can be written");
    let ended = lab.ringhaul(&["audit", "--json", "-i", &written, "-F", "none"]);
    let audit = lab::parsed(&ended);
    let missing = row(&audit, 3);
    for (fact, value) in [
        ("verdict", json!("unknown")),
        ("reason_kind", json!("not_asked")),
        ("ring_state", json!("UN")),
        ("dc", json!("dc1")),
        ("rack", json!("r3")),
        ("host_id", json!(host_id)),
        ("live", Value::Null),
    ] {
        assert_eq!(missing[fact], value, "{fact} of {missing:#}");
    }
    assert_eq!(
        grave_checks(&audit),
        ["unknown 10.77.0.1", "not_in_inventory 10.77.0.13", "not_in_ring 10.77.0.1"],
        "{edited}"
    );
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    let nodes = lab.ringhaul(&["nodes", "--json", "-i", &written, "-F", "none"]);
    assert_eq!(nodes.code, 1, "{}\n{}", nodes.stdout, nodes.stderr);
}

fn host_id(lab: &Lab, node: u8) -> String {
    let info = lab.nodetool(node, &["info"]);
    let line = info.lines().find(|line| line.starts_with("ID ")).expect("nodetool info has an ID");
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}
