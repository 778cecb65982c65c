//! What the operator wants kept while nodes are changed, and which wishes make no sense.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Share;

/// Which nodes may be in flight at the same time, whatever the numbers say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// One node at a time.
    #[default]
    One,
    /// Nodes of one rack of one data centre at a time.
    Rack,
    /// Only nodes that hold no replica of the same range.
    Topology,
    /// Any nodes.
    All,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "one",
            Self::Rack => "rack",
            Self::Topology => "topology",
            Self::All => "all",
        })
    }
}

/// What happens when every canary node has ended fine and there are others to start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterCanary {
    /// The others begin.
    #[default]
    GoOn,
    /// The others begin so long after the last canary node ended.
    Wait(Duration),
    /// The operator is asked.
    Ask,
}

/// The rules of a run. The default is the most careful: one node at a time, the first failure
/// stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// The least time from start to start.
    pub stagger: Duration,
    /// Each gap is `stagger` and up to so much more.
    pub jitter: Duration,
    /// The least time from the end of any turn to the next start.
    pub rest: Duration,
    /// What the jitter is drawn from: the same seed gives the same gaps.
    pub seed: u64,
    /// The most nodes in flight.
    pub max_in_flight: usize,
    /// The most nodes in flight in one rack of one data centre.
    pub per_rack: Option<usize>,
    /// The most nodes in flight in one data centre.
    pub per_dc: Option<usize>,
    /// The same for data centres by their names, in place of `per_dc`.
    pub of_dc: BTreeMap<String, usize>,
    /// The most nodes in flight behind one jump host.
    #[serde(default)]
    pub per_jump: Option<usize>,
    /// Whether data centres go side by side: the strategy then looks at each by itself.
    pub dc_parallel: bool,
    /// Which nodes may be in flight together.
    pub strategy: Strategy,
    /// For [`Strategy::Topology`]: `apart[n]` are the nodes that hold a replica of a range that
    /// `n` holds too. To say it on one side is enough. Empty: no two nodes do.
    pub apart: Vec<BTreeSet<usize>>,
    /// The nodes to try first. All of them end before any other starts; one that does not end
    /// fine stops the run.
    pub canary: Vec<usize>,
    /// What happens when the canary is fine.
    pub after_canary: AfterCanary,
    /// Sizes of the batches, of all nodes of the run, at least one node each; the last repeats.
    /// Empty: one batch. Canary nodes are in none.
    pub waves: Vec<Share>,
    /// More failures than this, of all nodes of the run, stop it.
    pub max_failures: Share,
    /// When given, unreachable nodes count against this alone, else as failures.
    pub max_unreachable: Option<Share>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            stagger: Duration::ZERO,
            jitter: Duration::ZERO,
            rest: Duration::ZERO,
            seed: 0,
            max_in_flight: 1,
            per_rack: None,
            per_dc: None,
            per_jump: None,
            of_dc: BTreeMap::new(),
            dc_parallel: false,
            strategy: Strategy::One,
            apart: Vec::new(),
            canary: Vec::new(),
            after_canary: AfterCanary::GoOn,
            waves: Vec::new(),
            max_failures: Share::Count(0),
            max_unreachable: None,
        }
    }
}

/// Rules that no run can keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// With 0 in flight no node would ever start.
    #[error("no node may be in flight {scope}: allow at least 1")]
    NothingMayStart {
        /// Where: `at all`, `per rack` …
        scope: &'static str,
    },
    /// A canary that is not among the nodes.
    #[error("canary node {node} is not one of the {total} nodes of this run: name one that is")]
    NoSuchCanary {
        /// Its number.
        node: usize,
        /// The number of nodes.
        total: usize,
    },
    /// Replica neighbours are known of some nodes only: unknown must not pass for none.
    #[error("replica neighbours are given for {given} of {total} nodes: give them for all or none")]
    ApartOfSome {
        /// Number of entries.
        given: usize,
        /// The number of nodes.
        total: usize,
    },
    /// A replica neighbour that is not among the nodes.
    #[error("node {node} shares replicas with node {other}, which is not one of the {total} nodes")]
    NoSuchNeighbour {
        /// The node whose neighbour it is.
        node: usize,
        /// The neighbour's number.
        other: usize,
        /// The number of nodes.
        total: usize,
    },
}

