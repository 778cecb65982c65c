//! Host keys: known, unknown, changed, revoked, new.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ringhaul::node::ssh::Ssh;
use ringhaul::node::{Connect, Endpoint, Node, NodeError};

use super::{command, pair};
use crate::common::sshd::{Home, Sshd, keygen, run};

async fn refusal(ssh: &Ssh, endpoint: &Endpoint) -> (String, String) {
    let error = ssh.connect(endpoint).await.unwrap_err();
    let NodeError::HostKey { problem, fix } = error else { panic!("{error:?}") };
    (problem, fix)
}

/// A home with a key that is let in, and a server with these host keys it does not know.
fn strangers(kinds: &[&str]) -> (Home, Sshd) {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "");
    let sshd = Sshd::with_host_keys(&home, kinds, "");
    (home, sshd)
}

fn accepting(home: &Home) -> Ssh {
    let mut options = home.options();
    options.accept_new_host_keys = true;
    Ssh::new(options).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_key_is_refused_with_its_fingerprint_and_the_command() {
    let (home, sshd) = strangers(&["ed25519"]);
    let (problem, _) = refusal(&home.ssh(), &sshd.endpoint()).await;
    let (name, print) = (sshd.name(), sshd.fingerprint("ed25519"));
    let file = home.known_hosts();
    let unknown = format!("the host key of {name} is not known: it shows the ED25519 key {print}");
    let missing = format!("{unknown}; there is no known_hosts file ({}, ", file.display());
    assert!(problem.starts_with(&missing) || Path::new("/etc/ssh/ssh_known_hosts").exists());
    home.know("# somebody else's");
    let (problem, fix) = refusal(&home.ssh(), &sshd.endpoint()).await;
    assert_eq!(problem, unknown);
    let scan = format!("ssh-keyscan -p {} -t ed25519 127.0.0.1 >> {}", sshd.port, file.display());
    assert_eq!(
        fix,
        format!("compare the fingerprint, then {scan}; or run again with --accept-new-host-keys")
    );
    // The command does what it says.
    run("sh", &["-c", &format!("{scan} 2>/dev/null")]);
    home.ssh().connect(&sshd.endpoint()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_key_is_refused_and_the_old_line_named() {
    let (home, sshd) = strangers(&["ed25519"]);
    keygen(&home.path("old"), "ed25519", "");
    let old = fs::read_to_string(home.path("old.pub")).unwrap();
    home.know(&format!("# comment\n{} {old}", sshd.name()));
    for ssh in [home.ssh(), accepting(&home)] {
        let (problem, fix) = refusal(&ssh, &sshd.endpoint()).await;
        let (name, print) = (sshd.name(), sshd.fingerprint("ed25519"));
        let file = home.known_hosts().display().to_string();
        assert_eq!(
            problem,
            format!(
                "the host key of {name} has changed: it shows the ED25519 key {print}, \
                 not the ED25519 key at {file}:2"
            )
        );
        let remove = format!("ssh-keygen -R '{name}' -f {file}");
        assert_eq!(
            fix,
            format!("if the host was set up anew, compare the fingerprint, then {remove}")
        );
    }
    let text = fs::read_to_string(home.known_hosts()).unwrap();
    assert!(text.ends_with(&format!("{old}\n")), "nothing is added: {text}");
    // The command does what it says.
    let name = sshd.name();
    run("ssh-keygen", &["-R", &name, "-f", home.known_hosts().to_str().unwrap()]);
    let (problem, _) = refusal(&home.ssh(), &sshd.endpoint()).await;
    assert!(problem.contains("is not known"), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_exchanged_in_a_run_stops_new_lines_until_it_is_put_right() {
    let (home, sshd) = pair("");
    let ssh = home.ssh();
    let open = ssh.connect(&sshd.endpoint()).await.unwrap();
    sshd.exchange_host_key("ed25519");
    for ssh in [&ssh, &accepting(&home)] {
        let (problem, _) = refusal(ssh, &sshd.endpoint()).await;
        assert!(problem.contains("has changed: it shows the ED25519 key"), "{problem}");
    }
    let still = open.run(&command(&["echo", "in"])).await.unwrap();
    assert_eq!(still.stdout, b"in\n");
    // The operator puts the file right; the run that goes on sees it.
    let file = home.known_hosts().display().to_string();
    run("ssh-keygen", &["-R", &sshd.name(), "-f", &file]);
    let (problem, _) = refusal(&ssh, &sshd.endpoint()).await;
    assert!(problem.contains("is not known"), "{problem}");
    home.trust(&sshd);
    ssh.connect(&sshd.endpoint()).await.unwrap();
    // And takes its trust away again.
    home.know(&format!("@revoked * {}", sshd.host_key("ed25519")));
    let (problem, _) = refusal(&ssh, &sshd.endpoint()).await;
    assert!(problem.contains("is revoked at "), "{problem}");
    fs::remove_file(home.known_hosts()).unwrap();
    let (problem, _) = refusal(&ssh, &sshd.endpoint()).await;
    assert!(problem.contains("is not known"), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_read_is_said() {
    let (home, sshd) = pair("");
    let folder = home.path("folder");
    fs::create_dir(&folder).unwrap();
    let endpoint = Endpoint { known_hosts: vec![folder.clone()], ..sshd.endpoint() };
    let error = home.ssh().connect(&endpoint).await.unwrap_err();
    let want = format!("{}: Is a directory (os error 21)", folder.display());
    assert_eq!(error, NodeError::Local(want));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_refused_even_if_it_is_known() {
    let (home, sshd) = pair("");
    home.know(&format!("@revoked * {}", sshd.host_key("ed25519")));
    for ssh in [home.ssh(), accepting(&home)] {
        let (problem, _) = refusal(&ssh, &sshd.endpoint()).await;
        let want = format!("is revoked at {}:2: ED25519 key SHA256:", home.known_hosts().display());
        assert!(problem.contains(&want), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hashed_names_wildcards_and_lists_of_files_are_found() {
    let (home, sshd) = pair("");
    run("ssh-keygen", &["-H", "-f", home.known_hosts().to_str().unwrap()]);
    assert!(fs::read_to_string(home.known_hosts()).unwrap().starts_with("|1|"));
    home.ssh().connect(&sshd.endpoint()).await.unwrap();

    let other = home.path("fleet_hosts");
    fs::write(&other, format!("[127.0.0.*]:* {}\n", sshd.host_key("ed25519"))).unwrap();
    let known_hosts = vec![home.path("none_here"), other];
    home.ssh().connect(&Endpoint { known_hosts, ..sshd.endpoint() }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_known_by_one_type_is_asked_for_that_type() {
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let (home, sshd) = strangers(&["ed25519", "ecdsa", "rsa"]);
        home.know(&format!("{} {}", sshd.name(), sshd.host_key(kind)));
        home.ssh().connect(&sshd.endpoint()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_known_by_another_type_only_is_never_taken_for_new() {
    let (home, sshd) = strangers(&["ed25519"]);
    keygen(&home.path("old"), "rsa", "");
    let old = fs::read_to_string(home.path("old.pub")).unwrap();
    home.know(&format!("{} {old}", sshd.name()));
    for ssh in [home.ssh(), accepting(&home)] {
        let (problem, fix) = refusal(&ssh, &sshd.endpoint()).await;
        let file = home.known_hosts().display().to_string();
        assert!(
            problem.contains("is of another type than before: it shows the ED25519"),
            "{problem}"
        );
        assert!(problem.ends_with(&format!("known is the RSA key at {file}:1")), "{problem}");
        assert!(fix.contains("ssh-keyscan"), "{fix}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_keys_are_taken_in_once_when_the_operator_says_so() {
    let (home, sshd) = strangers(&["ed25519"]);
    fs::remove_dir_all(home.path("fresh")).unwrap_or_default();
    let file = home.path("fresh/known_hosts");
    let endpoint = Endpoint { known_hosts: vec![file.clone()], ..sshd.endpoint() };
    let ssh = accepting(&home);
    let lines = futures::future::join_all((0..8).map(|_| ssh.connect(&endpoint))).await;
    assert!(lines.iter().all(Result::is_ok));
    let want = format!("{} {}\n", sshd.name(), sshd.host_key("ed25519"));
    assert_eq!(fs::read_to_string(&file).unwrap(), want);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    // From now on strictly.
    home.ssh().connect(&endpoint).await.unwrap();

    // A file whose last line has no newline, and hashed names.
    fs::write(&file, "# the fleet").unwrap();
    let config = home.path("config");
    fs::write(&config, "HashKnownHosts yes\n").unwrap();
    let mut options = home.options();
    options.accept_new_host_keys = true;
    options.config_file = Some(config);
    Ssh::new(options).unwrap().connect(&endpoint).await.unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# the fleet\n|1|") && text.lines().count() == 2, "{text}");
    let found = run("ssh-keygen", &["-F", &sshd.name(), "-f", file.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&found.stdout).contains("found: line 2"));
    home.ssh().connect(&endpoint).await.unwrap();
}
