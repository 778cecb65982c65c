//! Which nodes are meant: `--dc`, `--rack`, `--node` and `--label`, everywhere the same.

mod explain;
mod pattern;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

pub use explain::EmptySelection;
pub use pattern::{Flag, Pattern, PatternError};

use crate::inventory::NodeSpec;

/// What a selection looks at. Inventory nodes and ring members both can be seen as one.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// Host name first, then address, Cassandra address and host id, as far as they are known.
    /// The short name is added here.
    pub names: Vec<Cow<'a, str>>,
    /// The data centre, when known.
    pub dc: Option<&'a str>,
    /// The rack, when known.
    pub rack: Option<&'a str>,
    /// The labels; a ring member has none.
    pub labels: &'a BTreeMap<String, String>,
}

/// What can be selected.
pub trait Selectable {
    /// Returns what a selection looks at.
    fn candidate(&self) -> Candidate<'_>;
}

/// What the options ask for. Between options all must hold; within one, any positive and no
/// negative.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `--dc`
    pub dc: Vec<Pattern>,
    /// `--rack`
    pub rack: Vec<Pattern>,
    /// `--node`
    pub node: Vec<Pattern>,
    /// `--label`
    pub label: Vec<Pattern>,
}

/// The nodes chosen, and what the operator should know about the choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected<T> {
    /// Never empty; in the order given.
    pub chosen: Vec<T>,
    /// A sentence for each word of an option that no node answers to: most likely a typo, and the
    /// run is then not the run that was meant.
    pub unmatched: Vec<String>,
    /// A sentence for each option that could not decide about a node, because its data centre or
    /// rack is not known.
    pub undecided: Vec<String>,
}

impl Selection {
    /// Reads the values of the options: each may be repeated, and may be a comma-separated list
    /// in which every item may begin with `!`.
    ///
    /// # Errors
    /// An empty item, or a glob or range that cannot be read.
    pub fn new(
        dc: &[String],
        rack: &[String],
        node: &[String],
        label: &[String],
    ) -> Result<Self, PatternError> {
        Ok(Self {
            dc: Pattern::read_all(Flag::Dc, dc)?,
            rack: Pattern::read_all(Flag::Rack, rack)?,
            node: Pattern::read_all(Flag::Node, node)?,
            label: Pattern::read_all(Flag::Label, label)?,
        })
    }

    /// Whether nothing is asked for, so that all nodes are meant.
    pub fn is_everything(&self) -> bool {
        self.patterns().next().is_none()
    }

    /// Returns the items that are meant.
    ///
    /// A node whose data centre or rack is not known is neither matched by a name nor left out by
    /// a `!name`.
    ///
    /// # Errors
    /// [`EmptySelection`] when none is; its text says what exists.
    pub fn select<T: Selectable>(&self, items: Vec<T>) -> Result<Selected<T>, EmptySelection> {
        let candidates: Vec<Candidate<'_>> = items.iter().map(T::candidate).collect();
        let meant: Vec<bool> = candidates.iter().map(|node| self.means(node)).collect();
        if !meant.contains(&true) {
            return Err(explain::empty(self, &candidates));
        }
        let unmatched = explain::unmatched(self, &candidates, &meant);
        let undecided = explain::undecided(self, &candidates);
        drop(candidates);
        let chosen = items.into_iter().zip(meant).filter(|(_, meant)| *meant);
        Ok(Selected { chosen: chosen.map(|(item, _)| item).collect(), unmatched, undecided })
    }

    fn means(&self, node: &Candidate<'_>) -> bool {
        [&self.dc, &self.rack, &self.node, &self.label].into_iter().all(|patterns| {
            let hits = |pattern: &&Pattern| pattern.means(node) == Some(true);
            let (negative, positive): (Vec<_>, Vec<_>) =
                patterns.iter().partition(|pattern| pattern.negated);
            !negative.iter().any(hits) && (positive.is_empty() || positive.iter().any(hits))
        })
    }

    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        [&self.dc, &self.rack, &self.node, &self.label].into_iter().flatten()
    }
}

impl Candidate<'_> {
    /// The names, and of host names the part before the first dot too.
    fn all_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().flat_map(|name| {
            let short = name.split_once('.').map(|(short, _)| short);
            let short = short.filter(|short| !short.is_empty() && name.parse::<IpAddr>().is_err());
            [Some(name.as_ref()), short].into_iter().flatten()
        })
    }
}

impl Selectable for NodeSpec {
    fn candidate(&self) -> Candidate<'_> {
        let endpoint = &self.endpoint;
        let names = [
            Some(&endpoint.host),
            endpoint.address.as_ref(),
            self.cassandra_address.as_ref(),
            self.host_id.as_ref(),
        ];
        Candidate {
            names: names.into_iter().flatten().map(|name| Cow::Borrowed(name.as_str())).collect(),
            dc: self.dc.as_deref(),
            rack: self.rack.as_deref(),
            labels: &self.labels,
        }
    }
}

impl Selectable for Candidate<'_> {
    fn candidate(&self) -> Candidate<'_> {
        self.clone()
    }
}

impl<T: Selectable> Selectable for &T {
    fn candidate(&self) -> Candidate<'_> {
        (*self).candidate()
    }
}

#[cfg(test)]
mod tests;
