//! Lines that break and controllers that die at every moment of a run, which then goes on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[allow(dead_code, reason = "the tests of hauls use all of it")]
#[path = "cut/door.rs"]
mod door;
#[allow(dead_code, reason = "the tests of the loop use all of it")]
#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/local.rs"]
mod local;

use std::fs;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use door::{Cut, How, Moment, When};
use fleet::{BOTH, DISABLE, ENABLE, LONG, Nodes, Wish, again, begin, records, row, run, verify};
use futures::stream::{self, StreamExt as _};
use ringhaul::fleet::{Fleet, Row};
use ringhaul::plan::verify::ProofVerdict;
use ringhaul::record::{Job, Outcome, Step};
use ringhaul::run::journal;
use tokio::sync::watch;

/// How many cases run at once: many of them wait for a lock or a line.
const AT_ONCE: usize = 24;

/// What is done after the cut.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    /// `resume`.
    Resume,
    /// The same verb again, as a run of its own.
    Anew,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    moment: Moment,
    how: How,
    then: Then,
}

/// A node before the verb, and after it.
fn prepared(job: &Job) -> Nodes {
    let nodes = Nodes::new(1);
    match job {
        Job::Enable(_) => {}
        Job::Disable(_) | Job::Verify(_) | Job::Ship(_) | Job::Clean(_) => {
            nodes.tree(1).set(true, true);
        }
    }
    nodes
}

fn wanted(job: &Job) -> bool {
    match job {
        Job::Enable(_) | Job::Verify(_) | Job::Ship(_) | Job::Clean(_) => true,
        Job::Disable(_) => false,
    }
}

/// The commands of a run that nobody disturbs, in order; connections and locks are among them.
async fn commands(job: &Job) -> Vec<String> {
    let nodes = prepared(job);
    let cut = Cut::new(nodes.door(), Moment::Never, How::Dies, None);
    let ran = begin(&nodes, &Wish::new(job.clone()), "run-1").await.work_alone(cut.door()).await;
    ran.result.unwrap();
    assert_eq!(row(&ran.fleet, 1).outcome(), Outcome::Done, "{:?}", row(&ran.fleet, 1));
    cut.commands()
}

