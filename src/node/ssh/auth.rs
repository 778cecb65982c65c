//! Logs in with public keys, in the order the operator set.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, SendError, Signer};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use super::gate::Gate;
use super::keys::{self, KeyFile, Keyring};
use super::line::Line;
use super::offers::{Offer, check_files, order, print, shown};
use super::settings::Settings;
use crate::node::{NodeError, Stage};
use crate::text::one_line;

/// Offers named in an error; more would hide the rest of it.
const OFFERS_SHOWN: usize = 8;

/// A pause in which the server may have hung up: the operator had to type.
const LONG_WAIT: Duration = Duration::from_secs(2);

/// Why nobody was let in.
pub(super) enum Out {
    Now(NodeError),
    /// The line ended after the operator had typed a passphrase; another one may do.
    AfterWaiting(NodeError),
}

/// Logs in.
pub(super) async fn log_in(
    line: &mut Line,
    settings: &Settings,
    keyring: &Keyring,
    limit: Duration,
) -> Result<(), Out> {
    let files = keyring.files(settings);
    let mut notes = Vec::new();
    let listed = match &settings.agent {
        Some(socket) => keyring.agent(socket).await.unwrap_or_else(|why| {
            notes.push(why);
            Vec::new()
        }),
        None => Vec::new(),
    };
    check_files(settings, &files, &listed).map_err(Out::Now)?;
    let offers = order(settings, &files, &listed, keyring.can_ask(), &mut notes);
    let end = Arc::clone(&line.end);
    let mut login = Login {
        binding: line.handle.agent_session_binding().cloned(),
        handle: &mut line.handle,
        user: &settings.user,
        socket: settings.agent.as_deref(),
        agent: None,
        keyring,
        rsa_hash: None,
        limit,
        left: limit,
        notes,
        offered: 0,
        methods: String::new(),
        waited: false,
    };
    let mut result = login.offer_all(&offers).await;
    if let Ok(false) = result {
        let closed = login.handle.is_closed();
        let cause = end.cause();
        result = Err(if closed && !cause.contains("Too many authentication failures") {
            NodeError::Lost { cause: format!("while logging in: {cause}") }
        } else {
            login.refused(closed)
        });
    }
    match result {
        Ok(_) => Ok(()),
        Err(error @ (NodeError::Lost { .. } | NodeError::TimedOut { .. })) if login.waited => {
            Err(Out::AfterWaiting(error))
        }
        Err(error) => Err(Out::Now(error)),
    }
}

/// One login under way.
struct Login<'a> {
    handle: &'a mut Handle<Gate>,
    binding: Option<russh::keys::agent::AgentSessionBinding>,
    user: &'a str,
    socket: Option<&'a Path>,
    agent: Option<AgentClient<UnixStream>>,
    keyring: &'a Keyring,
    /// The hash for RSA signatures, once the server was asked; none when it takes only SHA-1.
    rsa_hash: Option<Option<HashAlg>>,
    limit: Duration,
    /// What is left of the limit. The operator's time at the prompt does not count.
    left: Duration,
    notes: Vec<String>,
    offered: usize,
    methods: String,
    waited: bool,
}

/// How one offer ended.
enum Step {
    In,
    Next,
    /// The server takes no more keys.
    Over,
}

