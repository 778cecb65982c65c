//! One `ssh -M -N`: it logs in, holds the line, and tells why it ended.

use std::net::IpAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStderr, ChildStdout, Command as Process};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use super::super::ssh::Options;
use super::log::{Log, Step};
use super::orders::Orders;
use super::questions::{LOGIN_VARIABLE, Login, SOCKET_VARIABLE};
use super::room::{Place, Room};
use super::slots::{Goodbyes, Slots};
use super::words::{self, Context, Failed};
use crate::node::{Endpoint, NodeError};
use crate::text::one_line;

/// Bytes of standard error that are kept, the last ones: banners, and behind them what ssh to a
/// jump host says.
const STDERR_KEPT: usize = 8 * 1024;

/// For the connection when neither the operator nor ssh_config limits it to less. ssh has a limit
/// of its own for each address of the host.
const LONGEST_CONNECT: Duration = Duration::from_secs(120);

/// How often it is looked at whether a login that is under way has run out of time.
const LOOK: Duration = Duration::from_millis(50);

/// How long ssh may take to end after a TERM: it says goodbye to the server and its own children.
const TERM_GRACE: Duration = Duration::from_secs(1);

/// A line that stands.
pub(super) struct Master {
    pub(super) place: Place,
    /// The name its clients are started with.
    pub(super) host: String,
    pub(super) peer: Option<IpAddr>,
    pub(super) slots: Slots,
    end: watch::Receiver<Option<String>>,
    /// Letting go of this ends the process.
    leash: Mutex<Option<oneshot::Sender<String>>>,
    _room: Arc<Room>,
}

/// Who a master asks, and how.
pub(super) struct Asking<'a> {
    pub(super) program: &'a Path,
    pub(super) socket: &'a Path,
    pub(super) login: Arc<Login>,
}

/// What a master is started with.
pub(super) struct Start<'a> {
    pub(super) room: &'a Arc<Room>,
    pub(super) place: Place,
    pub(super) endpoint: &'a Endpoint,
    pub(super) options: &'a Options,
    pub(super) orders: &'a Orders,
    pub(super) asking: Option<Asking<'a>>,
    pub(super) goodbyes: Goodbyes,
    /// What to say beside a login that failed.
    pub(super) hint: Option<&'a str>,
}

impl Start<'_> {
    /// Starts ssh and waits until it is logged in.
    pub(super) async fn run(self) -> Result<Master, Failed> {
        let mut child = self.spawn()?;
        let mut pipes = Pipes::of(&mut child)?;
        let ended = self.log_in(&mut child, &mut pipes).await;
        if let Err(failed) = ended {
            end(&mut child).await;
            return Err(failed);
        }
        let peer = pipes.log.peer;
        let (leash, gone) = oneshot::channel();
        let (tell, end) = watch::channel(None);
        tokio::spawn(keep(child, pipes, gone, tell));
        Ok(Master {
            place: self.place,
            host: self.endpoint.host.clone(),
            peer,
            slots: Slots::new(self.goodbyes),
            end,
            leash: Mutex::new(Some(leash)),
            _room: Arc::clone(self.room),
        })
    }

    fn spawn(&self) -> Result<Child, Failed> {
        let local = |problem: String| NodeError::Local(one_line(problem.as_bytes(), 300));
        std::fs::write(&self.place.config, &self.orders.config)
            .map_err(|error| local(format!("{}: {error}", self.place.config.display())))?;
        let mut process = Process::new("ssh");
        process.args(["-M", "-N", "-S"]).arg(&self.place.socket);
        process.arg("-F").arg(&self.place.config);
        process.args(["-E", "/dev/stdout", "-o", "LogLevel=DEBUG1", "-o", "ControlPersist=no"]);
        process.args(&self.orders.args);
        match &self.options.agent {
            Some(socket) if socket.as_os_str() == "none" => {
                process.env_remove("SSH_AUTH_SOCK");
            }
            Some(socket) => {
                process.env("SSH_AUTH_SOCK", socket);
            }
            None => {}
        }
        if let Some(asking) = &self.asking {
            process.env("SSH_ASKPASS", asking.program);
            process.env("SSH_ASKPASS_REQUIRE", "force");
            process.env(SOCKET_VARIABLE, asking.socket);
            process.env(LOGIN_VARIABLE, self.place.number.to_string());
        }
        process
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // The first Ctrl-C lets commands come to their end; it must not end their line.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Failed::Finally(local(format!("ssh: {error}"))))
    }

    /// Follows the login to its end.
    async fn log_in(&self, child: &mut Child, pipes: &mut Pipes) -> Result<(), Failed> {
        let mut clock = Clock::new();
        loop {
            let before = pipes.log.step;
            tokio::select! {
                is_open = pipes.hear() => {
                    if !is_open {
                        let _ = timeout(TERM_GRACE, child.wait()).await;
                        pipes.rest().await;
                        return Err(self.failure(pipes, clock.elapsed));
                    }
                }
                _ = child.wait() => {
                    pipes.rest().await;
                    return Err(self.failure(pipes, clock.elapsed));
                }
                () = sleep(LOOK) => {}
            }
            if pipes.log.step == Step::In {
                return Ok(());
            }
            clock.tick(self.is_asking(), pipes.log.step != before);
            let limit = self.limit(pipes.log.step, pipes.log.is_proxied);
            if clock.elapsed > limit {
                return Err(Failed::Finally(words::timed_out(pipes.log.step, limit)));
            }
        }
    }

    fn is_asking(&self) -> bool {
        let waiting = |asking: &Asking<'_>| asking.login.waiting.load(Ordering::SeqCst) > 0;
        self.asking.as_ref().is_some_and(waiting)
    }

    fn limit(&self, step: Step, is_proxied: bool) -> Duration {
        let options = self.options;
        let connect = options.connect_timeout.unwrap_or(LONGEST_CONNECT);
        match step {
            // On the way there other hosts are logged in to.
            Step::Begin | Step::Connect if is_proxied => {
                connect + options.handshake_timeout + options.auth_timeout
            }
            Step::Begin | Step::Connect => connect,
            Step::Handshake => options.handshake_timeout,
            Step::Auth | Step::In => options.auth_timeout,
        }
    }

    fn failure(&self, pipes: &Pipes, elapsed: Duration) -> Failed {
        let context = Context { endpoint: self.endpoint, elapsed, hint: self.hint };
        words::failure(&pipes.log, &pipes.stderr, &context)
    }
}

