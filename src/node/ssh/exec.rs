//! Runs commands on a line, each on a channel of its own that is always drained to its end.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::Shared;
use super::algorithms::Load;
use super::channels::{self, Slot, TERM_GRACE};
use super::line::Line;
use super::wire::{NOISE_LIMIT, Noise, exec_text};
use crate::node::{Command, Ended, Endpoint, Exit, Node, NodeError, Sink, Stage};
use crate::text::one_line;

/// Bytes of standard error that are kept. The rest is read and dropped: an unread channel would
/// block every other command of the line.
pub(in crate::node) const STDERR_KEPT: usize = 64 * 1024;

/// Characters of a server's own words in an error.
const WORDS_SHOWN: usize = 300;

/// A line to a node over SSH.
pub struct SshNode {
    pub(super) line: Arc<Line>,
    /// What made the line, for a command that needs one of its own.
    pub(super) shared: Arc<Shared>,
    pub(super) endpoint: Endpoint,
}

impl std::fmt::Debug for SshNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshNode").field("peer", &self.line.peer).finish_non_exhaustive()
    }
}

impl Node for SshNode {
    async fn feed(&self, command: &Command, sink: &mut Sink<'_>) -> Result<Ended, NodeError> {
        self.once(command, Outlet::Sink(sink)).await
    }

    async fn pour(&self, command: &Command, into: mpsc::Sender<Bytes>) -> Result<Ended, NodeError> {
        self.once(command, Outlet::Pour(into)).await
    }

    async fn hold(
        &self,
        command: &Command,
        beat: Duration,
        enough: impl Future<Output = ()> + Send,
        sink: &mut Sink<'_>,
    ) -> Result<Ended, NodeError> {
        let limit = command.time_limit();
        let (channel, slot) = match channels::open_beside(&self.line, limit).await? {
            Some(opened) => opened,
            // MaxSessions 1: it gets a connection of its own, as nobody may wait for its end.
            None => {
                let own = self.shared.connect(&self.endpoint, Load::Control).await?;
                let (channel, slot, _) = channels::open(&own.line, limit).await?;
                (channel, slot)
            }
        };
        let (mut running, write) = Running::new(channel, slot);
        let deadline = watch::Sender::new(Some(Instant::now() + limit));
        let stdin = async {
            let _ = write.data(command.stdin()).await;
            deadline.send_replace(None);
            let mut enough = std::pin::pin!(enough);
            loop {
                tokio::select! {
                    biased;
                    () = &mut enough => break,
                    () = sleep(beat) => {}
                }
                // A command that does not read must not keep us from hearing `enough`.
                let _ = timeout(beat, write.data(&b"\n"[..])).await;
            }
            deadline.send_replace(Some(Instant::now() + limit));
            let _ = write.data(&b"done\n"[..]).await;
            let _ = write.eof().await;
        };
        tokio::select! {
            result = running.drive(command, stdin, Outlet::Sink(sink)) => result,
            () = over(deadline.subscribe()) => {
                Err(NodeError::TimedOut { stage: Stage::Command, after: limit })
            }
        }
    }

    fn peer_address(&self) -> Option<IpAddr> {
        self.line.peer
    }
}

impl SshNode {
    /// Runs a command whose input is known, within its time.
    async fn once(&self, command: &Command, outlet: Outlet<'_, '_>) -> Result<Ended, NodeError> {
        let limit = command.time_limit();
        let (channel, slot, deadline) = channels::open(&self.line, limit).await?;
        let (mut running, write) = Running::new(channel, slot);
        // What cannot be written is no fault: a command may end without reading its input.
        let stdin = async {
            if !command.stdin().is_empty() {
                let _ = write.data(command.stdin()).await;
            }
            let _ = write.eof().await;
        };
        match timeout_at(deadline, running.drive(command, stdin, outlet)).await {
            Ok(result) => result,
            Err(_) => Err(NodeError::TimedOut { stage: Stage::Command, after: limit }),
        }
    }
}

/// Where standard output goes.
pub(in crate::node) enum Outlet<'a, 'b> {
    Sink(&'a mut Sink<'b>),
    Pour(mpsc::Sender<Bytes>),
}

impl Outlet<'_, '_> {
    /// Hands a piece on, when there is room for it. `false`: no more is wanted.
    pub(in crate::node) async fn give(&mut self, piece: Bytes) -> bool {
        match self {
            Self::Sink(sink) => sink(&piece) == ControlFlow::Continue(()),
            Self::Pour(into) => into.send(piece).await.is_ok(),
        }
    }

    pub(in crate::node) fn watch(&self) -> Watch {
        Watch(match self {
            Self::Sink(_) => None,
            Self::Pour(into) => Some(into.clone()),
        })
    }
}

/// What a stream is given up for; what is printed into a sink never is.
pub(in crate::node) struct Watch(Option<mpsc::Sender<Bytes>>);

