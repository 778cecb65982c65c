//! Decides which keys are offered to a host, and in which order.

use std::path::Path;
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{HashAlg, PublicKey};

use super::keys::{Body, KeyFile};
use super::settings::Settings;
use crate::node::NodeError;
use crate::text::one_line;

/// A key to offer.
#[derive(Clone)]
pub(super) enum Offer {
    Agent(Box<AgentIdentity>),
    File(Arc<KeyFile>),
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

/// Returns what is offered, in order, and notes what is not.
///
/// The files that were named come first, each from the agent when it holds the key; then the
/// agent's other keys unless `IdentitiesOnly`; then the default files. A key somebody has to be
/// asked for comes last: often another one does.
pub(super) fn order(
    settings: &Settings,
    files: &[Arc<KeyFile>],
    agent: &[AgentIdentity],
    can_ask: bool,
    notes: &mut Vec<String>,
) -> Vec<Offer> {
    let mut offers = Vec::new();
    let mut locked = Vec::new();
    let mut taken: Vec<KeyData> = Vec::new();
    let others = |offers: &mut Vec<Offer>, taken: &[KeyData]| {
        let others = agent.iter().filter(|id| !taken.contains(id.public_key().key_data()));
        offers.extend(others.cloned().map(Box::new).map(Offer::Agent));
    };
    if !settings.identities_given && !settings.identities_only {
        others(&mut offers, &taken);
        taken.extend(agent.iter().map(|id| id.public_key().key_data().clone()));
    }
    for file in files {
        if let Some(public) = &file.public {
            if taken.contains(public.key_data()) {
                continue;
            }
            taken.push(public.key_data().clone());
            let before = offers.len();
            let held = agent.iter().filter(|id| holds(id, file));
            offers.extend(held.cloned().map(Box::new).map(Offer::Agent));
            if offers.len() > before {
                continue;
            }
        }
        let note = match &file.body {
            Body::Open(_) => {
                offers.push(Offer::File(Arc::clone(file)));
                continue;
            }
            Body::Locked(_) if can_ask => {
                locked.push(Offer::File(Arc::clone(file)));
                continue;
            }
            Body::Locked(_) => "is encrypted and not in the agent: use ssh-add",
            Body::PublicOnly if settings.identities_given => {
                "is a public key the agent does not hold"
            }
            Body::Missing if settings.identities_given => "does not exist",
            // Nobody asked for the default files.
            Body::Missing | Body::PublicOnly => continue,
            Body::Unusable(what) => what,
        };
        notes.push(format!("{} {note}", shown(&file.path)));
    }
    if settings.identities_given && !settings.identities_only {
        others(&mut offers, &taken);
    }
    offers.append(&mut locked);
    offers
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
