//! The door over the installed `ssh` program, for what only it can do: GSSAPI, security keys that
//! ask, PKCS#11, ProxyCommands of every kind.
//!
//! For each line a master process (`master`) logs in by the operator's ssh_config with our
//! settings over it (`orders`) and holds the connection; each command is a client of it
//! (`client`), framed so that its end is told by the node and not by a process of ours (`mark`).
//! What ssh says of a line that fails is read (`log`, `words`); what it asks is put to the
//! operator by us (`questions`).

mod client;
mod log;
mod mark;
mod master;
mod node;
mod orders;
mod program;
pub mod questions;
mod room;
mod slots;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

pub use node::OpensshNode;

use super::ssh::Options;
use super::ssh::chance::about;
use super::{Connect, Endpoint, NodeError};
use master::{Asking, Master, Start};
use program::Version;
use questions::Questions;
use room::Room;
use slots::Goodbyes;
use words::Failed;

/// Pauses before the next attempt when a server closes before the handshake is done: sshd turns
/// connections away at random above `MaxStartups`. A process logs in more slowly than we do ourselves.
const EARLY_PAUSES: [Duration; 5] = [
    Duration::from_millis(300),
    Duration::from_millis(700),
    Duration::from_millis(1500),
    Duration::from_millis(2000),
    Duration::from_millis(3000),
];

/// The pause before the second and last attempt at a port that refuses: sshd may be restarting.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);

/// What is said beside a login that failed when ssh could not ask.
const TOO_OLD: &str = "ssh before 8.5 cannot ask through ringhaul: use an agent";

/// Makes lines by the `ssh` program. Clones share what the operator answered.
#[derive(Clone)]
pub struct Openssh {
    shared: Arc<Shared>,
}

struct Shared {
    options: Arc<Options>,
    asked: Option<PathBuf>,
    ready: OnceCell<Ready>,
    goodbyes: Goodbyes,
}

/// What is there once a first line was wanted.
struct Ready {
    room: Arc<Room>,
    questions: Option<Arc<Questions>>,
    /// Somebody would answer, but this ssh is too old to ask us.
    is_too_old: bool,
}

impl std::fmt::Debug for Openssh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Openssh").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl Openssh {
    /// Returns a maker of lines. Nothing is started before the first one is wanted.
    ///
    /// Of `options` the home directory counts only for our own messages: ssh takes that of the
    /// user database. `asked` is the program that ssh runs for a question, which has to call
    /// [`crate::edge::askpass`]; without it nobody is asked.
    pub fn new(options: Options, asked: Option<PathBuf>) -> Self {
        let shared = Shared {
            options: Arc::new(options),
            asked,
            ready: OnceCell::new(),
            goodbyes: Goodbyes::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Waits until commands that were given up are told to end, at most `limit`.
    pub async fn settle(&self, limit: Duration) {
        self.shared.goodbyes.said(limit).await;
    }
}

impl Connect for Openssh {
    type Node = OpensshNode;

    async fn connect(&self, endpoint: &Endpoint) -> Result<OpensshNode, NodeError> {
        let master = Arc::new(self.shared.master(endpoint).await?);
        Ok(OpensshNode { master, room_beside: OnceCell::new() })
    }
}

impl Shared {
    async fn ready(&self) -> Result<&Ready, NodeError> {
        self.ready.get_or_try_init(|| self.make_ready()).await
    }

    async fn make_ready(&self) -> Result<Ready, NodeError> {
        let version = Version::of_ssh().await?;
        let room = Room::new()?;
        let ask = self.options.ask.clone().filter(|_| self.asked.is_some());
        let is_too_old = ask.is_some() && !version.asks_through_us();
        let questions = match ask.filter(|_| !is_too_old) {
            Some(ask) => Some(Questions::listen(&room.questions(), ask)?),
            None => None,
        };
        Ok(Ready { room: Arc::new(room), questions, is_too_old })
    }

    /// Makes a line that is logged in, with the retries that are safe: nothing was asked of the
    /// server yet.
    async fn master(&self, endpoint: &Endpoint) -> Result<Master, NodeError> {
        let ready = self.ready().await?;
        let orders = orders::orders(endpoint, &self.options, ready.questions.is_some())?;
        let mut early = EARLY_PAUSES.iter();
        let mut refused = std::iter::once(&REFUSED_PAUSE);
        loop {
            let (pause, error) = match self.attempt(ready, endpoint, &orders).await {
                Ok(master) => return Ok(master),
                Err(Failed::Early(error)) => (early.next(), error),
                Err(Failed::Finally(error @ NodeError::Refused { .. })) => (refused.next(), error),
                Err(Failed::Finally(error)) => return Err(error),
            };
            match pause {
                Some(&pause) => tokio::time::sleep(about(pause)).await,
                None => return Err(error),
            }
        }
    }

    async fn attempt(
        &self,
        ready: &Ready,
        endpoint: &Endpoint,
        orders: &orders::Orders,
    ) -> Result<Master, Failed> {
        let place = ready.room.place();
        let number = place.number;
        let socket = ready.room.questions();
        let asking = ready.questions.as_ref().zip(self.asked.as_ref());
        let asking = asking.map(|(questions, program)| Asking {
            program,
            socket: &socket,
            login: questions.begin(number, endpoint),
        });
        let start = Start {
            room: &ready.room,
            place,
            endpoint,
            options: &self.options,
            orders,
            asking,
            goodbyes: self.goodbyes.clone(),
            hint: ready.is_too_old.then_some(TOO_OLD),
        };
        let _ended = ready.questions.as_ref().map(|questions| Ended { questions, number });
        let result = start.run().await;
        if let Some(questions) = &ready.questions {
            questions.end(
                number,
                match &result {
                    Ok(_) => Some(true),
                    Err(Failed::Finally(NodeError::Auth { .. })) => Some(false),
                    Err(Failed::Early(_) | Failed::Finally(_)) => None,
                },
            );
        }
        result
    }
}

/// Lets others try what a login was told that nobody waits for any more.
struct Ended<'a> {
    questions: &'a Questions,
    number: u64,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.questions.end(self.number, None);
    }
}
