//! Our side of the protocol: the host key is judged, what a server asks for is refused, and why
//! it all ended is kept.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use russh::client::{self, DisconnectReason};
use russh::keys::PublicKeyOrCertificate;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::host_keys::HostKeys;
use super::known_hosts::Found;
use super::settings::Settings;
use crate::node::NodeError;
use crate::text::one_line;

/// Characters of a server's own words in an error.
const WORDS_SHOWN: usize = 300;

/// Bytes of a server's first words that are kept: a refusal is one line.
const FIRST_WORDS_KEPT: usize = 512;

/// Why a line ended, as far as anybody said so.
#[derive(Debug, Default)]
pub(super) struct End {
    pub(super) cause: OnceLock<String>,
}

impl End {
    /// Returns the reason the line is gone.
    pub(super) fn cause(&self) -> String {
        self.cause.get().cloned().unwrap_or_else(|| "the connection closed".into())
    }
}

/// What can go wrong in russh's session task.
#[derive(Debug)]
pub(super) enum Fault {
    Node(NodeError),
    Russh(russh::Error),
}

impl From<russh::Error> for Fault {
    fn from(error: russh::Error) -> Self {
        Self::Russh(error)
    }
}

/// Answers what the server asks of us: its key is judged, everything else is refused.
pub(super) struct Gate {
    pub(super) settings: Arc<Settings>,
    pub(super) host_keys: Arc<HostKeys>,
    /// The host's keys on file.
    pub(super) found: Found,
    pub(super) accept_new: bool,
    pub(super) end: Arc<End>,
    pub(super) seen: Arc<OnceLock<Seen>>,
}

/// What the first key exchange settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The server's version, in its own words.
    pub(super) server: String,
    /// Key exchange, host key and cipher; and the MAC, unless the cipher has its own.
    pub(super) algorithms: Vec<String>,
}

impl client::Handler for Gate {
    type Error = Fault;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Fault> {
        self.host_keys
            .check(&self.settings, &self.found, key, self.accept_new)
            .map_err(Fault::Node)?;
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _: Option<&[u8]>,
        names: &russh::Names,
        session: &mut client::Session,
    ) -> Result<(), Fault> {
        self.seen.get_or_init(|| {
            let cipher = names.cipher.as_ref();
            let mac = Some(names.client_mac.as_ref())
                .filter(|_| !cipher.contains("gcm") && !cipher.contains("poly1305"));
            let key = names.key.to_string();
            let algorithms = [names.kex.as_ref(), &key, cipher].into_iter().chain(mac);
            Seen {
                server: one_line(session.remote_sshid(), WORDS_SHOWN),
                algorithms: algorithms.map(str::to_owned).collect(),
            }
        });
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "as above")]
    async fn disconnected(&mut self, reason: DisconnectReason<Fault>) -> Result<(), Fault> {
        let cause = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                format!("the server hung up: {}", one_line(info.message.as_bytes(), WORDS_SHOWN))
            }
            DisconnectReason::Error(Fault::Russh(error)) => match error {
                russh::Error::HUP | russh::Error::Disconnect => "the connection closed".into(),
                russh::Error::KeepaliveTimeout => "the server no longer answers".into(),
                other => one_line(other.to_string().as_bytes(), WORDS_SHOWN),
            },
            DisconnectReason::Error(Fault::Node(error)) => error.to_string(),
        };
        let _ = self.end.cause.set(cause);
        Ok(())
    }

    // russh accepts every channel a server opens. We forward nothing, so none has a reason;
    // dropping the handle refuses it.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: russh::Channel<client::Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: russh::Channel<client::Msg>,
        _: &str,
        _: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: russh::Channel<client::Msg>,
        _: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: russh::Channel<client::Msg>,
        _: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: russh::Channel<client::Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: russh::Channel<client::Msg>,
        _: &str,
        _: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: russh::Channel<client::Msg>,
        _: &str,
        _: u32,
        _: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Fault> {
        Ok(())
    }
}

/// A stream that breaks when its line is let go of, and that remembers the server's first words.
pub(super) struct Leashed<S> {
    stream: S,
    held: oneshot::Receiver<()>,
    gone: bool,
    first_words: Arc<Mutex<Vec<u8>>>,
    listening: bool,
}

impl<S> Leashed<S> {
    /// Ties `stream` to the other end of `held`; `first_words` takes what it says first.
    pub(super) fn new(
        stream: S,
        held: oneshot::Receiver<()>,
        first_words: Arc<Mutex<Vec<u8>>>,
    ) -> Self {
        Self { stream, held, gone: false, first_words, listening: true }
    }

    fn broken(&mut self, context: &mut Context<'_>) -> Option<std::io::Error> {
        // Once it is ready it must not be asked again.
        self.gone = self.gone || Pin::new(&mut self.held).poll(context).is_ready();
        self.gone.then(|| std::io::ErrorKind::ConnectionAborted.into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Leashed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Some(error) = self.broken(context) {
            return Poll::Ready(Err(error));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if self.listening && polled.is_ready() {
            let new = buffer.filled().get(before..).unwrap_or_default();
            let mut words = self.first_words.lock().unwrap_or_else(PoisonError::into_inner);
            let room = FIRST_WORDS_KEPT.saturating_sub(words.len());
            words.extend(new.iter().take(room));
            let full = words.len() == FIRST_WORDS_KEPT;
            drop(words);
            self.listening = !full;
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Leashed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if let Some(error) = self.broken(context) {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.broken(context).is_some() {
            // Through a jump host that stalls, a tidy end would never come.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
