//! `ProxyCommand`: a program of the operator whose standard input and output are the way to a host.

use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command as Process};

use super::settings::{Settings, local};
use crate::node::NodeError;
use crate::text::one_line;

/// Bytes of the program's standard error that are kept for an error.
const WORDS_KEPT: usize = 4096;

/// Characters of them that are shown.
const WORDS_SHOWN: usize = 300;

/// What the program says on standard error.
pub(super) type Words = Arc<Mutex<Vec<u8>>>;

/// A program that runs, as a stream. It ends when this is dropped.
pub(super) struct Proxy {
    _child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    words: Words,
}

impl Proxy {
    /// Starts the command of `settings`.
    ///
    /// As OpenSSH: the operator's shell runs it, with `exec`. Unlike there it has a process group
    /// of its own, as Ctrl-C at the terminal would else break the lines whose commands are to end
    /// first; a program that wants to ask something at the terminal is one for the ssh program.
    pub(super) fn start(command: &str) -> Result<Self, NodeError> {
        let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
        let mut process = Process::new(shell.unwrap_or_else(|| "/bin/sh".into()));
        process.arg("-c").arg(format!("exec {command}"));
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        process.kill_on_drop(true).process_group(0);
        let failed = |what: &dyn std::fmt::Display| local(format!("ProxyCommand: {what}"));
        let mut child = process.spawn().map_err(|error| failed(&error))?;
        let (Some(stdin), Some(stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed(&"it has no standard input or output"));
        };
        let words = Words::default();
        let kept = Arc::clone(&words);
        tokio::spawn(async move {
            let mut piece = [0; 1024];
            // Read to its end: a full pipe would stop the program.
            while let Ok(count @ 1..) = stderr.read(&mut piece).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = WORDS_KEPT.saturating_sub(kept.len());
                kept.extend(piece.iter().take(count.min(room)));
            }
        });
        Ok(Self { _child: child, stdin, stdout, words })
    }

    /// What it says, for whoever has to tell why the line did not come about.
    pub(super) fn words(&self) -> Words {
        Arc::clone(&self.words)
    }
}

/// Puts what the program said into the error of the line that should have gone through it.
pub(super) fn named(error: NodeError, settings: &Settings, words: &Words) -> NodeError {
    let said = words.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let said = one_line(&said, WORDS_SHOWN);
    let said = if said.is_empty() { "it said nothing".to_owned() } else { said };
    match error {
        NodeError::Lost { .. } | NodeError::TimedOut { .. } => NodeError::Unreachable {
            address: settings.address(),
            cause: format!("by its ProxyCommand: {error}; {said}"),
        },
        error @ (NodeError::Unreachable { .. }
        | NodeError::Refused { .. }
        | NodeError::HostKey { .. }
        | NodeError::Auth { .. }
        | NodeError::NoCommand { .. }
        | NodeError::TooMuch { .. }
        | NodeError::Rights { .. }
        | NodeError::Local(_)) => error,
    }
}

impl AsyncRead for Proxy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(context, buffer)
    }
}

impl AsyncWrite for Proxy {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(context)
    }
}
