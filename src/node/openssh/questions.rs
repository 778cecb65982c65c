//! What ssh asks, answered by the operator through us: one prompt at a time for the whole fleet.
//!
//! ssh runs a program for each question (`SSH_ASKPASS`). That program is ringhaul itself; it hands
//! the question to the run through a socket in the private folder and prints the answer. So a
//! secret is on its way in that socket and a pipe only, and our children need no terminal: they
//! are no part of its foreground, where a Ctrl-C would end them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use crate::node::secret::{Ask, ExposeSecret as _, Question, SecretString};
use crate::node::{Endpoint, NodeError};
use crate::text::one_line;

/// Names the socket for the program that is asked.
pub const SOCKET_VARIABLE: &str = "RINGHAUL_QUESTIONS";

/// Says for which login it is asked.
pub const LOGIN_VARIABLE: &str = "RINGHAUL_LOGIN";

/// Bytes of the longest question.
const LONGEST: u64 = 4096;

/// How long the program may take to say what it is asked.
const SAID_LIMIT: Duration = Duration::from_secs(10);

/// Wrong answers after which nobody is asked any more.
const TRIES: usize = 3;

/// Answers questions of all logins.
pub(super) struct Questions {
    ask: Ask,
    /// Held while the operator types: two prompts at once would mix on the terminal.
    prompt: Arc<tokio::sync::Mutex<()>>,
    answers: Mutex<HashMap<Subject, Arc<tokio::sync::Mutex<Answer>>>>,
    logins: Mutex<HashMap<u64, Arc<Login>>>,
}

/// What one answer is good for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    /// A key file, by its path.
    Key(String),
    /// A login name on all nodes, or on one other host.
    Password(String, Option<String>),
    /// A token, by what ssh asks.
    Token(String),
}

/// What is known of one answer. No Debug: it holds it.
#[derive(Default)]
struct Answer {
    secret: Option<SecretString>,
    is_proven: bool,
    refused: Vec<SecretString>,
}

/// One login that is under way, and what it has been told.
pub(super) struct Login {
    hosts: Vec<String>,
    user: String,
    /// Questions that wait for their answer; the login's time stands still meanwhile.
    pub(super) waiting: AtomicUsize,
    /// Answers nobody has tried before. All other logins wait for what becomes of them, as
    /// directories lock an account after a few wrong passwords.
    trials: Mutex<Vec<(Subject, Option<OwnedMutexGuard<Answer>>)>>,
}

