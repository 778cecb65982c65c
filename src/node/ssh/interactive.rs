//! Logs in with what the operator knows: a password, or answers to what the server asks.

use russh::MethodKind;
use russh::client::{AuthResult, KeyboardInteractiveAuthResponse as Reply, Prompt};
use tokio::time::Instant;

use super::auth::{Login, Step, timed};
use super::passwords::{Trial, shown};
use crate::node::NodeError;
use crate::node::secret::{Ask, ExposeSecret, Question, asks_for_password};
use crate::text::one_line;

/// Rounds of questions in one login. PAM needs three: password, code, its own last words.
const ROUNDS: usize = 5;

/// Questions in one round.
const PROMPTS: usize = 8;

/// Logins that may fail over a mistyped code, as OpenSSH's `NumberOfPasswordPrompts`.
const TRIES: usize = 3;

/// Characters of a server's question that are shown.
const QUESTION_SHOWN: usize = 300;

/// russh waits for answers that will not come: nothing else can be tried on this line.
const UNFINISHED: Step = Step::Over;

/// What one round of questions asks for.
struct Round<'a> {
    name: &'a str,
    instructions: &'a str,
    prompts: &'a [Prompt],
}

/// What was answered so far in one login.
#[derive(Default)]
struct Answered {
    /// The shared password, while the server has not judged it.
    trial: Option<Trial>,
    /// Something else was, which may have been wrong as well.
    others: bool,
}

