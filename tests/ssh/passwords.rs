//! Passwords and keyboard-interactive against real servers: asked for once, never tried twice.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringhaul::node::secret::{Ask, Question};
use ringhaul::node::ssh::Ssh;
use ringhaul::node::{AuthMethod, Connect, Endpoint, Node, NodeError};

use super::command;
use crate::common::sshd::{Home, PASSWORD, Sshd, user};

const PASSWORDS: &str = "PasswordAuthentication yes";
const QUESTIONS: &str = "KbdInteractiveAuthentication yes";
const PAM: &str = "auth required pam_unix.so\naccount required pam_permit.so\n\
    session required pam_permit.so\n";

/// Answers each question with the next of `list`, then with the last for ever; keeps the questions.
fn answering(list: &'static [&str]) -> (Ask, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let ask = move |question: &Question<'_>| {
        let mut kept = kept.lock().unwrap();
        kept.push(format!("{question:?}"));
        list.get(kept.len() - 1).or(list.last()).map(|&text| text.into())
    };
    (Arc::new(ask), asked)
}

fn asking(home: &Home, list: &'static [&str]) -> (Ssh, Arc<Mutex<Vec<String>>>) {
    let (ask, asked) = answering(list);
    let mut options = home.options();
    options.ask = Some(ask);
    (Ssh::new(options).unwrap(), asked)
}

fn allowing(sshd: &Sshd, auth: &[AuthMethod]) -> Endpoint {
    Endpoint { auth: auth.to_vec(), ..sshd.endpoint() }
}

/// A home without a key, and a server that wants a password.
fn server(pam: Option<&str>, lines: &str) -> Option<(Home, Sshd)> {
    let home = Home::new();
    let sshd = Sshd::with_passwords(&home, pam, lines)?;
    home.trust(&sshd);
    Some((home, sshd))
}

async fn works(ssh: &Ssh, endpoint: &Endpoint) {
    let node = ssh.connect(endpoint).await.unwrap();
    assert_eq!(node.run(&command(&["echo", "in"])).await.unwrap().stdout, b"in\n");
}

async fn tried(ssh: &Ssh, endpoint: &Endpoint) -> String {
    let error = ssh.connect(endpoint).await.unwrap_err();
    let NodeError::Auth { user: name, tried } = &error else { panic!("{error:?}") };
    assert_eq!(*name, user());
    assert!(!format!("{error:?}{ssh:?}").contains(PASSWORD));
    tried.clone()
}

fn failures(sshd: &Sshd) -> usize {
    sshd.log().matches("Failed password").count()
}

