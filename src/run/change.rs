//! The loop around the schedule: starts turns, waits, stops, and says how the run ended.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::audit::stopped;
use super::clock;
use super::gate::Gate;
pub use super::gate::Rules as GateRules;
use super::haul::closing::Closing;
use super::haul::depot::Depot;
use super::journal::JournalError;
use super::log::{Log, Pause};
use super::turn::{Shared, turn};
use crate::cassandra::ring::Ring;
use crate::inventory::NodeSpec;
use crate::node::Connect;
use crate::node::lock::Terms;
use crate::node::survey::Limits;
use crate::plan::resume;
use crate::plan::verify::ProofVerdict;
use crate::record::haul::Window;
use crate::record::{Ended, Entry, Job, Outcome, What};
use crate::schedule::{Ending, Next, Schedule, Stop};

/// Asks the operator whether to go on. It resolves to `false` for no.
pub type Question = dyn Fn(String) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync;

/// What to do, in which order, and when to stop.
pub struct Order {
    /// Who may start when. Nodes that need no turn are skipped in it already.
    pub schedule: Schedule,
    /// Nodes whose change is proven before others follow.
    pub canary: BTreeSet<usize>,
    /// What the ring must be like before each start.
    pub gate: GateRules,
    /// The ring as it was just seen.
    pub ring: Option<Ring>,
    /// Whether nodes that were down or could not be reached are taken again at the end.
    pub retry_down: bool,
    /// How long each command may take.
    pub limits: Limits,
    /// How long a lock that is another's is waited for.
    pub patience: Duration,
    /// What the lock on a node is like.
    pub terms: Terms,
    /// How long the first start waits: what is left of the pauses of an earlier session.
    pub not_before: Duration,
    /// Who is asked after the canary; nobody when there is no terminal.
    pub question: Option<Arc<Question>>,
    /// The store, of a job that has one.
    pub depot: Option<Depot>,
    /// When it may be done.
    pub window: Option<Window>,
}

/// How often the clock is looked at while a window is waited for.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Why the loop goes on.
enum Woken {
    /// A turn is over.
    Turn(usize, Box<Ended>),
    /// The time has come.
    Time,
    /// The operator wants it to end.
    Stop,
}

struct Loop<C: Connect> {
    shared: Arc<Shared<C>>,
    schedule: Schedule,
    canary: BTreeSet<usize>,
    question: Option<Arc<Question>>,
    nodes: Vec<Entry>,
    /// Nodes that have no turn and can tell the ring.
    others: Vec<NodeSpec>,
    jobs: JoinSet<(usize, Ended)>,
    /// Which node each task is for, should it panic.
    tasks: std::collections::HashMap<Id, usize>,
    began: Instant,
    stop: watch::Receiver<bool>,
    /// Why nothing more is started, when that is not the schedule's own decision.
    ending: Option<String>,
    is_interrupted: bool,
    /// Whether a turn of this session has begun.
    has_begun: bool,
}

/// Runs a change to its end: what has started is finished, whatever happens.
///
/// # Errors
/// When the journal cannot be written; nothing more is started then.
pub async fn change<C: Connect>(
    connector: Arc<C>,
    order: Order,
    log: Arc<Log>,
    stop: watch::Receiver<bool>,
) -> Result<(), JournalError> {
    let Order {
        schedule,
        canary,
        gate,
        ring,
        retry_down,
        limits,
        patience,
        question,
        terms,
        not_before,
        depot,
        window,
    } = order;
    let closing = Closing::new(stop.clone(), window);
    let begun = log.look(|fleet| fleet.begun.clone());
    let (run, who, job, nodes) = (begun.run, begun.who, begun.job, begun.nodes);
    let gate = Gate::new(Arc::clone(&connector), gate, limits, Arc::clone(&log), ring);
    let shared = Arc::new(Shared {
        connector,
        log: Arc::clone(&log),
        gate,
        job,
        limits,
        patience,
        terms,
        run,
        who,
        depot,
        closing,
        began: Instant::now(),
    });
    let mut this = Loop {
        shared,
        schedule,
        canary,
        question,
        nodes,
        others: begun.witnesses,
        jobs: JoinSet::new(),
        tasks: std::collections::HashMap::new(),
        began: Instant::now(),
        stop,
        ending: None,
        is_interrupted: false,
        has_begun: false,
    };
    let done = this.run(not_before, retry_down).await;
    // What has started is finished also when the journal is full.
    while let Some((node, ended)) = this.next_turn().await {
        let _ = this.take(node, ended);
    }
    log.pause(None);
    done?;
    log.write(What::Finished)
}

