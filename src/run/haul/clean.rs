//! clean on one node: what the store was just seen to hold is removed, and nothing else.

use std::collections::{BTreeMap, HashSet};

use super::closing::Closing;
use super::depot::Depot;
use super::{Yard, blocking, open};
use crate::cassandra::fact::{Fact, Why};
use crate::cassandra::sets::{FoundSet, SetPlace};
use crate::human;
use crate::node::{Connect, sets};
use crate::plan::clean::{Left, Plan, plan};
use crate::record::haul::{Amount, Clean, Removal};
use crate::record::{Ended, Outcome, Step};
use crate::run::turn::{Held, Trouble};
use crate::store::StoreError;
use crate::store::manifest::StoredSet;

/// So many sets are removed between two looks at whether it is to end early.
const AT_ONCE: usize = 256;

/// Takes one node through clean.
pub(in crate::run) async fn turn<C: Connect>(
    held: &Held<'_, C>,
    clean: &Clean,
    depot: &Depot,
    closing: Closing,
) -> Ended {
    let mut yard = match open(held, depot, &clean.tables, None).await {
        Ok(yard) => yard,
        Err(ended) => return *ended,
    };
    yard.closing = Some(closing);
    match remove(&mut yard, &clean.removal).await {
        true => yard.survey_again().await,
        false => yard.left_as_listed(),
    }
    let sum = yard.haul.sum();
    if yard.ended.outcome == Outcome::Done && sum.cleaned.sets == 0 {
        yard.ended.outcome = Outcome::NothingToDo;
        yard.ended.reason = Some(match sum.left.sets {
            0 => "no set in backups".to_owned(),
            sets => format!("{} stay", human::count(sets, "set")),
        });
    }
    yard.end().await
}

