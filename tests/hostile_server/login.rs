//! Logging in: success nobody asked for, failures and banners without end.

use futures::future::join_all;
use ringhaul::node::{AuthMethod, NodeError, Stage};

use super::{AUTH, COMMAND, PATIENCE, Tried, try_with, try_within};
use crate::raw_server::{Io, Message, Wire, data, eof, exit};

async fn try_it(deal: impl Fn(Wire) -> Io + Send + Sync + 'static) -> Tried {
    try_within(PATIENCE, AUTH, deal).await
}

fn failure(methods: &str, partial: bool) -> Message {
    Message::new(51).text(methods).byte(partial.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_never_answered_costs_its_limit() {
    let silent = try_it(|mut wire| {
        wire.asked_in()?;
        wire.listen()
    });
    silent.await.timed_out(Stage::Auth, AUTH);
    let no_service = try_it(|mut wire| {
        wire.exchange()?;
        wire.listen()
    });
    no_service.await.timed_out(Stage::Auth, AUTH);
    let floods = [
        Message::new(53).text("Welcome\x1b[2J\n".repeat(100)).text(""),
        Message::new(2).text([0; 1024]),
        Message::new(192).text([0; 1024]),
        Message::new(80).text("keepalive@openssh.com").byte(1),
    ];
    let tries = floods.map(|message| {
        try_it(move |mut wire| {
            wire.asked_in()?;
            wire.flood(&message)
        })
    });
    for tried in join_all(tries).await {
        tried.within(AUTH).error();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_without_end_end() {
    // Each offer is answered, and never with the end of it.
    let answers = [
        ("publickey", true),
        ("publickey", false),
        ("publickey,keyboard-interactive,password", true),
        ("", true),
        ("hostbased,\x1b[2J,gssapi-with-mic", false),
    ];
    let tries = answers.map(|(methods, partial)| {
        try_it(move |mut wire| {
            wire.asked_in()?;
            loop {
                wire.send(&failure(methods, partial))?;
                wire.wait_for(50)?;
            }
        })
    });
    for tried in join_all(tries).await {
        let error = tried.within(AUTH).error();
        assert!(!matches!(error, NodeError::NoCommand { .. } | NodeError::Local(_)), "{error:?}");
    }
    let long = "x,".repeat(100_000);
    let tried = try_it(move |mut wire| {
        wire.asked_in()?;
        wire.send(&failure(&long, false))?;
        wire.listen()
    });
    let tried = tried.await;
    tried.within(AUTH).error();
    let flood = try_it(move |mut wire| {
        wire.asked_in()?;
        wire.flood(&failure("publickey", true))
    });
    let flood = flood.await;
    flood.within(AUTH).error();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn success_that_nobody_asked_for_runs_no_command() {
    // Before the service was asked for, before anything was offered, and twice.
    let early = try_it(|mut wire| {
        wire.exchange()?;
        wire.send(&Message::new(52))?;
        wire.listen()
    });
    let unasked = try_it(|mut wire| {
        wire.exchange()?;
        wire.wait_for(5)?;
        wire.send(&Message::new(52))?;
        wire.listen()
    });
    let twice = try_it(|mut wire| {
        wire.let_in()?;
        wire.send(&Message::new(52))?;
        wire.send(&failure("publickey", false))?;
        wire.listen()
    });
    for tried in <[Tried; 3]>::from(tokio::join!(early, unasked, twice)) {
        tried.within(AUTH + COMMAND).error();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_before_the_login_is_no_session() {
    let tried = try_it(|mut wire| {
        wire.asked_in()?;
        for message in [
            Message::new(91).number(0).number(0).number(1 << 20).number(1 << 15),
            Message::new(99).number(0),
            data(0, "x\n"),
            exit(0, 0),
            eof(0),
        ] {
            wire.send(&message)?;
        }
        wire.listen()
    });
    let tried = tried.await;
    tried.within(AUTH).error();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_we_did_not_offer_is_not_signed_with() {
    // "That key would do": another one than was asked about, an empty one, questions instead.
    let other = Message::default().text("ssh-ed25519").text([9; 32]).0;
    let answers = [
        Message::new(60).text("ssh-ed25519").text(other),
        Message::new(60).text("").text(""),
        Message::new(60).text("\x1b[2J").text("").text("").number(u32::MAX),
        Message::new(61).number(0),
    ];
    let tries = answers.map(|message| {
        try_it(move |mut wire| {
            wire.asked_in()?;
            loop {
                wire.send(&message)?;
                wire.wait_for(50)?;
            }
        })
    });
    for tried in join_all(tries).await {
        tried.within(AUTH).error();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_without_end_end() {
    let ask = |prompts: u32| Message::new(60).text("\x1b[2J").text("").text("").number(prompts);
    let rounds = [
        ask(0),
        ask(1).text("Password: ").byte(0),
        ask(1).text("\x1b]0;owned\x07How many? ").byte(1),
        ask(u32::MAX),
        (0..5000).fold(ask(5000), |round, _| round.text("Again? ").byte(1)),
    ];
    let tries = rounds.map(|round| {
        let auth = vec![AuthMethod::KeyboardInteractive];
        try_with(PATIENCE, AUTH, auth, move |mut wire| {
            wire.asked_in()?;
            wire.send(&failure("keyboard-interactive", false))?;
            // The next that is asked for is a conversation.
            wire.wait_for(50)?;
            loop {
                wire.send(&round)?;
                wire.wait_for(61)?;
            }
        })
    });
    for tried in join_all(tries).await {
        let error = tried.within(AUTH).error();
        assert!(!matches!(error, NodeError::NoCommand { .. } | NodeError::Local(_)), "{error:?}");
    }
    // And without waiting for the answers.
    let auth = vec![AuthMethod::KeyboardInteractive];
    let round = ask(1).text("Password: ").byte(0);
    let flood = try_with(PATIENCE, AUTH, auth, move |mut wire| {
        wire.asked_in()?;
        wire.send(&failure("keyboard-interactive", false))?;
        wire.wait_for(50)?;
        wire.flood(&round)
    });
    let flood = flood.await;
    flood.within(AUTH).error();
}
