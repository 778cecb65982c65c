//! The columns of the table, and how important each is when the terminal is narrow.

use comfy_table::CellAlignment;

use super::{LEFT, RIGHT, names};
use crate::audit::Row;
use crate::cassandra::fact::Fact;
use crate::cassandra::holdings::Backups;
use crate::cassandra::ring::Member;
use crate::human;

/// A column: the higher its rank, the sooner it goes. Rank 0 stays.
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) rank: u8,
    pub(super) alignment: CellAlignment,
    pub(super) cell: fn(&Group<'_>, i64) -> String,
}

/// Nodes that share a row.
pub(super) struct Group<'a> {
    pub(super) rows: Vec<&'a Row>,
}

impl Group<'_> {
    /// Whether `row` differs from these in nothing that is not a sum.
    pub(super) fn is_like(&self, row: &Row) -> bool {
        let key = |row: &Row| {
            (
                row.verdict,
                state(row),
                row.facts.version.known().cloned(),
                row.facts.live.known().copied(),
                row.facts.configured().known().copied(),
                row.dc.clone(),
                row.reason.as_ref().map(|why| why.kind),
            )
        };
        key(self.rows[0]) == key(row)
    }

    /// The sum over the nodes that know it; `+ ?` when some do not.
    fn sum(&self, value: impl Fn(&Row) -> Option<u64>, show: fn(u64) -> String) -> String {
        let known: Vec<u64> = self.rows.iter().filter_map(|row| value(row)).collect();
        if known.is_empty() {
            return "?".to_owned();
        }
        let sum = show(human::sum(known.iter().copied()));
        if known.len() < self.rows.len() { format!("{sum} + ?") } else { sum }
    }

    fn backups(&self, value: fn(&Backups) -> u64, show: fn(u64) -> String) -> String {
        self.sum(|row| row.facts.backups.known().map(value), show)
    }

    /// The one text that all share, or how many different ones there are.
    fn common(&self, value: impl Fn(&Row) -> String, noun: &str) -> String {
        let mut all: Vec<String> = self.rows.iter().map(|row| value(row)).collect();
        all.sort();
        all.dedup();
        match all.as_slice() {
            [one] => one.clone(),
            many => human::count(many.len() as u64, noun),
        }
    }
}

pub(super) const COLUMNS: [Column; 15] = [
    Column {
        title: "NODE",
        rank: 0,
        alignment: LEFT,
        cell: |group, _| names(&group.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>()),
    },
    Column {
        title: "DC",
        rank: 5,
        alignment: LEFT,
        cell: |group, _| group.common(|row| row.dc.clone().unwrap_or_default(), "dc"),
    },
    Column {
        title: "RACK",
        rank: 6,
        alignment: LEFT,
        cell: |group, _| group.common(|row| row.rack.clone().unwrap_or_default(), "rack"),
    },
    Column { title: "RING", rank: 2, alignment: LEFT, cell: |group, _| state(group.rows[0]) },
    Column {
        title: "VERSION",
        rank: 10,
        alignment: LEFT,
        cell: |group, _| known(group.rows[0].facts.version.known().cloned()),
    },
    Column {
        title: "LIVE",
        rank: 1,
        alignment: LEFT,
        cell: |group, _| on_off(&group.rows[0].facts.live),
    },
    Column {
        title: "FILE",
        rank: 1,
        alignment: LEFT,
        cell: |group, _| on_off(&group.rows[0].facts.configured()),
    },
    Column {
        title: "VERDICT",
        rank: 0,
        alignment: LEFT,
        cell: |group, _| group.rows[0].verdict.label().to_owned(),
    },
    Column {
        title: "SETS",
        rank: 3,
        alignment: RIGHT,
        cell: |group, _| group.backups(|backups| backups.sets, |n| n.to_string()),
    },
    Column {
        title: "INCOMPLETE",
        rank: 12,
        alignment: RIGHT,
        cell: |group, _| group.backups(|backups| backups.incomplete_sets, |n| n.to_string()),
    },
    Column {
        title: "SIZE",
        rank: 7,
        alignment: RIGHT,
        cell: |group, _| group.backups(|backups| backups.bytes, human::bytes),
    },
    Column {
        title: "HELD",
        rank: 4,
        alignment: RIGHT,
        cell: |group, _| group.backups(|backups| backups.held_bytes, human::bytes),
    },
    Column {
        title: "OLDEST",
        rank: 8,
        alignment: RIGHT,
        cell: |group, now| {
            let all: Vec<_> =
                group.rows.iter().filter_map(|row| row.facts.backups.known()).collect();
            match all.iter().filter_map(|backups| backups.oldest).min() {
                Some(then) => human::age(then, now),
                None if all.is_empty() => "?".to_owned(),
                None => "none".to_owned(),
            }
        },
    },
    Column { title: "FREE", rank: 9, alignment: RIGHT, cell: |group, _| free(group) },
    Column { title: "SNAPSHOTS", rank: 11, alignment: LEFT, cell: |group, _| snapshots(group) },
];

/// `2 user, 1 dropped (12 KiB held)`, summed over the group.
fn snapshots(group: &Group<'_>) -> String {
    let mut counts = std::collections::BTreeMap::new();
    let mut held = 0;
    let mut is_known = false;
    for row in &group.rows {
        let Fact::Known(all) = &row.facts.snapshots else {
            continue;
        };
        is_known = true;
        for one in all {
            *counts.entry(one.kind).or_insert(0) += one.count;
            held = human::sum([held, one.held_bytes]);
        }
    }
    if !is_known {
        return "?".to_owned();
    }
    if counts.is_empty() {
        return "none".to_owned();
    }
    let counts: Vec<String> =
        counts.iter().map(|(kind, count)| format!("{count} {}", kind.name())).collect();
    format!("{} ({} held)", counts.join(", "), human::bytes(held))
}

/// The fullest file system of the group: its free share.
fn free(group: &Group<'_>) -> String {
    let disks = group.rows.iter().filter_map(|row| row.facts.disks.known()).flatten();
    let shares = disks.filter(|disk| disk.size > 0).map(|disk| {
        // Hundredths of the size first, so that no product can run over.
        disk.free / (disk.size / 100).max(1)
    });
    known(shares.min().map(|percent| format!("{percent}%")))
}

fn state(row: &Row) -> String {
    known(row.member.as_ref().map(Member::state))
}

fn on_off(fact: &Fact<bool>) -> String {
    known(fact.known().map(|on| if *on { "on" } else { "off" }.to_owned()))
}

fn known(text: Option<String>) -> String {
    text.unwrap_or_else(|| "?".to_owned())
}