/// Returns the sets that may go; none when nothing may, or it cannot be told.
async fn may_go<C: Connect>(yard: &mut Yard<'_, C>, removal: &Removal) -> Vec<FoundSet> {
    let now = match &yard.listed.now {
        Fact::Known(now) => *now,
        Fact::Unknown(why) => {
            let why = why.clone();
            yard.fail_for(&why);
            return Vec::new();
        }
    };
    // Of what ship has stored a moment ago the store has not been asked yet; of the rest it has, at
    // the beginning of this turn.
    if yard.haul.sum().shipped != Amount::default()
        && let Err(error) = yard.ask_store().await
    {
        yard.fail(&error);
        return Vec::new();
    }
    let holdings = std::sync::Arc::clone(&yard.holdings);
    if let Some(error) = holdings.unread.first() {
        // What cannot be read may be what says that a copy is damaged.
        yard.ended.outcome = Outcome::Failed;
        yard.ended.reason = Some(format!("nothing was removed: {error}"));
        yard.ended.hint = error.hint().map(str::to_owned);
        return Vec::new();
    }
    let known = super::known(&holdings);
    let Plan { remove, left } = plan(&yard.items, &known, removal, now);
    tell_left(yard, &left);
    if remove.is_empty() {
        return Vec::new();
    }
    if let Some(percent) = removal.read_back {
        let read = read_back(yard, &remove, percent).await;
        if let Some(why) = yard.closing.as_ref().and_then(Closing::why) {
            yard.leave_rest(&format!("{why} before anything was removed"));
            return Vec::new();
        }
        let fault = match read {
            Ok(fault) => fault,
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = fault {
            yard.ended.outcome = Outcome::Failed;
            yard.ended.reason = Some(format!("nothing was removed: the store was read: {why}"));
            let hint = "`ringhaul store check --read-data` shows how much is damaged";
            yard.ended.hint = Some(hint.to_owned());
            return Vec::new();
        }
    }
    remove.iter().map(|(at, _)| yard.items[*at].set.clone()).collect()
}

/// Removes what may go. Returns whether anything may have gone.
pub(super) async fn remove<C: Connect>(yard: &mut Yard<'_, C>, removal: &Removal) -> bool {
    let sets = may_go(yard, removal).await;
    if sets.is_empty() {
        return false;
    }
    let held = yard.held;
    yard.shelf = None;
    let work = async { unlink(yard, &sets).await };
    match held.step(Step::Clean, work).await {
        Ok(()) => {}
        Err(trouble) => {
            yard.fail_for(trouble.why());
            if let Trouble::Line(_) = &trouble {
                yard.ended.outcome = Outcome::Unsure;
            }
        }
    }
    if yard.haul.sum().cleaned.bytes > 0 {
        yard.ended.changed.push(Step::Clean);
    }
    true
}

/// Removes these sets, batch after batch.
async fn unlink<C: Connect>(yard: &mut Yard<'_, C>, all: &[FoundSet]) -> Result<(), Trouble> {
    let held = yard.held;
    let (spec, limit) = (&held.entry.spec, held.shared.limits.files);
    for batch in all.chunks(AT_ONCE) {
        if let Some(why) = yard.closing.as_ref().and_then(Closing::why) {
            yard.leave_rest(&format!("{why} before all that may go was removed"));
            return Ok(());
        }
        let sets::Removal { sets: removed, broke_off } =
            sets::remove(&*held.node, spec, batch, limit).await;
        let told = removed.len();
        for (set, removed) in batch.iter().zip(removed) {
            let counts = yard.haul.of(&set.place.table());
            counts.freed = counts.freed.saturating_add(removed.freed_bytes);
            counts.cleaned.bytes = counts.cleaned.bytes.saturating_add(removed.bytes);
            match removed.left {
                None if removed.files > 0 => counts.cleaned.sets += 1,
                // Somebody else was there before us.
                None => {}
                Some(why) => {
                    yard.ended.outcome = Outcome::Failed;
                    yard.ended.reason = Some("a set could not be removed".to_owned());
                    yard.fault(format!("left: {}: {why}", set.place));
                }
            }
        }
        if let Some(why) = broke_off {
            return Err(look_behind(yard, &batch[told..], why).await);
        }
    }
    Ok(())
}

/// Counts what is gone of sets that were being removed when the line broke.
async fn look_behind<C: Connect>(yard: &mut Yard<'_, C>, batch: &[FoundSet], why: Why) -> Trouble {
    if !super::is_lost(&why) {
        return Trouble::Said(why);
    }
    let Ok(shelf) = yard.list_again().await else { return Trouble::Line(why) };
    let left: HashSet<(&str, &SetPlace)> =
        shelf.sets.iter().map(|set| (&*set.dir, &set.place)).collect();
    for set in batch.iter().filter(|set| !left.contains(&(&*set.dir, &set.place))) {
        let counts = yard.haul.of(&set.place.table());
        counts.cleaned.add(set.bytes());
        counts.freed = counts.freed.saturating_add(set.held_bytes());
    }
    Trouble::Said(why)
}

/// Reads so many percent of what is to be removed from the store.
async fn read_back<C: Connect>(
    yard: &Yard<'_, C>,
    remove: &[(usize, &StoredSet)],
    percent: u8,
) -> Result<Option<String>, StoreError> {
    let wanted = (remove.len() * usize::from(percent)).div_ceil(100);
    let chosen = sample(remove.len(), wanted, yard.held.shared.run.as_bytes());
    let sets: Vec<StoredSet> = chosen.into_iter().map(|at| remove[at].1.clone()).collect();
    let (store, host) = (yard.depot.store.clone(), yard.host.clone());
    let closing = yard.closing.clone();
    blocking(move || {
        for set in &sets {
            if closing.as_ref().is_some_and(|closing| closing.why().is_some()) {
                break;
            }
            if let Err(fault) = store.hash_set(set, &host, &mut |_| {}) {
                return Ok(Some(format!("{}: {fault}", set.place)));
            }
        }
        Ok(None)
    })
    .await
}

/// Chooses so many of them, others in each run.
fn sample(count: usize, wanted: usize, run: &[u8]) -> Vec<usize> {
    let key = |at: &usize| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(run).update(&at.to_le_bytes());
        *hasher.finalize().as_bytes()
    };
    let mut all: Vec<usize> = (0..count).collect();
    all.sort_by_cached_key(key);
    all.truncate(wanted);
    all
}

/// Says what stays: what is ordinary is counted, the rest is named.
fn tell_left<C: Connect>(yard: &mut Yard<'_, C>, left: &[(usize, Left)]) {
    let mut ordinary: BTreeMap<String, u64> = BTreeMap::new();
    for (at, why) in left {
        if why.is_ordinary() {
            *ordinary.entry(why.to_string()).or_default() += 1;
            continue;
        }
        let place = yard.items[*at].set.place.to_string();
        if matches!(why, Left::Damaged(_)) {
            yard.ended.outcome = Outcome::Failed;
            yard.ended.reason = Some("the store's copy of a set is damaged".to_owned());
            yard.ended.hint = Some("ship stores it again; then clean again".to_owned());
        }
        yard.fault(format!("left: {place}: {why}"));
    }
    for (why, sets) in ordinary {
        yard.note(format!("{} left: {why}", human::count(sets, "set")));
    }
}

#[cfg(test)]
mod tests {
    use super::sample;

    #[test]
    fn a_sample_has_the_size_that_was_asked_for_and_changes_from_run_to_run() {
        let one = sample(1000, 50, b"a");
        assert_eq!(one.len(), 50);
        assert_ne!(one, sample(1000, 50, b"b"));
        assert_eq!(sample(3, 3, b"a").len(), 3);
    }
}
