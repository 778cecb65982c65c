//! Real servers of several Debian releases and login situations, each with `ssh` doing the same
//! beside it: reached by both or by neither, and where by neither, with the reason.
//!
//! `integration/ring install` fetches the servers; a release that is not there is skipped and
//! said, or a failure for those that RINGHAUL_SERVERS names.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]
#![allow(clippy::print_stdout, reason = "the harness keeps the times, and shows them when asked")]

#[path = "sshd_matrix/algorithms.rs"]
mod algorithms;
#[path = "sshd_matrix/jumps.rs"]
mod jumps;
#[path = "sshd_matrix/limits.rs"]
mod limits;
#[path = "common/servers.rs"]
mod servers;
#[path = "sshd_matrix/shells.rs"]
mod shells;
#[path = "sshd_matrix/situations.rs"]
mod situations;
#[path = "common/sshd.rs"]
#[expect(dead_code, reason = "of it only the operator's home is needed here")]
mod sshd;

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringhaul::inventory::NodeSpec;
use ringhaul::node::catalog::Nodetool;
use ringhaul::node::ssh::{Options, Ssh};
use ringhaul::node::survey::{Limits, survey};
use ringhaul::node::{Command, Connect, Endpoint, Node, NodeError};
use servers::{Server, Setup};
use sshd::Home;

/// More than any command here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Servers that are tried at once.
const AT_ONCE: usize = 3;

/// Who shall reach a server.
#[derive(Debug, Clone, Copy)]
enum Want {
    Both,
    /// Neither; ours says why in these words.
    Neither(&'static str),
    /// `ssh` of any release that has what it takes; ours says why not in these words.
    OnlySsh(&'static str),
    /// Ours in any case; `ssh` where its release has what it takes.
    Ours,
}

/// One server, and who shall reach it.
#[derive(Clone, Copy)]
struct Cell<'a> {
    name: &'a str,
    setup: Setup<'a>,
    /// Kinds of the operator's keys; all of them are authorized.
    keys: &'a [&'a str],
    /// Lines for the operator's ssh_config.
    client: &'a str,
    want: Want,
}

impl Cell<'_> {
    const PLAIN: Self = Self {
        name: "plain",
        setup: Setup::PLAIN,
        keys: &["ed25519"],
        client: "",
        want: Want::Both,
    };
}

/// A server with the operator who wants to reach it.
struct Place {
    home: Home,
    server: Server,
}

impl Place {
    fn of(cell: &Cell<'_>) -> Self {
        let home = Home::new();
        let keys: Vec<_> = cell.keys.iter().map(|kind| home.key(kind, kind, "")).collect();
        let authorized = fs::read_to_string(home.path("authorized_keys")).unwrap();
        let server = Server::start(&cell.setup, &authorized);
        home.know(&server.known());
        let mut config = format!(
            "Host node\n  HostName 127.0.0.1\n  Port {}\n  User ops\n{}\n",
            server.port, cell.client
        );
        for key in keys {
            config += &format!("  IdentityFile {}\n", key.display());
        }
        config += &format!(
            "  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n  \
             StrictHostKeyChecking yes\n  BatchMode yes\n  ConnectTimeout 20\n",
            home.known_hosts().display()
        );
        fs::write(home.path("config"), config).unwrap();
        Self { home, server }
    }

    fn endpoint() -> Endpoint {
        Endpoint { host: "node".into(), ..Endpoint::default() }
    }

    fn options(&self) -> Options {
        Options { config_file: Some(self.home.path("config")), ..self.home.options() }
    }

    /// Runs a command by `ssh`; returns what it printed, and what it said when it failed.
    fn ssh(&self, command: &str) -> (String, String) {
        let config = self.home.path("config");
        let output = std::process::Command::new("ssh")
            .args(["-F", config.to_str().unwrap(), "node", command])
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (text(output.stdout), text(output.stderr))
    }

    fn ours(&self) -> Ssh {
        Ssh::new(self.options()).unwrap()
    }
}

fn command(argv: &[&str]) -> Command {
    Command::new(argv.iter().copied(), LIMIT)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs a small command and the whole survey.
async fn ask(place: &Place) -> Result<(), NodeError> {
    let node = place.ours().connect(&Place::endpoint()).await?;
    let output = node.run(&command(&["echo", "reached"])).await?;
    assert_eq!(output.stdout, b"reached\n");
    let spec = NodeSpec::at(Place::endpoint());
    let limits = Limits { nodetool: LIMIT, files: LIMIT };
    let mut tool = Nodetool::new(&spec, limits.nodetool);
    let facts = survey(&node, &spec, &mut tool, limits).await;
    // There is no Cassandra, and nothing of it: that is what the script's answer says.
    assert_eq!(facts.process.known(), Some(&None), "{facts:#?}");
    assert!(facts.now.known().is_some(), "{facts:#?}");
    let why = facts.live.why().unwrap();
    assert!(why.text.contains("nodetool"), "{why:?}");
    Ok(())
}

/// Tries one cell; returns what is wrong.
fn judge(cell: &Cell<'_>) -> Result<(), String> {
    let place = Place::of(cell);
    let start = Instant::now();
    let ours = runtime().block_on(ask(&place));
    let took = start.elapsed();
    let start = Instant::now();
    let (printed, said) = place.ssh("echo reached");
    let ssh = printed.ends_with("reached\n");
    println!("{}: ours {took:.1?}, ssh {:.1?}", cell.name, start.elapsed());
    let error = ours.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let agreed = match cell.want {
        Want::Both => ours.is_ok() && ssh,
        Want::Neither(words) => error.contains(words) && !ssh,
        Want::OnlySsh(words) => error.contains(words),
        Want::Ours => ours.is_ok(),
    };
    if agreed {
        return Ok(());
    }
    let (want, log) = (cell.want, place.server.log());
    Err(format!("want {want:?}\nours: {ours:?}\nssh: {ssh}, {printed:?}, {said:?}\nlog:\n{log}"))
}

/// Tries all cells, some at once, and fails with all that is wrong.
fn matrix(suite: &str, cells: &[Cell<'_>]) {
    if !servers::is_here(suite) {
        return;
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::SeqCst)) {
            let mut cell = *cell;
            cell.setup.suite = suite;
            let tried = std::panic::catch_unwind(|| judge(&cell));
            let tried = tried.unwrap_or_else(|_| Err("it panicked, see above".into()));
            wrong.extend(tried.err().map(|what| format!("{suite}, {}: {what}", cell.name)));
        }
        wrong
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
