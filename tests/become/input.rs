//! What a command reads and prints while sudo gets a password beside it.

use std::io::Write as _;

use ringhaul::node::becoming::Becoming;
use ringhaul::node::{Command, Connect as _, Exit, Node as _};

use crate::host::{Host, LIMIT, endpoint, rights, shell};
use crate::operator::Operator;

/// Bytes that a shell, a terminal or a line reader would change.
fn odd() -> Vec<u8> {
    let all: Vec<u8> = (0..=255).collect();
    let mut odd = b"\n\0first\r\n\\n $HOME `id`\n".to_vec();
    for _ in 0..900 {
        odd.extend_from_slice(&all);
    }
    odd
}

/// Two programs with other rights, one after the other, the second of which reads the input.
fn command(user: &str) -> Command {
    // A sudo that logs input takes what its program does not read.
    let script = "$RINGHAUL_AS id -un </dev/null >&2; $RINGHAUL_AS cat";
    Command::new(["sh", "-c", script], LIMIT).with_stdin(odd()).with_rights(rights(user))
}

async fn arrives(host: &Host, user: &str) {
    let door = Becoming::new(host.door(), Some(Operator::honest().ask()));
    let node = door.connect(&endpoint("n1")).await.unwrap();
    for _ in 0..2 {
        let output = node.run(&command(user)).await.unwrap();
        let said = String::from_utf8_lossy(&output.ended.stderr).into_owned();
        assert_eq!(output.ended.exit, Exit::Code(0), "{} {said}", host.shown());
        assert_eq!(said.trim(), user, "{}", host.shown());
        let (came, sent) = (output.stdout.len(), odd().len());
        assert!(output.stdout == odd(), "{} {user}: {came} of {sent}, {said}", host.shown());
    }
}

#[tokio::test]
async fn input_arrives_whole_whether_sudo_wants_the_password_or_not() {
    for rules in [
        "ops ALL=(ALL:ALL) ALL",
        "ops ALL=(ALL:ALL) NOPASSWD: ALL",
        // The probe is told that one is needed, the programs need none.
        "ops ALL=(ALL:ALL) NOPASSWD: /usr/bin/id, /usr/bin/cat\nops ALL=(ALL:ALL) /usr/bin/true",
        "Defaults timestamp_timeout=0\nops ALL=(ALL:ALL) ALL",
        // What it is not asked for twice, it is not asked for by us either.
        "Defaults timestamp_timeout=60, timestamp_type=global\nops ALL=(ALL:ALL) ALL",
        "Defaults use_pty\nops ALL=(ALL:ALL) ALL",
        "Defaults !visiblepw, passwd_tries=1\nops ALL=(ALL:ALL) ALL",
        "Defaults closefrom_override, passprompt=\"?\"\nops ALL=(ALL:ALL) ALL",
        // sudo 1.9 loses the end of an output that it logs and nobody takes at once.
        "Defaults log_input, log_output\nDefaults:ops !log_input, !log_output\nops ALL=(ALL) ALL",
    ] {
        let host = Host::new(rules);
        arrives(&host, "root").await;
        arrives(&host, "cassandra").await;
    }
}

#[tokio::test]
async fn every_posix_shell_and_every_place_for_the_password_will_do() {
    let rules = "ops ALL=(ALL:ALL) ALL";
    for program in
        ["/usr/bin/dash", "/usr/bin/bash --posix", "/usr/bin/bash", "/usr/bin/busybox sh"]
    {
        let file = program.split(' ').next().unwrap();
        if !std::path::Path::new(file).exists() {
            // Not by the macro: the harness would keep the words of a test that passes.
            let _ = writeln!(std::io::stderr(), "skipped: {file} is not here");
            continue;
        }
        let host = Host::prepared(rules, program, &shell(program));
        arrives(&host, "root").await;
    }
    let none = "mkdir $D/none; mount --bind $D/none";
    for before in [
        format!("{none} /dev/shm"),
        format!("{none} /dev/shm; mount -t tmpfs -o noexec,mode=1777 none /tmp 2>/dev/null"),
        format!(
            "{none} /dev/shm; chmod 755 $D/none; mount -t tmpfs -o noexec,uid=64711 none $D/home"
        ),
        "mount -t tmpfs -o noexec,nosuid,mode=1777 none /dev/shm".to_owned(),
        "mount -t proc -o hidepid=2 none /proc".to_owned(),
    ] {
        let host = Host::prepared(rules, "sh", &before);
        arrives(&host, "root").await;
    }
}

#[tokio::test]
async fn without_a_password_the_words_before_a_program_say_all() {
    let host = Host::new("ops ALL=(ALL:ALL) NOPASSWD: ALL");
    let door = Becoming::new(host.door(), None);
    let node = door.connect(&endpoint("n1")).await.unwrap();
    assert_eq!(node.run(&command("cassandra")).await.unwrap().stdout, odd());
    assert_eq!(host.asked()[0], "env 'LC_ALL=C' sudo -k -n -u cassandra -v", "{:?}", host.asked());
    assert!(host.asked()[1].starts_with("env 'RINGHAUL_AS=sudo -n -u cassandra --' sh -c "));
}

#[tokio::test]
async fn a_command_ends_as_its_program_does() {
    let host = Host::new("ops ALL=(ALL:ALL) ALL");
    let door = Becoming::new(host.door(), Some(Operator::honest().ask()));
    let node = door.connect(&endpoint("n1")).await.unwrap();
    for code in [0, 1, 97, 124] {
        let script = format!("$RINGHAUL_AS sh -c 'echo out; echo err >&2; exit {code}'");
        let command = Command::new(["sh", "-c", &script], LIMIT).with_rights(rights("root"));
        let output = node.run(&command).await.unwrap();
        assert_eq!(output.ended.exit, Exit::Code(code));
        assert_eq!(
            (output.stdout, output.ended.stderr.trim_ascii()),
            (b"out\n".to_vec(), b"err".as_slice())
        );
    }
}
