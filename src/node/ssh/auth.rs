//! Logs in: public keys first, then what the inventory allows, in its order.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::keys::HashAlg;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::{MethodKind, MethodSet};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use super::certificates;
use super::gate::{End, Gate};
use super::keys::Keyring;
use super::line::Line;
use super::offers::{self, Offer, Stock, check_files, order};
use super::settings::Settings;
use crate::node::{AuthMethod, NodeError, Stage};
use crate::text::one_line;

/// Offers named in an error; more would hide the rest of it.
const OFFERS_SHOWN: usize = 8;

/// A pause in which the server may have hung up: the operator had to type.
const LONG_WAIT: Duration = Duration::from_secs(2);

/// Methods a server may ask for one after the other (`AuthenticationMethods`).
const FACTORS: usize = 4;

/// Why nobody was let in.
pub(super) enum Out {
    Now(NodeError),
    /// The line ended after the operator had typed a secret; another one may do.
    AfterWaiting(NodeError),
}

/// Logs in.
pub(super) async fn log_in(
    line: &mut Line,
    settings: &Settings,
    keyring: &Keyring,
    limit: Duration,
) -> Result<(), Out> {
    let mut notes = Vec::new();
    let offers = match settings.publickey {
        true => offers_for(settings, keyring, &mut notes).await.map_err(Out::Now)?,
        false => Vec::new(),
    };
    let end = Arc::clone(&line.end);
    let mut login = Login {
        binding: line.handle.agent_session_binding().cloned(),
        handle: &mut line.handle,
        end: &end,
        settings,
        agent: None,
        keyring,
        rsa_hash: None,
        limit,
        left: limit,
        notes,
        offered: 0,
        remaining: None,
        waited: false,
    };
    let mut result = login.all_ways(&offers).await;
    if let Ok(false) = result {
        result = Err(login.shut_out());
    }
    match result {
        Ok(_) => Ok(()),
        Err(error @ (NodeError::Lost { .. } | NodeError::TimedOut { .. })) if login.waited => {
            Err(Out::AfterWaiting(error))
        }
        Err(error) => Err(Out::Now(error)),
    }
}

/// Returns the keys and certificates to offer.
async fn offers_for(
    settings: &Settings,
    keyring: &Keyring,
    notes: &mut Vec<String>,
) -> Result<Vec<Offer>, NodeError> {
    let files = keyring.files(settings);
    let listed = match &settings.agent {
        Some(socket) => listed(socket, keyring, notes).await,
        None => Vec::new(),
    };
    check_files(settings, &files, &listed)?;
    let now = certificates::now();
    let agent = offers::usable(listed, now, notes);
    let certificates = offers::certificates(settings, &files, now, notes);
    let stock = Stock {
        files: &files,
        certificates: &certificates,
        agent: &agent,
        can_ask: keyring.can_ask(),
    };
    Ok(order(settings, &stock, notes))
}

/// Returns the keys of the agent, and notes what is wrong with it.
async fn listed(socket: &Path, keyring: &Keyring, notes: &mut Vec<String>) -> Vec<AgentIdentity> {
    let agent = offers::shown(socket);
    match keyring.agents.held(socket).await {
        Err(why) => notes.push(why),
        Ok(held) if held.identities.is_empty() && held.odd == 0 => {
            notes.push(format!("the agent at {agent} holds no keys; it may be locked (ssh-add -X)"))
        }
        Ok(held) => {
            if held.odd > 0 {
                notes.push(format!(
                    "the agent at {agent} lists keys of unknown kinds: {}",
                    held.odd
                ));
            }
            return held.identities;
        }
    }
    Vec::new()
}

/// One login under way.
pub(super) struct Login<'a> {
    pub(super) handle: &'a mut Handle<Gate>,
    end: &'a End,
    pub(super) binding: Option<russh::keys::agent::AgentSessionBinding>,
    pub(super) settings: &'a Settings,
    pub(super) agent: Option<AgentClient<UnixStream>>,
    pub(super) keyring: &'a Keyring,
    /// The hash for RSA signatures, once the server was asked; none when it takes only SHA-1.
    pub(super) rsa_hash: Option<Option<HashAlg>>,
    pub(super) limit: Duration,
    /// What is left of the limit. The operator's time at the prompt does not count.
    pub(super) left: Duration,
    pub(super) notes: Vec<String>,
    pub(super) offered: usize,
    /// What the server said last that it takes.
    pub(super) remaining: Option<MethodSet>,
    waited: bool,
}

/// How one attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    In,
    /// It was right, and the server wants another way as well.
    Partly,
    Next,
    /// Nothing more can be tried on this line.
    Over,
}

/// One way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Keys,
    Secret(AuthMethod),
}

impl Way {
    fn kind(self) -> MethodKind {
        match self {
            Self::Keys => MethodKind::PublicKey,
            Self::Secret(AuthMethod::KeyboardInteractive) => MethodKind::KeyboardInteractive,
            Self::Secret(AuthMethod::Password) => MethodKind::Password,
        }
    }
}

