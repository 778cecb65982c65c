//! Jump hosts: one connection to each, its host key checked, its faults named.

use std::net::TcpListener;

use ringhaul::node::ssh::Ssh;
use ringhaul::node::{Connect, Endpoint, Node, NodeError, Transport};

use super::doors::{by, through_both_doors};
use super::{command, pair};
use crate::common::sshd::{Home, Sshd, send, user};

through_both_doors! {
    a_jump_host_that_died_is_connected_to_again,
    both_host_keys_are_checked_and_the_jump_host_is_named,
    faults_on_the_way_name_the_place,
}

fn through(sshd: &Sshd, jumps: &[&Sshd]) -> Endpoint {
    let hop = |jump: &&Sshd| format!("{}@{}:{}", user(), jump.address, jump.port);
    Endpoint { proxy_jump: Some(jumps.iter().map(hop).collect()), ..sshd.endpoint() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_behind_a_jump_host_share_one_connection_to_it() {
    let (home, jump) = pair("");
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let ssh = home.ssh();
    let endpoint = through(&sshd, &[&jump]);
    let lines = futures::future::join_all((0..6).map(|_| ssh.connect(&endpoint))).await;
    for node in lines {
        let node = node.unwrap();
        assert_eq!(node.peer_address(), None);
        let big = command(&["head", "-c", "3000000", "/dev/zero"]);
        assert_eq!(node.run(&big).await.unwrap().stdout.len(), 3_000_000);
    }
    assert_eq!(jump.log().matches("Accepted publickey").count(), 1);
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 6);

    // Two hops; the second is reached through the connection that stands.
    let second = Sshd::start(&home, "");
    home.trust(&second);
    let ssh = home.ssh();
    for _ in 0..2 {
        let node = ssh.connect(&through(&sshd, &[&jump, &second])).await.unwrap();
        assert_eq!(node.run(&command(&["echo", "x"])).await.unwrap().stdout, b"x\n");
    }
    assert_eq!(second.log().matches("Accepted publickey").count(), 1);
    assert_eq!(jump.log().matches("Accepted publickey").count(), 2);
}

async fn a_jump_host_that_died_is_connected_to_again(door: Transport) {
    let (home, jump) = pair("");
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let ssh = by(door, &home);
    let node = ssh.connect(&through(&sshd, &[&jump])).await.unwrap();
    // The sessions die, the server lives on.
    for pid in jump.processes().into_iter().skip(1) {
        send("-KILL", pid);
    }
    let error = node.run(&command(&["true"])).await.unwrap_err();
    let NodeError::Lost { cause } = &error else { panic!("{error:?}") };
    // The ssh program says no more than that the connection closed.
    let hop = format!("the jump host {}:{}: ", jump.address, jump.port);
    assert!(door == Transport::Openssh || cause.starts_with(&hop), "{cause}");
    let node = ssh.connect(&through(&sshd, &[&jump])).await.unwrap();
    assert_eq!(node.run(&command(&["echo", "x"])).await.unwrap().stdout, b"x\n");
}

async fn both_host_keys_are_checked_and_the_jump_host_is_named(door: Transport) {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "");
    let (jump, sshd) = (Sshd::start(&home, ""), Sshd::start(&home, ""));
    let ssh = by(door, &home);
    let endpoint = through(&sshd, &[&jump]);
    let NodeError::HostKey { problem, .. } = ssh.connect(&endpoint).await.unwrap_err() else {
        panic!("an unknown jump host was taken")
    };
    let (at, name) = (format!("{}:{}", jump.address, jump.port), jump.name());
    let want = match door {
        Transport::Builtin => format!("jump host {at}: the host key of {name} is not known"),
        Transport::Openssh => format!("jump host: No ED25519 host key is known for {name} and"),
    };
    assert!(problem.starts_with(&want), "{problem}");

    home.trust(&jump);
    let ssh = by(door, &home);
    let NodeError::HostKey { problem, fix } = ssh.connect(&endpoint).await.unwrap_err() else {
        panic!("an unknown host was taken")
    };
    let want = format!("the host key of {} is not known", sshd.name());
    assert!(problem.starts_with(&want), "{problem}");
    // ssh-keyscan does not reach it.
    assert!(fix.contains(&format!("ssh -J {}@{at}", user())), "{fix}");
}

