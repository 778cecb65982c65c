//! Before anybody is let in: versions, the key exchange, the host key's proof.

use std::io::Write as _;
use std::time::Duration;

use futures::future::join_all;
use ringhaul::node::Stage;

use super::{HANDSHAKE, PATIENCE, Tried, try_within};
use crate::raw_server::{Io, Message, Wire, kexinit};

async fn try_it(deal: impl Fn(Wire) -> Io + Send + Sync + 'static) -> Tried {
    try_within(HANDSHAKE, PATIENCE, deal).await
}

/// Writes the same bytes for as long as the client takes them.
fn pour(wire: &mut Wire, bytes: &[u8]) -> Io {
    loop {
        wire.stream.write_all(bytes)?;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_without_end_before_the_version_are_not_read_without_end() {
    let (lines, long, escapes) = tokio::join!(
        try_it(|mut wire| pour(&mut wire, b"Welcome to this machine\r\n")),
        try_it(|mut wire| pour(&mut wire, b"SSH-2.0-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        try_it(|mut wire| pour(&mut wire, b"\x1b]0;owned\x07\x1b[2J\n")),
    );
    assert!(lines.within(HANDSHAKE).lost().contains("Welcome to this machine"), "{lines:?}");
    long.within(HANDSHAKE).lost();
    escapes.within(HANDSHAKE).lost();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_letter_by_letter_costs_the_handshake_limit() {
    let tried = try_it(|mut wire| {
        for byte in b"SSH-2.0-Slow".iter().cycle() {
            wire.stream.write_all(&[*byte])?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    });
    tried.await.timed_out(Stage::Handshake, HANDSHAKE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_of_impossible_lengths_are_an_error_and_not_memory() {
    let lengths: [u32; 7] = [u32::MAX, 1 << 31, 1 << 24, 400_000, 0, 1, 11];
    let tries = lengths.map(|length| {
        try_it(move |mut wire| {
            wire.greet()?;
            wire.stream.write_all(&length.to_be_bytes())?;
            pour(&mut wire, &[0; 4096])
        })
    });
    for tried in join_all(tries).await {
        tried.within(HANDSHAKE).lost();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_exchange_of_garbage_is_an_error() {
    let cut = |at: usize| Message(kexinit().0[..at].to_vec());
    let huge_list = Message(kexinit().0[..17].to_vec()).number(u32::MAX);
    let binary = Message(kexinit().0[..17].to_vec()).text([0xff; 64]);
    let empty = Message(kexinit().0[..17].to_vec()).text("").text("");
    let newkeys = Message::new(21);
    let reply = Message::new(31).text("").text("").text("");
    let login = Message::new(52);
    let garbage = [
        cut(1),
        cut(17),
        cut(60),
        huge_list,
        binary,
        empty,
        newkeys,
        reply,
        login,
        Message::new(0),
    ];
    let tries = garbage.map(|message| {
        try_it(move |mut wire| {
            wire.greet()?;
            wire.send(&message)?;
            wire.listen()
        })
    });
    for tried in join_all(tries).await {
        tried.within(HANDSHAKE).error();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_exchange_that_never_ends_costs_the_handshake_limit() {
    let silent = try_it(|mut wire| {
        wire.greet()?;
        wire.send(&kexinit())?;
        wire.listen()
    });
    silent.await.timed_out(Stage::Handshake, HANDSHAKE);
    // Messages to be ignored, one after the other, as fast as they are taken.
    for filler in
        [Message::new(2).text([0; 1024]), Message::new(4).byte(1).text("\x1b[2J").text("")]
    {
        let filled = try_it(move |mut wire| {
            wire.greet()?;
            wire.send(&kexinit())?;
            wire.flood(&filler)
        });
        filled.await.within(HANDSHAKE).error();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_key_without_its_proof_is_refused() {
    let key = || Message::default().text("ssh-ed25519").text([9; 32]).0;
    let unproven = Message::default().text("ssh-ed25519").text([1; 64]).0;
    let cases = [
        (key(), vec![5; 32], unproven.clone()),
        // A point that makes the secret zero.
        (key(), vec![0; 32], unproven.clone()),
        (key(), vec![5; 31], unproven.clone()),
        (key(), Vec::new(), unproven.clone()),
        (key(), vec![5; 32], Vec::new()),
        (Vec::new(), vec![5; 32], unproven.clone()),
        (vec![0xff; 1000], vec![5; 32], unproven),
    ];
    let tries = cases.map(|(key, point, signature)| {
        try_it(move |mut wire| {
            wire.greet()?;
            wire.send(&kexinit())?;
            wire.wait_for(30)?;
            wire.send(&Message::new(31).text(&key).text(&point).text(&signature))?;
            wire.listen()
        })
    });
    for tried in join_all(tries).await {
        tried.within(HANDSHAKE).lost();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_with_escape_codes_is_shown_without_them() {
    let goodbye = Message::new(1).number(2).text("\x1b[2Jgo\x07 away\n").text("");
    let before = goodbye.clone();
    let early = try_it(move |mut wire| {
        wire.greet()?;
        wire.send(&before)?;
        wire.listen()
    });
    early.await.lost();
    let before = goodbye.clone();
    let login = try_it(move |mut wire| {
        wire.asked_in()?;
        wire.send(&before)?;
        wire.listen()
    });
    assert!(login.await.lost().contains("away"));
    let command = try_it(move |mut wire| {
        wire.command()?;
        wire.send(&goodbye)?;
        wire.listen()
    });
    assert!(command.await.lost().contains("away"));
}
