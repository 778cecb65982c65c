//! The passwords for other rights, each asked of the operator once, and which of them is given to
//! no further node.
//!
//! Accounts of a directory are the same on all nodes, and are locked after a few wrong passwords.
//! So one node alone is given a new one, and the others once it was right there. A wrong one is
//! asked for again, `ANSWERS` times in a run; one that was right on a node and wrong on another is
//! most likely the other's own affair: it is not asked for again, and given up after `REFUSALS`.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::node::NodeError;
use crate::node::secret::{Ask, ExposeSecret as _, Question, SecretString};

/// How often the operator is asked, as sudo itself asks.
const ANSWERS: usize = 3;

/// How many nodes may refuse a password that others took.
const REFUSALS: usize = 3;

/// A password that may be given to nodes.
pub(super) struct Given {
    pub(super) secret: SecretString,
    /// It was right on a node and is not any more: somebody changed it.
    is_spent: AtomicBool,
}

/// What a node made of a password.
pub(super) enum Tried {
    /// It is the one.
    Right,
    /// It is not.
    Wrong { problem: String, fix: String },
    /// Whether it is the one or not, sudo does not give the rights.
    Refused { problem: String, fix: String },
}

/// All passwords of a run: that of all nodes, and those of single ones.
pub(super) struct Passwords {
    ask: Option<Ask>,
    states: Mutex<HashMap<Option<String>, Arc<tokio::sync::Mutex<State>>>>,
}

/// What is known of one password. It is locked while a node is given one that none took so far.
#[derive(Default)]
struct State {
    given: Option<Arc<Given>>,
    is_proven: bool,
    answers: usize,
    refusals: usize,
    /// The last one that was wrong, and where. The same answer again is a descriptor's, or no use.
    wrong: Option<(Arc<Given>, String)>,
}

impl Given {
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Relaxed)
    }

    pub(super) fn spend(&self) {
        self.is_spent.store(true, Ordering::Relaxed);
    }
}

impl Passwords {
    pub(super) fn new(ask: Option<Ask>) -> Self {
        Self { ask, states: Mutex::default() }
    }

    /// Returns the password for `node`, which took it when `tried` gave it to it. `own` is the node
    /// that has one of its own.
    ///
    /// # Errors
    /// Why there is none for this node; and those of `tried`.
    pub(super) async fn get<F>(
        &self,
        own: Option<&str>,
        node: &str,
        tried: impl Fn(Arc<Given>) -> F,
    ) -> Result<Arc<Given>, NodeError>
    where
        F: Future<Output = Result<Tried, NodeError>>,
    {
        let state = {
            let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(states.entry(own.map(str::to_owned)).or_default())
        };
        let mut locked = Arc::clone(&state).lock_owned().await;
        loop {
            if locked.is_proven {
                let given = locked.usable()?;
                drop(locked);
                return taken_elsewhere(&state, given, tried).await;
            }
            if locked.given.is_none() {
                locked = self.asked(locked, own).await?;
            }
            let given = locked.usable()?;
            match tried(Arc::clone(&given)).await? {
                Tried::Right => {
                    locked.is_proven = true;
                    locked.wrong = None;
                    return Ok(given);
                }
                Tried::Wrong { problem, fix } => {
                    locked.given = None;
                    locked.wrong = Some((given, node.to_owned()));
                    // The operator who typed it is asked again; anybody else has had their say.
                    if locked.answers >= ANSWERS {
                        return Err(NodeError::Rights { problem, fix });
                    }
                }
                Tried::Refused { problem, fix } => return Err(NodeError::Rights { problem, fix }),
            }
        }
    }

    /// Asks the operator. The answer is kept even if whoever asks is given up meanwhile.
    async fn asked(
        &self,
        mut state: OwnedMutexGuard<State>,
        own: Option<&str>,
    ) -> Result<OwnedMutexGuard<State>, NodeError> {
        if state.answers >= ANSWERS {
            return Err(state.given_up());
        }
        let Some(ask) = self.ask.clone() else { return Err(nobody()) };
        let own = own.map(str::to_owned);
        let task = tokio::task::spawn_blocking(move || {
            let again = state.wrong.as_ref().map(|(_, node)| node.as_str());
            let answer = ask(&Question::Become { host: own.as_deref(), again });
            state.answers += 1;
            let is_same = |answer: &SecretString| {
                let wrong = state.wrong.as_ref().map(|(wrong, _)| wrong.secret.expose_secret());
                wrong == Some(answer.expose_secret())
            };
            match answer {
                Some(answer) if is_same(&answer) => state.answers = ANSWERS,
                Some(secret) => {
                    state.given =
                        Some(Arc::new(Given { secret, is_spent: AtomicBool::new(false) }));
                }
                None => state.answers = ANSWERS,
            }
            state
        });
        let Ok(state) = task.await else { return Err(nobody()) };
        if state.given.is_none() {
            return Err(state.given_up());
        }
        Ok(state)
    }
}

/// Gives a node a password that another one took.
async fn taken_elsewhere<F>(
    state: &tokio::sync::Mutex<State>,
    given: Arc<Given>,
    tried: impl Fn(Arc<Given>) -> F,
) -> Result<Arc<Given>, NodeError>
where
    F: Future<Output = Result<Tried, NodeError>>,
{
    let (problem, fix) = match tried(Arc::clone(&given)).await? {
        Tried::Right => return Ok(given),
        Tried::Refused { problem, fix } => (problem, fix),
        Tried::Wrong { problem, fix } => {
            state.lock().await.refusals += 1;
            (format!("{problem}, and another node for right"), fix)
        }
    };
    Err(NodeError::Rights { problem, fix })
}

impl State {
    /// Returns the password if it may be given to one more node.
    fn usable(&self) -> Result<Arc<Given>, NodeError> {
        match &self.given {
            Some(given) if self.refusals < REFUSALS && !given.is_spent() => Ok(Arc::clone(given)),
            Some(_) | None => Err(self.given_up()),
        }
    }

    fn given_up(&self) -> NodeError {
        let Some(problem) = (match &self.wrong {
            Some((_, node)) => Some(format!(
                "sudo took the password for wrong at {}: no further node is given it",
                crate::text::one_line(node.as_bytes(), 80)
            )),
            None if self.given.is_some() => Some(format!(
                "sudo took the password for wrong on {REFUSALS} nodes: no further one is given it"
            )),
            None => None,
        }) else {
            return nobody();
        };
        let fix = "give the right one; nodes with one of their own need become: {password: own}";
        NodeError::Rights { problem, fix: fix.to_owned() }
    }
}

fn nobody() -> NodeError {
    NodeError::Rights {
        problem: "sudo asks for a password, and nobody is there to give it".to_owned(),
        fix: "run it on a terminal, or with --become-password-fd 3 3<FILE; `ringhaul sudoers` \
              prints rules without a password"
            .to_owned(),
    }
}
