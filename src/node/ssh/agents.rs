//! Agents: what they hold, asked for once by all who want it at once, and read with caution.
//!
//! russh reads lists of agents as well, but gives up a whole list for one key of a kind it does
//! not know, or one comment that is no UTF-8.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Certificate, PublicKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use crate::text::one_line;

/// How long an agent may take to list its keys.
const LIMIT: Duration = Duration::from_secs(5);

/// How long a list is good for: for a fleet that starts at once, not for keys that come and go in
/// a run.
const FRESH: Duration = Duration::from_secs(1);

/// How long an agent that did not answer is left alone; a fleet would wait for it again and again.
const HUNG_FOR: Duration = Duration::from_secs(60);

/// Bytes of the longest answer; that of OpenSSH's own agent.
const LONGEST_ANSWER: usize = 256 * 1024;

/// Bytes of the longest key or certificate. It bounds how deep certificates lie in certificates.
const LONGEST_KEY: usize = 32 * 1024;

/// The request for a list, with its length before it, and what its answer begins with.
const LIST: [u8; 5] = [0, 0, 0, 1, 11];
const LISTED: u8 = 12;

/// What an agent holds.
#[derive(Clone, Default)]
pub(super) struct Held {
    pub(super) identities: Vec<AgentIdentity>,
    /// Keys of a kind that is not known here.
    pub(super) odd: usize,
}

/// An agent's list, or why there is none.
type Listed = Result<Held, String>;

/// A list and until when it is good, behind the lock of those who want it.
type Slot = Arc<tokio::sync::Mutex<Option<(Listed, Instant)>>>;

/// The agents of a run, by their sockets.
#[derive(Default)]
pub(super) struct Agents {
    slots: Mutex<HashMap<PathBuf, Slot>>,
}

impl Agents {
    /// Returns what an agent holds.
    ///
    /// # Errors
    /// Says which agent it is, and why it does not answer.
    pub(super) async fn held(&self, socket: &Path) -> Listed {
        let slot = self.slot(socket);
        let mut slot = slot.lock().await;
        if let Some((listed, until)) = &*slot
            && Instant::now() < *until
        {
            return listed.clone();
        }
        let (listed, fresh) = match timeout(LIMIT, list(socket)).await {
            Ok(Ok(held)) => (Ok(held), FRESH),
            Ok(Err(why)) => (Err(no_agent(socket, &why)), Duration::ZERO),
            Err(_) => (Err(no_agent(socket, &"it does not answer")), HUNG_FOR),
        };
        *slot = Some((listed.clone(), Instant::now() + fresh));
        listed
    }

    /// Forgets an agent's list: it could not do what the list promised.
    pub(super) async fn forget(&self, socket: &Path) {
        *self.slot(socket).lock().await = None;
    }

    fn slot(&self, socket: &Path) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(socket.to_path_buf()).or_default())
    }
}

/// Connects to an agent.
///
/// # Errors
/// Says which agent it is, and why it is not there.
pub(super) async fn connect(socket: &Path) -> Result<AgentClient<UnixStream>, String> {
    AgentClient::connect_uds(socket).await.map_err(|error| no_agent(socket, &error))
}

fn no_agent(socket: &Path, why: &dyn std::fmt::Display) -> String {
    one_line(format!("no agent at {}: {why}", socket.display()).as_bytes(), 200)
}

async fn list(socket: &Path) -> std::io::Result<Held> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(&LIST).await?;
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    if length > LONGEST_ANSWER {
        return Err(std::io::Error::other("its answer is too long"));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    read(&answer).ok_or_else(|| std::io::Error::other("its answer is not a list of keys"))
}

/// Reads the answer to [`LIST`]; none when it is none.
fn read(answer: &[u8]) -> Option<Held> {
    let (&LISTED, mut rest) = answer.split_first()? else {
        return None;
    };
    let count = number(&mut rest)?;
    let mut held = Held::default();
    for _ in 0..count {
        let key = string(&mut rest)?;
        let comment = String::from_utf8_lossy(string(&mut rest)?).into_owned();
        match identity(key, comment) {
            Some(identity) => held.identities.push(identity),
            None => held.odd += 1,
        }
    }
    Some(held)
}

fn identity(key: &[u8], comment: String) -> Option<AgentIdentity> {
    let mut rest = key;
    let kind = string(&mut rest)?;
    if key.len() > LONGEST_KEY {
        return None;
    }
    if kind.ends_with(b"-cert-v01@openssh.com") {
        let certificate = Certificate::from_bytes(key).ok()?;
        return Some(AgentIdentity::Certificate { certificate, comment });
    }
    let key = PublicKey::from_bytes(key).ok()?;
    Some(AgentIdentity::PublicKey { key, comment })
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let (number, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    usize::try_from(u32::from_be_bytes(*number)).ok()
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(rest)?;
    let (text, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn text(text: &[u8]) -> Vec<u8> {
        [&(text.len() as u32).to_be_bytes()[..], text].concat()
    }

    #[test]
    fn one_odd_key_or_comment_does_not_hide_the_others() {
        let good = PublicKey::from_openssh(KEY).unwrap().to_bytes().unwrap();
        let odd = [text(b"ssh-new"), text(b"x")].concat();
        let large = [text(b"ssh-ed25519"), text(&[1; LONGEST_KEY])].concat();
        let keys: [(&[u8], &[u8]); 4] =
            [(&odd, b"odd"), (&large, b"large"), (&good, b"Schl\xfcssel"), (b"", b"")];
        let mut answer = vec![LISTED, 0, 0, 0, 4];
        for (key, comment) in keys {
            answer.extend([text(key), text(comment)].concat());
        }
        let held = read(&answer).unwrap();
        let comments: Vec<_> = held.identities.iter().map(AgentIdentity::comment).collect();
        assert_eq!((comments, held.odd), (vec!["Schl\u{fffd}ssel"], 3));
        for end in 0..answer.len() {
            assert!(read(&answer[..end]).is_none(), "{end}");
        }
        assert!(read(&[5]).is_none());
    }
}