async fn faults_on_the_way_name_the_place(door: Transport) {
    let (home, jump) = pair("");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ssh = by(door, &home);
    // Nothing listens behind the jump host.
    let endpoint = Endpoint { port: Some(closed), ..through(&jump, &[&jump]) };
    let error = ssh.connect(&endpoint).await.unwrap_err();
    let address = format!("127.0.0.1:{closed}");
    let cause = "the jump host could not connect to it".to_owned();
    assert_eq!(error, NodeError::Unreachable { address, cause });

    // The jump host is not there.
    let jumps = Some(vec![format!("127.0.0.1:{closed}")]);
    let endpoint = Endpoint { proxy_jump: jumps, ..jump.endpoint() };
    let start = std::time::Instant::now();
    let all = futures::future::join_all((0..8).map(|_| ssh.connect(&endpoint))).await;
    for error in all {
        let hop = format!("127.0.0.1:{closed}");
        let cause = match door {
            Transport::Builtin => format!("jump host {hop}: {hop} refused the connection"),
            Transport::Openssh => format!(
                "jump host: ssh: connect to host 127.0.0.1 port {closed}: Connection refused"
            ),
        };
        let address = format!("127.0.0.1:{}", jump.port);
        assert_eq!(error.unwrap_err(), NodeError::Unreachable { address, cause });
    }
    // One attempt and its repetition for all of them.
    assert!(start.elapsed().as_secs_f64() < 3.0, "{:?}", start.elapsed());

    // The jump host forwards nothing.
    let strict = Sshd::start(&home, "AllowTcpForwarding no");
    home.trust(&strict);
    let error = by(door, &home).connect(&through(&jump, &[&strict])).await.unwrap_err();
    let NodeError::Unreachable { cause, .. } = &error else { panic!("{error:?}") };
    assert!(cause.contains("AllowTcpForwarding"), "{cause}");

    // Nobody is let in there.
    std::fs::write(home.path("authorized_keys"), "").unwrap();
    let error = by(door, &home).connect(&through(&jump, &[&strict])).await.unwrap_err();
    let NodeError::Auth { user: who, .. } = &error else { panic!("{error:?}") };
    let port = match door {
        Transport::Builtin => format!(":{}", strict.port),
        // The program names none.
        Transport::Openssh => String::new(),
    };
    assert_eq!(who, &format!("{} at the jump host 127.0.0.1{port}", user()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxy_jump_of_ssh_config_is_followed_and_loops_end() {
    let (home, jump) = pair("");
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let config = home.path("config");
    let text = format!(
        "Host bastion\n  HostName {}\n  Port {}\nHost node\n  HostName {}\n  Port {}\n\
         Host loop1\n  ProxyJump loop2\nHost loop2\n  ProxyJump loop1\nHost *\n  ProxyJump bastion\n",
        jump.address, jump.port, sshd.address, sshd.port
    );
    std::fs::write(&config, text).unwrap();
    let mut options = home.options();
    options.config_file = Some(config);
    let ssh = Ssh::new(options).unwrap();
    let named = |host: &str| Endpoint { host: host.into(), ..Endpoint::default() };
    let node = ssh.connect(&named("node")).await.unwrap();
    assert_eq!(node.run(&command(&["echo", "x"])).await.unwrap().stdout, b"x\n");
    assert_eq!(jump.log().matches("Accepted publickey").count(), 1);
    let error = ssh.connect(&named("loop1")).await.unwrap_err();
    assert_eq!(error, NodeError::Local("more than 8 jumps to loop1".into()));
    // The operator's "no jump host" wins.
    let direct = Endpoint { proxy_jump: Some(Vec::new()), ..named("node") };
    assert!(ssh.connect(&direct).await.unwrap().peer_address().is_some());
}

#[test]
fn a_run_that_ends_with_lines_behind_jump_hosts_open_ends_quietly() {
    let (home, jump) = pair("");
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ssh = home.ssh();
    let node = runtime.block_on(ssh.connect(&through(&sshd, &[&jump]))).unwrap();
    let sleeping = std::sync::Arc::new(node);
    let sleeper = std::sync::Arc::clone(&sleeping);
    runtime.spawn(async move { sleeper.run(&command(&["sleep", "1000"])).await });
    std::thread::sleep(std::time::Duration::from_millis(300));
    // Dropping them must not panic, inside the runtime, while it ends, or after it.
    drop(runtime);
    drop((sleeping, ssh));
}