impl Questions {
    /// Begins to listen.
    ///
    /// # Errors
    /// [`NodeError::Local`] when the socket cannot be made.
    pub(super) fn listen(socket: &Path, ask: Ask) -> Result<Arc<Self>, NodeError> {
        let listener = UnixListener::bind(socket).map_err(|error| {
            let text = format!("{}: {error}", socket.display());
            NodeError::Local(one_line(text.as_bytes(), 300))
        })?;
        let questions = Arc::new(Self {
            ask,
            prompt: Arc::default(),
            answers: Mutex::default(),
            logins: Mutex::default(),
        });
        let weak = Arc::downgrade(&questions);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Some(questions) = weak.upgrade() else { return };
                tokio::spawn(async move { questions.serve(stream).await });
            }
        });
        Ok(questions)
    }

    /// Takes in a login that may ask.
    pub(super) fn begin(&self, number: u64, endpoint: &Endpoint) -> Arc<Login> {
        let hosts = [Some(&endpoint.host), endpoint.address.as_ref()];
        let login = Arc::new(Login {
            hosts: hosts.into_iter().flatten().cloned().collect(),
            user: endpoint.user.clone().unwrap_or_default(),
            waiting: AtomicUsize::new(0),
            trials: Mutex::default(),
        });
        lock(&self.logins).insert(number, Arc::clone(&login));
        login
    }

    /// Ends a login: what it tried is proven, or refused, or (`None`) neither.
    pub(super) fn end(&self, number: u64, is_in: Option<bool>) {
        let Some(login) = lock(&self.logins).remove(&number) else { return };
        for (_, trial) in lock(&login.trials).drain(..) {
            let Some(mut answer) = trial else { continue };
            match is_in {
                Some(true) => answer.is_proven = true,
                Some(false) => {
                    let refused = answer.secret.take();
                    answer.refused.extend(refused);
                }
                None => {}
            }
        }
    }

    async fn serve(&self, mut stream: UnixStream) {
        let mut text = String::new();
        let mut begin = (&mut stream).take(LONGEST);
        let said = timeout(SAID_LIMIT, begin.read_to_string(&mut text)).await;
        if !matches!(said, Ok(Ok(_))) {
            return;
        }
        let Some((number, prompt)) = text.split_once('\n') else { return };
        let login = number.parse().ok().and_then(|number| lock(&self.logins).get(&number).cloned());
        let Some(login) = login else { return };
        login.waiting.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer(&login, prompt).await;
        login.waiting.fetch_sub(1, Ordering::SeqCst);
        if let Some(answer) = answer {
            // Without the sign an empty answer would be none.
            let _ = stream.write_all(b"+").await;
            let _ = stream.write_all(answer.expose_secret().as_bytes()).await;
        }
    }

    async fn answer(&self, login: &Login, prompt: &str) -> Option<SecretString> {
        let asked = Asked::read(prompt, login);
        let Some(subject) = asked.subject(login) else {
            // A one-time code.
            return self.put(asked).await;
        };
        let is_tried = |(tried, _): &(Subject, _)| *tried == subject;
        if lock(&login.trials).iter().any(is_tried) {
            return None;
        }
        let answer = Arc::clone(lock(&self.answers).entry(subject.clone()).or_default());
        let mut answer = answer.lock_owned().await;
        if answer.secret.is_none() {
            if answer.refused.len() >= TRIES {
                return None;
            }
            let secret = self.put(asked).await?;
            // A descriptor says the same each time.
            let said = secret.expose_secret();
            if answer.refused.iter().any(|refused| refused.expose_secret() == said) {
                return None;
            }
            answer.secret = Some(secret);
        }
        let secret = answer.secret.clone();
        let trial = (!answer.is_proven).then_some(answer);
        lock(&login.trials).push((subject, trial));
        secret
    }

    async fn put(&self, asked: Asked) -> Option<SecretString> {
        let prompt = Arc::clone(&self.prompt).lock_owned().await;
        let ask = Arc::clone(&self.ask);
        let task = tokio::task::spawn_blocking(move || {
            let _prompt = prompt;
            ask(&asked.question())
        });
        task.await.ok().flatten()
    }
}

/// A question of ssh, as far as it is understood.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Passphrase(String),
    Password {
        user: String,
        host: String,
    },
    /// What a server asks.
    Server {
        user: String,
        host: String,
        text: String,
    },
    /// What ssh itself asks: the PIN of a token.
    Local {
        user: String,
        host: String,
        text: String,
    },
}

impl Asked {
    /// Reads a prompt. Before what a server asks ssh itself writes `(user@host) `, so that a
    /// server cannot ask for anything else in ssh's own words.
    fn read(prompt: &str, login: &Login) -> Self {
        let shown = |text: &str| one_line(text.as_bytes(), 300);
        let prompt = prompt.trim_end();
        if let Some(rest) = prompt.strip_prefix('(')
            && let Some((who, text)) = rest.split_once(") ")
            && let Some((user, host)) = who.rsplit_once('@')
        {
            return Self::Server { user: user.into(), host: host.into(), text: shown(text) };
        }
        if let Some(rest) = prompt.strip_prefix("Enter passphrase for ") {
            let path = rest.trim_start_matches("key ").trim_end_matches(':');
            return Self::Passphrase(path.trim_matches(['\'', '"']).to_owned());
        }
        if let Some(who) = prompt.strip_suffix("'s password:")
            && let Some((user, host)) = who.rsplit_once('@')
        {
            return Self::Password { user: user.into(), host: host.into() };
        }
        let host = login.hosts.first().cloned().unwrap_or_default();
        Self::Local { user: login.user.clone(), host, text: shown(prompt) }
    }

