//! Lines that are slow, forgotten on the way or half open; an agent that dies; jump hosts that go.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

#[path = "common/link.rs"]
mod link;
#[path = "common/sshd.rs"]
#[expect(dead_code, reason = "not all of it is needed here")]
mod sshd;

use std::time::{Duration, Instant};

use link::{Link, Quality};
use ringhaul::inventory::NodeSpec;
use ringhaul::node::catalog::Nodetool;
use ringhaul::node::ssh::{Options, Ssh};
use ringhaul::node::survey::{Limits, survey};
use ringhaul::node::{Command, Connect, Endpoint, Node, NodeError, Stage};
use sshd::{Agent, Home, Sshd, send, user};

/// More than any command here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// What a busy machine may add to a limit.
const SLACK: Duration = Duration::from_secs(6);

fn shell(script: &str) -> Command {
    Command::new(["sh", "-c", script], LIMIT)
}

/// A server that knows one key, and a home that knows the server on any port.
fn pair() -> (Home, Sshd) {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "");
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    (home, sshd)
}

/// How a server is reached over a link.
async fn over(home: &Home, sshd: &Sshd, quality: Quality) -> (Link, Endpoint) {
    let link = Link::to(sshd.port, quality).await;
    home.know(&format!("[127.0.0.1]:{} {}", link.port, sshd.host_key("ed25519")));
    let endpoint = Endpoint { port: Some(link.port), ..sshd.endpoint() };
    (link, endpoint)
}

fn with_keepalive(home: &Home, keepalive_interval: Duration) -> Ssh {
    Ssh::new(Options { keepalive_interval, ..home.options() }).unwrap()
}

