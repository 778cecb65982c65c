//! ship and clean on lines that break, by controllers that die, at every moment of a run, which
//! then goes on: nothing is lost, nothing is half stored, nothing is left over.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[allow(dead_code, reason = "the tests of ship use all of it")]
#[path = "common/backups.rs"]
mod backups;
#[path = "cut/door.rs"]
mod door;
#[allow(dead_code, reason = "the tests of changes use all of it")]
#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/local.rs"]
mod local;
#[allow(dead_code, reason = "the tests of ship use all of it")]
#[path = "common/stored.rs"]
mod stored;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backups::Set;
use door::{Cut, How, Moment, When};
use fleet::{LONG, Nodes, Wish, again, begin, records, row, run};
use futures::stream::{self, StreamExt as _};
use ringhaul::fleet::{Fleet, Row};
use ringhaul::record::haul::{Clean, Removal, Ship};
use ringhaul::record::{Job, Outcome};
use tokio::sync::watch;

use stored::{copies, faults, files, host, named};

/// How many cases run at once: many of them wait for a lock or a line.
const AT_ONCE: usize = 16;

/// What is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verb {
    Ship,
    ShipThenClean,
    Clean,
}

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
    verb: Verb,
    moment: Moment,
    how: How,
    then: Then,
}

/// A node and a store.
struct Scene {
    nodes: Nodes,
    /// What is to be shipped or cleaned.
    sets: Vec<Set>,
    /// What is not complete, and stays.
    part: Set,
    /// Live files: nobody may touch them.
    live: BTreeMap<String, Vec<u8>>,
}

impl Scene {
    /// A node before the verb.
    async fn new(verb: Verb) -> Self {
        let nodes = Nodes::new(1);
        let sets = vec![
            Set::big("shop.orders", "1", "a"),
            Set::big("shop.orders", "1", "i").of_index(".by_day"),
            // One that is large enough to come in pieces.
            Set::big("shop.orders", "2", "b").of_size(400_000),
            Set::bti("system.local", "3gcm_0c7a_2pdfk2dvq5p6xq3klm", "c"),
        ];
        let part = Set::big("shop.other", "3", "d");
        let tree = nodes.tree(1);
        for set in sets.iter().chain([&part]) {
            set.flush(&tree);
        }
        fs::remove_file(part.file(&tree, "Filter.db")).unwrap();
        let mut live = files(&tree.path("data"));
        live.retain(|path, _| !path.contains("/backups/"));
        let scene = Self { nodes, sets, part, live };
        if verb == Verb::Clean {
            let ran = run(&scene.nodes, &scene.wish(Verb::Ship), "run-0").await;
            assert_eq!(row(&ran.fleet, 1).outcome(), Outcome::Done, "{:?}", row(&ran.fleet, 1));
        }
        scene
    }

    fn store(&self) -> PathBuf {
        self.nodes.root.path().join("store")
    }

    fn wish(&self, verb: Verb) -> Wish {
        let then_clean = (verb == Verb::ShipThenClean).then(Removal::default);
        let (store, tables, removal) = (self.store(), Vec::new(), Removal::default());
        let job = match verb {
            Verb::Clean => Job::Clean(Clean { store, tables, window: None, removal }),
            Verb::Ship | Verb::ShipThenClean => Job::Ship(Ship {
                store,
                tables,
                snapshot: None,
                rate: None,
                total_rate: None,
                window: None,
                reserve: 0,
                then_clean,
            }),
        };
        Wish { store: Some(self.store()), ..Wish::new(job) }
    }
}

struct Faults<'a> {
    case: Case,
    scene: &'a Scene,
    found: Vec<String>,
}

