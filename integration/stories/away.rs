//! Every byte away from nodes that are alike in nothing: layouts, formats, several data folders,
//! indexes, dropped tables, names that look like something else.

use serde_json::Value;

use super::audit::ODD;
use super::depot;
use super::lab;
use super::runs::{Runs, of};

#[test]
fn rings_of_every_kind_are_shipped_and_cleaned_and_what_is_alive_stays() {
    let lab = ODD.turn();
    let runs = Runs::of(&lab);
    let (folder, to) = (lab.file("store-odd"), lab.path("store-odd"));
    let seen: Vec<Value> = [1, 2, 3].map(|node| lab::row(&lab.audit(&[]).0, node).clone()).into();
    let rows = |table: &str| lab.ring("cql", &["1", &format!("SELECT count(*) FROM {table}")]);
    let tables = ["backups.snapshots", "shop.orders"];
    let before = tables.map(rows);
    let (run, ended) = runs.json(&["ship", "--to", &to, "--snapshot", "before-upgrade"]);
    // Of two nodes the files may not be seen: that is told, and the others are shipped.
    assert_eq!(ended.code, 2, "{run:#}");
    for (node, audit) in [1, 2, 3].into_iter().zip(&seen) {
        let row = of(&run, node);
        assert_eq!(row["outcome"], "done", "{row:#}");
        let haul = &row["haul"];
        let complete = audit["backups"]["sets"].as_u64().expect("a count");
        assert!(
            haul["shipped"]["sets"].as_u64().expect("a count") >= complete,
            "{row:#}\n{audit:#}"
        );
        assert_eq!(haul["failed"]["sets"], 0, "{row:#}");
    }
    for node in [4, 5] {
        assert!(["failed", "refused"].contains(&of(&run, node)["outcome"].as_str().unwrap_or("")));
    }
    let depot = depot::prove(&folder);
    let has = |test: &dyn Fn(&depot::Named) -> bool| depot.sets.keys().any(test);
    assert!(has(&|set| set.1 == "backups"), "a keyspace named backups");
    assert!(has(&|set| set.3 == ".orders_by_status"), "a secondary index");
    assert!(has(&|set| set.4.contains("-bti")), "BTI");
    assert!(has(&|set| set.4.matches('_').count() == 2), "uuid generations");
    assert!(has(&|set| set.4 == "snapshot"), "a snapshot's own papers");
    assert!(has(&|set| set.2.starts_with("old_orders-")), "a dropped table");

    let (run, _) = runs.json(&["clean", "--to", &to, "--read-back"]);
    for node in [1, 2, 3] {
        let row = of(&run, node);
        assert_eq!(row["outcome"], "done", "{row:#}");
    }
    assert_eq!(tables.map(rows), before, "what is alive");
    lab.nodetool(1, &["listsnapshots"]);
    depot::prove(&folder);
}
