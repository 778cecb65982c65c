//! Rights that a password gives: asks the operator for it once, hands it to the nodes that want it,
//! and to no other one once it was wrong.
//!
//! It stands between the recorder, which must not see the password, and the door. A command says
//! what it wants ([`Command::rights`]); here it gets the password before its standard input, and
//! `becoming.sh` before itself. What sudo of a node wants is asked of it first, without any: one
//! that needs no password is never given it, and where none does, nobody is asked.

mod password;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::catalog::{self, rights};
use super::refusal::refusal;
use super::secret::{Ask, ExposeSecret as _, SecretString};
use super::{Command, Connect, Ended, Endpoint, Exit, Node, NodeError, Output, Sink};
use crate::inventory::{PasswordOf, Rights};
use crate::text::one_line;
use password::{Given, Passwords, Tried};

const SCRIPT: &str = include_str!("becoming.sh");

/// How `becoming.sh` ends when it ran no command.
const NOT_RUN: u32 = 97;

/// What it says then.
const MARK: &str = "ringhaul: become: ";

/// How long sudo may take to look at a password. A directory that is far away needs seconds, and a
/// wrong one is answered late on purpose.
const LIMIT: Duration = Duration::from_secs(60);

/// Makes the lines of `inner`, whose commands get the rights they want.
pub struct Becoming<C> {
    inner: C,
    shared: Arc<Shared>,
}

struct Shared {
    passwords: Passwords,
    accesses: Mutex<HashMap<Key, Arc<Cell>>>,
}

/// A node as it is reached, and the rights wanted there.
type Key = (Endpoint, Rights);

/// What was found out about them, once it was.
type Cell = tokio::sync::Mutex<Option<Result<Access, NodeError>>>;

/// How rights are had on a node.
#[derive(Clone)]
enum Access {
    /// Without a password, or not at all: then each command is told why.
    Open,
    /// With this one, which the node took.
    With(Arc<Given>),
}

impl<C> Becoming<C> {
    /// Returns a maker of lines that asks `ask` for passwords.
    pub fn new(inner: C, ask: Option<Ask>) -> Self {
        let shared = Shared { passwords: Passwords::new(ask), accesses: Mutex::default() };
        Self { inner, shared: Arc::new(shared) }
    }

    /// What makes the lines.
    pub fn inner(&self) -> &C {
        &self.inner
    }

