//! A lock on a node that lives as long as our line does: the node itself ends it when the line
//! dies, so that two controllers never change a node at once.

use std::future::pending;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::ssh::chance::about;
use super::ticket::{Answer, Reader, plain};
use super::{Command, Ended, Exit, Node, NodeError, Stage, catalog};
use crate::cassandra::fact::{Why, WhyKind};

pub use super::ticket::{HeldBy, Holder, Terms};

/// The pause between two attempts while somebody else has the node.
const RETRY: Duration = Duration::from_secs(1);

/// How long a node may take to answer: the script starts a dozen small programs.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// How long a release waits for the node. It holds as soon as it is read there.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);

/// Why a node is not ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Somebody else's run has it.
    #[error("locked by {0}")]
    Held(HeldBy),
    /// There can be no lock on this node: no place for tickets, one session a connection.
    #[error("cannot be locked: {0}")]
    Refused(Why),
    /// The line's own fault.
    #[error(transparent)]
    Line(#[from] NodeError),
}

/// How the holder on the node ended, once it has.
type End = Option<Result<Ended, NodeError>>;

/// A node that is ours. Dropping it without a release is what a dying line is: the node stays
/// taken for the time that a command under way may need.
#[derive(Debug)]
pub struct Lock {
    release: Option<oneshot::Sender<()>>,
    end: watch::Receiver<End>,
    task: JoinHandle<()>,
}

/// Takes the node for `holder`, waiting up to `patience` for those before.
///
/// `on_wait` hears who has the node, and again when that changes.
///
/// # Errors
/// Somebody else has the node, there can be no lock on it, or the line failed.
pub async fn take<N: Node>(
    node: Arc<N>,
    terms: &Terms,
    holder: &Holder<'_>,
    patience: Duration,
    on_wait: &mut (dyn FnMut(&HeldBy) + Send),
) -> Result<Lock, LockError> {
    if plain(holder.run) != holder.run {
        let text = format!("the run's id cannot stand in a ticket: {}", holder.run);
        return Err(LockError::Refused(Why::new(WhyKind::Local, text)));
    }
    let command = catalog::lock(holder, terms);
    let begun = Instant::now();
    let mut told: Option<HeldBy> = None;
    loop {
        let by = match attempt(&node, &command, terms.beat).await {
            Err(LockError::Held(by)) => by,
            other => return other,
        };
        if !told.as_ref().is_some_and(|told| is_same(told, &by)) {
            on_wait(&by);
        }
        // Two who met gave way to each other; they must not come back together.
        let pause = about(RETRY);
        if begun.elapsed() + pause > patience {
            return Err(LockError::Held(by));
        }
        told = Some(by);
        sleep(pause).await;
    }
}

fn is_same(one: &HeldBy, other: &HeldBy) -> bool {
    HeldBy { age: 0, ..one.clone() } == HeldBy { age: 0, ..other.clone() }
}

async fn attempt<N: Node>(
    node: &Arc<N>,
    command: &Command,
    beat: Duration,
) -> Result<Lock, LockError> {
    let (answered, answer) = oneshot::channel();
    let mut lock = Lock::begin(Arc::clone(node), command.clone(), beat, answered);
    match timeout(ANSWER_LIMIT, answer).await {
        Ok(Ok(Answer::Held)) => Ok(lock),
        Ok(Ok(Answer::Blocked(by))) => {
            lock.let_go().await;
            Err(LockError::Held(by))
        }
        Ok(Ok(Answer::Refused(said))) => {
            lock.let_go().await;
            Err(LockError::Refused(Why::new(WhyKind::NotPermitted, said)))
        }
        Ok(Err(_)) => Err(match lock.ended().await {
            Some(Err(error @ NodeError::NoCommand { .. })) => LockError::Refused(no_command(error)),
            Some(Err(error)) => LockError::Line(error),
            end @ (Some(Ok(_)) | None) => LockError::Refused(why(end)),
        }),
        Err(_) => {
            let stage = Stage::Command;
            Err(LockError::Line(NodeError::TimedOut { stage, after: ANSWER_LIMIT }))
        }
    }
}

fn no_command(error: NodeError) -> Why {
    let text = error.to_string();
    let why = Why::from(error);
    if text.contains("MaxSessions") {
        return why.with_fix("set MaxSessions of the node's sshd_config to 1 or more");
    }
    why
}

/// Says why the holder on the node ended.
fn why(end: End) -> Why {
    match end {
        Some(Err(error)) => Why::from(error),
        Some(Ok(Ended { exit, stderr })) => {
            let said = crate::text::one_line(&stderr, 200);
            let said = if said.is_empty() { exit_text(&exit) } else { said };
            Why::new(WhyKind::Lost, format!("the lock's script on the node ended: {said}"))
        }
        None => Why::new(WhyKind::Local, "the task that holds the lock broke off"),
    }
}

fn exit_text(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit {code}"),
        Exit::Signal(name) => format!("signal {name}"),
    }
}

impl Lock {
    /// Starts the holder, whose answer comes through `answered`.
    fn begin<N: Node>(
        node: Arc<N>,
        command: Command,
        beat: Duration,
        answered: oneshot::Sender<Answer>,
    ) -> Self {
        let (release, released) = oneshot::channel();
        let (ended, end) = watch::channel(None);
        let task = tokio::spawn(async move {
            let (mut reader, mut answered) = (Reader::default(), Some(answered));
            let mut sink = |piece: &[u8]| {
                if answered.is_some()
                    && let Some(answer) = reader.take(piece)
                    && let Some(answered) = answered.take()
                {
                    // Nobody waits any more: the task is about to be ended.
                    let _ = answered.send(answer);
                }
                ControlFlow::Continue(())
            };
            // Only a release that was said is one: the lock may as well have been dropped.
            let enough = async {
                if released.await.is_err() {
                    pending::<()>().await;
                }
            };
            let end = node.hold(&command, beat, enough, &mut sink).await;
            ended.send_replace(Some(end));
        });
        Self { release: Some(release), end, task }
    }

    /// Releases the node, and waits a moment for it to say so.
    pub async fn release(mut self) {
        self.let_go().await;
    }

    async fn let_go(&mut self) {
        if let Some(release) = self.release.take() {
            let _ = release.send(());
        }
        let _ = timeout(RELEASE_LIMIT, self.ended()).await;
    }

    /// Whether the holder on the node has ended without us: the node may be another's by now.
    pub fn is_lost(&self) -> bool {
        self.end.borrow().is_some() || self.task.is_finished()
    }

    /// Resolves when the holder on the node has ended without us, and says why.
    pub async fn lost(&self) -> Why {
        why(self.ended().await)
    }

    /// Waits for the holder's end; `None` when our own task broke off.
    async fn ended(&self) -> End {
        let mut end = self.end.clone();
        let end = end.wait_for(Option::is_some).await;
        end.ok().and_then(|end| end.clone())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.task.abort();
    }
}
