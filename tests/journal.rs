//! Journals on a real disk: torn, shared, written by others; and what a run is by its records.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::fs;
use std::io::Write as _;
use std::path::Path;

use jiff::Timestamp;
use ringhaul::exit::Exit;
use ringhaul::fleet::Fleet;
use ringhaul::inventory::NodeSpec;
use ringhaul::node::Endpoint;
use ringhaul::record::{
    Begun, Ended, Entry, Halves, Job, Outcome, Place, Record, Resumed, SCHEMA, Step, What,
};
use ringhaul::report::{run_json, run_table};
use ringhaul::run::journal::{self, Journal, JournalError};

const RUN: &str = "20261121-131500-00af";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_266_900 + second).unwrap()
}

fn record(second: i64, what: What) -> Record {
    Record { at: at(second), what }
}

fn entry(name: &str, down: bool) -> Entry {
    let endpoint = Endpoint { host: name.to_owned(), ..Endpoint::default() };
    let place = Place {
        address: format!("10.0.0.{}", &name[1..]),
        dc: Some("dc1".to_owned()),
        rack: Some(format!("r{}", &name[1..])),
        host_id: None,
        state: Some(if down { "DN" } else { "UN" }.to_owned()),
    };
    Entry { spec: NodeSpec::at(endpoint), place, down }
}

fn begun() -> What {
    What::Begun(Box::new(Begun {
        schema: SCHEMA,
        run: RUN.to_owned(),
        version: "0.1.0".to_owned(),
        cluster: "prod".to_owned(),
        who: "ops@desk".to_owned(),
        job: Job::Enable(Halves { live: true, config: true }),
        options: serde_json::json!({"anything": 1}),
        seed: 7,
        canary: Vec::new(),
        nodes: ["n1", "n2", "n3", "n4"].map(|name| entry(name, name == "n4")).into(),
        unlisted: Vec::new(),
        witnesses: Vec::new(),
        up: vec!["10.0.0.1".to_owned()],
    }))
}

fn turn_begun(node: &str) -> What {
    What::TurnBegun { node: node.to_owned() }
}

fn step_begun(node: &str, step: Step) -> What {
    What::StepBegun { node: node.to_owned(), step }
}

fn ended(node: &str, outcome: Outcome, changed: &[Step]) -> What {
    let mut ended = Ended::new(node, outcome);
    ended.changed = changed.to_vec();
    if !outcome.is_fine() {
        ended = ended.because("cassandra.yaml is on, live is off: JMX refused");
    }
    What::Ended(Box::new(ended))
}

/// A run that was killed while n2 was being switched on.
fn killed() -> Vec<Record> {
    [
        begun(),
        turn_begun("n1"),
        step_begun("n1", Step::EditConfig),
        ended("n1", Outcome::Done, &[Step::EditConfig, Step::EnableBackup]),
        turn_begun("n2"),
        step_begun("n2", Step::EnableBackup),
    ]
    .into_iter()
    .zip(0..)
    .map(|(what, second)| record(second, what))
    .collect()
}

fn written(folder: &Path, records: &[Record]) -> Journal {
    let mut journal = Journal::create(folder, RUN).unwrap();
    for record in records {
        journal.add(record).unwrap();
    }
    journal
}

fn append(folder: &Path, bytes: &[u8]) {
    let path = folder.join(format!("{RUN}.jsonl"));
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn what_was_written_is_read_again_whole() {
    let folder = tempfile::tempdir().unwrap();
    drop(written(folder.path(), &killed()));
    let held = journal::read(folder.path(), RUN).unwrap();
    assert_eq!(held.records, killed());
    assert!(!held.is_torn);
}

#[test]
fn a_torn_last_line_is_left_out_and_taken_away_when_the_run_goes_on() {
    for torn in [&b"{"[..], b"{\"at\":\"2026-11-21T13:1", b"\xff\xfe\0"] {
        let folder = tempfile::tempdir().unwrap();
        drop(written(folder.path(), &killed()));
        append(folder.path(), torn);
        let held = journal::read(folder.path(), RUN).unwrap();
        assert_eq!((held.records, held.is_torn), (killed(), true));

        let (mut journal, held) = Journal::open(folder.path(), RUN).unwrap();
        assert_eq!(held.records, killed());
        journal.add(&record(9, What::Finished)).unwrap();
        drop(journal);
        let held = journal::read(folder.path(), RUN).unwrap();
        assert_eq!((held.records.len(), held.is_torn), (killed().len() + 1, false));
    }
}

#[test]
fn a_line_in_the_middle_that_is_no_record_is_an_error_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    drop(written(folder.path(), &killed()));
    append(folder.path(), b"{\"at\":1}\n");
    let error = journal::read(folder.path(), RUN).unwrap_err();
    assert!(matches!(error, JournalError::Line { line: 7, .. }), "{error}");
}

