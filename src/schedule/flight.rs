//! The nodes in flight, and whom they keep from starting.
//!
//! Every question is answered from lists that are kept as nodes start and end, so that a ring of
//! a thousand nodes can be gone through after every event.

use std::collections::BTreeMap;

use super::{Hold, Place, Rules, Strategy};

/// The nodes in flight. Every list is in the order of their starts.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    strategy: Strategy,
    limit: usize,
    per_rack: Option<usize>,
    /// For each data centre, the most of it.
    per_dc: Vec<Option<usize>>,
    per_jump: Option<usize>,
    dc_parallel: bool,
    /// Number of each node's rack; racks of two data centres are never the same.
    rack: Vec<usize>,
    /// Number of each node's data centre.
    dc: Vec<usize>,
    /// Number of each node's jump host; `None` for one that is reached without.
    jump: Vec<Option<usize>>,
    /// For each node, who may not be in flight beside it.
    apart: Vec<Vec<usize>>,
    all: Vec<usize>,
    in_rack: Vec<Vec<usize>>,
    in_dc: Vec<Vec<usize>>,
    behind: Vec<Vec<usize>>,
    /// For each node, who of `apart` is in flight.
    beside: Vec<Vec<usize>>,
}

impl Flight {
    pub(super) fn new(rules: &Rules, places: &[Place]) -> Self {
        let (rack, racks) =
            numbered(places.iter().map(|place| (place.dc.as_str(), place.rack.as_str())));
        let (dc, dcs) = numbered(places.iter().map(|place| place.dc.as_str()));
        let (number, jumps) = numbered(places.iter().map(|place| place.jump.as_deref()));
        let jump = places.iter().zip(number).map(|(place, n)| place.jump.as_ref().map(|_| n));
        Self {
            strategy: rules.strategy,
            limit: rules.max_in_flight,
            per_rack: rules.per_rack,
            per_jump: rules.per_jump,
            per_dc: limits(rules, places, &dc, dcs),
            dc_parallel: rules.dc_parallel,
            rack,
            jump: jump.collect(),
            apart: both_ways(rules, &dc),
            dc,
            all: Vec::new(),
            in_rack: vec![Vec::new(); racks],
            in_dc: vec![Vec::new(); dcs],
            behind: vec![Vec::new(); jumps],
            beside: vec![Vec::new(); places.len()],
        }
    }

    /// Returns the nodes in flight.
    pub(super) fn all(&self) -> &[usize] {
        &self.all
    }

    pub(super) fn add(&mut self, node: usize) {
        self.all.push(node);
        self.in_rack[self.rack[node]].push(node);
        self.in_dc[self.dc[node]].push(node);
        if let Some(jump) = self.jump[node] {
            self.behind[jump].push(node);
        }
        for &other in &self.apart[node] {
            self.beside[other].push(node);
        }
    }

    pub(super) fn remove(&mut self, node: usize) {
        let others = |list: &mut Vec<usize>| list.retain(|other| *other != node);
        others(&mut self.all);
        others(&mut self.in_rack[self.rack[node]]);
        others(&mut self.in_dc[self.dc[node]]);
        if let Some(jump) = self.jump[node] {
            others(&mut self.behind[jump]);
        }
        for &other in &self.apart[node] {
            others(&mut self.beside[other]);
        }
    }

    /// Returns why `node` may not start beside those in flight; `None` when it may.
    pub(super) fn hold(&self, node: usize) -> Option<Hold> {
        self.crowd().or_else(|| self.company(node)).or_else(|| self.place(node))
    }

    /// The number of all in flight.
    fn crowd(&self) -> Option<Hold> {
        let limit = match self.strategy {
            Strategy::One if !self.dc_parallel => 1,
            Strategy::One | Strategy::Rack | Strategy::Topology | Strategy::All => self.limit,
        };
        (self.all.len() >= limit).then_some(Hold::InFlight { limit })
    }

    /// Who else is in flight.
    fn company(&self, node: usize) -> Option<Hold> {
        match self.strategy {
            Strategy::All => None,
            Strategy::One => {
                let first = self.in_dc[self.dc[node]].first();
                first.map(|&node| Hold::PerDc { node, limit: 1 })
            }
            Strategy::Rack => {
                let is_elsewhere = |other: &&usize| self.rack[**other] != self.rack[node];
                let company = match self.dc_parallel {
                    true => &self.in_dc[self.dc[node]],
                    false => &self.all,
                };
                company.iter().find(is_elsewhere).map(|&node| Hold::Rack { node })
            }
            Strategy::Topology => self.beside[node].first().map(|&node| Hold::Replicas { node }),
        }
    }

    /// The numbers in its rack and its data centre, and behind its jump host.
    fn place(&self, node: usize) -> Option<Hold> {
        let rack = full(&self.in_rack[self.rack[node]], self.per_rack);
        let dc = full(&self.in_dc[self.dc[node]], self.per_dc[self.dc[node]]);
        let jump = self.jump[node].and_then(|jump| full(&self.behind[jump], self.per_jump));
        rack.map(|(node, limit)| Hold::PerRack { node, limit })
            .or(dc.map(|(node, limit)| Hold::PerDc { node, limit }))
            .or(jump.map(|(node, limit)| Hold::PerJump { node, limit }))
    }
}

/// Returns the limit of each data centre, by its number.
fn limits(rules: &Rules, places: &[Place], dc: &[usize], dcs: usize) -> Vec<Option<usize>> {
    let mut limits = vec![rules.per_dc; dcs];
    for (place, dc) in places.iter().zip(dc) {
        limits[*dc] = rules.of_dc.get(&place.dc).copied().or(rules.per_dc);
    }
    limits
}

/// Returns the first of a list that is full, and how many it may hold.
fn full(list: &[usize], limit: Option<usize>) -> Option<(usize, usize)> {
    let limit = limit.filter(|limit| list.len() >= *limit)?;
    Some((*list.first()?, limit))
}

/// Gives equal things the same number; returns the numbers and how many there are.
fn numbered<T: Ord>(things: impl Iterator<Item = T>) -> (Vec<usize>, usize) {
    let mut known = BTreeMap::new();
    let mut numbers = Vec::new();
    for thing in things {
        let next = known.len();
        numbers.push(*known.entry(thing).or_insert(next));
    }
    (numbers, known.len())
}

/// Returns for each node whom the strategy keeps apart from it, said on either side. A node is
/// not apart from itself.
fn both_ways(rules: &Rules, dc: &[usize]) -> Vec<Vec<usize>> {
    let mut apart = vec![Vec::new(); dc.len()];
    if rules.strategy != Strategy::Topology {
        return apart;
    }
    for (node, others) in rules.apart.iter().enumerate() {
        let is_looked_at = |other: &&usize| !rules.dc_parallel || dc[**other] == dc[node];
        for &other in others.iter().filter(|other| **other != node).filter(is_looked_at) {
            apart[node].push(other);
            apart[other].push(node);
        }
    }
    for others in &mut apart {
        others.sort_unstable();
        others.dedup();
    }
    apart
}
