//! What becomes of commands: output, exits, limits, lines that break.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ringhaul::node::{Command, Connect, Ended, Exit, Node, NodeError, Stage, Transport};

use super::doors::{by, through_both_doors, with};
use super::{command, pair, shell};
use crate::common::sshd::{Sshd, user};

through_both_doors! {
    a_command_runs_and_its_output_exit_and_stderr_come_back,
    standard_input_is_written_while_output_is_read,
    output_without_end_is_stopped_at_the_limit,
    time_that_runs_out_ends_the_command_on_the_node_too,
    a_server_that_stops_in_mid_command_costs_the_time_limit_and_no_more,
    a_server_that_no_longer_answers_is_noticed_by_keepalives,
    a_line_that_breaks_is_lost_and_never_a_success,
    twenty_commands_at_once_all_run_whatever_the_server_allows,
    a_command_that_is_given_up_leaves_room_for_the_next,
    what_start_up_files_print_is_dropped,
    a_server_that_runs_something_else_is_no_success,
}

async fn a_command_runs_and_its_output_exit_and_stderr_come_back(door: Transport) {
    let (home, sshd) = pair("");
    let node = by(door, &home).connect(&sshd.endpoint()).await.unwrap();
    assert_eq!(node.peer_address(), Some("127.0.0.1".parse().unwrap()));
    let output = node.run(&command(&["printf", "%s\\n", "a b", "*", "$HOME"])).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a b\n*\n$HOME\n");
    assert_eq!(output.ended, Ended { exit: Exit::Code(0), stderr: Vec::new() });
    let output = node.run(&shell("echo out; echo err >&2; exit 7")).await.unwrap();
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(output.ended, Ended { exit: Exit::Code(7), stderr: b"err\n".to_vec() });
    let output = node.run(&command(&["no-such-program"])).await.unwrap();
    assert_eq!(output.ended.exit, Exit::Code(127));
    let output = node.run(&shell("kill -KILL $$")).await.unwrap();
    let killed = match door {
        Transport::Builtin => Exit::Signal("KILL".into()),
        // The program does not tell signals; the shell around the command does in its way.
        Transport::Openssh => Exit::Code(128 + 9),
    };
    assert_eq!(output.ended.exit, killed);
    // Programs get the locale from the door; scripts set it themselves.
    let output = node.run(&command(&["printenv", "LC_ALL"])).await.unwrap();
    assert_eq!(output.stdout, b"C\n");
}

async fn standard_input_is_written_while_output_is_read(door: Transport) {
    let (home, sshd) = pair("");
    let node = by(door, &home).connect(&sshd.endpoint()).await.unwrap();
    let input: Vec<u8> = (0..1 << 20).map(|byte| (byte % 251) as u8).collect();
    let output = node.run(&command(&["cat"]).with_stdin(input.clone())).await.unwrap();
    assert!(output.stdout == input, "{} bytes came back", output.stdout.len());

    // More than any window, to a command that does not look at it.
    let ignored = shell("exit 3").with_stdin(vec![b'x'; 8 << 20]);
    assert_eq!(node.run(&ignored).await.unwrap().ended.exit, Exit::Code(3));
    // No input is end of file, not a terminal to wait for.
    assert_eq!(node.run(&command(&["cat"])).await.unwrap().stdout, b"");
}

async fn output_without_end_is_stopped_at_the_limit(door: Transport) {
    let (home, sshd) = pair("");
    let node = by(door, &home).connect(&sshd.endpoint()).await.unwrap();
    let error = node.run(&command(&["yes"]).with_output_limit(100_000)).await.unwrap_err();
    assert_eq!(error, NodeError::TooMuch { limit: 100_000 });
    // Just the limit is allowed.
    let exact = shell("head -c 100000 /dev/zero").with_output_limit(100_000);
    assert_eq!(node.run(&exact).await.unwrap().stdout.len(), 100_000);

    let mut pieces = 0;
    let error = node
        .feed(&command(&["yes"]), &mut |_: &[u8]| {
            pieces += 1;
            ControlFlow::Break(())
        })
        .await
        .unwrap_err();
    assert!(matches!(error, NodeError::TooMuch { .. }));
    assert_eq!(pieces, 1);

    // Of standard error the beginning is kept, and the command goes on.
    let noisy = shell("head -c 5000000 /dev/zero >&2; echo done");
    let output = node.run(&noisy).await.unwrap();
    assert_eq!((output.stdout.as_slice(), output.ended.stderr.len()), (&b"done\n"[..], 64 * 1024));
    commands_end(&sshd).await;
}

