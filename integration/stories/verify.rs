//! The proof by a flush: what is proven, what is not, and what nobody can tell. In the lab of six,
//! whose tables are nobody else's.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::lab::{self, Lab};
use super::runs::{Runs, assert_nothing_is_left, of, reason};
use super::topology::{ALL, SIX};

/// A proof changes no setting, so neighbours may be at it; six at once are too many for two cores.
const VERIFY: [&str; 5] = ["verify", "--strategy", "all", "--max-in-flight", "3"];

fn verify(more: &[&'static str]) -> Vec<&'static str> {
    [&VERIFY[..], more].concat()
}

#[track_caller]
fn assert_all_proven(run: &Value) {
    assert_eq!(run["verdicts"], json!({"proven": 6, "not_proven": 0, "unknown": 0}), "{run:#}");
    for node in ALL {
        let row = of(run, node);
        assert_eq!(row["verdict"], "proven", "{row:#}");
        assert_eq!(row["outcome"], "done", "{row:#}");
        assert_eq!(reason(row), "", "{row:#}");
    }
}

fn notes(row: &Value) -> String {
    row["notes"].as_array().into_iter().flatten().map(|note| format!("{note}\n")).collect()
}

#[test]
fn what_is_linked_is_proven_and_what_keeps_out_is_told() {
    let lab = SIX.turn();
    let runs = Runs::of(&lab);
    lab.ring(
        "cql",
        &[
            "1",
            "CREATE TABLE IF NOT EXISTS pairs.quiet (id int PRIMARY KEY, what text)
                WITH incremental_backups = false;",
        ],
    );
    lab.nodetool(1, &["snapshot", "-t", "holds-the-schema", "pairs"]);

    let (run, ended) = runs.json(&verify(&[]));
    assert_all_proven(&run);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(notes(of(&run, 1)).contains("pairs.quiet"), "{run:#}");
    assert_eq!(runs.show(&["--json"]).stdout, ended.stdout);

    // A table of one's own: with rows in memory, and right after, when there are none.
    let rows: String = (0..300)
        .map(|id| format!("INSERT INTO pairs.rows (id, what) VALUES ({id}, 'x');"))
        .collect();
    lab.ring("cql", &["1", &rows]);
    let table = verify(&["--table", "pairs.rows"]);
    let (run, ended) = runs.json(&table);
    assert_all_proven(&run);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for node in ALL {
        assert!(!notes(of(&run, node)).contains("nothing to flush"), "{run:#}");
        let sets =
            lab.on(node, "find /var/lib/cassandra/data/pairs/rows-*/backups -name '*-Data.db'");
        assert_eq!(sets.lines().count(), 1, "{sets}");
    }
    let (run, ended) = runs.json(&table);
    assert_all_proven(&run);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for node in ALL {
        assert!(notes(of(&run, node)).contains("pairs.rows had nothing to flush"), "{run:#}");
    }

    let quiet = ["verify", "--table", "pairs.quiet", "--node", "10.77.0.11"];
    let (run, ended) = runs.json(&quiet);
    let row = of(&run, 1);
    assert_eq!((&row["verdict"], ended.code), (&json!("not_proven"), 1), "{row:#}");
    assert!(reason(row).contains("pairs.quiet keeps out"), "{row:#}");
}

#[test]
fn what_the_proof_made_is_cleaned_up_and_nothing_else() {
    let lab = SIX.turn();
    let runs = Runs::of(&lab);
    let only = ["verify", "--node", "10.77.0.12"];
    let mut clean = vec!["--clean-up"];
    clean.splice(0..0, only);
    // Cassandra refreshes its estimates by itself every five minutes; then once more.
    for _ in 0..3 {
        let first = estimates(&lab);
        let (run, _) = runs.json(&only);
        assert_eq!(of(&run, 2)["verdict"], "proven", "{run:#}");
        let before = estimates(&lab);
        assert!(first.is_subset(&before) && first.len() < before.len(), "{first:#?}\n{before:#?}");
        let (run, ended) = runs.json(&clean);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(notes(of(&run, 2)).contains("files that the proof made"), "{run:#}");
        let after = estimates(&lab);
        assert!(before.is_subset(&after), "{before:#?}\n{after:#?}");
        if before == after {
            return;
        }
        lab::tell(&format!("something else flushed: {after:#?}"));
    }
    panic!("what the proof made was left three times");
}

fn estimates(lab: &Lab) -> BTreeSet<String> {
    let list =
        "find /var/lib/cassandra/data/system/size_estimates-*/backups -type f -printf '%f %i\\n'";
    lab.on(2, list).lines().map(str::to_owned).collect()
}

/// The first `Data.db` in backups of node 3 is damaged in the middle, as a copy of its own: the
/// live file stays whole.
const DAMAGE: &str = "file=$(find /var/lib/cassandra/data -path '*/backups/*-Data.db' | sort | head -1)
    cp -p \"$file\" /root/whole; cp -p \"$file\" \"$file.new\"
    size=$(stat -c %s \"$file\"); at=$((size / 2))
    byte=$(dd if=\"$file\" bs=1 skip=$at count=1 status=none | od -An -tu1)
    printf \"\\\\$(printf %o $((byte ^ 1)))\" | dd of=\"$file.new\" bs=1 seek=$at conv=notrunc status=none
    mv \"$file.new\" \"$file\"; printf %s \"$file\"";

#[test]
fn what_is_off_damaged_or_stopped_is_not_proven_or_unknown() {
    let lab = SIX.turn();
    let runs = Runs::of(&lab);
    lab.nodetool(2, &["disablebackup"]);
    let damaged = lab.on(3, DAMAGE);
    {
        let _broken = lab.broken(4, "kill", &["start"]);
        // Should gossip see it fall between two starts, that holds nobody back.
        let (run, ended) = runs.json(&verify(&["--deep", "--allow-down", "10.77.0.14"]));
        assert_eq!(run["verdicts"], json!({"proven": 3, "not_proven": 2, "unknown": 1}), "{run:#}");
        let off = of(&run, 2);
        assert_eq!(off["verdict"], "not_proven", "{off:#}");
        assert!(reason(off).contains("off now, although cassandra.yaml says on"), "{off:#}");
        let wrong = of(&run, 3);
        assert_eq!(wrong["verdict"], "not_proven", "{wrong:#}");
        assert!(reason(wrong).contains(&damaged), "{damaged}: {wrong:#}");
        assert!(reason(wrong).contains("differ"), "{wrong:#}");
        let stopped = of(&run, 4);
        assert_eq!(stopped["verdict"], "unknown", "{stopped:#}");
        assert!(!reason(stopped).is_empty(), "{stopped:#}");
        assert_eq!(ended.code, 3, "{}", ended.stderr);
        lab.on(3, &format!("mv /root/whole '{damaged}'"));
    }
    let (run, ended) = runs.json(&verify(&["--deep"]));
    assert_eq!(run["verdicts"], json!({"proven": 5, "not_proven": 1, "unknown": 0}), "{run:#}");
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    runs.run(&["enable", "--node", "10.77.0.12"]).fine("enable");
    assert_nothing_is_left(&lab, &ALL);
}
