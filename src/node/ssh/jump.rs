//! Jump hosts: one connection to each, shared by all nodes behind it; a stream has its own.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::Shared;
use super::algorithms::Load;
use super::line::Line;
use super::settings::Settings;
use crate::node::{Endpoint, NodeError};
use crate::text::one_line;

/// Hops behind hops. OpenSSH has no limit; a config whose hosts jump through each other has no
/// end.
const MAX_HOPS: usize = 8;

/// The connections to jump hosts, by everything that makes one: the settings of the hop and of
/// all hops before it.
#[derive(Default)]
pub(super) struct Jumps {
    lines: Mutex<HashMap<Vec<Settings>, Arc<tokio::sync::Mutex<Slot>>>>,
}

/// The connection to one jump host, or how the last attempt failed and when it ended.
#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Open(Arc<Line>),
    Failed(NodeError, Instant),
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Shared {
    /// Returns the line to the last jump host before `settings`, or none when it is reached
    /// directly.
    ///
    /// A stream whose receiver takes its time would stop all others that share its connection.
    pub(super) fn last_jump<'a>(
        &'a self,
        settings: &'a Settings,
        endpoint: &'a Endpoint,
        load: Load,
    ) -> Boxed<'a, Result<Option<Arc<Line>>, NodeError>> {
        Box::pin(async move {
            let chain = self.chain(settings, endpoint).await?;
            let mut via: Option<Arc<Line>> = None;
            for end in 1..=chain.len() {
                let hops = chain.get(..end).unwrap_or_default();
                let name = hops.last().map(Settings::address).unwrap_or_default();
                let line = match load {
                    Load::Control => self.jump(hops, via.as_ref()).await,
                    Load::Bulk => self.own_jump(hops, via.as_ref()).await,
                };
                via = Some(line.map_err(|error| at_hop(error, &name, settings))?);
            }
            Ok(via)
        })
    }

    /// Settles the jump hosts before `settings`, first hop first.
    pub(super) async fn chain(
        &self,
        settings: &Settings,
        endpoint: &Endpoint,
    ) -> Result<Vec<Settings>, NodeError> {
        let hops = self.hops_before(settings, endpoint).await?;
        Ok(hops.into_iter().map(|(_, settings)| settings).collect())
    }

    /// Returns what is asked for and what is settled of each jump host, first hop first.
    pub(super) async fn hops_before(
        &self,
        settings: &Settings,
        endpoint: &Endpoint,
    ) -> Result<Vec<(Endpoint, Settings)>, NodeError> {
        let mut chain = Vec::new();
        self.hops(&settings.jumps, settings, endpoint, 0, &mut chain).await?;
        Ok(chain)
    }

    /// Settles the hops of a chain, with those the first of them has before itself.
    fn hops<'a>(
        &'a self,
        jumps: &'a [String],
        target: &'a Settings,
        endpoint: &'a Endpoint,
        depth: usize,
        chain: &'a mut Vec<(Endpoint, Settings)>,
    ) -> Boxed<'a, Result<(), NodeError>> {
        Box::pin(async move {
            for (index, jump) in jumps.iter().enumerate() {
                if depth + chain.len() >= MAX_HOPS {
                    let name = one_line(target.name.as_bytes(), 80);
                    return Err(NodeError::Local(format!("more than {MAX_HOPS} jumps to {name}")));
                }
                let mut hop = parse(jump)?;
                // Keys and known hosts named for the node are good for the way to it, too.
                hop.known_hosts.clone_from(&endpoint.known_hosts);
                hop.auth.clone_from(&endpoint.auth);
                // As in OpenSSH, only the first hop's own ProxyJump counts.
                if index > 0 {
                    hop.proxy_jump = Some(Vec::new());
                }
                let mut settings = self.resolver.settle(&hop).await?;
                if !settings.identities_given && !endpoint.identity_files.is_empty() {
                    hop.identity_files.clone_from(&endpoint.identity_files);
                    settings = self.resolver.settle(&hop).await?;
                }
                // `Host *` with a ProxyJump names the jump host itself as well.
                let before = std::mem::take(&mut settings.jumps);
                if before.iter().all(|before| before != jump) {
                    self.hops(&before, target, endpoint, depth + 1, chain).await?;
                }
                settings.is_jump = true;
                chain.push((hop, settings));
            }
            Ok(())
        })
    }

    async fn own_jump(
        &self,
        hops: &[Settings],
        via: Option<&Arc<Line>>,
    ) -> Result<Arc<Line>, NodeError> {
        let settings = hops.last().ok_or_else(without_host)?;
        self.line(&Arc::new(settings.clone()), via, Load::Bulk).await.map(Arc::new)
    }

    /// Returns the shared line to the last of `hops`, and makes it when there is none or it died.
    async fn jump(
        &self,
        hops: &[Settings],
        via: Option<&Arc<Line>>,
    ) -> Result<Arc<Line>, NodeError> {
        let asked = Instant::now();
        let slot = {
            let mut lines = self.jumps.lines.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(lines.entry(hops.to_vec()).or_default())
        };
        let mut slot = slot.lock().await;
        match &*slot {
            Slot::Open(line) if !line.handle.is_closed() => return Ok(Arc::clone(line)),
            // All who waited for this attempt share its end; else 32 nodes behind a dead jump
            // host would wait 32 times one after the other.
            Slot::Failed(error, when) if *when >= asked => return Err(error.clone()),
            Slot::Empty | Slot::Open(_) | Slot::Failed(..) => {}
        }
        let settings = hops.last().ok_or_else(without_host)?;
        match self.line(&Arc::new(settings.clone()), via, Load::Control).await {
            Ok(line) => {
                let line = Arc::new(line);
                *slot = Slot::Open(Arc::clone(&line));
                Ok(line)
            }
            Err(error) => {
                *slot = Slot::Failed(error.clone(), Instant::now());
                Err(error)
            }
        }
    }
}

