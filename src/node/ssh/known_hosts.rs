//! Reads known_hosts files and says what they hold of a host's key.
//!
//! russh's own checker accepts `@revoked` keys, takes a rotation for a change, knows no wildcard
//! and fails on a bad line, so this is our own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::HostPatterns;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PublicKey};
use sha1::Sha1;

use super::pattern;

/// The names a host's keys are on file under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// `host`, `[host]:port`, or the alias; in lower case.
    pub(super) own: String,
    /// The name without its port, which OpenSSH asks with when `[host]:port` is not on file.
    pub(super) without_port: Option<String>,
}

impl Names {
    /// Returns the names of `host` when it is reached at `port`.
    pub(super) fn of(host: &str, port: u16) -> Self {
        let host = host.to_lowercase();
        if port == super::DEFAULT_PORT {
            return Self { own: host, without_port: None };
        }
        Self { own: format!("[{host}]:{port}"), without_port: Some(host) }
    }

    /// Returns the names of a host whose `HostKeyAlias` is `alias`.
    pub(super) fn alias(alias: &str) -> Self {
        Self { own: alias.to_lowercase(), without_port: None }
    }
}

/// One line that holds a key.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    hosts: Hosts,
    revoked: bool,
    key: KeyData,
    place: Place,
}

impl Entry {
    /// Forgets the line, for an entry that was added to a file others may write too.
    pub(super) fn without_line(mut self) -> Self {
        self.place.line = None;
        self
    }
}

/// A file and a line in it, if it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: Arc<PathBuf>,
    pub(super) line: Option<usize>,
}

#[derive(Clone)]
enum Hosts {
    Patterns(Vec<String>),
    /// HMAC-SHA1 with the line's salt as its key, made once: at a thousand hosts and a thousand
    /// lines the salts alone would be a million hashes.
    Hashed {
        salted: Box<Hmac<Sha1>>,
        hash: [u8; 20],
    },
}

impl std::fmt::Debug for Hosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Patterns(patterns) => write!(f, "{patterns:?}"),
            Self::Hashed { .. } => f.write_str("hashed"),
        }
    }
}

impl Hosts {
    fn hold(&self, name: &str) -> bool {
        match self {
            Self::Patterns(patterns) => {
                pattern::list_matches(patterns.iter().map(String::as_str), name)
            }
            Self::Hashed { salted, hash } => {
                let mut mac = salted.clone();
                mac.update(name.as_bytes());
                mac.finalize().into_bytes().as_slice() == hash
            }
        }
    }
}

/// What the files say of a key that a host shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Known,
    /// The key is on file as one that must not be trusted any more.
    Revoked(Place),
    /// Another key of the same type is on file.
    Changed(Place),
    /// Only keys of other types are on file.
    OtherType(Place, Algorithm),
    Unknown,
}

/// Returns the entries of a file's `text`. Lines that cannot be read are left out, as in OpenSSH.
pub(super) fn parse(text: &str, file: &Path) -> Vec<Entry> {
    let file = Arc::new(file.to_path_buf());
    let lines = text.lines().enumerate();
    let place = |index| Place { file: Arc::clone(&file), line: Some(index + 1) };
    lines.filter_map(|(index, line)| entry(line, || place(index))).collect()
}

/// Returns the entry of one line; none for comments, authorities of certificates and bad lines.
fn entry(line: &str, place: impl FnOnce() -> Place) -> Option<Entry> {
    let mut words = line.split([' ', '\t', '\r']).filter(|word| !word.is_empty());
    let mut word = words.next().filter(|word| !word.starts_with('#'))?;
    let revoked = word == "@revoked";
    if revoked {
        word = words.next()?;
    }
    // `@cert-authority` keys sign host keys; none of them is a host's own.
    if word.starts_with('@') {
        return None;
    }
    let hosts = hosts(word)?;
    let (kind, base64) = (words.next()?, words.next()?);
    let key = PublicKey::from_openssh(&format!("{kind} {base64}")).ok()?.key_data().clone();
    Some(Entry { hosts, revoked, key, place: place() })
}

