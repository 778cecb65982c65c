//! Whole audits, replayed: what real rings answered, and what people and machines are told.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[path = "common/transcript.rs"]
mod transcript;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ringhaul::audit::{Audit, Severity, Verdict, judge};
use ringhaul::exit::Exit;
use ringhaul::inventory::Inventory;
use ringhaul::node::survey::Limits;
use ringhaul::report::table::{Fold, Look};
use ringhaul::report::{csv, json, junit, nagios, prometheus, table};
use ringhaul::run::audit::{Order, RingFrom, audit};
use tokio::sync::{mpsc, watch};
use transcript::Transcripts;

fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/audit");
    let mut folders: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(!folders.is_empty(), "no recordings");
    folders
}

async fn replay(folder: &Path) -> Audit {
    let file = folder.join("inventory.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let inventory = Inventory::parse(&text, &file, folder, None).unwrap();
    let order = Order {
        nodes: inventory.nodes.clone(),
        ring: RingFrom::Ask(inventory.nodes),
        in_flight: 32,
        per_jump: None,
        limits: Limits { nodetool: Duration::from_secs(20), files: Duration::from_secs(300) },
    };
    let (events, _) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(false);
    let door = Arc::new(Transcripts { folder: folder.to_owned() });
    let result = audit(door, order, events, stopped).await;
    judge(&inventory.cluster, result.nodes, &result.ring, &|_| true)
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

/// The newest time in the recording, so that ages do not move with the clock.
fn recorded_at(audit: &Audit) -> i64 {
    audit.rows.iter().filter_map(|row| row.facts.now.known()).max().copied().unwrap()
}

fn look(audit: &Audit, width: Option<u16>, fold: Fold) -> Look {
    Look { width, color: false, fold, now: recorded_at(audit) }
}

#[tokio::test]
async fn the_table_fits_a_terminal_of_80_and_uses_one_of_200() {
    for folder in recordings() {
        let audit = replay(&folder).await;
        for width in [80, 200] {
            let text = table::render(&audit, look(&audit, Some(width), Fold::Auto));
            for line in text.lines() {
                let columns = console::measure_text_width(line);
                assert!(columns <= usize::from(width), "{columns} columns: {line}");
            }
            insta::assert_snapshot!(format!("{}-table-{width}", name(&folder)), text);
        }
    }
}

#[tokio::test]
async fn every_machine_format_tells_the_same() {
    for folder in recordings() {
        let audit = replay(&folder).await;
        let exit = Exit::of(&audit);
        let name = name(&folder);
        insta::assert_snapshot!(format!("{name}-json"), json::render(&audit).unwrap());
        insta::assert_snapshot!(format!("{name}-csv"), csv::render(&audit).unwrap());
        insta::assert_snapshot!(format!("{name}-nagios"), nagios::render(&audit, exit));
        insta::assert_snapshot!(format!("{name}-junit"), junit::render(&audit));
        let metrics = prometheus::render(&audit, recorded_at(&audit));
        insta::assert_snapshot!(format!("{name}-prometheus"), metrics);
    }
}

#[tokio::test]
async fn verdicts_and_exit_follow_the_state_that_was_recorded() {
    for folder in recordings() {
        let audit = replay(&folder).await;
        let verdicts: Vec<Verdict> = audit.rows.iter().map(|row| row.verdict).collect();
        let modes: Vec<_> = audit
            .rows
            .iter()
            .map(|row| row.facts.mode.as_ref().and_then(|mode| Some(mode.known()?.name())))
            .collect();
        if name(&folder).ends_with("-drift") {
            use Verdict::{Disabled, Enabled, LostAtRestart};
            assert_eq!(verdicts, [Enabled, LostAtRestart, Disabled], "{folder:?}");
            assert_eq!(Exit::of(&audit), Exit::Findings);
        } else {
            use Verdict::{Enabled, LostAtRestart, Unknown};
            assert_eq!(verdicts, [Enabled, LostAtRestart, Unknown], "{folder:?}");
            assert_eq!(modes[1], Some("drained"));
            assert_eq!(Exit::of(&audit), Exit::Unknown);
            let row = &audit.rows[2];
            assert_eq!(row.reason.as_ref().unwrap().text, "Cassandra is not running");
            assert!(row.facts.config.known().is_some(), "the file is shown all the same");
            assert!(row.facts.backups.known().is_some(), "and so are the backups");
        }
    }
}

#[tokio::test]
async fn a_node_that_refuses_is_a_row_and_no_more() {
    let folder = recordings().into_iter().find(|folder| name(folder).ends_with("-drift")).unwrap();
    let copy = tempfile::tempdir().unwrap();
    for file in ["inventory.yaml", "10.77.0.11.txt", "10.77.0.13.txt"] {
        std::fs::copy(folder.join(file), copy.path().join(file)).unwrap();
    }
    let audit = replay(copy.path()).await;
    let verdicts: Vec<Verdict> = audit.rows.iter().map(|row| row.verdict).collect();
    assert_eq!(verdicts, [Verdict::Enabled, Verdict::Unknown, Verdict::Disabled]);
    let row = &audit.rows[1];
    assert_eq!(row.reason.as_ref().unwrap().text, "10.77.0.12 refused the connection");
    assert_eq!(row.member.as_ref().map(|member| member.state()), Some("UN".to_owned()));
}

#[tokio::test]
async fn equal_nodes_share_a_row_when_folded() {
    let folder = recordings().remove(0);
    let mut audit = replay(&folder).await;
    let row = audit.rows[0].clone();
    audit.rows = (1..=1000)
        .map(|number| {
            let mut row = row.clone();
            row.name = format!("cass-{number:04}.dc1");
            row
        })
        .collect();
    audit.rows[500].verdict = Verdict::Disabled;
    audit.findings.retain(|finding| finding.severity == Severity::Critical);
    let text = table::render(&audit, look(&audit, Some(80), Fold::Auto));
    let rows: Vec<&str> = text.lines().filter(|line| line.contains("ABLED")).collect();
    assert_eq!(rows.len(), 2, "{text}");
    assert!(text.contains("cass-[0001-0500,"), "{text}");
}
