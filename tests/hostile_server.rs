//! Servers that keep to no rule: nothing hangs past its limit, grows without bound, panics, or is
//! taken for the success of a command that did not run.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

#[path = "hostile_server/command.rs"]
mod command;
#[path = "hostile_server/greeting.rs"]
mod greeting;
#[path = "hostile_server/login.rs"]
mod login;
#[path = "common/raw_server.rs"]
mod raw_server;
#[path = "common/sshd.rs"]
#[expect(dead_code, reason = "of it only the operator's home is needed here")]
mod sshd;

use std::sync::Arc;
use std::time::{Duration, Instant};

use raw_server::{Io, Wire, serve};
use ringhaul::node::ssh::{Options, Ssh};
use ringhaul::node::{AuthMethod, Command, Connect, Endpoint, Node, NodeError, Output, Stage};
use sshd::Home;
use tokio::time::timeout;

/// The limits of those parts of a connection that are tried.
const HANDSHAKE: Duration = Duration::from_secs(1);
const AUTH: Duration = Duration::from_secs(1);
const COMMAND: Duration = Duration::from_secs(1);

/// The limit of the parts before, which are as they should be.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a busy machine may add to a limit, and three seconds to say goodbye.
const SLACK: Duration = Duration::from_secs(20);

/// All of them together in one process; a client of one of these servers alone has a tenth.
const MEMORY: u64 = 200;

/// How it went with one server.
#[derive(Debug)]
struct Tried {
    end: Result<Output, NodeError>,
    took: Duration,
}

impl Tried {
    /// The error; a command that did not run is no success.
    #[track_caller]
    fn error(&self) -> &NodeError {
        let error = self.end.as_ref().expect_err("no command ran");
        let text = error.to_string();
        assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
        assert!(text.chars().count() < 600, "{text:?}");
        error
    }

    #[track_caller]
    fn within(&self, limit: Duration) -> &Self {
        assert!(self.took < limit + SLACK, "{self:?}");
        self
    }

    #[track_caller]
    fn timed_out(&self, stage: Stage, after: Duration) {
        assert_eq!(self.error(), &NodeError::TimedOut { stage, after }, "{self:?}");
        self.within(after);
    }

    #[track_caller]
    fn lost(&self) -> &str {
        let NodeError::Lost { cause } = self.error() else { panic!("{self:?}") };
        cause
    }
}

/// Connects to a server that deals with us as it likes, and runs a command there.
async fn try_within(
    handshake_timeout: Duration,
    auth_timeout: Duration,
    deal: impl Fn(Wire) -> Io + Send + Sync + 'static,
) -> Tried {
    try_with(handshake_timeout, auth_timeout, Vec::new(), deal).await
}

/// The same, with other ways to log in beside the key; every question is answered.
async fn try_with(
    handshake_timeout: Duration,
    auth_timeout: Duration,
    auth: Vec<AuthMethod>,
    deal: impl Fn(Wire) -> Io + Send + Sync + 'static,
) -> Tried {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "");
    let options = Options {
        accept_new_host_keys: true,
        handshake_timeout,
        auth_timeout,
        ask: Some(Arc::new(|_| Some("an answer".to_owned().into()))),
        ..home.options()
    };
    let ssh = Ssh::new(options).unwrap();
    let endpoint = Endpoint {
        host: "127.0.0.1".into(),
        port: Some(serve(deal)),
        user: Some("u".into()),
        auth,
        ..Endpoint::default()
    };
    let start = Instant::now();
    let all = async {
        let node = ssh.connect(&endpoint).await?;
        let output = node.run(&Command::new(["echo", "x"], COMMAND)).await;
        drop(node);
        // Goodbyes are said in the background; they end, too.
        ssh.settle(Duration::from_secs(10)).await;
        output
    };
    let end = timeout(Duration::from_secs(60), all).await.expect("it ends in any case");
    let took = start.elapsed();
    let most = peak();
    assert!(most < MEMORY, "{most} MiB");
    Tried { end, took }
}

/// The most memory this process has ever had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
