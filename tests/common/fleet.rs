//! A ring on this machine: nodes that are folders, with a nodetool of their own and the real sh,
//! find and coreutils; and runs on it, begun and taken up again as the program does it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ringhaul::cassandra::fact::Fact;
use ringhaul::cassandra::ring::Ring;
use ringhaul::fleet::{Fleet, Row};
use ringhaul::inventory::{Jmx, NodeSpec, Paths, Sudo};
use ringhaul::node::lock::Terms;
use ringhaul::node::survey::Limits;
use ringhaul::node::{Connect, Endpoint, NodeError};
use ringhaul::plan::resume;
use ringhaul::record::haul::Window;
use ringhaul::record::{Begun, Entry, Halves, Job, Record, SCHEMA, Verify, What};
use ringhaul::run::change::{GateRules, Order, Question, change};
use ringhaul::run::haul::depot::{Depot, known};
use ringhaul::run::journal::{self, Journal, JournalError};
use ringhaul::run::lines::Lines;
use ringhaul::run::log::{Log, Notice};
use ringhaul::run::{clock, ring};
use ringhaul::schedule::{Place, Rules, Schedule};
use ringhaul::store::Store;
use ringhaul::store::manifest::Topology;
use tokio::sync::{mpsc, watch};

use crate::local::Local;

/// It is linked, not written: a file that was just written is busy while another test forks.
const NODETOOL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/nodetool.sh");
const TABLE: &str = "data/system/size_estimates-618f817b005f3678b8a453f3930b8e86";

/// More than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(120);

pub(crate) const BOTH: Halves = Halves { live: true, config: true };
pub(crate) const ENABLE: Job = Job::Enable(BOTH);
pub(crate) const DISABLE: Job = Job::Disable(BOTH);

pub(crate) fn verify() -> Job {
    Job::Verify(Verify { wait: Duration::from_secs(5), ..Verify::default() })
}

/// Some nodes, n1, n2 …, each a folder.
pub(crate) struct Nodes {
    pub(crate) root: tempfile::TempDir,
    pub(crate) count: usize,
}

/// One of them.
pub(crate) struct Tree {
    pub(crate) home: PathBuf,
}

impl Nodes {
    /// Makes nodes whose incremental backups are off, live and in cassandra.yaml.
    pub(crate) fn new(count: usize) -> Self {
        let nodes = Self { root: tempfile::tempdir().unwrap(), count };
        let mut ring = String::new();
        for number in 1..=count {
            let rack = (number - 1) % 3 + 1;
            let id = format!("00000000-0000-4000-8000-{number:012}");
            ring.push_str(&format!("10.0.0.{number} 93.06 KiB  4  100.0%  {id}  r{rack}\n"));
            nodes.tree(number).make();
        }
        fs::write(nodes.root.path().join("ring"), ring).unwrap();
        fs::create_dir(nodes.root.path().join("down")).unwrap();
        nodes
    }

    /// Node number 1 …
    pub(crate) fn tree(&self, number: usize) -> Tree {
        Tree { home: self.root.path().join(format!("n{number}")) }
    }

    /// The ring shows this node down from now on, or up again.
    pub(crate) fn set_down(&self, number: usize, is_down: bool) {
        let file = self.root.path().join(format!("down/10.0.0.{number}"));
        match is_down {
            true => fs::write(file, "").unwrap(),
            false => fs::remove_file(file).unwrap(),
        }
    }

    /// The folder of the journals.
    pub(crate) fn runs(&self) -> PathBuf {
        self.root.path().join("runs")
    }

    pub(crate) fn door(&self) -> Doors {
        Doors { root: self.root.path().to_owned() }
    }

    pub(crate) fn specs(&self) -> Vec<NodeSpec> {
        (1..=self.count).map(|number| self.spec(number)).collect()
    }

    fn spec(&self, number: usize) -> NodeSpec {
        let tree = self.tree(number);
        let config = tree.config().to_str().unwrap().to_owned();
        let has_sudo = tree.path("bin/sudo").exists();
        NodeSpec {
            // What the operator wrote, if anything.
            host_id: fs::read_to_string(tree.path("host-id")).ok(),
            paths: Paths { nodetool: None, config: Some(config), data: Vec::new() },
            // With a sudo of its own, all is asked of it.
            sudo: if has_sudo { Sudo::Always } else { Sudo::Never },
            jmx: Jmx { sudo: has_sudo, ..Jmx::default() },
            ..NodeSpec::at(Endpoint {
                host: format!("n{number}"),
                address: Some(format!("10.0.0.{number}")),
                ..Endpoint::default()
            })
        }
    }

