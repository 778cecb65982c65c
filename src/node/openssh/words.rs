//! Turns ssh's words about a line that did not come about, or broke, into our errors.

use std::time::Duration;

use super::log::{Log, Step};
use crate::node::{Endpoint, NodeError, Stage};
use crate::text::one_line;

/// Characters of ssh's or a server's own words in an error.
const WORDS_SHOWN: usize = 300;

/// Lines of what ssh to a jump host says at its end.
const LAST_LINES: usize = 3;

/// Why an attempt to connect failed, and whether another one may help.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// The server closed before it proved anything: too many others are logging in.
    Early(NodeError),
    Finally(NodeError),
}

impl From<NodeError> for Failed {
    fn from(error: NodeError) -> Self {
        Self::Finally(error)
    }
}

/// What an error needs beside the words.
pub(super) struct Context<'a> {
    pub(super) endpoint: &'a Endpoint,
    /// How long the step took in which it ended.
    pub(super) elapsed: Duration,
    /// ssh could have asked, but nobody would have answered it.
    pub(super) hint: Option<&'a str>,
}

/// Returns why a master ended before commands could run.
pub(super) fn failure(log: &Log, stderr: &[u8], context: &Context<'_>) -> Failed {
    let said: Vec<&str> = log.said.iter().map(String::as_str).collect();
    if log.is_proxied && !log.is_greeted {
        return on_the_way(stderr, &said, context);
    }
    if said.contains(&"Host key verification failed.") {
        return Failed::Finally(host_key(log, &said, context.endpoint));
    }
    if let Some(error) = not_let_in(log, &said, context) {
        return Failed::Finally(error);
    }
    if let Some(error) = said.iter().find_map(|line| not_reached(line, context)) {
        return Failed::Finally(error);
    }
    let all = said.join("\n");
    if log.step == Step::Begin {
        let words = if all.is_empty() { String::from_utf8_lossy(stderr).into_owned() } else { all };
        return Failed::Finally(NodeError::Local(format!("ssh: {}", shown(&words))));
    }
    let is_closed = all.contains("Connection closed") || all.contains("Connection reset");
    if log.step == Step::Handshake && is_closed && log.host_key.is_none() {
        let why = match &log.banner {
            Some(banner) => format!("the server said {:?}", shown(banner)),
            None => "sshd's MaxStartups, or a firewall".into(),
        };
        let cause = format!("closed before the handshake was done: {why}");
        return Failed::Early(NodeError::Lost { cause });
    }
    if all.contains("kex_exchange_identification: ") {
        let cause = match &log.banner {
            Some(banner) => format!("no SSH server answers there: {:?}", shown(banner)),
            None => format!("no SSH server answers there: {}", shown(&all)),
        };
        return Failed::Finally(NodeError::Lost { cause });
    }
    Failed::Finally(NodeError::Lost { cause: end(log).unwrap_or_else(|| shown(&all)) })
}

/// Returns why a line ended that stood, if ssh said so.
pub(super) fn end(log: &Log) -> Option<String> {
    log.said.iter().rev().find_map(|line| {
        if line.starts_with("Timeout, server ") {
            return Some("the server no longer answers".to_owned());
        }
        if let Some((_, why)) =
            line.strip_prefix("Received disconnect from ").and_then(|rest| rest.split_once(": "))
        {
            return Some(format!("the server hung up: {}", shown(why)));
        }
        let is_closed = line.contains(" closed by remote host")
            || line.contains("Broken pipe")
            || line.contains("Connection reset by peer");
        if is_closed {
            return Some("the connection closed".to_owned());
        }
        // What ssh counts at the end, and how the login went, is no reason.
        let is_remark = ["Authenticated to ", "Transferred: ", "Bytes per second: "]
            .iter()
            .any(|start| line.starts_with(start));
        (!is_remark).then(|| shown(line))
    })
}

/// Returns what ran out when ssh was waited for long enough.
pub(super) fn timed_out(step: Step, after: Duration) -> NodeError {
    let stage = match step {
        Step::Begin | Step::Connect => Stage::Connect,
        Step::Handshake => Stage::Handshake,
        Step::Auth | Step::In => Stage::Auth,
    };
    NodeError::TimedOut { stage, after }
}

fn shown(words: &str) -> String {
    one_line(words.as_bytes(), WORDS_SHOWN)
}