impl Login<'_> {
    /// Sends the password.
    pub(super) async fn password(&mut self) -> Result<Step, NodeError> {
        while self.takes(MethodKind::Password) {
            let Some(trial) = self.trial("password").await? else { return Ok(Step::Next) };
            let secret = trial.secret().expose_secret().to_owned();
            let login = self.handle.authenticate_password(&self.settings.user, secret);
            let result = timed(&mut self.left, self.limit, login).await;
            let answer = match result {
                Ok(answer) => answer.map_err(|_| ()),
                Err(timed_out) => {
                    trial.unanswered().await;
                    return Err(timed_out);
                }
            };
            let step = self.judge(answer, String::new());
            self.verdict(trial, step, "password").await;
            if step != Step::Next {
                return Ok(step);
            }
        }
        Ok(Step::Next)
    }

    /// Returns the password to try; none, with a note, when there is none.
    async fn trial(&mut self, way: &str) -> Result<Option<Trial>, NodeError> {
        let start = Instant::now();
        let trial = self.keyring.passwords.trial(self.settings).await;
        self.waited_since(start);
        // A password is not sent into a line that is gone: it would count as tried.
        if let Some(lost) = self.gone() {
            return Err(lost);
        }
        match trial {
            Ok(trial) => Ok(Some(trial)),
            Err(why) => {
                self.notes.push(format!("{way}: {why}"));
                Ok(None)
            }
        }
    }

    /// Tells all others what became of a password.
    async fn verdict(&mut self, trial: Trial, step: Step, way: &str) {
        match step {
            Step::In => trial.accepted().await,
            Step::Partly => {
                self.notes.push(format!("{way}: taken, but not enough"));
                trial.accepted().await;
            }
            Step::Next => {
                self.notes.push(format!("{way}: refused"));
                trial.refused(self.settings).await;
            }
            Step::Over if self.had_enough() => trial.refused(self.settings).await,
            Step::Over => trial.unanswered().await,
        }
    }

    /// Answers what the server asks.
    pub(super) async fn interactive(&mut self) -> Result<Step, NodeError> {
        let mut tries = 0;
        while self.takes(MethodKind::KeyboardInteractive) && tries < TRIES {
            tries += 1;
            let mut answered = Answered::default();
            let result = self.conversation(&mut answered).await;
            let Ok(step) = result else {
                if let Some(trial) = answered.trial {
                    trial.unanswered().await;
                }
                return result;
            };
            // Which of several answers was wrong is not said; a password that others took was not.
            let blameless =
                |trial: &Trial| step == Step::Next && answered.others && trial.is_proven();
            let asked = answered.others || answered.trial.is_some();
            match answered.trial {
                Some(trial) if !blameless(&trial) => {
                    self.verdict(trial, step, "keyboard-interactive").await;
                }
                _ if step == Step::Next => self.notes.push("keyboard-interactive: refused".into()),
                _ => {}
            }
            if step != Step::Next || !asked {
                return Ok(step);
            }
        }
        Ok(Step::Next)
    }

    /// One login from its start to the server's verdict.
    async fn conversation(&mut self, answered: &mut Answered) -> Result<Step, NodeError> {
        let user = &self.settings.user;
        let start = self.handle.authenticate_keyboard_interactive_start(user, None);
        let mut reply = timed(&mut self.left, self.limit, start).await?;
        for _ in 0..=ROUNDS {
            let (name, instructions, prompts) = match reply {
                Ok(Reply::InfoRequest { name, instructions, prompts }) => {
                    (name, instructions, prompts)
                }
                Ok(Reply::Success) => return Ok(self.judge(Ok(AuthResult::Success), String::new())),
                Ok(Reply::Failure { remaining_methods, partial_success }) => {
                    let failure = AuthResult::Failure { remaining_methods, partial_success };
                    return Ok(self.judge(Ok(failure), String::new()));
                }
                Err(_) => return Ok(Step::Over),
            };
            let round = Round { name: &name, instructions: &instructions, prompts: &prompts };
            let Some(answers) = self.answers(&round, answered).await? else {
                return Ok(UNFINISHED);
            };
            let respond = self.handle.authenticate_keyboard_interactive_respond(answers);
            reply = timed(&mut self.left, self.limit, respond).await?;
        }
        self.notes.push("keyboard-interactive: the server does not stop asking".into());
        Ok(UNFINISHED)
    }

    /// Returns the answers to a round; none, with a note, when there are none to give.
    async fn answers(
        &mut self,
        round: &Round<'_>,
        answered: &mut Answered,
    ) -> Result<Option<Vec<String>>, NodeError> {
        if round.prompts.len() > PROMPTS {
            self.notes.push(format!(
                "keyboard-interactive: the server asks {} questions at once",
                round.prompts.len()
            ));
            return Ok(None);
        }
        let mut answers = Vec::new();
        for (index, prompt) in round.prompts.iter().enumerate() {
            let asked = one_line(prompt.prompt.as_bytes(), QUESTION_SHOWN);
            if wants_new_password(prompt) {
                self.notes.push(format!(
                    "keyboard-interactive: the password has expired (\"{asked}\"): \
                     log in with ssh and change it"
                ));
                return Ok(None);
            }
            let answer = if !prompt.echo && asks_for_password(&prompt.prompt) {
                self.shared_password(answered).await?
            } else {
                answered.others = true;
                self.ask_operator(round, index, asked).await
            };
            match answer {
                Some(answer) => answers.push(answer),
                None => return Ok(None),
            }
        }
        Ok(Some(answers))
    }

    /// The password of the fleet. A server that asks for it again has refused it.
    async fn shared_password(
        &mut self,
        answered: &mut Answered,
    ) -> Result<Option<String>, NodeError> {
        if let Some(refused) = answered.trial.take() {
            self.notes.push("keyboard-interactive: refused".into());
            refused.refused(self.settings).await;
        }
        let trial = self.trial("keyboard-interactive").await?;
        let secret = trial.as_ref().map(|trial| trial.secret().expose_secret().to_owned());
        answered.trial = trial;
        Ok(secret)
    }

    /// Asks what only the operator can answer, for this node alone.
    async fn ask_operator(
        &mut self,
        round: &Round<'_>,
        index: usize,
        asked: String,
    ) -> Option<String> {
        let echo = round.prompts.get(index).is_some_and(|prompt| prompt.echo);
        // What the server has to say beside its questions stands before the first of them.
        let before = match index {
            0 => format!("{}\n{}", round.name, round.instructions),
            _ => String::new(),
        };
        let text = one_line(format!("{before}\n{asked}").as_bytes(), QUESTION_SHOWN);
        let (user, host) = (self.settings.user.clone(), shown(self.settings));
        let question = move |ask: Option<&Ask>| {
            let question = Question::Prompt { user: &user, host: &host, text: &text, echo };
            ask.and_then(|ask| ask(&question))
        };
        let start = Instant::now();
        let answer = self.keyring.asking.alone(question).await.flatten();
        self.waited_since(start);
        if answer.is_none() {
            self.notes.push(format!("keyboard-interactive: nobody answered \"{asked}\""));
        }
        answer.map(|answer| answer.expose_secret().to_owned())
    }
}

/// Whether the server wants another password in place of the old one, which nobody gave us.
fn wants_new_password(prompt: &Prompt) -> bool {
    let text = prompt.prompt.to_lowercase();
    !prompt.echo
        && text.contains("password")
        && ["new ", "current ", "retype ", "old "].iter().any(|word| text.contains(word))
}
