//! One look at one node: the survey, and what settles its doubts.

use crate::audit::Surveyed;
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::facts::Facts;
use crate::cassandra::nodetool::netstats::Mode;
use crate::cassandra::ring::Ring;
use crate::inventory::NodeSpec;
use crate::node::Node;
use crate::node::catalog::Nodetool;
use crate::node::survey::{self, Limits};
use crate::{audit, join};

/// A Cassandra younger than this, in seconds, is asked whether it is still starting: 4.x answers
/// `statusbackup` before it is up, with a value that means nothing yet.
const YOUNG: u64 = 180;

/// Looks at a node whose ring is known already, or will not be. Returns with the facts how
/// nodetool is called there.
pub(super) async fn look<N: Node>(
    node: &N,
    spec: &NodeSpec,
    limits: Limits,
    ring: Option<&Ring>,
) -> (Facts, Nodetool) {
    let mut tool = Nodetool::new(spec, limits.nodetool);
    let facts = survey::survey(node, spec, &mut tool, limits).await;
    let peer = node.peer_address();
    let mut surveyed = Surveyed { spec: spec.clone(), facts, peer, resolved: Vec::new() };
    if surveyed.facts.live.known().is_some() && is_doubtful(&surveyed, ring) {
        settle_doubt(node, &tool, &mut surveyed.facts).await;
    }
    (surveyed.facts, tool)
}

/// Asks what the node is doing, and then for the flag again: an answer that was given while it
/// started means nothing.
pub(super) async fn settle_doubt<N: Node>(node: &N, tool: &Nodetool, facts: &mut Facts) {
    let mode = survey::ask_mode(node, tool).await;
    facts.live = match &mode {
        Fact::Known(Mode::Starting) => Fact::unknown(WhyKind::Starting, "Cassandra is starting"),
        Fact::Known(Mode::Normal | Mode::Drained | Mode::Other(_)) => {
            survey::ask_live(node, tool).await
        }
        Fact::Unknown(why) => Fact::Unknown(Why::new(
            why.kind,
            format!("it may be starting, and does not say what it is doing: {}", why.text),
        )),
    };
    facts.mode = Some(mode);
}

/// Whether the live flag may be that of a node which is not up: the ring does not show it up and
/// normal, or is not known, or the node was started a moment ago and the ring may not know yet.
pub(super) fn is_doubtful(node: &Surveyed, ring: Option<&Ring>) -> bool {
    let process = node.facts.process.known().and_then(Option::as_ref);
    let is_old = process.and_then(|process| process.age).is_some_and(|age| age >= YOUNG);
    let is_fine_in_ring = ring.is_some_and(|ring| {
        let joined = join::join(&[audit::identity(node)], ring);
        joined.member_of[0].is_some_and(|member| ring.members[member].is_up_and_normal())
    });
    // A drained node that is asked for the ring shows itself up and normal in it.
    let is_silent = node.facts.is_talking() == Some(false);
    !is_old || !is_fine_in_ring || is_silent
}