/// Whole seconds, for a limit of ssh's own that ran out.
fn rounded(elapsed: Duration) -> Duration {
    Duration::from_secs_f64(elapsed.as_secs_f64().round())
}

/// The line that says that a host could not be reached, if this is one.
fn not_reached(line: &str, context: &Context<'_>) -> Option<NodeError> {
    if let Some(rest) = line.strip_prefix("ssh: Could not resolve hostname ") {
        let (host, cause) = rest.split_once(": ")?;
        let port = context.endpoint.port.map_or_else(String::new, |port| format!(":{port}"));
        let address = format!("{}{port}", shown(host));
        return Some(NodeError::Unreachable { address, cause: shown(cause) });
    }
    if line.starts_with("Connection timed out during banner exchange") {
        let after = rounded(context.elapsed);
        return Some(NodeError::TimedOut { stage: Stage::Handshake, after });
    }
    let rest = line.strip_prefix("ssh: connect to host ")?;
    let (host, rest) = rest.split_once(" port ")?;
    let (port, cause) = rest.split_once(": ")?;
    let address =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let address = shown(&address);
    Some(match cause {
        "Connection refused" => NodeError::Refused { address },
        "Connection timed out" | "Operation timed out" => {
            NodeError::TimedOut { stage: Stage::Connect, after: rounded(context.elapsed) }
        }
        cause => NodeError::Unreachable { address, cause: shown(cause) },
    })
}

/// The error of a login that failed, if that is what happened.
fn not_let_in(log: &Log, said: &[&str], context: &Context<'_>) -> Option<NodeError> {
    let denied = |line: &&&str| {
        line.contains(": Permission denied (")
            || line.contains("Too many authentication failures")
            || line.starts_with("No more authentication methods")
    };
    let line = said.iter().rev().find(denied).filter(|_| log.step == Step::Auth)?;
    let user = log.login.as_ref().map_or_else(|| "the user".into(), |(_, user)| shown(user));
    let mut tried = match log.offers.is_empty() {
        true => "no key to offer".to_owned(),
        false => format!(
            "offered {}",
            log.offers.iter().map(|key| shown(key)).collect::<Vec<_>>().join(", ")
        ),
    };
    if line.contains("Too many authentication failures") {
        tried.push_str("; too many keys were offered (MaxAuthTries): name one");
    }
    if let Some(methods) = &log.methods {
        tried.push_str(&format!("; the server takes {}", shown(methods)));
    }
    // What ssh itself found wrong with a key file stands before.
    let notes = ["Load key ", "Permissions ", "sign_and_send_pubkey", "agent"];
    let note = said.iter().find(|line| notes.iter().any(|note| line.contains(note)));
    for note in note.copied().into_iter().chain(context.hint) {
        tried.push_str(&format!("; {}", shown(note)));
    }
    Some(NodeError::Auth { user, tried })
}

/// The error of a host key that was refused.
fn host_key(log: &Log, said: &[&str], endpoint: &Endpoint) -> NodeError {
    let (kind, print) = log.host_key.clone().unwrap_or_default();
    let between = |before: &str, after: &str| {
        said.iter().find_map(|line| {
            let (_, rest) = line.split_once(before)?;
            rest.split_once(after).map(|(found, _)| shown(found))
        })
    };
    let name = || shown(log.login.as_ref().map_or(endpoint.host.as_str(), |(host, _)| host));
    let shows = format!("the {} key {}", key_name(&kind), shown(&print));
    if let Some(own) = between("key for ", " was revoked and you have ") {
        return NodeError::HostKey {
            problem: format!("the host key of {own} is revoked: {shows}"),
            fix: "give the host a new key, or ask who revoked this one".into(),
        };
    }
    if let Some(own) = between("key for ", " has changed and you have ") {
        let place = said.iter().find_map(|line| {
            line.strip_prefix("Offending ").and_then(|rest| rest.split_once(" key in "))
        });
        let (kept, place) = place.map_or(("", "known_hosts"), |(kind, place)| (kind, place));
        let file = place.rsplit_once(':').map_or(place, |(file, _)| file);
        return NodeError::HostKey {
            problem: format!(
                "the host key of {own} has changed: it shows {shows}, not the {} key at {}",
                shown(kept),
                shown(place)
            ),
            fix: format!(
                "if the host was set up anew, compare the fingerprint, then ssh-keygen -R {} -f {}",
                word(&own),
                word(file)
            ),
        };
    }
    let own = between(" host key is known for ", " and you have ").unwrap_or_else(name);
    NodeError::HostKey {
        problem: format!("the host key of {own} is not known: it shows {shows}"),
        fix: format!(
            "compare the fingerprint, then {} and say yes; or run again with \
             --accept-new-host-keys",
            by_hand(endpoint)
        ),
    }
}

