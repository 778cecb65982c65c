//! From settings to a line that is logged in: the way there, the handshake, the login, and the
//! repetitions that are safe.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::algorithms::{Load, Wish};
use super::chance::about;
use super::line::{Failed, Greeting, Line};
use super::settings::{HostKeyChecking, Settings};
use super::{Shared, auth, dial, gate, line, proxy};
use crate::node::NodeError;

/// Pauses before the next attempt when a server closes before the handshake is done.
///
/// sshd turns connections away at random above `MaxStartups` (10 by default) until those before
/// are logged in, which takes a tenth of a second each.
const EARLY_PAUSES: [Duration; 4] = [
    Duration::from_millis(300),
    Duration::from_millis(700),
    Duration::from_millis(1500),
    Duration::from_millis(2000),
];

/// The pause before the second and last attempt at a port that refuses: sshd may be restarting.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);

/// The bytes to a server and back, whatever carries them.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A way to a server's sshd, over which nothing was said yet.
pub(super) struct Way {
    pub(super) stream: Box<dyn Stream>,
    /// The address at the other end of our own socket.
    pub(super) peer: Option<IpAddr>,
    /// The jump host it goes through.
    pub(super) via: Option<Arc<Line>>,
    /// What a `ProxyCommand` says on standard error.
    words: Option<proxy::Words>,
}

impl Shared {
    /// Makes a line that is logged in, with the retries that are safe: nothing was asked of the
    /// server yet.
    pub(super) async fn line(
        &self,
        settings: &Arc<Settings>,
        via: Option<&Arc<Line>>,
        load: Load,
    ) -> Result<Line, NodeError> {
        let mut early = EARLY_PAUSES.iter();
        let mut refused = std::iter::once(&REFUSED_PAUSE);
        let mut waited_for_operator = false;
        loop {
            let (pause, error) = match self.greeted(settings, via, load).await {
                Ok(mut line) => match self.log_in(&mut line, settings).await {
                    Ok(()) => return Ok(line),
                    // The server hung up while the operator typed a passphrase.
                    Err(auth::Out::AfterWaiting(_)) if !waited_for_operator => {
                        waited_for_operator = true;
                        continue;
                    }
                    Err(auth::Out::AfterWaiting(error) | auth::Out::Now(error)) => {
                        return Err(error);
                    }
                },
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

    async fn greeted(
        &self,
        settings: &Arc<Settings>,
        via: Option<&Arc<Line>>,
        load: Load,
    ) -> Result<Line, Failed> {
        let way = self.way(settings, via).await?;
        self.greet(settings, way, load).await
    }

    /// Makes the way to a server: through a jump host, by a program, or directly.
    pub(super) async fn way(
        &self,
        settings: &Settings,
        via: Option<&Arc<Line>>,
    ) -> Result<Way, NodeError> {
        let (stream, peer, words): (Box<dyn Stream>, _, _) = match (via, &settings.proxy_command) {
            (Some(via), _) => (Box::new(line::tunnel(via, settings).await?), None, None),
            (None, Some(command)) => {
                let proxy = proxy::Proxy::start(command)?;
                let words = proxy.words();
                (Box::new(proxy), None, Some(words))
            }
            (None, None) => {
                let stream = dial::dial(settings).await?;
                let peer = stream.peer_addr().ok().map(|peer| peer.ip().to_canonical());
                (Box::new(stream), peer, None)
            }
        };
        Ok(Way { stream, peer, via: via.cloned(), words })
    }

    /// Does the handshake with the server at the end of `way`, and judges its host key.
    pub(super) async fn greet(
        &self,
        settings: &Arc<Settings>,
        way: Way,
        load: Load,
    ) -> Result<Line, Failed> {
        let options = &self.options;
        let found = self.host_keys.find(settings)?;
        let wants_certificate = found.has_authority() || !settings.revoked_host_keys.is_empty();
        // The connecting is a ProxyCommand's own, so the time for it is added to the handshake's.
        let connecting = way.words.as_ref().map_or(Duration::ZERO, |_| settings.connect_timeout);
        let greeting = Greeting {
            config: self.configs.get(&Wish {
                known: &found.types(),
                certificate: wants_certificate,
                load,
                settings,
            })?,
            gate: gate::Gate {
                settings: Arc::clone(settings),
                host_keys: Arc::clone(&self.host_keys),
                found,
                accept_new: options.accept_new_host_keys
                    || settings.host_key_checking == HostKeyChecking::AcceptNew,
                end: Arc::default(),
                seen: Arc::default(),
            },
            limit: options.handshake_timeout + connecting,
            goodbyes: self.goodbyes.clone(),
        };
        let words = way.words;
        let named = |error| match &words {
            Some(words) => proxy::named(error, settings, words),
            None => error,
        };
        greeting.over(way.stream, way.peer, way.via).await.map_err(|failed| match failed {
            Failed::Early(error) => Failed::Early(named(error)),
            Failed::Finally(error) => Failed::Finally(named(error)),
        })
    }

    pub(super) async fn log_in(
        &self,
        line: &mut Line,
        settings: &Settings,
    ) -> Result<(), auth::Out> {
        auth::log_in(line, settings, &self.keyring, self.options.auth_timeout).await
    }
}
