//! Decides which keys and certificates are offered to a host, and in which order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, HashAlg, PublicKey};

use super::certificates::{self, user_flaw};
use super::keys::{Body, KeyFile};
use super::settings::Settings;
use crate::node::NodeError;
use crate::text::one_line;

/// A key or a certificate to offer, and who signs for it.
#[derive(Clone)]
pub(super) struct Offer {
    /// None: the signer's own key, or the certificate it is.
    pub(super) certificate: Option<Arc<CertFile>>,
    pub(super) by: By,
}

#[derive(Clone)]
pub(super) enum By {
    Agent(Box<AgentIdentity>),
    File(Arc<KeyFile>),
}

/// A certificate from a file.
pub(super) struct CertFile {
    pub(super) path: PathBuf,
    pub(super) certificate: Certificate,
    /// The place of the key file it stands beside; none for a `CertificateFile`.
    pub(super) beside: Option<usize>,
}

/// Reads the certificates for a host: those of `CertificateFile`, or else those beside the key
/// files. Those that cannot be used are noted.
pub(super) fn certificates(
    settings: &Settings,
    files: &[Arc<KeyFile>],
    now: u64,
    notes: &mut Vec<String>,
) -> Vec<Arc<CertFile>> {
    let named = settings.certificates.iter().map(|path| (path.clone(), None));
    let beside = files.iter().enumerate().map(|(index, file)| {
        let mut path = file.path.as_os_str().to_owned();
        path.push("-cert.pub");
        (PathBuf::from(path), Some(index))
    });
    let beside = beside.filter(|_| settings.certificates.is_empty());
    let mut found = Vec::new();
    for (path, beside) in named.chain(beside) {
        let certificate = match certificates::read(&path) {
            Ok(Some(certificate)) => certificate,
            Ok(None) if beside.is_some() => continue,
            Ok(None) => {
                notes.push(format!("{} does not exist", shown(&path)));
                continue;
            }
            Err(why) => {
                notes.push(format!("{}: {why}", shown(&path)));
                continue;
            }
        };
        match user_flaw(&certificate, now) {
            Some(why) => notes.push(format!("{} {why}", shown(&path))),
            None => found.push(Arc::new(CertFile { path, certificate, beside })),
        }
    }
    found
}

/// Leaves out the agent's certificates that cannot be used, and notes them.
pub(super) fn usable(
    listed: Vec<AgentIdentity>,
    now: u64,
    notes: &mut Vec<String>,
) -> Vec<AgentIdentity> {
    let mut usable = Vec::new();
    for identity in listed {
        let flaw = match &identity {
            AgentIdentity::Certificate { certificate, .. } => user_flaw(certificate, now),
            AgentIdentity::PublicKey { .. } => None,
        };
        match flaw {
            Some(why) => {
                let comment = one_line(identity.comment().as_bytes(), 60);
                notes.push(format!("agent certificate {comment} {why}"));
            }
            None => usable.push(identity),
        }
    }
    usable
}

/// Refuses when a file the operator named cannot be used and the agent does not hold its key:
/// going on with other keys would hide it.
pub(super) fn check_files(
    settings: &Settings,
    files: &[Arc<KeyFile>],
    agent: &[AgentIdentity],
) -> Result<(), NodeError> {
    for (identity, file) in settings.identities.iter().zip(files) {
        let what = match &file.body {
            Body::Missing => "no such key file",
            Body::Unusable(what) => what,
            Body::PublicOnly | Body::Open(_) | Body::Locked(_) => continue,
        };
        if identity.must_exist && !agent.iter().any(|id| holds(id, file)) {
            return Err(NodeError::Local(format!("{}: {what}", shown(&file.path))));
        }
    }
    Ok(())
}

/// Whether this key of the agent is the one of the file.
fn holds(identity: &AgentIdentity, file: &KeyFile) -> bool {
    let public = file.public.as_ref().map(PublicKey::key_data);
    public == Some(identity.public_key().key_data())
}

/// What there is to offer.
pub(super) struct Stock<'a> {
    pub(super) files: &'a [Arc<KeyFile>],
    pub(super) certificates: &'a [Arc<CertFile>],
    pub(super) agent: &'a [AgentIdentity],
    /// Whether somebody can be asked for a passphrase.
    pub(super) can_ask: bool,
}

/// Returns what is offered, in order, and notes what is not.
///
/// Certificates that were named come first. Then the files that were named, each from the agent
/// when it holds the key; then the agent's other keys unless `IdentitiesOnly`; then the default
/// files. A key's certificate comes before the key. What somebody has to be asked for comes last:
/// often another one does.
pub(super) fn order(settings: &Settings, stock: &Stock<'_>, notes: &mut Vec<String>) -> Vec<Offer> {
    let mut order = Order {
        settings,
        stock,
        notes,
        offers: Vec::new(),
        locked: Vec::new(),
        taken: Vec::new(),
        certified: Vec::new(),
        from_agent: Vec::new(),
    };
    for certificate in stock.certificates.iter().filter(|own| own.beside.is_none()) {
        order.certificate(certificate);
    }
    if !settings.identities_given && !settings.identities_only {
        order.others();
    }
    for (index, file) in stock.files.iter().enumerate() {
        for certificate in stock.certificates.iter().filter(|own| own.beside == Some(index)) {
            order.certificate(certificate);
        }
        order.file(file);
    }
    if settings.identities_given && !settings.identities_only {
        order.others();
    }
    order.offers.append(&mut order.locked);
    order.offers
}

