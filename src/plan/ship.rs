//! ship: which sets of a node are new to the store, and in which portions they are fetched.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::cassandra::sets::{FoundFile, FoundSet, Origin, SetPlace};
use crate::cassandra::shelf::Shelf;
use crate::plan::tables::Tables;
use crate::store::manifest::{StoredFile, StoredSet};

/// A portion is closed when it has so many bytes: what is fetched again after a stop at the worst
/// moment, some seconds of a fast line.
const PORTION_BYTES: u64 = 512 * 1024 * 1024;

/// Or so many sets: a portion's names and hashes are kept in memory until it is stored.
const PORTION_SETS: usize = 4096;

/// A set on a node, and what tells it from others.
#[derive(Debug, Clone)]
pub struct Item {
    /// The set.
    pub set: FoundSet,
    /// Its [`FoundSet::id`].
    pub id: String,
}

/// What the store holds of one node, of the places that matter.
#[derive(Debug, Default)]
pub struct Known<'a> {
    sets: HashMap<&'a SetPlace, Vec<Stored<'a>>>,
}

/// A set in the store, as it was just seen there.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// What its manifest says.
    pub set: &'a StoredSet,
    /// What is not as the manifest says.
    pub fault: Option<&'a str>,
}

/// How a set on the node stands to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The store has it, or all of it that is still here.
    There,
    /// The store does not have it, or not whole.
    New,
    /// The same set as another one of the list, in another folder.
    Twin(usize),
}

impl<'a> Known<'a> {
    /// Gathers what was seen.
    pub fn of(sets: impl Iterator<Item = Stored<'a>>) -> Self {
        let mut known = Self::default();
        for stored in sets {
            known.sets.entry(&stored.set.place).or_default().push(stored);
        }
        known
    }

    /// The stored set that is this one, whether its files are well or not.
    pub fn get(&self, item: &Item) -> Option<Stored<'a>> {
        let same = |stored: &&Stored<'a>| stored.set.id == item.id;
        let all = self.sets.get(&item.set.place)?;
        // One that is well is worth more, should there be several.
        all.iter().filter(same).min_by_key(|stored| stored.fault.is_some()).copied()
    }

    /// The stored set of which this one is what a clean that was cut off has left.
    pub fn whole_of(&self, item: &Item) -> Option<Stored<'a>> {
        let all = self.sets.get(&item.set.place)?;
        let is_rest = |stored: &&Stored<'_>| {
            stored.fault.is_none()
                && item.set.files.len() < stored.set.files.len()
                && is_rest(&item.set, stored.set)
        };
        all.iter().find(is_rest).copied()
    }
}

/// Whether each file that is there is the very one that was stored.
fn is_rest(found: &FoundSet, stored: &StoredSet) -> bool {
    found.digest.is_none_or(|digest| stored.digest == Some(digest))
        && found.files.iter().all(|file| {
            component(stored, &file.component).is_some_and(|known| {
                (known.size, known.modified, known.inode) == (file.size, file.modified, file.inode)
            })
        })
}

/// Finds a file of a stored set.
pub fn component<'a>(stored: &'a StoredSet, name: &str) -> Option<&'a StoredFile> {
    stored.files.iter().find(|file| file.component == name)
}

/// Compares sets with a later list: whether each of their files is still the very same.
pub fn still<'a>(
    sets: impl Iterator<Item = &'a FoundSet>,
    later: &Shelf,
) -> Vec<Result<(), String>> {
    let later: HashMap<(&str, &SetPlace), &FoundSet> =
        later.sets.iter().map(|set| ((&*set.dir, &set.place), set)).collect();
    let one = |set: &FoundSet| {
        let now = later.get(&(&*set.dir, &set.place));
        let now = now.map(|now| now.files.as_slice()).unwrap_or_default();
        set.files.iter().try_for_each(|file| {
            let identity = |file: &FoundFile| (file.device, file.inode, file.size, file.modified);
            match now.iter().find(|now| now.component == file.component) {
                None => Err(format!("{} went away while it was read", file.component)),
                Some(now) if identity(now) == identity(file) => Ok(()),
                Some(_) => Err(format!("{} changed while it was read", file.component)),
            }
        })
    };
    sets.map(one).collect()
}

