//! ship and clean as whole runs on nodes of this machine, with the real find, tar and rm: what
//! arrives, what goes, what stays, and what a node cannot make of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[path = "ship/again.rs"]
mod again;
#[path = "ship/arrives.rs"]
mod arrives;
#[path = "common/backups.rs"]
mod backups;
#[path = "ship/clean.rs"]
mod clean;
#[path = "ship/clean_left.rs"]
mod clean_left;
#[path = "ship/ends.rs"]
mod ends;
#[allow(dead_code, reason = "the tests of changes use all of it")]
#[path = "common/fleet.rs"]
mod fleet;
#[path = "ship/liar.rs"]
mod liar;
#[path = "common/local.rs"]
mod local;
#[path = "ship/places.rs"]
mod places;
#[path = "ship/spoilt.rs"]
mod spoilt;
#[path = "common/stored.rs"]
mod stored;

use std::path::PathBuf;

use ringhaul::fleet::Fleet;
use ringhaul::record::haul::{Clean, Counts, Haul, Removal, Ship};
use ringhaul::record::{Ended, Job, Outcome};
use ringhaul::schedule::{Rules, Strategy};

use backups::Set;
use fleet::{Nodes, Tree, Wish, row};
use stored::{copies, faults, host};

/// Some nodes and a store.
struct Yard {
    nodes: Nodes,
    runs: std::cell::Cell<usize>,
}

impl Yard {
    fn new(count: usize) -> Self {
        Self { nodes: Nodes::new(count), runs: std::cell::Cell::new(0) }
    }

    /// The one node of most tests.
    fn tree(&self) -> Tree {
        self.nodes.tree(1)
    }

    fn store(&self) -> PathBuf {
        self.nodes.root.path().join("store")
    }

    /// What ship does when nobody wants anything.
    fn plain(&self) -> Ship {
        Ship {
            store: self.store(),
            tables: Vec::new(),
            snapshot: None,
            rate: None,
            total_rate: None,
            window: None,
            reserve: 0,
            then_clean: None,
        }
    }

    fn wish(&self, job: Job) -> Wish {
        let rules =
            Rules { strategy: Strategy::All, max_in_flight: self.nodes.count, ..Rules::default() };
        Wish { rules, store: Some(self.store()), ..Wish::new(job) }
    }

    /// run-1, run-2 …
    async fn run(&self, job: Job) -> Fleet {
        self.runs.set(self.runs.get() + 1);
        let (wish, run) = (self.wish(job), format!("run-{}", self.runs.get()));
        let ran = fleet::run(&self.nodes, &wish, &run).await;
        ran.result.unwrap();
        ran.fleet
    }

    async fn ship(&self) -> Fleet {
        self.run(Job::Ship(self.plain())).await
    }

    async fn ship_then_clean(&self) -> Fleet {
        let then_clean = Some(Removal::default());
        self.run(Job::Ship(Ship { then_clean, ..self.plain() })).await
    }

    async fn clean(&self, removal: Removal) -> Fleet {
        let store = self.store();
        self.run(Job::Clean(Clean { store, tables: Vec::new(), window: None, removal })).await
    }

    /// The sets are in the store, each once and whole, of the first node; and nothing is amiss.
    fn holds(&self, sets: &[&Set]) {
        for set in sets {
            assert_eq!(copies(&self.store(), &host(1), set), 1, "{set:?}");
        }
        self.is_sound();
    }

    fn is_sound(&self) {
        assert_eq!(faults(&self.store()), [""; 0]);
    }
}

fn end(fleet: &Fleet, number: usize) -> Ended {
    row(fleet, number).end.clone().unwrap()
}

/// The end of the first node, which must be this.
fn ended(fleet: &Fleet, outcome: Outcome) -> Ended {
    let end = end(fleet, 1);
    assert_eq!(end.outcome, outcome, "{end:?}");
    end
}

fn haul(end: &Ended) -> Haul {
    end.haul.clone().unwrap()
}

/// shipped, there, held, failed, cleaned, left: sets.
fn counts(end: &Ended) -> [u64; 6] {
    let Counts { shipped, there, held, failed, cleaned, left, .. } = haul(end).sum();
    [shipped, there, held, failed, cleaned, left].map(|amount| amount.sets)
}

impl Tree {
    /// A program of the node is not what it should be; see `stand_in.sh`.
    fn stand_in(&self, program: &str) {
        // It is linked, not written: a file that was just written is busy while another test forks.
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ship/stand_in.sh");
        std::os::unix::fs::symlink(script, self.path("bin").join(program)).unwrap();
    }
}
