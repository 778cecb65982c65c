//! Judges the host keys of the fleet: strict, or taking in new ones as OpenSSH's `accept-new`.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKeyOrCertificate};

use super::certificates;
use super::chance::random_bytes;
use super::known_hosts::{self, Entry, Found, Place, Verdict};
use super::revoked;
use super::settings::Settings;
use crate::node::NodeError;
use crate::text::one_line;

/// The known_hosts files, each read once for the whole fleet and again when it changed.
#[derive(Debug, Default)]
pub(super) struct HostKeys {
    files: RwLock<HashMap<PathBuf, Known>>,
    /// Held from the last look at a file to the end of the write, so that two lines to one host
    /// add its key once.
    adding: Mutex<()>,
}

/// A file as it was read.
#[derive(Debug, Default)]
struct Known {
    entries: Vec<Entry>,
    stamp: Option<Stamp>,
}

/// What tells that a file is another one than before; none of one that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Result<Option<Self>, std::io::Error> {
        match std::fs::metadata(path) {
            Ok(meta) => Ok(Some(Self {
                inode: meta.ino(),
                length: meta.len(),
                changed: (meta.mtime(), meta.mtime_nsec()),
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl HostKeys {
    /// Returns the keys on file for a host.
    ///
    /// # Errors
    /// [`NodeError::Local`]: a file that is there and cannot be read.
    pub(super) fn find(&self, settings: &Settings) -> Result<Found, NodeError> {
        for path in &settings.known_hosts {
            self.load(path)?;
        }
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let files = settings.known_hosts.iter().filter_map(|path| files.get(path));
        Ok(known_hosts::find(files.flat_map(|known| &known.entries), &settings.names()))
    }

    /// Judges the key or the certificate a host shows by what was found on file.
    ///
    /// As in OpenSSH a certificate that is not good enough is forgotten, and its key judged as a
    /// plain one.
    ///
    /// # Errors
    /// [`NodeError::HostKey`] for every key that is not on file, and [`NodeError::Local`] when a
    /// file cannot be read or written.
    pub(super) fn check(
        &self,
        settings: &Settings,
        found: &Found,
        shown: &PublicKeyOrCertificate,
        accept_new: bool,
    ) -> Result<(), NodeError> {
        let key = shown.public_key().key_data().clone();
        let certificate = shown.certificate();
        revoked::check(settings, &key, certificate)?;
        let refuse = |verdict, flaw: Option<&str>| {
            refusal(&Shown { settings, found, key: &key, flaw }, verdict)
        };
        let mut flaw = None;
        if let Some(certificate) = certificate {
            let authority = certificate.signature_key();
            if let Some(place) = found.revoked(&key).or_else(|| found.revoked(authority)) {
                return refuse(Verdict::Revoked(place), None);
            }
            flaw = flaw_of(certificate, settings, found);
            if flaw.is_none() {
                return Ok(());
            }
        }
        let verdict = found.verdict(&key);
        if verdict != Verdict::Unknown || !accept_new {
            return refuse(verdict, flaw.as_deref());
        }
        let _alone = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        // Another line may have added it while we waited.
        let verdict = self.find(settings)?.verdict(&key);
        if verdict == Verdict::Unknown {
            return self.add(settings, &key);
        }
        refuse(verdict, flaw.as_deref())
    }

    /// Reads a file if nobody has read it as it is now.
    fn load(&self, path: &Path) -> Result<(), NodeError> {
        // Taken before the text: a change in between is seen the next time.
        let stamp = Stamp::of(path).map_err(|error| local(path, &error))?;
        let same = |known: &Known| known.stamp == stamp;
        if self.files.read().unwrap_or_else(PoisonError::into_inner).get(path).is_some_and(same) {
            return Ok(());
        }
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        // A fleet that waits for the lock has it read once.
        if files.get(path).is_some_and(same) {
            return Ok(());
        }
        let text = match std::fs::read(path) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(local(path, &error)),
        };
        let entries = known_hosts::parse(&text, path);
        files.insert(path.to_path_buf(), Known { entries, stamp });
        Ok(())
    }

    /// Writes a new key into the user's first file.
    fn add(&self, settings: &Settings, key: &KeyData) -> Result<(), NodeError> {
        let path = settings.known_hosts.first().ok_or_else(|| {
            NodeError::Local("a new host key cannot be kept: no known_hosts file is set".into())
        })?;
        let name = settings.names().own;
        if !is_one_name(&name) {
            let name = one_line(name.as_bytes(), 100);
            return Err(NodeError::Local(format!(
                "the host key cannot be taken in: HostKeyAlias {name} would be no name in \
                 known_hosts; add the key by hand, or choose another alias"
            )));
        }
        let salt = settings.hash_known_hosts.then(random_bytes);
        let line = known_hosts::line(&name, key, salt)
            .map_err(|error| NodeError::Local(format!("a host key cannot be written: {error}")))?;
        let before = Stamp::of(path).ok().flatten();
        let written = append(path, &line).map_err(|error| local(path, &error))?;
        let after = Stamp::of(path).ok().flatten();
        let added = known_hosts::parse(&line, path);
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        let known = files.entry(path.clone()).or_default();
        // A thousand new hosts would have the file read a thousand times if our own line counted
        // as a change. Another's line beside it does.
        let length = |stamp: Option<Stamp>| stamp.map_or(0, |stamp| stamp.length);
        if known.stamp == before && length(after) == length(before) + written {
            known.entries.extend(added.into_iter().map(Entry::without_number));
            known.stamp = after;
        }
        Ok(())
    }
}

/// Returns why a host's certificate is not enough.
fn flaw_of(certificate: &Certificate, settings: &Settings, found: &Found) -> Option<String> {
    if !found.is_authority(certificate.signature_key()) {
        return Some("is signed by an authority that is not on file".into());
    }
    let name = settings.alias.as_deref().unwrap_or(&settings.host);
    let wanted = settings.algorithms.ca_signatures.as_deref();
    certificates::host_flaw(certificate, name, certificates::now(), wanted)
}

/// Whether a line of known_hosts with this name is one host's: an alias may be a pattern that would
/// trust the key for every host, or the beginning of a comment.
fn is_one_name(name: &str) -> bool {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "*?!,|".contains(c);
    !name.is_empty() && !name.starts_with(['#', '@']) && !name.contains(is_odd)
}

/// Appends one line in one write, so that writers beside us do not cut it in two.
///
/// Returns the bytes written.
fn append(path: &Path, line: &str) -> std::io::Result<u64> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file =
        std::fs::OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let start = if last == *b"\n" { "" } else { "\n" };
    file.write_all(format!("{start}{line}").as_bytes())?;
    Ok((start.len() + line.len()) as u64)
}

/// What a host shows, and what is known of it.
struct Shown<'a> {
    settings: &'a Settings,
    found: &'a Found,
    key: &'a KeyData,
    /// Why its certificate was not enough.
    flaw: Option<&'a str>,
}

/// Turns a verdict into the answer for the operator.
fn refusal(shown: &Shown<'_>, verdict: Verdict) -> Result<(), NodeError> {
    let Shown { settings, key, .. } = *shown;
    let own = one_line(settings.names().own.as_bytes(), 200);
    let kind = type_name(&key.algorithm());
    let print = key.fingerprint(HashAlg::Sha256);
    let but = shown.flaw.map_or_else(String::new, |flaw| format!("; its certificate {flaw}"));
    let text = format!("{kind} key {print}");
    let (problem, fix) = match verdict {
        Verdict::Known => return Ok(()),
        Verdict::Unknown => unknown(shown, &own, &format!("{text}{but}")),
        Verdict::Revoked(place) => (
            format!("the host key of {own} is revoked at {}: {text}", spot(&place)),
            format!("give the host a new key, or ask who revoked this one; {}", spot(&place)),
        ),
        Verdict::Changed(place) => (
            format!(
                "the host key of {own} has changed: it shows the {text}, not the {kind} key at \
                 {}{but}",
                spot(&place)
            ),
            format!(
                "if the host was set up anew, compare the fingerprint, then {}",
                remove_command(&own, &place)
            ),
        ),
        Verdict::OtherType(place, known) => (
            format!(
                "the host key of {own} is of another type than before: it shows the {text}, \
                 known is the {} key at {}{but}",
                type_name(&known),
                spot(&place)
            ),
            format!("compare the fingerprint, then {}", add_command(settings, &key.algorithm())),
        ),
    };
    Err(NodeError::HostKey { problem, fix })
}

/// The problem and the fix for a key that is not on file.
fn unknown(shown: &Shown<'_>, own: &str, text: &str) -> (String, String) {
    let settings = shown.settings;
    let mut problem = format!("the host key of {own} is not known: it shows the {text}");
    if !settings.known_hosts.iter().any(|path| path.exists()) {
        let files = settings.known_hosts.iter().map(|path| path.to_string_lossy());
        let files = files.collect::<Vec<_>>().join(", ");
        let files = one_line(files.as_bytes(), 300);
        problem.push_str(&format!("; there is no known_hosts file ({files})"));
    }
    let by_key = format!(
        "compare the fingerprint, then {}; or run again with --accept-new-host-keys",
        add_command(settings, &shown.key.algorithm())
    );
    if let Some(authority) = shown.found.any_authority() {
        if shown.flaw.is_none() {
            problem.push_str(&format!(
                " without a certificate of the authority at {}",
                spot(&authority)
            ));
        }
        let fix = "have the authority sign the host's key (ssh-keygen -s, HostCertificate)";
        return (problem, format!("{fix}; or {by_key}"));
    }
    (problem, by_key)
}

/// Returns the command that fetches the key and puts it on file.
fn add_command(settings: &Settings, kind: &Algorithm) -> String {
    let file = settings
        .known_hosts
        .first()
        .map_or_else(|| "~/.ssh/known_hosts".into(), |path| shell_word(&path.to_string_lossy()));
    let host = shell_word(&settings.host);
    let kind = scan_name(kind).unwrap_or("ed25519");
    let port = settings.port;
    // ssh-keyscan reaches no host behind another one, and knows no alias.
    if settings.jumps.is_empty() && settings.alias.is_none() {
        return format!("ssh-keyscan -p {port} -t {} {host} >> {file}", kind);
    }
    let alias = settings
        .alias
        .as_ref()
        .map_or_else(String::new, |alias| format!(" -o HostKeyAlias={}", shell_word(alias)));
    let jumps = if settings.jumps.is_empty() {
        String::new()
    } else {
        format!(" -J {}", shell_word(&settings.jumps.join(",")))
    };
    format!("ssh{jumps}{alias} -o UserKnownHostsFile={file} -p {port} {host} true")
}

/// Returns the command that takes the old key off the file.
fn remove_command(own: &str, place: &Place) -> String {
    format!("ssh-keygen -R {} -f {}", shell_word(own), shell_word(&place.file.to_string_lossy()))
}

fn shell_word(word: &str) -> String {
    let word = one_line(word.as_bytes(), 300);
    shlex::try_quote(&word).map_or_else(|_| format!("{word:?}"), std::borrow::Cow::into_owned)
}

fn spot(place: &Place) -> String {
    let file = one_line(place.file.to_string_lossy().as_bytes(), 200);
    place.number.map_or(file.clone(), |line| format!("{file}:{line}"))
}

fn local(path: &Path, error: &std::io::Error) -> NodeError {
    NodeError::Local(one_line(format!("{}: {error}", path.display()).as_bytes(), 300))
}

/// The name of a key type as OpenSSH prints it.
fn type_name(kind: &Algorithm) -> String {
    match scan_name(kind) {
        Some(name) => name.to_uppercase(),
        None => one_line(kind.as_str().as_bytes(), 60),
    }
}

/// The name of a key type as `ssh-keyscan -t` takes it, for the types we ask hosts for.
fn scan_name(kind: &Algorithm) -> Option<&'static str> {
    if matches!(kind, Algorithm::Rsa { .. }) {
        Some("rsa")
    } else if matches!(kind, Algorithm::Ecdsa { .. }) {
        Some("ecdsa")
    } else if matches!(kind, Algorithm::Ed25519) {
        Some("ed25519")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_alias_is_written_that_stands_for_more_than_one_host() {
        for name in ["ring", "[127.0.0.1]:2222", "fe80::1%eth0", "n-1.dc1"] {
            assert!(is_one_name(name), "{name}");
        }
        for name in ["*", "n?", "!a", "a,b", "#a", "@revoked", "a b", "|1|x", ""] {
            assert!(!is_one_name(name), "{name}");
        }
    }
}
