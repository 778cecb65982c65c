//! The lock lives as long as its line: good ends and bad ones, on this machine and over SSH.

use std::time::{Duration, Instant};

use ringhaul::cassandra::fact::WhyKind;
use ringhaul::node::ssh::SshNode;
use ringhaul::node::{Command, Connect as _};

use super::sshd::{Home, Sshd, send};
use super::*;

fn pair(lines: &str) -> (Home, Sshd) {
    let home = Home::new();
    home.key("id_ed25519", "ed25519", "");
    let sshd = Sshd::start(&home, lines);
    home.trust(&sshd);
    (home, sshd)
}

async fn line(home: &Home, sshd: &Sshd) -> Arc<SshNode> {
    Arc::new(home.ssh().connect(&sshd.endpoint()).await.unwrap())
}

fn echo() -> Command {
    Command::new(["echo", "x"], LONG)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_shell_holds_the_node_while_the_lock_lives_and_lets_go_of_it_at_once() {
    let mut asked = 0;
    for shell in ["dash", "bash", "busybox"] {
        let Some(program) = on_path(shell) else { continue };
        let mut place = Place::new();
        place.terms.silence = Duration::from_secs(3);
        link(&place, &program, "sh");
        let door = place.door();
        let lock = place.take(&door, &FIRST).await.unwrap();
        // Longer than the silence that it would take for a dead line.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let by = held_by(place.take(&door, &SECOND).await);
        assert!(!lock.is_lost(), "{shell}");
        let said = by.to_string();
        assert!(said.starts_with("ops@first, run run-1, enable, since "), "{shell}: {said}");
        assert!(said.ends_with(" UTC") && !by.is_line_dead, "{shell}: {said}");
        assert!((4..60).contains(&by.age), "{shell}: {by:?}");
        let begun = Instant::now();
        lock.release().await;
        assert!(begun.elapsed() < Duration::from_secs(3), "{shell}: {:?}", begun.elapsed());
        assert_eq!(place.names(), [""; 0], "{shell}");
        place.take(&door, &SECOND).await.unwrap().release().await;
        asked += 1;
    }
    assert!(asked > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_dies_keeps_the_node_for_a_while_for_all_but_its_own_run() {
    let place = Place::new();
    let door = place.door();
    drop(place.take(&door, &FIRST).await.unwrap());
    let (marked, begun) = (|| place.names().len() == 2, Instant::now());
    until("the ticket is marked", marked).await;
    let by = held_by(place.take(&door, &SECOND).await);
    assert!(by.is_line_dead, "{by:?}");
    assert!(by.to_string().ends_with("(its line is dead, the lock ends in a moment)"), "{by}");
    let again = place.take(&door, &FIRST).await.unwrap();
    assert_eq!(held_by(place.take(&door, &SECOND).await).run, "run-1");
    again.release().await;
    let (lock, told) = place.wait_for(&door, &SECOND).await;
    assert!(begun.elapsed() > Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(told.iter().all(|by| by.is_line_dead && by.run == "run-1"), "{told:?}");
    lock.unwrap().release().await;
    assert_eq!(place.names(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_killed_frees_the_node_and_the_lock_is_known_to_be_lost() {
    let (home, sshd) = pair("");
    killed(Arc::new(Local { bin: "/bin".into() })).await;
    killed(line(&home, &sshd).await).await;
}

async fn killed<N: Node>(node: Arc<N>) {
    let place = Place::new();
    let lock = place.take(&node, &FIRST).await.unwrap();
    send("-KILL", place.holder());
    let begun = Instant::now();
    let why = tokio::time::timeout(LONG, lock.lost()).await.unwrap();
    assert!(begun.elapsed() < place.terms.silence / 2, "{:?}", begun.elapsed());
    assert!(lock.is_lost());
    assert_eq!(why.kind, WhyKind::Lost);
    assert!(why.text.starts_with("the lock's script on the node ended: signal"), "{why}");
    place.take(&node, &SECOND).await.unwrap().release().await;
    assert_eq!(place.names(), [""; 0], "the dead ticket is cleared away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_hung_up_or_whose_ticket_is_removed_ends_and_says_so() {
    let place = Place::new();
    let door = place.door();
    for signal in ["-HUP", "-TERM"] {
        let lock = place.take(&door, &FIRST).await.unwrap();
        send(signal, place.holder());
        until("the ticket is marked", || place.names().len() == 2).await;
        assert!(held_by(place.take(&door, &SECOND).await).is_line_dead, "{signal}");
        tokio::time::timeout(LONG, lock.lost()).await.unwrap();
        assert_eq!(place.names(), [""; 0], "{signal}");
    }
    let lock = place.take(&door, &FIRST).await.unwrap();
    std::fs::remove_file(format!("{}/{}", place.terms.folder, place.names()[0])).unwrap();
    let why = tokio::time::timeout(LONG, lock.lost()).await.unwrap();
    assert!(why.text.ends_with("somebody removed its ticket"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_run_beside_the_lock_and_it_is_seen_from_another_line() {
    for lines in ["", "MaxSessions 1", "MaxSessions 2"] {
        let (home, sshd) = pair(lines);
        let place = Place::new();
        let (node, other) = (line(&home, &sshd).await, line(&home, &sshd).await);
        let lock = place.take(&node, &FIRST).await.unwrap();
        let command = echo();
        for _ in 0..5 {
            let runs = futures::future::join_all((0..10).map(|_| node.run(&command)));
            let runs = tokio::time::timeout(LONG, runs).await.unwrap();
            assert!(runs.into_iter().all(|run| run.unwrap().stdout == b"x\n"), "{lines}");
        }
        assert_eq!(held_by(place.take(&other, &SECOND).await).who, "ops@first");
        lock.release().await;
        place.take(&other, &SECOND).await.unwrap().release().await;
        assert_eq!(place.names(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_server_of_one_session_the_lock_has_a_connection_of_its_own() {
    let (home, sshd) = pair("MaxSessions 1");
    let (place, node) = (Place::new(), line(&home, &sshd).await);
    // While a command has the one session, the lock waits for it.
    let busy = Command::new(["sh", "-c", "echo began; exec sleep 1"], LONG);
    let (ran, lock) = tokio::join!(node.run(&busy), place.take(&node, &FIRST));
    assert_eq!(ran.unwrap().stdout, b"began\n");
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 2);
    // The connection goes, and the lock with it; the line it was asked for on stays.
    let lock = lock.unwrap();
    let is_sshd = |pid: &&u32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.starts_with("sshd")
    };
    let processes = sshd.processes();
    send("-KILL", *processes.iter().rev().find(is_sshd).unwrap());
    tokio::time::timeout(LONG, lock.lost()).await.unwrap();
    assert_eq!(node.run(&echo()).await.unwrap().stdout, b"x\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_dropped_leaves_the_line_to_others() {
    let (home, sshd) = pair("");
    let (place, node) = (Place::new(), line(&home, &sshd).await);
    drop(place.take(&node, &FIRST).await.unwrap());
    until("the ticket is marked", || place.names().len() == 2).await;
    assert!(held_by(place.take(&node, &SECOND).await).is_line_dead);
    assert_eq!(node.run(&echo()).await.unwrap().stdout, b"x\n");
    until("the ticket is gone", || place.names().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_killed_ends_the_lock_after_the_linger() {
    let (home, sshd) = pair("");
    let (place, node) = (Place::new(), line(&home, &sshd).await);
    let lock = place.take(&node, &FIRST).await.unwrap();
    let holder = place.holder();
    let sessions = sshd.processes();
    for pid in sessions.into_iter().skip(1).filter(|pid| *pid != holder) {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if name.starts_with("sshd") {
            send("-KILL", pid);
        }
    }
    let why = tokio::time::timeout(LONG, lock.lost()).await.unwrap();
    assert_eq!(why.kind, WhyKind::Lost, "{why}");
    let other = line(&home, &sshd).await;
    let (second, told) = place.wait_for(&other, &SECOND).await;
    assert!(told.iter().any(|by| by.is_line_dead), "{told:?}");
    second.unwrap().release().await;
    assert_eq!(place.names(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_stands_still_loses_the_lock_and_finds_its_line_cut() {
    let (home, sshd) = pair("");
    let mut place = Place::new();
    // To the node, no beats are what a controller is that was stopped.
    place.terms.beat = LONG * 60;
    place.terms.silence = Duration::from_secs(1);
    let (node, other) = (line(&home, &sshd).await, line(&home, &sshd).await);
    let lock = place.take(&node, &FIRST).await.unwrap();
    let (second, told) = place.wait_for(&other, &SECOND).await;
    let second = second.unwrap();
    assert!(told.iter().any(|by| by.is_line_dead), "{told:?}");
    assert_eq!(place.names().len(), 1, "the node is the second's alone");
    assert!(node.run(&echo()).await.is_err(), "the first goes on as if nothing had been");
    assert_eq!(tokio::time::timeout(LONG, lock.lost()).await.unwrap().kind, WhyKind::Lost);
    assert_eq!(other.run(&echo()).await.unwrap().stdout, b"x\n", "it was the other's line");
    second.release().await;
}
