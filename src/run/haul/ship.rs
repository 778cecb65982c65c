//! ship on one node: what is new to the store is fetched, proven and stored.

use std::collections::HashSet;

use super::closing::Closing;
use super::depot::{Depot, NoRoom};
use super::fetch::{Fetch, Stopped};
use super::{Yard, blocking, clean, count, open};
use crate::cassandra::sets::FoundSet;
use crate::cassandra::toc::is_complete;
use crate::human;
use crate::node::{Connect, sets};
use crate::plan::ship::{Item, Standing, standings};
use crate::record::haul::{Amount, Ship};
use crate::record::{Ended, Outcome, Step};
use crate::run::turn::{Held, Trouble};
use crate::store::StoreError;

/// Takes one node through ship.
pub(in crate::run) async fn turn<C: Connect>(
    held: &Held<'_, C>,
    ship: &Ship,
    depot: &Depot,
    closing: Closing,
) -> Ended {
    let mut yard = match open(held, depot, &ship.tables, ship.snapshot.as_deref()).await {
        Ok(yard) => yard,
        Err(ended) => return *ended,
    };
    yard.closing = Some(closing.clone());
    let mut has_changed = true;
    match work(&mut yard, ship, closing.clone()).await {
        Ok(has_shipped) => {
            has_changed = has_shipped;
            if let Some(removal) = &ship.then_clean {
                match closing.why() {
                    Some(why) => yard.leave_rest(&format!("{why} before anything was removed")),
                    None => has_changed |= clean::remove(&mut yard, removal).await,
                }
            }
        }
        Err(stopped) => stop(&mut yard, stopped),
    }
    match has_changed {
        true => yard.survey_again().await,
        false => yard.left_as_listed(),
    }
    judge(&mut yard, ship);
    yard.end().await
}

/// Ships what is new. Returns whether anything was done.
async fn work<C: Connect>(
    yard: &mut Yard<'_, C>,
    ship: &Ship,
    closing: Closing,
) -> Result<bool, Stopped> {
    let standings = standings(&yard.items, &yard.known());
    let mut new = Vec::new();
    // What is in backups and in a snapshot is one set.
    let mut told = HashSet::new();
    for (at, standing) in standings.iter().enumerate() {
        let Item { set, id } = &yard.items[at];
        match standing {
            Standing::There if !told.insert((&set.place, id)) => {}
            Standing::There => {
                let there = &mut yard.haul.of(&set.place.table()).there;
                count(there, &set.place, set.bytes());
            }
            Standing::New => new.push(at),
            Standing::Twin(_) => {}
        }
    }
    let ready = complete(yard, &new).await?;
    if ready.is_empty() {
        return Ok(false);
    }
    let bytes = human::sum(ready.iter().map(|at| yard.items[*at].set.bytes()));
    yard.to_come = bytes;
    let free = free(yard).await.map_err(Stopped::Store)?;
    let depot = yard.depot;
    let promise = depot.promise(bytes, free, ship.reserve).map_err(Stopped::NoRoom)?;
    let held = yard.held;
    let fetch = Fetch::new(yard, &standings, promise, ship, closing);
    let mut result = None;
    let work = async {
        let done = fetch.run(&ready).await;
        let why = done.as_ref().err().map(Stopped::why);
        result = Some(done);
        why.map_or(Ok(()), |why| Err(Trouble::Said(why)))
    };
    let step = held.step(Step::Ship, work).await;
    if yard.haul.sum().shipped != Amount::default() {
        yard.ended.changed.push(Step::Ship);
    }
    match (result, step) {
        (Some(done), _) => done.map(|()| true),
        // It could not be written down, so it was not begun.
        (None, Err(trouble)) => Err(Stopped::Line(trouble.why().clone())),
        (None, Ok(())) => Ok(false),
    }
}