impl Rules {
    /// Looks for what no run of `total` nodes can keep.
    pub(super) fn check(&self, total: usize) -> Result<(), RuleError> {
        let most = [
            ("at all", Some(self.max_in_flight)),
            ("per rack", self.per_rack),
            ("per data centre", self.per_dc),
            ("per jump host", self.per_jump),
            ("per data centre", self.of_dc.values().min().copied()),
        ];
        if let Some((scope, _)) = most.into_iter().find(|(_, most)| *most == Some(0)) {
            return Err(RuleError::NothingMayStart { scope });
        }
        if let Some(&node) = self.canary.iter().find(|node| **node >= total) {
            return Err(RuleError::NoSuchCanary { node, total });
        }
        if !self.apart.is_empty() && self.apart.len() != total {
            return Err(RuleError::ApartOfSome { given: self.apart.len(), total });
        }
        for (node, others) in self.apart.iter().enumerate() {
            if let Some(&other) = others.iter().find(|other| **other >= total) {
                return Err(RuleError::NoSuchNeighbour { node, other, total });
            }
        }
        Ok(())
    }

    /// Returns the least time from start number `starts` (from 1) to the one after it.
    pub(super) fn gap(&self, starts: u64) -> Duration {
        // Nanoseconds in 64 bits are 584 years: a longer jitter is cut there.
        let widest = u64::try_from(self.jitter.as_nanos()).unwrap_or(u64::MAX);
        let part = (u128::from(mixed(self.seed, starts)) * (u128::from(widest) + 1)) >> 64;
        let extra = Duration::from_nanos(u64::try_from(part).unwrap_or(widest));
        self.stagger.saturating_add(extra)
    }
}

/// Returns 64 even bits for the `n`th draw of `seed` (the finisher of SplitMix64): a gap does not
/// depend on how often anyone asked before.
fn mixed(seed: u64, n: u64) -> u64 {
    let mut bits = seed.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_use_the_whole_jitter_and_no_more() {
        let second = Duration::from_secs(1);
        let rules = Rules { stagger: second, jitter: second * 9, seed: 7, ..Rules::default() };
        let gaps: Vec<Duration> = (1..=1000).map(|n| rules.gap(n)).collect();
        assert!(gaps.iter().all(|gap| (second..=second * 10).contains(gap)));
        assert!(gaps.iter().any(|gap| *gap < second * 2));
        assert!(gaps.iter().any(|gap| *gap > second * 9));
        let other = Rules { seed: 8, ..rules.clone() };
        assert_ne!(rules.gap(1), other.gap(1));
    }

    #[test]
    fn endless_stagger_and_jitter_do_not_overflow() {
        let rules =
            Rules { stagger: Duration::MAX, jitter: Duration::MAX, seed: 1, ..Rules::default() };
        assert_eq!(rules.gap(1), Duration::MAX);
    }

    #[test]
    fn rules_that_no_run_can_keep_are_refused() {
        let told = |rules: Rules| rules.check(2).unwrap_err().to_string();
        assert_eq!(
            told(Rules { max_in_flight: 0, ..Rules::default() }),
            "no node may be in flight at all: allow at least 1"
        );
        assert_eq!(
            told(Rules { per_rack: Some(0), ..Rules::default() }),
            "no node may be in flight per rack: allow at least 1"
        );
        assert_eq!(
            told(Rules { per_dc: Some(0), ..Rules::default() }),
            "no node may be in flight per data centre: allow at least 1"
        );
        assert_eq!(
            told(Rules { canary: vec![0, 2], ..Rules::default() }),
            "canary node 2 is not one of the 2 nodes of this run: name one that is"
        );
        assert_eq!(
            told(Rules { apart: vec![BTreeSet::new()], ..Rules::default() }),
            "replica neighbours are given for 1 of 2 nodes: give them for all or none"
        );
        assert_eq!(
            told(Rules { apart: vec![BTreeSet::new(), [5].into()], ..Rules::default() }),
            "node 1 shares replicas with node 5, which is not one of the 2 nodes"
        );
    }

    #[test]
    fn a_strategy_is_written_as_it_is_given() {
        use clap::ValueEnum;
        for strategy in Strategy::value_variants() {
            let name = strategy.to_possible_value().unwrap().get_name().to_owned();
            assert_eq!(strategy.to_string(), name);
            assert_eq!(serde_json::to_string(strategy).unwrap(), format!("\"{name}\""));
        }
    }
}
