//! Behind the login: channels, windows, output and exits.

use std::time::Duration;

use futures::future::join_all;
use ringhaul::node::{Exit, NodeError, Stage};

use super::{COMMAND, PATIENCE, Tried, try_within};
use crate::raw_server::{Io, Message, Wire, close, data, eof, exit, stderr};

async fn try_it(deal: impl Fn(Wire) -> Io + Send + Sync + 'static) -> Tried {
    try_within(PATIENCE, PATIENCE, deal).await
}

/// The word behind which a command's output begins.
fn word(command: &str) -> String {
    let word = command.strip_prefix("echo ").and_then(|rest| rest.split_once(';'));
    format!("{}\n", word.expect("the text of a command").0)
}

fn all(wire: &mut Wire, messages: &[Message]) -> Io {
    messages.iter().try_for_each(|message| wire.send(message))?;
    wire.listen()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_as_it_should_be_is_understood() {
    let tried = try_it(|mut wire| {
        let (channel, text) = wire.command()?;
        let output = word(&text) + "x\n";
        all(&mut wire, &[data(channel, output), eof(channel), exit(channel, 0), close(channel)])
    });
    let output = tried.await.end.unwrap();
    assert_eq!((output.stdout.as_slice(), output.ended.exit), (&b"x\n"[..], Exit::Code(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_never_opened_or_never_answers_costs_the_command_limit() {
    let unopened = try_it(|mut wire| {
        wire.let_in()?;
        wire.listen()
    });
    unopened.await.timed_out(Stage::Channel, COMMAND);
    let unanswered = try_it(|mut wire| {
        wire.session(1 << 21, 32768)?;
        wire.listen()
    });
    unanswered.await.timed_out(Stage::Command, COMMAND);
    // No room to write anything into, and packets of no size.
    let sizes = [(0, 0), (0, 32768), (u32::MAX, 0), (u32::MAX, u32::MAX), (1, 1)];
    let tries = sizes.map(|(window, packet)| {
        try_it(move |mut wire| {
            wire.session(window, packet)?;
            wire.listen()
        })
    });
    for tried in join_all(tries).await {
        tried.within(COMMAND).error();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_without_the_commands_own_word_is_no_success() {
    type End = fn(u32) -> Vec<Message>;
    let ends: [End; 9] = [
        |channel| vec![exit(channel, 0), eof(channel), close(channel)],
        |channel| vec![eof(channel), close(channel)],
        |channel| vec![close(channel)],
        |channel| vec![exit(channel, 0), exit(channel, 1), exit(channel, 0), close(channel)],
        |channel| vec![data(channel, "x\n"), exit(channel, 0), close(channel)],
        |channel| vec![data(channel, "ringhaul-\n"), exit(channel, 0), close(channel)],
        |channel| vec![stderr(channel, "\x1b[2J\x07no\n"), exit(channel, 0), close(channel)],
        |channel| vec![Message::new(100).number(channel)],
        |channel| {
            let signal = Message::new(98).number(channel).text("exit-signal").byte(0);
            vec![signal.text("\x1b[2J".repeat(9999)).byte(0).text("").text(""), close(channel)]
        },
    ];
    for (index, end) in ends.into_iter().enumerate() {
        let tried = try_it(move |mut wire| {
            let (channel, _) = wire.command()?;
            all(&mut wire, &end(channel))
        });
        let tried = tried.await;
        let error = tried.within(Duration::ZERO).error();
        assert!(
            matches!(error, NodeError::NoCommand { .. } | NodeError::Lost { .. }),
            "{index}: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_without_an_exit_or_an_end_is_no_success() {
    for messages in [
        |channel| vec![eof(channel), close(channel)],
        |channel| vec![close(channel)],
        |_| vec![Message::new(1).number(2).text("bye").text("")],
    ] {
        let tried = try_it(move |mut wire| {
            let (channel, text) = wire.command()?;
            wire.send(&data(channel, word(&text) + "x\n"))?;
            all(&mut wire, &messages(channel))
        });
        tried.await.lost();
    }
    // An exit, and then nothing: there may be more output.
    let unended = try_it(|mut wire| {
        let (channel, text) = wire.command()?;
        all(&mut wire, &[data(channel, word(&text)), exit(channel, 0)])
    });
    unended.await.timed_out(Stage::Command, COMMAND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_exits_a_bad_one_counts() {
    for codes in [[0, 1], [1, 0]] {
        let tried = try_it(move |mut wire| {
            let (channel, text) = wire.command()?;
            let exits = codes.map(|code| exit(channel, code));
            let [first, second] = exits;
            all(&mut wire, &[first, data(channel, word(&text)), second, close(channel)])
        });
        let tried = tried.await;
        let success = matches!(&tried.end, Ok(output) if output.ended.exit == Exit::Code(0));
        assert!(!success, "{codes:?}: {tried:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_without_end_is_cut_off() {
    // Instead of the command, as its output, on stderr, and on a stream nobody knows.
    let tries = [0, 1, 2, 3].map(|kind| {
        try_it(move |mut wire| {
            let (channel, text) = wire.command()?;
            let piece = "x".repeat(32_000);
            match kind {
                0 => wire.flood(&data(channel, piece)),
                1 => {
                    wire.send(&data(channel, word(&text)))?;
                    wire.flood(&data(channel, piece))
                }
                2 => wire.flood(&stderr(channel, piece)),
                _ => wire.flood(&Message::new(95).number(channel).number(77).text(piece)),
            }
        })
    });
    for tried in join_all(tries).await {
        tried.within(COMMAND).error();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_for_channels_that_never_were_is_nobodys() {
    for other in [1, 99, u32::MAX] {
        let tried = try_it(move |mut wire| {
            let (channel, text) = wire.command()?;
            let other = other.max(channel + 1);
            for message in [
                data(other, word(&text) + "bad\n"),
                stderr(other, "bad"),
                Message::new(93).number(other).number(u32::MAX),
                exit(other, 0),
                eof(other),
                close(other),
                Message::new(99).number(other),
                Message::new(91).number(other).number(5).number(0).number(0),
                Message::new(92).number(other).number(1).text("no").text(""),
            ] {
                wire.send(&message)?;
            }
            let end = [data(channel, word(&text) + "x\n"), exit(channel, 0), close(channel)];
            all(&mut wire, &end)
        });
        let tried = tried.await.within(COMMAND).end.clone();
        match tried {
            Ok(output) => assert_eq!(output.stdout, b"x\n"),
            // To hang up on such a server is as good.
            Err(error) => assert!(matches!(error, NodeError::Lost { .. }), "{error:?}"),
        }
    }
}

/// Sends the same without end to a client that waits for its command.
async fn flood(message: &Message, reads_answers: bool) -> Tried {
    let message = message.clone();
    try_it(move |mut wire| {
        wire.command()?;
        if reads_answers {
            let mut other = wire.stream.try_clone()?;
            std::thread::spawn(move || std::io::copy(&mut other, &mut std::io::sink()));
        }
        wire.flood(&message)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_asks_of_us_without_end_takes_no_memory() {
    let open = |kind: &str| Message::new(90).text(kind).number(7).number(1 << 20).number(1 << 15);
    for message in [
        open("session"),
        open("forwarded-tcpip").text("127.0.0.1").number(1).text("127.0.0.1").number(1),
        open("x11").text("127.0.0.1").number(1),
        open("\x1b[2J"),
        Message::new(80).text("keepalive@openssh.com").byte(1),
        Message::new(98).number(0).text("keepalive@openssh.com").byte(1),
    ] {
        for tried in <[Tried; 2]>::from(tokio::join!(flood(&message, true), flood(&message, false)))
        {
            tried.within(COMMAND).error();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_tells_us_without_end_takes_no_memory() {
    let floods = [
        Message::new(80).text("hostkeys-00@openssh.com").byte(0).text([0; 64]),
        Message::new(93).number(0).number(u32::MAX),
        Message::new(99).number(0),
        Message::new(81),
        Message::new(3).number(5),
        Message::new(192).text([0; 1024]),
        Message::new(2).text([0; 1024]),
    ];
    for two in floods.chunks(2) {
        for tried in join_all(two.iter().map(|one| flood(one, false))).await {
            tried.within(COMMAND).error();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_exchange_that_never_ends_costs_the_command_limit() {
    let tried = try_it(|mut wire| {
        wire.command()?;
        wire.send(&crate::raw_server::kexinit())?;
        wire.listen()
    });
    let tried = tried.await;
    tried.within(COMMAND).error();
    let again = try_it(|mut wire| {
        wire.command()?;
        wire.flood(&crate::raw_server::kexinit())
    });
    let again = again.await;
    again.within(COMMAND).error();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_that_are_not_what_they_say_are_an_error() {
    // Cut short, of no kind, empty, and with lengths beyond their end.
    let payloads = [
        vec![94],
        vec![94, 0, 0, 0],
        vec![94, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
        vec![98, 0, 0, 0, 0, 0, 0, 0, 200, b'e'],
        vec![95, 0, 0, 0, 0],
        vec![1],
        vec![1, 0, 0, 0, 1, 0, 0, 1, 0],
        vec![255],
        vec![],
        vec![0; 200_000],
    ];
    let tries = payloads.map(|payload| {
        try_it(move |mut wire| {
            wire.command()?;
            wire.send(&Message(payload.clone()))?;
            wire.listen()
        })
    });
    for tried in join_all(tries).await {
        tried.within(COMMAND).error();
    }
}
