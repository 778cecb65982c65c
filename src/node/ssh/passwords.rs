//! Passwords of logins: asked for once for the fleet, and never tried again once refused.
//!
//! Directories lock an account after a few wrong passwords, and a fleet would try one on a
//! hundred nodes at the same time. So a password is tried at one node first; when that has taken
//! it, all others use it at once; when one refuses it, nobody tries it any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use super::settings::Settings;
use crate::node::secret::{Ask, ExposeSecret, Question, SecretString};
use crate::text::one_line;

/// Passwords that are asked for in a run, for one login name.
const QUESTIONS: usize = 3;

/// Tries that may end without an answer of the server before a password is given up: it may have
/// been refused each time.
const UNANSWERED: usize = 3;

/// A password longer than this is none that sshd takes.
const LONGEST: usize = 1024;

/// Why there is no answer when the task that asked broke.
pub(super) const PROMPT_FAILED: &str = "the prompt failed";

/// Asks the operator, one question at a time: two prompts at once would mix on the terminal.
#[derive(Clone)]
pub(super) struct Asking {
    ask: Option<Ask>,
    prompt: Arc<tokio::sync::Mutex<()>>,
}

impl Asking {
    pub(super) fn new(ask: Option<Ask>) -> Self {
        Self { ask, prompt: Arc::default() }
    }

    /// Returns whether there is anybody to ask.
    pub(super) fn is_possible(&self) -> bool {
        self.ask.is_some()
    }

    /// Runs `questions` while nobody else asks. The operator may take minutes.
    ///
    /// Returns none when they broke.
    pub(super) async fn alone<T: Send + 'static>(
        &self,
        questions: impl FnOnce(Option<&Ask>) -> T + Send + 'static,
    ) -> Option<T> {
        let prompt = Arc::clone(&self.prompt).lock_owned().await;
        let ask = self.ask.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _prompt = prompt;
            questions(ask.as_ref())
        });
        task.await.ok()
    }
}

/// The passwords of a run.
pub(super) struct Passwords {
    asking: Asking,
    slots: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<Slot>>>>,
}

/// Who has a password of their own: a login name on the nodes, and on each jump host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    user: String,
    jump: Option<String>,
}

/// What is known of one password. No Debug: it holds it.
#[derive(Default)]
struct Slot {
    /// The password in use.
    secret: Option<SecretString>,
    /// Counts the passwords, so that a verdict on an old one does not hit the new one.
    turn: usize,
    /// Whether a server has taken it.
    proven: bool,
    unanswered: usize,
    refused: Vec<SecretString>,
    /// Who refused the last one, in words.
    refusal: String,
    questions: usize,
    /// Why nobody is asked any more.
    over: Option<String>,
}

/// A password on its way to a server. While it is not proven, it keeps all others waiting.
pub(super) struct Trial {
    secret: SecretString,
    turn: usize,
    slot: Arc<tokio::sync::Mutex<Slot>>,
    held: Option<OwnedMutexGuard<Slot>>,
}

impl Passwords {
    pub(super) fn new(asking: Asking) -> Self {
        Self { asking, slots: Mutex::default() }
    }

    /// Returns the password for a login, when it may be tried; waits while another node tries it.
    ///
    /// # Errors
    /// Says why there is none; the same for everybody who wants it later.
    pub(super) async fn trial(&self, settings: &Settings) -> Result<Trial, String> {
        let key =
            Key { user: settings.user.clone(), jump: settings.is_jump.then(|| settings.address()) };
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(key).or_default())
        };
        let mut held = Arc::clone(&slot).lock_owned().await;
        if held.secret.is_none() {
            held = self.ask(held, settings).await?;
        }
        if let Some(why) = &held.over {
            return Err(why.clone());
        }
        let secret = held.secret.clone().ok_or(PROMPT_FAILED)?;
        let turn = held.turn;
        let held = (!held.proven).then_some(held);
        Ok(Trial { secret, turn, slot, held })
    }

    /// Asks for a password. The answer is kept even if the login that asked is given up.
    async fn ask(
        &self,
        mut slot: OwnedMutexGuard<Slot>,
        settings: &Settings,
    ) -> Result<OwnedMutexGuard<Slot>, String> {
        if let Some(why) = &slot.over {
            return Err(why.clone());
        }
        let asking = self.asking.clone();
        let (user, host) = (settings.user.clone(), shown(settings));
        let task = tokio::spawn(async move {
            let question = move |ask: Option<&Ask>| {
                ask.and_then(|ask| ask(&Question::Password { user: &user, host: &host }))
            };
            let answer = asking.alone(question).await.flatten();
            slot.answered(answer);
            slot
        });
        task.await.map_err(|_| PROMPT_FAILED.to_owned())
    }
}

/// The host as the operator calls it.
pub(super) fn shown(settings: &Settings) -> String {
    one_line(settings.name.as_bytes(), 80)
}

impl Slot {
    fn answered(&mut self, answer: Option<SecretString>) {
        self.questions += 1;
        self.turn += 1;
        self.proven = false;
        self.unanswered = 0;
        let Some(secret) = answer.filter(|secret| secret.expose_secret().len() <= LONGEST) else {
            self.over = Some(match self.refused.len() {
                0 => "none was given".into(),
                _ => format!("{}, and no other was given", self.refusal),
            });
            return;
        };
        // A descriptor has nothing else to say.
        let same = |refused: &SecretString| refused.expose_secret() == secret.expose_secret();
        if self.refused.iter().any(same) {
            self.over = Some(format!("{}, it is not tried again", self.refusal));
            return;
        }
        self.secret = Some(secret);
    }

    fn give_up(&mut self, refusal: String) {
        self.refused.extend(self.secret.take());
        if self.questions >= QUESTIONS {
            self.over = Some(format!("{refusal}, the last of {QUESTIONS}"));
        }
        self.refusal = refusal;
    }
}

impl Trial {
    pub(super) fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// Whether a server has taken the password before.
    pub(super) fn is_proven(&self) -> bool {
        self.held.is_none()
    }

    /// The server took it: all may use it.
    pub(super) async fn accepted(self) {
        let turn = self.turn;
        let mut slot = self.into_slot().await;
        if slot.turn == turn && slot.secret.is_some() {
            slot.proven = true;
            slot.unanswered = 0;
        }
    }

    /// The server refused it: nobody tries it any more.
    pub(super) async fn refused(self, settings: &Settings) {
        let turn = self.turn;
        let mut slot = self.into_slot().await;
        if slot.turn == turn && slot.secret.is_some() {
            slot.give_up(format!("{} refused it", shown(settings)));
        }
    }

    /// The server did not say: it may have refused it.
    pub(super) async fn unanswered(self) {
        let turn = self.turn;
        let mut slot = self.into_slot().await;
        if slot.turn == turn && slot.secret.is_some() && !slot.proven {
            slot.unanswered += 1;
            if slot.unanswered >= UNANSWERED {
                slot.give_up(format!("{UNANSWERED} servers did not answer to it"));
            }
        }
    }

    async fn into_slot(self) -> OwnedMutexGuard<Slot> {
        match self.held {
            Some(held) => held,
            None => self.slot.lock_owned().await,
        }
    }
}

#[cfg(test)]
#[path = "passwords_tests.rs"]
mod tests;
