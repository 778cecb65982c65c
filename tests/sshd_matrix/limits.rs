//! Servers of every release at their limits: few sessions, few logins at once, new keys in the
//! middle of a stream; and commands that are given up there.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use ringhaul::node::{Command, Connect, Exit, Node, NodeError, Stage};
use tokio::sync::mpsc;

use super::servers::{Program, Setup};
use super::{Cell, LIMIT, Place, command, runtime, servers};

const SUITES: [&str; 3] = ["bullseye", "bookworm", "trixie"];

fn place(setup: Setup<'_>) -> Place {
    Place::of(&Cell { setup, ..Cell::PLAIN })
}

/// What pours through new keys all the time, in MiB.
const STREAM: u64 = 200;

#[test]
fn commands_queue_where_few_sessions_are_allowed() {
    for suite in SUITES.into_iter().filter(|suite| servers::is_here(suite)) {
        for lines in ["MaxSessions 1", "MaxSessions 2"] {
            let place = place(Setup { suite, lines, ..Setup::PLAIN });
            runtime().block_on(async {
                let node = place.ours().connect(&Place::endpoint()).await.unwrap();
                let words: Vec<String> = (0..8).map(|number| number.to_string()).collect();
                let commands: Vec<Command> =
                    words.iter().map(|word| command(&["echo", word])).collect();
                let outputs = join_all(commands.iter().map(|one| node.run(one))).await;
                for (word, output) in words.iter().zip(outputs) {
                    assert_eq!(output.unwrap().stdout, format!("{word}\n").as_bytes());
                }
            });
        }
    }
}

#[test]
fn who_is_turned_away_at_the_door_comes_again() {
    for suite in SUITES.into_iter().filter(|suite| servers::is_here(suite)) {
        // Who comes while another one logs in is turned away, at once and without a word.
        let place = place(Setup { suite, lines: "MaxStartups 1:100:1", ..Setup::PLAIN });
        runtime().block_on(async {
            let ours = place.ours();
            let endpoint = Place::endpoint();
            let lines = join_all((0..4).map(|_| ours.connect(&endpoint))).await;
            for line in lines {
                line.unwrap();
            }
        });
        let log = place.server.log();
        assert!(log.to_lowercase().contains("maxstartups"), "{log}");
    }
}

/// Pours a stream and counts it; the server makes new keys for each MiB of it.
fn pour_through_new_keys(suite: &str, lines: &str, mib: u64) {
    let place = place(Setup { suite, lines, ..Setup::PLAIN });
    let script = format!("head -c {} /dev/zero; echo end >&2; exit 5", mib << 20);
    let stream = Command::new(["sh", "-c", &script], LIMIT * 60).with_output_limit(mib << 20);
    let start = Instant::now();
    let (ended, bytes) = runtime().block_on(async {
        let node = place.ours().connect_bulk(&Place::endpoint()).await.unwrap();
        let (into, mut from) = mpsc::channel::<Bytes>(16);
        let count = async {
            let mut bytes = 0;
            while let Some(piece) = from.recv().await {
                bytes += piece.len() as u64;
            }
            bytes
        };
        tokio::join!(node.pour(&stream, into), count)
    });
    println!("{suite}: {mib} MiB with {lines:?} in {:.1?}", start.elapsed());
    let ended = ended.unwrap();
    assert_eq!((ended.exit, ended.stderr, bytes), (Exit::Code(5), b"end\n".to_vec(), mib << 20));
}

#[test]
fn a_stream_goes_on_through_new_keys() {
    for suite in SUITES.into_iter().filter(|suite| servers::is_here(suite)) {
        pour_through_new_keys(suite, "RekeyLimit 1M", STREAM / 8);
    }
    if servers::is_here("bookworm") {
        pour_through_new_keys("bookworm", "RekeyLimit 1M", STREAM);
    }
}

#[test]
#[ignore = "takes minutes: cargo test --release --test sshd_matrix -- --ignored"]
fn a_stream_of_ten_gib_goes_on_through_new_keys() {
    assert!(servers::is_here("bookworm"));
    pour_through_new_keys("bookworm", "RekeyLimit 1G", 10 << 10);
}

#[test]
fn a_command_that_is_given_up_ends_on_the_node() {
    for suite in SUITES.into_iter().filter(|suite| servers::is_here(suite)) {
        for (program, shell) in [
            (Program::OpenSsh, "/bin/dash"),
            (Program::OpenSsh, "/usr/bin/fish"),
            (Program::OpenSsh, "/usr/bin/tcsh"),
            (Program::Dropbear, "/bin/dash"),
        ] {
            let place = place(Setup { suite, program, shell, ..Setup::PLAIN });
            let after = Duration::from_secs(4);
            let sleep = Command::new(["sleep", "1000"], after);
            let sleeps = || place.server.processes().iter().any(|line| line.contains("sleep 1000"));
            let (error, ran) = runtime().block_on(async {
                let ours = place.ours();
                let node = ours.connect(&Place::endpoint()).await.unwrap();
                let look = async {
                    tokio::time::sleep(after / 2).await;
                    sleeps()
                };
                let (ended, ran) = tokio::join!(node.run(&sleep), look);
                ours.settle(Duration::from_secs(10)).await;
                (ended.unwrap_err(), ran)
            });
            assert!(ran, "{suite}, {program:?}, {shell}: {:#?}", place.server.processes());
            assert_eq!(error, NodeError::TimedOut { stage: Stage::Command, after });
            let start = Instant::now();
            while sleeps() {
                assert!(
                    start.elapsed() < Duration::from_secs(10),
                    "{suite}, {program:?}, {shell}: {:#?}",
                    place.server.processes()
                );
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}
