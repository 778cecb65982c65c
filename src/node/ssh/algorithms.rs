//! What the line is made of: ciphers, key exchange, windows, keepalive.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Limits, Preferred, cipher, client, kex, mac};

use super::settings::{Keepalive, Rekey, Settings, Wanted};
use super::wanted;
use crate::node::NodeError;
use crate::text::one_line;

/// AES-GCM first: ChaCha20 costs the client 2.3 and the node's sshd 1.3 to 1.7 times its CPU.
/// AES-CTR with HMAC is three times slower than GCM and comes last.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_128_CTR,
];

/// Only for who names them.
const MORE_CIPHERS: &[cipher::Name] =
    &[cipher::AES_192_CTR, cipher::AES_256_CBC, cipher::AES_192_CBC, cipher::AES_128_CBC];

/// Curve25519 costs both sides least. NIST curves are for nodes in FIPS mode, which russh leaves
/// out of its own list; the groups of `diffie-hellman` are for servers older than OpenSSH 6.5.
const KEX: &[kex::Name] = &[
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::MLKEM768X25519_SHA256,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
    kex::DH_GEX_SHA256,
];

/// Only for who names them: SHA-1, and groups that are slow.
const MORE_KEX: &[kex::Name] = &[
    kex::DH_G15_SHA512,
    kex::DH_G17_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA1,
    kex::DH_GEX_SHA1,
    kex::DH_G1_SHA1,
];

/// No key exchange, but said in its list, whatever is asked for: without the second of them a
/// message could be dropped unseen.
const EXTENSIONS: &[kex::Name] =
    &[kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];

/// No SHA-1, and encrypt-then-MAC first.
const MACS: &[mac::Name] =
    &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];

/// Only for who names them.
const MORE_MACS: &[mac::Name] = &[mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

/// `ssh-rsa` is left out: its signature is SHA-1.
const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// Only for who names it, as `+ssh-rsa` for a server of the last decade.
const MORE_HOST_KEYS: &[Algorithm] = &[Algorithm::Rsa { hash: None }];

/// Bytes a server may send on one channel before we must answer.
///
/// russh opens the window again when half of it is used, so 2 MiB is about half of OpenSSH's
/// speed over a long link. That is plenty for the text of a control line.
const CONTROL_WINDOW: u32 = 2 * 1024 * 1024;

/// The same of a line that one stream has for itself: the speed of OpenSSH and more at 60 ms. From
/// 12 MiB on sshd keeps so much in its buffer, whenever the disk outruns the network, that moving
/// it about burns a core of the node.
const BULK_WINDOW: u32 = 8 * 1024 * 1024;

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Load {
    /// Commands and their texts, several at once.
    Control,
    /// One stream.
    Bulk,
}

/// The group we ask for where the server chooses it: as strong as the AES-128 it is for. The 8192
/// bits that russh asks for cost twenty times as much, on the node too.
const GROUP_BITS: usize = 3072;

/// What the configuration of a line depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    /// The types of the host's keys on file.
    pub(super) known: &'a [Algorithm],
    /// Whether the host is asked for a certificate before any plain key.
    pub(super) certificate: bool,
    pub(super) load: Load,
    pub(super) settings: &'a Settings,
}

/// The same, kept.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    known: Vec<Algorithm>,
    certificate: bool,
    load: Load,
    keepalive: Keepalive,
    rekey: Rekey,
    algorithms: Wanted,
}

/// Configurations of russh, one for each kind of line a fleet needs: a handful.
#[derive(Debug, Default)]
pub(super) struct Configs {
    made: Mutex<HashMap<Key, Arc<client::Config>>>,
}

impl Configs {
    /// Returns the configuration for a line.
    ///
    /// Types of keys that are on file are asked for first, as OpenSSH does; else a host known by
    /// its RSA key alone shows its Ed25519 key and looks unknown.
    ///
    /// # Errors
    /// [`NodeError::Local`]: ssh_config asks for algorithms of which none is here.
    pub(super) fn get(&self, wish: &Wish<'_>) -> Result<Arc<client::Config>, NodeError> {
        let settings = wish.settings;
        let key = Key {
            known: wish.known.to_vec(),
            certificate: wish.certificate,
            load: wish.load,
            keepalive: settings.keepalive,
            rekey: settings.rekey,
            algorithms: settings.algorithms.clone(),
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = made.get(&key) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(config(wish)?);
        made.insert(key, Arc::clone(&config));
        Ok(config)
    }
}

/// Whether two algorithms use the same type of key; RSA keys sign with several hashes.
fn same_type(one: &Algorithm, other: &Algorithm) -> bool {
    match (one, other) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        _ => one == other,
    }
}