#[test]
fn a_journal_of_a_later_ringhaul_says_so() {
    let folder = tempfile::tempdir().unwrap();
    drop(Journal::create(folder.path(), RUN).unwrap());
    append(folder.path(), b"{\"at\":\"x\",\"event\":\"begun\",\"schema\":9,\"new\":true}\n");
    let error = journal::read(folder.path(), RUN).unwrap_err();
    assert!(matches!(error, JournalError::Later { schema: 9, .. }), "{error}");
}

#[test]
fn one_process_at_a_time_writes_and_others_see_that_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let journal = written(folder.path(), &killed());
    assert!(journal::is_under_way(folder.path(), RUN));
    assert!(matches!(Journal::open(folder.path(), RUN), Err(JournalError::Busy { .. })));
    drop(journal);
    assert!(!journal::is_under_way(folder.path(), RUN));
    assert!(Journal::open(folder.path(), RUN).is_ok());
}

#[test]
fn an_id_may_be_shortened_as_long_as_it_means_one_run() {
    let folder = tempfile::tempdir().unwrap();
    for run in ["20261120-1", "20261121-1", "20261121-12"] {
        drop(Journal::create(folder.path(), run).unwrap());
    }
    let find = |wanted| journal::find(folder.path(), wanted);
    assert_eq!(find("last").unwrap(), "20261121-12");
    assert_eq!(find("20261120").unwrap(), "20261120-1");
    assert_eq!(find("20261121-1").unwrap(), "20261121-1");
    assert!(matches!(find("202611"), Err(JournalError::Several { .. })));
    assert!(matches!(find("2025"), Err(JournalError::None { .. })));
}

#[test]
fn a_run_that_was_killed_shows_what_it_was_at() {
    let fleet = Fleet::of(&killed()).unwrap();
    let outcomes: Vec<Outcome> = fleet.rows.iter().map(|row| row.outcome()).collect();
    use Outcome::{Done, NotStarted, Unsure};
    assert_eq!(outcomes, [Done, Unsure, NotStarted, NotStarted]);
    let reasons: Vec<Option<String>> = fleet.rows.iter().map(|row| row.reason(&fleet)).collect();
    assert_eq!(
        reasons.iter().map(Option::as_deref).collect::<Vec<_>>(),
        [
            None,
            Some("the run was cut off in nodetool enablebackup"),
            Some("its turn has not come"),
            Some("the ring showed it down at the start; --retry-down takes it at the end"),
        ]
    );
    assert_eq!(fleet.left(false), ["n2", "n3", "n4"]);
    assert_eq!(Exit::of_run(&fleet), Exit::Failed);
}

#[test]
fn a_node_that_failed_half_way_is_resumed_and_one_that_failed_untouched_is_not() {
    let mut records = killed();
    records.push(record(7, ended("n2", Outcome::Failed, &[Step::EditConfig])));
    records.push(record(8, turn_begun("n3")));
    records.push(record(9, ended("n3", Outcome::Failed, &[])));
    let fleet = Fleet::of(&records).unwrap();
    assert_eq!(fleet.left(false), ["n2", "n4"]);
    assert_eq!(fleet.left(true), ["n2", "n3", "n4"]);
}

