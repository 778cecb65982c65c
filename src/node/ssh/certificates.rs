//! OpenSSH certificates: what makes one good for a host, and which of the operator's may be used.

use std::path::Path;

use jiff::Timestamp;
use russh::keys::Certificate;
use russh::keys::ssh_key::certificate::CertType;

use super::pattern;
use crate::text::one_line;

/// A certificate larger than this is none: the longest RSA keys make 8 KiB. Certificates signed by
/// certificates are read level by level, and so few bytes hold no depth that hurts.
const LARGEST: u64 = 32 * 1024;

/// Names of a certificate that are shown in an error.
const NAMES_SHOWN: usize = 3;

/// The signatures of authorities that count, as in OpenSSH: all but SHA-1's.
const SIGNATURES: &str = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,\
    ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,\
    rsa-sha2-512,rsa-sha2-256";

/// Returns the seconds since 1970 that certificates are judged by.
#[expect(clippy::disallowed_methods, reason = "a door judges by the time of day, as sshd does")]
pub(super) fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// Returns what keeps a certificate from being used at all at the time `now`: its kind, its time.
fn unusable(certificate: &Certificate, kind: CertType, now: u64) -> Option<String> {
    if certificate.cert_type() != kind {
        return Some(match kind {
            CertType::Host => "is no host certificate".into(),
            CertType::User => "is no user certificate".into(),
        });
    }
    if now < certificate.valid_after() {
        return Some(format!("is not valid before {}", date(certificate.valid_after())));
    }
    (now >= certificate.valid_before())
        .then(|| format!("expired {}", date(certificate.valid_before())))
}

/// A time as people read it, in UTC.
fn date(second: u64) -> String {
    let time = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
    time.map_or_else(|| "in a far future".into(), |time| time.strftime("%F %H:%M UTC").to_string())
}

/// Returns why a host's certificate does not prove that the host is `name`.
///
/// That its authority is on file has been seen already; `wanted` is `CASignatureAlgorithms`.
pub(super) fn host_flaw(
    certificate: &Certificate,
    name: &str,
    now: u64,
    wanted: Option<&str>,
) -> Option<String> {
    if let Some(why) = unusable(certificate, CertType::Host, now) {
        return Some(why);
    }
    // None is defined for hosts, and one that is not known forbids the use.
    if let Some((option, _)) = certificate.critical_options().iter().next() {
        let option = one_line(option.as_bytes(), 60);
        return Some(format!("has the critical option {option}, which is not known"));
    }
    // Names are compared as they stand: a `*` in a certificate is none to OpenSSH before 10.3.
    let principals = certificate.valid_principals();
    if !principals.is_empty() && !principals.iter().any(|own| own == name) {
        return Some(format!("is for {}", names(certificate)));
    }
    let signature = certificate.signature().algorithm();
    if !is_listed(signature.as_str(), SIGNATURES, wanted) {
        let signature = one_line(signature.as_str().as_bytes(), 60);
        return Some(format!("is signed with {signature}, which is not allowed"));
    }
    certificate.verify_signature().err().map(|_| "has a signature that does not fit".into())
}

/// The names a certificate is for.
fn names(certificate: &Certificate) -> String {
    let names = certificate.valid_principals();
    let shown = names.iter().take(NAMES_SHOWN).map(|name| one_line(name.as_bytes(), 60));
    let mut shown = shown.collect::<Vec<_>>().join(", ");
    if names.len() > NAMES_SHOWN {
        shown.push_str(&format!(" and {} more", names.len() - NAMES_SHOWN));
    }
    shown
}

/// Returns what keeps one of the operator's certificates from being offered at the time `now`.
pub(super) fn user_flaw(certificate: &Certificate, now: u64) -> Option<String> {
    unusable(certificate, CertType::User, now)
}

/// Returns whom a certificate is for, when the login name is not among them. The server may know
/// better (`AuthorizedPrincipalsFile`), so it is offered all the same.
pub(super) fn other_names(certificate: &Certificate, user: &str) -> Option<String> {
    let principals = certificate.valid_principals();
    let others = !principals.is_empty() && !principals.iter().any(|own| own == user);
    others.then(|| names(certificate))
}

/// Reads a certificate; none when the file is not there.
///
/// Each login reads it anew: short-lived ones are renewed while a run goes on.
///
/// # Errors
/// Says why a file that is there is no certificate.
pub(super) fn read(path: &Path) -> Result<Option<Certificate>, String> {
    let say = |what: &dyn std::fmt::Display| one_line(what.to_string().as_bytes(), 200);
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(say(&error)),
    };
    if !meta.is_file() || meta.len() > LARGEST {
        return Err("not a certificate".into());
    }
    let bytes = std::fs::read(path).map_err(|error| say(&error))?;
    let text = String::from_utf8_lossy(&bytes);
    match Certificate::from_openssh(text.trim()) {
        Ok(certificate) => Ok(Some(certificate)),
        Err(_) => Err("not a certificate".into()),
    }
}

/// Whether an algorithm is in the list of `defaults` as ssh_config changed it: a list of its own,
/// or `+` and more, `-` and fewer, `^` and some first.
pub(super) fn is_listed(name: &str, defaults: &str, wanted: Option<&str>) -> bool {
    let within = |list: &str| pattern::list_matches(list.split(','), name);
    match wanted {
        None => within(defaults),
        Some(wanted) => match (wanted.get(..1), wanted.get(1..)) {
            (Some("+" | "^"), Some(more)) => within(defaults) || within(more),
            (Some("-"), Some(fewer)) => within(defaults) && !within(fewer),
            _ => within(wanted),
        },
    }
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