impl Login<'_> {
    /// Returns whether one of the keys was taken.
    async fn offer_all(&mut self, offers: &[Offer]) -> Result<bool, NodeError> {
        for offer in offers {
            let step = match offer {
                Offer::Agent(identity) => self.offer_agent(identity).await?,
                Offer::File(file) => self.offer_file(file).await?,
            };
            match step {
                Step::In => return Ok(true),
                Step::Over => return Ok(false),
                Step::Next => {}
            }
        }
        if self.offered > 0 {
            return Ok(false);
        }
        // Nothing to offer: at least learn what the server would take.
        let none = self.handle.authenticate_none(self.user);
        let result = timed(&mut self.left, self.limit, none).await?;
        Ok(matches!(self.judge(result.map_err(|_| ()), String::new()), Step::In))
    }

    async fn offer_agent(&mut self, identity: &AgentIdentity) -> Result<Step, NodeError> {
        let public = identity.public_key().into_owned();
        let comment = one_line(identity.comment().as_bytes(), 60);
        let name = format!("agent key {comment} {}", print(&public));
        let Some(hash) = self.hash(&public).await? else {
            return Ok(self.sha1_only(&name));
        };
        let mut agent = match self.agent.take() {
            Some(agent) => agent,
            None => match self.connect_agent().await? {
                Ok(agent) => agent,
                Err(why) => {
                    self.notes.push(why);
                    return Ok(Step::Next);
                }
            },
        };
        let user = self.user;
        let signed = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                let login =
                    self.handle.authenticate_publickey_with(user, key.clone(), hash, &mut agent);
                timed(&mut self.left, self.limit, login).await?
            }
            AgentIdentity::Certificate { certificate, .. } => {
                let certificate = certificate.clone();
                let login =
                    self.handle.authenticate_certificate_with(user, certificate, hash, &mut agent);
                timed(&mut self.left, self.limit, login).await?
            }
        };
        if let Err(russh::AgentAuthError::Key(error)) = &signed {
            let error = one_line(error.to_string().as_bytes(), 100);
            self.notes.push(format!("{name}: the agent did not sign ({error})"));
            return Ok(if self.handle.is_closed() { Step::Over } else { Step::Next });
        }
        self.agent = Some(agent);
        Ok(self.judge(signed.map_err(|_| ()), name))
    }

    /// Connects to the agent, and tells it which session it signs for: keys that are bound to
    /// destinations (`ssh-add -h`) want that. Agents that do not know the request refuse it.
    async fn connect_agent(
        &mut self,
    ) -> Result<Result<AgentClient<UnixStream>, String>, NodeError> {
        let Some(socket) = self.socket else {
            return Ok(Err("no agent is set".into()));
        };
        let binding = self.binding.as_ref();
        let connect = async {
            let mut agent = keys::agent(socket).await?;
            if let Some(binding) = binding {
                let _ = agent.bind_session(binding, false).await;
            }
            Ok(agent)
        };
        timed(&mut self.left, self.limit, connect).await
    }

    async fn offer_file(&mut self, file: &Arc<KeyFile>) -> Result<Step, NodeError> {
        let name = match &file.public {
            Some(public) => format!("{} {}", shown(&file.path), print(public)),
            None => shown(&file.path),
        };
        let key = match file.open() {
            Some(key) => key,
            None => {
                if let Some(public) = &file.public
                    && let Some(step) = self.ask_server(public, &name).await?
                {
                    return Ok(step);
                }
                let start = Instant::now();
                let key = self.keyring.unlock(file).await;
                self.waited |= start.elapsed() > LONG_WAIT;
                key
            }
        };
        let key = match key {
            Ok(key) => key,
            Err(why) => {
                self.notes.push(format!("{name}: {why}"));
                return Ok(Step::Next);
            }
        };
        let Some(hash) = self.hash(key.public_key()).await? else {
            return Ok(self.sha1_only(&name));
        };
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let login = self.handle.authenticate_publickey(self.user, key);
        let result = timed(&mut self.left, self.limit, login).await?;
        Ok(self.judge(result.map_err(|_| ()), name))
    }

    /// Asks the server whether it would take a locked key, so that nobody types for nothing.
    ///
    /// Returns none when it would.
    async fn ask_server(
        &mut self,
        public: &PublicKey,
        name: &str,
    ) -> Result<Option<Step>, NodeError> {
        let Some(hash) = self.hash(public).await? else {
            return Ok(Some(self.sha1_only(name)));
        };
        let mut probe = Probe;
        let ask =
            self.handle.authenticate_publickey_with(self.user, public.clone(), hash, &mut probe);
        match timed(&mut self.left, self.limit, ask).await? {
            Err(Probed::Wanted) => Ok(None),
            Err(Probed::Gone) => Ok(Some(self.judge(Err(()), name.to_owned()))),
            Ok(result) => Ok(Some(self.judge(Ok(result), name.to_owned()))),
        }
    }

    /// Returns the hash to sign with; `None` within for keys that need none, and `None` for an
    /// RSA key when the server takes only SHA-1 signatures, which are not made here.
    async fn hash(&mut self, public: &PublicKey) -> Result<Option<Option<HashAlg>>, NodeError> {
        if !public.algorithm().is_rsa() {
            return Ok(Some(None));
        }
        if self.rsa_hash.is_none() {
            let ask = self.handle.best_supported_rsa_hash();
            let told = timed(&mut self.left, self.limit, ask).await?;
            // A server that does not say is asked for SHA-512, as RFC 8332 allows.
            self.rsa_hash = Some(told.ok().flatten().unwrap_or(Some(HashAlg::Sha512)));
        }
        Ok(self.rsa_hash.flatten().map(Some))
    }

    fn sha1_only(&mut self, name: &str) -> Step {
        self.notes.push(format!("{name}: the server takes only SHA-1 signatures of RSA keys"));
        Step::Next
    }

    fn judge(&mut self, result: Result<AuthResult, ()>, name: String) -> Step {
        let (remaining, partial) = match result {
            Ok(AuthResult::Success) => return Step::In,
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                (remaining_methods, partial_success)
            }
            Err(()) => return Step::Over,
        };
        if !name.is_empty() {
            self.offered += 1;
            let but = if partial { " (taken, but not enough)" } else { "" };
            self.notes.push(format!("offered {name}{but}"));
        }
        if !remaining.is_empty() {
            self.methods = remaining.iter().map(<&str>::from).collect::<Vec<_>>().join(", ");
        }
        if remaining.contains(&MethodKind::PublicKey) { Step::Next } else { Step::Over }
    }

    fn refused(&mut self, too_many: bool) -> NodeError {
        let mut tried = String::new();
        let more = self.notes.len().saturating_sub(OFFERS_SHOWN);
        self.notes.truncate(OFFERS_SHOWN);
        tried.push_str(&self.notes.join("; "));
        if more > 0 {
            let _ = write!(tried, "; and {more} more");
        }
        if self.offered == 0 {
            let start = if tried.is_empty() { "" } else { "; " };
            let _ = write!(tried, "{start}no key to offer");
        }
        if too_many {
            tried.push_str("; too many keys were offered: set identity_file, or IdentitiesOnly");
        } else if !self.methods.is_empty() {
            let _ = write!(tried, "; the server takes {}", self.methods);
        }
        NodeError::Auth { user: one_line(self.user.as_bytes(), 80), tried }
    }
}

/// Waits for one exchange with the server or the agent, and takes its time off what is left.
async fn timed<T>(
    left: &mut Duration,
    limit: Duration,
    exchange: impl Future<Output = T>,
) -> Result<T, NodeError> {
    let start = Instant::now();
    let result = timeout(*left, exchange).await;
    *left = left.saturating_sub(start.elapsed());
    result.map_err(|_| NodeError::TimedOut { stage: Stage::Auth, after: limit })
}

/// Signs nothing; that it is called says that the server would take the key.
struct Probe;

enum Probed {
    Wanted,
    Gone,
}

impl From<SendError> for Probed {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl Signer for Probe {
    type Error = Probed;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        _: Option<HashAlg>,
        _: Vec<u8>,
    ) -> Result<Vec<u8>, Probed> {
        Err(Probed::Wanted)
    }
}