/// `nodetool status` of a hundred nodes.
const STATUS_BYTES: usize = 12_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_link_is_slow_and_within_the_ordinary_limits() {
    let (home, sshd) = pair();
    let slow = Quality { delay: Duration::from_secs(1), rate: 100_000 / 8, ..Quality::GOOD };
    let (_link, endpoint) = over(&home, &sshd, slow).await;
    let start = Instant::now();
    let node = home.ssh().connect(&endpoint).await.unwrap();
    let connected = start.elapsed();
    // The versions, the keys, the service, the login: a way there and back each.
    assert!(connected > Duration::from_secs(5), "{connected:?}");
    let command = shell(&format!("head -c {STATUS_BYTES} /dev/zero"));
    assert_eq!(node.run(&command).await.unwrap().stdout.len(), STATUS_BYTES);
    let spec = NodeSpec::at(endpoint.clone());
    let limits = Limits { nodetool: Duration::from_secs(20), files: Duration::from_secs(60) };
    let mut tool = Nodetool::new(&spec, limits.nodetool);
    let facts = survey(&node, &spec, &mut tool, limits).await;
    assert!(facts.now.known().is_some(), "{facts:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_silent_is_kept_in_mind_on_the_way() {
    let (home, sshd) = pair();
    let forgets = Quality { forgets_after: Duration::from_secs(3), ..Quality::GOOD };
    let (_link, endpoint) = over(&home, &sshd, forgets).await;
    let silent = shell("sleep 7; echo x");
    let node = with_keepalive(&home, Duration::from_secs(1)).connect(&endpoint).await.unwrap();
    assert_eq!(node.run(&silent).await.unwrap().stdout, b"x\n");
    // Else it would have been forgotten, and the answer never come.
    let silent = Command::new(["sh", "-c", "sleep 7; echo x"], Duration::from_secs(12));
    let node = with_keepalive(&home, LIMIT).connect(&endpoint).await.unwrap();
    let after = Duration::from_secs(12);
    let error = node.run(&silent).await.unwrap_err();
    assert_eq!(error, NodeError::TimedOut { stage: Stage::Command, after });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ordinary_keepalive_is_in_time_for_a_way_that_forgets_after_twenty_seconds() {
    let (home, sshd) = pair();
    let forgets = Quality { forgets_after: Duration::from_secs(20), ..Quality::GOOD };
    let (_link, endpoint) = over(&home, &sshd, forgets).await;
    let node = home.ssh().connect(&endpoint).await.unwrap();
    assert_eq!(node.run(&shell("sleep 23; echo x")).await.unwrap().stdout, b"x\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_line_is_found_within_the_keepalives_time() {
    let (home, sshd) = pair();
    let (link, endpoint) = over(&home, &sshd, Quality::GOOD).await;
    let interval = Duration::from_millis(500);
    let ssh = with_keepalive(&home, interval);
    let node = ssh.connect(&endpoint).await.unwrap();
    let behind = Endpoint {
        proxy_jump: Some(vec![format!("{}@127.0.0.1:{}", user(), link.port)]),
        ..sshd.endpoint()
    };
    let behind = ssh.connect(&behind).await.unwrap();
    let silent = shell("sleep 1000");
    let start = Instant::now();
    let cut = async {
        tokio::time::sleep(interval).await;
        link.cut();
    };
    let (direct, through, ()) = tokio::join!(node.run(&silent), behind.run(&silent), cut);
    for error in [direct.unwrap_err(), through.unwrap_err()] {
        assert!(matches!(&error, NodeError::Lost { .. }), "{error:?}");
    }
    // Four questions without an answer, and the silence before.
    let took = start.elapsed();
    assert!(took < interval * 6 + SLACK, "{took:?}");
    // Whoever comes later does not wait at all.
    let error = node.run(&silent).await.unwrap_err();
    assert_eq!(error, NodeError::Lost { cause: "the server no longer answers".into() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_that_is_cut_in_the_handshake_costs_its_limit() {
    let (home, sshd) = pair();
    let (link, endpoint) = over(&home, &sshd, Quality::GOOD).await;
    link.cut();
    let handshake_timeout = Duration::from_secs(1);
    let ssh = Ssh::new(Options { handshake_timeout, ..home.options() }).unwrap();
    let start = Instant::now();
    let error = ssh.connect(&endpoint).await.unwrap_err();
    let after = handshake_timeout;
    assert_eq!(error, NodeError::TimedOut { stage: Stage::Handshake, after });
    assert!(start.elapsed() < after + SLACK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_dies_in_the_middle_of_a_run_is_named_and_may_come_back() {
    let home = Home::new();
    // Only the agent has it.
    let key = home.key("elsewhere", "ed25519", "");
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let agent = Agent::start(&home);
    agent.add(&key);
    let ssh = Ssh::new(Options { agent: Some(agent.socket.clone()), ..home.options() }).unwrap();
    let endpoint = sshd.endpoint();
    let node = ssh.connect(&endpoint).await.unwrap();
    drop(agent);
    // The line that stands does not need it.
    assert_eq!(node.run(&shell("echo x")).await.unwrap().stdout, b"x\n");
    let error = ssh.connect(&endpoint).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("agent"), "{text}");
    let _ = std::fs::remove_file(home.path("agent.sock"));
    let agent = Agent::start(&home);
    agent.add(&key);
    ssh.connect(&endpoint).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_host_that_goes_takes_its_own_nodes_with_it_and_no_others() {
    let (home, sshd) = pair();
    let jump = Sshd::start(&home, "");
    home.trust(&jump);
    let ssh = home.ssh();
    let behind = Endpoint {
        proxy_jump: Some(vec![format!("{}@127.0.0.1:{}", user(), jump.port)]),
        ..sshd.endpoint()
    };
    let direct = ssh.connect(&sshd.endpoint()).await.unwrap();
    let nodes = [ssh.connect(&behind).await.unwrap(), ssh.connect(&behind).await.unwrap()];
    let slow = shell("sleep 3; echo x");
    let kill = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        for pid in jump.processes().into_iter().skip(1) {
            send("-KILL", pid);
        }
    };
    let [one, other] = nodes.each_ref().map(|node| node.run(&slow));
    let start = Instant::now();
    let lost = async {
        let lost = tokio::join!(one, other);
        (lost, start.elapsed())
    };
    let (whole, (lost, took), ()) = tokio::join!(direct.run(&slow), lost, kill);
    assert_eq!(whole.unwrap().stdout, b"x\n");
    for error in [lost.0.unwrap_err(), lost.1.unwrap_err()] {
        assert!(matches!(&error, NodeError::Lost { .. }), "{error:?}");
    }
    assert!(took < Duration::from_secs(3), "{took:?}");
    let again = ssh.connect(&behind).await.unwrap();
    assert_eq!(again.run(&shell("echo x")).await.unwrap().stdout, b"x\n");
}