fn hosts(word: &str) -> Option<Hosts> {
    match word.parse().ok()? {
        HostPatterns::Patterns(patterns) => {
            Some(Hosts::Patterns(patterns.iter().map(|pattern| pattern.to_lowercase()).collect()))
        }
        HostPatterns::HashedName { salt, hash } => {
            let salted = Box::new(Hmac::new_from_slice(&salt).ok()?);
            Some(Hosts::Hashed { salted, hash })
        }
    }
}

/// Returns the types of the keys that are on file for a host, each once.
pub(super) fn types<'a>(entries: impl Iterator<Item = &'a Entry>, names: &Names) -> Vec<Algorithm> {
    let mut own = Vec::new();
    let mut without_port = Vec::new();
    for entry in entries.filter(|entry| !entry.revoked) {
        let kind = entry.key.algorithm();
        if !own.contains(&kind) && entry.hosts.hold(&names.own) {
            own.push(kind);
        } else if let Some(name) = &names.without_port
            && !without_port.contains(&kind)
            && entry.hosts.hold(name)
        {
            without_port.push(kind);
        }
    }
    if own.is_empty() { without_port } else { own }
}

/// Returns what the files say of `key`, shown by the host called `names`.
pub(super) fn verdict<'a>(
    entries: impl Iterator<Item = &'a Entry> + Clone,
    names: &Names,
    key: &KeyData,
) -> Verdict {
    let by_own = verdict_by(entries.clone(), &names.own, key);
    let Some(without_port) = &names.without_port else {
        return by_own;
    };
    if by_own != Verdict::Unknown {
        return by_own;
    }
    // A key on file for the host at port 22 is good enough for its other ports when it is the
    // same; that the port has another one says nothing. A revoked key is revoked everywhere.
    match verdict_by(entries, without_port, key) {
        found @ (Verdict::Known | Verdict::Revoked(_)) => found,
        Verdict::Changed(_) | Verdict::OtherType(..) | Verdict::Unknown => Verdict::Unknown,
    }
}

fn verdict_by<'a>(entries: impl Iterator<Item = &'a Entry>, name: &str, key: &KeyData) -> Verdict {
    let mut verdict = Verdict::Unknown;
    for entry in entries {
        let same_key = entry.key == *key;
        let same_type = entry.key.algorithm() == key.algorithm();
        let says_more = match &verdict {
            Verdict::Unknown => true,
            Verdict::OtherType(..) => same_type || entry.revoked,
            // Rotation: several keys of a type may be on file, and one that fits is enough.
            Verdict::Changed(_) | Verdict::Known => same_key || entry.revoked,
            Verdict::Revoked(_) => break,
        };
        if !says_more || (entry.revoked && !same_key) || !entry.hosts.hold(name) {
            continue;
        }
        verdict = if entry.revoked {
            Verdict::Revoked(entry.place.clone())
        } else if same_key {
            Verdict::Known
        } else if same_type {
            Verdict::Changed(entry.place.clone())
        } else {
            Verdict::OtherType(entry.place.clone(), entry.key.algorithm())
        };
    }
    verdict
}

/// Returns the line that puts `key` on file for `name`, as OpenSSH writes it.
///
/// # Errors
/// The key cannot be written as text.
pub(super) fn line(
    name: &str,
    key: &KeyData,
    salt: Option<[u8; 20]>,
) -> Result<String, russh::keys::ssh_key::Error> {
    let host = match salt.and_then(|salt| Some((salt, Hmac::<Sha1>::new_from_slice(&salt).ok()?))) {
        Some((salt, mut mac)) => {
            mac.update(name.as_bytes());
            let hash = mac.finalize().into_bytes().into();
            HostPatterns::HashedName { salt: salt.to_vec(), hash }.to_string()
        }
        None => name.to_owned(),
    };
    Ok(format!("{host} {}\n", PublicKey::new(key.clone(), "").to_openssh()?))
}

#[cfg(test)]
#[path = "known_hosts_tests.rs"]
mod tests;
