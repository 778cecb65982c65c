//! Logs in with public keys and certificates: shows each to the server, and signs for one it takes.

use std::borrow::Cow;
use std::path::Path;
use std::slice::Iter;
use std::sync::Arc;

use russh::client::AuthResult;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PublicKey};
use russh::{AgentAuthError, MethodKind, Signer};
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::agents;
use super::auth::{Login, Step, timed};
use super::certificates::{is_listed, other_names};
use super::keys::KeyFile;
use super::offers::{By, Offer, print, shown};
use super::signers::{ByAgent, ByKey, Probe, Probed};
use crate::node::NodeError;
use crate::text::one_line;

/// What ssh_config's `+` and `-` of `PubkeyAcceptedAlgorithms` begin from: all but SHA-1.
const ACCEPTED: &str = "ssh-ed25519*,ecdsa-sha2-*,sk-*,rsa-sha2-*";

/// What is shown to the server: a key, or a certificate of it.
enum Face<'a> {
    Key(Cow<'a, PublicKey>),
    Certificate(&'a Certificate),
}

impl Face<'_> {
    fn key(&self) -> PublicKey {
        match self {
            Self::Key(key) => PublicKey::clone(key),
            Self::Certificate(certificate) => certificate.public_key().clone().into(),
        }
    }

    /// The name of the algorithm on the wire.
    fn algorithm(&self, hash: Option<HashAlg>) -> String {
        let own = self.key().algorithm();
        let own = if own.clone().is_rsa() { Algorithm::Rsa { hash } } else { own };
        match self {
            Self::Key(_) => own.to_string(),
            Self::Certificate(_) => own.to_certificate_type(),
        }
    }
}

