//! What the turns of ship and clean share: the store, the ring as the store keeps it, the limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};

use super::rate::Rate;
use crate::record::Entry;
use crate::store::Store;
use crate::store::manifest::{NodeAtHand, RingMember, Topology};

/// The ring as it was when the run began, once it has been asked for: nodetool needs seconds, in
/// which the first node can be listed.
pub type Picture = Shared<BoxFuture<'static, Arc<Topology>>>;

/// The store of a run.
#[derive(Debug)]
pub struct Depot {
    /// Where it lies.
    pub(super) store: Store,
    picture: Picture,
    /// Bytes a second from all nodes.
    pub(super) total: Option<Rate>,
    /// Bytes that turns under way are still to write.
    promised: AtomicU64,
}

/// Room that a turn has been promised. Dropping it gives the rest back.
#[derive(Debug)]
pub(super) struct Promise<'a> {
    depot: &'a Depot,
    left: AtomicU64,
}

/// There is not room enough in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom {
    /// Bytes this account may write.
    pub(super) free: u64,
    /// Bytes that others who are under way will need of them.
    pub(super) promised: u64,
    /// Bytes that are missing.
    pub(super) missing: u64,
}

impl Depot {
    /// Returns what the turns share.
    pub fn new(store: Store, picture: Picture, total_rate: Option<u64>) -> Self {
        let total = total_rate.map(Rate::new);
        Self { store, picture, total, promised: AtomicU64::new(0) }
    }

    /// Promises room for so many bytes, where `free` bytes are free and `reserve` are to stay so.
    pub(super) fn promise(
        &self,
        bytes: u64,
        free: u64,
        reserve: u64,
    ) -> Result<Promise<'_>, NoRoom> {
        let promised = self.promised.fetch_add(bytes, Ordering::SeqCst);
        let promise = Promise { depot: self, left: AtomicU64::new(bytes) };
        let needed = promised.saturating_add(bytes).saturating_add(reserve);
        match needed.checked_sub(free) {
            None | Some(0) => Ok(promise),
            // Dropping the promise takes it back.
            Some(missing) => Err(NoRoom { free, promised, missing }),
        }
    }

    /// The node as the manifests have it.
    pub(super) async fn node(
        &self,
        entry: &Entry,
        host_id: &str,
        version: Option<&String>,
    ) -> NodeAtHand {
        let topology = self.picture.clone().await;
        let is_it = |member: &&RingMember| {
            member.host_id.as_ref().is_some_and(|id| id.eq_ignore_ascii_case(host_id))
        };
        let member = topology.members.iter().find(is_it);
        NodeAtHand {
            host_id: host_id.to_owned(),
            name: entry.name().to_owned(),
            cluster: topology.cluster.clone(),
            address: entry.place.address.clone(),
            dc: entry.place.dc.clone(),
            rack: entry.place.rack.clone(),
            tokens: member.and_then(|member| member.tokens.clone()),
            cassandra: version.cloned(),
            schema_version: member.and_then(|member| member.schema_version.clone()),
        }
    }
}

/// Returns a ring that is known already.
pub fn known(topology: Topology) -> Picture {
    futures::future::ready(Arc::new(topology)).boxed().shared()
}

impl Promise<'_> {
    /// So many bytes have been written: the file system counts them now.
    pub(super) fn keep(&self, bytes: u64) {
        let kept = bytes.min(self.left.load(Ordering::SeqCst));
        self.left.fetch_sub(kept, Ordering::SeqCst);
        self.depot.promised.fetch_sub(kept, Ordering::SeqCst);
    }
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        self.depot.promised.fetch_sub(self.left.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}
