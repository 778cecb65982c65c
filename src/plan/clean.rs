//! clean: which sets may be removed from a node, by what the store was just seen to hold.

use std::collections::HashMap;
use std::time::Duration;

use crate::cassandra::sets::{FoundSet, Origin, SetPlace};
use crate::plan::ship::{Item, Known, component};
use crate::record::haul::Removal;
use crate::store::manifest::StoredSet;

/// What is to be removed, and what not.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// Which of the sets, each with the proof that the store holds it.
    pub remove: Vec<(usize, &'a StoredSet)>,
    /// Which not, and why.
    pub left: Vec<(usize, Left)>,
}

/// Why a set stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// The store does not have it.
    NotStored,
    /// It is younger than what may be removed.
    Young,
    /// It is one of the newest of its table.
    Newest,
    /// The store's copy is not as its manifest says.
    Damaged(String),
    /// A file has the name, size and time of the one that was stored, and is another one.
    OtherFile(String),
    /// Nothing may be removed in this folder.
    Untouchable(String),
}

impl Left {
    /// Whether it stays because of what the operator asked for, or until the next ship.
    pub fn is_ordinary(&self) -> bool {
        match self {
            Self::NotStored | Self::Young | Self::Newest => true,
            Self::Damaged(_) | Self::OtherFile(_) | Self::Untouchable(_) => false,
        }
    }
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotStored => f.write_str("the store does not have it"),
            Self::Young => f.write_str("it is younger than --min-age"),
            Self::Newest => f.write_str("--keep-last keeps it"),
            Self::Damaged(why) => write!(f, "the store's copy is damaged: {why}"),
            Self::OtherFile(name) => {
                write!(f, "{name} is another file than the one that was stored")
            }
            Self::Untouchable(why) => write!(f, "nothing is removed there: {why}"),
        }
    }
}

/// Decides. `now` is the node's clock, in seconds since 1970. What is in a snapshot is not looked
/// at: it is nodetool's to clear.
pub fn plan<'a>(items: &[Item], known: &Known<'a>, removal: &Removal, now: i64) -> Plan<'a> {
    let mut plan = Plan::default();
    let kept = newest(items, removal.keep_last);
    for (at, item) in items.iter().enumerate() {
        if item.set.origin != Origin::Backups {
            continue;
        }
        match judge(item, known) {
            Err(left) => plan.left.push((at, left)),
            Ok(_) if kept.contains(&at) => plan.left.push((at, Left::Newest)),
            Ok(_) if is_young(&item.set, removal.min_age, now) => plan.left.push((at, Left::Young)),
            Ok(stored) => plan.remove.push((at, stored)),
        }
    }
    plan
}

/// Returns the proof that the store holds this very set.
fn judge<'a>(item: &Item, known: &Known<'a>) -> Result<&'a StoredSet, Left> {
    let same = known.get(item);
    let stored = match (same, known.whole_of(item)) {
        (Some(stored), _) if stored.fault.is_none() => stored.set,
        (_, Some(stored)) => stored.set,
        (Some(stored), None) => {
            return Err(Left::Damaged(stored.fault.unwrap_or_default().to_owned()));
        }
        (None, None) => return Err(Left::NotStored),
    };
    if let Some(why) = &item.set.untouchable {
        return Err(Left::Untouchable(why.to_string()));
    }
    for file in &item.set.files {
        // The id is made of names, sizes and times: what is left is the inode.
        let is_it = component(stored, &file.component).is_some_and(|known| {
            (known.inode, known.size, known.modified) == (file.inode, file.size, file.modified)
        });
        if !is_it {
            return Err(Left::OtherFile(item.set.place.file_name(&file.component)));
        }
    }
    Ok(stored)
}

fn is_young(set: &FoundSet, min_age: Duration, now: i64) -> bool {
    if min_age.is_zero() {
        return false;
    }
    let age = now.saturating_sub(set.newest().div_euclid(1_000_000_000));
    u64::try_from(age).map_or(true, |age| age < min_age.as_secs())
}

/// Returns the newest sets of each table, an index's apart: what `--keep-last` keeps.
fn newest(items: &[Item], keep: usize) -> std::collections::HashSet<usize> {
    let mut tables: HashMap<(&str, &str, Option<&str>), Vec<usize>> = HashMap::new();
    for (at, item) in items.iter().enumerate().filter(|(_, it)| it.set.origin == Origin::Backups) {
        let SetPlace { keyspace, folder, index, .. } = &item.set.place;
        tables.entry((keyspace, folder, index.as_deref())).or_default().push(at);
    }
    let mut kept = std::collections::HashSet::new();
    for sets in tables.values_mut() {
        sets.sort_by_key(|at| std::cmp::Reverse(items[*at].set.newest()));
        kept.extend(sets.iter().take(keep));
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::ship::Stored;
    use crate::plan::ship::tests::{found, items, known, stored};

    const NOW: i64 = 1_000_000;

    fn verdicts(items: &[Item], known: &Known<'_>, removal: &Removal) -> Vec<Option<Left>> {
        let plan = plan(items, known, removal, NOW);
        let left =
            |at: usize| plan.left.iter().find(|(it, _)| *it == at).map(|(_, why)| why.clone());
        let all: Vec<_> = (0..items.len()).map(left).collect();
        for (at, why) in all.iter().enumerate() {
            let goes = plan.remove.iter().any(|(it, _)| *it == at);
            assert_eq!(goes, why.is_none() && items[at].set.origin == Origin::Backups, "{at}");
        }
        all
    }

    #[test]
    fn only_the_very_files_that_the_store_holds_go() {
        let set = found("oa-1-big", 10, 1);
        let held = [stored(&set)];
        let mut reborn = set.clone();
        reborn.files[1].inode = 99;
        let mut locked = set.clone();
        locked.untouchable = Some(Arc::from("a mount inside"));
        let mut rest = set.clone();
        rest.files.remove(2);
        let mut snapshot = set.clone();
        snapshot.origin = Origin::Snapshot("t".to_owned());
        let other = found("oa-2-big", 20, 1);
        let items = items(vec![set, reborn, locked, rest, other, snapshot]);
        let all = Removal::default();
        assert_eq!(
            verdicts(&items, &known(&held), &all),
            [
                None,
                Some(Left::OtherFile("oa-1-big-Digest.crc32".to_owned())),
                Some(Left::Untouchable("a mount inside".to_owned())),
                None,
                Some(Left::NotStored),
                None,
            ]
        );
        let damaged = Known::of([Stored { set: &held[0], fault: Some("gone") }].into_iter());
        let why = verdicts(&items[..1], &damaged, &all);
        assert_eq!(why, [Some(Left::Damaged("gone".to_owned()))]);
        assert_eq!(verdicts(&items[..1], &Known::default(), &all), [Some(Left::NotStored)]);
    }

    #[test]
    fn the_young_and_the_newest_of_each_table_stay() {
        let sets: Vec<FoundSet> = (1_u64..5)
            .map(|at| found(&format!("oa-{at}-big"), 10 * at, NOW - at as i64 * 100))
            .collect();
        let held: Vec<StoredSet> = sets.iter().map(stored).collect();
        let items = items(sets);
        let removal = Removal { min_age: Duration::from_secs(250), keep_last: 1, read_back: None };
        assert_eq!(
            verdicts(&items, &known(&held), &removal),
            [Some(Left::Newest), Some(Left::Young), None, None]
        );
    }
}