impl<C: Connect> Loop<C> {
    async fn run(&mut self, not_before: Duration, retry_down: bool) -> Result<(), JournalError> {
        if !not_before.is_zero() {
            let until = clock::now().checked_add(not_before).ok();
            let why = "the pause of the session before is not over".to_owned();
            self.shared.log.pause(Some(Pause { why, until }));
            let woken = self.wait(Some(Instant::now() + not_before)).await;
            self.wake(woken)?;
        }
        let mut may_retry = retry_down;
        loop {
            if self.is_ending() {
                match self.next_turn().await {
                    Some((node, ended)) => self.take(node, ended)?,
                    None => return Ok(()),
                }
                continue;
            }
            match self.schedule.next(self.began.elapsed()) {
                Next::Start(node) => match self.shared.closing.opens_in() {
                    None => self.start(node).await?,
                    Some(wait) => self.wait_for_window(wait).await?,
                },
                Next::WaitUntil { at, node, why } => {
                    let until = self.began + at;
                    let left = until.saturating_duration_since(Instant::now());
                    let until_then = clock::now().checked_add(left).ok();
                    let why = format!("{} is next, {why}", self.nodes[node].name());
                    self.shared.log.pause(Some(Pause { why, until: until_then }));
                    let woken = self.wait(Some(until)).await;
                    self.wake(woken)?;
                }
                Next::WaitForNode { why } => {
                    let name = why.node().map(|node| format!(": {}", self.nodes[node].name()));
                    let why = format!("{why}{}", name.unwrap_or_default());
                    self.shared.log.pause(Some(Pause { why, until: None }));
                    let woken = self.wait(None).await;
                    self.wake(woken)?;
                }
                Next::Ask => self.ask().await?,
                Next::Stopped(why) => return self.end(self.stop_text(why)),
                Next::Finished => {
                    if !std::mem::take(&mut may_retry) || !self.retry_down().await {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Before its first turn a run waits for its window; after that, a window that has closed ends
    /// it: what is left is for the next run.
    async fn wait_for_window(&mut self, wait: Duration) -> Result<(), JournalError> {
        let window = self.shared.closing.window().map(|window| window.to_string());
        let window = window.unwrap_or_default();
        if self.has_begun {
            return self.end(format!("the window {window} is closed"));
        }
        let why = format!("the window {window} is closed");
        let until = clock::now().checked_add(wait).ok();
        self.shared.log.pause(Some(Pause { why, until }));
        // A clock may be set meanwhile, so it is looked at again.
        let woken = self.wait(Some(Instant::now() + wait.min(LOOK_AGAIN))).await;
        self.wake(woken)
    }

    fn stop_text(&self, why: Stop) -> String {
        match why {
            Stop::Failures { .. } | Stop::Unreachable { .. } => why.to_string(),
            Stop::Canary { node } => format!("{why}: {}", self.nodes[node].name()),
        }
    }

    fn is_ending(&self) -> bool {
        self.ending.is_some() || self.is_interrupted
    }

    /// Starts a node's turn when the ring lets it.
    async fn start(&mut self, node: usize) -> Result<(), JournalError> {
        self.shared.log.pause(None);
        let witnesses = self.witnesses(Some(node));
        let shared = Arc::clone(&self.shared);
        let mut gate = std::pin::pin!(shared.gate.pass(&witnesses));
        loop {
            let passed = tokio::select! {
                // The operator first: a gate that opens at this moment starts nothing any more.
                biased;
                () = stopped(&mut self.stop) => return self.interrupt(),
                Some((node, ended)) = next_turn(&mut self.jobs, &self.tasks, &self.nodes) => {
                    self.take(node, ended)?;
                    continue;
                }
                passed = &mut gate => passed,
            };
            if let Err(why) = passed {
                return self.end(why);
            }
            break;
        }
        // A turn that ended meanwhile may have stopped the run.
        let now = self.began.elapsed();
        if self.schedule.next(now) != Next::Start(node) {
            return Ok(());
        }
        self.shared.log.write(What::TurnBegun { node: self.nodes[node].name().to_owned() })?;
        self.schedule.started(node, now);
        self.has_begun = true;
        let (shared, entry) = (Arc::clone(&self.shared), self.nodes[node].clone());
        let is_canary = self.canary.contains(&node);
        let job = async move { (node, turn(&shared, &entry, is_canary).await) };
        let task = self.jobs.spawn(job);
        self.tasks.insert(task.id(), node);
        Ok(())
    }

    /// Nodes to ask for the ring: those that are done with first, which were seen to be well.
    fn witnesses(&self, next: Option<usize>) -> Vec<NodeSpec> {
        let rank = |(at, entry): &(usize, &Entry)| {
            let is_done = self
                .shared
                .log
                .look(|fleet| fleet.rows.get(*at).is_some_and(|row| row.outcome().is_fine()));
            (entry.down, Some(*at) == next, !is_done)
        };
        let mut all: Vec<(usize, &Entry)> = self.nodes.iter().enumerate().collect();
        all.sort_by_cached_key(rank);
        // The node that is next comes last: it may be the one that is not well.
        let (last, first): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(at, entry)| Some(*at) == next || entry.down);
        let specs = |nodes: Vec<(usize, &Entry)>| {
            nodes.into_iter().map(|(_, entry)| entry.spec.clone()).collect::<Vec<_>>()
        };
        [specs(first), self.others.clone(), specs(last)].concat()
    }

    async fn wait(&mut self, until: Option<Instant>) -> Woken {
        let sleep = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stopped(&mut self.stop) => Woken::Stop,
            Some((node, ended)) = next_turn(&mut self.jobs, &self.tasks, &self.nodes) => {
                Woken::Turn(node, Box::new(ended))
            }
            () = sleep => Woken::Time,
        }
    }

    fn wake(&mut self, woken: Woken) -> Result<(), JournalError> {
        match woken {
            Woken::Turn(node, ended) => self.take(node, *ended),
            Woken::Stop => self.interrupt(),
            Woken::Time => Ok(()),
        }
    }

    async fn next_turn(&mut self) -> Option<(usize, Ended)> {
        next_turn(&mut self.jobs, &self.tasks, &self.nodes).await
    }

    /// Takes in the end of a turn.
    fn take(&mut self, node: usize, ended: Ended) -> Result<(), JournalError> {
        let ending = ending_of(&ended, &self.shared.job, self.canary.contains(&node));
        let was_canary_open = !self.canary.is_empty() && !self.has_canary_passed();
        let written = self.shared.log.write(What::Ended(Box::new(ended)));
        self.schedule.ended(node, ending, self.began.elapsed());
        if was_canary_open && self.has_canary_passed() {
            self.shared.log.write(What::CanaryPassed)?;
        }
        written
    }

    /// Whether every canary has ended well.
    fn has_canary_passed(&self) -> bool {
        self.shared
            .log
            .look(|fleet| self.canary.iter().all(|node| fleet.rows[*node].is_fine_and_proven()))
    }

    async fn ask(&mut self) -> Result<(), JournalError> {
        let left = self.shared.log.look(|fleet| {
            fleet.rows.iter().filter(|row| row.outcome() == Outcome::NotStarted).count()
        });
        let Some(question) = self.question.clone() else {
            return self.end(
                "the canary is done and fine; nobody is there to say go on: resume does".into(),
            );
        };
        let nodes = crate::human::count(left as u64, "node");
        self.shared.log.pause(None);
        let answer = question(format!("The canary is fine. Go on with the other {nodes}?"));
        tokio::select! {
            yes = answer => match yes {
                true => self.schedule.go_on(),
                false => return self.end("the operator did not go on after the canary".into()),
            },
            () = stopped(&mut self.stop) => return self.interrupt(),
        }
        Ok(())
    }

    /// Takes the nodes again that were down or could not be reached. Returns whether there are any.
    async fn retry_down(&mut self) -> bool {
        let ring = self.shared.gate.ring_now(&self.witnesses(None)).await;
        let again: Vec<usize> = self.shared.log.look(|fleet| {
            let is_still_down = |row: &crate::fleet::Row| {
                let members = ring.iter().flat_map(|ring| &ring.members);
                let mut its = members.filter(|member| member.address == row.entry.place.address);
                its.any(resume::is_down)
            };
            let is_again = |row: &crate::fleet::Row| match &row.end {
                None => row.entry.down && !is_still_down(row),
                Some(end) => end.unreachable,
            };
            let rows = fleet.rows.iter().enumerate();
            rows.filter(|(_, row)| is_again(row)).map(|(at, _)| at).collect()
        });
        for node in &again {
            self.schedule.retry(*node);
        }
        !again.is_empty()
    }

    fn end(&mut self, why: String) -> Result<(), JournalError> {
        self.ending = Some(why.clone());
        self.shared.log.write(What::Stopped { why })
    }

    fn interrupt(&mut self) -> Result<(), JournalError> {
        self.is_interrupted = true;
        self.shared.log.write(What::Interrupted)
    }
}

/// Returns the next turn that ends; `None` when none is under way.
async fn next_turn(
    jobs: &mut JoinSet<(usize, Ended)>,
    tasks: &std::collections::HashMap<Id, usize>,
    nodes: &[Entry],
) -> Option<(usize, Ended)> {
    match jobs.join_next_with_id().await? {
        Ok((_, done)) => Some(done),
        Err(error) => Some(panicked(&error, tasks, nodes)),
    }
}

/// A turn that panicked is a fault of ours: what it did is not known, and the run goes on.
fn panicked(
    error: &JoinError,
    tasks: &std::collections::HashMap<Id, usize>,
    nodes: &[Entry],
) -> (usize, Ended) {
    let node = tasks.get(&error.id()).copied().unwrap_or_default();
    let ended = Ended::new(nodes[node].name(), Outcome::Unsure);
    (node, ended.because("a fault in ringhaul ended its turn; please report it"))
}

/// What the end of a turn means to the schedule.
fn ending_of(ended: &Ended, job: &Job, is_canary: bool) -> Ending {
    let is_unproven = matches!(job, Job::Verify(_))
        && ended.proven.as_ref().is_some_and(|proven| proven.verdict != ProofVerdict::Proven);
    match ended.outcome {
        _ if ended.unreachable => Ending::Unreachable,
        Outcome::Done | Outcome::NothingToDo if is_canary && is_unproven => Ending::Failed,
        Outcome::Done | Outcome::NothingToDo => Ending::Fine,
        // It was told to leave the rest, and so are the others.
        Outcome::Partly => Ending::Fine,
        Outcome::Refused | Outcome::Failed | Outcome::Unsure | Outcome::NotStarted => {
            Ending::Failed
        }
    }
}
