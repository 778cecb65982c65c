//! Events: the contract between doing and showing.

use crate::audit::Verdict;
use crate::cassandra::fact::Why;

/// Something that happened while nodes were asked.
#[derive(Debug, Clone)]
pub enum Event {
    /// The run begins, with this many nodes.
    Begun {
        /// Number of nodes to ask.
        nodes: usize,
    },
    /// A node's turn has come.
    Started {
        /// The node's name.
        node: String,
    },
    /// A node is done with.
    Finished {
        /// The node's name.
        node: String,
        /// What was learnt of it.
        verdict: Verdict,
        /// Why the verdict is unknown.
        reason: Option<Why>,
    },
    /// The ring is known, or will not be.
    Ring {
        /// The number of members, or why there is none.
        members: Result<usize, Why>,
    },
}