struct Order<'a> {
    settings: &'a Settings,
    stock: &'a Stock<'a>,
    notes: &'a mut Vec<String>,
    offers: Vec<Offer>,
    locked: Vec<Offer>,
    /// No key is offered twice: each counts against the server's limit.
    taken: Vec<KeyData>,
    certified: Vec<PathBuf>,
    /// The agent's certificates that are offered, as bytes.
    from_agent: Vec<Vec<u8>>,
}

impl Order<'_> {
    /// The agent's keys that no file names.
    fn others(&mut self) {
        let stock = self.stock;
        let mut keys = Vec::new();
        for identity in stock.agent {
            let public = identity.public_key();
            if self.taken.contains(public.key_data()) {
                continue;
            }
            keys.push(public.key_data().clone());
            let own = |own: &&Arc<CertFile>| own.certificate.public_key() == public.key_data();
            for certificate in stock.certificates.iter().filter(own) {
                self.certificate(certificate);
            }
            self.identity(identity);
        }
        self.taken.append(&mut keys);
    }

    /// What the agent lists, as it lists it.
    fn identity(&mut self, identity: &AgentIdentity) {
        if let Some(bytes) = bytes_of(identity) {
            if self.from_agent.contains(&bytes) {
                return;
            }
            self.from_agent.push(bytes);
        }
        let by = By::Agent(Box::new(identity.clone()));
        self.offers.push(Offer { certificate: None, by });
    }

    /// A certificate of a file: signed for by the agent when it holds the key, else by its file.
    fn certificate(&mut self, certificate: &Arc<CertFile>) {
        if self.certified.contains(&certificate.path) {
            return;
        }
        self.certified.push(certificate.path.clone());
        let stock = self.stock;
        let key = certificate.certificate.public_key();
        let offer = |by| Offer { certificate: Some(Arc::clone(certificate)), by };
        let mut held = stock.agent.iter().filter(|id| id.public_key().key_data() == key);
        let bytes = certificate.certificate.to_bytes().ok();
        if let Some(identity) = held.clone().find(|id| bytes.is_some() && bytes_of(id) == bytes) {
            return self.identity(identity);
        }
        let plain = held.find(|id| matches!(id, AgentIdentity::PublicKey { .. }));
        if let Some(identity) = plain {
            return self.offers.push(offer(By::Agent(Box::new(identity.clone()))));
        }
        let mut files = stock.files.iter().enumerate().filter(|(index, file)| {
            // A locked key that does not tell its public half may be the one beside it.
            let unknown = file.public.is_none() && certificate.beside == Some(*index);
            unknown || file.public.as_ref().is_some_and(|public| public.key_data() == key)
        });
        let signer = files.find(|(_, file)| match &file.body {
            Body::Open(_) => true,
            Body::Locked(_) => stock.can_ask,
            Body::Missing | Body::PublicOnly | Body::Unusable(_) => false,
        });
        match signer {
            Some((_, file)) if matches!(file.body, Body::Open(_)) => {
                self.offers.push(offer(By::File(Arc::clone(file))));
            }
            Some((_, file)) => self.locked.push(offer(By::File(Arc::clone(file)))),
            None => {
                let path = shown(&certificate.path);
                self.notes.push(format!("{path} is for a key that cannot be used here"));
            }
        }
    }

    fn file(&mut self, file: &Arc<KeyFile>) {
        if let Some(public) = &file.public {
            if self.taken.contains(public.key_data()) {
                return;
            }
            self.taken.push(public.key_data().clone());
            let mut held: Vec<_> = self.stock.agent.iter().filter(|id| holds(id, file)).collect();
            held.sort_by_key(|id| matches!(id, AgentIdentity::PublicKey { .. }));
            if !held.is_empty() {
                return held.into_iter().for_each(|identity| self.identity(identity));
            }
        }
        let offer = || Offer { certificate: None, by: By::File(Arc::clone(file)) };
        let note = match &file.body {
            Body::Open(_) => return self.offers.push(offer()),
            Body::Locked(_) if self.stock.can_ask => return self.locked.push(offer()),
            Body::Locked(_) => "is encrypted and not in the agent: use ssh-add",
            Body::PublicOnly if self.settings.identities_given => {
                "is a public key the agent does not hold"
            }
            Body::Missing if self.settings.identities_given => "does not exist",
            // Nobody asked for the default files.
            Body::Missing | Body::PublicOnly => return,
            Body::Unusable(what) => what,
        };
        self.notes.push(format!("{} {note}", shown(&file.path)));
    }
}

/// The bytes of an agent's certificate; comments are none of them.
fn bytes_of(identity: &AgentIdentity) -> Option<Vec<u8>> {
    match identity {
        AgentIdentity::PublicKey { .. } => None,
        AgentIdentity::Certificate { certificate, .. } => certificate.to_bytes().ok(),
    }
}

pub(super) fn shown(path: &Path) -> String {
    one_line(path.to_string_lossy().as_bytes(), 120)
}

/// The beginning of a key's fingerprint, enough to tell the operator's keys apart.
pub(super) fn print(public: &PublicKey) -> String {
    let print = public.fingerprint(HashAlg::Sha256).to_string();
    print.chars().take("SHA256:".len() + 12).collect::<String>() + "…"
}

#[cfg(test)]
#[path = "offers_tests.rs"]
mod tests;
