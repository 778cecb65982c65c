//! Judges the host keys of the fleet: strict, or taking in new ones as OpenSSH's `accept-new`.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, HashAlg};

use super::chance::random_bytes;
use super::known_hosts::{self, Entry, Found, Place, Verdict};
use super::settings::Settings;
use crate::node::NodeError;
use crate::text::one_line;

/// The known_hosts files, each read once for the whole fleet.
#[derive(Debug, Default)]
pub(super) struct HostKeys {
    files: RwLock<HashMap<PathBuf, Vec<Entry>>>,
    /// Held from the last look at a file to the end of the write, so that two lines to one host
    /// add its key once.
    adding: Mutex<()>,
}

impl HostKeys {
    /// Returns the keys on file for a host.
    ///
    /// # Errors
    /// [`NodeError::Local`]: a file that is there and cannot be read.
    pub(super) fn find(&self, settings: &Settings) -> Result<Found, NodeError> {
        self.load(settings)?;
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let files = settings.known_hosts.iter().filter_map(|path| files.get(path));
        Ok(known_hosts::find(files.flatten(), &settings.names()))
    }

    /// Judges the key a host shows by what was found on file.
    ///
    /// # Errors
    /// [`NodeError::HostKey`] for every key that is not on file, and [`NodeError::Local`] when a
    /// file cannot be read or written.
    pub(super) fn check(
        &self,
        settings: &Settings,
        found: &Found,
        key: &KeyData,
        accept_new: bool,
    ) -> Result<(), NodeError> {
        let verdict = found.verdict(key);
        if verdict != Verdict::Unknown || !accept_new {
            return refusal(settings, key, verdict);
        }
        let _alone = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        // Another line may have added it while we waited.
        let verdict = self.find(settings)?.verdict(key);
        if verdict == Verdict::Unknown {
            return self.add(settings, key);
        }
        refusal(settings, key, verdict)
    }

    /// Reads the host's files if nobody has read them yet.
    fn load(&self, settings: &Settings) -> Result<(), NodeError> {
        for path in &settings.known_hosts {
            if self.files.read().unwrap_or_else(PoisonError::into_inner).contains_key(path) {
                continue;
            }
            let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
            let text = match std::fs::read(path) {
                Ok(text) => String::from_utf8_lossy(&text).into_owned(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
                Err(error) => return Err(local(path, &error)),
            };
            files.entry(path.clone()).or_insert_with(|| known_hosts::parse(&text, path));
        }
        Ok(())
    }

    /// Writes a new key into the user's first file.
    fn add(&self, settings: &Settings, key: &KeyData) -> Result<(), NodeError> {
        let path = settings.known_hosts.first().ok_or_else(|| {
            NodeError::Local("a new host key cannot be kept: no known_hosts file is set".into())
        })?;
        let salt = settings.hash_known_hosts.then(random_bytes);
        let line = known_hosts::line(&settings.names().own, key, salt)
            .map_err(|error| NodeError::Local(format!("a host key cannot be written: {error}")))?;
        append(path, &line).map_err(|error| local(path, &error))?;
        let added = known_hosts::parse(&line, path);
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        let entries = files.entry(path.clone()).or_default();
        entries.extend(added.into_iter().map(Entry::without_number));
        Ok(())
    }
}

/// Appends one line in one write, so that writers beside us do not cut it in two.
fn append(path: &Path, line: &str) -> std::io::Result<()> {
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
    file.write_all(format!("{start}{line}").as_bytes())
}

/// Turns a verdict into the answer for the operator.
fn refusal(settings: &Settings, key: &KeyData, verdict: Verdict) -> Result<(), NodeError> {
    let own = one_line(settings.names().own.as_bytes(), 200);
    let kind = type_name(&key.algorithm());
    let print = key.fingerprint(HashAlg::Sha256);
    let shown = format!("{kind} key {print}");
    let (problem, fix) = match verdict {
        Verdict::Known => return Ok(()),
        Verdict::Unknown => (
            format!("the host key of {own} is not known: it shows the {shown}"),
            format!(
                "compare the fingerprint, then {}; or run again with --accept-new-host-keys",
                add_command(settings, &key.algorithm())
            ),
        ),
        Verdict::Revoked(place) => (
            format!("the host key of {own} is revoked at {}: {shown}", spot(&place)),
            format!("give the host a new key, or ask who revoked this one; {}", spot(&place)),
        ),
        Verdict::Changed(place) => (
            format!(
                "the host key of {own} has changed: it shows the {shown}, not the {kind} key at {}",
                spot(&place)
            ),
            format!(
                "if the host was set up anew, compare the fingerprint, then {}",
                remove_command(&own, &place)
            ),
        ),
        Verdict::OtherType(place, known) => (
            format!(
                "the host key of {own} is of another type than before: it shows the {shown}, \
                 known is the {} key at {}",
                type_name(&known),
                spot(&place)
            ),
            format!("compare the fingerprint, then {}", add_command(settings, &key.algorithm())),
        ),
    };
    Err(NodeError::HostKey { problem, fix })
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
