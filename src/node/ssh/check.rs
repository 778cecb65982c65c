//! The way to one node, step by step, each told as it is done: for `ringhaul ssh-check`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::algorithms::Load;
use super::line::{Failed, Line};
use super::settings::Settings;
use super::{Shared, Ssh, SshNode, auth};
use crate::cassandra::fact::{Why, WhyKind};
use crate::node::{Command, Connect, Endpoint, Exit, Node, NodeError};
use crate::text::one_line;

/// One step on the way to a node, done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was done: `connect`, `handshake` …
    pub what: &'static str,
    /// `host:port` of the server it was done with: the node's, or a jump host's.
    pub host: String,
    /// How long it took.
    pub took: Duration,
    /// What came of it, one line each.
    pub outcome: Result<String, Why>,
}

/// Who hears of each step.
pub type Told<'a> = dyn FnMut(Step) + Send + 'a;

/// The programs our commands use: of GNU coreutils, findutils, grep and tar.
const PROGRAMS: &str = "cat cksum cp cut date dd df env find grep head id mkdir mv nice readlink rm \
    sha256sum sleep sort stat sync tar timeout tr xargs";

/// Looks at the account and the programs. It reads nothing but PATH.
const LOOK: &str = r#"
LC_ALL=C
export LC_ALL
printf 'account %s\n' "$(id -un)"
printf 'shell %s\n' "$SHELL"
printf 'system %s\n' "$(uname -sr)"
for tool in "$@"; do command -v "$tool" >/dev/null || printf 'missing %s\n' "$tool"; done
PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
PATH=$PATH:/opt/cassandra/bin:/usr/share/cassandra/bin
printf 'nodetool %s\n' "$(command -v nodetool)"
"#;

/// How long that may take, start-up files of the login shell included.
const LOOK_LIMIT: Duration = Duration::from_secs(30);

impl Ssh {
    /// Goes the way to a node on connections of its own and tells of each step; ends at the first
    /// that fails. Returns whether a command ran there.
    pub async fn check(&self, endpoint: &Endpoint, told: &mut Told<'_>) -> bool {
        let mut check = Check { shared: &self.shared, told };
        check.node(endpoint).await.is_some()
    }
}

struct Check<'a, 'b> {
    shared: &'a Arc<Shared>,
    told: &'a mut Told<'b>,
}

impl Check<'_, '_> {
    async fn node(&mut self, endpoint: &Endpoint) -> Option<()> {
        let began = Instant::now();
        let settled = self.settle(endpoint).await;
        let name = one_line(endpoint.host.as_bytes(), 80);
        let settled = settled.map(|(settings, hops)| {
            let way = way_of(&settings, &hops);
            ((settings, hops), way)
        });
        let (settings, hops) =
            tell(self.told, "settings", &name, began, settled.map_err(Why::from))?;
        let mut via = None;
        for hop in hops {
            via = Some(Arc::new(self.log_in(Arc::new(hop), via.as_ref()).await?));
        }
        let line = self.log_in(Arc::new(settings), via.as_ref()).await?;
        self.look(line, endpoint).await
    }

    async fn settle(&self, endpoint: &Endpoint) -> Result<(Settings, Vec<Settings>), NodeError> {
        let settings = self.shared.resolver.settle(endpoint).await?;
        let hops = self.shared.chain(&settings, endpoint).await?;
        Ok((settings, hops))
    }

    /// From the way to a server to the login there.
    async fn log_in(&mut self, settings: Arc<Settings>, via: Option<&Arc<Line>>) -> Option<Line> {
        let host = settings.address();
        let began = Instant::now();
        let way = self.shared.way(&settings, via).await.map_err(Why::from).map(|way| {
            let text = match (&way.via, way.peer) {
                (Some(via), _) => format!("through {}", via.address),
                (None, Some(peer)) => peer.to_string(),
                (None, None) => "by its ProxyCommand".to_owned(),
            };
            (way, text)
        });
        let way = tell(self.told, "connect", &host, began, way)?;
        let began = Instant::now();
        let line = self.shared.greet(&settings, way, Load::Control).await;
        let what = match &line {
            Err(Failed::Finally(NodeError::HostKey { .. })) => "host key",
            Ok(_) | Err(_) => "handshake",
        };
        let line = line.map(|line| {
            let text = line.seen.get().map_or_else(String::new, |seen| {
                format!("{}, {}", seen.server, seen.algorithms.join(", "))
            });
            (line, text)
        });
        let line = line.map_err(|failed| Why::from(failed.into_inner()));
        let mut line = tell(self.told, what, &host, began, line)?;
        let began = Instant::now();
        let login = match self.shared.log_in(&mut line, &settings).await {
            Ok(()) => Ok((line, format!("as {}", one_line(settings.user.as_bytes(), 80)))),
            Err(auth::Out::Now(error) | auth::Out::AfterWaiting(error)) => Err(Why::from(error)),
        };
        tell(self.told, "login", &host, began, login)
    }

    /// Runs a command on the line.
    async fn look(&mut self, line: Line, endpoint: &Endpoint) -> Option<()> {
        let host = line.address.clone();
        let (shared, endpoint) = (Arc::clone(self.shared), endpoint.clone());
        let node = SshNode { line: Arc::new(line), shared, endpoint };
        look(&node, &host, self.told).await.then_some(())
    }
}

