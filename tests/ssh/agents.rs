//! Agents as they are: with several keys, locked, dying, silent, lying, with a security token.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringhaul::node::ssh::{Options, Ssh};
use ringhaul::node::{Connect, Endpoint, Node, NodeError};
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use sha2::{Digest as _, Sha256};

use super::{command, pair};
use crate::common::sshd::{Agent, Home, Sshd};

/// Requests and answers of the agent's protocol.
const FAILURE: u8 = 5;
const LIST: u8 = 11;
const LISTED: u8 = 12;
const SIGN: u8 = 13;
const SIGNED: u8 = 14;

/// A list of a good agent is kept for a second.
const LIST_KEPT: Duration = Duration::from_millis(1100);

fn with_agent(home: &Home, socket: &Path) -> Options {
    Options { agent: Some(socket.to_path_buf()), ..home.options() }
}

async fn works(ssh: &Ssh, endpoint: &Endpoint) {
    let node = ssh.connect(endpoint).await.unwrap();
    assert_eq!(node.run(&command(&["echo", "in"])).await.unwrap().stdout, b"in\n");
}

async fn tried(ssh: &Ssh, endpoint: &Endpoint) -> String {
    let error = ssh.connect(endpoint).await.unwrap_err();
    let NodeError::Auth { tried, .. } = error else { panic!("{error:?}") };
    tried
}

/// A server that lets in only keys no file holds, and the agent that holds this one.
fn held() -> (Home, Sshd, Agent, PathBuf) {
    let home = Home::new();
    let key = home.key("work", "ed25519", "");
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let agent = Agent::start(&home);
    agent.add(&key);
    (home, sshd, agent, key)
}

/// What a made agent does with a request.
enum Does {
    Answers(Vec<u8>),
    /// Writes these bytes as they are, and closes.
    Sends(Vec<u8>),
    Closes,
    Waits,
}

/// Starts an agent that answers as `mind` says; returns its socket.
fn made(home: &Home, mind: impl Fn(u8, &[u8]) -> Does + Send + Sync + 'static) -> PathBuf {
    let socket = home.path("made.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let mind = Arc::new(mind);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mind = Arc::clone(&mind);
            std::thread::spawn(move || serve(stream, &*mind));
        }
    });
    socket
}

fn serve(mut stream: UnixStream, mind: &(dyn Fn(u8, &[u8]) -> Does + Send + Sync)) {
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        if stream.read_exact(&mut request).is_err() {
            return;
        }
        let sent = match mind(request[0], &request[1..]) {
            Does::Answers(answer) => stream.write_all(&string(&answer)),
            Does::Sends(bytes) => {
                let _ = stream.write_all(&bytes);
                return;
            }
            Does::Closes => return,
            Does::Waits => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
}

fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes()[..], text].concat()
}

/// Takes one string off a request.
fn take<'a>(request: &mut &'a [u8]) -> &'a [u8] {
    let (length, rest) = request.split_at(4);
    let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
    let (text, rest) = rest.split_at(length);
    *request = rest;
    text
}

fn list(keys: &[(&[u8], &str)]) -> Vec<u8> {
    let mut answer = vec![LISTED];
    answer.extend((keys.len() as u32).to_be_bytes());
    for (blob, comment) in keys {
        answer.extend(string(blob));
        answer.extend(string(comment.as_bytes()));
    }
    answer
}

