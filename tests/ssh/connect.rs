//! Hosts that are not there, do not speak, or turn us away; and what ssh_config says of them.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use ringhaul::node::ssh::Ssh;
use ringhaul::node::{Connect, Endpoint, Node, NodeError, Stage, Transport};

use super::doors::{by, through_both_doors, with};
use super::{command, pair};
use crate::common::sshd::{Home, user};

through_both_doors! {
    a_port_nobody_listens_on_refuses,
    a_name_that_does_not_exist_is_unreachable,
    a_port_that_says_nothing_costs_the_handshake_limit,
    many_lines_at_once_get_in_although_the_server_turns_most_away,
    a_port_that_is_no_ssh_server_is_shown_with_its_words,
}

fn endpoint(host: &str, port: u16) -> Endpoint {
    Endpoint { host: host.into(), port: Some(port), user: Some(user()), ..Endpoint::default() }
}

/// A port where `answer` deals with each connection.
fn port(answer: impl Fn(std::net::TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
    port
}

async fn a_port_nobody_listens_on_refuses(door: Transport) {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = Home::new();
    let error = by(door, &home).connect(&endpoint("127.0.0.1", closed)).await.unwrap_err();
    assert_eq!(error, NodeError::Refused { address: format!("127.0.0.1:{closed}") });
}

async fn a_name_that_does_not_exist_is_unreachable(door: Transport) {
    let (home, missing) = (Home::new(), endpoint("no-such-host.invalid", 22));
    let error = by(door, &home).connect(&missing).await.unwrap_err();
    let NodeError::Unreachable { address, cause } = error else { panic!("{error:?}") };
    assert_eq!(address, "no-such-host.invalid:22");
    assert!(!cause.is_empty());
    for host in ["", "-oProxyCommand=x", "a b", "a;b", "$(x)", "a\nb", "\u{202e}a", "a*"] {
        let error = by(door, &home).connect(&endpoint(host, 22)).await.unwrap_err();
        assert!(matches!(error, NodeError::Local(_)), "{host:?}: {error:?}");
    }
}

async fn a_port_that_says_nothing_costs_the_handshake_limit(door: Transport) {
    for banner in ["", "SSH-2.0-Silent\r\n"] {
        let silent = port(move |mut stream| {
            stream.write_all(banner.as_bytes()).unwrap();
            std::mem::forget(stream);
        });
        let home = Home::new();
        let mut options = home.options();
        options.handshake_timeout = Duration::from_millis(500);
        let start = Instant::now();
        let ssh = with(door, &home, options);
        let error = ssh.connect(&endpoint("127.0.0.1", silent)).await.unwrap_err();
        let after = Duration::from_millis(500);
        assert_eq!(error, NodeError::TimedOut { stage: Stage::Handshake, after });
        assert!(start.elapsed() < Duration::from_secs(3));
    }
}

async fn a_port_that_is_no_ssh_server_is_shown_with_its_words(door: Transport) {
    let lost = "closed before the handshake was done: ";
    let escape = match door {
        Transport::Builtin => "the server said \"\\u{1b}[2J\"",
        // The program has made it harmless in its own way.
        Transport::Openssh => "the server said \"\\\\033[2J\"",
    };
    let cases = [
        ("Exceeded MaxStartups\r\n", "the server said \"Exceeded MaxStartups\""),
        ("", "sshd's MaxStartups, or a firewall"),
        ("\x1b[2J\r\n", escape),
    ];
    let attempts = cases.map(|(says, want)| async move {
        let rude = port(move |mut stream| {
            stream.write_all(says.as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            std::thread::sleep(Duration::from_millis(50));
        });
        let start = Instant::now();
        let home = Home::new();
        let error = by(door, &home).connect(&endpoint("127.0.0.1", rude)).await.unwrap_err();
        assert_eq!(error, NodeError::Lost { cause: format!("{lost}{want}") });
        // Four or five more attempts, and then no other.
        let took = match door {
            Transport::Builtin => 2.0..9.0,
            Transport::Openssh => 3.5..20.0,
        };
        assert!(took.contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
    });
    futures::future::join_all(attempts).await;
    let endless = port(|mut stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});
    let home = Home::new();
    let error = by(door, &home).connect(&endpoint("127.0.0.1", endless)).await.unwrap_err();
    let NodeError::Lost { cause } = &error else { panic!("{error:?}") };
    let shown = match door {
        Transport::Builtin => "\"xxx",
        Transport::Openssh => "kex_exchange_identification: ",
    };
    assert!(cause.starts_with(&format!("no SSH server answers there: {shown}")), "{cause}");
}

async fn many_lines_at_once_get_in_although_the_server_turns_most_away(door: Transport) {
    let (home, sshd) = pair("MaxStartups 2");
    let ssh = by(door, &home);
    let endpoint = sshd.endpoint();
    // Processes log in more slowly than we do ourselves, all the more on two cores.
    let count = match door {
        Transport::Builtin => 20,
        Transport::Openssh => 8,
    };
    let lines = futures::future::join_all((0..count).map(|_| ssh.connect(&endpoint))).await;
    let failed: Vec<_> = lines.iter().filter_map(|line| line.as_ref().err()).collect();
    assert!(sshd.log().contains("MaxStartups"), "{}", sshd.log());
    assert!(failed.len() <= 2, "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ssh_config_says_where_a_host_is() {
    let home = Home::new();
    let key = home.key("fleet_key", "ed25519", "");
    let sshd = crate::common::sshd::Sshd::start(&home, "");
    let hosts = home.path("fleet hosts");
    fs::write(&hosts, format!("ring-node1 {}\n", sshd.host_key("ed25519"))).unwrap();
    let config = home.path("config");
    let plain = format!(
        "Host node*\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n  \
         UserKnownHostsFile \"{}\"\n  HostKeyAlias ring-node1\nHost *\n  User nobody\n",
        sshd.port,
        user(),
        key.display(),
        hosts.display(),
    );
    let node1 = Endpoint { host: "node1".into(), ..Endpoint::default() };
    // The second one only the ssh program understands; it is asked once for each host.
    for text in [plain.clone(), format!("Host nobody-has-this\n  Port ssh\n{plain}")] {
        let text =
            text.replace(&hosts.display().to_string(), &home.path("hosts").display().to_string());
        fs::copy(&hosts, home.path("hosts")).unwrap();
        fs::write(&config, text).unwrap();
        let mut options = home.options();
        options.config_file = Some(config.clone());
        let ssh = Ssh::new(options).unwrap();
        let node = ssh.connect(&node1).await.unwrap();
        assert_eq!(node.run(&command(&["echo", "x"])).await.unwrap().stdout, b"x\n");
        // The operator's own settings win.
        let elsewhere = Endpoint { port: Some(1), ..node1.clone() };
        let error = ssh.connect(&elsewhere).await.unwrap_err();
        assert_eq!(error, NodeError::Refused { address: "127.0.0.1:1".into() });
    }
    fs::write(&config, "Match host x\n NoSuchThing y\n").unwrap();
    let mut options = home.options();
    options.config_file = Some(config.clone());
    let error = Ssh::new(options).unwrap().connect(&node1).await.unwrap_err();
    let NodeError::Local(text) = &error else { panic!("{error:?}") };
    assert!(text.starts_with("ssh -G node1 failed: ") && text.contains("nosuchthing"), "{text}");
    fs::write(&config, "Match exec true\n  User x\n").unwrap();
    let mut options = home.options();
    options.config_file = Some(config.clone());
    let error = Ssh::new(options).unwrap().connect(&node1).await.unwrap_err();
    let want = format!(
        "{}:1: Match exec runs a command on this machine: --allow-match-exec allows it",
        config.display()
    );
    assert_eq!(error, NodeError::Local(want));
}
