//! No secret is seen where others look: passphrase, login password, sudo's password and JMX's
//! stand in no argv, no environment, no file that is left, and nothing that is printed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

#[allow(dead_code, reason = "the tests of the SSH door use all of it")]
#[path = "common/sshd.rs"]
mod sshd;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sshd::{Home, PASSWORD, Sshd};

const PASSPHRASE: &str = "pass-of-the-key-4711";
const BECOME: &str = "pass-of-sudo-4711";
const JMX: &str = "pass-of-jmx-4711";
const WRONG: &str = "pass-that-is-wrong-4711";

/// All of them, and one that a node takes for wrong.
const SECRETS: [&str; 5] = [PASSPHRASE, PASSWORD, BECOME, JMX, WRONG];

/// A nodetool that wants to be shown the password file, as the real one does, and of which the ring
/// has one node.
const NODETOOL: &str = r#"#!/bin/sh
sleep 0.2
case $* in *"-pwf "*) ;; *) echo no password file >&2; exit 1 ;; esac
case $* in
*statusbackup*) echo running ;;
*status*)
    printf 'Datacenter: dc1\n===============\nStatus=Up/Down\n|/ State=Normal/Leaving/Joining/Moving\n'
    printf -- '--  Address    Load       Tokens  Owns  Host ID                               Rack\n'
    printf 'UN  127.0.0.1  100 KiB    16      100%%  3500c635-65e6-4606-be39-d2d6943bcb94  r1\n' ;;
*netstats*) echo Mode: NORMAL ;;
esac
"#;

/// A node that wants a key with a passphrase and a password, and an operator who has them in files.
struct Scene {
    home: Home,
    sshd: Sshd,
}

impl Scene {
    fn new() -> Option<Self> {
        let home = Home::new();
        home.key("id_ed25519", "ed25519", PASSPHRASE);
        let lines = "PasswordAuthentication yes\nAuthenticationMethods publickey,password";
        let sshd = Sshd::with_passwords(&home, None, lines)?;
        home.trust(&sshd);
        let file = |name: &str, text: &str| fs::write(home.path(name), text).unwrap();
        for (name, text) in [
            ("passphrase", PASSPHRASE),
            ("password", PASSWORD),
            ("become", BECOME),
            ("wrong", WRONG),
        ] {
            file(name, &format!("{text}\n"));
        }
        file("jmx.password", &format!("ops {JMX}\n"));
        file("nodetool", NODETOOL);
        file("cassandra.yaml", "cluster_name: c\nincremental_backups: false\n");
        fs::set_permissions(home.path("nodetool"), fs::Permissions::from_mode(0o755)).unwrap();
        let scene = Self { home, sshd };
        file_inventory(&scene);
        Some(scene)
    }

    fn path(&self, name: &str) -> String {
        self.home.path(name).display().to_string()
    }

    /// Starts ringhaul with its secrets on descriptors.
    fn start(&self, password: &str, arguments: &[&str]) -> Child {
        let script = format!(
            "exec \"$@\" --passphrase-fd 3 --password-fd 4 --become-password-fd 5 \
             3<passphrase 4<{password} 5<become"
        );
        Command::new("sh")
            .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_ringhaul")])
            .args(arguments)
            .current_dir(self.home.path(""))
            .env_remove("SSH_AUTH_SOCK")
            .env("HOME", self.home.path(""))
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(fs::File::create(self.home.path("stdout")).unwrap())
            .stderr(fs::File::create(self.home.path("stderr")).unwrap())
            .spawn()
            .unwrap()
    }

    /// Runs it to its end, with an eye on all processes; returns what it printed.
    fn watched(&self, password: &str, arguments: &[&str]) -> String {
        let mut child = self.start(password, arguments);
        let (began, mut looks) = (Instant::now(), 0);
        while child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(120), "it does not end");
            look_at_processes();
            looks += 1;
        }
        // A resume of what is done and a refusal are short.
        assert!(looks > 0, "it was over before anybody could look");
        let read = |name: &str| fs::read_to_string(self.home.path(name)).unwrap();
        format!("{}{}", read("stdout"), read("stderr"))
    }
}

fn file_inventory(scene: &Scene) {
    let text = format!(
        "cluster: c\ndefaults:\n  user: root\n  port: {}\n  identity_file: .ssh/id_ed25519\n  \
         known_hosts: .ssh/known_hosts\n  auth: [password]\n  sudo: always\n  \
         become: {{password: ask}}\n  jmx: {{user: ops, password_file: {}}}\n  \
         paths: {{nodetool: {}, config: {}, data: {}}}\nnodes: [127.0.0.1]\n",
        scene.sshd.port,
        scene.path("jmx.password"),
        scene.path("nodetool"),
        scene.path("cassandra.yaml"),
        scene.path(""),
    );
    fs::write(scene.home.path("inventory.yaml"), text).unwrap();
}

/// Looks at the argv and the environment of every process there is.
fn look_at_processes() {
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        if !entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        for what in ["cmdline", "environ"] {
            let Ok(bytes) = fs::read(entry.path().join(what)) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            for secret in SECRETS {
                assert!(!text.contains(secret), "{secret} in {what}: {text}");
            }
        }
    }
}

/// The files below a folder in which one of the secrets stands.
fn files_with_secrets(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            files_with_secrets(&path, found);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            if SECRETS.iter().any(|secret| text.contains(secret)) {
                found.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
}

#[test]
fn secrets_reach_the_node_and_are_seen_nowhere() {
    let Some(scene) = Scene::new() else { return };
    let audit = scene.watched("password", &["audit", "--json", "--transcript", "transcript"]);
    assert!(audit.contains("\"verdict\": \"lost_at_restart\""), "{audit}");
    let state = ["--state-dir", "state", "--transcript", "transcript"];
    let enable = ["enable", "--yes", "--json-lines", "--stagger", "0s"];
    let enable = scene.watched("password", &[&enable[..], &state].concat());
    assert!(enable.contains("\"outcome\":\"done\""), "{enable}");
    let resume = ["resume", "last", "--retry-failed", "--state-dir", "state"];
    scene.watched("password", &resume);
    // Nobody is let in with this one; what is said of it does not show it.
    let refused = scene.watched("wrong", &["audit"]);
    assert!(refused.contains("was not let in"), "{refused}");
    let refused = scene.watched("wrong", &["ssh-check", "127.0.0.1"]);
    assert!(refused.contains("was not let in"), "{refused}");

    let kept = fs::read_dir(scene.home.path("state/runs")).unwrap().count();
    assert!(kept > 0, "there is a journal to look at");
    let mut found = Vec::new();
    files_with_secrets(&scene.home.path(""), &mut found);
    found.sort();
    // Those that the operator wrote.
    assert_eq!(found, ["become", "jmx.password", "passphrase", "password", "wrong"]);
    // The sessions on the node have written nothing either.
    for folder in ["/dev/shm", "/run/lock"] {
        let mut found = Vec::new();
        files_with_secrets(Path::new(folder), &mut found);
        assert_eq!(found, [""; 0], "{folder}");
    }
}
