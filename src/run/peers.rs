//! Where nodes really are: the address at the other end of the line, else what the name means.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};

use crate::inventory::NodeSpec;
use crate::join::Identity;
use crate::node::{Connect, Endpoint, Node};

/// How long a name may take to be looked up. A resolver's own patience is 5 s a server.
const LOOK_UP: Duration = Duration::from_secs(6);

/// Returns the identities of `nodes`; those that have no member yet are gone to.
pub async fn find<C: Connect>(
    connector: &Arc<C>,
    nodes: &[NodeSpec],
    member_of: &[Option<usize>],
    in_flight: usize,
) -> Vec<Identity> {
    let identities = nodes.iter().zip(member_of).map(|(node, member)| async move {
        let mut identity = Identity::of(node);
        if member.is_none() {
            identity.peer = match connector.connect(&node.endpoint).await {
                Ok(line) => line.peer_address(),
                Err(_) => None,
            };
            if identity.peer.is_none() {
                identity.resolved = resolve(&node.endpoint).await;
            }
        }
        identity
    });
    stream::iter(identities).buffered(in_flight.max(1)).collect().await
}

/// Returns the addresses that the host's name stands for here; none when it is an address, or
/// nobody knows the name.
pub async fn resolve(endpoint: &Endpoint) -> Vec<IpAddr> {
    let name = endpoint.address.as_deref().unwrap_or(&endpoint.host);
    if name.parse::<IpAddr>().is_ok() {
        return Vec::new();
    }
    match tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((name, 0))).await {
        Ok(Ok(found)) => found.map(|address| address.ip().to_canonical()).collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}
