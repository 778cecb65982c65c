//! Servers that have one algorithm each.

use super::servers::{Program, Setup};
use super::{Cell, Want, matrix};

const fn lines(lines: &str, want: Want) -> Cell<'_> {
    Cell { name: lines, setup: Setup { lines, ..Setup::PLAIN }, want, ..Cell::PLAIN }
}

const fn both(text: &str) -> Cell<'_> {
    lines(text, Want::Both)
}

const fn host_key<'a>(program: Program, host_key: &'a str, lines: &'a str) -> Cell<'a> {
    let setup = Setup { program, host_key, lines, ..Setup::PLAIN };
    Cell { name: host_key, setup, ..Cell::PLAIN }
}

/// What every OpenSSH of ours has.
const OPENSSH: &[Cell<'_>] = &[
    Cell::PLAIN,
    both("Ciphers aes256-ctr\nMACs hmac-sha2-512"),
    both("Ciphers aes128-ctr\nMACs hmac-sha2-256-etm@openssh.com"),
    both("Ciphers chacha20-poly1305@openssh.com"),
    both("Ciphers aes256-gcm@openssh.com"),
    both("KexAlgorithms curve25519-sha256"),
    both("KexAlgorithms curve25519-sha256@libssh.org"),
    both("KexAlgorithms ecdh-sha2-nistp256"),
    both("KexAlgorithms ecdh-sha2-nistp521"),
    both("KexAlgorithms diffie-hellman-group16-sha512"),
    both("KexAlgorithms diffie-hellman-group14-sha256"),
    both("KexAlgorithms diffie-hellman-group-exchange-sha256"),
    host_key(Program::OpenSsh, "rsa", ""),
    host_key(Program::OpenSsh, "rsa", "HostKeyAlgorithms rsa-sha2-256"),
    host_key(Program::OpenSsh, "ecdsa", ""),
    Cell { name: "an RSA key of the operator's", keys: &["rsa"], ..Cell::PLAIN },
    Cell { name: "an ECDSA key of the operator's", keys: &["ecdsa"], ..Cell::PLAIN },
    // Broken or needless: left out of both, or of ours.
    lines("Ciphers aes128-cbc", Want::Neither("no common cipher; the server offers aes128-cbc")),
    Cell {
        name: "SHA-1 for the host key",
        setup: Setup { host_key: "rsa", lines: "HostKeyAlgorithms ssh-rsa", ..Setup::PLAIN },
        want: Want::Neither("no common host key type; the server offers ssh-rsa"),
        ..Cell::PLAIN
    },
    lines(
        "KexAlgorithms diffie-hellman-group14-sha1",
        Want::Neither("no common key exchange; the server offers diffie-hellman-group14-sha1"),
    ),
    lines("Ciphers aes128-ctr\nMACs hmac-sha1", Want::OnlySsh("no common MAC")),
    lines(
        "Ciphers aes128-ctr\nMACs umac-128-etm@openssh.com",
        Want::OnlySsh("no common MAC; the server offers umac-128-etm@openssh.com"),
    ),
];

const DROPBEAR: &[Cell<'_>] = &[
    host_key(Program::Dropbear, "ed25519", ""),
    host_key(Program::Dropbear, "rsa", ""),
    host_key(Program::Dropbear, "ecdsa", ""),
    Cell {
        name: "keys without end, and forwarding off",
        setup: Setup { program: Program::Dropbear, lines: "-j -k -w", ..Setup::PLAIN },
        keys: &["rsa", "ecdsa", "ed25519"],
        ..Cell::PLAIN
    },
];

#[test]
fn openssh_of_bullseye_is_reached_as_ssh_reaches_it() {
    matrix("bullseye", OPENSSH);
}

#[test]
fn openssh_of_bookworm_is_reached_as_ssh_reaches_it() {
    matrix("bookworm", OPENSSH);
}

#[test]
fn openssh_of_trixie_is_reached_as_ssh_reaches_it() {
    matrix("trixie", OPENSSH);
}

#[test]
fn post_quantum_key_exchanges_are_had_from_trixie_on() {
    let sntrup = "KexAlgorithms sntrup761x25519-sha512@openssh.com";
    let mlkem = "KexAlgorithms mlkem768x25519-sha256";
    matrix("trixie", &[lines(mlkem, Want::Ours)]);
    for suite in ["bookworm", "trixie"] {
        matrix(suite, &[lines(sntrup, Want::OnlySsh("no common key exchange"))]);
    }
}

#[test]
fn dropbear_is_reached_as_ssh_reaches_it() {
    for suite in ["bullseye", "bookworm", "trixie"] {
        matrix(suite, DROPBEAR);
    }
}
