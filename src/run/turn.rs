//! One node's turn: a line, the lock, a look, the work, another look.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::gate::Gate;
use super::haul::closing::Closing;
use super::haul::depot::Depot;
use super::log::Log;
use super::{haul, setting, verify};
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::ring::Ring;
use crate::node::Connect;
use crate::node::lock::{self, HeldBy, Holder, Lock, LockError, Terms};
use crate::node::survey::{self, Limits};
use crate::plan::setting::Want;
use crate::record::{Ended, Entry, Job, Outcome, Step, What};

/// A job that does not ask for the ring before each start asks a node for it in its turn when the
/// run has gone on for so long: the node may have been replaced meanwhile.
const OLD: Duration = Duration::from_secs(600);

/// What the turns of one run share.
pub(super) struct Shared<C: Connect> {
    pub(super) connector: Arc<C>,
    pub(super) log: Arc<Log>,
    pub(super) gate: Gate<C>,
    pub(super) job: Job,
    pub(super) limits: Limits,
    /// How long a lock that is another's is waited for.
    pub(super) patience: Duration,
    /// What the lock on a node is like.
    pub(super) terms: Terms,
    pub(super) run: String,
    pub(super) who: String,
    /// The store, of a job that has one.
    pub(super) depot: Option<Depot>,
    /// What ends work of hours early.
    pub(super) closing: Closing,
    pub(super) began: Instant,
}

/// A node whose turn it is, and whose lock is ours.
pub(super) struct Held<'a, C: Connect> {
    pub(super) shared: &'a Shared<C>,
    pub(super) entry: &'a Entry,
    pub(super) node: Arc<C::Node>,
    pub(super) ring: Option<Ring>,
    /// A canary's change is proven by a flush.
    pub(super) is_canary: bool,
    lock: Lock,
}

/// Takes one node through its turn.
pub(super) async fn turn<C: Connect>(shared: &Shared<C>, entry: &Entry, is_canary: bool) -> Ended {
    let node = match shared.connector.connect(&entry.spec.endpoint).await {
        Ok(node) => Arc::new(node),
        Err(error) => {
            let mut ended = failed(entry, &error.into());
            ended.unreachable = true;
            return ended;
        }
    };
    let lock = match take_lock(shared, entry, &node).await {
        Ok(lock) => lock,
        Err(ended) => return *ended,
    };
    let mut ring = shared.gate.ring().await;
    if shared.job.is_haul()
        && shared.began.elapsed() > OLD
        && let Fact::Known(now) = survey::ask_ring(&*node, &entry.spec, shared.limits).await
    {
        ring = Some(now);
    }
    let held = Held { shared, entry, node, ring, is_canary, lock };
    let ended = match &shared.job {
        Job::Enable(halves) => setting::turn(&held, Want { on: true, halves: *halves }).await,
        Job::Disable(halves) => setting::turn(&held, Want { on: false, halves: *halves }).await,
        Job::Verify(how) => verify::turn(&held, how).await,
        Job::Ship(ship) => match &shared.depot {
            Some(depot) => haul::ship::turn(&held, ship, depot, shared.closing.clone()).await,
            None => no_store(entry),
        },
        Job::Clean(clean) => match &shared.depot {
            Some(depot) => haul::clean::turn(&held, clean, depot, shared.closing.clone()).await,
            None => no_store(entry),
        },
    };
    held.lock.release().await;
    ended
}

fn no_store(entry: &Entry) -> Ended {
    Ended::new(entry.name(), Outcome::Refused).because("the run was given no store")
}

async fn take_lock<C: Connect>(
    shared: &Shared<C>,
    entry: &Entry,
    node: &Arc<C::Node>,
) -> Result<Lock, Box<Ended>> {
    let holder = Holder { run: &shared.run, who: &shared.who, verb: shared.job.verb() };
    let mut tell = |by: &HeldBy| {
        // The journal being full is seen by the next step, before it is done.
        let _ =
            shared.log.write(What::LockHeld { node: entry.name().to_owned(), by: by.to_string() });
    };
    let taken =
        lock::take(Arc::clone(node), &shared.terms, &holder, shared.patience, &mut tell).await;
    taken.map_err(|error| {
        Box::new(match error {
            LockError::Held(by) => {
                let mut ended = Ended::new(entry.name(), Outcome::Refused);
                ended.hint = Some("let the other run end, or wait longer with --lock-wait".into());
                ended.because(format!("locked by {by}"))
            }
            LockError::Refused(why) => refused(entry, &why),
            LockError::Line(error) => failed(entry, &error.into()),
        })
    })
}

impl<C: Connect> Held<'_, C> {
    /// Whether the node has let go of our lock.
    pub(super) fn is_lost(&self) -> bool {
        self.lock.is_lost()
    }

    /// Does one step, written down before and after. The step is not done when it cannot be
    /// written down, or the lock is not ours any more.
    pub(super) async fn step<T>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let node = self.entry.name().to_owned();
        if self.lock.is_lost() {
            let text = "the node let go of our lock: somebody ended its holder there";
            return Err(Trouble::Said(Why::new(WhyKind::Lost, text)));
        }
        let begun = self.shared.log.write(What::StepBegun { node: node.clone(), step });
        begun.map_err(|error| Trouble::Said(Why::new(WhyKind::Local, error.to_string())))?;
        let result = work.await;
        let error = result.as_ref().err().map(|trouble| trouble.why().to_string());
        // It was done, whether this can be written down or not; the end of the turn says so too.
        let _ = self.shared.log.write(What::StepEnded { node, step, error });
        result
    }
}

/// Why a step is not known to be done.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// The node, or we ourselves, said no: it was not done.
    Said(Why),
    /// The line broke: it may have been done.
    Line(Why),
}

impl Trouble {
    pub(super) fn why(&self) -> &Why {
        match self {
            Self::Said(why) | Self::Line(why) => why,
        }
    }
}

/// Whether a fact is unknown because nobody could go and look.
pub(super) fn is_out_of_sight(kind: WhyKind) -> bool {
    match kind {
        WhyKind::Unreachable
        | WhyKind::Refused
        | WhyKind::HostKey
        | WhyKind::Auth
        | WhyKind::TimedOut
        | WhyKind::Lost
        | WhyKind::Local => true,
        WhyKind::CommandNotFound
        | WhyKind::NotPermitted
        | WhyKind::CassandraDown
        | WhyKind::Starting
        | WhyKind::JmxAuth
        | WhyKind::NotUnderstood
        | WhyKind::FileNotFound
        | WhyKind::NoSuchTable
        | WhyKind::TooMuch
        | WhyKind::NotAsked => false,
    }
}

/// The end of a turn that could not be.
pub(super) fn failed(entry: &Entry, why: &Why) -> Ended {
    let mut ended = Ended::new(entry.name(), Outcome::Failed);
    ended.hint = Some(why.hint());
    ended.because(why.to_string())
}

/// The end of a turn in which nothing was tried.
pub(super) fn refused(entry: &Entry, why: &Why) -> Ended {
    if is_out_of_sight(why.kind) {
        return failed(entry, why);
    }
    let mut ended = Ended::new(entry.name(), Outcome::Refused);
    ended.hint = Some(why.hint());
    ended.because(why.to_string())
}
