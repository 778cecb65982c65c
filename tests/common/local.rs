//! A door to this machine: commands run here as they would on a node, under `env -i`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use futures::future::Either;
use ringhaul::node::{Command, Connect, Ended, Endpoint, Exit, Node, NodeError, Sink};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;

/// Runs commands with this folder first in PATH, in the folder above it, as if that were home.
#[derive(Clone)]
pub(crate) struct Local {
    pub(crate) bin: PathBuf,
}

impl Connect for Local {
    type Node = Self;

    async fn connect(&self, _: &Endpoint) -> Result<Self, NodeError> {
        Ok(self.clone())
    }
}

impl Node for Local {
    async fn feed(&self, command: &Command, sink: &mut Sink<'_>) -> Result<Ended, NodeError> {
        let mut child = self.begin(command, true);
        let mut stdin = child.stdin.take().unwrap();
        let write = async {
            // A command that does not read its input is fine.
            let _ = stdin.write_all(command.stdin()).await;
            drop(stdin);
        };
        end(child, write, sink).await
    }

    async fn hold(
        &self,
        command: &Command,
        beat: Duration,
        enough: impl Future<Output = ()> + Send,
        sink: &mut Sink<'_>,
    ) -> Result<Ended, NodeError> {
        let mut child = self.begin(command, false);
        let mut stdin = child.stdin.take().unwrap();
        let write = async {
            let _ = stdin.write_all(command.stdin()).await;
            let mut enough = std::pin::pin!(enough);
            while tokio::time::timeout(beat, &mut enough).await.is_err() {
                let _ = stdin.write_all(b"\n").await;
            }
            let _ = stdin.write_all(b"done\n").await;
            drop(stdin);
        };
        end(child, write, sink).await
    }
}

impl Local {
    fn begin(&self, command: &Command, is_killed_on_drop: bool) -> Child {
        let path = format!("{}:/usr/bin:/bin", self.bin.display());
        // The words go through a shell as sshd would give them to one, so quoting is tested too.
        tokio::process::Command::new("sh")
            .args(["-c", &format!("exec env LC_ALL=C {command}")])
            .env_clear()
            .env("PATH", path)
            .current_dir(self.bin.parent().unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(is_killed_on_drop)
            .spawn()
            .unwrap()
    }
}

/// Runs a command to its end. One that ends by itself does not wait for the rest of its input.
async fn end(
    mut child: Child,
    write: impl Future<Output = ()>,
    sink: &mut Sink<'_>,
) -> Result<Ended, NodeError> {
    let mut stdout = child.stdout.take().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let read = async {
        let mut piece = vec![0; 8192];
        loop {
            match stdout.read(&mut piece).await.unwrap() {
                0 => return,
                n if sink(&piece[..n]) == ControlFlow::Break(()) => return,
                _ => {}
            }
        }
    };
    let read = async {
        let mut said = Vec::new();
        let ((), read_error) = futures::join!(read, errors.read_to_end(&mut said));
        read_error.unwrap();
        said
    };
    futures::pin_mut!(write, read);
    let stderr = match futures::future::select(write, read).await {
        Either::Left(((), read)) => read.await,
        Either::Right((said, _)) => said,
    };
    let status = child.wait().await.unwrap();
    let exit = match status.code() {
        Some(code) => Exit::Code(u32::try_from(code).unwrap()),
        None => Exit::Signal(status.to_string()),
    };
    Ok(Ended { exit, stderr })
}
