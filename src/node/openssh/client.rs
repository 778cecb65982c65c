//! One command: a client of the master, read to its end.

use std::future::Future;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::FutureExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command as Process};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::super::ssh::exec::{Outlet, STDERR_KEPT};
use super::super::ssh::wire::NOISE_LIMIT;
use super::mark::{Marks, Reader};
use super::master::Master;
use super::slots::Slot;
use crate::node::{Command, Ended, Exit, NodeError, Stage};
use crate::text::one_line;

/// Characters of a server's own words in an error.
const WORDS_SHOWN: usize = 300;

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// How long a master may need to notice, and to say, why its clients lost their line.
const CAUSE_LIMIT: Duration = Duration::from_secs(1);

/// How long a command that was given up may take to end by itself after a TERM.
const TERM_GRACE: Duration = Duration::from_secs(1);

/// How long a stream may bring nothing before the server has started its command, at least. A
/// login shell on a busy node takes its time.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Pauses before it is tried again to end a command on a server without room for a second one.
const LATER: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1000)];

/// How long a command that is given up before it runs may take to do so.
const START_GRACE: Duration = Duration::from_secs(5);

/// What ssh says when the server refuses one more session on the line.
const REFUSED: &str = "Session open refused by peer";

/// Why a command has no end.
pub(super) enum Unended {
    /// The server has no room for it; nothing ran.
    NoRoom,
    Failed(NodeError),
}

impl From<NodeError> for Unended {
    fn from(error: NodeError) -> Self {
        Self::Failed(error)
    }
}

/// A command that runs. Dropping it gives the command up: TERM, a second's grace, and an end of
/// its input and output.
pub(super) struct Client {
    inner: Option<Inner>,
    slot: Option<Slot>,
    /// Becomes true when the server has started the command.
    started: watch::Sender<bool>,
    /// Nothing of it is left on the server, as far as can be known here.
    is_over: bool,
}

struct Inner {
    child: Child,
    stdout: ChildStdout,
    stderr: ChildStderr,
    reader: Reader,
}

/// Makes a client process for `text`.
///
/// Were the master gone, or had the server no room, ssh would make a connection of its own; the
/// way of that leads nowhere. Nothing is left to the operator's files: the master has read them.
fn process(master: &Master, text: &str) -> Process {
    let mut process = Process::new("ssh");
    process.args(["-F", "none", "-T", "-S"]).arg(&master.place.socket);
    for option in [
        "ControlMaster=no",
        "ProxyCommand=false",
        "BatchMode=yes",
        "LogLevel=ERROR",
        "EscapeChar=none",
    ] {
        process.args(["-o", option]);
    }
    process.args(["--", &master.host, text]);
    process.process_group(0).kill_on_drop(true);
    process
}

impl Client {
    /// Starts a client, and returns where the command's input is written.
    pub(super) fn spawn(
        mut slot: Slot,
        command: &Command,
    ) -> Result<(Self, ChildStdin), NodeError> {
        slot.is_asked_for();
        let marks = Marks::new();
        let mut child = process(&slot.master, &marks.text(command))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| NodeError::Local(format!("ssh: {error}")))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(NodeError::Local("ssh has no pipes".into()));
        };
        let client = Self {
            inner: Some(Inner { child, stdout, stderr, reader: marks.reader() }),
            slot: Some(slot),
            started: watch::Sender::new(false),
            is_over: false,
        };
        Ok((client, stdin))
    }

    /// Returns something that tells when the server has started the command.
    pub(super) fn started(&self) -> watch::Receiver<bool> {
        self.started.subscribe()
    }

    /// Returns the place of a command that the server refused.
    pub(super) fn into_slot(mut self) -> Option<Slot> {
        let mut slot = self.slot.take()?;
        slot.is_refused();
        Some(slot)
    }

    /// Runs the command to its end, with `stdin` writing its input meanwhile.
    pub(super) async fn drive(
        &mut self,
        command: &Command,
        stdin: impl Future<Output = ()>,
        outlet: &mut Outlet<'_, '_>,
    ) -> Result<Ended, Unended> {
        let Some(inner) = &mut self.inner else {
            return Err(NodeError::Lost { cause: "the command is gone".into() }.into());
        };
        let (limit, stall) = (command.output_limit(), command.stall_limit());
        let watch = outlet.watch();
        let mut stdin = std::pin::pin!(stdin.fuse());
        let (mut printed, mut stderr) = (0_u64, Vec::new());
        let (mut piece, mut errors) = (BytesMut::new(), vec![0; PIECE / 8]);
        let (mut is_stdout_open, mut is_stderr_open) = (true, true);
        while is_stdout_open || is_stderr_open {
            piece.reserve(PIECE);
            let stall = if *self.started.borrow() { stall } else { stall.max(START_LIMIT) };
            tokio::select! {
                count = inner.stdout.read_buf(&mut piece), if is_stdout_open => {
                    is_stdout_open = matches!(count, Ok(1..));
                }
                count = inner.stderr.read(&mut errors), if is_stderr_open => {
                    let count = count.unwrap_or(0);
                    is_stderr_open = count > 0;
                    let room = STDERR_KEPT.saturating_sub(stderr.len());
                    stderr.extend(errors.iter().take(count.min(room)));
                    continue;
                }
                () = &mut stdin => continue,
                () = watch.unwanted() => return Err(NodeError::TooMuch { limit }.into()),
                () = watch.stalled(stall) => {
                    return Err(NodeError::TimedOut { stage: Stage::Command, after: stall }.into());
                }
            }
            let own = inner.reader.take(&piece.split().freeze());
            check_noise(&inner.reader)?;
            if inner.reader.noise.is_over() && !*self.started.borrow() {
                self.started.send_replace(true);
            }
            printed = printed.saturating_add(own.len() as u64);
            if printed > limit || (!own.is_empty() && !outlet.give(own).await) {
                return Err(NodeError::TooMuch { limit }.into());
            }
        }
        let status = inner.child.wait().await.ok().and_then(|status| status.code());
        self.is_over = true;
        let master = self.slot.as_ref().map(|slot| Arc::clone(&slot.master));
        inner.reader.end(status, stderr, master).await
    }
}

