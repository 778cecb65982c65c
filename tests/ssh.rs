//! The door against real OpenSSH servers, on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so")]

mod common;

#[path = "ssh/agents.rs"]
mod agents;
#[path = "ssh/asked.rs"]
mod asked;
#[path = "ssh/certificates.rs"]
mod certificates;
#[path = "ssh/commands.rs"]
mod commands;
#[path = "ssh/connect.rs"]
mod connect;
#[path = "ssh/doors.rs"]
mod doors;
#[path = "ssh/host_keys.rs"]
mod host_keys;
#[path = "ssh/jump.rs"]
mod jump;
#[path = "ssh/login.rs"]
mod login;
#[path = "ssh/openssh.rs"]
mod openssh;
#[path = "ssh/passwords.rs"]
mod passwords;
#[path = "ssh/pour.rs"]
mod pour;

use std::time::Duration;

use common::sshd::{Home, Sshd};
use ringhaul::node::Command;

/// More than any command here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

fn command(argv: &[&str]) -> Command {
    Command::new(argv.iter().copied(), LIMIT)
}

fn shell(script: &str) -> Command {
    command(&["sh", "-c", script])
}

/// A server that knows one key, and a home that knows the server.
fn pair(lines: &str) -> (Home, Sshd) {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "");
    let sshd = Sshd::start(&home, lines);
    home.trust(&sshd);
    (home, sshd)
}
