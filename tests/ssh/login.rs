//! Who is let in, with which key, and what is said when nobody is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringhaul::node::secret::{Ask, Question};
use ringhaul::node::ssh::Ssh;
use ringhaul::node::{Connect, Endpoint, Node, NodeError, Stage};

use super::{command, pair};
use crate::common::sshd::{Agent, Home, Sshd, user};

async fn works(ssh: &Ssh, endpoint: &Endpoint) {
    let node = ssh.connect(endpoint).await.unwrap();
    assert_eq!(node.run(&command(&["echo", "in"])).await.unwrap().stdout, b"in\n");
}

fn tried(error: NodeError) -> String {
    let NodeError::Auth { user: name, tried } = error else { panic!("{error:?}") };
    assert_eq!(name, user());
    tried
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_every_type_are_found_in_the_home_directory() {
    for (name, kind) in [("id_ed25519", "ed25519"), ("id_ecdsa", "ecdsa"), ("id_rsa", "rsa")] {
        let home = Home::new();
        home.key(name, kind, "");
        let sshd = Sshd::start(&home, "");
        home.trust(&sshd);
        works(&home.ssh(), &sshd.endpoint()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn named_files_are_offered_and_others_are_not() {
    let (home, sshd) = pair("");
    let named = home.stranger("named", "ed25519", "");
    let endpoint = Endpoint { identity_files: vec![named.clone()], ..sshd.endpoint() };
    // ~/.ssh/id_ed25519 would be let in; it was not asked for.
    let tried = tried(home.ssh().connect(&endpoint).await.unwrap_err());
    let start = format!("offered {} SHA256:", named.display());
    assert!(tried.starts_with(&start), "{tried}");
    assert!(tried.ends_with("…; the server takes publickey"), "{tried}");
    assert!(!tried.contains("id_ed25519"), "{tried}");

    let both = vec![named, home.path(".ssh/id_ed25519")];
    works(&home.ssh(), &Endpoint { identity_files: both, ..sshd.endpoint() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_file_that_cannot_be_used_is_a_fault_of_our_own() {
    let (home, sshd) = pair("");
    let key = home.path(".ssh/id_ed25519");
    let with = |file: &Path| Endpoint { identity_files: vec![file.into()], ..sshd.endpoint() };
    let missing = home.path(".ssh/missing");
    let error = home.ssh().connect(&with(&missing)).await.unwrap_err();
    assert_eq!(error, NodeError::Local(format!("{}: no such key file", missing.display())));

    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let error = home.ssh().connect(&with(&key)).await.unwrap_err();
    let key = key.display();
    let want = format!("{key}: others may read it: chmod 600 {key}");
    assert_eq!(error, NodeError::Local(want.clone()));
    // Nobody named it: it is said among what was tried.
    let tried = tried(home.ssh().connect(&sshd.endpoint()).await.unwrap_err());
    assert_eq!(
        tried,
        format!(
            "{} others may read it: chmod 600 {key}; no key to offer; the server takes publickey",
            key
        )
    );

    let broken = home.path(".ssh/broken");
    fs::write(&broken, "not a key").unwrap();
    let error = home.ssh().connect(&with(&broken)).await.unwrap_err();
    assert_eq!(error, NodeError::Local(format!("{}: not a private key", broken.display())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_the_agent_are_used_and_only_those_that_may_be() {
    let home = Home::new();
    let agent = Agent::start(&home);
    for (name, kind) in [("work_ed25519", "ed25519"), ("work_rsa", "rsa")] {
        let key = home.key(name, kind, "");
        agent.add(&key);
        let sshd = Sshd::start(&home, "");
        home.trust(&sshd);
        let mut options = home.options();
        options.agent = Some(agent.socket.clone());
        works(&Ssh::new(options.clone()).unwrap(), &sshd.endpoint()).await;
        // The private half stays in the agent; the public half tells which key is meant.
        fs::remove_file(&key).unwrap();
        let named = Endpoint { identity_files: vec![key], ..sshd.endpoint() };
        works(&Ssh::new(options).unwrap(), &named).await;

        fs::write(home.path("authorized_keys"), "").unwrap();
        std::process::Command::new("ssh-add")
            .args(["-q", "-D"])
            .env("SSH_AUTH_SOCK", &agent.socket)
            .status()
            .unwrap();
    }
    // IdentitiesOnly keeps the agent's other keys back.
    let other = home.key("other", "ed25519", "");
    agent.add(&other);
    let named = home.stranger("named", "ed25519", "");
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let config = home.path("config");
    fs::write(&config, format!("IdentityFile {}\nIdentitiesOnly yes\n", named.display())).unwrap();
    let mut options = home.options();
    options.agent = Some(agent.socket.clone());
    options.config_file = Some(config.clone());
    let error = Ssh::new(options.clone()).unwrap().connect(&sshd.endpoint()).await.unwrap_err();
    let text = tried(error);
    assert!(text.contains("named") && !text.contains("agent"), "{text}");
    fs::write(&config, format!("IdentityFile {}\n", named.display())).unwrap();
    works(&Ssh::new(options).unwrap(), &sshd.endpoint()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_not_there_is_said_and_does_no_harm() {
    let (home, sshd) = pair("");
    let mut options = home.options();
    options.agent = Some(home.path("gone.sock"));
    works(&Ssh::new(options.clone()).unwrap(), &sshd.endpoint()).await;
    fs::write(home.path("authorized_keys"), "").unwrap();
    let tried = tried(Ssh::new(options).unwrap().connect(&sshd.endpoint()).await.unwrap_err());
    assert!(tried.starts_with("no agent at "), "{tried}");
}

/// Answers with these passphrases in turn, and counts.
fn answers(list: &'static [&str]) -> (Ask, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let ask = move |_: &Question<'_>| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(200));
        list.get(n).map(|&text| text.into())
    };
    (Arc::new(ask), asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_passphrase_of_a_key_is_asked_for_once_for_the_whole_fleet() {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "sesame");
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let (ask, asked) = answers(&["wrong", "sesame"]);
    let mut options = home.options();
    options.ask = Some(ask);
    let ssh = Ssh::new(options).unwrap();
    let endpoint = sshd.endpoint();
    futures::future::join_all((0..8).map(|_| works(&ssh, &endpoint))).await;
    works(&ssh, &endpoint).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_wrong_passphrases_are_enough_and_stay_secret() {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "sesame");
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let (ask, asked) = answers(&["hunter1", "hunter2", "hunter3", "sesame"]);
    let mut options = home.options();
    options.ask = Some(ask);
    let ssh = Ssh::new(options).unwrap();
    for _ in 0..2 {
        let text = tried(ssh.connect(&sshd.endpoint()).await.unwrap_err());
        assert!(text.contains("id_ed25519 SHA256:"), "{text}");
        assert!(text.contains(": the passphrase was wrong 3 times; no key to offer"), "{text}");
        assert!(!format!("{text}{ssh:?}").contains("hunter"));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    // A descriptor says the same for ever.
    let (ask, asked) = answers(&["hunter1"; 9]);
    let mut options = home.options();
    options.ask = Some(ask);
    let text = tried(Ssh::new(options).unwrap().connect(&sshd.endpoint()).await.unwrap_err());
    assert!(text.contains(": the passphrase was wrong; no key to offer"), "{text}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    // Nobody can be asked.
    let text = tried(home.ssh().connect(&sshd.endpoint()).await.unwrap_err());
    assert!(text.contains("id_ed25519 is encrypted and not in the agent: use ssh-add"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_asked_for_a_key_the_server_would_not_take() {
    let home = Home::new();
    home.stranger("id_ed25519", "ed25519", "sesame");
    home.key("id_ecdsa", "ecdsa", "");
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let (ask, asked) = answers(&[]);
    let mut options = home.options();
    options.ask = Some(ask);
    // Another key lets us in: the locked one comes last.
    works(&Ssh::new(options.clone()).unwrap(), &sshd.endpoint()).await;
    fs::remove_file(home.path(".ssh/id_ecdsa")).unwrap();
    let text = tried(Ssh::new(options).unwrap().connect(&sshd.endpoint()).await.unwrap_err());
    assert!(text.starts_with("offered "), "{text}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_keys_and_unknown_users_are_said() {
    let (home, sshd) = pair("MaxAuthTries 2");
    let keys: Vec<_> = (0..4).map(|n| home.stranger(&format!("k{n}"), "ed25519", "")).collect();
    let endpoint = Endpoint { identity_files: keys, ..sshd.endpoint() };
    let text = tried(home.ssh().connect(&endpoint).await.unwrap_err());
    assert!(text.contains("k0") && text.contains("k1") && !text.contains("k3"), "{text}");
    let want = "too many keys were offered: set identity_file, or IdentitiesOnly";
    assert!(text.ends_with(want), "{text}");

    let stranger = Endpoint { user: Some("no-such-user".into()), ..sshd.endpoint() };
    let error = home.ssh().connect(&stranger).await.unwrap_err();
    assert!(matches!(&error, NodeError::Auth { user, .. } if user == "no-such-user"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_not_enough_is_said() {
    let (home, sshd) = pair("AuthenticationMethods publickey,password\nPasswordAuthentication yes");
    let text = tried(home.ssh().connect(&sshd.endpoint()).await.unwrap_err());
    assert!(text.contains("(taken, but not enough); the server takes password"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_who_types_slowly_is_let_in_all_the_same() {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "sesame");
    // The server hangs up before the passphrase is there.
    let sshd = Sshd::start(&home, "LoginGraceTime 2");
    home.trust(&sshd);
    let mut options = home.options();
    options.auth_timeout = Duration::from_secs(3);
    options.ask = Some(Arc::new(|_: &Question<'_>| {
        std::thread::sleep(Duration::from_secs(5));
        Some("sesame".into())
    }));
    let ssh = Ssh::new(options).unwrap();
    let endpoint = sshd.endpoint();
    futures::future::join_all((0..3).map(|_| works(&ssh, &endpoint))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_never_signs_costs_the_login_limit() {
    let (home, sshd) = pair("");
    let socket = home.path("slow.sock");
    let key = fs::read_to_string(home.path(".ssh/id_ed25519.pub")).unwrap();
    let blob = russh::keys::PublicKey::from_openssh(&key).unwrap().to_bytes().unwrap();
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let blob = blob.clone();
            std::thread::spawn(move || list_and_never_sign(stream, &blob));
        }
    });
    let mut options = home.options();
    options.agent = Some(socket);
    options.auth_timeout = Duration::from_secs(1);
    let error = Ssh::new(options).unwrap().connect(&sshd.endpoint()).await.unwrap_err();
    let after = Duration::from_secs(1);
    assert_eq!(error, NodeError::TimedOut { stage: Stage::Auth, after });
}

/// An agent with one key, whose user never confirms.
fn list_and_never_sign(mut stream: std::os::unix::net::UnixStream, blob: &[u8]) {
    use std::io::{Read, Write};

    const LIST: u8 = 11;
    const SIGN: u8 = 13;
    let string = |text: &[u8]| [&(text.len() as u32).to_be_bytes()[..], text].concat();
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request).unwrap();
        let answer = match request[0] {
            LIST => [&[12, 0, 0, 0, 1], string(blob).as_slice(), &string(b"slow")].concat(),
            SIGN => continue,
            _ => vec![5],
        };
        stream.write_all(&string(&answer)).unwrap();
    }
}
