//! `ringhaul ssh-check` against real servers: each step is told, and what to do about a fault.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

#[allow(dead_code, reason = "the tests of the SSH door use all of it")]
#[path = "common/sshd.rs"]
mod sshd;

use std::path::Path;
use std::process::{Command, Stdio};

use sshd::{Home, Sshd, user};

/// Runs it with a home of its own; returns exit, standard output, standard error.
fn check(home: &Home, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ringhaul"))
        .arg("ssh-check")
        .args(arguments)
        .args(["-F", "none", "--known-hosts", home.known_hosts().to_str().unwrap()])
        .args(["-I", home.path(".ssh/id_ed25519").to_str().unwrap()])
        .current_dir(home.path(""))
        .env_remove("SSH_AUTH_SOCK")
        .env_remove("RINGHAUL_INVENTORY")
        .env("HOME", home.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn at(sshd: &Sshd) -> String {
    format!("{}@{}:{}", user(), sshd.address, sshd.port)
}

/// The steps of each line, with their marks.
fn steps(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if let (Some(mark @ ("ok" | "FAILED")), Some(step)) = (words.next(), words.next()) {
            found.push((mark, step));
        }
    }
    found
}

#[test]
fn every_step_to_a_node_behind_a_jump_host_is_told() {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "");
    let (jump, sshd) = (Sshd::start(&home, ""), Sshd::start(&home, ""));
    home.trust(&jump);
    home.trust(&sshd);
    let (exit, text, error) = check(&home, &[&at(&sshd), "-J", &at(&jump)]);
    assert_eq!((exit, error.as_str()), (0, ""), "{text}");
    let login = ["connect", "handshake", "login"];
    let want: Vec<&str> = ["settings"]
        .into_iter()
        .chain(login)
        .chain(login)
        .chain(["command", "programs", "nodetool"])
        .collect();
    let told = steps(&text);
    assert_eq!(told.iter().map(|(_, step)| *step).collect::<Vec<_>>(), want, "{text}");
    assert!(told.iter().all(|(mark, _)| *mark == "ok"), "{text}");
    assert!(text.contains(&format!("through {}:{}", jump.address, jump.port)), "{text}");
    assert!(text.contains("SSH-2.0-OpenSSH"), "{text}");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let settings: Vec<String> = text.lines().map(words).collect();
    for port in [jump.port, sshd.port] {
        let want = format!("Port {port} inventory or command line");
        assert!(settings.contains(&want), "{text}");
    }

    let (exit, text, _) = check(&home, &[&at(&sshd), "--json"]);
    assert_eq!(exit, 0, "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["nodes"][0]["reached"], true);
    assert_eq!(json["nodes"][0]["way"][0]["host"], "127.0.0.1");
    assert!(json["nodes"][0]["steps"].as_array().unwrap().len() >= 5);
}

#[test]
fn the_step_that_fails_is_the_last_and_says_what_to_do() {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "");
    let sshd = Sshd::start(&home, "");
    let (exit, text, _) = check(&home, &[&at(&sshd)]);
    assert_eq!(exit, 3, "{text}");
    assert_eq!(steps(&text).last(), Some(&("FAILED", "host")), "{text}");
    assert!(text.contains("to do: compare the fingerprint, then ssh-keyscan"), "{text}");

    home.trust(&sshd);
    std::fs::write(home.path("authorized_keys"), "").unwrap();
    let (exit, text, _) = check(&home, &[&at(&sshd)]);
    assert_eq!(exit, 3, "{text}");
    assert_eq!(steps(&text).last(), Some(&("FAILED", "login")), "{text}");

    let (exit, text, _) = check(&home, &["no-such-host.invalid"]);
    assert_eq!(exit, 3, "{text}");
    assert_eq!(steps(&text).last(), Some(&("FAILED", "connect")), "{text}");

    let (exit, _, error) = check(&home, &["-oProxyCommand=x"]);
    assert_eq!(exit, 64, "{error}");
}

#[test]
fn a_node_that_the_ssh_program_reaches_is_looked_at_through_it() {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "");
    let sshd = Sshd::start(&home, "");
    let through = [&at(&sshd), "--transport", "openssh"];
    let (exit, text, _) = check(&home, &through);
    assert_eq!((exit, steps(&text).last()), (3, Some(&("FAILED", "login"))), "{text}");
    home.trust(&sshd);
    let (exit, text, _) = check(&home, &through);
    assert_eq!(exit, 0, "{text}");
    let names: Vec<&str> = steps(&text).into_iter().map(|(_, step)| step).collect();
    assert_eq!(names, ["settings", "login", "command", "programs", "nodetool"], "{text}");
}

#[test]
fn neither_way_runs_a_command_of_ssh_config_that_nobody_allowed() {
    let home = Home::new();
    let mark = home.path("ran");
    let config = home.path("config");
    std::fs::write(&config, format!("Match exec \"touch {}\"\n  Port 1\n", mark.display()))
        .unwrap();
    for transport in ["builtin", "openssh"] {
        let output = Command::new(env!("CARGO_BIN_EXE_ringhaul"))
            .args(["ssh-check", "127.0.0.1", "--transport", transport, "-F"])
            .arg(&config)
            .current_dir(home.path(""))
            .env("HOME", home.path(""))
            .env_remove("RINGHAUL_INVENTORY")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("config:1: Match exec runs a command"), "{transport}: {text}");
        assert!(!mark.exists(), "{transport}");
    }
}

#[test]
fn one_node_that_is_not_reached_does_not_keep_the_others_from_being_checked() {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "");
    let sshd = Sshd::start(&home, "ForceCommand internal-sftp");
    let good = Sshd::start(&home, "");
    home.trust(&sshd);
    home.trust(&good);
    std::fs::write(
        Path::new(&home.path("inventory.yaml")),
        format!(
            "cluster: c\ndefaults: {{user: {}}}\nnodes:\n  - host: sftp\n    address: {}\n    \
             port: {}\n  - host: good\n    address: {}\n    port: {}\n",
            user(),
            sshd.address,
            sshd.port,
            good.address,
            good.port
        ),
    )
    .unwrap();
    let (exit, text, _) = check(&home, &["sftp", "good"]);
    assert_eq!(exit, 3, "{text}");
    let told = steps(&text);
    assert!(told.contains(&("FAILED", "command")), "{text}");
    assert_eq!(told.last(), Some(&("ok", "nodetool")), "{text}");
}