fn blob(public: &Path) -> Vec<u8> {
    let text = fs::read_to_string(public).unwrap();
    PublicKey::from_openssh(&text).unwrap().to_bytes().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agents_keys_are_offered_in_its_order() {
    let home = Home::new();
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let agent = Agent::start(&home);
    for name in ["three", "one", "two"] {
        agent.add(&home.stranger(name, "ed25519", ""));
    }
    let text = tried(&Ssh::new(with_agent(&home, &agent.socket)).unwrap(), &sshd.endpoint()).await;
    // Their comments are alike; the fingerprint tells them apart.
    let at = |name: &str| {
        let public = fs::read_to_string(home.path(&format!(".ssh/{name}.pub"))).unwrap();
        let print = PublicKey::from_openssh(&public).unwrap().fingerprint(Default::default());
        let print: String = print.to_string().chars().take(19).collect();
        text.find(&format!("agent key a comment {print}")).unwrap_or_else(|| panic!("{text}"))
    };
    assert!(at("three") < at("one") && at("one") < at("two"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_agent_is_said_and_good_again_when_it_is_unlocked() {
    let (home, sshd, agent, _) = held();
    let ssh = Ssh::new(with_agent(&home, &agent.socket)).unwrap();
    let askpass = home.path("askpass");
    fs::write(&askpass, "#!/bin/sh\necho secret\n").unwrap();
    fs::set_permissions(&askpass, fs::Permissions::from_mode(0o700)).unwrap();
    let lock = |option: &str| {
        let done = Command::new("ssh-add")
            .arg(option)
            .env("SSH_AUTH_SOCK", &agent.socket)
            .env("SSH_ASKPASS", &askpass)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("DISPLAY", "none")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    lock("-x");
    let text = tried(&ssh, &sshd.endpoint()).await;
    let socket = agent.socket.display();
    let want =
        format!("the agent at {socket} holds no keys; it may be locked (ssh-add -X); no key");
    assert!(text.starts_with(&want), "{text}");
    lock("-X");
    tokio::time::sleep(LIST_KEPT).await;
    works(&ssh, &sshd.endpoint()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_dies_in_a_run_is_asked_again_when_it_is_back() {
    let (home, sshd, agent, key) = held();
    let ssh = Ssh::new(with_agent(&home, &agent.socket)).unwrap();
    works(&ssh, &sshd.endpoint()).await;
    let socket = agent.socket.clone();
    drop(agent);
    let _ = fs::remove_file(&socket);
    // At once, with the list still in hand, and later.
    for pause in [Duration::ZERO, LIST_KEPT] {
        tokio::time::sleep(pause).await;
        let text = tried(&ssh, &sshd.endpoint()).await;
        assert!(text.contains(&format!("no agent at {}", socket.display())), "{text}");
    }
    let agent = Agent::start(&home);
    agent.add(&key);
    works(&ssh, &sshd.endpoint()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_dies_over_a_signature_leaves_the_other_keys() {
    let (home, sshd) = pair("");
    let dying = home.key("dying", "ed25519", "");
    let blob = blob(&dying.with_extension("pub"));
    let socket = made(&home, move |request, _| match request {
        LIST => Does::Answers(list(&[(&blob, "dying")])),
        SIGN => Does::Closes,
        _ => Does::Answers(vec![FAILURE]),
    });
    let ssh = Ssh::new(with_agent(&home, &socket)).unwrap();
    works(&ssh, &sshd.endpoint()).await;
    fs::remove_file(home.path(".ssh/id_ed25519")).unwrap();
    let ssh = Ssh::new(with_agent(&home, &socket)).unwrap();
    let text = tried(&ssh, &sshd.endpoint()).await;
    assert!(text.starts_with("agent key dying SHA256:"), "{text}");
    assert!(text.contains("…: the agent did not sign ("), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_says_nothing_costs_its_limit_once() {
    let (home, sshd) = pair("");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let socket = made(&home, move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        Does::Waits
    });
    let ssh = Ssh::new(with_agent(&home, &socket)).unwrap();
    let endpoint = sshd.endpoint();
    let start = Instant::now();
    futures::future::join_all((0..4).map(|_| works(&ssh, &endpoint))).await;
    works(&ssh, &endpoint).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let took = start.elapsed();
    assert!((5.0..15.0).contains(&took.as_secs_f64()), "{took:?}");
}

/// What is said of an agent, and what it answers to everything.
type Lie = (&'static str, fn() -> Does);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_lies_does_no_harm() {
    let lies: [Lie; 6] = [
        ("no agent at ", || Does::Sends(u32::MAX.to_be_bytes().to_vec())),
        ("no agent at ", || Does::Sends([&[0, 4, 0, 0], &[LISTED; 1000][..]].concat())),
        ("no agent at ", || Does::Answers([&[LISTED], &u32::MAX.to_be_bytes()[..]].concat())),
        ("no agent at ", || Does::Answers(vec![0xff; 200_000])),
        ("no agent at ", || Does::Answers(Vec::new())),
        (" lists keys of unknown kinds: 1; ", || Does::Answers(list(&[(b"nonsense", "x")]))),
    ];
    for (want, lie) in lies {
        let (home, sshd) = pair("");
        let socket = made(&home, move |_, _| lie());
        let ssh = Ssh::new(with_agent(&home, &socket)).unwrap();
        works(&ssh, &sshd.endpoint()).await;
        fs::remove_file(home.path(".ssh/id_ed25519")).unwrap();
        let ssh = Ssh::new(with_agent(&home, &socket)).unwrap();
        let text = tried(&ssh, &sshd.endpoint()).await;
        assert!(text.contains(want), "{want}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_that_is_none_is_refused_and_its_key_named_without_tricks() {
    let (home, sshd) = pair("");
    let key = home.key("work", "ed25519", "");
    let blob = blob(&key.with_extension("pub"));
    let socket = made(&home, move |request, _| match request {
        LIST => Does::Answers(list(&[(&blob, "wo\x1b[2Jrk\nnext")])),
        SIGN => {
            let signature = [string(b"ssh-ed25519"), string(&[7; 64])].concat();
            Does::Answers([&[SIGNED], string(&signature).as_slice()].concat())
        }
        _ => Does::Answers(vec![FAILURE]),
    });
    let ssh = Ssh::new(with_agent(&home, &socket)).unwrap();
    works(&ssh, &sshd.endpoint()).await;
    fs::remove_file(home.path(".ssh/id_ed25519")).unwrap();
    let text = tried(&Ssh::new(with_agent(&home, &socket)).unwrap(), &sshd.endpoint()).await;
    assert!(text.starts_with(r"offered agent key wo\u{1b}[2Jrk / next SHA256:"), "{text}");
}

/// A security token is a key that signs more than it is asked for: what for, and that somebody
/// was there. The agent here has one in memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_on_a_security_token_signs_through_the_agent() {
    const KIND: &[u8] = b"sk-ssh-ed25519@openssh.com";
    const PRESENT: u8 = 1;
    let home = Home::new();
    let token: PrivateKey = Ed25519Keypair::from_seed(&[9; 32]).into();
    let point = token.public_key().key_data().ed25519().unwrap().0;
    let public = [string(KIND), string(&point), string(b"ssh:")].concat();
    let line = PublicKey::from_bytes(&public).unwrap().to_openssh().unwrap();
    fs::write(home.path("authorized_keys"), line).unwrap();
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let socket = made(&home, move |request, mut body| match request {
        LIST => Does::Answers(list(&[(&public, "token")])),
        SIGN => {
            assert_eq!(take(&mut body), public);
            // Somebody has to find the token first.
            std::thread::sleep(Duration::from_millis(1500));
            let mut signed = Sha256::digest(b"ssh:").to_vec();
            signed.extend([PRESENT, 0, 0, 0, 5]);
            signed.extend(Sha256::digest(take(&mut body)));
            let signature: Signature = token.try_sign(&signed).unwrap();
            let mut answer = [string(KIND), string(signature.as_bytes())].concat();
            answer.extend([PRESENT, 0, 0, 0, 5]);
            Does::Answers([&[SIGNED], string(&answer).as_slice()].concat())
        }
        _ => Does::Answers(vec![FAILURE]),
    });
    works(&Ssh::new(with_agent(&home, &socket)).unwrap(), &sshd.endpoint()).await;
}
