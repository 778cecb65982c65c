//! Runs of enable, disable and verify on a lab, kept in a state folder of their own, and what
//! their journals say.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::command::{Ended, Running};
use super::lab::{self, Lab, QUICK};

/// What a run over a few nodes may take, on a machine that others use too.
pub(crate) const RUN: Duration = Duration::from_secs(240);

/// What a record may take that is waited for.
const RECORD: Duration = Duration::from_secs(120);

/// How often a journal is looked at: much shorter than any step takes.
const LOOK: Duration = Duration::from_millis(4);

/// A dead line keeps a node for 25 s (`LINGER` in node/ticket.rs).
const LINGER: Duration = Duration::from_secs(45);

/// The runs of one controller.
pub(crate) struct Runs<'a> {
    pub(crate) lab: &'a Lab,
    folder: PathBuf,
    /// How many journals there were when the last run was started.
    earlier: Cell<usize>,
}

/// A record that is waited for: its event and, where it is of a step, which.
pub(crate) type Kind = (&'static str, &'static str);

/// A node's turn, as the journal has it.
#[derive(Debug, Clone)]
pub(crate) struct NodeTurn {
    pub(crate) node: String,
    pub(crate) begun: Timestamp,
    /// When its first step began: the lock is ours then.
    pub(crate) first_step: Option<Timestamp>,
    pub(crate) ended: Timestamp,
}

impl NodeTurn {
    /// Whether the two were under way at the same time.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.begun < other.ended && other.begun < self.ended
    }
}

impl<'a> Runs<'a> {
    /// A controller that has run nothing yet.
    pub(crate) fn of(lab: &'a Lab) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("state-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Self { lab, folder: lab.file(&name), earlier: Cell::new(0) }
    }

    /// Starts a verb on the lab's inventory, without a question. No stagger but a wanted one.
    pub(crate) fn start(&self, verb: &[&str]) -> Running {
        let inventory = self.lab.path("inventory.yaml");
        let mut all = verb.to_vec();
        all.extend(["--yes", "-i", &inventory]);
        if !verb.contains(&"--stagger") {
            all.extend(["--stagger", "0s"]);
        }
        all.extend(QUICK);
        self.earlier.set(self.files().len());
        self.bare(&all)
    }

    /// Runs a verb on the lab's inventory to its end.
    #[track_caller]
    pub(crate) fn run(&self, verb: &[&str]) -> Ended {
        ended(self.start(verb))
    }

    /// The same, and the JSON it printed.
    #[track_caller]
    pub(crate) fn json(&self, verb: &[&str]) -> (Value, Ended) {
        let ended = self.run(&[verb, &["--json"]].concat());
        (lab::parsed(&ended), ended)
    }

    /// Goes on with the last run; returns the JSON it printed.
    #[track_caller]
    pub(crate) fn resume(&self, more: &[&str]) -> (Value, Ended) {
        let ended = ended(self.start_resume(&[more, &["--json"]].concat()));
        (lab::parsed(&ended), ended)
    }

    /// Starts to go on with the last run.
    pub(crate) fn start_resume(&self, more: &[&str]) -> Running {
        self.bare(&[&["resume", "last"], more].concat())
    }

    /// Shows the last run, from its journal alone.
    #[track_caller]
    pub(crate) fn show(&self, more: &[&str]) -> Ended {
        ended(self.bare(&[&["runs", "show", "last"], more].concat()))
    }

    /// Starts ringhaul with this controller's state folder and nothing else.
    pub(crate) fn bare(&self, arguments: &[&str]) -> Running {
        let folder = self.folder.to_string_lossy();
        self.lab.start_ringhaul(&[arguments, &["--state-dir", &folder]].concat())
    }

    /// The file of the last run's journal, once there is one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let files = self.files();
        if files.len() > self.earlier.get() { files.into_iter().max() } else { None }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.join("runs"));
        entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
    }

    /// The records of the last run so far. A line that has no end yet is none.
    pub(crate) fn records(&self) -> Vec<Value> {
        let text = self.file().and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines().filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_str(line).expect("a line of a journal is JSON")).collect()
    }

    /// Waits for a record of this kind behind the first `from`, and returns it.
    #[track_caller]
    pub(crate) fn wait_for(&self, from: usize, kind: Kind) -> Value {
        self.wait_for_any(from, kind, |_| true)
    }

    /// Waits for a record of this kind that is of the node of this number.
    #[track_caller]
    pub(crate) fn wait_for_node(&self, kind: Kind, node: u8) -> Value {
        let name = lab::address(node);
        self.wait_for_any(0, kind, |record| record["node"] == name.as_str())
    }

    #[track_caller]
    fn wait_for_any(&self, from: usize, kind: Kind, also: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let records = self.records();
            let found = records.iter().skip(from).find(|record| is(record, kind) && also(record));
            if let Some(found) = found {
                return found.clone();
            }
            let is_over = records.iter().skip(from).any(|record| is(record, ("finished", "")));
            assert!(!is_over && began.elapsed() < RECORD, "no {kind:?} came: {records:#?}");
            std::thread::sleep(LOOK);
        }
    }

    /// The turns of the last run that have an end, in the order of their beginning.
    pub(crate) fn turns(&self) -> Vec<NodeTurn> {
        let records = self.records();
        let of_node = |from: usize, event: &str, node: &Value| {
            let mut rest = records[from..].iter();
            rest.find(|record| record["event"] == event && record["node"] == *node).map(at)
        };
        let begun = records.iter().enumerate().filter(|(_, record)| is(record, ("turn_begun", "")));
        let turn = |(from, record): (usize, &Value)| {
            let node = &record["node"];
            let ended = of_node(from, "ended", node)?;
            let first_step = of_node(from, "step_begun", node).filter(|step| *step < ended);
            let name = node.as_str()?.to_owned();
            Some(NodeTurn { node: name, begun: at(record), first_step, ended })
        };
        begun.filter_map(turn).collect()
    }
}