fn count(asked: &Mutex<Vec<String>>) -> usize {
    asked.lock().unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_asked_for_once_for_the_whole_fleet() {
    for (pam, lines, way) in [
        (None, PASSWORDS, AuthMethod::Password),
        (Some(PAM), PASSWORDS, AuthMethod::Password),
        (Some(PAM), QUESTIONS, AuthMethod::KeyboardInteractive),
    ] {
        let Some((home, sshd)) = server(pam, lines) else { return };
        let (ssh, asked) = asking(&home, &[PASSWORD]);
        let endpoint = allowing(&sshd, &[way]);
        futures::future::join_all((0..6).map(|_| works(&ssh, &endpoint))).await;
        works(&ssh, &endpoint).await;
        let want = format!("Password {{ user: {:?}, host: \"127.0.0.1\" }}", user());
        assert_eq!(*asked.lock().unwrap(), [want], "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_password_is_tried_at_one_node_only() {
    for (pam, lines, way, name) in [
        (None, PASSWORDS, AuthMethod::Password, "password"),
        (Some(PAM), QUESTIONS, AuthMethod::KeyboardInteractive, "keyboard-interactive"),
    ] {
        let Some((home, sshd)) = server(pam, lines) else { return };
        // A descriptor says the same for ever.
        let (ssh, _) = asking(&home, &["hunter2"]);
        let endpoint = allowing(&sshd, &[way]);
        let logins = futures::future::join_all((0..6).map(|_| tried(&ssh, &endpoint))).await;
        let over = format!("{name}: 127.0.0.1 refused it, it is not tried again");
        assert!(logins.iter().all(|text| text.contains(&over)), "{logins:?}");
        let refused = format!("{name}: refused; {over}");
        assert_eq!(logins.iter().filter(|text| text.contains(&refused)).count(), 1, "{logins:?}");
        assert!(logins.iter().all(|text| !text.contains("hunter2")), "{logins:?}");
        let failed = if pam.is_some() { "authentication failure" } else { "Failed password" };
        let log = sshd.log();
        let tries = log.lines().filter(|line| line.contains(failed) || line.contains("PAM: Auth"));
        assert_eq!(tries.count(), 1, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_may_mistype_and_three_times_are_enough() {
    let Some((home, sshd)) = server(None, PASSWORDS) else { return };
    let endpoint = allowing(&sshd, &[AuthMethod::Password]);
    let (ssh, asked) = asking(&home, &["corect horse", PASSWORD]);
    futures::future::join_all((0..4).map(|_| works(&ssh, &endpoint))).await;
    assert_eq!((count(&asked), failures(&sshd)), (2, 1));

    let (ssh, asked) = asking(&home, &["one", "two", "three", PASSWORD]);
    for _ in 0..2 {
        let text = tried(&ssh, &endpoint).await;
        assert!(text.contains("password: 127.0.0.1 refused it, the last of 3"), "{text}");
    }
    assert_eq!((count(&asked), failures(&sshd)), (3, 4));

    let mut options = home.options();
    options.ask = Some(Arc::new(|_: &Question<'_>| None));
    let text = tried(&Ssh::new(options).unwrap(), &endpoint).await;
    assert!(text.contains("password: none was given; "), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_inventory_does_not_allow_is_not_tried() {
    let Some((home, sshd)) = server(None, PASSWORDS) else { return };
    let (ssh, asked) = asking(&home, &[PASSWORD]);
    let text = tried(&ssh, &sshd.endpoint()).await;
    let want = "no key to offer; the server takes publickey, password \
                (the inventory may say auth: [password])";
    assert_eq!(text, want);
    // What the server does not take is not asked for, either.
    let other = allowing(&sshd, &[AuthMethod::KeyboardInteractive]);
    let text = tried(&ssh, &other).await;
    assert_eq!(text, "no key to offer; the server takes publickey, password");
    // A key that is let in makes all questions needless.
    home.key("id_ed25519", "ed25519", "");
    works(&asking(&home, &[]).0, &allowing(&sshd, &[AuthMethod::Password])).await;
    assert_eq!(count(&asked), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_may_be_the_second_factor_or_the_first() {
    for (pam, lines, way) in [
        (None, "AuthenticationMethods publickey,password", AuthMethod::Password),
        (None, "AuthenticationMethods password,publickey", AuthMethod::Password),
        (
            Some(PAM),
            "AuthenticationMethods publickey,keyboard-interactive",
            AuthMethod::KeyboardInteractive,
        ),
    ] {
        let lines = format!("{lines}\n{PASSWORDS}\n{QUESTIONS}");
        let Some((home, sshd)) = server(pam, &lines) else { return };
        home.key("id_ed25519", "ed25519", "");
        let (ssh, asked) = asking(&home, &[PASSWORD]);
        let endpoint = allowing(&sshd, &[way]);
        works(&ssh, &endpoint).await;
        works(&ssh, &endpoint).await;
        assert_eq!(count(&asked), 1, "{lines}");
        let (ssh, _) = asking(&home, &["hunter2"]);
        let text = tried(&ssh, &endpoint).await;
        assert!(text.contains("refused it, it is not tried again"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_types_a_password_for_a_host_that_is_not_the_one_on_file() {
    let Some((home, sshd)) = server(None, PASSWORDS) else { return };
    let (ssh, asked) = asking(&home, &[PASSWORD]);
    let endpoint = allowing(&sshd, &[AuthMethod::Password]);
    let known = std::fs::read_to_string(home.known_hosts()).unwrap();
    let stranger = Sshd::start(&home, "");
    let changed = format!("{} {}\n", sshd.name(), stranger.host_key("ed25519"));
    for text in ["", &changed, &format!("{known}@revoked * {}\n", sshd.host_key("ed25519"))] {
        std::fs::write(home.known_hosts(), text).unwrap();
        let error = ssh.connect(&endpoint).await.unwrap_err();
        assert!(matches!(error, NodeError::HostKey { .. }), "{error:?}");
    }
    assert_eq!(count(&asked), 0);
    std::fs::write(home.known_hosts(), &known).unwrap();
    works(&ssh, &endpoint).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_who_types_slowly_is_let_in_and_asked_once() {
    let Some((home, sshd)) = server(None, "PasswordAuthentication yes\nLoginGraceTime 1") else {
        return;
    };
    let mut options = home.options();
    options.auth_timeout = Duration::from_secs(2);
    let asked = Arc::new(Mutex::new(0));
    let kept = Arc::clone(&asked);
    options.ask = Some(Arc::new(move |_: &Question<'_>| {
        *kept.lock().unwrap() += 1;
        std::thread::sleep(Duration::from_secs(4));
        Some(PASSWORD.into())
    }));
    let ssh = Ssh::new(options).unwrap();
    let endpoint = allowing(&sshd, &[AuthMethod::Password]);
    futures::future::join_all((0..3).map(|_| works(&ssh, &endpoint))).await;
    assert_eq!((*asked.lock().unwrap(), failures(&sshd)), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_host_has_a_password_of_its_own() {
    let Some((home, sshd)) = server(None, PASSWORDS) else { return };
    let bastion = Sshd::with_passwords(&home, None, PASSWORDS).unwrap();
    home.trust(&bastion);
    let (ssh, asked) = asking(&home, &[PASSWORD]);
    let jump = format!("{}@{}", user(), bastion.name());
    let endpoint =
        Endpoint { proxy_jump: Some(vec![jump]), ..allowing(&sshd, &[AuthMethod::Password]) };
    futures::future::join_all((0..3).map(|_| works(&ssh, &endpoint))).await;
    assert_eq!(count(&asked), 2);
}
