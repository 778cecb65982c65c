//! One SSH connection: the socket, the handshake, and why it ended.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use russh::client;
use russh::{AlgorithmKind, ChannelOpenFailure};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::channels::{self, Channels, Goodbyes};
use super::gate::{End, Fault, Gate, Leashed, Seen};
use super::settings::Settings;
use crate::node::{NodeError, Stage};
use crate::text::one_line;

/// Characters of a server's own words in an error.
const WORDS_SHOWN: usize = 300;

/// A connection whose handshake is done.
pub(super) struct Line {
    pub(super) handle: client::Handle<Gate>,
    pub(super) end: Arc<End>,
    pub(super) seen: Arc<OnceLock<Seen>>,
    pub(super) channels: Channels,
    /// `host:port`, for messages.
    pub(super) address: String,
    /// The address at the other end of our own socket.
    pub(super) peer: Option<IpAddr>,
    /// The jump host this line goes through, kept open as long as it.
    via: Option<Arc<Line>>,
    /// russh's session task outlives its handle while a server stalls in a key exchange or does
    /// not read. Letting go of this ends its socket, and so the task.
    _leash: oneshot::Sender<()>,
}

impl Line {
    /// Returns the error for this line when it is gone.
    pub(super) fn lost(&self) -> NodeError {
        NodeError::Lost { cause: self.cause() }
    }

    /// Returns why it is gone. The end of the line to a jump host is that of all that go through it,
    /// which know no more than that they closed.
    fn cause(&self) -> String {
        match &self.via {
            Some(via) if via.handle.is_closed() => {
                format!("the jump host {}: {}", via.address, via.cause())
            }
            Some(_) | None => self.end.cause(),
        }
    }
}

/// Why an attempt to connect failed, and whether another one may help.
#[derive(Debug)]
pub(super) enum Failed {
    /// The server closed before it proved anything: too many others are logging in.
    Early(NodeError),
    Finally(NodeError),
}

impl Failed {
    pub(super) fn into_inner(self) -> NodeError {
        match self {
            Self::Early(error) | Self::Finally(error) => error,
        }
    }
}

impl From<NodeError> for Failed {
    fn from(error: NodeError) -> Self {
        Self::Finally(error)
    }
}

/// Opens a way to a host through a jump host.
pub(super) async fn tunnel(
    via: &Arc<Line>,
    settings: &Settings,
) -> Result<russh::ChannelStream<client::Msg>, NodeError> {
    let limit = settings.connect_timeout;
    let line = Arc::clone(via);
    let (host, port) = (settings.host.clone(), u32::from(settings.port));
    let open = async move {
        // sshd writes the last two into its log; there is no socket of ours they could name.
        line.handle.channel_open_direct_tcpip(host, port, "127.0.0.1", 0).await
    };
    let unreachable = |cause: &str| NodeError::Unreachable {
        address: settings.address(),
        cause: cause.to_owned(),
    };
    match timeout(limit, channels::open_or_close(limit, open)).await {
        Ok(Some(Ok(channel))) => Ok(channel.into_stream()),
        Ok(Some(Err(russh::Error::ChannelOpenFailure(why)))) => Err(unreachable(match why {
            ChannelOpenFailure::ConnectFailed => "the jump host could not connect to it",
            ChannelOpenFailure::AdministrativelyProhibited => {
                "the jump host does not forward connections to it (AllowTcpForwarding, PermitOpen)"
            }
            ChannelOpenFailure::UnknownChannelType => "the jump host knows no forwarding",
            ChannelOpenFailure::ResourceShortage | ChannelOpenFailure::Other { .. } => {
                "the jump host has no room for another connection"
            }
        })),
        Ok(Some(Err(_)) | None) => {
            let lost = NodeError::Lost { cause: via.end.cause() };
            Err(unreachable(&format!("the jump host {}: {lost}", via.address)))
        }
        Err(_) => Err(NodeError::TimedOut { stage: Stage::Connect, after: limit }),
    }
}

/// What a handshake needs beside the stream.
pub(super) struct Greeting {
    pub(super) config: Arc<client::Config>,
    pub(super) gate: Gate,
    pub(super) limit: Duration,
    pub(super) goodbyes: Goodbyes,
}

impl Greeting {
    /// Does the handshake over `stream`: versions, key exchange, host key.
    pub(super) async fn over<S>(
        self,
        stream: S,
        peer: Option<IpAddr>,
        via: Option<Arc<Line>>,
    ) -> Result<Line, Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (leash, held) = oneshot::channel();
        let first_words = Arc::new(Mutex::new(Vec::new()));
        let end = Arc::clone(&self.gate.end);
        let seen = Arc::clone(&self.gate.seen);
        let address = self.gate.settings.address();
        let stream = Leashed::new(stream, held, Arc::clone(&first_words));
        let limit = self.limit;
        match timeout(limit, client::connect_stream(self.config, stream, self.gate)).await {
            Ok(Ok(handle)) => {
                let channels = Channels::new(self.goodbyes);
                Ok(Line { handle, end, seen, channels, address, peer, via, _leash: leash })
            }
            Ok(Err(Fault::Node(error))) => Err(Failed::Finally(error)),
            Ok(Err(Fault::Russh(error))) => {
                let words = first_words.lock().unwrap_or_else(PoisonError::into_inner);
                Err(handshake_error(&error, &words, end.cause.get()))
            }
            Err(_) => Err(NodeError::TimedOut { stage: Stage::Handshake, after: limit }.into()),
        }
    }
}

/// Says why a handshake failed, with the server's own words when it spoke before the protocol.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "russh has many errors; the rest is said as it is"
)]
fn handshake_error(error: &russh::Error, words: &[u8], said: Option<&String>) -> Failed {
    let is_ssh = words.starts_with(b"SSH-");
    let line = words.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = one_line(line, WORDS_SHOWN);
    let lost = |cause: String| NodeError::Lost { cause };
    match error {
        russh::Error::NoCommonAlgo { kind, theirs, .. } => {
            let kind = match kind {
                AlgorithmKind::Kex => "key exchange",
                AlgorithmKind::Key => "host key type",
                AlgorithmKind::Cipher => "cipher",
                AlgorithmKind::Compression => "compression",
                AlgorithmKind::Mac => "MAC",
            };
            let theirs = one_line(theirs.join(", ").as_bytes(), WORDS_SHOWN);
            lost(format!("no common {kind}; the server offers {theirs}")).into()
        }
        russh::Error::WrongServerSig => {
            lost("the server could not prove that it holds its host key".into()).into()
        }
        // Too long a line, or too many of them, before the version.
        russh::Error::Version => lost(format!("no SSH server answers there: \"{line}\"")).into(),
        russh::Error::IO(_)
        | russh::Error::HUP
        | russh::Error::Disconnect
        | russh::Error::KexInit
        | russh::Error::SendError
        | russh::Error::RecvError => {
            let why = match said {
                Some(said) => said.clone(),
                None if !is_ssh && !line.is_empty() => format!("the server said \"{line}\""),
                None => "sshd's MaxStartups, or a firewall".into(),
            };
            Failed::Early(lost(format!("closed before the handshake was done: {why}")))
        }
        other => {
            lost(one_line(format!("in the handshake: {other}").as_bytes(), WORDS_SHOWN)).into()
        }
    }
}