impl Login<'_> {
    /// Offers one after the other until the server takes one or no more.
    pub(super) async fn offer_all(
        &mut self,
        offers: &mut Iter<'_, Offer>,
    ) -> Result<Step, NodeError> {
        while self.takes(MethodKind::PublicKey) {
            let Some(offer) = offers.next() else { break };
            let step = match &offer.by {
                By::Agent(identity) => self.offer_agent(offer, identity).await?,
                By::File(file) => self.offer_file(offer, file).await?,
            };
            if step != Step::Next {
                return Ok(step);
            }
        }
        Ok(Step::Next)
    }

    async fn offer_agent(
        &mut self,
        offer: &Offer,
        identity: &AgentIdentity,
    ) -> Result<Step, NodeError> {
        let face = match (&offer.certificate, identity) {
            (Some(file), _) => Face::Certificate(&file.certificate),
            (None, AgentIdentity::Certificate { certificate, .. }) => {
                Face::Certificate(certificate)
            }
            (None, AgentIdentity::PublicKey { key, .. }) => Face::Key(Cow::Borrowed(key)),
        };
        let comment = one_line(identity.comment().as_bytes(), 60);
        let name = match (&offer.certificate, &face) {
            (Some(file), _) => shown(&file.path),
            (None, Face::Certificate(_)) => format!("agent certificate {comment}"),
            (None, Face::Key(_)) => format!("agent key {comment}"),
        };
        let name = self.named(name, &face);
        let hash = match self.hash(&face, &name).await? {
            Ok(hash) => hash,
            Err(step) => return Ok(step),
        };
        let mut agent = match self.agent.take() {
            Some(agent) => agent,
            None => match self.connect_agent().await? {
                Ok(agent) => agent,
                Err(why) => {
                    self.forget_agent().await;
                    self.notes.push(why);
                    return Ok(Step::Next);
                }
            },
        };
        let signer = ByAgent { agent: &mut agent, identity };
        let signed = self.show(&face, hash, signer).await?;
        if let Err(AgentAuthError::Key(error)) = &signed {
            let error = one_line(error.to_string().as_bytes(), 100);
            self.notes.push(format!("{name}: the agent did not sign ({error})"));
            self.forget_agent().await;
            return Ok(if self.gone().is_some() { Step::Over } else { Step::Next });
        }
        self.agent = Some(agent);
        Ok(self.judge(signed.map_err(|_| ()), name))
    }

    /// Has the agent asked anew by the next login: what it listed it cannot do.
    async fn forget_agent(&self) {
        if let Some(socket) = &self.settings.agent {
            self.keyring.agents.forget(socket).await;
        }
    }

    /// Connects to the agent, and tells it which session it signs for: keys that are bound to
    /// destinations (`ssh-add -h`) want that. Agents that do not know the request refuse it.
    async fn connect_agent(
        &mut self,
    ) -> Result<Result<AgentClient<UnixStream>, String>, NodeError> {
        let settings = self.settings;
        let Some(socket) = settings.agent.as_deref() else {
            return Ok(Err("no agent is set".into()));
        };
        let binding = self.binding.as_ref();
        let connect = async {
            let mut agent = agents::connect(socket).await?;
            if let Some(binding) = binding {
                let _ = agent.bind_session(binding, false).await;
            }
            Ok(agent)
        };
        timed(&mut self.left, self.limit, connect).await
    }

    async fn offer_file(&mut self, offer: &Offer, file: &Arc<KeyFile>) -> Result<Step, NodeError> {
        let face = match (&offer.certificate, &file.public) {
            (Some(file), _) => Some(Face::Certificate(&file.certificate)),
            (None, Some(public)) => Some(Face::Key(Cow::Borrowed(public))),
            (None, None) => None,
        };
        let path: &Path = offer.certificate.as_ref().map_or(&file.path, |own| &own.path);
        let name = match &face {
            Some(face) => self.named(shown(path), face),
            None => shown(path),
        };
        let key = match file.open() {
            Some(key) => key,
            None => {
                if let Some(face) = &face
                    && let Some(step) = self.ask_server(face, &name).await?
                {
                    return Ok(step);
                }
                let start = Instant::now();
                let key = self.keyring.unlock(file).await;
                self.waited_since(start);
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
        let face = match &offer.certificate {
            Some(own) if own.certificate.public_key() != key.public_key().key_data() => {
                self.notes.push(format!("{name}: it is for another key"));
                return Ok(Step::Next);
            }
            Some(own) => Face::Certificate(&own.certificate),
            None => Face::Key(Cow::Borrowed(key.public_key())),
        };
        self.offer_key(&face, &key, name).await
    }

    async fn offer_key(
        &mut self,
        face: &Face<'_>,
        key: &PrivateKey,
        name: String,
    ) -> Result<Step, NodeError> {
        let hash = match self.hash(face, &name).await? {
            Ok(hash) => hash,
            Err(step) => return Ok(step),
        };
        match self.show(face, hash, ByKey(key)).await? {
            Err(AgentAuthError::Key(error)) => {
                let error = one_line(error.to_string().as_bytes(), 100);
                self.notes.push(format!("{name}: it cannot sign ({error})"));
                Ok(if self.gone().is_some() { Step::Over } else { Step::Next })
            }
            result => Ok(self.judge(result.map_err(|_| ()), name)),
        }
    }

    /// Asks the server whether it would take a locked key, so that nobody types for nothing.
    ///
    /// Returns none when it would.
    async fn ask_server(&mut self, face: &Face<'_>, name: &str) -> Result<Option<Step>, NodeError> {
        let hash = match self.hash(face, name).await? {
            Ok(hash) => hash,
            Err(step) => return Ok(Some(step)),
        };
        match self.show(face, hash, Probe).await? {
            Err(Probed::Wanted) => Ok(None),
            Err(Probed::Gone) => Ok(Some(self.judge(Err(()), name.to_owned()))),
            Ok(result) => Ok(Some(self.judge(Ok(result), name.to_owned()))),
        }
    }

    /// Shows a key or certificate to the server; `signer` is asked when it is taken.
    async fn show<S: Signer>(
        &mut self,
        face: &Face<'_>,
        hash: Option<HashAlg>,
        mut signer: S,
    ) -> Result<Result<AuthResult, S::Error>, NodeError> {
        let user = &self.settings.user;
        match face {
            Face::Key(key) => {
                let key = PublicKey::clone(key);
                let login = self.handle.authenticate_publickey_with(user, key, hash, &mut signer);
                timed(&mut self.left, self.limit, login).await
            }
            Face::Certificate(certificate) => {
                let certificate = Certificate::clone(certificate);
                let login =
                    self.handle.authenticate_certificate_with(user, certificate, hash, &mut signer);
                timed(&mut self.left, self.limit, login).await
            }
        }
    }

    /// Returns the hash to sign with, none for keys that have no choice; or the step to go on
    /// with when the key cannot be used here.
    async fn hash(
        &mut self,
        face: &Face<'_>,
        name: &str,
    ) -> Result<Result<Option<HashAlg>, Step>, NodeError> {
        let mut hashes = vec![None];
        if face.key().algorithm().is_rsa() {
            if self.rsa_hash.is_none() {
                let ask = self.handle.best_supported_rsa_hash();
                let told = timed(&mut self.left, self.limit, ask).await?;
                // A server that does not say is asked for SHA-512, as RFC 8332 allows.
                self.rsa_hash = Some(told.ok().flatten().unwrap_or(Some(HashAlg::Sha512)));
            }
            let Some(best) = self.rsa_hash.flatten() else {
                self.notes
                    .push(format!("{name}: the server takes only SHA-1 signatures of RSA keys"));
                return Ok(Err(Step::Next));
            };
            hashes = vec![Some(best), Some(HashAlg::Sha256)];
        }
        let wanted = self.settings.algorithms.user_keys.as_deref();
        let listed = |hash: &Option<HashAlg>| {
            wanted.is_none() || is_listed(&face.algorithm(*hash), ACCEPTED, wanted)
        };
        let hash = hashes.into_iter().find(listed);
        if hash.is_none() {
            self.notes.push(format!("{name}: PubkeyAcceptedAlgorithms leaves it out"));
        }
        Ok(hash.ok_or(Step::Next))
    }

    /// The name of an offer in an error: with the fingerprint, and for whom it is when that is
    /// not the login name.
    fn named(&self, name: String, face: &Face<'_>) -> String {
        let print = print(&face.key());
        let others = match face {
            Face::Certificate(certificate) => other_names(certificate, &self.settings.user),
            Face::Key(_) => None,
        };
        match others {
            Some(others) => format!("{name} {print} (a certificate for {others})"),
            None => format!("{name} {print}"),
        }
    }
}