/// Returns the command that logs in by hand, where ssh asks about the key.
fn by_hand(endpoint: &Endpoint) -> String {
    let mut text = "ssh".to_owned();
    if let Some(jumps) = endpoint.proxy_jump.as_ref().filter(|jumps| !jumps.is_empty()) {
        text.push_str(&format!(" -J {}", word(&jumps.join(","))));
    }
    text.push_str(" -o StrictHostKeyChecking=ask");
    if let Some(file) = endpoint.known_hosts.first() {
        let file = format!("UserKnownHostsFile={}", file.display());
        text.push_str(&format!(" -o {}", word(&file)));
    }
    if let Some(address) = &endpoint.address {
        text.push_str(&format!(" -o {}", word(&format!("HostName={address}"))));
    }
    if let Some(port) = endpoint.port {
        text.push_str(&format!(" -p {port}"));
    }
    if let Some(user) = &endpoint.user {
        text.push_str(&format!(" -l {}", word(user)));
    }
    text.push_str(&format!(" {} true", word(&endpoint.host)));
    text
}

fn word(word: &str) -> String {
    let word = shown(word);
    shlex::try_quote(&word).map_or_else(|_| format!("{word:?}"), std::borrow::Cow::into_owned)
}

/// The name of a key type as people write it.
fn key_name(kind: &str) -> String {
    let kind = kind.strip_suffix("-cert-v01@openssh.com").unwrap_or(kind);
    match kind {
        "ssh-ed25519" => "ED25519".into(),
        "ssh-rsa" | "rsa-sha2-256" | "rsa-sha2-512" => "RSA".into(),
        kind if kind.starts_with("ecdsa-") => "ECDSA".into(),
        kind => one_line(kind.as_bytes(), 60),
    }
}

/// Returns why a command that is the way to the host ended, ssh to a jump host as a rule.
///
/// Its log is not ours; its words are mixed with the jump host's banner, so no more is read out
/// of them than is shown.
fn on_the_way(stderr: &[u8], said: &[&str], context: &Context<'_>) -> Failed {
    let text = String::from_utf8_lossy(stderr);
    let words = if text.trim().is_empty() { said.join("\n") } else { text.to_string() };
    let at = |words: &str| format!("jump host: {}", last_lines(words));
    if words.contains("Host key verification failed.") {
        let fix = "log in to the jump host once by hand: ssh asks about its key".into();
        return Failed::Finally(NodeError::HostKey { problem: at(&words), fix });
    }
    let denied = words.lines().find_map(|line| line.split_once(": Permission denied ("));
    if let Some((login, methods)) = denied {
        let (user, host) = login.rsplit_once('@').unwrap_or(("the user", login));
        let methods = methods.trim_end_matches([')', '.']);
        let mut tried = format!("the server takes {}", shown(methods));
        if let Some(hint) = context.hint {
            tried.push_str(&format!("; {hint}"));
        }
        let user = format!("{} at the jump host {}", shown(user), shown(host));
        return Failed::Finally(NodeError::Auth { user, tried });
    }
    let cause = if words.contains("open failed: administratively prohibited") {
        "the jump host does not forward connections to it (AllowTcpForwarding, PermitOpen)".into()
    } else if words.contains("open failed: connect failed") {
        "the jump host could not connect to it".into()
    } else {
        at(&words)
    };
    let error = NodeError::Unreachable { address: address(context.endpoint), cause };
    match words.contains("kex_exchange_identification: ") && !text.trim().is_empty() {
        true => Failed::Early(error),
        false => Failed::Finally(error),
    }
}

/// The end of what was said, behind a banner.
fn last_lines(words: &str) -> String {
    let lines: Vec<_> = words.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
    shown(&last.join("\n"))
}

/// `host:port`, as far as the inventory says it.
fn address(endpoint: &Endpoint) -> String {
    let host = endpoint.address.as_ref().unwrap_or(&endpoint.host);
    let text = match endpoint.port {
        Some(port) if host.contains(':') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host.clone(),
    };
    shown(&text)
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