impl Watch {
    /// Ends when no more is wanted.
    pub(in crate::node) async fn unwanted(&self) {
        match &self.0 {
            None => std::future::pending().await,
            Some(into) => into.closed().await,
        }
    }

    /// Ends when nothing came for too long.
    pub(in crate::node) async fn stalled(&self, limit: Duration) {
        match &self.0 {
            None => std::future::pending().await,
            Some(_) => sleep(limit).await,
        }
    }
}

/// Ends when a deadline is over that may move, or not be there for a while.
pub(in crate::node) async fn over(mut deadline: watch::Receiver<Option<Instant>>) {
    loop {
        let at = *deadline.borrow_and_update();
        let wait = async {
            match at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait => return,
            _ = deadline.changed() => {}
        }
    }
}

/// A command that runs. Dropping it gives the command up: TERM, a second's grace, close.
struct Running {
    halves: Option<(ChannelReadHalf, Arc<ChannelWriteHalf<Msg>>)>,
    slot: Option<Slot>,
    /// The server has closed the channel, or the line is gone.
    closed: bool,
}

impl Running {
    fn new(channel: Channel<Msg>, slot: Slot) -> (Self, Arc<ChannelWriteHalf<Msg>>) {
        let (read, write) = channel.split();
        let write = Arc::new(write);
        let halves = Some((read, Arc::clone(&write)));
        (Self { halves, slot: Some(slot), closed: false }, write)
    }

    /// Runs the command to its end, with `stdin` writing its input meanwhile.
    async fn drive(
        &mut self,
        command: &Command,
        stdin: impl Future<Output = ()>,
        mut outlet: Outlet<'_, '_>,
    ) -> Result<Ended, NodeError> {
        let (Some((read, write)), Some(slot)) = (&mut self.halves, &self.slot) else {
            return Err(NodeError::Lost { cause: "the channel is gone".into() });
        };
        let line = &slot.line;
        let text = exec_text(line.channels.word(), command);
        write.exec(true, text).await.map_err(|_| line.lost())?;
        let mut heard = Heard::new(line.channels.word(), command);
        let limit = command.output_limit();
        let stall = command.stall_limit();
        let watch = outlet.watch();
        let mut stdin = std::pin::pin!(stdin.fuse());
        loop {
            let message = tokio::select! {
                biased;
                message = read.wait() => message,
                // Only once sshd has started the command is there somebody to read it.
                () = &mut stdin, if heard.accepted => continue,
                () = watch.unwanted() => return Err(NodeError::TooMuch { limit }),
                () = watch.stalled(stall) => {
                    return Err(NodeError::TimedOut { stage: Stage::Command, after: stall });
                }
            };
            let Some(message) = message else { break };
            if matches!(message, ChannelMsg::Close) {
                heard.whole = true;
                break;
            }
            if let Some(piece) = heard.take(message)?
                && !outlet.give(piece).await
            {
                return Err(NodeError::TooMuch { limit });
            }
        }
        self.closed = true;
        heard.end(|| match line.handle.is_closed() {
            true => line.lost(),
            false => NodeError::Lost { cause: "the command ended without an exit status".into() },
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (Some((mut read, write)), Some(slot)) = (self.halves.take(), self.slot.take()) else {
            return;
        };
        if self.closed {
            return;
        }
        // Queued at once, so that it leaves even if the run ends before the task below starts.
        let _ = write.signal(Sig::TERM).now_or_never();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let goodbye = slot.line.channels.goodbye();
        runtime.spawn(async move {
            if timeout(TERM_GRACE, drain(&mut read)).await.is_err() {
                let _ = timeout(TERM_GRACE, write.close()).await;
                let _ = timeout(TERM_GRACE, drain(&mut read)).await;
            }
            drop((slot, goodbye));
        });
    }
}

async fn drain(read: &mut ChannelReadHalf) {
    while !matches!(read.wait().await, None | Some(ChannelMsg::Close)) {}
}

/// What a command has said so far.
struct Heard<'a> {
    command: &'a Command,
    noise: Noise,
    stderr: Vec<u8>,
    printed: u64,
    exit: Option<Exit>,
    /// sshd has started something for us.
    accepted: bool,
    /// There is no more output. sshd may tell the exit before the last of it.
    whole: bool,
}

impl<'a> Heard<'a> {
    fn new(word: &str, command: &'a Command) -> Self {
        Self {
            command,
            noise: Noise::new(word),
            stderr: Vec::new(),
            printed: 0,
            exit: None,
            accepted: false,
            whole: false,
        }
    }