impl Master {
    /// Ends the line. Commands on it are lost, for this reason.
    pub(super) fn hang_up(&self, why: &str) {
        let leash = self.leash.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(leash) = leash {
            let _ = leash.send(why.to_owned());
        }
    }

    /// Returns the error of a line that is gone; `None` when it stands, as far as is known within
    /// `limit`.
    pub(super) async fn lost(&self, limit: Duration) -> Option<NodeError> {
        let mut end = self.end.clone();
        let ended = timeout(limit, end.wait_for(Option::is_some)).await.ok()?;
        let cause = ended.ok().and_then(|cause| cause.clone());
        Some(NodeError::Lost { cause: cause.unwrap_or_else(|| "the line was let go".into()) })
    }
}

/// The time a step takes, without that in which somebody is asked.
struct Clock {
    last: Instant,
    elapsed: Duration,
}

impl Clock {
    fn new() -> Self {
        Self { last: Instant::now(), elapsed: Duration::ZERO }
    }

    fn tick(&mut self, is_asking: bool, is_next: bool) {
        let now = Instant::now();
        if is_next {
            self.elapsed = Duration::ZERO;
        } else if !is_asking {
            self.elapsed += now - self.last;
        }
        self.last = now;
    }
}

/// What a master says.
struct Pipes {
    stdout: ChildStdout,
    errors: Option<ChildStderr>,
    log: Log,
    stderr: Vec<u8>,
}

impl Pipes {
    fn of(child: &mut Child) -> Result<Self, NodeError> {
        match (child.stdout.take(), child.stderr.take()) {
            (Some(stdout), Some(stderr)) => {
                Ok(Self { stdout, errors: Some(stderr), log: Log::default(), stderr: Vec::new() })
            }
            _ => Err(NodeError::Local("ssh has no pipes".into())),
        }
    }

    /// Reads what comes next; `false` when no more will.
    async fn hear(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let mut errors = [0; 4096];
        tokio::select! {
            count = self.stdout.read(&mut bytes) => {
                let count = count.unwrap_or(0);
                self.log.take(bytes.get(..count).unwrap_or_default());
                if count == 0 {
                    self.log.finish();
                }
                count > 0
            }
            count = read(&mut self.errors, &mut errors) => {
                if count == 0 {
                    self.errors = None;
                }
                self.keep(errors.get(..count).unwrap_or_default());
                true
            }
        }
    }

    /// Reads what is left of a process that ended.
    async fn rest(&mut self) {
        let all = async { while self.hear().await {} };
        let _ = timeout(TERM_GRACE / 4, all).await;
        // What a jump host's ssh said may come after our own ended.
        let rest = async { while self.errors.is_some() && self.only_errors().await {} };
        let _ = timeout(TERM_GRACE / 4, rest).await;
    }

    async fn only_errors(&mut self) -> bool {
        let mut errors = [0; 4096];
        let count = read(&mut self.errors, &mut errors).await;
        self.keep(errors.get(..count).unwrap_or_default());
        count > 0
    }

    fn keep(&mut self, errors: &[u8]) {
        self.stderr.extend_from_slice(errors);
        let over = self.stderr.len().saturating_sub(STDERR_KEPT);
        self.stderr.drain(..over);
    }
}

/// Reads from a pipe that may be closed; nothing ever comes from one that is.
async fn read(from: &mut Option<impl AsyncRead + Unpin>, into: &mut [u8]) -> usize {
    match from {
        Some(from) => from.read(into).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

/// Keeps a master until it ends or nobody wants it any more.
async fn keep(
    mut child: Child,
    mut pipes: Pipes,
    mut gone: oneshot::Receiver<String>,
    tell: watch::Sender<Option<String>>,
) {
    let why = loop {
        tokio::select! {
            is_open = pipes.hear() => {
                if !is_open {
                    break None;
                }
            }
            _ = child.wait() => {
                pipes.rest().await;
                break None;
            }
            why = &mut gone => break why.ok(),
        }
    };
    let cause = why.or_else(|| words::end(&pipes.log)).unwrap_or_else(|| "ssh ended".into());
    tell.send_replace(Some(cause));
    end(&mut child).await;
}

/// Ends a master, with time for a goodbye.
async fn end(child: &mut Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, Signal::TERM);
    }
    if timeout(TERM_GRACE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
