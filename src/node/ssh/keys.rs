//! The operator's keys: files and their passphrases. Each is read or asked for once for the fleet.

use std::collections::HashMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::{Algorithm, PrivateKey, PublicKey, decode_secret_key};

use super::agents::Agents;
use super::passwords::{Asking, PROMPT_FAILED, Passwords};
use super::settings::Settings;
use crate::node::secret::{Ask, ExposeSecret, Question, SecretString};
use crate::text::one_line;

/// The files OpenSSH tries by itself, in the order of their cost to the server.
const DEFAULT_FILES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// Passphrases that may be wrong before the key is given up, as OpenSSH.
const TRIES: usize = 3;

/// A key larger than this is none.
const LARGEST_KEY: u64 = 1024 * 1024;

pub(super) struct Keyring {
    home: PathBuf,
    files: Mutex<HashMap<PathBuf, Arc<KeyFile>>>,
    pub(super) agents: Agents,
    pub(super) asking: Asking,
    pub(super) passwords: Passwords,
}

/// A key file, read.
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    /// Known for an encrypted key as well, if its format or a `.pub` file beside it tells.
    pub(super) public: Option<PublicKey>,
    pub(super) body: Body,
    /// The decrypted key, or why there is none. Held while the operator types.
    unlocked: tokio::sync::Mutex<Option<Result<Arc<PrivateKey>, String>>>,
}

// No Debug: it holds private keys.
pub(super) enum Body {
    Missing,
    /// Only the public half is here; an agent may hold the other.
    PublicOnly,
    Open(Arc<PrivateKey>),
    /// Encrypted; the file's text.
    Locked(String),
    Unusable(String),
}

impl Keyring {
    pub(super) fn new(home: PathBuf, ask: Option<Ask>) -> Self {
        let asking = Asking::new(ask);
        Self {
            home,
            files: Mutex::default(),
            agents: Agents::default(),
            passwords: Passwords::new(asking.clone()),
            asking,
        }
    }

    /// Returns the key files to offer to a host, in order, each read once.
    pub(super) fn files(&self, settings: &Settings) -> Vec<Arc<KeyFile>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = |path: PathBuf| {
            let read = || Arc::new(read(&path));
            Arc::clone(files.entry(path.clone()).or_insert_with(read))
        };
        if settings.identities_given {
            return settings.identities.iter().map(|id| file(id.path.clone())).collect();
        }
        let folder = self.home.join(".ssh");
        DEFAULT_FILES.iter().map(|name| file(folder.join(name))).collect()
    }

    /// Returns whether somebody can be asked for a passphrase.
    pub(super) fn can_ask(&self) -> bool {
        self.asking.is_possible()
    }

    /// Returns the decrypted key. All connections that want it wait for one answer, which is
    /// kept even if the one that asked is given up while the operator types.
    ///
    /// # Errors
    /// Says why the key stays locked; the same for everybody who asks later.
    pub(super) async fn unlock(&self, key: &Arc<KeyFile>) -> Result<Arc<PrivateKey>, String> {
        let (key, asking) = (Arc::clone(key), self.asking.clone());
        let task = tokio::spawn(async move {
            let mut unlocked = key.unlocked.lock().await;
            if let Some(known) = &*unlocked {
                return known.clone();
            }
            let asked = Arc::clone(&key);
            // The key derivation is made to take long, as well.
            let ask = move |ask: Option<&Ask>| ask_and_decrypt(&asked, ask);
            let result = asking.alone(ask).await.unwrap_or_else(|| Err(PROMPT_FAILED.into()));
            *unlocked = Some(result.clone());
            result
        });
        task.await.unwrap_or_else(|_| Err(PROMPT_FAILED.into()))
    }
}

impl KeyFile {
    pub(super) fn new(path: PathBuf, public: Option<PublicKey>, body: Body) -> Self {
        Self { path, public, body, unlocked: tokio::sync::Mutex::default() }
    }

    /// Returns the decrypted key if nobody has to be asked for it.
    pub(super) fn open(&self) -> Option<Result<Arc<PrivateKey>, String>> {
        match &self.body {
            Body::Open(key) => Some(Ok(Arc::clone(key))),
            Body::Locked(_) => self.unlocked.try_lock().ok()?.clone(),
            Body::Missing | Body::PublicOnly | Body::Unusable(_) => None,
        }
    }
}

