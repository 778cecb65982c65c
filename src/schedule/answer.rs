//! What the schedule answers, in words for people.
//!
//! Nodes are numbers here: a text leaves out which one, and the field beside it says so.

use std::fmt;
use std::time::Duration;

use crate::human::count;

/// What may happen now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// This node may start now; tell [`super::Schedule::started`] and ask again.
    Start(usize),
    /// Nothing starts before a time that lies ahead.
    WaitUntil {
        /// When to ask again.
        at: Duration,
        /// The node that would start then, if nothing happens before.
        node: usize,
        /// What is waited for.
        why: Pause,
    },
    /// Nothing starts before a node in flight has ended.
    WaitForNode {
        /// What is in the way.
        why: Hold,
    },
    /// The canary is fine; the others start after [`super::Schedule::go_on`].
    Ask,
    /// Every node has had its turn, and none is in flight.
    Finished,
    /// Nothing starts any more, and no node is in flight.
    Stopped(Stop),
}

/// Why time has to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// The time between two starts.
    Stagger,
    /// The time after the end of a turn.
    Rest,
    /// The time after the canary.
    AfterCanary,
}

/// Why a node in flight has to end first. `node` is the one in flight that is waited for; where
/// several are, the one that has been so longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// As many nodes are in flight as may be.
    InFlight {
        /// The most that may be.
        limit: usize,
    },
    /// As many nodes of the next one's rack are in flight as may be.
    PerRack {
        /// A node of that rack.
        node: usize,
        /// The most that may be.
        limit: usize,
    },
    /// As many nodes of the next one's data centre are in flight as may be.
    PerDc {
        /// A node of that data centre.
        node: usize,
        /// The most that may be.
        limit: usize,
    },
    /// As many nodes behind the next one's jump host are in flight as may be.
    PerJump {
        /// A node behind that jump host.
        node: usize,
        /// The most that may be.
        limit: usize,
    },
    /// Another rack has its turn.
    Rack {
        /// A node of the other rack.
        node: usize,
    },
    /// A node that holds replicas of the same ranges is in flight.
    Replicas {
        /// That node.
        node: usize,
    },
    /// The canary has not ended.
    Canary {
        /// A canary node.
        node: usize,
    },
    /// The batch before has not ended.
    Wave {
        /// A node of that batch.
        node: usize,
    },
    /// No node is left to start.
    Last {
        /// A node in flight.
        node: usize,
    },
    /// The run is stopped; what has started is finished.
    Stopping {
        /// A node in flight.
        node: usize,
        /// Why the run is stopped.
        stop: Stop,
    },
}

/// Why nothing starts any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// More nodes failed than may.
    Failures {
        /// How many failed.
        failed: usize,
        /// How many may.
        limit: usize,
    },
    /// More nodes could not be reached than may.
    Unreachable {
        /// How many could not.
        unreachable: usize,
        /// How many may.
        limit: usize,
    },
    /// A canary node did not end fine, which no number allows.
    Canary {
        /// The first that did not.
        node: usize,
    },
}

impl Hold {
    /// Returns the node in flight that is waited for; `None` when any will do.
    pub fn node(self) -> Option<usize> {
        match self {
            Self::InFlight { .. } => None,
            Self::PerRack { node, .. }
            | Self::PerDc { node, .. }
            | Self::PerJump { node, .. }
            | Self::Rack { node }
            | Self::Replicas { node }
            | Self::Canary { node }
            | Self::Wave { node }
            | Self::Last { node }
            | Self::Stopping { node, .. } => Some(node),
        }
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stagger => "the stagger between two starts",
            Self::Rest => "the rest after a turn",
            Self::AfterCanary => "the pause after the canary",
        })
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InFlight { limit } => write!(f, "{} in flight, no more may be", nodes(*limit)),
            Self::PerRack { limit, .. } => {
                write!(f, "{} of its rack in flight, no more may be", nodes(*limit))
            }
            Self::PerDc { limit, .. } => {
                write!(f, "{} of its data centre in flight, no more may be", nodes(*limit))
            }
            Self::PerJump { limit, .. } => {
                write!(f, "{} behind its jump host in flight, no more may be", nodes(*limit))
            }
            Self::Rack { .. } => f.write_str("a node of another rack is in flight"),
            Self::Replicas { .. } => {
                f.write_str("a node with replicas of the same ranges is in flight")
            }
            Self::Canary { .. } => f.write_str("the canary has not ended"),
            Self::Wave { .. } => f.write_str("the batch before has not ended"),
            Self::Last { .. } => f.write_str("the last nodes are in flight"),
            Self::Stopping { stop, .. } => {
                write!(f, "{stop}; what has started is finished")
            }
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failures { failed, limit } => {
                write!(f, "{} failed, {limit} allowed: nothing else starts", nodes(*failed))
            }
            Self::Unreachable { unreachable, limit } => {
                let unreachable = nodes(*unreachable);
                write!(f, "{unreachable} unreachable, {limit} allowed: nothing else starts")
            }
            Self::Canary { .. } => f.write_str("the canary failed: nothing else starts"),
        }
    }
}

fn nodes(number: usize) -> String {
    count(number as u64, "node")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_reads_as_a_sentence() {
        let stop = Stop::Failures { failed: 2, limit: 1 };
        let told: Vec<String> = [
            Hold::InFlight { limit: 1 },
            Hold::PerRack { node: 4, limit: 2 },
            Hold::PerDc { node: 4, limit: 3 },
            Hold::PerJump { node: 4, limit: 3 },
            Hold::Rack { node: 4 },
            Hold::Replicas { node: 4 },
            Hold::Canary { node: 4 },
            Hold::Wave { node: 4 },
            Hold::Last { node: 4 },
            Hold::Stopping { node: 4, stop },
        ]
        .map(|hold| {
            assert!(hold.node().is_none_or(|node| node == 4));
            hold.to_string()
        })
        .into();
        assert_eq!(
            told,
            [
                "1 node in flight, no more may be",
                "2 nodes of its rack in flight, no more may be",
                "3 nodes of its data centre in flight, no more may be",
                "3 nodes behind its jump host in flight, no more may be",
                "a node of another rack is in flight",
                "a node with replicas of the same ranges is in flight",
                "the canary has not ended",
                "the batch before has not ended",
                "the last nodes are in flight",
                "2 nodes failed, 1 allowed: nothing else starts; what has started is finished",
            ]
        );
        assert_eq!(
            Stop::Unreachable { unreachable: 1, limit: 0 }.to_string(),
            "1 node unreachable, 0 allowed: nothing else starts"
        );
        assert_eq!(Stop::Canary { node: 1 }.to_string(), "the canary failed: nothing else starts");
    }
}