/// A limit that ends a command which has started. Through the ssh program each is a process,
/// which takes its time on a busy machine.
pub(super) fn short(door: Transport) -> Duration {
    match door {
        Transport::Builtin => Duration::from_secs(1),
        Transport::Openssh => Duration::from_secs(5),
    }
}

/// Says `started` and then runs for ever.
///
/// sshd passes no signal on to the commands of root, who has no privileges to separate; such a
/// command ends only when it writes to the channel that is gone.
pub(super) fn endless(limit: Duration) -> Command {
    let script = if user() == "root" {
        "echo started; while echo x >&2; do sleep 0.05; done"
    } else {
        "echo started; exec sleep 1000"
    };
    Command::new(["sh", "-c", script], limit)
}

/// Waits until the server runs no command any more; each of them is below a session.
pub(super) async fn commands_end(sshd: &Sshd) {
    let start = Instant::now();
    let left = || {
        let comm = |pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let all = sshd.processes().into_iter().map(comm);
        all.filter(|comm| !comm.starts_with("sshd")).collect::<Vec<_>>()
    };
    while !left().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(10), "left: {:?}", left());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn time_that_runs_out_ends_the_command_on_the_node_too(door: Transport) {
    let (home, sshd) = pair("");
    let ssh = by(door, &home);
    let node = ssh.connect(&sshd.endpoint()).await.unwrap();
    let limit = short(door);
    let timed_out = NodeError::TimedOut { stage: Stage::Command, after: limit };
    let start = Instant::now();
    assert_eq!(node.run(&endless(limit)).await.unwrap_err(), timed_out);
    assert!(start.elapsed() < limit + Duration::from_secs(4));
    commands_end(&sshd).await;

    // Standard error for ever, deaf to TERM.
    let deaf = "trap '' TERM; while echo x >&2; do :; done";
    let deaf = Command::new(["sh", "-c", deaf], limit);
    assert_eq!(node.run(&deaf).await.unwrap_err(), timed_out);
    commands_end(&sshd).await;

    // A caller who no longer waits, once the command runs.
    let (sender, mut started) = tokio::sync::mpsc::unbounded_channel();
    let command = endless(super::LIMIT);
    let mut sink = |_: &[u8]| {
        let _ = sender.send(());
        ControlFlow::Continue(())
    };
    tokio::select! {
        result = node.feed(&command, &mut sink) => panic!("{result:?}"),
        _ = started.recv() => {}
    }
    // The line goes with its last word.
    drop(node);
    ssh.settle(Duration::from_secs(10)).await;
    commands_end(&sshd).await;
    let start = Instant::now();
    while sshd.processes().len() > 1 {
        assert!(start.elapsed() < Duration::from_secs(10), "a session is left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_server_that_stops_in_mid_command_costs_the_time_limit_and_no_more(door: Transport) {
    let (home, sshd) = pair("");
    let node = by(door, &home).connect(&sshd.endpoint()).await.unwrap();
    let limit = Duration::from_secs(2);
    let command = Command::new(["sh", "-c", "echo first; sleep 1000"], limit);
    let mut first = false;
    let start = Instant::now();
    let error = node
        .feed(&command, &mut |_: &[u8]| {
            first = true;
            sshd.signal("-STOP");
            ControlFlow::Continue(())
        })
        .await
        .unwrap_err();
    assert!(first);
    assert_eq!(error, NodeError::TimedOut { stage: Stage::Command, after: limit });
    // And the next one.
    let error = node.run(&Command::new(["true"], limit)).await.unwrap_err();
    assert_eq!(error, NodeError::TimedOut { stage: Stage::Channel, after: limit });
    assert!(start.elapsed() < Duration::from_secs(10));
}

async fn a_server_that_no_longer_answers_is_noticed_by_keepalives(door: Transport) {
    let (home, sshd) = pair("");
    let mut options = home.options();
    options.keepalive_interval = Duration::from_millis(200);
    let node = with(door, &home, options);
    let node = node.connect(&sshd.endpoint()).await.unwrap();
    let error = node
        .feed(&shell("echo first; sleep 1000"), &mut |_: &[u8]| {
            sshd.signal("-STOP");
            ControlFlow::Continue(())
        })
        .await
        .unwrap_err();
    assert_eq!(error, NodeError::Lost { cause: "the server no longer answers".into() });
}

async fn a_line_that_breaks_is_lost_and_never_a_success(door: Transport) {
    let (home, sshd) = pair("");
    let node = by(door, &home).connect(&sshd.endpoint()).await.unwrap();
    let error = node
        .feed(&command(&["yes"]).with_output_limit(u64::MAX), &mut |_: &[u8]| {
            sshd.signal("-KILL");
            ControlFlow::Continue(())
        })
        .await
        .unwrap_err();
    assert!(matches!(&error, NodeError::Lost { .. }), "{error:?}");
    let error = node.run(&command(&["true"])).await.unwrap_err();
    assert!(matches!(&error, NodeError::Lost { .. }), "{error:?}");
}

async fn twenty_commands_at_once_all_run_whatever_the_server_allows(door: Transport) {
    for lines in ["MaxSessions 1", "MaxSessions 2", "MaxSessions 10"] {
        let (home, sshd) = pair(lines);
        let node = by(door, &home).connect(&sshd.endpoint()).await.unwrap();
        let commands: Vec<_> = (0..20).map(|n| shell(&format!("sleep 0.02; echo {n}"))).collect();
        let runs = commands.iter().map(|command| node.run(command));
        for (n, output) in futures::future::join_all(runs).await.into_iter().enumerate() {
            assert_eq!(output.unwrap().stdout, format!("{n}\n").into_bytes(), "{lines}");
        }
    }
}

async fn a_command_that_is_given_up_leaves_room_for_the_next(door: Transport) {
    let (home, sshd) = pair("MaxSessions 1");
    let node = by(door, &home).connect(&sshd.endpoint()).await.unwrap();
    let limit = match door {
        Transport::Builtin => Duration::from_millis(200),
        Transport::Openssh => short(door),
    };
    // No second session is to be had to end one that does not write.
    let endless = match door {
        Transport::Builtin => endless(limit),
        Transport::Openssh => {
            Command::new(["sh", "-c", "while echo x; do sleep 0.05; done"], limit)
        }
    };
    for _ in 0..3 {
        let error = node.run(&endless).await.unwrap_err();
        assert_eq!(error, NodeError::TimedOut { stage: Stage::Command, after: limit });
        assert_eq!(node.run(&command(&["echo", "x"])).await.unwrap().stdout, b"x\n");
    }
    // Given up while the server opens the channel.
    for micros in (0..3000).step_by(100) {
        let command = Command::new(["echo", "y"], limit);
        let run = node.run(&command);
        let _ = tokio::time::timeout(Duration::from_micros(micros), run).await;
    }
    assert_eq!(node.run(&command(&["echo", "z"])).await.unwrap().stdout, b"z\n");
}

async fn what_start_up_files_print_is_dropped(door: Transport) {
    // What a login shell does, as a forced command: it prints, then runs what it was given.
    let (home, sshd) =
        pair("ForceCommand echo Welcome; printf 'a prompt> '; eval \"$SSH_ORIGINAL_COMMAND\"");
    let node = by(door, &home).connect(&sshd.endpoint()).await.unwrap();
    let output = node.run(&command(&["echo", "out"])).await.unwrap();
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(node.run(&shell("exit 4")).await.unwrap().ended.exit, Exit::Code(4));
}

async fn a_server_that_runs_something_else_is_no_success(door: Transport) {
    for (lines, says) in [
        ("ForceCommand internal-sftp", "This service allows sftp connections only."),
        (
            "ForceCommand echo 'This account is currently not available.'; exit 1",
            "This account is currently not available.",
        ),
        ("ForceCommand printf '\\033[31mred\\n' >&2", r"\u{1b}[31mred"),
        ("ForceCommand true", "it printed nothing, Code(0)"),
        ("ForceCommand echo \"$SSH_ORIGINAL_COMMAND\"", "echo ringhaul-"),
        ("ForceCommand yes", "it printed more than 262144 bytes instead: y / y /"),
        ("MaxSessions 0", "it opens no session for us (MaxSessions)"),
    ] {
        let (home, sshd) = pair(lines);
        let node = by(door, &home).connect(&sshd.endpoint()).await.unwrap();
        let error = node.run(&command(&["echo", "out"])).await.unwrap_err();
        let NodeError::NoCommand { cause } = &error else { panic!("{lines}: {error:?}") };
        assert!(cause.starts_with(says), "{lines}: {cause}");
    }
}
