//! `RevokedHostKeys`: files of keys that no host may show, whatever known_hosts says.

use std::path::Path;

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, HashAlg, PublicKey};

use super::settings::Settings;
use crate::node::NodeError;
use crate::text::one_line;

/// What a revocation list in OpenSSH's own format begins with.
const KRL: &[u8] = b"SSHKRL\n\0";

/// A list larger than this is none.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Refuses a key that is in one of the files, and a certificate whose authority is.
///
/// # Errors
/// [`NodeError::HostKey`] for a revoked key. [`NodeError::Local`] for a file that cannot be read:
/// as in OpenSSH nobody is trusted then.
pub(super) fn check(
    settings: &Settings,
    key: &KeyData,
    certificate: Option<&Certificate>,
) -> Result<(), NodeError> {
    let authority = certificate.map(Certificate::signature_key);
    for path in &settings.revoked_host_keys {
        let keys = read(path).map_err(|why| {
            let text = format!("RevokedHostKeys {}: {why}", path.display());
            NodeError::Local(one_line(text.as_bytes(), 300))
        })?;
        for (number, revoked) in keys {
            if revoked == *key || Some(&revoked) == authority {
                return Err(refusal(settings, path, number, key));
            }
        }
    }
    Ok(())
}

fn refusal(settings: &Settings, path: &Path, number: usize, key: &KeyData) -> NodeError {
    let own = one_line(settings.names().own.as_bytes(), 200);
    let file = one_line(path.to_string_lossy().as_bytes(), 200);
    let print = key.fingerprint(HashAlg::Sha256);
    NodeError::HostKey {
        problem: format!("the host key of {own} is revoked at {file}:{number}: {print}"),
        fix: format!("give the host a new key, or ask who revoked this one; {file}:{number}"),
    }
}

/// Returns the keys of a file with their lines.
fn read(path: &Path) -> Result<Vec<(usize, KeyData)>, String> {
    let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !meta.is_file() || meta.len() > LARGEST {
        return Err("not a list of keys".into());
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    if bytes.starts_with(KRL) {
        return Err("revocation lists (KRL) are not supported, lists of public keys are".into());
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).enumerate();
    let mut keys = Vec::new();
    for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        // Left out, a line that is not understood would be a key that is trusted.
        let key = PublicKey::from_openssh(line)
            .map_err(|_| format!("line {} is not a public key", index + 1))?;
        keys.push((index + 1, key.key_data().clone()));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const B: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK2pr+Bfus1hvPof4Wb/plZCzSbqadHH0u+/f4ODtKnE";

    fn judged(text: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        std::fs::write(&path, text).unwrap();
        let settings = Settings { revoked_host_keys: vec![path], ..Settings::plain("n1") };
        let key = PublicKey::from_openssh(A).unwrap().key_data().clone();
        let folder = dir.path().display().to_string();
        check(&settings, &key, None)
            .map_or_else(|error| error.to_string().replace(&folder, "/d"), |()| "good".into())
    }

    #[test]
    fn a_key_in_the_list_is_refused_and_a_list_that_is_not_understood_trusts_nobody() {
        assert_eq!(judged(format!("# old\n\n{B} old host\n").as_bytes()), "good");
        assert_eq!(judged(b""), "good");
        let refused = judged(format!("{B}\n{A} stolen\n").as_bytes());
        assert!(refused.starts_with("the host key of n1 is revoked at /d/list:2: SHA256:"));
        let bad = judged(format!("{B}\nnode1 {A}\n").as_bytes());
        assert_eq!(bad, "RevokedHostKeys /d/list: line 2 is not a public key");
        let krl = judged(b"SSHKRL\n\0\0\0\0\x01");
        assert!(krl.contains("(KRL) are not supported"), "{krl}");
        let settings =
            Settings { revoked_host_keys: vec!["/no/such".into()], ..Settings::plain("n1") };
        let key = PublicKey::from_openssh(A).unwrap().key_data().clone();
        let error = check(&settings, &key, None).unwrap_err().to_string();
        assert_eq!(error, "RevokedHostKeys /no/such: No such file or directory (os error 2)");
    }
}
