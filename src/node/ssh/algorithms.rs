//! What the line is made of: ciphers, key exchange, windows, keepalive.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, client, kex, mac};

use super::Options;

/// AES-GCM first: ChaCha20 costs the client 2.3 and the node's sshd 1.3 to 1.7 times its CPU.
/// AES-CTR with HMAC is three times slower than GCM and comes last.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_128_CTR,
];

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
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// No SHA-1, and encrypt-then-MAC first.
const MACS: &[mac::Name] =
    &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];

/// `ssh-rsa` is left out: its signature is SHA-1.
const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

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

type Key = (Vec<Algorithm>, bool, Load);

/// Configurations of russh, one for each order of host-key algorithms a fleet needs: a handful.
#[derive(Debug, Default)]
pub(super) struct Configs {
    by_order: Mutex<HashMap<Key, Arc<client::Config>>>,
}

impl Configs {
    /// Returns the configuration for a host of which keys of the `known` types are on file.
    ///
    /// Those types are asked for first, as OpenSSH does; else a host known by its RSA key alone
    /// shows its Ed25519 key and looks unknown. A host that may have a `certificate` is asked for
    /// it before any plain key.
    pub(super) fn get(
        &self,
        known: &[Algorithm],
        certificate: bool,
        load: Load,
        options: &Options,
    ) -> Arc<client::Config> {
        let mut order: Vec<Algorithm> = HOST_KEYS
            .iter()
            .filter(|ours| known.iter().any(|theirs| same_type(ours, theirs)))
            .cloned()
            .collect();
        let rest = HOST_KEYS.iter().filter(|ours| !order.contains(ours)).cloned();
        order = order.iter().cloned().chain(rest).collect();
        let mut by_order = self.by_order.lock().unwrap_or_else(PoisonError::into_inner);
        let config = by_order
            .entry((order.clone(), certificate, load))
            .or_insert_with(|| Arc::new(config(order, certificate, load, options)));
        Arc::clone(config)
    }
}

/// Whether two algorithms use the same type of key; RSA keys sign with several hashes.
fn same_type(one: &Algorithm, other: &Algorithm) -> bool {
    match (one, other) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        _ => one == other,
    }
}

fn config(
    host_keys: Vec<Algorithm>,
    certificate: bool,
    load: Load,
    options: &Options,
) -> client::Config {
    let certificates = if certificate { host_keys.clone() } else { Vec::new() };
    client::Config {
        window_size: match load {
            Load::Control => CONTROL_WINDOW,
            Load::Bulk => BULK_WINDOW,
        },
        preferred: Preferred {
            kex: Cow::Borrowed(KEX),
            key: Cow::Owned(host_keys),
            host_key_certificates: Cow::Owned(certificates),
            cipher: Cow::Borrowed(CIPHERS),
            mac: Cow::Borrowed(MACS),
            ..Preferred::DEFAULT
        },
        gex: client::GexParams::new(2048, GROUP_BITS, 8192).unwrap_or_default(),
        // A nodetool that is silent for minutes is alive; only keepalives say that a line is dead.
        inactivity_timeout: None,
        keepalive_interval: Some(options.keepalive_interval),
        keepalive_max: options.keepalive_max,
        // russh sets it only on sockets it opens itself. Ours are set in `line`.
        nodelay: true,
        ..client::Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_are_asked_for_first_and_sha1_never() {
        let configs = Configs::default();
        let options = Options::default();
        let rsa = configs.get(&[Algorithm::Rsa { hash: None }], false, Load::Control, &options);
        assert_eq!(
            rsa.preferred.key.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "rsa-sha2-512",
                "rsa-sha2-256",
                "ssh-ed25519",
                "ecdsa-sha2-nistp256",
                "ecdsa-sha2-nistp384",
                "ecdsa-sha2-nistp521",
            ]
        );
        let again = configs.get(&[Algorithm::Rsa { hash: None }], false, Load::Control, &options);
        assert!(Arc::ptr_eq(&rsa, &again));
        let none = configs.get(&[], true, Load::Bulk, &options);
        assert!(rsa.window_size < none.window_size);
        assert_eq!(none.preferred.key.as_ref(), HOST_KEYS);
        assert_eq!(none.preferred.host_key_certificates.as_ref(), HOST_KEYS);
        assert!(rsa.preferred.host_key_certificates.is_empty());
        assert_eq!(none.preferred.cipher[0].as_ref(), "aes128-gcm@openssh.com");
    }
}