    /// Takes what the server says; returns what the command printed, if that is it.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what else a server may say changes nothing"
    )]
    fn take(&mut self, message: ChannelMsg) -> Result<Option<Bytes>, NodeError> {
        match message {
            ChannelMsg::Success => self.accepted = true,
            ChannelMsg::Eof => self.whole = true,
            ChannelMsg::Failure => {
                return Err(NodeError::NoCommand { cause: "it refused the request".into() });
            }
            ChannelMsg::Data { data } => return self.stdout(&data),
            ChannelMsg::ExtendedData { data, ext: 1 } => {
                let room = STDERR_KEPT.saturating_sub(self.stderr.len());
                self.stderr.extend(data.iter().take(room));
            }
            ChannelMsg::ExitStatus { exit_status } => self.exit_with(Exit::Code(exit_status)),
            ChannelMsg::ExitSignal { signal_name, .. } => {
                self.exit_with(Exit::Signal(match signal_name {
                    Sig::Custom(name) => one_line(name.as_bytes(), 40),
                    known => format!("{known:?}"),
                }));
            }
            _ => {}
        }
        Ok(None)
    }

    /// Takes an exit. A success does not undo a failure that was told before it.
    fn exit_with(&mut self, exit: Exit) {
        if self.exit.as_ref().is_none_or(|before| *before == Exit::Code(0)) {
            self.exit = Some(exit);
        }
    }

    fn stdout(&mut self, piece: &Bytes) -> Result<Option<Bytes>, NodeError> {
        let own = self.noise.strip(piece);
        if self.noise.is_too_much() {
            let cause = one_line(&self.noise.text(), WORDS_SHOWN);
            return Err(NodeError::NoCommand {
                cause: format!("it printed more than {NOISE_LIMIT} bytes instead: {cause}"),
            });
        }
        if own.is_empty() {
            return Ok(None);
        }
        let limit = self.command.output_limit();
        self.printed = self.printed.saturating_add(own.len() as u64);
        if self.printed > limit {
            return Err(NodeError::TooMuch { limit });
        }
        Ok(Some(piece.slice_ref(own)))
    }

    /// Returns how the command ended, now that its channel has.
    ///
    /// Without an exit, or without the end of the output, it is `lost` and never a success: sshd
    /// was killed, or the line broke.
    fn end(self, lost: impl FnOnce() -> NodeError) -> Result<Ended, NodeError> {
        let Some(exit) = self.exit.filter(|_| self.whole) else {
            return Err(lost());
        };
        if self.noise.is_over() {
            return Ok(Ended { exit, stderr: self.stderr });
        }
        let words = [self.noise.text(), self.stderr];
        let words = words.iter().map(|words| one_line(words, WORDS_SHOWN));
        let said = words.filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; ");
        Err(NodeError::NoCommand {
            cause: if said.is_empty() { format!("it printed nothing, {exit:?}") } else { said },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ended(messages: Vec<ChannelMsg>) -> Result<Ended, NodeError> {
        let command = Command::new(["true"], Duration::from_secs(1));
        let mut heard = Heard::new("W0rd", &command);
        for message in messages {
            heard.take(message)?;
        }
        heard.end(|| NodeError::Lost { cause: "gone".into() })
    }

    fn data(text: &'static str) -> ChannelMsg {
        ChannelMsg::Data { data: text.as_bytes().into() }
    }

    #[test]
    fn an_exit_counts_only_with_the_end_of_the_output() {
        let exit = || ChannelMsg::ExitStatus { exit_status: 0 };
        let lost = Err(NodeError::Lost { cause: "gone".into() });
        let success = Ok(Ended { exit: Exit::Code(0), stderr: Vec::new() });
        assert_eq!(ended(vec![data("W0rd\n"), exit(), data("x"), ChannelMsg::Eof]), success);
        assert_eq!(ended(vec![data("W0rd\n"), ChannelMsg::Eof, exit()]), success);
        // sshd died between the exit and the last of the output.
        assert_eq!(ended(vec![data("W0rd\n"), data("x"), exit()]), lost);
        assert_eq!(ended(vec![data("W0rd\n"), data("x"), ChannelMsg::Eof]), lost);
        assert_eq!(ended(Vec::new()), lost);
        // Told twice, the failure counts.
        let failure = || ChannelMsg::ExitStatus { exit_status: 1 };
        for exits in [[exit(), failure()], [failure(), exit()]] {
            let [first, second] = exits;
            let told = ended(vec![data("W0rd\n"), first, second, ChannelMsg::Eof]).unwrap();
            assert_eq!(told.exit, Exit::Code(1));
        }
    }

    #[test]
    fn an_exit_without_the_word_says_what_was_printed_instead() {
        let exit = || ChannelMsg::ExitStatus { exit_status: 1 };
        let says = |messages| match ended(messages) {
            Err(NodeError::NoCommand { cause }) => cause,
            other => panic!("{other:?}"),
        };
        let stderr = ChannelMsg::ExtendedData { data: "no\tshell\n".into(), ext: 1 };
        assert_eq!(says(vec![data("bye\n"), stderr, ChannelMsg::Eof, exit()]), "bye; no shell");
        assert_eq!(says(vec![ChannelMsg::Eof, exit()]), "it printed nothing, Code(1)");
        assert_eq!(says(vec![ChannelMsg::Failure]), "it refused the request");
    }
}
