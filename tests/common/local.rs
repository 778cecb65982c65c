//! A door to this machine: commands run here as they would on a node, under `env -i`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use futures::future::Either;
use ringhaul::node::{Command, Connect, Ended, Endpoint, Exit, Node, NodeError, Sink, Stage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use tokio::sync::mpsc;

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
        let (child, write) = self.once(command);
        end(child, write, sink).await
    }

    async fn pour(&self, command: &Command, into: mpsc::Sender<Bytes>) -> Result<Ended, NodeError> {
        let (mut child, write) = self.once(command);
        let (mut stdout, limit) = (child.stdout.take().unwrap(), command.output_limit());
        let poured = async {
            let (mut piece, mut printed) = (vec![0; 65536], 0);
            loop {
                let read = tokio::time::timeout(command.stall_limit(), stdout.read(&mut piece));
                let count = tokio::select! {
                    read = read => match read {
                        Ok(count) => count.unwrap(),
                        Err(_) => {
                            let (stage, after) = (Stage::Command, command.stall_limit());
                            return Err(NodeError::TimedOut { stage, after });
                        }
                    },
                    () = into.closed() => return Err(NodeError::TooMuch { limit }),
                };
                printed += count as u64;
                if count == 0 {
                    return Ok(());
                }
                let sent = into.send(Bytes::copy_from_slice(&piece[..count])).await;
                if sent.is_err() || printed > limit {
                    return Err(NodeError::TooMuch { limit });
                }
            }
        };
        let mut errors = child.stderr.take().unwrap();
        let mut stderr = Vec::new();
        let said = async {
            errors.read_to_end(&mut stderr).await.unwrap();
            Ok(())
        };
        let write = async {
            write.await;
            Ok(())
        };
        let time = tokio::time::timeout(command.time_limit(), async {
            futures::try_join!(poured, said, write)
        });
        let (stage, after) = (Stage::Command, command.time_limit());
        time.await.map_err(|_| NodeError::TimedOut { stage, after })??;
        Ok(Ended { exit: exit(&mut child).await, stderr })
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
    /// Begins a command; its input is written by the future.
    fn once(&self, command: &Command) -> (Child, impl Future<Output = ()> + use<>) {
        let mut child = self.begin(command, true);
        let mut stdin = child.stdin.take().unwrap();
        let text = command.stdin().to_vec();
        let write = async move {
            // A command that does not read its input is fine.
            let _ = stdin.write_all(&text).await;
        };
        (child, write)
    }

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
    // Whoever has heard enough listens no more, so that the command can end.
    let read = async move {
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
    Ok(Ended { exit: exit(&mut child).await, stderr })
}

async fn exit(child: &mut Child) -> Exit {
    let status = child.wait().await.unwrap();
    match status.code() {
        Some(code) => Exit::Code(u32::try_from(code).unwrap()),
        None => Exit::Signal(status.to_string()),
    }
}