#[test]
fn what_an_earlier_session_changed_is_told_of_the_run() {
    let mut records = killed();
    records.push(record(7, ended("n2", Outcome::Failed, &[Step::EditConfig])));
    records.push(record(8, What::Finished));
    records.push(record(
        20,
        What::Resumed(Resumed {
            who: "ops@desk".to_owned(),
            version: "0.1.0".to_owned(),
            nodes: vec!["n2".to_owned()],
            up: Vec::new(),
            down: Vec::new(),
        }),
    ));
    let before = Fleet::of(&records).unwrap();
    assert_eq!(before.rows[1].outcome(), Outcome::NotStarted);
    assert!(!before.finished);
    records.push(record(21, turn_begun("n2")));
    records.push(record(22, ended("n2", Outcome::Done, &[Step::EnableBackup])));
    let fleet = Fleet::of(&records).unwrap();
    let end = fleet.rows[1].end.as_ref().unwrap();
    assert_eq!(end.changed, [Step::EditConfig, Step::EnableBackup]);
}

#[test]
fn table_and_json_of_a_run_come_from_its_journal_alone() {
    let mut records = killed();
    records.push(record(7, ended("n2", Outcome::Failed, &[Step::EditConfig])));
    records.push(record(8, What::Stopped { why: "1 node failed, 0 may".to_owned() }));
    records.push(record(9, What::Finished));
    let fleet = Fleet::of(&records).unwrap();
    for width in [80, 200] {
        let text = run_table::render(&fleet, Some(width), false, false);
        for line in text.lines() {
            assert!(console::measure_text_width(line) <= usize::from(width), "{line}");
        }
        insta::assert_snapshot!(format!("run-table-{width}"), text);
    }
    insta::assert_snapshot!("run-json", run_json::render(&fleet).unwrap());
}

#[test]
fn a_node_in_its_turn_is_cut_off_only_when_nobody_is_at_work_on_the_run() {
    let fleet = Fleet::of(&[record(0, begun()), record(1, turn_begun("n1"))]).unwrap();
    let cut_off = run_table::render(&fleet, None, false, false);
    assert!(cut_off.contains("cut off") && cut_off.contains("1 unsure"), "{cut_off}");
    let running = run_table::render(&fleet, None, false, true);
    assert!(running.contains("1 under way"), "{running}");
    assert!(!running.contains("cut off") && !running.contains("unsure"), "{running}");
}

#[test]
fn records_that_begin_in_the_middle_are_no_run() {
    assert!(Fleet::of(&killed()[1..]).is_err());
    assert!(Fleet::of(&[]).is_err());
}

#[test]
fn what_was_changed_before_the_run_was_cut_off_is_told_when_it_is_done() {
    let step = Step::EditConfig;
    let done = What::StepEnded { node: "n2".to_owned(), step, error: None };
    let failed = What::StepEnded {
        node: "n2".to_owned(),
        step: Step::EnableBackup,
        error: Some("the line was lost".to_owned()),
    };
    let whats = [begun(), turn_begun("n2"), done, failed, ended("n2", Outcome::NothingToDo, &[])];
    let records: Vec<Record> =
        whats.into_iter().zip(0..).map(|(what, second)| record(second, what)).collect();
    let fleet = Fleet::of(&records).unwrap();
    assert_eq!(fleet.rows[1].end.as_ref().unwrap().changed, [Step::EditConfig]);
}

#[test]
fn a_run_that_goes_on_waits_for_what_is_left_of_its_pauses() {
    use ringhaul::plan::resume::{rest_of_pauses, rest_of_stagger};
    use std::time::Duration;

    let seconds = Duration::from_secs;
    let mut records = killed();
    records.truncate(4);
    if let What::Begun(begun) = &mut records[0].what {
        begun.canary = vec!["n1".to_owned()];
    }
    let fleet = Fleet::of(&records).unwrap();
    // n1 started at 1 and ended at 3.
    assert_eq!(rest_of_stagger(&fleet, seconds(10), at(4)), seconds(7));
    assert_eq!(rest_of_pauses(&fleet, seconds(5), None, at(4)), seconds(4));
    assert_eq!(rest_of_pauses(&fleet, seconds(5), Some(seconds(3600)), at(4)), seconds(3599));
    assert_eq!(rest_of_pauses(&fleet, seconds(5), None, at(400)), Duration::ZERO);
    // Once others have begun, the pause after the canary is over.
    records.push(record(5, turn_begun("n2")));
    let fleet = Fleet::of(&records).unwrap();
    assert_eq!(rest_of_pauses(&fleet, seconds(0), Some(seconds(3600)), at(6)), Duration::ZERO);
}
