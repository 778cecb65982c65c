//! Doors for fuzzers: known hosts, ssh_config, what a server says before and in the handshake.

use std::path::Path;

use russh::keys::{Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};
use tokio::io::{AsyncRead, AsyncWrite};

use super::algorithms::{Configs, Load, Wish};
use super::channels::Goodbyes;
use super::config::{self, Asked, Parser, Roots};
use super::gate::Gate;
use super::host_keys::HostKeys;
use super::known_hosts::{self, Names, Verdict};
use super::line::{Failed, Greeting};
use super::settings::Settings;
use super::wire::Noise;
use super::{Options, pattern};
use crate::node::NodeError;

/// A host's key or certificate, read from the bytes with which a server shows it.
#[derive(Debug)]
pub struct HostKey(PublicKeyOrCertificate);

impl HostKey {
    /// Returns the key or certificate, if it is one.
    pub fn read(blob: &[u8]) -> Option<Self> {
        // russh refuses certificates within certificates before it reads them.
        const CERTIFICATE: &[u8] = b"-cert-v01@";
        let parts = blob.windows(CERTIFICATE.len()).filter(|part| *part == CERTIFICATE);
        let shown = match parts.count() {
            0 => PublicKey::from_bytes(blob).map(PublicKeyOrCertificate::from),
            1 => Certificate::from_bytes(blob).map(PublicKeyOrCertificate::from),
            _ => return None,
        };
        shown.ok().map(Self)
    }

    /// Whether it is a certificate.
    pub fn is_certificate(&self) -> bool {
        self.0.certificate().is_some()
    }

    /// Returns the bytes with which a server shows it.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match &self.0 {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.to_bytes().ok(),
            PublicKeyOrCertificate::Certificate(certificate) => certificate.to_bytes().ok(),
        }
    }

    /// Returns the fingerprint of its key.
    pub fn fingerprint(&self) -> String {
        self.0.public_key().fingerprint(HashAlg::Sha256).to_string()
    }

    /// Returns the line of known_hosts for it.
    pub fn line(&self, host: &str, port: u16, salt: Option<[u8; 20]>) -> Option<String> {
        known_hosts::line(&Names::of(host, port).own, self.0.public_key().key_data(), salt).ok()
    }
}

/// What a known_hosts file says of a key.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    /// How many lines were read.
    pub entries: usize,
    /// The key is on file.
    pub is_known: bool,
    /// The key is on file as one that must not be trusted.
    pub is_revoked: bool,
    /// All of the verdict.
    pub verdict: String,
    /// What the operator is told; none when the host is trusted.
    pub refusal: Option<NodeError>,
}

/// Asks a known_hosts file's `text` for the key that `host` shows.
pub fn ask_known_hosts(text: &str, host: &str, port: u16, key: &HostKey) -> Told {
    let entries = known_hosts::parse(text, Path::new("known_hosts"));
    let settings = Settings { host: host.to_lowercase(), port, ..Settings::plain(host) };
    let found = known_hosts::find(entries.iter(), &settings.names());
    let verdict = found.verdict(key.0.public_key().key_data());
    let check = HostKeys::default().check(&settings, &found, &key.0, false);
    Told {
        entries: entries.len(),
        is_known: verdict == Verdict::Known,
        is_revoked: matches!(verdict, Verdict::Revoked(_)),
        verdict: format!("{:?} {verdict:?}", found.types()),
        refusal: check.err(),
    }
}

/// Returns what an ssh_config's `text` says of `host`, or what of it is left to `ssh`.
///
/// # Errors
/// The first line that is not understood.
pub fn ask_ssh_config(text: &str, home: &Path, host: &str) -> Result<String, String> {
    let roots = Roots { home, include: home, system: false };
    let mut parser = Parser::new();
    parser.add(text, Path::new("config"), roots).map_err(|fail| fail.to_string())?;
    let ran = std::collections::HashMap::new();
    let asked = Asked { host, user: None, port: None, local_user: "me", home, ran: &ran };
    let said = config::lookup(&parser.done(), &asked).map_err(|fail| fail.to_string())?;
    Ok(format!("{said:?}"))
}

/// Returns what was read of the output of `ssh -G`.
pub fn read_ssh_g(printed: &str) -> String {
    format!("{:?}", config::from_ssh(printed, ""))
}

/// Whether `text` matches the patterns.
pub fn matches(patterns: &[&str], text: &str) -> bool {
    pattern::list_matches(patterns.iter().copied(), text)
}

/// What was left of an answer without the login shell's noise.
#[derive(Debug, PartialEq, Eq)]
pub struct Stripped {
    /// What the command printed itself.
    pub own: Vec<u8>,
    /// Whether the command has begun.
    pub is_over: bool,
    /// Whether more noise came than is read.
    pub is_too_much: bool,
    /// What is shown of the noise.
    pub text: Vec<u8>,
}

/// Strips the noise before `word` off the pieces of an answer.
pub fn strip<'a>(word: &str, pieces: impl Iterator<Item = &'a [u8]>) -> Stripped {
    let mut noise = Noise::new(word);
    let own = pieces.flat_map(|piece| noise.strip(piece).to_vec()).collect();
    let (is_over, is_too_much) = (noise.is_over(), noise.is_too_much());
    Stripped { own, is_over, is_too_much, text: noise.text() }
}

/// Does the handshake with a server of whose keys none is on file.
///
/// # Errors
/// What the operator is told of it.
pub async fn greet<S>(stream: S) -> Result<(), NodeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let options = Options::default();
    let settings = Settings::plain("node");
    let greeting = Greeting {
        config: Configs::default().get(&Wish {
            known: &[],
            certificate: true,
            load: Load::Control,
            settings: &settings,
        })?,
        gate: Gate {
            found: known_hosts::find([].iter(), &settings.names()),
            settings: settings.into(),
            host_keys: std::sync::Arc::default(),
            accept_new: false,
            end: std::sync::Arc::default(),
            seen: std::sync::Arc::default(),
        },
        limit: options.handshake_timeout,
        goodbyes: Goodbyes::new(),
    };
    match greeting.over(stream, None, None).await {
        Ok(_) => Ok(()),
        Err(Failed::Early(error) | Failed::Finally(error)) => Err(error),
    }
}
