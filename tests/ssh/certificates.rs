//! Certificates: of users, offered before their keys, and of hosts, judged as `ssh` judges them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringhaul::node::secret::Question;
use ringhaul::node::ssh::{Options, Ssh};
use ringhaul::node::{Connect, Endpoint, Node, NodeError};

use super::command;
use crate::common::sshd::{Agent, Home, Sshd, keygen, run, user};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Has an authority sign a public key; `options` are those of `ssh-keygen -s`.
fn sign(authority: &Path, public: &Path, options: &[&str]) {
    let mut args = vec!["-q", "-s", text(authority), "-I", "test"];
    args.extend(options);
    args.push(text(public));
    run("ssh-keygen", &args);
}

/// A server that lets in whoever has a certificate of the authority, and no plain key.
fn certified() -> (Home, Sshd, PathBuf) {
    let home = Home::new();
    let authority = home.path("ca");
    keygen(&authority, "ed25519", "");
    let sshd = Sshd::start(&home, &format!("TrustedUserCAKeys {}.pub", text(&authority)));
    home.trust(&sshd);
    (home, sshd, authority)
}

async fn works(options: &Options, endpoint: &Endpoint) {
    let node = Ssh::new(options.clone()).unwrap().connect(endpoint).await.unwrap();
    assert_eq!(node.run(&command(&["echo", "in"])).await.unwrap().stdout, b"in\n");
}

