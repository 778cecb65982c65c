//! The only door to a node: run one command, get its output, and nothing else.

pub mod answer;
pub mod becoming;
pub mod catalog;
pub mod command;
pub mod config_file;
pub mod deep;
pub mod door;
pub mod endpoint;
pub mod lock;
pub mod openssh;
pub mod programs;
pub mod proof;
pub mod recorder;
pub mod refusal;
pub mod secret;
mod segments;
pub mod sets;
pub mod ssh;
pub mod survey;
pub mod ticket;
pub mod topology;
pub mod uncovered;

use std::future::Future;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

pub use command::Command;
pub use endpoint::{AuthMethod, Endpoint, Transport};

/// Takes standard output as it comes. `Break` gives the command up at once.
pub type Sink<'a> = dyn FnMut(&[u8]) -> ControlFlow<()> + Send + 'a;

/// Makes lines to nodes.
pub trait Connect: Send + Sync + 'static {
    /// What a line is.
    type Node: Node;

    /// Returns an authenticated line to `endpoint`.
    ///
    /// # Errors
    /// Every way in which a line can fail to come about; see [`NodeError`].
    fn connect(
        &self,
        endpoint: &Endpoint,
    ) -> impl Future<Output = Result<Self::Node, NodeError>> + Send;

    /// Returns a line of its own for one stream; see [`Node::pour`].
    ///
    /// # Errors
    /// As [`Connect::connect`].
    fn connect_bulk(
        &self,
        endpoint: &Endpoint,
    ) -> impl Future<Output = Result<Self::Node, NodeError>> + Send {
        self.connect(endpoint)
    }

    /// Returns the jump host that `endpoint` is reached through, the last one of several; `None`
    /// when there is none, or when it cannot be told.
    fn behind(&self, _endpoint: &Endpoint) -> impl Future<Output = Option<String>> + Send {
        async { None }
    }
}

/// A line to one node, on which several commands may run at once.
pub trait Node: Send + Sync + 'static {
    /// Runs one command to its end and hands its standard output to `sink` piece by piece.
    ///
    /// A non-zero exit is an [`Ended`], not an error. What a login shell's start-up files print
    /// before the command is not handed on.
    ///
    /// # Errors
    /// Only those of the door: the line, the time limit, the output limit.
    fn feed(
        &self,
        command: &Command,
        sink: &mut Sink<'_>,
    ) -> impl Future<Output = Result<Ended, NodeError>> + Send;

    /// Runs one command to its end and sends its standard output `into` a bounded channel piece by
    /// piece, waiting while that is full.
    ///
    /// A receiver that goes away gives the command up at once, as `Break` does in [`Node::feed`].
    /// Besides the command's limits its stall limit holds: so long nothing came while there was
    /// room for it. A receiver that takes its time stops every other command of the line, so a
    /// stream wants a line of its own; see [`Connect::connect_bulk`].
    ///
    /// # Errors
    /// As [`Node::feed`]. What came before an error has been sent.
    fn pour(
        &self,
        command: &Command,
        into: mpsc::Sender<Bytes>,
    ) -> impl Future<Output = Result<Ended, NodeError>> + Send;

    /// Runs a command whose standard input stays open while it is held.
    ///
    /// After the command's own input an empty line is sent each `beat`; once `enough` resolves,
    /// the word `done` on a line and end of file. The time limit holds until the input is sent
    /// and again from `enough` on; between them it is off. Dropping the future breaks the input
    /// off without the word, as a line that dies does. Other commands run beside it.
    ///
    /// # Errors
    /// As [`Node::feed`]; and when the server has no room for a second command beside this one.
    fn hold(
        &self,
        command: &Command,
        beat: Duration,
        enough: impl Future<Output = ()> + Send,
        sink: &mut Sink<'_>,
    ) -> impl Future<Output = Result<Ended, NodeError>> + Send;

    /// Runs one command to its end and returns all it printed.
    ///
    /// # Errors
    /// As [`Node::feed`].
    fn run(&self, command: &Command) -> impl Future<Output = Result<Output, NodeError>> + Send {
        async move {
            let mut stdout = Vec::new();
            let ended = self
                .feed(command, &mut |piece: &[u8]| {
                    stdout.extend_from_slice(piece);
                    ControlFlow::Continue(())
                })
                .await?;
            Ok(Output { stdout, ended })
        }
    }

    /// The IP address the line really goes to, when there is one and no jump host hides it.
    fn peer_address(&self) -> Option<std::net::IpAddr> {
        None
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit.
    pub exit: Exit,
    /// The beginning of its standard error, at most 64 KiB.
    pub stderr: Vec<u8>,
}

/// The exit of a command, as the server told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It ended with this code.
    Code(u32),
    /// A signal ended it; the name is without `SIG`.
    Signal(String),
}

/// All a command printed, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output, whole.
    pub stdout: Vec<u8>,
    /// Standard error and exit.
    pub ended: Ended,
}

/// What was being done when the time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Making the TCP connection.
    Connect,
    /// The SSH handshake: the port is open and nothing, or too little, is said.
    Handshake,
    /// Proving who we are.
    Auth,
    /// Opening a channel on a line that stands.
    Channel,
    /// Running the command.
    Command,
}

/// A fault of the door itself. What an exit code means is said beside the parser of a command.
///
/// The texts are single-line and free of control characters, whatever a node sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// No such name, no route, network down.
    #[error("cannot reach {address}: {cause}")]
    Unreachable {
        /// `host:port` as it was tried.
        address: String,
        /// The system's words.
        cause: String,
    },
    /// The host is there; nothing listens on the port.
    #[error("{address} refused the connection")]
    Refused {
        /// `host:port` as it was tried.
        address: String,
    },
    /// The host key is unknown, changed or revoked. The text holds the fingerprint.
    #[error("{problem}")]
    HostKey {
        /// What is wrong, with the fingerprint.
        problem: String,
        /// The command that would put it right, after a check.
        fix: String,
    },
    /// The server accepted none of the keys.
    #[error("{user} was not let in ({tried})")]
    Auth {
        /// The login name.
        user: String,
        /// What was offered, and what the server would have taken.
        tried: String,
    },
    /// Nothing came back in time.
    #[error("timed out after {after:?} {}", stage.doing())]
    TimedOut {
        /// What was being done.
        stage: Stage,
        /// The limit that ran out.
        after: Duration,
    },
    /// The line broke.
    #[error("the line was lost: {cause}")]
    Lost {
        /// What is known of the reason.
        cause: String,
    },
    /// The server would not run a command for us: sftp only, a forced command, no shell.
    #[error("the server did not run the command: {cause}")]
    NoCommand {
        /// What it said or printed instead.
        cause: String,
    },
    /// The node's sudo does not give the rights that the command needs; it was not run.
    #[error("{problem}")]
    Rights {
        /// What is wrong.
        problem: String,
        /// What would put it right.
        fix: String,
    },
    /// The command printed more than it may.
    #[error("the command printed more than {limit} bytes and was stopped")]
    TooMuch {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Something on our own side: a key file that cannot be read, a broken ~/.ssh/config.
    #[error("{0}")]
    Local(String),
}

impl Stage {
    fn doing(self) -> &'static str {
        match self {
            Self::Connect => "while connecting",
            Self::Handshake => "in the SSH handshake: the port is open, sshd does not answer",
            Self::Auth => "while logging in",
            Self::Channel => "while opening a channel",
            Self::Command => "while the command ran",
        }
    }
}