/// Returns which of these sets are whole; the others are held back.
async fn complete<C: Connect>(
    yard: &mut Yard<'_, C>,
    new: &[usize],
) -> Result<Vec<usize>, Stopped> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let held = yard.held;
    let asked: Vec<&FoundSet> = new.iter().map(|at| &yard.items[*at].set).collect();
    let (spec, limit) = (&held.entry.spec, held.shared.limits.files);
    let tocs = sets::tocs(&*held.node, spec, yard.listed.may_read, &asked, limit).await;
    let tocs = tocs.map_err(Stopped::Line)?;
    let mut ready = Vec::new();
    for (at, toc) in new.iter().zip(tocs) {
        let set = &yard.items[*at].set;
        match is_complete(set, toc.as_deref()) {
            Ok(()) => ready.push(*at),
            Err(why) => {
                let (place, bytes) = (set.place.clone(), set.bytes());
                count(&mut yard.haul.of(&place.table()).held, &place, bytes);
                yard.note(format!("held back: {place}: {why}"));
            }
        }
    }
    Ok(ready)
}

async fn free<C: Connect>(yard: &Yard<'_, C>) -> Result<u64, StoreError> {
    let store = yard.depot.store.clone();
    blocking(move || store.room()).await
}

/// Says why it ended before all was stored.
fn stop<C: Connect>(yard: &mut Yard<'_, C>, stopped: Stopped) {
    let shipped = yard.haul.sum().shipped;
    let so_far = format!("{} stored until then", human::count(shipped.sets, "set"));
    let again = "running it again, or resume, ships what is left";
    match stopped {
        Stopped::Line(why) => {
            yard.fail_for(&why);
            yard.ended.unreachable = false;
            yard.ended.reason = Some(format!("{why}; {so_far}"));
            yard.ended.hint = Some(format!("{}; {again}", why.hint()));
        }
        Stopped::Store(error @ StoreError::Full { .. }) => {
            yard.fail(&error);
            let missing = human::bytes(yard.to_come.saturating_sub(shipped.bytes));
            yard.ended.reason = Some(format!(
                "the store is full: {missing} of this node are still to come; {so_far}"
            ));
            yard.ended.hint = Some(format!("make room for {missing} and more; {again}"));
        }
        Stopped::Store(error) => {
            yard.fail(&error);
            yard.ended.reason = Some(format!("{error}; {so_far}"));
        }
        Stopped::NoRoom(no_room) => {
            yard.ended.outcome = Outcome::Refused;
            yard.ended.reason = Some(no_room.to_string());
            let missing = human::bytes(no_room.missing);
            yard.ended.hint =
                Some(format!("make room for {missing} more in the store, or lower --reserve"));
        }
        Stopped::Closing(why) => {
            yard.leave_rest(&format!("{why}; {so_far}"));
        }
    }
}

/// Says how the turn ended when nothing stopped it.
fn judge<C: Connect>(yard: &mut Yard<'_, C>, ship: &Ship) {
    let sum = yard.haul.sum();
    if sum.failed.sets > 0 && yard.ended.outcome != Outcome::Failed {
        yard.ended.outcome = Outcome::Failed;
        let failed = human::count(sum.failed.sets, "complete set");
        yard.ended.reason = Some(format!("{failed} could not be stored"));
        yard.ended.hint = Some("look at the files named below; the others are stored".to_owned());
    }
    if yard.ended.outcome != Outcome::Done {
        return;
    }
    if let (true, Some(tag)) = (yard.lacks_snapshot, &ship.snapshot) {
        yard.ended.outcome = Outcome::Failed;
        let tag = crate::text::visible(tag);
        yard.ended.reason =
            Some(format!("there is no snapshot '{tag}' here; what is in backups is stored"));
        yard.ended.hint = Some("`nodetool listsnapshots` names those that are there".to_owned());
    } else if sum.shipped == Amount::default() && sum.cleaned.sets == 0 {
        yard.ended.outcome = Outcome::NothingToDo;
        yard.ended.reason = Some(match (sum.there.sets, sum.held.sets) {
            (0, 0) if !ship.tables.is_empty() => "no set of these tables is here".to_owned(),
            (0, 0) => "no set in backups".to_owned(),
            (0, held) => format!("no complete set, {} held back", human::count(held, "set")),
            (sets, _) => format!("{} in the store already", human::count(sets, "set")),
        });
    }
}

impl std::fmt::Display for NoRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the store has {} free", human::bytes(self.free))?;
        if self.promised > 0 {
            write!(f, ", of which other nodes need {}", human::bytes(self.promised))?;
        }
        write!(
            f,
            ": {} more are needed for what is to come and the reserve",
            human::bytes(self.missing)
        )
    }
}