    fn line<N>(&self, endpoint: &Endpoint, inner: N) -> BecomingNode<N> {
        BecomingNode { inner, endpoint: endpoint.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<C: Connect> Connect for Becoming<C> {
    type Node = BecomingNode<C::Node>;

    async fn connect(&self, endpoint: &Endpoint) -> Result<Self::Node, NodeError> {
        Ok(self.line(endpoint, self.inner.connect(endpoint).await?))
    }

    async fn connect_bulk(&self, endpoint: &Endpoint) -> Result<Self::Node, NodeError> {
        Ok(self.line(endpoint, self.inner.connect_bulk(endpoint).await?))
    }

    async fn behind(&self, endpoint: &Endpoint) -> Option<String> {
        self.inner.behind(endpoint).await
    }
}

/// A line whose commands get the rights they want.
pub struct BecomingNode<N> {
    inner: N,
    endpoint: Endpoint,
    shared: Arc<Shared>,
}

impl<N: Node> Node for BecomingNode<N> {
    async fn feed(&self, command: &Command, sink: &mut Sink<'_>) -> Result<Ended, NodeError> {
        let Some(rights) = command.rights() else {
            return self.inner.feed(command, sink).await;
        };
        let command = self.prepared(command, rights).await?;
        self.judged(rights, self.inner.feed(&command, sink).await).await
    }

    async fn pour(&self, command: &Command, into: mpsc::Sender<Bytes>) -> Result<Ended, NodeError> {
        let Some(rights) = command.rights() else {
            return self.inner.pour(command, into).await;
        };
        let command = self.prepared(command, rights).await?;
        self.judged(rights, self.inner.pour(&command, into).await).await
    }

    async fn hold(
        &self,
        command: &Command,
        beat: Duration,
        enough: impl Future<Output = ()> + Send,
        sink: &mut Sink<'_>,
    ) -> Result<Ended, NodeError> {
        let Some(rights) = command.rights() else {
            return self.inner.hold(command, beat, enough, sink).await;
        };
        let command = self.prepared(command, rights).await?;
        self.judged(rights, self.inner.hold(&command, beat, enough, sink).await).await
    }

    fn peer_address(&self) -> Option<std::net::IpAddr> {
        self.inner.peer_address()
    }
}

impl<N: Node> BecomingNode<N> {
    async fn prepared(&self, command: &Command, rights: &Rights) -> Result<Command, NodeError> {
        Ok(match self.access(rights).await? {
            Access::Open => command.clone().by(&rights::variable(rights)),
            Access::With(given) if given.is_spent() => return Err(spent()),
            Access::With(given) => wrapped(command, rights, &given.secret),
        })
    }

    /// Finds out how rights are had here, once for all lines to the node.
    async fn access(&self, rights: &Rights) -> Result<Access, NodeError> {
        let cell = self.cell(rights);
        let mut known = cell.lock().await;
        if let Some(known) = &*known {
            return known.clone();
        }
        let found = self.find_access(rights).await;
        // A line that broke says nothing about rights.
        if matches!(found, Ok(_) | Err(NodeError::Rights { .. })) {
            *known = Some(found.clone());
        }
        found
    }

    fn cell(&self, rights: &Rights) -> Arc<Cell> {
        let mut cells = self.shared.accesses.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry((self.endpoint.clone(), rights.clone())).or_default())
    }

    async fn find_access(&self, rights: &Rights) -> Result<Access, NodeError> {
        let probe = self.inner.run(&probe(rights)).await?;
        if !wants_password(&probe) {
            return Ok(Access::Open);
        }
        let host = (rights.password == PasswordOf::Own).then_some(self.endpoint.host.as_str());
        let tried = |given: Arc<Given>| async move { self.tried(rights, &given.secret).await };
        self.shared.passwords.get(host, &self.endpoint.host, tried).await.map(Access::With)
    }

    /// Gives the node the password and lets it do nothing else.
    async fn tried(&self, rights: &Rights, password: &SecretString) -> Result<Tried, NodeError> {
        let nothing = Command::new(["true"], LIMIT);
        let ended = self.inner.run(&wrapped(&nothing, rights, password)).await?.ended;
        Ok(match (&ended.exit, refused(&ended)) {
            (Exit::Code(0), _) => Tried::Right,
            (_, Some(refused)) => refused,
            (exit, None) => {
                let said = one_line(&ended.stderr, 200);
                let problem = format!("sudo cannot be given the password: {exit:?} {said}");
                let fix = "ringhaul needs a POSIX sh, cat and sudo there";
                Tried::Refused { problem, fix: fix.to_owned() }
            }
        })
    }

    /// A password that was right may have been changed meanwhile.
    async fn judged(
        &self,
        rights: &Rights,
        ended: Result<Ended, NodeError>,
    ) -> Result<Ended, NodeError> {
        let refused = ended.as_ref().ok().and_then(refused);
        let is_wrong = matches!(refused, Some(Tried::Wrong { .. }));
        let Some(Tried::Wrong { problem, fix } | Tried::Refused { problem, fix }) = refused else {
            return ended;
        };
        let error = NodeError::Rights { problem, fix };
        let known = self.cell(rights).lock().await.replace(Err(error.clone()));
        if let Some(Ok(Access::With(given))) = known
            && is_wrong
        {
            given.spend();
        }
        Err(error)
    }
}

fn spent() -> NodeError {
    NodeError::Rights {
        problem: "sudo took the password for wrong on a node where it was right before: no node \
                  is given it any more"
            .to_owned(),
        fix: "it was changed meanwhile: run again with the new one".to_owned(),
    }
}

/// Asks sudo whether it wants a password at all.
fn probe(rights: &Rights) -> Command {
    let mut argv = vec!["env", "LC_ALL=C", "sudo", "-k", "-n"];
    if rights.user != "root" {
        argv.extend(["-u", &rights.user]);
    }
    argv.push("-v");
    Command::new(argv, LIMIT)
}

fn wants_password(probe: &Output) -> bool {
    let said = String::from_utf8_lossy(&probe.ended.stderr);
    let words = ["password is required", "terminal is required", "no askpass program"];
    let wants = words.iter().any(|word| said.contains(word));
    probe.ended.exit != Exit::Code(0) && (wants || said.contains("authentication is required"))
}

/// The command behind `becoming.sh`, with the password before its input.
fn wrapped(command: &Command, rights: &Rights, password: &SecretString) -> Command {
    let before = ["sh", "-c", catalog::sets::LOAD, "sh", &rights.user].map(str::to_owned);
    let password = password.expose_secret().as_bytes();
    let (script, line) = (SCRIPT.as_bytes(), b"#data\n".as_slice());
    let stdin = [script, line, password, b"\n", command.stdin()].concat();
    command.clone().by(&before).with_stdin(stdin)
}

/// What it means when `becoming.sh` did not run the command.
fn refused(ended: &Ended) -> Option<Tried> {
    let said = String::from_utf8_lossy(&ended.stderr);
    let why = match ended.exit {
        Exit::Code(NOT_RUN) => said.lines().rev().find_map(|line| line.strip_prefix(MARK))?,
        Exit::Code(_) | Exit::Signal(_) => return None,
    };
    if why != "password" {
        let problem =
            format!("sudo cannot be given the password: {}", one_line(why.as_bytes(), 99));
        let fix = "make room there, or allow the account what `ringhaul sudoers` prints";
        return Some(Tried::Refused { problem, fix: fix.to_owned() });
    }
    let was_wrong = said.contains("incorrect password") || said.contains("Sorry, try again");
    let (problem, fix) = match refusal(&said) {
        Some(why) => (why.text.clone(), why.hint()),
        None => {
            let said = said.replace(MARK, "");
            (format!("sudo refuses: {}", one_line(said.as_bytes(), 200)), "look there".to_owned())
        }
    };
    Some(if was_wrong { Tried::Wrong { problem, fix } } else { Tried::Refused { problem, fix } })
}
