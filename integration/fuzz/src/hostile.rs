//! A node whose every answer is the fuzzer's.

use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use ringhaul::node::{Command, Connect, Ended, Endpoint, Exit, Node, NodeError, Sink};
use tokio::sync::mpsc;

/// Between two replies, and between standard output and standard error of one.
const REPLY: u8 = 0x1e;
const STDERR: u8 = 0x1f;

/// What one command prints, and how it ends.
#[derive(Debug, Clone)]
pub struct Reply {
    stdout: Vec<u8>,
    ended: Ended,
}

impl Reply {
    /// The first byte is the exit, as a digit.
    fn read(bytes: &[u8]) -> Self {
        let (exit, rest) = bytes.split_first().unwrap_or((&b'0', &[]));
        let cut = rest.iter().position(|byte| *byte == STDERR).unwrap_or(rest.len());
        let exit = match exit {
            b'S' => Exit::Signal(String::from_utf8_lossy(&rest[..cut.min(40)]).into_owned()),
            // A wrong rights' code, and two of `timeout`.
            b'n' => Exit::Code(127),
            b't' => Exit::Code(124),
            code => Exit::Code(u32::from(*code).saturating_sub(u32::from(b'0'))),
        };
        let stderr = rest.get(cut + 1..).unwrap_or_default().to_vec();
        Self { stdout: rest[..cut].to_vec(), ended: Ended { exit, stderr } }
    }
}

/// Gives the replies in their order, whatever it is asked, and is lost after the last.
#[derive(Debug)]
pub struct Hostile {
    replies: Mutex<Vec<Reply>>,
    piece: usize,
}

impl Hostile {
    /// Reads the replies off the fuzzer's bytes; they come in pieces of `piece` bytes.
    pub fn new(data: &[u8], piece: usize) -> Self {
        let mut replies: Vec<Reply> = data.split(|byte| *byte == REPLY).map(Reply::read).collect();
        replies.reverse();
        Self { replies: Mutex::new(replies), piece: piece.max(1) }
    }

    fn reply(&self) -> Result<Reply, NodeError> {
        let reply = self.replies.lock().expect("nobody panics with it").pop();
        reply.ok_or_else(|| NodeError::Lost { cause: "no more answers".to_owned() })
    }
}

impl Node for Hostile {
    async fn feed(&self, command: &Command, sink: &mut Sink<'_>) -> Result<Ended, NodeError> {
        let reply = self.reply()?;
        let mut left = command.output_limit();
        for piece in reply.stdout.chunks(self.piece) {
            left = left
                .checked_sub(piece.len() as u64)
                .ok_or(NodeError::TooMuch { limit: command.output_limit() })?;
            if sink(piece) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(reply.ended)
    }

    async fn pour(&self, _: &Command, into: mpsc::Sender<Bytes>) -> Result<Ended, NodeError> {
        let reply = self.reply()?;
        for piece in reply.stdout.chunks(self.piece) {
            if into.send(Bytes::copy_from_slice(piece)).await.is_err() {
                break;
            }
        }
        Ok(reply.ended)
    }

    async fn hold(
        &self,
        command: &Command,
        _: Duration,
        enough: impl Future<Output = ()> + Send,
        sink: &mut Sink<'_>,
    ) -> Result<Ended, NodeError> {
        let ended = self.feed(command, sink).await?;
        if ended.exit == Exit::Code(0) {
            enough.await;
        }
        Ok(ended)
    }
}

/// A fleet of which each node gives the same answers.
#[derive(Debug)]
pub struct Fleet(pub Vec<u8>);

impl Connect for Fleet {
    type Node = Hostile;

    async fn connect(&self, _: &Endpoint) -> Result<Hostile, NodeError> {
        Ok(Hostile::new(&self.0, 777))
    }
}

/// Runs a future on a clock that jumps to the next timer when nothing else is to be done.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(future)
}
