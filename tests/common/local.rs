//! A door to this machine: commands run here as they would on a node, under `env -i`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::Stdio;

use ringhaul::node::{Command, Connect, Ended, Endpoint, Exit, Node, NodeError, Sink};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Runs commands with this folder first in PATH.
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
        let path = format!("{}:/usr/bin:/bin", self.bin.display());
        // The words go through a shell as sshd would give them to one, so quoting is tested too.
        let mut child = tokio::process::Command::new("sh")
            .args(["-c", &format!("exec env LC_ALL=C {command}")])
            .env_clear()
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let input = command.stdin().to_vec();
        let write = async {
            // A command that does not read its input is fine.
            let _ = stdin.write_all(&input).await;
            drop(stdin);
        };
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
        let mut said = Vec::new();
        let ((), (), read_error) = futures::join!(write, read, stderr.read_to_end(&mut said));
        read_error.unwrap();
        let status = child.wait().await.unwrap();
        let exit = match status.code() {
            Some(code) => Exit::Code(u32::try_from(code).unwrap()),
            None => Exit::Signal("KILL".to_owned()),
        };
        Ok(Ended { exit, stderr: said })
    }
}