impl Faults<'_> {
    fn unless(&mut self, claim: &str, holds: bool) {
        if !holds {
            self.found.push(format!("{:?}: not so: {claim}", self.case));
        }
    }

    /// At any moment a set is whole on the node, or whole in the store.
    fn nothing_is_lost(&mut self) {
        let (scene, tree) = (self.scene, self.scene.nodes.tree(1));
        // What is stored is named: files that lie there alone do not count.
        let count = |descriptor: &str| {
            let named = named(&scene.store(), &host(1));
            named.iter().filter(|(_, set)| set["descriptor"] == descriptor).count()
        };
        for set in &scene.sets {
            let is_stored =
                copies(&scene.store(), &host(1), set) == 1 && count(&set.descriptor) > 0;
            let is_somewhere = set.is_on(&tree) || is_stored;
            self.unless(
                &format!("{} is on the node or in the store", set.descriptor),
                is_somewhere,
            );
        }
        self.unless("the incomplete set stays", scene.part.left(&tree) == 7);
        let mut live = files(&tree.path("data"));
        live.retain(|path, _| !path.contains("/backups/"));
        self.unless("live files stay", live == scene.live);
    }

    /// What the row says of node and store is so. Amid a removal the node is still at it.
    fn honest(&mut self, row: &Row) {
        let Some(end) = &row.end else { return };
        let Some(haul) = &end.haul else { return };
        if matches!(self.case.moment, Moment::Command(_, When::Amid)) {
            return;
        }
        let (scene, sum) = (self.scene, haul.sum());
        let left = |set: &&Set| set.left(&scene.nodes.tree(1)) > 0;
        let left = scene.sets.iter().filter(left).count();
        let gone = (scene.sets.len() - left) as u64;
        if haul.is_left_known {
            // The incomplete set is there, too.
            self.unless("what is left is told", sum.left.sets == left as u64 + 1);
            self.unless("what went is told", sum.cleaned.sets == gone);
        } else {
            let is_told = sum.cleaned.sets == gone || end.outcome == Outcome::Unsure;
            self.unless("where nobody looked, it is unsure what went", is_told);
        }
        if self.case.verb != Verb::Clean {
            let stored = named(&scene.store(), &host(1)).len() as u64;
            self.unless("what is stored is told", sum.shipped.sets == stored);
        }
    }

    /// All is as a run leaves it that nobody disturbed.
    async fn complete(&mut self, fleet: &Fleet) {
        let (scene, tree, store) = (self.scene, self.scene.nodes.tree(1), self.scene.store());
        self.unless("it is fine in the end", row(fleet, 1).outcome().is_fine());
        for set in &scene.sets {
            let stored = copies(&store, &host(1), set);
            self.unless(&format!("{} is stored once, not {stored}", set.descriptor), stored == 1);
            let left = if self.case.verb == Verb::Ship { set.files.len() } else { 0 };
            self.unless("the node has what it should", set.left(&tree) == left);
        }
        let named = named(&store, &host(1)).len();
        self.unless(&format!("each set is named once: {named}"), named == scene.sets.len());
        let faults = faults(&store);
        self.unless(&format!("the store is sound: {faults:?}"), faults.is_empty());
        let begun = Instant::now();
        while !tree.tickets().is_empty() && begun.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.unless("no ticket is left", tree.tickets().is_empty());
    }
}