/// Tells of a step; returns what it brought, if it went well.
fn tell<T>(
    told: &mut Told<'_>,
    what: &'static str,
    host: &str,
    began: Instant,
    result: Result<(T, String), Why>,
) -> Option<T> {
    let (made, outcome) = match result {
        Ok((made, text)) => (Some(made), Ok(text)),
        Err(why) => (None, Err(why)),
    };
    told(Step { what, host: host.to_owned(), took: began.elapsed(), outcome });
    made
}

/// Goes the way to a node that is reached by other means, as far as it can be told, and looks
/// around there. Returns whether a command ran.
pub(in crate::node) async fn check_by<C: Connect>(
    connector: &C,
    endpoint: &Endpoint,
    means: &str,
    told: &mut Told<'_>,
) -> bool {
    let host = one_line(endpoint.host.as_bytes(), 80);
    tell(told, "settings", &host, Instant::now(), Ok(((), means.to_owned())));
    let began = Instant::now();
    let node = connector.connect(endpoint).await.map_err(Why::from);
    match tell(told, "login", &host, began, node.map(|node| (node, String::new()))) {
        Some(node) => look(&node, &host, told).await,
        None => false,
    }
}

/// Runs a command, and looks whether all is there that others need; returns whether it ran.
async fn look<N: Node>(node: &N, host: &str, told: &mut Told<'_>) -> bool {
    let argv = ["sh", "-s", "--"].into_iter().chain(PROGRAMS.split_whitespace());
    let command = Command::new(argv, LOOK_LIMIT).with_stdin(LOOK.as_bytes());
    let began = Instant::now();
    let output =
        node.run(&command).await.map_err(Why::from).and_then(|output| match output.ended.exit {
            Exit::Code(0) => Ok(output.stdout),
            exit @ (Exit::Code(_) | Exit::Signal(_)) => {
                let said = one_line(&output.ended.stderr, 200);
                Err(Why::new(WhyKind::CommandNotFound, format!("sh ended with {exit:?}: {said}"))
                    .with_fix("a POSIX shell, sh, must be in the account's PATH"))
            }
        });
    let seen = output.map(|stdout| {
        let seen = Seen::of(&stdout);
        let text = format!("{}, as {}, login shell {}", seen.system, seen.account, seen.shell);
        (seen, text)
    });
    let Some(seen) = tell(told, "command", host, began, seen) else { return false };
    let began = Instant::now();
    tell(told, "programs", host, began, seen.programs());
    tell(told, "nodetool", host, began, Ok(((), seen.nodetool())));
    true
}

/// The way to a node in a few words.
fn way_of(settings: &Settings, hops: &[Settings]) -> String {
    let mut way = format!("{}@{}", one_line(settings.user.as_bytes(), 80), settings.address());
    for (index, hop) in hops.iter().rev().enumerate() {
        let word = if index == 0 { " through" } else { ", which is behind" };
        way.push_str(&format!("{word} {}@{}", one_line(hop.user.as_bytes(), 80), hop.address()));
    }
    way
}

/// What the look printed. A node may print anything: each value is one short line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    account: String,
    shell: String,
    system: String,
    nodetool: String,
    missing: Vec<String>,
}

impl Seen {
    fn of(printed: &[u8]) -> Self {
        let mut seen = Self::default();
        for line in printed.split(|&byte| byte == b'\n') {
            let line = one_line(line, 120);
            let Some((key, value)) = line.split_once(' ') else { continue };
            match key {
                "account" => seen.account = value.to_owned(),
                "shell" => seen.shell = value.to_owned(),
                "system" => seen.system = value.to_owned(),
                "nodetool" => seen.nodetool = value.to_owned(),
                "missing" if seen.missing.len() < PROGRAMS.len() => {
                    seen.missing.push(value.to_owned());
                }
                _ => {}
            }
        }
        seen
    }

    fn programs(&self) -> Result<((), String), Why> {
        if self.missing.is_empty() {
            return Ok(((), "all that is needed is there".to_owned()));
        }
        let text = format!("not in PATH: {}", self.missing.join(", "));
        let fix = "install coreutils, findutils, grep and tar, or set the account's PATH \
                   for commands that are not run by a login shell";
        Err(Why::new(WhyKind::CommandNotFound, text).with_fix(fix))
    }

    /// That it is not found is no fault yet: where Cassandra runs, it is looked for beside it.
    fn nodetool(&self) -> String {
        if self.nodetool.is_empty() {
            return "not in PATH nor in the usual folders: looked for beside Cassandra where it runs, \
                    or set paths.nodetool"
                .to_owned();
        }
        self.nodetool.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_prints_is_taken_apart_and_made_safe() {
        let seen =
            Seen::of(b"account ops\nshell /bin/\x1b[2Jsh\nsystem Linux 6\nmissing tar\njunk\n");
        assert_eq!((seen.account.as_str(), seen.system.as_str()), ("ops", "Linux 6"));
        assert!(!seen.shell.contains('\x1b'), "{}", seen.shell);
        assert!(seen.programs().unwrap_err().text.ends_with("tar"));
        assert!(seen.nodetool().starts_with("not in PATH"));
        assert!(Seen::of(b"").programs().is_ok());
    }
}
