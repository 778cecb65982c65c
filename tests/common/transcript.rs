//! A door that replays what `ringhaul audit --transcript` recorded.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use ringhaul::node::{Command, Connect, Ended, Endpoint, Exit, Node, NodeError, Sink};
use tokio::sync::mpsc;

/// A folder with a text a node. A node without a text refuses the connection.
pub(crate) struct Transcripts {
    pub(crate) folder: PathBuf,
}

/// One node's answers: to each command the replies in their order, the last one repeated.
pub(crate) struct Replay {
    name: String,
    replies: Mutex<HashMap<String, Vec<Reply>>>,
}

#[derive(Clone)]
struct Reply {
    stdout: Vec<u8>,
    ended: Ended,
}

impl Connect for Transcripts {
    type Node = Replay;

    async fn connect(&self, endpoint: &Endpoint) -> Result<Replay, NodeError> {
        let path = self.folder.join(format!("{}.txt", endpoint.host));
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Replay::parse(&endpoint.host, &text)),
            Err(_) => Err(NodeError::Refused { address: endpoint.host.clone() }),
        }
    }
}

impl Replay {
    fn parse(name: &str, text: &str) -> Self {
        let mut replies: HashMap<String, Vec<Reply>> = HashMap::new();
        for entry in text.split("\n$ ").skip(1) {
            let (command, lines) = entry.split_once('\n').unwrap();
            let (mut stdout, mut stderr, mut exit) = (Vec::new(), Vec::new(), None);
            for line in lines.lines().filter(|line| !line.is_empty()) {
                match line.split_at(2) {
                    ("> ", rest) => stdout.extend([unescaped(rest), b"\n".to_vec()].concat()),
                    (">~", rest) => stdout.extend(unescaped(rest)),
                    ("! ", rest) => stderr.extend([unescaped(rest), b"\n".to_vec()].concat()),
                    ("!~", rest) => stderr.extend(unescaped(rest)),
                    // A stream was recorded by its length alone.
                    ("~ ", _) => {}
                    ("= ", rest) => exit = Some(rest.strip_prefix("exit ").unwrap().parse()),
                    _ => panic!("{name}: no line of a transcript: {line}"),
                }
            }
            let exit = Exit::Code(exit.expect("an exit").unwrap());
            let reply = Reply { stdout, ended: Ended { exit, stderr } };
            replies.entry(command.to_owned()).or_default().push(reply);
        }
        Self { name: name.to_owned(), replies: Mutex::new(replies) }
    }
}

impl Node for Replay {
    async fn feed(&self, command: &Command, sink: &mut Sink<'_>) -> Result<Ended, NodeError> {
        let reply = {
            let mut replies = self.replies.lock().unwrap();
            let Some(waiting) = replies.get_mut(&command.to_string()) else {
                panic!("{} was never asked: {command}\nrecord the transcripts anew", self.name);
            };
            if waiting.len() > 1 { waiting.remove(0) } else { waiting[0].clone() }
        };
        // In small pieces, as a network brings them.
        for piece in reply.stdout.chunks(777) {
            if sink(piece) == ControlFlow::Break(()) {
                return Err(NodeError::TooMuch { limit: 0 });
            }
        }
        Ok(reply.ended)
    }

    async fn pour(&self, _: &Command, _: mpsc::Sender<Bytes>) -> Result<Ended, NodeError> {
        panic!("{}: a transcript has no streams", self.name);
    }

    async fn hold(
        &self,
        command: &Command,
        _: Duration,
        enough: impl Future<Output = ()> + Send,
        sink: &mut Sink<'_>,
    ) -> Result<Ended, NodeError> {
        let ended = self.feed(command, sink).await?;
        enough.await;
        Ok(ended)
    }
}

fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.as_bytes());
        let (byte, left) = match after.as_bytes()[0] {
            b'\\' => (vec![b'\\'], &after[1..]),
            b'0' => (vec![0], &after[1..]),
            b'x' => (vec![u8::from_str_radix(&after[1..3], 16).unwrap()], &after[3..]),
            b'u' => {
                let (code, left) = after[2..].split_once('}').unwrap();
                let c = char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap();
                (c.to_string().into_bytes(), left)
            }
            other => panic!("no escape of a transcript: \\{}", char::from(other)),
        };
        bytes.extend(byte);
        rest = left;
    }
    bytes.extend(rest.as_bytes());
    bytes
}