/// What is wrong in this case; nothing when all is well.
async fn found(case: Case) -> Vec<String> {
    let scene = Scene::new(case.verb).await;
    let mut faults = Faults { case, scene: &scene, found: Vec::new() };
    let (nodes, wish) = (&scene.nodes, scene.wish(case.verb));
    let record = match case.moment {
        Moment::Record(number) => Some((nodes.runs().join("run-1.jsonl"), number)),
        Moment::Never | Moment::Command(..) => None,
    };
    let cut = Cut::new(nodes.door(), case.moment, case.how, record);
    let ready = begin(nodes, &wish, "run-1").await;
    let log = Arc::downgrade(&ready.log);
    let (_stop, stopped) = watch::channel(false);
    tokio::select! {
        ran = ready.work(cut.door(), stopped) => {
            faults.unless("the loop ends well", ran.result.is_ok());
        }
        () = cut.died() => {}
    }
    faults.nothing_is_lost();
    // Turns that are broken off let go of the journal a moment later.
    let begun = Instant::now();
    while log.strong_count() > 0 && begun.elapsed() < LONG {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    if let Moment::Record(number) = case.moment {
        cut_off(nodes, number);
    }
    let broken = row(&Fleet::of(&records(nodes, "run-1")).unwrap(), 1).clone();
    if !matches!(case.moment, Moment::Record(_)) {
        faults.honest(&broken);
    }
    let wish = Wish { patience: LONG, ..wish };
    let ran = match case.then {
        Then::Anew => Some(run(nodes, &wish, "run-2").await),
        Then::Resume => match again(nodes, &wish, "run-1", true).await {
            Some(ready) => Some(ready.work_alone(Arc::new(nodes.door())).await),
            None => None,
        },
    };
    let fleet = match ran {
        Some(ran) => {
            faults.unless("the second run ends well", ran.result.is_ok());
            ran.fleet
        }
        None => Fleet::of(&records(nodes, "run-1")).unwrap(),
    };
    faults.nothing_is_lost();
    faults.complete(&fleet).await;
    if !faults.found.is_empty() {
        let then = row(&fleet, 1);
        faults.found.push(format!("{case:?}: broken: {:?}; then: {:?}", broken.end, then.end));
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

async fn sweep(cases: Vec<Case>) {
    let all: Vec<String> = stream::iter(cases).map(found).buffer_unordered(AT_ONCE).concat().await;
    assert!(all.is_empty(), "{} faults:\n{}", all.len(), all.join("\n"));
}

/// Before every command; amid and after those that change something or bring it.
async fn moments(verb: Verb) -> Vec<Moment> {
    let scene = Scene::new(verb).await;
    let cut = Cut::new(scene.nodes.door(), Moment::Never, How::Dies, None);
    let ran = begin(&scene.nodes, &scene.wish(verb), "run-1").await.work_alone(cut.door()).await;
    assert_eq!(row(&ran.fleet, 1).outcome(), Outcome::Done, "{:?}", row(&ran.fleet, 1));
    let mut moments = Vec::new();
    for (at, command) in (1..).zip(cut.commands()) {
        let mut add = |when| moments.push(Moment::Command(at, when));
        add(When::Before);
        if command.starts_with("pour ") {
            // In a name, in a file, between sets, in the large one, and before the end.
            for bytes in [1, 700, 6000, 20_000, 300_000, 445_000] {
                add(When::Bytes(bytes));
            }
            add(When::After);
        } else if command.starts_with("hold ") || command.contains("#data") {
            add(When::Amid);
            add(When::After);
        }
    }
    moments
}

const HOWS: [How; 3] = [How::Breaks, How::StaysBroken, How::Dies];

fn then(at: usize) -> Then {
    if at.is_multiple_of(2) { Then::Resume } else { Then::Anew }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ship_then_clean_cut_at_any_command_is_completed_by_the_next_and_nothing_is_lost() {
    let moments = moments(Verb::ShipThenClean).await;
    assert!(moments.len() > 15, "{moments:?}");
    let mut cases = Vec::new();
    for (at, moment) in moments.into_iter().enumerate() {
        for (number, how) in HOWS.into_iter().enumerate() {
            cases.push(Case { verb: Verb::ShipThenClean, moment, how, then: then(at + number) });
        }
    }
    sweep(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ship_and_clean_cut_at_any_command_are_completed_by_the_next() {
    let mut cases = Vec::new();
    for verb in [Verb::Ship, Verb::Clean] {
        for (at, moment) in moments(verb).await.into_iter().enumerate() {
            cases.push(Case { verb, moment, how: HOWS[at % 3], then: then(at / 3) });
        }
    }
    sweep(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_dies_at_any_record_loses_nothing() {
    let scene = Scene::new(Verb::ShipThenClean).await;
    run(&scene.nodes, &scene.wish(Verb::ShipThenClean), "run-1").await.result.unwrap();
    let count = records(&scene.nodes, "run-1").len();
    let case = |number| Case {
        verb: Verb::ShipThenClean,
        moment: Moment::Record(number),
        how: How::Dies,
        then: Then::Resume,
    };
    sweep((1..=count).map(case).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_takes_no_line_for_some_seconds_is_waited_for() {
    let scene = Scene::new(Verb::Ship).await;
    let moments = moments(Verb::Ship).await;
    let half = |moment: &&Moment| matches!(moment, Moment::Command(_, When::Bytes(300_000)));
    let moment = *moments.iter().find(half).unwrap();
    let cut = Cut::new(scene.nodes.door(), moment, How::Breaks, None);
    let ready = begin(&scene.nodes, &scene.wish(Verb::Ship), "run-1").await;
    let away = async {
        cut.comes().await;
        scene.nodes.tree(1).tell("refuses", "");
        tokio::time::sleep(Duration::from_secs(2)).await;
        scene.nodes.tree(1).untell("refuses");
    };
    let (ran, ()) = tokio::join!(ready.work_alone(cut.door()), away);
    let end = row(&ran.fleet, 1).end.clone().unwrap();
    assert_eq!(end.outcome, Outcome::Done, "{end:?}");
    assert_eq!(end.haul.unwrap().sum().shipped.sets, 4);
    assert_eq!(faults(&scene.store()), [""; 0]);
}