/// Returns the sets of the tables that are meant.
pub fn selected(sets: Vec<FoundSet>, tables: &Tables) -> Vec<Item> {
    let meant = sets.into_iter().filter(|set| tables.mean(&set.place));
    meant.map(|set| Item { id: set.id(), set }).collect()
}

/// Returns how each of them stands to the store.
///
/// A set in backups whose files have other inodes than those that were stored is read again, as
/// after a move to another disk: clean goes by the inodes.
pub fn standings(items: &[Item], known: &Known<'_>) -> Vec<Standing> {
    let mut first: HashMap<(&SetPlace, &str), usize> = HashMap::new();
    let is_there = |item: &Item| {
        let is_it = |stored: Stored<'_>| {
            stored.fault.is_none()
                && (item.set.origin != Origin::Backups || is_rest(&item.set, stored.set))
        };
        known.get(item).is_some_and(is_it) || known.whole_of(item).is_some()
    };
    let mut standings = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        standings.push(match is_there(item) {
            true => Standing::There,
            false => match first.entry((&item.set.place, &item.id)) {
                Entry::Occupied(other) => Standing::Twin(*other.get()),
                Entry::Vacant(free) => {
                    free.insert(at);
                    Standing::New
                }
            },
        });
    }
    standings
}

/// Returns the twins of each set that has some.
pub fn twins(standings: &[Standing]) -> HashMap<usize, Vec<usize>> {
    let mut twins: HashMap<usize, Vec<usize>> = HashMap::new();
    for (at, standing) in standings.iter().enumerate() {
        if let Standing::Twin(first) = standing {
            twins.entry(*first).or_default().push(at);
        }
    }
    twins
}

/// Returns in which folders a set was found, its own first.
pub fn found_in(items: &[Item], twins: &HashMap<usize, Vec<usize>>, at: usize) -> Vec<Origin> {
    let twins = twins.get(&at).into_iter().flatten();
    std::iter::once(&at).chain(twins).map(|at| items[*at].set.origin.clone()).collect()
}

