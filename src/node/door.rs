//! The door to each node: ringhaul's own SSH, or the `ssh` program, as its endpoint wants it.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::openssh::{Openssh, OpensshNode};
use super::ssh::{Explained, Ssh, SshNode, Told, check_by};
use super::{Command, Connect, Ended, Endpoint, Node, NodeError, Sink, Transport};

/// Makes lines by both.
#[derive(Debug, Clone)]
pub struct Door {
    builtin: Ssh,
    openssh: Openssh,
}

impl Door {
    /// Returns a maker of lines that takes what an endpoint says.
    pub fn new(builtin: Ssh, openssh: Openssh) -> Self {
        Self { builtin, openssh }
    }

    /// Goes the way to a node and tells of each step; see [`Ssh::check`].
    pub async fn check(&self, endpoint: &Endpoint, told: &mut Told<'_>) -> bool {
        let means = "left to the ssh program (transport: openssh); `ssh -v` tells its steps";
        match endpoint.transport.unwrap_or_default() {
            Transport::Builtin => self.builtin.check(endpoint, told).await,
            Transport::Openssh => check_by(self, endpoint, means, told).await,
        }
    }

    /// Returns how a node is reached, and the jump hosts before it; see [`Ssh::explain_way`]. Of a
    /// node that the `ssh` program reaches, `ssh -G` tells it: none.
    ///
    /// # Errors
    /// As there.
    pub async fn explain(&self, endpoint: &Endpoint) -> Result<Vec<Explained>, NodeError> {
        match endpoint.transport.unwrap_or_default() {
            Transport::Builtin => self.builtin.explain_way(endpoint).await,
            Transport::Openssh => Ok(Vec::new()),
        }
    }

    /// Waits until commands that were given up are told to end, at most `limit`.
    pub async fn settle(&self, limit: Duration) {
        tokio::join!(self.builtin.settle(limit), self.openssh.settle(limit));
    }
}

impl Connect for Door {
    type Node = DoorNode;

    async fn connect(&self, endpoint: &Endpoint) -> Result<DoorNode, NodeError> {
        Ok(match endpoint.transport.unwrap_or_default() {
            Transport::Builtin => DoorNode::Builtin(self.builtin.connect(endpoint).await?),
            Transport::Openssh => {
                // It reads the files itself, and would run what stands there.
                self.builtin.check_match_exec(endpoint).await?;
                DoorNode::Openssh(self.openssh.connect(endpoint).await?)
            }
        })
    }

    async fn connect_bulk(&self, endpoint: &Endpoint) -> Result<DoorNode, NodeError> {
        Ok(match endpoint.transport.unwrap_or_default() {
            Transport::Builtin => DoorNode::Builtin(self.builtin.connect_bulk(endpoint).await?),
            Transport::Openssh => {
                self.builtin.check_match_exec(endpoint).await?;
                DoorNode::Openssh(self.openssh.connect_bulk(endpoint).await?)
            }
        })
    }

    // Both read the same files.
    async fn behind(&self, endpoint: &Endpoint) -> Option<String> {
        self.builtin.behind(endpoint).await
    }
}

/// A line by one of them.
#[derive(Debug)]
pub enum DoorNode {
    /// Over ringhaul's own SSH.
    Builtin(SshNode),
    /// Over the `ssh` program.
    Openssh(OpensshNode),
}

impl Node for DoorNode {
    async fn feed(&self, command: &Command, sink: &mut Sink<'_>) -> Result<Ended, NodeError> {
        match self {
            Self::Builtin(node) => node.feed(command, sink).await,
            Self::Openssh(node) => node.feed(command, sink).await,
        }
    }

    async fn pour(&self, command: &Command, into: mpsc::Sender<Bytes>) -> Result<Ended, NodeError> {
        match self {
            Self::Builtin(node) => node.pour(command, into).await,
            Self::Openssh(node) => node.pour(command, into).await,
        }
    }

    async fn hold(
        &self,
        command: &Command,
        beat: Duration,
        enough: impl Future<Output = ()> + Send,
        sink: &mut Sink<'_>,
    ) -> Result<Ended, NodeError> {
        match self {
            Self::Builtin(node) => node.hold(command, beat, enough, sink).await,
            Self::Openssh(node) => node.hold(command, beat, enough, sink).await,
        }
    }

    fn peer_address(&self) -> Option<IpAddr> {
        match self {
            Self::Builtin(node) => node.peer_address(),
            Self::Openssh(node) => node.peer_address(),
        }
    }
}