fn without_host() -> NodeError {
    NodeError::Local("a jump without a host".into())
}

/// Reads `[user@]host[:port]`, with or without `ssh://`.
fn parse(jump: &str) -> Result<Endpoint, NodeError> {
    let bad = || {
        let jump = one_line(jump.as_bytes(), 80);
        NodeError::Local(format!("not a jump host, [user@]host[:port]: {jump}"))
    };
    let rest = jump.strip_prefix("ssh://").unwrap_or(jump).trim_end_matches('/');
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) if !user.is_empty() => (Some(user.to_owned()), rest),
        Some(_) => return Err(bad()),
        None => (None, rest),
    };
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(bad)?)),
        // An IPv6 address without brackets has no port.
        None if rest.matches(':').count() > 1 => (rest, None),
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let port = match port.map(str::parse) {
        None => None,
        Some(Ok(port)) if port > 0 => Some(port),
        Some(_) => return Err(bad()),
    };
    Ok(Endpoint { host: host.to_owned(), port, user, ..Endpoint::default() })
}

/// Names the hop in its error: the operator asked for the node behind it.
fn at_hop(error: NodeError, hop: &str, target: &Settings) -> NodeError {
    let named = |text: String| format!("jump host {hop}: {text}");
    match error {
        NodeError::HostKey { problem, fix } => NodeError::HostKey { problem: named(problem), fix },
        NodeError::Auth { user, tried } => {
            NodeError::Auth { user: format!("{user} at the jump host {hop}"), tried }
        }
        NodeError::Lost { cause } => NodeError::Lost { cause: named(cause) },
        NodeError::Local(text) => NodeError::Local(named(text)),
        // The node itself was not even tried.
        error @ (NodeError::Unreachable { .. }
        | NodeError::Refused { .. }
        | NodeError::TimedOut { .. }
        | NodeError::NoCommand { .. }
        | NodeError::Rights { .. }
        | NodeError::TooMuch { .. }) => {
            NodeError::Unreachable { address: target.address(), cause: named(error.to_string()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jump_hosts_are_read_as_openssh_writes_them() {
        for (text, user, host, port) in [
            ("bastion", None, "bastion", None),
            ("ops@bastion:2222", Some("ops"), "bastion", Some(2222)),
            ("a@b@bastion", Some("a@b"), "bastion", None),
            ("[::1]:22", None, "::1", Some(22)),
            ("ops@[fe80::1]", Some("ops"), "fe80::1", None),
            ("fe80::1", None, "fe80::1", None),
            ("ssh://ops@bastion:22/", Some("ops"), "bastion", Some(22)),
        ] {
            let hop = parse(text).unwrap();
            assert_eq!((hop.user.as_deref(), hop.host.as_str(), hop.port), (user, host, port));
        }
        for text in ["@bastion", "bastion:", "bastion:x", "bastion:0", "[::1]22", "bastion:70000"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
