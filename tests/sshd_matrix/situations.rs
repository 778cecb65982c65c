//! What servers are set up to do: forced commands, banners, few sessions, several logins.

use super::servers::{Program, Setup};
use super::{Cell, Want, matrix};

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