/// What is wrong in this case; nothing when all is well.
async fn faults(job: &Job, case: Case) -> Vec<String> {
    let mut faults = Faults { case, found: Vec::new() };
    let (nodes, wish) = (prepared(job), Wish::new(job.clone()));
    let record = match case.moment {
        Moment::Record(number) => Some((nodes.runs().join("run-1.jsonl"), number)),
        Moment::Never | Moment::Command(..) => None,
    };
    let cut = Cut::new(nodes.door(), case.moment, case.how, record);
    let ready = begin(&nodes, &wish, "run-1").await;
    let log = Arc::downgrade(&ready.log);
    let (_stop, stopped) = watch::channel(false);
    tokio::select! {
        ran = ready.work(cut.door(), stopped) => {
            faults.unless("the loop ends well", ran.result.is_ok());
        }
        () = cut.died() => {}
    }
    // Turns that are broken off let go of the journal a moment later.
    let begun = Instant::now();
    while log.strong_count() > 0 && begun.elapsed() < LONG {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    if let Moment::Record(number) = case.moment {
        cut_off(&nodes, number);
    }
    let held = journal::read(&nodes.runs(), "run-1").unwrap();
    let fleet = Fleet::of(&held.records).unwrap();
    if !matches!(case.moment, Moment::Command(_, When::Amid) | Moment::Record(_)) {
        faults.honest(&nodes, job, row(&fleet, 1));
    }
    let broken = format!("{:?}", row(&fleet, 1));
    let ran = match case.then {
        Then::Anew => Some(run(&nodes, &Wish { patience: LONG, ..wish }, "run-2").await),
        Then::Resume => match again(&nodes, &wish, "run-1", case.how != How::Dies).await {
            Some(ready) => Some(ready.work_alone(Arc::new(nodes.door())).await),
            None => None,
        },
    };
    let fleet = match ran {
        Some(ran) => {
            faults.unless("the second run ends well", ran.result.is_ok());
            ran.fleet
        }
        None => fleet,
    };
    faults.complete(&nodes, job, row(&fleet, 1));
    faults.tidy(&nodes).await;
    if !faults.found.is_empty() {
        faults.found.push(format!("{:?}: broken: {broken}; then: {:?}", case, row(&fleet, 1)));
    }
    faults.found
}

/// Leaves so many records in the journal, and a piece of the next.
fn cut_off(nodes: &Nodes, number: usize) {
    let path = nodes.runs().join("run-1.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let whole: String = text.split_inclusive('\n').take(number).collect();
    fs::write(&path, whole).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"at\":\"2026-11-21T1").unwrap();
}

struct Faults {
    case: Case,
    found: Vec<String>,
}

impl Faults {
    fn unless(&mut self, claim: &str, holds: bool) {
        if !holds {
            self.found.push(format!("{:?}: not so: {claim}", self.case));
        }
    }

    /// What the row says of the node is so.
    fn honest(&mut self, nodes: &Nodes, job: &Job, row: &Row) {
        let (tree, want) = (nodes.tree(1), wanted(job));
        let (live, configured) = (tree.is_live(), tree.is_configured());
        let state = row.state();
        self.unless("live is as told", state.live.is_none_or(|told| told == live));
        self.unless("yaml is as told", state.configured.is_none_or(|told| told == configured));
        let is_complete = live == want && configured == want;
        match (job, row.outcome()) {
            (_, Outcome::Unsure) => {}
            (Job::Verify(_), Outcome::Done) => {
                let is_known = row.verdict().is_some_and(|told| told != ProofVerdict::Unknown);
                self.unless("done has a verdict", is_known);
            }
            (Job::Verify(_), _) => {}
            (_, Outcome::Done | Outcome::NothingToDo) => self.unless("done is done", is_complete),
            (_, Outcome::Refused | Outcome::Failed | Outcome::Partly | Outcome::NotStarted) => {
                self.unless("failed is not done", !is_complete);
            }
        }
        let Some(end) = row.end.as_ref().filter(|end| end.outcome != Outcome::Unsure) else {
            return;
        };
        if job.changes_settings() {
            let has = |step| end.changed.contains(&step);
            self.unless("the edit is told", has(Step::EditConfig) == (configured == want));
            let switch = if want { Step::EnableBackup } else { Step::DisableBackup };
            self.unless("the switch is told", has(switch) == (live == want));
        }
    }

    /// The node is as a run leaves it that nobody disturbed.
    fn complete(&mut self, nodes: &Nodes, job: &Job, row: &Row) {
        let (tree, want) = (nodes.tree(1), wanted(job));
        self.unless("it is fine in the end", row.outcome().is_fine());
        self.unless("live is as wanted", tree.is_live() == want);
        self.unless("yaml is as wanted, to the byte", tree.is_configured() == want);
        if let Job::Verify(_) = job {
            self.unless("it is proven", row.verdict() == Some(ProofVerdict::Proven));
            let files = tree.backups().len();
            self.unless("sets in backups are whole", files > 0 && files % 3 == 0);
        }
    }

    /// Nothing of ours is left on the node, but the copies of cassandra.yaml.
    async fn tidy(&mut self, nodes: &Nodes) {
        let (tree, begun) = (nodes.tree(1), Instant::now());
        let is_left = || !tree.left_overs().is_empty() || !tree.tickets().is_empty();
        while is_left() && begun.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let left = format!("nothing is left: {:?} {:?}", tree.left_overs(), tree.tickets());
        self.unless(&left, !is_left());
        for run in journal::runs(&nodes.runs()).unwrap() {
            self.unless("the journal is readable", !records(nodes, &run).is_empty());
        }
    }
}

async fn sweep(job: &Job, cases: Vec<Case>) {
    let found: Vec<String> =
        stream::iter(cases).map(|case| faults(job, case)).buffer_unordered(AT_ONCE).concat().await;
    assert!(found.is_empty(), "{} faults:\n{}", found.len(), found.join("\n"));
}

/// Before every command; amid and after those that change something. After one that only asks,
/// nothing is another than before it.
fn moments(commands: &[String]) -> Vec<Moment> {
    let mut moments = Vec::new();
    for (at, command) in (1..).zip(commands) {
        moments.push(Moment::Command(at, When::Before));
        if [" edit ", "enablebackup", "disablebackup", "flush", "hold"]
            .iter()
            .any(|word| command.contains(word))
        {
            moments.push(Moment::Command(at, When::Amid));
            moments.push(Moment::Command(at, When::After));
        }
    }
    moments
}

const HOWS: [How; 3] = [How::Breaks, How::StaysBroken, How::Dies];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enable_cut_at_any_command_is_completed_by_resume_or_by_a_second_enable() {
    let moments = moments(&commands(&ENABLE).await);
    assert!(moments.len() > 20, "{moments:?}");
    let mut cases = Vec::new();
    for (at, moment) in moments.into_iter().enumerate() {
        for (number, how) in HOWS.into_iter().enumerate() {
            // Each moment is followed by either way of going on.
            let then = if (at + number) % 2 == 0 { Then::Resume } else { Then::Anew };
            cases.push(Case { moment, how, then });
        }
    }
    sweep(&ENABLE, cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disable_cut_at_any_command_is_completed_by_resume_or_by_a_second_disable() {
    let moments = moments(&commands(&DISABLE).await);
    let cases = moments.into_iter().enumerate().map(|(at, moment)| {
        let then = if at / 3 % 2 == 0 { Then::Resume } else { Then::Anew };
        Case { moment, how: HOWS[at % 3], then }
    });
    sweep(&DISABLE, cases.collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_cut_at_any_command_is_completed_by_resume_or_by_a_second_verify() {
    let job = verify();
    let moments = moments(&commands(&job).await);
    let cases = moments.into_iter().enumerate().map(|(at, moment)| {
        let then = if at / 3 % 2 == 0 { Then::Resume } else { Then::Anew };
        Case { moment, how: HOWS[at % 3], then }
    });
    sweep(&job, cases.collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_dies_at_any_record_finds_its_run_again() {
    for job in [ENABLE, verify()] {
        let nodes = prepared(&job);
        run(&nodes, &Wish::new(job.clone()), "run-1").await.result.unwrap();
        let count = records(&nodes, "run-1").len();
        let cases = (1..=count).map(|number| {
            let moment = Moment::Record(number);
            Case { moment, how: How::Dies, then: Then::Resume }
        });
        sweep(&job, cases.collect()).await;
    }
}

#[tokio::test]
async fn a_second_enable_finds_nothing_to_do() {
    let nodes = Nodes::new(1);
    for (run_id, outcome) in [("run-1", Outcome::Done), ("run-2", Outcome::NothingToDo)] {
        let ran = run(&nodes, &Wish::new(Job::Enable(BOTH)), run_id).await;
        assert_eq!(row(&ran.fleet, 1).outcome(), outcome);
    }
    let reason = row(&Fleet::of(&records(&nodes, "run-2")).unwrap(), 1).end.clone().unwrap().reason;
    assert_eq!(reason.as_deref(), Some("on already, live and in cassandra.yaml"));
}