impl Login<'_> {
    /// Returns whether one of the ways led in.
    async fn all_ways(&mut self, offers: &[Offer]) -> Result<bool, NodeError> {
        let secrets = self.settings.auth.iter().copied().map(Way::Secret);
        let keys = (!offers.is_empty()).then_some(Way::Keys);
        let ways: Vec<Way> = keys.into_iter().chain(secrets).collect();
        // A key offered where a password has to come first would be spent.
        if ways != [Way::Keys] && self.ask_methods().await? == Step::In {
            return Ok(true);
        }
        let mut offers = offers.iter();
        let mut tried = Vec::new();
        let mut factors = 0;
        while let Some(way) = self.next_way(&ways, &tried) {
            let step = match way {
                Way::Keys => self.offer_all(&mut offers).await?,
                Way::Secret(AuthMethod::Password) => self.password().await?,
                Way::Secret(AuthMethod::KeyboardInteractive) => self.interactive().await?,
            };
            match step {
                Step::In => return Ok(true),
                Step::Over => return Ok(false),
                Step::Next => tried.push(way),
                Step::Partly => {
                    factors += 1;
                    if factors >= FACTORS {
                        return Ok(false);
                    }
                    tried.clear();
                }
            }
        }
        Ok(false)
    }

    /// Returns the first way that was not tried and that the server has not ruled out.
    fn next_way(&self, ways: &[Way], tried: &[Way]) -> Option<Way> {
        let open = |way: &&Way| {
            let allowed = self.remaining.as_ref().is_none_or(|set| set.contains(&way.kind()));
            allowed && !tried.contains(way)
        };
        ways.iter().find(open).copied()
    }

    /// Learns what the server takes.
    async fn ask_methods(&mut self) -> Result<Step, NodeError> {
        let none = self.handle.authenticate_none(&self.settings.user);
        let result = timed(&mut self.left, self.limit, none).await?;
        Ok(self.judge(result.map_err(|_| ()), String::new()))
    }

    /// Notes what the server answered to an offer of this name; an empty one is not noted.
    pub(super) fn judge(&mut self, result: Result<AuthResult, ()>, name: String) -> Step {
        let (remaining, partial) = match result {
            Ok(AuthResult::Success) => return Step::In,
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                (remaining_methods, partial_success)
            }
            Err(()) => return Step::Over,
        };
        if !name.is_empty() {
            self.offered += 1;
            let but = if partial { " (taken, but not enough)" } else { "" };
            self.notes.push(format!("offered {name}{but}"));
        }
        // A line that is gone answers like a server that takes nothing.
        if remaining.is_empty() {
            return Step::Over;
        }
        self.remaining = Some(remaining);
        if partial { Step::Partly } else { Step::Next }
    }

    /// Whether the server would still take this way.
    pub(super) fn takes(&self, kind: MethodKind) -> bool {
        self.remaining.as_ref().is_none_or(|set| set.contains(&kind))
    }

    /// Notes that somebody had to type, or to wait for somebody who did, since `start`.
    pub(super) fn waited_since(&mut self, start: Instant) {
        self.waited |= start.elapsed() > LONG_WAIT;
    }

    /// The error of a line that ended while the operator typed; none when it still stands.
    pub(super) fn gone(&self) -> Option<NodeError> {
        let lost = || NodeError::Lost { cause: format!("while logging in: {}", self.end.cause()) };
        self.handle.is_closed().then(lost)
    }

    /// Whether the server hung up because too much was tried.
    pub(super) fn had_enough(&self) -> bool {
        self.handle.is_closed() && self.end.cause().contains("Too many authentication failures")
    }

    /// The error when all ways were tried, or the line is gone.
    fn shut_out(&mut self) -> NodeError {
        match self.gone() {
            Some(lost) if !self.had_enough() => lost,
            too_many => self.refused(too_many.is_some()),
        }
    }

    fn refused(&mut self, too_many: bool) -> NodeError {
        let mut tried = String::new();
        let more = self.notes.len().saturating_sub(OFFERS_SHOWN);
        self.notes.truncate(OFFERS_SHOWN);
        tried.push_str(&self.notes.join("; "));
        if more > 0 {
            let _ = write!(tried, "; and {more} more");
        }
        if self.offered == 0 && self.settings.publickey {
            let start = if tried.is_empty() { "" } else { "; " };
            let _ = write!(tried, "{start}no key to offer");
        }
        let methods = self.remaining.iter().flat_map(|set| set.iter()).map(<&str>::from);
        let methods = methods.collect::<Vec<_>>().join(", ");
        if too_many && self.offered > 0 {
            tried.push_str("; too many keys were offered: set identity_file, or IdentitiesOnly");
        } else if too_many {
            tried.push_str("; the server hung up after as many tries as it allows");
        } else if !methods.is_empty() {
            let start = if tried.is_empty() { "" } else { "; " };
            let _ = write!(tried, "{start}the server takes {methods}{}", self.way_in());
        }
        NodeError::Auth { user: one_line(self.settings.user.as_bytes(), 80), tried }
    }

    /// What the inventory would have to say for a way the server takes and nobody allowed.
    fn way_in(&self) -> String {
        let ways = [
            ("keyboard-interactive", AuthMethod::KeyboardInteractive),
            ("password", AuthMethod::Password),
        ];
        let open = ways.into_iter().find(|(_, method)| {
            self.remaining.is_some()
                && self.takes(Way::Secret(*method).kind())
                && !self.settings.auth.contains(method)
        });
        open.filter(|_| self.settings.auth.is_empty()).map_or_else(String::new, |(name, _)| {
            format!(" (the inventory may say auth: [{name}])")
        })
    }
}

/// Waits for one exchange with the server or the agent, and takes its time off what is left.
pub(super) async fn timed<T>(
    left: &mut Duration,
    limit: Duration,
    exchange: impl Future<Output = T>,
) -> Result<T, NodeError> {
    let start = Instant::now();
    let result = timeout(*left, exchange).await;
    *left = left.saturating_sub(start.elapsed());
    result.map_err(|_| NodeError::TimedOut { stage: Stage::Auth, after: limit })
}
