//! A journal that cannot be written any more.

use std::process::Command;
use std::sync::Arc;

use ringhaul::fleet::Fleet;
use ringhaul::record::{Outcome, Record, Step, What};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::fleet::{ENABLE, Nodes, Wish, again, begin, records, run};
use super::outcomes;

/// In the process that has it, files can be as long as the test says.
const INSIDE: &str = "RINGHAUL_TEST_FULL";

/// No file of this process grows beyond this from now on.
fn limit_files(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum }).unwrap();
}

fn begins(records: &[Record], number: usize, wanted: Step) -> bool {
    let name = format!("n{number}");
    let is_it = |record: &Record| matches!(&record.what, What::StepBegun { node, step } if *node == name && *step == wanted);
    records.iter().any(is_it)
}

#[tokio::test]
async fn a_full_journal_stops_the_run_and_nothing_is_changed_without_a_record() {
    if std::env::var_os(INSIDE).is_none() {
        // A limit holds for a whole process, and its signal would end it.
        let name = "full::a_full_journal_stops_the_run_and_nothing_is_changed_without_a_record";
        let inside = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(INSIDE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&inside.stdout);
        let errors = String::from_utf8_lossy(&inside.stderr);
        assert!(inside.status.success() && said.contains("1 passed"), "{said}\n{errors}");
        return;
    }
    let nodes = Nodes::new(2);
    run(&nodes, &Wish::new(ENABLE), "run-1").await.result.unwrap();
    let journal = std::fs::read_to_string(nodes.runs().join("run-1.jsonl")).unwrap();
    let lines: Vec<usize> = journal.lines().map(|line| line.len() + 1).collect();
    // The second node's turn is as the first one's.
    for whole in 1..=lines.len() / 2 + 1 {
        let length: usize = lines[..whole].iter().sum();
        stopped_at(length as u64 + 36).await;
    }
}

async fn stopped_at(bytes: u64) {
    let (nodes, wish) = (Nodes::new(2), Wish::new(ENABLE));
    let ready = begin(&nodes, &wish, "run-1").await;
    limit_files(Some(bytes));
    let ran = ready.work_alone(Arc::new(nodes.door())).await;
    limit_files(None);
    let error = ran.result.unwrap_err().to_string();
    assert!(error.contains("run-1.jsonl: File too large"), "{error}");

    let written = records(&nodes, "run-1");
    for number in 1..=2 {
        let tree = nodes.tree(number);
        let is_known = |step| begins(&written, number, step);
        assert!(!tree.is_configured() || is_known(Step::EditConfig), "n{number}: {written:?}");
        assert!(!tree.is_live() || is_known(Step::EnableBackup), "n{number}: {written:?}");
    }
    let told = Fleet::of(&written).unwrap();
    let is_begun = told.rows[1].started.is_some();
    assert!(is_begun || nodes.tree(2).tickets().is_empty());
    if let Some(ready) = again(&nodes, &wish, "run-1", true).await {
        let ran = ready.work_alone(Arc::new(nodes.door())).await;
        ran.result.unwrap();
        let is_fine = outcomes(&ran.fleet).into_iter().all(Outcome::is_fine);
        assert!(is_fine, "{:?}", ran.fleet);
    }
    for number in 1..=2 {
        assert!(nodes.tree(number).is_configured() && nodes.tree(number).is_live());
    }
}
