//! Keyboard-interactive against servers made to ask odd things.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringhaul::node::secret::Question;
use ringhaul::node::ssh::Ssh;
use ringhaul::node::{AuthMethod, Connect, Endpoint, NodeError};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::{Auth, Handler, Response, run_stream};
use russh::{MethodKind, MethodSet};

use crate::common::sshd::Home;

/// One round of a server: name, instructions, and prompts with their echo.
type Round = (&'static str, &'static str, Vec<(&'static str, bool)>);

/// A server that asks round after round, and lets in whoever answers the last as it likes.
#[derive(Clone)]
struct Asker {
    rounds: VecDeque<Round>,
    /// Begins again when all are asked.
    endless: bool,
    want: Vec<&'static str>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Asker {
    fn ask(&mut self) -> Auth {
        let Some(round) = self.rounds.pop_front() else {
            let heard = self.heard.lock().unwrap();
            if heard.ends_with(&self.want.iter().map(|&text| text.into()).collect::<Vec<String>>())
            {
                return Auth::Accept;
            }
            let proceed = MethodSet::from(&[MethodKind::KeyboardInteractive][..]);
            return Auth::Reject { proceed_with_methods: Some(proceed), partial_success: false };
        };
        if self.endless {
            self.rounds.push_back(round.clone());
        }
        let (name, instructions, prompts) = round;
        let prompts = prompts.into_iter().map(|(text, echo)| (Cow::Borrowed(text), echo));
        Auth::Partial {
            name: Cow::Borrowed(name),
            instructions: Cow::Borrowed(instructions),
            prompts: Cow::Owned(prompts.collect()),
        }
    }
}

impl Handler for Asker {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, russh::Error> {
        let proceed = MethodSet::from(&[MethodKind::KeyboardInteractive][..]);
        Ok(Auth::Reject { proceed_with_methods: Some(proceed), partial_success: false })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        if let Some(answers) = response {
            let answers = answers.map(|answer| String::from_utf8_lossy(&answer).into_owned());
            self.heard.lock().unwrap().extend(answers);
        }
        Ok(self.ask())
    }
}

/// A made server, the operator who answers it, and what each heard.
struct Talk {
    home: Home,
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Talk {
    async fn with(rounds: &[Round], endless: bool, want: &[&'static str]) -> Self {
        let home = Home::new();
        let key: PrivateKey = Ed25519Keypair::from_seed(&[7; 32]).into();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        home.know(&format!("[127.0.0.1]:{port} {}", key.public_key().to_openssh().unwrap()));
        let config = Arc::new(russh::server::Config {
            keys: vec![key],
            auth_rejection_time: Duration::ZERO,
            ..Default::default()
        });
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let asker = Asker {
            rounds: rounds.to_vec().into(),
            endless,
            want: want.to_vec(),
            heard: Arc::clone(&heard),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session = run_stream(Arc::clone(&config), stream, asker.clone());
                tokio::spawn(async move {
                    if let Ok(session) = session.await {
                        let _ = session.await;
                    }
                });
            }
        });
        Self { home, port, heard, asked: Arc::default() }
    }

    /// Logs in with an operator who answers with `answers` in turn, then not at all.
    async fn log_in(&self, answers: &'static [&str]) -> Result<(), String> {
        let asked = Arc::clone(&self.asked);
        let mut options = self.home.options();
        options.ask = Some(Arc::new(move |question: &Question<'_>| {
            let mut asked = asked.lock().unwrap();
            asked.push(match question {
                Question::Prompt { text, echo: true, .. } => format!("{text} (seen)"),
                Question::Prompt { text, .. } => (*text).to_owned(),
                Question::Passphrase(_) | Question::Password { .. } | Question::Become { .. } => {
                    format!("{question:?}")
                }
            });
            answers.get(asked.len() - 1).map(|&text| text.into())
        }));
        let endpoint = Endpoint {
            host: "127.0.0.1".into(),
            port: Some(self.port),
            user: Some("ops".into()),
            auth: vec![AuthMethod::KeyboardInteractive],
            ..Endpoint::default()
        };
        match Ssh::new(options).unwrap().connect(&endpoint).await {
            Ok(_) => Ok(()),
            Err(NodeError::Auth { tried, .. }) => Err(tried),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

const PASSWORD: (&str, bool) = ("Password: ", false);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_asked_for_beside_the_password_with_the_servers_own_words() {
    let rounds: &[Round] = &[
        ("", "", vec![PASSWORD]),
        ("Second factor", "Take your token\nout.", vec![("Code:", false), ("Realm:", true)]),
        ("", "", vec![]),
    ];
    let talk = Talk::with(rounds, false, &["secret", "123", "here"]).await;
    assert_eq!(talk.log_in(&["secret", "123", "here"]).await, Ok(()));
    assert_eq!(
        talk.asked(),
        [
            "Password { user: \"ops\", host: \"127.0.0.1\" }",
            "Second factor / Take your token / out. / Code:",
            "Realm: (seen)",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_that_is_not_for_the_password_never_gets_it() {
    let rounds: &[Round] = &[("", "", vec![("One-time password: ", false)])];
    let talk = Talk::with(rounds, false, &["123"]).await;
    assert_eq!(talk.log_in(&["123"]).await, Ok(()));
    assert_eq!(talk.asked(), ["One-time password:"]);
    // Shown on the screen while it is typed: not the password, whatever it is called.
    let rounds: &[Round] = &[("", "", vec![("Password:", true)])];
    let talk = Talk::with(rounds, false, &["x"]).await;
    assert_eq!(talk.log_in(&["x"]).await, Ok(()));
    assert_eq!(talk.asked(), ["Password: (seen)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_stop_asking_is_left() {
    let rounds: &[Round] = &[("", "", vec![])];
    let talk = Talk::with(rounds, true, &[]).await;
    let text = talk.log_in(&[]).await.unwrap_err();
    assert!(text.contains("keyboard-interactive: the server does not stop asking"), "{text}");

    let many: Round = ("", "", vec![("Code:", false); 9]);
    let talk = Talk::with(&[many], true, &[]).await;
    let text = talk.log_in(&["1"; 9]).await.unwrap_err();
    assert!(text.contains("keyboard-interactive: the server asks 9 questions at once"), "{text}");
    assert_eq!((talk.asked().len(), talk.heard().len()), (0, 0));
    // The same question for ever.
    let talk = Talk::with(&[("", "", vec![("Code:", false)])], true, &[]).await;
    let text = talk.log_in(&["1"; 50]).await.unwrap_err();
    assert!(text.contains("does not stop asking"), "{text}");
    assert!(talk.asked().len() <= 6, "{:?}", talk.asked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_for_the_password_again_has_refused_it() {
    let talk = Talk::with(&[("", "", vec![PASSWORD])], true, &[]).await;
    let text = talk.log_in(&["one", "one"]).await.unwrap_err();
    assert!(text.contains("keyboard-interactive: refused; "), "{text}");
    assert_eq!(talk.heard(), ["one"]);
    // As many as are asked for in a run.
    let talk = Talk::with(&[("", "", vec![PASSWORD])], true, &[]).await;
    let text = talk.log_in(&["one", "two", "three", "four"]).await.unwrap_err();
    assert!(text.contains("127.0.0.1 refused it, the last of 3"), "{text}");
    assert_eq!(talk.heard(), ["one", "two", "three"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_password_is_said_and_no_new_one_is_made_up() {
    let rounds: &[Round] =
        &[("", "", vec![PASSWORD]), ("", "You must change it.", vec![("New password: ", false)])];
    let talk = Talk::with(rounds, false, &[]).await;
    let text = talk.log_in(&["secret", "secret"]).await.unwrap_err();
    let want = "the password has expired (\"New password:\"): log in with ssh and change it";
    assert!(text.contains(want), "{text}");
    assert_eq!(talk.heard(), ["secret"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_asks_is_shown_without_its_tricks() {
    let rounds: &[Round] =
        &[("\x1b[2J\x07name", "\u{202e}abc\r\nx", vec![("Co\x1b]0;t\x07de\n:", false)])];
    let talk = Talk::with(rounds, false, &["1"]).await;
    assert_eq!(talk.log_in(&["1"]).await, Ok(()));
    let asked = talk.asked().remove(0);
    assert!(!asked.chars().any(char::is_control), "{asked:?}");
    assert!(asked.starts_with(r"\u{1b}[2J\u{7}name / \u{202e}abc / x / Co"), "{asked}");
    // Nobody answers: the question stands in the error, as harmless as on the terminal.
    let talk = Talk::with(rounds, false, &["1"]).await;
    let text = talk.log_in(&[]).await.unwrap_err();
    assert!(text.contains("keyboard-interactive: nobody answered \"Co"), "{text}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistyped_code_is_asked_for_again_a_few_times() {
    let talk = Talk::with(&[("", "", vec![("Code:", false)])], false, &["2"]).await;
    let text = talk.log_in(&["1"; 9]).await.unwrap_err();
    assert!(text.contains("keyboard-interactive: refused"), "{text}");
    assert!(talk.heard().len() <= 3, "{:?}", talk.heard());
}
