//! Jump hosts of each release: what they forward, and what they do not.

use std::fs;

use ringhaul::node::{Connect, NodeError};

use super::servers::{Program, Server, Setup};
use super::{Cell, Place, ask, runtime, servers};

/// A node behind a jump host of the same release, and the operator's config for both.
fn behind(setup: &Setup<'_>) -> (Place, Server) {
    let target = Setup { suite: setup.suite, ..Setup::PLAIN };
    let place = Place::of(&Cell { setup: target, ..Cell::PLAIN });
    let authorized = fs::read_to_string(place.home.path("authorized_keys")).unwrap();
    let jump = Server::start(setup, &authorized);
    place.home.know(&jump.known());
    let file = place.home.path("config");
    let config = fs::read_to_string(&file).unwrap();
    let jump_lines = format!("Host jump\n  HostName 127.0.0.1\n  Port {}\n  User ops\n", jump.port);
    let keys = config.split_once("  IdentityFile").unwrap().1;
    let text = format!(
        "{jump_lines}{}  ProxyJump jump\nHost *\n  IdentityFile{keys}",
        config.split_once("  IdentityFile").unwrap().0
    );
    fs::write(file, text).unwrap();
    (place, jump)
}

const OPENSSH: Setup<'_> = Setup::PLAIN;
const DROPBEAR: Setup<'_> = Setup { program: Program::Dropbear, ..Setup::PLAIN };

#[test]
fn jump_hosts_of_every_release_forward_as_ssh_has_it() {
    for suite in ["bullseye", "bookworm", "trixie"] {
        if !servers::is_here(suite) {
            continue;
        }
        for (setup, says) in [
            (Setup { suite, ..OPENSSH }, None),
            (Setup { suite, ..DROPBEAR }, None),
            (Setup { suite, lines: "MaxSessions 1", ..OPENSSH }, None),
            (
                Setup { suite, lines: "PermitOpen 127.0.0.1:1", ..OPENSSH },
                Some("(AllowTcpForwarding, PermitOpen)"),
            ),
            (
                Setup { suite, lines: "AllowTcpForwarding no", ..OPENSSH },
                Some("(AllowTcpForwarding, PermitOpen)"),
            ),
            (
                Setup { suite, lines: "AllowTcpForwarding remote", ..OPENSSH },
                Some("(AllowTcpForwarding, PermitOpen)"),
            ),
            (Setup { suite, lines: "-j", ..DROPBEAR }, Some("jump host")),
        ] {
            let (place, _jump) = behind(&setup);
            let (printed, said) = place.ssh("echo reached");
            let ours = runtime().block_on(ask(&place));
            let ssh = printed == "reached\n";
            let what = format!("{setup:?}\nours: {ours:?}\nssh: {printed:?} {said:?}");
            match says {
                None => assert!(ssh && ours.is_ok(), "{what}"),
                Some(words) => {
                    let told = matches!(&ours, Err(NodeError::Unreachable { cause, .. })
                        if cause.contains(words));
                    assert!(!ssh && told, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_jump_host_of_one_session_carries_many_nodes() {
    if !servers::is_here("bookworm") {
        return;
    }
    let (place, jump) = behind(&Setup { lines: "MaxSessions 1", ..OPENSSH });
    runtime().block_on(async {
        let ours = place.ours();
        let endpoint = Place::endpoint();
        let lines = (0..20).map(|_| ours.connect(&endpoint));
        for line in futures::future::join_all(lines).await {
            line.unwrap();
        }
    });
    assert_eq!(jump.log().matches("Accepted publickey").count(), 1, "{}", jump.log());
}
