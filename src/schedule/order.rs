//! The order of the nodes in a run.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Place;

/// In which order nodes have their turns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// As the inventory lists them.
    #[default]
    Inventory,
    /// By lowest token, round the ring.
    Ring,
    /// Rack by rack, as the inventory names them first.
    Rack,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inventory => "inventory",
            Self::Ring => "ring",
            Self::Rack => "rack",
        })
    }
}

/// Returns the numbers of the nodes at `places` in the order wanted; equals stay as given.
///
/// `first_token` is each node's lowest token; nodes without one come last in [`Order::Ring`].
pub fn arranged(order: Order, places: &[Place], first_token: &[Option<i128>]) -> Vec<usize> {
    let mut nodes: Vec<usize> = (0..places.len()).collect();
    match order {
        Order::Inventory => {}
        Order::Ring => {
            let token = |node: usize| first_token.get(node).copied().flatten();
            nodes.sort_by_key(|&node| (token(node).is_none(), token(node)));
        }
        Order::Rack => {
            let mut first = BTreeMap::new();
            for (node, place) in places.iter().enumerate() {
                first.entry(place).or_insert(node);
            }
            nodes.sort_by_key(|&node| first.get(&places[node]).copied());
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(names: &[(&str, &str)]) -> Vec<Place> {
        names
            .iter()
            .map(|(dc, rack)| Place { dc: (*dc).into(), rack: (*rack).into(), jump: None })
            .collect()
    }

    #[test]
    fn rack_by_rack_keeps_first_appearance_and_tells_data_centres_apart() {
        let places = places(&[("b", "r1"), ("a", "r1"), ("b", "r2"), ("a", "r1"), ("b", "r1")]);
        assert_eq!(arranged(Order::Rack, &places, &[]), [0, 4, 1, 3, 2]);
        assert_eq!(arranged(Order::Inventory, &places, &[]), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn round_the_ring_nodes_without_a_token_come_last() {
        let places = places(&[("a", "r"); 6]);
        let tokens = [None, Some(7), Some(i128::MAX), Some(-9), Some(7)];
        assert_eq!(arranged(Order::Ring, &places, &tokens), [3, 1, 4, 2, 0, 5]);
    }
}
