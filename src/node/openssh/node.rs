//! Runs commands on a line of the `ssh` program.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::sync::{OnceCell, mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::super::ssh::exec::{Outlet, over};
use super::client::{Client, Unended};
use super::master::Master;
use super::slots::{Patience, Slot, Turn, is_used};
use crate::node::{Command, Ended, Node, NodeError, Sink, Stage};

/// A line to a node over the `ssh` program.
///
/// A command that is given up is told to end by a second command on the line; where there is no
/// room for one, its input and output are closed. What neither ends by that, the node's own
/// `timeout` ends.
pub struct OpensshNode {
    pub(super) master: Arc<Master>,
    /// Whether there is room for a command beside one that lasts, once somebody wanted to know.
    pub(super) room_beside: OnceCell<()>,
}

impl std::fmt::Debug for OpensshNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpensshNode").field("peer", &self.master.peer).finish_non_exhaustive()
    }
}

impl Node for OpensshNode {
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
        self.room_beside.get_or_try_init(|| self.try_beside()).await?;
        let limit = command.time_limit();
        let begin = Instant::now() + limit;
        let mut patience = Patience::new();
        let mut outlet = Outlet::Sink(sink);
        let mut enough = std::pin::pin!(enough);
        loop {
            let (mut client, mut pipe) = Client::spawn(Slot::beside(&self.master), command)?;
            let started = client.started();
            let deadline = watch::Sender::new(Some(begin));
            let stdin = async {
                has_started(started).await;
                let _ = pipe.write_all(command.stdin()).await;
                deadline.send_replace(None);
                loop {
                    tokio::select! {
                        biased;
                        () = &mut enough => break,
                        () = sleep(beat) => {}
                    }
                    // A command that does not read must not keep us from hearing `enough`.
                    let _ = timeout(beat, pipe.write_all(b"\n")).await;
                }
                deadline.send_replace(Some(Instant::now() + limit));
                let _ = pipe.write_all(b"done\n").await;
                drop(pipe);
            };
            let result = tokio::select! {
                result = client.drive(command, stdin, &mut outlet) => result,
                () = over(deadline.subscribe()) => {
                    return Err(NodeError::TimedOut { stage: Stage::Command, after: limit });
                }
            };
            match result {
                Ok(ended) => return Ok(ended),
                Err(Unended::Failed(error)) => return Err(error),
                Err(Unended::NoRoom) => patience.wait_beside(&self.master, begin).await?,
            }
        }
    }

    fn peer_address(&self) -> Option<IpAddr> {
        self.master.peer
    }
}

impl OpensshNode {
    /// Runs a command whose input is known, within its time. Waiting for our own other commands
    /// does not count.
    async fn once(
        &self,
        command: &Command,
        mut outlet: Outlet<'_, '_>,
    ) -> Result<Ended, NodeError> {
        let limit = command.time_limit();
        loop {
            let mut slot = Slot::take(&self.master).await?;
            let deadline = Instant::now() + limit;
            let mut patience = Patience::new();
            loop {
                let (mut client, pipe) = Client::spawn(slot, command)?;
                let started = client.started();
                let run = client.drive(command, write(pipe, command), &mut outlet);
                match timeout_at(deadline, run).await {
                    Ok(Ok(ended)) => return Ok(ended),
                    Ok(Err(Unended::Failed(error))) => return Err(error),
                    Ok(Err(Unended::NoRoom)) => {}
                    Err(_) => {
                        let is_running = *started.borrow();
                        let stage = if is_running { Stage::Command } else { Stage::Channel };
                        return Err(NodeError::TimedOut { stage, after: limit });
                    }
                }
                slot = client.into_slot().ok_or_else(super::slots::no_session)?;
                match patience.wait(&self.master).await? {
                    Turn::Again => {}
                    Turn::Queue => {
                        // The others hold places that stand for something; one comes back.
                        slot.forget();
                        break;
                    }
                }
            }
        }
    }

    /// Tries whether a command can run beside one that lasts, before one that lasts does anything.
    async fn try_beside(&self) -> Result<(), NodeError> {
        let limit = Duration::from_secs(30);
        let wait = Command::new(["sh", "-c", "read -r line; exit 0"], limit);
        let look = Command::new(["sh", "-c", "exit 0"], limit);
        let deadline = Instant::now() + limit;
        let mut patience = Patience::new();
        loop {
            let (mut first, pipe) = Client::spawn(Slot::beside(&self.master), &wait)?;
            let started = first.started();
            let second = async {
                has_started(started).await;
                let result = self.look(&look).await;
                drop(pipe);
                result
            };
            let mut nothing = |_: &[u8]| std::ops::ControlFlow::Continue(());
            let mut outlet = Outlet::Sink(&mut nothing);
            let drive = first.drive(&wait, std::future::pending(), &mut outlet);
            let both = async {
                tokio::pin!(drive, second);
                tokio::select! {
                    ended = &mut drive => (ended, None),
                    beside = &mut second => (drive.await, Some(beside)),
                }
            };
            match timeout_at(deadline, both).await {
                Ok((Ok(_), Some(beside))) => return beside,
                Ok((Err(Unended::NoRoom), _)) => {
                    patience.wait_beside(&self.master, deadline).await?;
                }
                Ok((Err(Unended::Failed(error)), _)) => return Err(error),
                Ok((Ok(_), None)) => {
                    return Err(NodeError::Lost { cause: "a command ended by itself".into() });
                }
                Err(_) => {
                    return Err(NodeError::TimedOut { stage: Stage::Channel, after: limit });
                }
            }
        }
    }

    /// Runs a command beside one that waits.
    async fn look(&self, look: &Command) -> Result<(), NodeError> {
        let (mut client, pipe) = Client::spawn(Slot::beside(&self.master), look)?;
        drop(pipe);
        let mut nothing = |_: &[u8]| std::ops::ControlFlow::Continue(());
        let mut outlet = Outlet::Sink(&mut nothing);
        match client.drive(look, std::future::pending(), &mut outlet).await {
            Ok(_) => Ok(()),
            // A command of ours has it.
            Err(Unended::NoRoom) if is_used(&self.master) => Ok(()),
            Err(Unended::NoRoom) => Err(NodeError::NoCommand {
                cause: "sshd allows one session a connection (MaxSessions 1), and this needs a \
                        second one for the commands beside it"
                    .into(),
            }),
            Err(Unended::Failed(error)) => Err(error),
        }
    }
}

async fn has_started(mut started: watch::Receiver<bool>) {
    if started.wait_for(|started| *started).await.is_err() {
        // It never will; its end is told elsewhere.
        std::future::pending::<()>().await;
    }
}

/// Writes a command's input. What cannot be written is no fault: a command may end without
/// reading its input.
async fn write(mut pipe: ChildStdin, command: &Command) {
    let _ = pipe.write_all(command.stdin()).await;
    drop(pipe);
}
