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

/// Characters of the longest key in base64; RSA with 16384 bits has 2,800.
const LONGEST_KEY: usize = 32 * 1024;

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

/// One line of a file: whose key, and the key.
#[derive(Debug)]
pub(super) struct Entry {
    hosts: Hosts,
    line: Line,
}

/// A key on file.
#[derive(Debug, Clone)]
struct Line {
    mark: Mark,
    key: KeyData,
    place: Place,
}

/// What a line says of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// The host's own.
    Own,
    /// `@revoked`: trusted no more, as a host's key or as an authority's.
    Revoked,
    /// `@cert-authority`: it signs the certificates of host keys and is no host's own.
    Authority,
}

impl Entry {
    /// Forgets the line's number, for an entry that was added to a file others may write too.
    pub(super) fn without_number(mut self) -> Self {
        self.line.place.number = None;
        self
    }
}

/// A file and a line in it, if it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: Arc<PathBuf>,
    pub(super) number: Option<usize>,
}

enum Hosts {
    /// Names without wildcards, which most files hold nothing but.
    Names(Vec<String>),
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
            Self::Names(names) | Self::Patterns(names) => write!(f, "{names:?}"),
            Self::Hashed { .. } => f.write_str("hashed"),
        }
    }
}

impl Hosts {
    fn hold(&self, name: &str) -> bool {
        match self {
            Self::Names(names) => names.iter().any(|own| own == name),
            Self::Patterns(patterns) => {
                pattern::list_matches(patterns.iter().map(String::as_str), name)
            }
            Self::Hashed { salted, hash } => {
                let mut mac = Hmac::clone(salted);
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
    let place = |index| Place { file: Arc::clone(&file), number: Some(index + 1) };
    lines.filter_map(|(index, line)| entry(line, || place(index))).collect()
}

/// Returns the entry of one line; none for comments and bad lines.
fn entry(line: &str, place: impl FnOnce() -> Place) -> Option<Entry> {
    let mut words = line.split([' ', '\t', '\r']).filter(|word| !word.is_empty());
    let mut word = words.next().filter(|word| !word.starts_with('#'))?;
    let mark = match word {
        "@revoked" => Mark::Revoked,
        "@cert-authority" => Mark::Authority,
        _ if word.starts_with('@') => return None,
        _ => Mark::Own,
    };
    if mark != Mark::Own {
        word = words.next()?;
    }
    let hosts = hosts(word)?;
    let (kind, base64) = (words.next()?, words.next()?);
    if base64.len() > LONGEST_KEY || kind.contains("-cert-v01@") {
        return None;
    }
    let key = PublicKey::from_openssh(&format!("{kind} {base64}")).ok()?.key_data().clone();
    let line = Line { mark, key, place: place() };
    Some(Entry { hosts, line })
}

fn hosts(word: &str) -> Option<Hosts> {
    match word.parse().ok()? {
        HostPatterns::Patterns(patterns) => {
            let names: Vec<_> = patterns.iter().map(|pattern| pattern.to_lowercase()).collect();
            let plain = names.iter().all(|name| !name.contains(['*', '?', '!']));
            Some(if plain { Hosts::Names(names) } else { Hosts::Patterns(names) })
        }
        HostPatterns::HashedName { salt, hash } => {
            let salted = Box::new(Hmac::new_from_slice(&salt).ok()?);
            Some(Hosts::Hashed { salted, hash })
        }
    }
}

/// The keys on file for one host.
#[derive(Debug)]
pub(super) struct Found {
    own: Vec<Line>,
    /// Authorities; the rest only when no key is on file under the host's own name.
    without_port: Vec<Line>,
}

/// Looks up a host in all entries. At a thousand hashed lines this is what costs, so it is done
/// once for a connection.
pub(super) fn find<'a>(entries: impl Iterator<Item = &'a Entry> + Clone, names: &Names) -> Found {
    let of = |name: &str, only_authorities: bool| -> Vec<Line> {
        let entries = entries.clone().filter(|entry| {
            (!only_authorities || entry.line.mark == Mark::Authority) && entry.hosts.hold(name)
        });
        entries.map(|entry| entry.line.clone()).collect()
    };
    let own = of(&names.own, false);
    let known = own.iter().any(|line| line.mark == Mark::Own);
    let without_port = names.without_port.as_ref().map(|name| of(name, known));
    Found { own, without_port: without_port.unwrap_or_default() }
}

impl Found {
    fn all(&self) -> impl Iterator<Item = &Line> {
        self.own.iter().chain(&self.without_port)
    }

    /// Returns the types of the keys on file, each once.
    pub(super) fn types(&self) -> Vec<Algorithm> {
        let mut types = Vec::new();
        for line in self.all().filter(|line| line.mark == Mark::Own) {
            let kind = line.key.algorithm();
            if !types.contains(&kind) {
                types.push(kind);
            }
        }
        types
    }

    /// Whether the host should show a certificate: an authority is on file that may have signed
    /// one, or a revoked key that may be its authority's.
    pub(super) fn has_authority(&self) -> bool {
        self.all().any(|line| line.mark != Mark::Own)
    }

    /// Returns where an authority for this host is on file, whatever its key.
    pub(super) fn any_authority(&self) -> Option<Place> {
        let line = self.all().find(|line| line.mark == Mark::Authority)?;
        Some(line.place.clone())
    }

    /// Returns whether `key` is on file as an authority for this host.
    pub(super) fn is_authority(&self, key: &KeyData) -> bool {
        self.all().any(|line| line.mark == Mark::Authority && line.key == *key)
    }

    /// Returns where `key` is on file as revoked.
    pub(super) fn revoked(&self, key: &KeyData) -> Option<Place> {
        let line = self.all().find(|line| line.mark == Mark::Revoked && line.key == *key)?;
        Some(line.place.clone())
    }

    /// Returns what is on file of `key`, which the host shows.
    pub(super) fn verdict(&self, key: &KeyData) -> Verdict {
        let own = verdict(&self.own, key);
        if own != Verdict::Unknown {
            return own;
        }
        // A key on file for the host at port 22 is good enough for its other ports when it is the
        // same; that the port has another one says nothing. A revoked key is revoked everywhere.
        match verdict(&self.without_port, key) {
            found @ (Verdict::Known | Verdict::Revoked(_)) => found,
            Verdict::Changed(_) | Verdict::OtherType(..) | Verdict::Unknown => Verdict::Unknown,
        }
    }
}

fn verdict(lines: &[Line], key: &KeyData) -> Verdict {
    let mut same = lines.iter().filter(|line| line.key == *key);
    if let Some(line) = same.clone().find(|line| line.mark == Mark::Revoked) {
        return Verdict::Revoked(line.place.clone());
    }
    // Rotation: several keys of a type may be on file, and one that fits is enough.
    if same.any(|line| line.mark == Mark::Own) {
        return Verdict::Known;
    }
    let kind = key.algorithm();
    let mut others = lines.iter().filter(|line| line.mark == Mark::Own);
    if let Some(line) = others.clone().find(|line| line.key.algorithm() == kind) {
        return Verdict::Changed(line.place.clone());
    }
    match others.next() {
        Some(line) => Verdict::OtherType(line.place.clone(), line.key.algorithm()),
        None => Verdict::Unknown,
    }
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
