//! What a journal knows of ship and clean: what was wanted, and what came of it by table.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What ship is to do on each node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ship {
    /// The store's folder, absolute.
    pub store: PathBuf,
    /// `KEYSPACE`, `KEYSPACE.TABLE`, globs, `!`, as they were typed; none means all.
    pub tables: Vec<String>,
    /// A snapshot to ship beside what is in backups.
    pub snapshot: Option<String>,
    /// Bytes a second from one node.
    pub rate: Option<u64>,
    /// Bytes a second from all nodes.
    pub total_rate: Option<u64>,
    /// When it may be done.
    pub window: Option<Window>,
    /// Bytes that are left free in the store.
    pub reserve: u64,
    /// What is removed from the node once it is shipped.
    pub then_clean: Option<Removal>,
}

/// What clean is to do on each node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clean {
    /// The store's folder, absolute.
    pub store: PathBuf,
    /// As of [`Ship`].
    pub tables: Vec<String>,
    /// When it may be done.
    pub window: Option<Window>,
    /// What may be removed.
    pub removal: Removal,
}

/// What of that which the store holds may be removed from a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Sets whose last file was written a shorter time ago stay.
    pub min_age: Duration,
    /// So many of the newest sets of each table stay.
    pub keep_last: usize,
    /// So many percent of what is to be removed are read from the store first and hashed.
    pub read_back: Option<u8>,
}

/// A part of each day, by the controller's clock and time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Minutes after midnight.
    pub from: u16,
    /// Minutes after midnight; below `from` it is of the next day.
    pub to: u16,
}

const DAY: u16 = 24 * 60;

impl Window {
    /// Reads `22:00-06:00`.
    ///
    /// # Errors
    /// What is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let minutes = |text: &str| {
            let (hours, minutes) = text.trim().split_once(':')?;
            let is_number = |text: &str| {
                (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
            };
            if !is_number(hours) || !is_number(minutes) || minutes.len() != 2 {
                return None;
            }
            let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
            (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
        };
        let window = text
            .split_once('-')
            .and_then(|(from, to)| Some(Self { from: minutes(from)?, to: minutes(to)? }));
        match window {
            Some(window) if window.from != window.to => Ok(window),
            Some(_) | None => Err("expected two times of a day such as 22:00-06:00".to_owned()),
        }
    }

    /// Whether it is open at this minute of a day.
    pub fn is_open(self, minute: u16) -> bool {
        match self.from < self.to {
            true => (self.from..self.to).contains(&minute),
            false => minute >= self.from || minute < self.to,
        }
    }

    /// How many minutes it takes from this minute of a day until it opens.
    pub fn opens_in(self, minute: u16) -> u16 {
        if self.is_open(minute) { 0 } else { (self.from + DAY - minute) % DAY }
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// Sets and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Sets.
    pub sets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Amount {
    /// Adds one set.
    pub fn add(&mut self, bytes: u64) {
        self.sets += 1;
        // A lie of a node ends at the top and does not wrap round.
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Adds what is no set: its bytes alone.
    pub fn add_bytes(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn join(&mut self, other: Self) {
        self.sets = self.sets.saturating_add(other.sets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// What became of sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Stored by this turn.
    pub shipped: Amount,
    /// In the store already.
    pub there: Amount,
    /// Incomplete, or not there any more when they were read: taken next time.
    pub held: Amount,
    /// Not stored although they were complete.
    pub failed: Amount,
    /// Removed from the node: all the bytes that were unlinked.
    pub cleaned: Amount,
    /// Bytes the disk of the node got back: of files whose last link went.
    pub freed: u64,
    /// In `backups` of the node at the end of the turn.
    pub left: Amount,
}

impl Counts {
    /// Adds others up.
    pub fn join(&mut self, other: &Self) {
        self.shipped.join(other.shipped);
        self.there.join(other.there);
        self.held.join(other.held);
        self.failed.join(other.failed);
        self.cleaned.join(other.cleaned);
        self.freed = self.freed.saturating_add(other.freed);
        self.left.join(other.left);
    }
}

/// What a turn of ship or clean came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Haul {
    /// By `keyspace.table`.
    pub tables: BTreeMap<String, Counts>,
    /// How long bytes were on their way, in milliseconds.
    pub streaming_ms: u64,
    /// Whether what is left on the node was seen after the work.
    pub is_left_known: bool,
    /// Files in backups that belong to no set: never touched.
    pub strays: Amount,
}

impl Haul {
    /// The counts of a table.
    pub fn of(&mut self, table: &str) -> &mut Counts {
        // Two lookups rather than a new name for each of many sets.
        if !self.tables.contains_key(table) {
            self.tables.insert(table.to_owned(), Counts::default());
        }
        self.tables.entry(table.to_owned()).or_default()
    }

    /// All tables together.
    pub fn sum(&self) -> Counts {
        let mut sum = Counts::default();
        for counts in self.tables.values() {
            sum.join(counts);
        }
        sum
    }

    /// Bytes a second while bytes were on their way.
    pub fn rate(&self) -> Option<u64> {
        let bytes = self.sum().shipped.bytes;
        (bytes > 0 && self.streaming_ms > 0).then(|| bytes.saturating_mul(1000) / self.streaming_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_go_past_midnight() {
        let night = Window::parse("22:00-06:00").unwrap();
        assert_eq!(night.to_string(), "22:00-06:00");
        let at = |hours: u16, minutes: u16| hours * 60 + minutes;
        for (minute, is_open, opens_in) in [
            (at(21, 59), false, 1),
            (at(22, 0), true, 0),
            (at(3, 0), true, 0),
            (at(6, 0), false, 16 * 60),
            (at(12, 0), false, 10 * 60),
        ] {
            assert_eq!((night.is_open(minute), night.opens_in(minute)), (is_open, opens_in));
        }
        let noon = Window::parse("9:30-17:00").unwrap();
        assert!(noon.is_open(at(9, 30)) && !noon.is_open(at(17, 0)));
        assert_eq!(noon.opens_in(at(17, 0)), at(16, 30));
        for bad in ["", "22-6", "22:00", "24:00-01:00", "1:5-2:00", "05:00-05:00", "+1:00-2:00"] {
            assert!(Window::parse(bad).is_err(), "{bad}");
        }
    }
}