impl Reader {
    /// Returns how the command ended, now that its client has.
    async fn end(
        &self,
        status: Option<i32>,
        stderr: Vec<u8>,
        master: Option<Arc<Master>>,
    ) -> Result<Ended, Unended> {
        if let Some(code) = self.code() {
            return Ok(Ended { exit: Exit::Code(code), stderr });
        }
        let is_over = self.noise.is_over();
        let words = String::from_utf8_lossy(&stderr);
        if !is_over && status == Some(255) && words.contains(REFUSED) {
            return Err(Unended::NoRoom);
        }
        let is_ours = status == Some(255) || status.is_none();
        if is_over || is_ours {
            // Not a success, nor an end of its own: the line broke, or the server killed it.
            if let Some(master) = master
                && let Some(error) = master.lost(CAUSE_LIMIT).await
            {
                return Err(error.into());
            }
        }
        if is_over {
            let cause = "the command ended without an exit status".into();
            return Err(NodeError::Lost { cause }.into());
        }
        let words = [self.noise.text(), stderr];
        let words = words.iter().map(|words| one_line(words, WORDS_SHOWN));
        let said = words.filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; ");
        let code = Exit::Code(status.and_then(|code| u32::try_from(code).ok()).unwrap_or(255));
        let cause = if said.is_empty() { format!("it printed nothing, {code:?}") } else { said };
        Err(NodeError::NoCommand { cause }.into())
    }
}

/// Notices a server that prints without end in place of the command.
fn check_noise(reader: &Reader) -> Result<(), NodeError> {
    if !reader.noise.is_too_much() {
        return Ok(());
    }
    let cause = one_line(&reader.noise.text(), WORDS_SHOWN);
    Err(NodeError::NoCommand {
        cause: format!("it printed more than {NOISE_LIMIT} bytes instead: {cause}"),
    })
}

impl Drop for Client {
    fn drop(&mut self) {
        let (Some(inner), Some(slot)) = (self.inner.take(), self.slot.take()) else { return };
        if self.is_over {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // Started at once, so that it leaves even if the run ends before the task below starts.
        let killer = inner.reader.pid().and_then(|pid| kill(&slot.master, pid));
        let goodbye = slot.master.slots.goodbye();
        runtime.spawn(async move {
            inner.give_up(&slot, killer).await;
            drop((slot, goodbye));
        });
    }
}

impl Inner {
    /// Ends the command on the server as well as can be.
    async fn give_up(mut self, slot: &Slot, killer: Option<Child>) {
        // A client that ends while its session is being opened would leave that open.
        let pid = timeout(START_GRACE, self.started()).await.ok().flatten();
        let killer = killer.or_else(|| pid.and_then(|pid| kill(&slot.master, pid)));
        let is_told = has_told(killer).await;
        let _ = timeout(TERM_GRACE, self.drain()).await;
        // Closes input and output: what still writes into the latter gets a SIGPIPE.
        let _ = self.child.kill().await;
        drop((self.stdout, self.stderr));
        let (Some(pid), false) = (pid, is_told) else { return };
        // There was no room for the word. Where there is now, the command may be gone.
        for pause in LATER {
            sleep(pause).await;
            if has_told(kill(&slot.master, pid)).await {
                return;
            }
        }
        if slot.is_alone() {
            slot.master.hang_up("a command that was given up held its only session (MaxSessions)");
        }
    }

    /// Waits until the command runs, and returns the number of its shell; none when it never will.
    async fn started(&mut self) -> Option<u32> {
        while self.reader.pid().is_none() && self.read().await {}
        self.reader.pid()
    }

    /// Reads to the end what nobody wants any more.
    async fn drain(&mut self) {
        while self.read().await {}
    }

    async fn read(&mut self) -> bool {
        let mut piece = BytesMut::with_capacity(PIECE / 8);
        let mut errors = vec![0; PIECE / 8];
        tokio::select! {
            count = self.stdout.read_buf(&mut piece) => {
                self.reader.take(&piece.freeze());
                matches!(count, Ok(1..))
            }
            count = self.stderr.read(&mut errors) => matches!(count, Ok(1..)),
        }
    }
}

/// Whether the server took the word.
async fn has_told(killer: Option<Child>) -> bool {
    let Some(mut killer) = killer else { return false };
    match timeout(TERM_GRACE, killer.wait()).await {
        Ok(Ok(status)) => status.code() != Some(255),
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Tells a command on the server to end. Its shell leads the group of all it has started, unless
/// a forced command stands between.
fn kill(master: &Master, pid: u32) -> Option<Child> {
    let text = format!("exec sh -c 'kill -TERM -{pid} || kill -TERM {pid}'");
    let mut process = process(master, &text);
    process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    process.spawn().ok()
}