    /// Asks for the ring over the ordinary door.
    pub(crate) async fn ring(&self) -> Ring {
        let specs = self.specs();
        let lines = Lines::new(Arc::new(self.door()), specs.iter().map(|s| s.endpoint.clone()));
        let (_, nobody) = mpsc::unbounded_channel();
        match ring::ask(&lines, &specs, nobody, LIMITS).await {
            Fact::Known(told) => told.ring,
            Fact::Unknown(why) => panic!("{why}"),
        }
    }
}

impl Tree {
    fn make(&self) {
        fs::create_dir_all(self.path(TABLE)).unwrap();
        for folder in ["bin", "conf"] {
            fs::create_dir(self.path(folder)).unwrap();
        }
        symlink(NODETOOL, self.path("bin/nodetool")).unwrap();
        self.write_config(&self.config_text(false));
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.home.join(path)
    }

    /// Writes a file that the node's nodetool heeds.
    pub(crate) fn tell(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    pub(crate) fn untell(&self, file: &str) {
        fs::remove_file(self.path(file)).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("conf/cassandra.yaml")
    }

    /// cassandra.yaml with the setting on or off.
    pub(crate) fn config_text(&self, on: bool) -> String {
        let data = self.path("data");
        format!(
            "# the operator's remarks \u{fc}ber all\r\ncluster_name: 'Test'\n\n\
             # Whether or not to hard link SSTables\nincremental_backups: {on}   # see wiki\n\
             data_file_directories:\n    - {}\nlast_line_without_an_end: 1",
            data.display()
        )
    }

    pub(crate) fn write_config(&self, text: &str) {
        fs::write(self.config(), text).unwrap();
    }

    pub(crate) fn set(&self, live: bool, config: bool) {
        self.write_config(&self.config_text(config));
        match live {
            true => self.tell("live", ""),
            false => drop(fs::remove_file(self.path("live"))),
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.path("live").exists()
    }

    /// Whether the file says on; it must be one of the two texts, byte for byte.
    pub(crate) fn is_configured(&self) -> bool {
        let text = fs::read_to_string(self.config()).unwrap();
        let found = [true, false].into_iter().find(|on| self.config_text(*on) == text);
        found.unwrap_or_else(|| panic!("cassandra.yaml is neither: {text}"))
    }

    /// Names beside cassandra.yaml that are no backup copies.
    pub(crate) fn left_overs(&self) -> Vec<String> {
        let mut names = names(&self.path("conf"));
        let is_copy = |name: &str| {
            name.strip_prefix("cassandra.yaml.ringhaul-")
                .is_some_and(|stamp| stamp.len() == 16 && stamp.ends_with('Z'))
        };
        names.retain(|name| name != "cassandra.yaml" && !is_copy(name));
        names
    }

    pub(crate) fn tickets(&self) -> Vec<String> {
        names(&self.path("lock"))
    }

    /// Names of the files that the proof's table has in backups.
    pub(crate) fn backups(&self) -> Vec<String> {
        names(&self.path(TABLE).join("backups"))
    }

    /// What nodetool was asked, in order.
    pub(crate) fn said(&self) -> Vec<String> {
        let said = fs::read_to_string(self.path("said")).unwrap_or_default();
        said.lines().map(str::to_owned).collect()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The door to all of them: each has programs and a home of its own.
#[derive(Clone)]
pub(crate) struct Doors {
    root: PathBuf,
}

impl Connect for Doors {
    type Node = Local;

    async fn connect(&self, to: &Endpoint) -> Result<Local, NodeError> {
        let home = self.root.join(&to.host);
        if home.join("refuses").exists() {
            return Err(NodeError::Refused { address: format!("{}:22", to.host) });
        }
        Ok(Local { bin: home.join("bin") })
    }
}

pub(crate) const LIMITS: Limits =
    Limits { nodetool: Duration::from_secs(20), files: Duration::from_secs(60) };

/// What a run is to be like.
#[derive(Clone)]
pub(crate) struct Wish {
    pub(crate) job: Job,
    pub(crate) rules: Rules,
    pub(crate) gate_timeout: Duration,
    pub(crate) retry_down: bool,
    pub(crate) patience: Duration,
    pub(crate) linger: Duration,
    pub(crate) limits: Limits,
    pub(crate) question: Option<Arc<Question>>,
    /// Whether the ring was asked for just before the loop begins.
    pub(crate) knows_ring: bool,
    /// The store of ship and clean.
    pub(crate) store: Option<PathBuf>,
    /// What the store is told of the ring.
    pub(crate) topology: Topology,
}

impl Wish {
    pub(crate) fn new(job: Job) -> Self {
        Self {
            job,
            rules: Rules::default(),
            gate_timeout: Duration::from_secs(30),
            retry_down: false,
            patience: Duration::ZERO,
            linger: Duration::from_secs(1),
            limits: LIMITS,
            question: None,
            knows_ring: true,
            store: None,
            topology: Topology::default(),
        }
    }

    /// Who has to be up before each start.
    fn up(&self, ring: &Ring) -> BTreeSet<String> {
        if self.job.is_gated() { up(ring).into_iter().collect() } else { BTreeSet::new() }
    }

    fn total_rate(&self) -> Option<u64> {
        match &self.job {
            Job::Ship(ship) => ship.total_rate,
            Job::Enable(_) | Job::Disable(_) | Job::Verify(_) | Job::Clean(_) => None,
        }
    }

    fn window(&self) -> Option<Window> {
        match &self.job {
            Job::Ship(ship) => ship.window,
            Job::Clean(clean) => clean.window,
            Job::Enable(_) | Job::Disable(_) | Job::Verify(_) => None,
        }
    }

    fn order(&self, schedule: Schedule, ring: Ring) -> Order {
        Order {
            schedule,
            canary: self.rules.canary.iter().copied().collect(),
            gate: GateRules { up: self.up(&ring), timeout: self.gate_timeout },
            ring: self.knows_ring.then_some(ring),
            retry_down: self.retry_down,
            limits: self.limits,
            patience: self.patience,
            terms: terms(self.linger),
            not_before: Duration::ZERO,
            depot: self.store.as_ref().map(|store| {
                let (store, _) = Store::open_or_make(store).unwrap();
                Depot::new(store, known(self.topology.clone()), self.total_rate())
            }),
            window: self.window(),
            question: self.question.clone(),
        }
    }
}

/// A lock's folder that lies in the home of each node.
pub(crate) fn terms(linger: Duration) -> Terms {
    Terms { folder: "lock".to_owned(), linger, ..Terms::default() }
}

fn up(ring: &Ring) -> Vec<String> {
    let up = ring.members.iter().filter(|member| member.is_up_and_normal());
    up.map(|member| member.address.clone()).collect()
}

fn slot(entry: &Entry) -> Place {
    let word = |word: &Option<String>| word.clone().unwrap_or_default();
    Place { dc: word(&entry.place.dc), rack: word(&entry.place.rack), jump: None }
}

/// A run that can be worked on: all but the door.
pub(crate) struct Ready {
    order: Order,
    pub(crate) log: Arc<Log>,
    pub(crate) notices: mpsc::UnboundedReceiver<Notice>,
}

/// A run that somebody worked on.
pub(crate) struct Ran {
    pub(crate) result: Result<(), JournalError>,
    pub(crate) fleet: Fleet,
}

/// Begins a run on all nodes, up to its first record.
pub(crate) async fn begin(nodes: &Nodes, wish: &Wish, run: &str) -> Ready {
    let ring = nodes.ring().await;
    let unplaced = |spec| Entry { spec, place: ringhaul::record::Place::default(), down: false };
    let mut entries: Vec<Entry> = Vec::new();
    for spec in nodes.specs() {
        let mut entry = unplaced(spec);
        entry.place.address = entry.spec.endpoint.address.clone().unwrap();
        entries.push(resume::as_now(&entry, &ring));
    }
    let places = entries.iter().map(slot).collect();
    let mut schedule = Schedule::new(wish.rules.clone(), places).unwrap();
    resume::skip_down(&mut schedule, &mut entries, &wish.job);
    let canary = wish.rules.canary.iter().map(|at| entries[*at].name().to_owned()).collect();
    let begun = Begun {
        schema: SCHEMA,
        run: run.to_owned(),
        version: "0.1.0".to_owned(),
        cluster: "Test".to_owned(),
        who: format!("ops@{run}"),
        job: wish.job.clone(),
        options: serde_json::Value::Null,
        seed: 7,
        canary,
        nodes: entries,
        unlisted: Vec::new(),
        witnesses: Vec::new(),
        up: up(&ring),
    };
    let journal = Journal::create(&nodes.runs(), run).unwrap();
    let at = clock::now();
    let fleet = Fleet::begin(&begun, at);
    let order = wish.order(schedule, ring);
    ready(journal, fleet, order, Record { at, what: What::Begun(Box::new(begun)) })
}

/// Takes a run up again, up to its record of that; `None` when nothing is left to do.
pub(crate) async fn again(
    nodes: &Nodes,
    wish: &Wish,
    run: &str,
    retry_failed: bool,
) -> Option<Ready> {
    let (journal, held) = reopened(nodes, run).await;
    let fleet = Fleet::of(&held.records).unwrap();
    let left = fleet.left(retry_failed);
    if left.is_empty() {
        return None;
    }
    let ring = nodes.ring().await;
    let mut entries: Vec<Entry> =
        fleet.begun.nodes.iter().map(|entry| resume::as_now(entry, &ring)).collect();
    let places = entries.iter().map(slot).collect();
    let mut schedule = Schedule::new(wish.rules.clone(), places).unwrap();
    resume::skip_down(&mut schedule, &mut entries, &fleet.begun.job);
    let canary: BTreeSet<usize> = wish.rules.canary.iter().copied().collect();
    resume::skip_done(&mut schedule, &canary, &fleet, &left).unwrap();
    let mut order = wish.order(schedule, ring);
    let now = clock::now();
    order.not_before = resume::rest_of_stagger(&fleet, wish.rules.stagger, now);
    let up = order.gate.up.iter().cloned().collect();
    let resumed = resume::resumed("ops@again".to_owned(), &left, &entries, up);
    Some(ready(journal, fleet, order, Record { at: now, what: What::Resumed(resumed) }))
}

/// Opens a journal that this same process had open: a program that another test is just starting
/// holds a copy of its lock until it runs.
async fn reopened(nodes: &Nodes, run: &str) -> (Journal, journal::Held) {
    let begun = std::time::Instant::now();
    loop {
        match Journal::open(&nodes.runs(), run) {
            Err(JournalError::Busy { .. }) if begun.elapsed() < LONG => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            opened => return opened.unwrap(),
        }
    }
}

fn ready(journal: Journal, fleet: Fleet, order: Order, first: Record) -> Ready {
    let (notices, shown) = mpsc::unbounded_channel();
    let log = Arc::new(Log::new(journal, fleet, notices));
    // Where this fails, the run does not begin; the loop's next record fails as well.
    let _ = log.add(first);
    Ready { order, log, notices: shown }
}

impl Ready {
    /// Works on it through `door` until it is over, or told to stop. A run that does not end
    /// fails the test.
    pub(crate) async fn work<C: Connect>(self, door: Arc<C>, stop: watch::Receiver<bool>) -> Ran {
        let work = change(door, self.order, Arc::clone(&self.log), stop);
        let result = tokio::time::timeout(LONG, work).await.unwrap();
        Ran { result, fleet: self.log.look(Fleet::clone) }
    }

    pub(crate) async fn work_alone<C: Connect>(self, door: Arc<C>) -> Ran {
        let (_stop, stopped) = watch::channel(false);
        self.work(door, stopped).await
    }
}

/// A whole run that nobody disturbs.
pub(crate) async fn run(nodes: &Nodes, wish: &Wish, run: &str) -> Ran {
    begin(nodes, wish, run).await.work_alone(Arc::new(nodes.door())).await
}

/// The records of a run as its journal holds them.
pub(crate) fn records(nodes: &Nodes, run: &str) -> Vec<Record> {
    journal::read(&nodes.runs(), run).unwrap().records
}

/// The row of node number 1 …
pub(crate) fn row(fleet: &Fleet, number: usize) -> &Row {
    &fleet.rows[number - 1]
}