    fn question(&self) -> Question<'_> {
        match self {
            Self::Passphrase(path) => Question::Passphrase(Path::new(path)),
            Self::Password { user, host } => Question::Password { user, host },
            Self::Server { user, host, text } | Self::Local { user, host, text } => {
                Question::Prompt { user, host, text, echo: false }
            }
        }
    }

    /// What the answer is good for beside this question; none for a one-time code.
    fn subject(&self, login: &Login) -> Option<Subject> {
        let password = |user: &String, host: &String| {
            let other = (!login.hosts.contains(host)).then(|| host.clone());
            Some(Subject::Password(user.clone(), other))
        };
        match self {
            Self::Passphrase(path) => Some(Subject::Key(path.clone())),
            Self::Password { user, host } => password(user, host),
            Self::Server { user, host, text } => {
                let text = text.to_lowercase();
                let is_password = text.contains("password") && !text.contains("one-time");
                is_password.then(|| password(user, host)).flatten()
            }
            Self::Local { text, .. } => Some(Subject::Token(text.clone())),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        Login {
            hosts: vec!["n1".into()],
            user: "ops".into(),
            waiting: AtomicUsize::new(0),
            trials: Mutex::default(),
        }
    }

    #[test]
    fn ssh_is_understood_and_a_server_cannot_speak_for_it() {
        let login = login();
        let read = |prompt| Asked::read(prompt, &login);
        let passphrase = read("Enter passphrase for key '/home/o/.ssh/id': ");
        assert_eq!(passphrase, Asked::Passphrase("/home/o/.ssh/id".into()));
        let password = read("ops@n1's password: ");
        assert_eq!(password, Asked::Password { user: "ops".into(), host: "n1".into() });
        let subject = Subject::Password("ops".into(), None);
        assert_eq!(password.subject(&login), Some(subject));
        let elsewhere = read("ops@bastion's password: ").subject(&login);
        assert_eq!(elsewhere, Some(Subject::Password("ops".into(), Some("bastion".into()))));

        let lie = read("(ops@n1) Enter passphrase for key '/home/o/.ssh/id': ");
        assert!(matches!(lie, Asked::Server { .. }), "{lie:?}");
        assert_eq!(lie.subject(&login), None);
        let pin = read("Enter PIN for ED25519-SK key SHA256:abc: ");
        assert!(matches!(pin, Asked::Local { .. }), "{pin:?}");
    }

    #[tokio::test]
    async fn one_login_tries_an_answer_and_the_others_wait_for_what_becomes_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let ask: Ask = Arc::new(move |_| {
            let answers = ["wrong", "wrong", "right", "never"];
            let n = count.fetch_add(1, Ordering::SeqCst);
            answers.get(n).map(|answer| SecretString::from(*answer))
        });
        let questions = Questions::listen(&dir.path().join("q"), ask).unwrap();
        let endpoint = |host: &str| Endpoint { host: host.into(), ..Endpoint::default() };
        let logins: Vec<_> =
            (0..5).map(|n| questions.begin(n, &endpoint(&format!("n{n}")))).collect();
        let answer = async |n: usize| {
            let prompt = format!("ops@n{n}'s password: ");
            let answer = questions.answer(&logins[n], &prompt).await;
            answer.map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(answer(0).await.as_deref(), Some("wrong"));
        // The same login is not told twice.
        assert_eq!(answer(0).await, None);
        let wait = timeout(Duration::from_millis(50), answer(1)).await;
        assert!(wait.is_err(), "two tried it at once");
        questions.end(0, Some(false));
        // What was refused is tried nowhere again.
        assert_eq!(answer(1).await, None);
        assert_eq!(answer(2).await.as_deref(), Some("right"));
        questions.end(2, Some(true));
        assert_eq!(answer(3).await.as_deref(), Some("right"));
        assert_eq!(answer(4).await.as_deref(), Some("right"));
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }
}