async fn tried(options: &Options, endpoint: &Endpoint) -> String {
    let error = Ssh::new(options.clone()).unwrap().connect(endpoint).await.unwrap_err();
    let NodeError::Auth { tried, .. } = error else { panic!("{error:?}") };
    tried
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_beside_a_key_of_any_type_lets_in() {
    let (home, sshd, authority) = certified();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = home.stranger(&format!("id_{kind}"), kind, "");
        let without = tried(&home.options(), &sshd.endpoint()).await;
        assert!(without.contains(&format!("offered {} SHA256:", text(&key))), "{without}");
        sign(&authority, &key.with_extension("pub"), &["-n", &user()]);
        works(&home.options(), &sshd.endpoint()).await;
        fs::remove_file(&key).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_signs_for_a_certificate_it_holds_and_for_one_from_a_file() {
    let (home, sshd, authority) = certified();
    for kind in ["ed25519", "rsa"] {
        let key = home.stranger(&format!("work_{kind}"), kind, "");
        let certificate = home.path(&format!(".ssh/work_{kind}-cert.pub"));
        let agent_home = Home::new();
        let agent = Agent::start(&agent_home);
        agent.add(&key);
        sign(&authority, &key.with_extension("pub"), &["-n", &user()]);
        let mut options = home.options();
        options.agent = Some(agent.socket.clone());
        // The agent knows only the key, the certificate lies beside the public half.
        fs::rename(&key, home.path("away")).unwrap();
        let named = Endpoint { identity_files: vec![key.clone()], ..sshd.endpoint() };
        works(&options, &named).await;
        // The agent knows both.
        fs::rename(home.path("away"), &key).unwrap();
        agent.add(&key);
        fs::remove_file(certificate).unwrap();
        fs::remove_file(&key).unwrap();
        works(&options, &named).await;
        works(&options, &sshd.endpoint()).await;
        fs::remove_file(key.with_extension("pub")).unwrap();
        works(&options, &sshd.endpoint()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_passphrase_of_a_key_with_a_certificate_is_asked_for_once() {
    let (home, sshd, authority) = certified();
    let key = home.stranger("id_ed25519", "ed25519", "sesame");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let mut options = home.options();
    options.ask = Some(Arc::new(move |_: &Question<'_>| {
        count.fetch_add(1, Ordering::SeqCst);
        Some("sesame".into())
    }));
    // Nobody types for a key that would not be taken, nor for its certificate of another's.
    keygen(&home.path("other"), "ed25519", "");
    sign(&home.path("other"), &key.with_extension("pub"), &["-n", &user()]);
    let refused = tried(&options, &sshd.endpoint()).await;
    assert!(refused.contains("id_ed25519-cert.pub SHA256:"), "{refused}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    sign(&authority, &key.with_extension("pub"), &["-n", &user()]);
    let ssh = Ssh::new(options).unwrap();
    for _ in 0..2 {
        ssh.connect(&sshd.endpoint()).await.unwrap();
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ran_out_is_not_offered_and_its_date_is_said() {
    let (home, sshd, authority) = certified();
    let key = home.stranger("id_ed25519", "ed25519", "");
    let public = key.with_extension("pub");
    let options = home.options();
    sign(&authority, &public, &["-n", &user(), "-V", "20200101:20200102"]);
    let refused = tried(&options, &sshd.endpoint()).await;
    assert!(refused.contains("id_ed25519-cert.pub expired 2020-01-0"), "{refused}");
    assert!(refused.contains(" UTC; offered "), "{refused}");
    sign(&authority, &public, &["-n", &user(), "-V", "20500101:20510101"]);
    let refused = tried(&options, &sshd.endpoint()).await;
    assert!(refused.contains("id_ed25519-cert.pub is not valid before 20"), "{refused}");
    sign(&authority, &public, &["-h", "-n", &user()]);
    let refused = tried(&options, &sshd.endpoint()).await;
    assert!(refused.contains("id_ed25519-cert.pub is no user certificate"), "{refused}");
    // It is offered, and the refusal says whom it is for.
    sign(&authority, &public, &["-n", "alice,bob"]);
    let refused = tried(&options, &sshd.endpoint()).await;
    assert!(refused.contains(" (a certificate for alice, bob); "), "{refused}");
    // A long run sees a certificate that was renewed.
    let ssh = Ssh::new(options).unwrap();
    ssh.connect(&sshd.endpoint()).await.unwrap_err();
    sign(&authority, &public, &["-n", &user(), "-V", "-1h:+1h"]);
    ssh.connect(&sshd.endpoint()).await.unwrap();
    // The plain key is still good for itself.
    sign(&authority, &public, &["-n", &user(), "-V", "20200101:20200102"]);
    fs::copy(&public, home.path("authorized_keys")).unwrap();
    ssh.connect(&sshd.endpoint()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ssh_config_names_takes_the_place_of_those_beside_keys() {
    let (home, sshd, authority) = certified();
    let key = home.stranger("id_ed25519", "ed25519", "");
    sign(&authority, &key.with_extension("pub"), &["-n", &user()]);
    let named = home.path("named");
    fs::rename(home.path(".ssh/id_ed25519-cert.pub"), &named).unwrap();
    let config = home.path("config");
    let mut options = home.options();
    options.config_file = Some(config.clone());
    fs::write(&config, "").unwrap();
    tried(&options, &sshd.endpoint()).await;
    fs::write(&config, format!("CertificateFile {}\n", text(&named))).unwrap();
    works(&options, &sshd.endpoint()).await;
    // One that is not there is said, and those beside the keys are not looked for.
    fs::rename(&named, home.path(".ssh/id_ed25519-cert.pub")).unwrap();
    let refused = tried(&options, &sshd.endpoint()).await;
    assert!(
        refused.starts_with(&format!("{} does not exist; offered ", text(&named))),
        "{refused}"
    );
    // No key is offered when public keys are off.
    fs::write(&config, "PubkeyAuthentication no\n").unwrap();
    let refused = tried(&options, &sshd.endpoint()).await;
    assert_eq!(refused, "the server takes publickey");
}

/// A server whose host key an authority signed in some way, and the operator's files.
struct Shown {
    home: Home,
    sshd: Sshd,
}

impl Shown {
    /// `None`: it has no certificate.
    fn with(kind: &str, options: Option<&[&str]>) -> Self {
        let home = Home::new();
        home.key("id_ed25519", "ed25519", "");
        for name in ["ca", "other_ca"] {
            keygen(&home.path(name), "ed25519", "");
        }
        let sshd = Sshd::prepared(&home, &[kind], |folder| {
            let Some(options) = options else { return String::new() };
            let public = folder.join(format!("host_{kind}.pub"));
            sign(&home.path("ca"), &public, options);
            format!("HostCertificate {}/host_{kind}-cert.pub", text(folder))
        });
        Self { home, sshd }
    }

    fn authority(&self, name: &str) -> String {
        let line = fs::read_to_string(self.home.path(name).with_extension("pub")).unwrap();
        line.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// Fills in names and keys.
    fn known(&self, lines: &str, kind: &str) -> String {
        let other = self.home.path("other_ca.pub");
        let other = fs::read_to_string(other).unwrap();
        lines
            .replace("{host}", &self.sshd.name())
            .replace("{plain}", "127.0.0.1")
            .replace("{other_ca}", &self.authority("other_ca"))
            .replace("{other}", other.trim())
            .replace("{key}", &self.sshd.host_key(kind))
            .replace("{ca}", &self.authority("ca"))
    }

    /// Whether `ssh` goes on after the host key.
    fn by_ssh(&self, options: &[String]) -> bool {
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "PubkeyAuthentication=no"]);
        command.args(["-o", "GlobalKnownHostsFile=/dev/null", "-o", "UpdateHostKeys=no"]);
        command.args(["-o", &format!("UserKnownHostsFile={}", text(&self.home.known_hosts()))]);
        // The cheapest: it is asked dozens of times.
        command.args(["-o", "KexAlgorithms=curve25519-sha256"]);
        for option in options {
            command.args(["-o", option]);
        }
        let done = command
            .args(["-p", &self.sshd.port.to_string(), "127.0.0.1", "true"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        // It has nothing to log in with; that it tries says that the host key was good.
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        let (passed, stopped) =
            (said.contains("Permission denied"), said.contains("Host key verification failed"));
        assert!(passed != stopped, "{said}");
        passed
    }

    async fn by_ringhaul(&self, lines: &str) -> Result<(), (String, String)> {
        let config = self.home.path("config");
        fs::write(&config, lines).unwrap();
        let mut options = self.home.options();
        options.config_file = Some(config);
        options.accept_new_host_keys = lines.contains("accept-new");
        let known_hosts = vec![self.home.known_hosts()];
        let endpoint = Endpoint { known_hosts, ..self.sshd.endpoint() };
        match Ssh::new(options).unwrap().connect(&endpoint).await {
            Ok(_) => Ok(()),
            Err(NodeError::HostKey { problem, fix }) => Err((problem, fix)),
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// What is on file, and whether the host is let pass.
type Case = (&'static str, bool);

const WITH_CA: &[Case] = &[
    ("@cert-authority {host} {ca}", true),
    ("@cert-authority {plain} {ca}", true),
    ("@cert-authority * {ca}", true),
    ("@cert-authority [127.0.0.*]:* {ca}", true),
    ("@cert-authority {host} {other_ca}", false),
    ("@cert-authority elsewhere {ca}", false),
    ("{host} {ca}", false),
    ("@cert-authority {host} {ca}\n{host} {other}", true),
    ("{host} {other}\n@cert-authority {plain} {ca}", true),
    ("@cert-authority {host} {other_ca}\n{host} {key}", true),
    ("{host} {key}", true),
    ("{plain} {key}", true),
    ("{host} {other}", false),
    ("@cert-authority {host} {ca}\n@revoked * {ca}", false),
    ("@cert-authority {host} {ca}\n@revoked * {key}", false),
    ("@cert-authority {host} {ca}\n@revoked elsewhere {ca}", true),
    ("@cert-authority {host} {ca}\n@revoked * {other_ca}", true),
    ("{host} {key}\n@revoked * {ca}", false),
    ("{host} {key}\n@revoked * {key}", false),
    ("", false),
];

const FLAWED: &[Case] = &[
    ("@cert-authority {host} {ca}", false),
    ("@cert-authority {host} {ca}\n{host} {key}", true),
    ("@cert-authority {host} {ca}\n{host} {other}", false),
];

const GOOD: &[Case] =
    &[("@cert-authority {host} {ca}", true), ("@cert-authority {plain} {ca}", true)];

/// Asks both, one after the other, and wants the same verdict of both.
async fn compare(kind: &str, options: Option<&[&str]>, cases: &[Case]) -> Vec<String> {
    let shown = Shown::with(kind, options);
    let mut problems = Vec::new();
    for (lines, want) in cases {
        fs::write(shown.home.known_hosts(), shown.known(lines, kind) + "\n").unwrap();
        let strict = ["StrictHostKeyChecking=yes".to_owned()];
        let ours = shown.by_ringhaul("").await;
        assert_eq!(
            (shown.by_ssh(&strict), ours.is_ok()),
            (*want, *want),
            "{options:?} {lines}: {ours:?}"
        );
        problems.extend(ours.err().map(|(problem, fix)| format!("{problem} | {fix}")));
    }
    problems
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_certificates_are_judged_as_ssh_judges_them() {
    let good = compare("ed25519", Some(&["-h", "-n", "127.0.0.1"]), WITH_CA).await;
    let stray = good.iter().find(|text| text.contains("authority that is not on file")).unwrap();
    assert!(stray.contains("it shows the ED25519 key SHA256:"), "{stray}");
    assert!(stray.contains("| have the authority sign the host's key"), "{stray}");
    for (options, flaw) in [
        (&["-h", "-n", "127.0.0.1", "-V", "20200101:20200201"][..], "certificate expired 2020-0"),
        (&["-h", "-n", "127.0.0.1", "-V", "20500101:20510101"], "is not valid before 20"),
        (&["-h", "-n", "n1.dc1,127.0.0.2"], "its certificate is for n1.dc1, 127.0.0.2"),
        (&["-h", "-n", "127.0.0.*"], "its certificate is for 127.0.0.*"),
        (&["-h", "-n", "[127.0.0.1]:22"], "its certificate is for [127.0.0.1]:22"),
        (&["-n", "127.0.0.1"], "its certificate is no host certificate"),
        (
            &["-h", "-n", "127.0.0.1", "-O", "critical:x@y=z"],
            "has the critical option x@y, which is not known",
        ),
    ] {
        let problems = compare("ed25519", Some(options), FLAWED).await;
        assert!(problems.iter().all(|text| text.contains(flaw)), "{flaw}: {problems:?}");
    }
    for options in [&["-h"][..], &["-h", "-n", "x,127.0.0.1"]] {
        compare("ed25519", Some(options), GOOD).await;
    }
    for kind in ["rsa", "ecdsa"] {
        compare(kind, Some(&["-h", "-n", "127.0.0.1"]), &WITH_CA[..3]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_without_a_certificate_is_judged_by_its_key() {
    let cases = [
        ("@cert-authority {host} {ca}", false),
        ("@cert-authority {host} {ca}\n{host} {key}", true),
        ("@cert-authority * {ca}\n{host} {other}", false),
        ("@cert-authority {host} {key}", false),
        ("@revoked {host} {ca}\n{host} {key}", true),
    ];
    let problems = compare("ed25519", None, &cases).await;
    assert!(problems[0].contains("without a certificate of the authority at "), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_signs_with_sha1_is_not_believed() {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "");
    keygen(&home.path("rsa_ca"), "rsa", "");
    for (hash, good) in [("rsa-sha2-512", true), ("ssh-rsa", false)] {
        let sshd = Sshd::prepared(&home, &["ed25519"], |folder| {
            let public = folder.join("host_ed25519.pub");
            sign(&home.path("rsa_ca"), &public, &["-h", "-n", "127.0.0.1", "-t", hash]);
            format!("HostCertificate {}/host_ed25519-cert.pub", text(folder))
        });
        let authority = fs::read_to_string(home.path("rsa_ca.pub")).unwrap();
        fs::write(home.known_hosts(), format!("@cert-authority * {authority}")).unwrap();
        match Ssh::new(home.options()).unwrap().connect(&sshd.endpoint()).await {
            Ok(_) => assert!(good, "{hash}"),
            Err(error) => {
                let want = "certificate is signed with ssh-rsa, which is not allowed";
                assert!(!good && error.to_string().contains(want), "{hash}: {error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_a_list_of_revoked_ones_are_refused_as_ssh_refuses_them() {
    let shown = Shown::with("ed25519", Some(&["-h", "-n", "127.0.0.1"]));
    let list = shown.home.path("revoked");
    for (known, revoked, good) in [
        ("@cert-authority {host} {ca}", "# none\n", true),
        ("@cert-authority {host} {ca}", "{other_ca}\n", true),
        ("@cert-authority {host} {ca}", "{other_ca}\n{ca} stolen\n", false),
        ("@cert-authority {host} {ca}", "{key}\n", false),
        ("{host} {key}", "{ca}\n", false),
        ("{host} {key}", "{key}\n", false),
        ("{host} {key}", "", true),
    ] {
        fs::write(shown.home.known_hosts(), shown.known(known, "ed25519") + "\n").unwrap();
        fs::write(&list, shown.known(revoked, "ed25519")).unwrap();
        let setting = format!("RevokedHostKeys={}", text(&list));
        let strict = [setting.clone(), "StrictHostKeyChecking=yes".to_owned()];
        let ours = shown.by_ringhaul(&setting).await;
        assert_eq!((shown.by_ssh(&strict), ours.is_ok()), (good, good), "{known} {revoked}");
        if let Err((problem, _)) = ours {
            assert!(problem.contains(&format!(" is revoked at {}:", text(&list))), "{problem}");
        }
    }
    // A list that cannot be read trusts nobody.
    fs::remove_file(&list).unwrap();
    let setting = format!("RevokedHostKeys={}", text(&list));
    assert!(!shown.by_ssh(&[setting.clone(), "StrictHostKeyChecking=yes".to_owned()]));
    let mut options = shown.home.options();
    fs::write(shown.home.path("config"), setting).unwrap();
    options.config_file = Some(shown.home.path("config"));
    let error = Ssh::new(options).unwrap().connect(&shown.sshd.endpoint()).await.unwrap_err();
    let want = format!("RevokedHostKeys {}: No such file or directory (os error 2)", text(&list));
    assert_eq!(error, NodeError::Local(want));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_for_the_alias_when_there_is_one() {
    for (principal, good) in [("the-node", true), ("127.0.0.1", false)] {
        let shown = Shown::with("ed25519", Some(&["-h", "-n", principal]));
        let line = format!("@cert-authority the-node {}\n", shown.authority("ca"));
        fs::write(shown.home.known_hosts(), line).unwrap();
        let strict = ["HostKeyAlias=the-node", "StrictHostKeyChecking=yes"].map(str::to_owned);
        let ours = shown.by_ringhaul("HostKeyAlias the-node\n").await;
        assert_eq!((shown.by_ssh(&strict), ours.is_ok()), (good, good), "{principal}: {ours:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_hosts_are_taken_in_by_their_key_as_ssh_does() {
    for options in [Some(&["-h", "-n", "127.0.0.1"][..]), Some(&["-h", "-n", "n2"]), None] {
        for (lines, good) in [
            ("@cert-authority elsewhere {ca}", true),
            ("@cert-authority {host} {other_ca}", true),
            ("{host} {other}", false),
            ("@revoked * {key}", false),
        ] {
            let shown = Shown::with("ed25519", options);
            let known = shown.known(lines, "ed25519") + "\n";
            fs::write(shown.home.known_hosts(), &known).unwrap();
            let ssh = shown.by_ssh(&["StrictHostKeyChecking=accept-new".to_owned()]);
            fs::write(shown.home.known_hosts(), &known).unwrap();
            let ours = shown.by_ringhaul("# accept-new\n").await;
            assert_eq!((ssh, ours.is_ok()), (good, good), "{options:?} {lines}: {ours:?}");
            let after = fs::read_to_string(shown.home.known_hosts()).unwrap();
            let line = format!("{} {}\n", shown.sshd.name(), shown.sshd.host_key("ed25519"));
            assert_eq!(after, if good { known + &line } else { known });
        }
    }
}
