//! What servers are set up to do: forced commands, banners, few sessions, several logins.

use ringhaul::node::ssh::{Options, Ssh};
use ringhaul::node::{Connect, Node, NodeError};

use super::servers::{Program, Server, Setup};
use super::{Cell, Place, Want, command, matrix, runtime, servers};

const fn lines<'a>(name: &'a str, lines: &'a str, want: Want) -> Cell<'a> {
    Cell { name, setup: Setup { lines, ..Setup::PLAIN }, want, ..Cell::PLAIN }
}

const CELLS: &[Cell<'_>] = &[
    lines(
        "a forced command that runs ours",
        "ForceCommand eval \"$SSH_ORIGINAL_COMMAND\"",
        Want::Both,
    ),
    lines(
        "a forced command that prints first",
        "ForceCommand echo hello; exec /bin/bash -c \"$SSH_ORIGINAL_COMMAND\"",
        Want::Both,
    ),
    lines("another command", "ForceCommand echo go away", Want::Neither("go away")),
    lines(
        "sftp alone",
        "ForceCommand internal-sftp",
        Want::Neither("This service allows sftp connections only"),
    ),
    Cell {
        name: "no shell",
        setup: Setup { shell: "/usr/sbin/nologin", ..Setup::PLAIN },
        want: Want::Neither("This account is currently not available"),
        ..Cell::PLAIN
    },
    Cell {
        name: "a shell that is not there",
        setup: Setup { shell: "/usr/bin/gone", ..Setup::PLAIN },
        want: Want::Neither("ops was not let in"),
        ..Cell::PLAIN
    },
    Cell {
        name: "a banner and a message of the day",
        setup: Setup {
            lines: "Banner /etc/banner\nPrintMotd yes\nPrintLastLog yes",
            files: &[("etc/banner", "\x1b[2JKeep out\n"), ("etc/motd", "Welcome\n")],
            ..Setup::PLAIN
        },
        ..Cell::PLAIN
    },
    lines("one session", "MaxSessions 1", Want::Both),
    lines("two sessions", "MaxSessions 2", Want::Both),
    lines("no session", "MaxSessions 0", Want::Neither("MaxSessions")),
    lines("nothing but commands", "DisableForwarding yes\nPermitTTY no", Want::Both),
    lines("nobody like us", "AllowUsers root", Want::Neither("ops was not let in")),
    lines(
        "no key at all",
        "PubkeyAuthentication no\nPasswordAuthentication yes",
        Want::Neither("ops was not let in"),
    ),
    Cell {
        name: "two keys",
        setup: Setup { lines: "AuthenticationMethods publickey,publickey", ..Setup::PLAIN },
        keys: &["ed25519", "rsa"],
        ..Cell::PLAIN
    },
    Cell {
        name: "two keys, and we have one",
        setup: Setup { lines: "AuthenticationMethods publickey,publickey", ..Setup::PLAIN },
        want: Want::Neither("ops was not let in"),
        ..Cell::PLAIN
    },
    lines("one attempt", "MaxAuthTries 1", Want::Both),
    lines("new keys all the time", "RekeyLimit 16K", Want::Both),
    lines("no keepalive of theirs", "ClientAliveInterval 1\nClientAliveCountMax 2", Want::Both),
    Cell {
        name: "a forced command of dropbear",
        setup: Setup { program: Program::Dropbear, lines: "-c true", ..Setup::PLAIN },
        want: Want::Neither("it printed nothing, Code(0)"),
        ..Cell::PLAIN
    },
];

#[test]
fn situations_of_bullseye_are_told_as_they_are() {
    matrix("bullseye", CELLS);
}

#[test]
fn situations_of_bookworm_are_told_as_they_are() {
    matrix("bookworm", CELLS);
}

#[test]
fn situations_of_trixie_are_told_as_they_are() {
    matrix("trixie", CELLS);
}

#[test]
fn a_host_key_that_is_exchanged_in_the_middle_of_a_run_is_refused_and_nobody_logs_in() {
    if !servers::is_here("bookworm") {
        return;
    }
    let Place { home, server } = Place::of(&Cell::PLAIN);
    let ours = Ssh::new(Options {
        config_file: Some(home.path("config")),
        accept_new_host_keys: true,
        ..home.options()
    });
    let ours = ours.unwrap();
    let (runtime, endpoint) = (runtime(), Place::endpoint());
    runtime.block_on(async {
        let node = ours.connect(&endpoint).await.unwrap();
        assert_eq!(node.run(&command(&["echo", "x"])).await.unwrap().stdout, b"x\n");
    });
    let port = server.port;
    drop(server);
    let authorized = std::fs::read_to_string(home.path("authorized_keys")).unwrap();
    let server = Server::at(&Setup::PLAIN, &authorized, port);
    let place = Place { home, server };
    // By who has read known_hosts before, and by who reads it now.
    for ours in [ours, place.ours()] {
        let error = runtime.block_on(ours.connect(&endpoint)).unwrap_err();
        let NodeError::HostKey { problem, fix } = &error else { panic!("{error:?}") };
        assert!(problem.contains("has changed"), "{problem}");
        assert!(fix.contains("ssh-keygen -R"), "{fix}");
    }
    let (printed, said) = place.ssh("echo reached");
    assert!(printed.is_empty() && said.contains("HAS CHANGED"), "{printed:?} {said:?}");
    let log = place.server.log();
    assert!(!log.contains("publickey") && !log.contains(" for ops"), "{log}");
}
