//! Streams: a receiver that takes its time, one that goes away, and what comes at the end.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ringhaul::node::{Command, Connect, Ended, Endpoint, Exit, Node, NodeError, Stage, Transport};
use tokio::sync::mpsc;

use super::commands::{commands_end, endless};
use super::doors::{by, through_both_doors};
use super::{LIMIT, pair, shell};
use crate::common::sshd::{Home, Sshd, user};

const MIB: u64 = 1024 * 1024;

async fn bulk(door: Transport, home: &Home, sshd: &Sshd) -> impl Node + use<> {
    by(door, home).connect_bulk(&sshd.endpoint()).await.unwrap()
}

through_both_doors! {
    a_slow_receiver_stops_the_sender_and_gets_all_in_the_end,
    a_receiver_that_goes_away_ends_the_command,
    limits_of_size_time_and_silence_hold_and_a_slow_receiver_is_no_silence,
    a_stream_has_its_own_connection_to_a_jump_host,
}

async fn a_slow_receiver_stops_the_sender_and_gets_all_in_the_end(door: Transport) {
    let (home, sshd) = pair("");
    let node = bulk(door, &home, &sshd).await;
    let printed = home.path("printed");
    let script = format!(
        "i=0; while [ $i -lt 100 ]; do head -c 1048576 /dev/zero || exit 1; i=$((i + 1)); \
         echo $i >{}; done; echo bye >&2; exit 3",
        printed.display()
    );
    let count = || std::fs::read_to_string(&printed).unwrap_or_default().trim().parse().ok();
    let (into, mut from) = mpsc::channel::<Bytes>(2);
    let receive = async {
        let mut bytes = from.recv().await.unwrap().len() as u64;
        let start = Instant::now();
        // It stands when nothing more was printed for a while.
        let mut standing: Option<u64> = count();
        loop {
            tokio::time::sleep(Duration::from_millis(400)).await;
            if standing.is_some() && count() == standing {
                break;
            }
            standing = count();
            assert!(start.elapsed() < LIMIT);
        }
        let most = standing.unwrap();
        while let Some(piece) = from.recv().await {
            bytes += piece.len() as u64;
        }
        (most, bytes)
    };
    let command = shell(&script).with_output_limit(100 * MIB);
    let (ended, (most, bytes)) = tokio::join!(node.pour(&command, into), receive);
    // The window, our queue, and what sshd and two sockets hold.
    assert!(most < 50, "{most} MiB were printed ahead of a receiver that did not take them");
    assert_eq!(bytes, 100 * MIB);
    assert_eq!(ended.unwrap(), Ended { exit: Exit::Code(3), stderr: b"bye\n".to_vec() });
}

async fn a_receiver_that_goes_away_ends_the_command(door: Transport) {
    let (home, sshd) = pair("");
    let node = bulk(door, &home, &sshd).await;
    // One that prints without end, and one that is silent.
    for command in [shell("exec cat /dev/zero").with_output_limit(u64::MAX), endless(LIMIT)] {
        let (into, mut from) = mpsc::channel::<Bytes>(2);
        let start = Instant::now();
        let receive = async {
            from.recv().await.unwrap();
            drop(from);
        };
        let (ended, ()) = tokio::join!(node.pour(&command, into), receive);
        assert!(matches!(ended, Err(NodeError::TooMuch { .. })), "{ended:?}");
        assert!(start.elapsed() < Duration::from_secs(10));
        commands_end(&sshd).await;
    }
}

async fn limits_of_size_time_and_silence_hold_and_a_slow_receiver_is_no_silence(door: Transport) {
    let (home, sshd) = pair("ForceCommand echo Welcome; eval \"$SSH_ORIGINAL_COMMAND\"");
    let node = bulk(door, &home, &sshd).await;
    let short = Duration::from_secs(1);
    let timed_out = NodeError::TimedOut { stage: Stage::Command, after: short };
    let pour = async |command: Command| {
        let (into, mut from) = mpsc::channel::<Bytes>(1);
        let receive = async {
            let mut text = Vec::new();
            while let Some(piece) = from.recv().await {
                text.extend_from_slice(&piece);
                tokio::time::sleep(Duration::from_millis(1200)).await;
            }
            text
        };
        tokio::join!(node.pour(&command, into), receive)
    };
    let (ended, text) = pour(shell("echo x; sleep 3").with_stall_limit(short)).await;
    assert_eq!((ended, text.as_slice()), (Err(timed_out), &b"x\n"[..]));
    let script = "for i in 1 2 3; do echo $i; sleep 0.05; done";
    let (ended, text) = pour(shell(script).with_stall_limit(short)).await;
    assert_eq!((ended.unwrap().exit, text.as_slice()), (Exit::Code(0), &b"1\n2\n3\n"[..]));
    let (ended, _) = pour(shell("echo 123").with_output_limit(3)).await;
    assert_eq!(ended, Err(NodeError::TooMuch { limit: 3 }));
    let limit = super::commands::short(door);
    let (ended, _) = pour(endless(limit)).await;
    assert_eq!(ended, Err(NodeError::TimedOut { stage: Stage::Command, after: limit }));
}

async fn a_stream_has_its_own_connection_to_a_jump_host(door: Transport) {
    let (home, jump) = pair("");
    let sshd = Sshd::start(&home, "");
    home.trust(&sshd);
    let ssh = by(door, &home);
    let hop = format!("{}@{}:{}", user(), jump.address, jump.port);
    let endpoint = Endpoint { proxy_jump: Some(vec![hop]), ..sshd.endpoint() };
    let control = ssh.connect(&endpoint).await.unwrap();
    let stream = ssh.connect_bulk(&endpoint).await.unwrap();
    assert_eq!(jump.log().matches("Accepted publickey").count(), 2);
    // Nobody takes what comes; the others go on.
    let (into, from) = mpsc::channel(1);
    let command = shell("exec cat /dev/zero").with_output_limit(u64::MAX);
    let ask = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let output = control.run(&shell("echo x")).await.unwrap();
        drop(from);
        output.stdout
    };
    let (_, stdout) = tokio::join!(stream.pour(&command, into), ask);
    assert_eq!(stdout, b"x\n");
}