fn config(wish: &Wish<'_>) -> Result<client::Config, NodeError> {
    let settings = wish.settings;
    Ok(client::Config {
        window_size: match wish.load {
            Load::Control => CONTROL_WINDOW,
            Load::Bulk => BULK_WINDOW,
        },
        gex: client::GexParams::new(2048, GROUP_BITS, 8192).unwrap_or_default(),
        limits: limits(settings.rekey),
        preferred: preferred(wish)?,
        // A nodetool that is silent for minutes is alive; only keepalives say that a line is dead.
        inactivity_timeout: None,
        keepalive_interval: Some(settings.keepalive.interval),
        keepalive_max: settings.keepalive.max,
        // russh sets it only on sockets it opens itself. Ours are set in `line`.
        nodelay: true,
        ..client::Config::default()
    })
}

/// russh panics above, and its default is the same: more is not safe with a 64-bit counter.
const MOST_BYTES: usize = 1 << 30;

/// A stream that changes keys more often does little else.
const LEAST_BYTES: usize = 1 << 20;

/// Seconds between changes of keys, for the same reason.
const LEAST_TIME: Duration = Duration::from_secs(5);

fn limits(rekey: Rekey) -> Limits {
    let usual = Limits::default();
    let bytes = rekey.bytes.map(|bytes| usize::try_from(bytes).unwrap_or(MOST_BYTES));
    let bytes = bytes.map_or(MOST_BYTES, |bytes| bytes.clamp(LEAST_BYTES, MOST_BYTES));
    let time = rekey.time.map_or(usual.rekey_time_limit, |time| time.max(LEAST_TIME));
    Limits::new(bytes, bytes, time)
}

fn preferred(wish: &Wish<'_>) -> Result<Preferred, NodeError> {
    let wanted = &wish.settings.algorithms;
    let mut kex = pick("KexAlgorithms", wanted.kex.as_deref(), KEX, MORE_KEX)?;
    kex.extend_from_slice(EXTENSIONS);
    let (certificates, keys) = host_keys(wish)?;
    Ok(Preferred {
        kex: Cow::Owned(kex),
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Owned(certificates),
        cipher: Cow::Owned(pick("Ciphers", wanted.ciphers.as_deref(), CIPHERS, MORE_CIPHERS)?),
        mac: Cow::Owned(pick("MACs", wanted.macs.as_deref(), MACS, MORE_MACS)?),
        ..Preferred::DEFAULT
    })
}

/// Returns what `asked` makes of our usual algorithms; those of `more` are only had by name.
fn pick<T: AsRef<str> + Copy>(
    directive: &str,
    asked: Option<&str>,
    usual: &[T],
    more: &[T],
) -> Result<Vec<T>, NodeError> {
    let all = [usual, more].concat();
    let names: Vec<&str> = all.iter().map(AsRef::as_ref).collect();
    let usual = names.get(..usual.len()).unwrap_or_default();
    let found = wanted::names(directive, asked, usual, &names)?;
    let of = |name: &str| all.iter().find(|one| one.as_ref() == name).copied();
    Ok(found.into_iter().filter_map(of).collect())
}

/// Returns the algorithms of certificates and of plain host keys, both in order.
fn host_keys(wish: &Wish<'_>) -> Result<(Vec<Algorithm>, Vec<Algorithm>), NodeError> {
    let asked = wish.settings.algorithms.host_keys.as_deref();
    let all = || HOST_KEYS.iter().chain(MORE_HOST_KEYS);
    let plain: Vec<String> = all().map(ToString::to_string).collect();
    let certificates: Vec<String> = all().map(Algorithm::to_certificate_type).collect();
    let usual = certificates.iter().take(HOST_KEYS.len()).chain(plain.iter().take(HOST_KEYS.len()));
    let usual: Vec<&str> = usual.map(String::as_str).collect();
    let known: Vec<&str> = certificates.iter().chain(&plain).map(String::as_str).collect();
    let names = wanted::names("HostKeyAlgorithms", asked, &usual, &known)?;
    let of = |list: &[String]| -> Vec<Algorithm> {
        let places = names.iter().filter_map(|name| list.iter().position(|one| one == name));
        places.filter_map(|place| all().nth(place).cloned()).collect()
    };
    let (mut certificates, mut keys) = (of(&certificates), of(&plain));
    // As OpenSSH: a list the operator set in its order stays in it.
    if asked.is_none_or(|asked| asked.starts_with(['+', '-'])) {
        keys = known_first(&keys, wish.known);
    }
    if !wish.certificate {
        certificates.clear();
    }
    if keys.is_empty() && certificates.is_empty() {
        let asked = one_line(asked.unwrap_or_default().as_bytes(), 200);
        return Err(NodeError::Local(format!(
            "HostKeyAlgorithms {asked} takes certificates alone, and known_hosts has no \
             @cert-authority for the host"
        )));
    }
    Ok((certificates, keys))
}

/// Puts the types of which keys are on file before the others.
fn known_first(keys: &[Algorithm], known: &[Algorithm]) -> Vec<Algorithm> {
    let is_known = |ours: &&Algorithm| known.iter().any(|theirs| same_type(ours, theirs));
    let first = keys.iter().filter(is_known);
    first.chain(keys.iter().filter(|key| !is_known(key))).cloned().collect()
}

#[cfg(test)]
#[path = "algorithms_tests.rs"]
mod tests;