fn ask_and_decrypt(key: &KeyFile, ask: Option<&Ask>) -> Result<Arc<PrivateKey>, String> {
    let Body::Locked(text) = &key.body else {
        return Err("it is not encrypted".into());
    };
    let Some(ask) = ask else {
        return Err("it is encrypted".into());
    };
    let mut last: Option<SecretString> = None;
    for _ in 0..TRIES {
        let Some(passphrase) = ask(&Question::Passphrase(&key.path)) else {
            return Err("no passphrase was given".into());
        };
        // A descriptor has nothing else to say.
        if last.as_ref().is_some_and(|last| last.expose_secret() == passphrase.expose_secret()) {
            return Err("the passphrase was wrong".into());
        }
        // The error of a wrong passphrase depends on the format, and none of them says more.
        if let Ok(decrypted) = decode_secret_key(text, Some(passphrase.expose_secret())) {
            return Ok(Arc::new(decrypted));
        }
        last = Some(passphrase);
    }
    Err(format!("the passphrase was wrong {TRIES} times"))
}

/// Reads a key file; what is wrong with it is part of the answer.
fn read(path: &Path) -> KeyFile {
    let (public, body) = read_body(path);
    KeyFile::new(path.to_path_buf(), public, body)
}

fn read_body(path: &Path) -> (Option<PublicKey>, Body) {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    let beside = || {
        let text = std::fs::read_to_string(&beside).ok()?;
        PublicKey::from_openssh(text.trim()).ok()
    };
    let unusable = |what: &dyn std::fmt::Display| {
        (None, Body::Unusable(one_line(what.to_string().as_bytes(), 200)))
    };
    let shown = one_line(path.to_string_lossy().as_bytes(), 120);
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match beside() {
                Some(public) => (Some(public), Body::PublicOnly),
                None => (None, Body::Missing),
            };
        }
        Err(error) => return unusable(&error),
    };
    if !meta.is_file() || meta.len() > LARGEST_KEY {
        return unusable(&"not a key file");
    }
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return unusable(&error),
    };
    if !text.contains("PRIVATE KEY-----") && !text.starts_with("PuTTY-User-Key-File-") {
        return match PublicKey::from_openssh(text.trim()) {
            Ok(public) => (Some(public), Body::PublicOnly),
            Err(_) => unusable(&"not a private key"),
        };
    }
    if open_to_others(&meta) {
        return unusable(&format!("others may read it: chmod 600 {shown}"));
    }
    if let Ok(key) = PrivateKey::from_openssh(&text)
        && key.is_encrypted()
    {
        return (Some(key.public_key().clone()), Body::Locked(text));
    }
    match decode_secret_key(&text, None) {
        Ok(key)
            if matches!(key.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256) =>
        {
            let how = "it needs its security token: add it to ssh-agent".to_owned();
            (Some(key.public_key().clone()), Body::Unusable(how))
        }
        Ok(key) => (Some(key.public_key().clone()), Body::Open(Arc::new(key))),
        // The passphrase would be asked for, and never fit.
        Err(_) if text.contains("Proc-Type: 4,ENCRYPTED") && !is_known_pem(&text) => {
            let how = format!("its old encryption is not supported: ssh-keygen -p -f {shown}");
            (beside(), Body::Unusable(how))
        }
        Err(_) if text.contains("ENCRYPTED") || text.contains("Encryption: ") => {
            (beside(), Body::Locked(text))
        }
        Err(error) => unusable(&error),
    }
}

/// Whether russh decrypts this file of the format before OpenSSH's own.
fn is_known_pem(text: &str) -> bool {
    text.contains("BEGIN RSA PRIVATE KEY") && text.contains("DEK-Info: AES-128-CBC")
}

/// Whether others may read a file of ours. OpenSSH lets files of other owners pass.
fn open_to_others(meta: &std::fs::Metadata) -> bool {
    let ours = std::fs::metadata("/proc/self").map_or(meta.uid(), |own| own.uid());
    meta.uid() == ours && meta.permissions().mode() & 0o077 != 0
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
