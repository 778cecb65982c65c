//! Who signs a login: the agent, a key from a file, or nobody, to learn whether it is worth it.

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::Signature;
use russh::keys::{Error, HashAlg, PrivateKey};
use russh::{AgentAuthError, SendError, Signer};
use tokio::net::UnixStream;

/// Signs with a key of the agent, for the key itself or for a certificate of it.
pub(super) struct ByAgent<'a> {
    pub(super) agent: &'a mut AgentClient<UnixStream>,
    /// As the agent listed it: it is asked for by what it lists.
    pub(super) identity: &'a AgentIdentity,
}

impl Signer for ByAgent<'_> {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, AgentAuthError> {
        Ok(self.agent.sign_request(self.identity, hash, data).await?)
    }
}

/// Signs with a key from a file, for the key itself or for a certificate of it.
pub(super) struct ByKey<'a>(pub(super) &'a PrivateKey);

impl Signer for ByKey<'_> {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut data: Vec<u8>,
    ) -> Result<Vec<u8>, AgentAuthError> {
        let failed = |error| Error::from(russh::keys::ssh_key::Error::from(error));
        let signature: Signature = match self.0.key_data().rsa() {
            // The hash is the server's choice, not the key's.
            Some(pair) => (pair, hash).try_sign(&data),
            None => self.0.try_sign(&data),
        }
        .map_err(failed)?;
        let unwritten = |error| Error::from(russh::keys::ssh_key::Error::from(error));
        let bytes: Vec<u8> = signature.encode_vec().map_err(unwritten)?;
        bytes.encode(&mut data).map_err(unwritten)?;
        Ok(data)
    }
}

/// Signs nothing; that it is called says that the server would take the key.
pub(super) struct Probe;

pub(super) enum Probed {
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