impl Drop for Runs<'_> {
    fn drop(&mut self) {
        // It goes with the lab's folder otherwise.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[track_caller]
fn ended(running: Running) -> Ended {
    let ended = running.end(RUN);
    assert!(!ended.stderr.contains("panicked"), "ringhaul panicked:\n{}", ended.stderr);
    ended
}

/// Whether a record is of this kind.
pub(crate) fn is(record: &Value, (event, step): Kind) -> bool {
    record["event"] == event && (step.is_empty() || record["step"] == step)
}

fn at(record: &Value) -> Timestamp {
    let text = record["at"].as_str().expect("a record has a time");
    text.parse().expect("it is one")
}

/// Holds the controller still while something happens, after the end of a node's turn: so the
/// next start comes after that, however long it takes.
#[track_caller]
pub(crate) fn held_after(runs: &Runs<'_>, running: &Running, node: u8, happens: impl FnOnce()) {
    runs.wait_for_node(("ended", ""), node);
    let _held = Still::hold(running);
    happens();
}

/// A process that is held still as long as this lives.
struct Still<'a>(&'a Running);

impl<'a> Still<'a> {
    fn hold(running: &'a Running) -> Self {
        running.signal("STOP");
        Self(running)
    }
}

impl Drop for Still<'_> {
    fn drop(&mut self) {
        self.0.signal("CONT");
    }
}

/// Waits until node 1 sees this node down, which takes gossip about 10 s.
#[track_caller]
pub(crate) fn wait_until_seen_down(lab: &Lab, node: u8) {
    wait_until_seen(lab, node, "DN");
}

/// Waits until node 1 sees this node in this state.
#[track_caller]
pub(crate) fn wait_until_seen(lab: &Lab, node: u8, state: &str) {
    let line = format!("{state}  {} ", lab::address(node));
    for _ in 0..60 {
        if lab.nodetool(1, &["status"]).contains(&line) {
            return;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("node 1 never showed '{line}'");
}

/// Where the nodes' settings are.
pub(crate) const YAML: &str = "/etc/cassandra/cassandra.yaml";

/// The text of a node's cassandra.yaml, behind a line with its mode and owner.
#[track_caller]
pub(crate) fn yaml(lab: &Lab, node: u8) -> String {
    lab.on(node, &format!("stat -c '%a %U:%G' {YAML}; cat {YAML}"))
}

/// What that is to be with the other value, and every other byte as it was.
#[track_caller]
pub(crate) fn switched(yaml: &str, on: bool) -> String {
    let lines = [!on, on].map(|value| format!("\nincremental_backups: {value}\n"));
    assert_eq!(yaml.matches(&lines[0]).count(), 1, "{yaml}");
    yaml.replace(&lines[0], &lines[1])
}

/// Asserts that an audit finds these nodes on, or off, in both places.
#[track_caller]
pub(crate) fn assert_set(lab: &Lab, nodes: &[u8], on: bool) {
    let (audit, _) = lab.audit(&[]);
    for node in nodes {
        let row = lab::row(&audit, *node);
        assert_eq!(row["live"], on, "{row:#}");
        assert_eq!(row["configured"], on, "{row:#}");
        assert_eq!(row["verdict"], if on { "enabled" } else { "disabled" }, "{row:#}");
    }
}

/// Asserts that nothing that was only meant for a moment is left on these nodes: no half-made
/// file, and, when the lines that died are forgotten, no ticket.
#[track_caller]
pub(crate) fn assert_nothing_is_left(lab: &Lab, nodes: &[u8]) {
    let began = Instant::now();
    for node in nodes {
        let files = lab.on(*node, "ls -A /etc/cassandra");
        assert!(!files.contains("ringhaul-tmp"), "{files}");
        loop {
            let tickets = lab.on(*node, "ls -A /tmp/ringhaul.lock 2>/dev/null || true");
            if tickets.trim().is_empty() {
                break;
            }
            assert!(began.elapsed() < LINGER, "still there: {tickets}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

/// The row of a node in the JSON of a run.
#[track_caller]
pub(crate) fn of(run: &Value, node: u8) -> &Value {
    lab::row(run, node)
}

/// The outcomes of a run's nodes, in the order of its rows.
pub(crate) fn outcomes(run: &Value) -> Vec<&str> {
    let rows = run["nodes"].as_array().into_iter().flatten();
    rows.filter_map(|row| row["outcome"].as_str()).collect()
}

/// The words of a row's reason.
pub(crate) fn reason(row: &Value) -> &str {
    row["reason"].as_str().unwrap_or_default()
}

/// Changes a journal as an end at a bad moment might have left it.
pub(crate) fn rewrite(file: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(file).expect("the journal can be read");
    fs::write(file, change(text)).expect("the journal can be written");
}