/// Parts the sets to be fetched into portions, each fetched by one command and then stored.
pub fn portions(items: &[Item], new: &[usize]) -> Vec<Vec<usize>> {
    let mut portions: Vec<Vec<usize>> = Vec::new();
    let mut bytes: u64 = 0;
    for at in new {
        let size = items[*at].set.bytes();
        match portions.last_mut() {
            Some(last)
                if last.len() < PORTION_SETS && bytes.saturating_add(size) <= PORTION_BYTES =>
            {
                last.push(*at);
                bytes += size;
            }
            Some(_) | None => {
                portions.push(vec![*at]);
                bytes = size;
            }
        }
    }
    portions
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;

    const COMPONENTS: [&str; 3] = ["Data.db", "Digest.crc32", "TOC.txt"];

    /// A set whose files have inodes from `inode` on and were written so many seconds after 1970.
    pub(in crate::plan) fn found(descriptor: &str, inode: u64, seconds: i64) -> FoundSet {
        let files = COMPONENTS.into_iter().zip(0..).map(|(component, at)| FoundFile {
            component: Arc::from(component),
            device: 1,
            inode: inode + at,
            links: 1 + at,
            size: 10,
            modified: seconds * 1_000_000_000,
        });
        FoundSet {
            place: SetPlace {
                keyspace: "shop".to_owned(),
                folder: "orders-6a1adbe06a0211f184742b61a3e0ec16".to_owned(),
                index: None,
                descriptor: descriptor.to_owned(),
            },
            origin: Origin::Backups,
            dir: Arc::from("/d/shop/orders-6a1adbe06a0211f184742b61a3e0ec16/backups"),
            files: files.collect(),
            digest: Some(7),
            untouchable: None,
        }
    }

    pub(in crate::plan) fn items(sets: Vec<FoundSet>) -> Vec<Item> {
        selected(sets, &Tables::default())
    }

    pub(in crate::plan) fn stored(set: &FoundSet) -> StoredSet {
        let files = set.files.iter().map(|file| StoredFile {
            component: file.component.to_string(),
            size: file.size,
            modified: file.modified,
            inode: file.inode,
            blake3: String::new(),
        });
        StoredSet {
            place: set.place.clone(),
            id: set.id(),
            found_in: vec![Origin::Backups],
            digest: set.digest,
            files: files.collect(),
        }
    }

    pub(in crate::plan) fn known(sets: &[StoredSet]) -> Known<'_> {
        Known::of(sets.iter().map(|set| Stored { set, fault: None }))
    }

    #[test]
    fn only_a_set_that_the_store_has_whole_is_there_whatever_its_name() {
        let old = stored(&found("oa-1-big", 10, 1));
        let held = [old.clone()];
        // The same name with other times is another set, in the store's own place.
        let other = found("oa-1-big", 10, 2);
        let mut other_digest = found("oa-1-big", 10, 1);
        other_digest.digest = Some(8);
        let items = items(vec![found("oa-1-big", 10, 1), other, other_digest]);
        let at = |known: &Known<'_>| standings(&items, known);
        assert_eq!(at(&known(&held)), [Standing::There, Standing::New, Standing::New]);
        let damaged = Known::of([Stored { set: &old, fault: Some("gone") }].into_iter());
        assert_eq!(at(&damaged)[0], Standing::New);
        assert_eq!(at(&Known::default()), [Standing::New, Standing::New, Standing::New]);
    }

    #[test]
    fn a_set_in_backups_and_in_a_snapshot_is_fetched_once_and_known_to_be_in_both() {
        let mut link = found("oa-1-big", 10, 1);
        link.origin = Origin::Snapshot("t".to_owned());
        let items = items(vec![found("oa-1-big", 10, 1), link.clone(), link]);
        let standings = standings(&items, &Known::default());
        assert_eq!(standings, [Standing::New, Standing::Twin(0), Standing::Twin(0)]);
        let found_in = found_in(&items, &twins(&standings), 0);
        assert_eq!(found_in[..2], [Origin::Backups, Origin::Snapshot("t".to_owned())]);
    }

    #[test]
    fn a_set_on_another_disk_is_read_again_and_its_link_in_a_snapshot_is_not() {
        let held = [stored(&found("oa-1-big", 10, 1))];
        let moved = found("oa-1-big", 50, 1);
        let mut link = moved.clone();
        link.origin = Origin::Snapshot("t".to_owned());
        let items = items(vec![moved, link]);
        assert_eq!(standings(&items, &known(&held)), [Standing::New, Standing::There]);
    }

    #[test]
    fn what_a_cut_clean_has_left_of_a_stored_set_is_there_and_a_part_of_another_is_not() {
        let held = [stored(&found("oa-1-big", 10, 1))];
        let mut rest = found("oa-1-big", 10, 1);
        rest.files.remove(0);
        let mut other = found("oa-1-big", 20, 1);
        other.files.remove(0);
        let items = items(vec![rest, other]);
        assert_eq!(standings(&items, &known(&held)), [Standing::There, Standing::New]);
    }

    #[test]
    fn a_later_list_tells_which_sets_are_still_the_same() {
        let same = found("oa-1-big", 10, 1);
        let (gone, changed) = (found("oa-2-big", 20, 1), found("oa-3-big", 30, 1));
        let mut later = changed.clone();
        later.files[1].inode = 99;
        let shelf = Shelf { sets: vec![later, same.clone()], ..Shelf::default() };
        let seen = still([&same, &gone, &changed].into_iter(), &shelf);
        assert_eq!(seen[0], Ok(()));
        assert_eq!(seen[1], Err("Data.db went away while it was read".to_owned()));
        assert_eq!(seen[2], Err("Digest.crc32 changed while it was read".to_owned()));
    }

    #[test]
    fn portions_hold_all_sets_in_order_and_none_is_too_large_but_for_one_large_set() {
        let sized = |bytes: u64, at: u64| {
            let mut set = found(&format!("oa-{at}-big"), at * 10, 1);
            set.files[0].size = bytes;
            set
        };
        let half = PORTION_BYTES / 2;
        let sizes = [half, half - 100, 100, PORTION_BYTES * 3, 5, 5];
        let items = items(sizes.into_iter().zip(1..).map(|(bytes, at)| sized(bytes, at)).collect());
        let portions = portions(&items, &[0, 1, 2, 3, 4, 5]);
        assert_eq!(portions, [vec![0, 1], vec![2], vec![3], vec![4, 5]]);
    }
}
