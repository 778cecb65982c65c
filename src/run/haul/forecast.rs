//! What ship and clean would do on one node, by what is seen now. Nothing is locked or changed.

use std::collections::{BTreeMap, HashSet};

use super::depot::NoRoom;
use super::{about_strays, blocking, host_id, known, named};
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::sets::{FoundSet, SetPlace};
use crate::cassandra::shelf::Shelf;
use crate::cassandra::toc::is_complete;
use crate::human;
use crate::node::sets::Listed;
use crate::node::survey::Limits;
use crate::node::{Connect, Node, catalog, sets};
use crate::plan::clean::plan;
use crate::plan::forecast::{Forecast, Planned};
use crate::plan::ship::{Item, Standing, selected, standings};
use crate::plan::tables::Tables;
use crate::record::haul::{Amount, Removal};
use crate::record::{Entry, State};
use crate::store::{Holdings, Store};

/// What is wanted of a node.
pub(in crate::run) struct Wanted<'a> {
    pub(in crate::run) tables: &'a [String],
    pub(in crate::run) snapshot: Option<&'a str>,
    /// Bytes that are to stay free in the store, where sets are shipped.
    pub(in crate::run) ships: Option<u64>,
    pub(in crate::run) removal: Option<&'a Removal>,
    /// None is a store that would be made.
    pub(in crate::run) store: Option<&'a Store>,
}

/// What was seen of a node.
struct Seen {
    listed: Listed,
    items: Vec<Item>,
    holdings: Holdings,
}

/// Looks at a node and at its place in the store.
pub(in crate::run) async fn forecast<C: Connect>(
    connector: &C,
    entry: &Entry,
    limits: Limits,
    wanted: &Wanted<'_>,
) -> Result<Forecast, Why> {
    let mut forecast = Forecast {
        before: State::default(),
        steps: Vec::new(),
        reason: None,
        is_refused: false,
        warnings: Vec::new(),
    };
    let host = host_id(entry, None)?;
    let tables =
        Tables::read(wanted.tables).map_err(|error| Why::new(WhyKind::Local, error.to_string()))?;
    let node = connector.connect(&entry.spec.endpoint).await.map_err(Why::from)?;
    let mut listed = sets::list(&node, &entry.spec, wanted.snapshot, limits.files).await;
    let shelf = match std::mem::replace(&mut listed.sets, Fact::Known(Shelf::default())) {
        Fact::Known(shelf) => shelf,
        Fact::Unknown(why) => return Err(why),
    };
    forecast.warnings.extend(about_strays(&shelf));
    let items = selected(shelf.sets, &tables);
    let holdings = ask(wanted.store, host, &items).await?;
    let seen = Seen { listed, items, holdings };
    let mut there = 0;
    if let Some(reserve) = wanted.ships {
        there =
            shipping(&node, entry, limits, (wanted.store, reserve), &seen, &mut forecast).await?;
    }
    if let Some(removal) = wanted.removal {
        removing(entry, limits, removal, &seen, &mut forecast)?;
        if wanted.ships.is_some() {
            let more = "what it ships is removed too, once it is proven to be stored";
            forecast.warnings.push(more.to_owned());
        }
    }
    if forecast.steps.is_empty() && forecast.reason.is_none() {
        forecast.reason = Some(match wanted.ships {
            Some(_) => format!("{} in the store already", human::count(there, "set")),
            None => "nothing that may go".to_owned(),
        });
    }
    Ok(forecast)
}

/// Adds what would be shipped. Returns how many sets are stored already.
async fn shipping<N: Node>(
    node: &N,
    entry: &Entry,
    limits: Limits,
    (store, reserve): (Option<&Store>, u64),
    seen: &Seen,
    forecast: &mut Forecast,
) -> Result<u64, Why> {
    let may_read = seen.listed.may_read;
    let standings = standings(&seen.items, &known(&seen.holdings));
    let new = seen.items.iter().zip(&standings).filter(|(_, one)| **one == Standing::New);
    let new: Vec<&FoundSet> = new.map(|(item, _)| &item.set).collect();
    let tocs = sets::tocs(node, &entry.spec, may_read, &new, limits.files).await?;
    let (mut ready, mut held) = (Vec::new(), Amount::default());
    for (set, toc) in new.into_iter().zip(tocs) {
        match is_complete(set, toc.as_deref()) {
            Ok(()) => ready.push(set),
            Err(_) => held.add(set.bytes()),
        }
    }
    if held.sets > 0 {
        forecast.warnings.push(format!("{} would be held back as incomplete", shown(held)));
    }
    if !ready.is_empty() {
        let command = catalog::sets::stream(&entry.spec, may_read, &named(&ready), None);
        let text = format!("ship {}", all(&ready));
        forecast.steps.push(Planned { text, command: command.to_string() });
    }
    let needed = human::sum(ready.iter().map(|set| set.bytes())).saturating_add(reserve);
    if let Some(store) = store.cloned().filter(|_| !ready.is_empty()) {
        let room = blocking(move || store.room()).await;
        let room = room.map_err(|error| Why::new(WhyKind::Local, error.to_string()))?;
        if let Some(missing) = needed.checked_sub(room).filter(|missing| *missing > 0) {
            forecast.is_refused = true;
            forecast.reason = Some(NoRoom { free: room, promised: 0, missing }.to_string());
        }
    }
    Ok(standings.iter().filter(|standing| **standing == Standing::There).count() as u64)
}

/// Adds what would be removed.
fn removing(
    entry: &Entry,
    limits: Limits,
    removal: &Removal,
    seen: &Seen,
    forecast: &mut Forecast,
) -> Result<(), Why> {
    let now = match &seen.listed.now {
        Fact::Known(now) => *now,
        Fact::Unknown(why) => return Err(why.clone()),
    };
    let plan = plan(&seen.items, &known(&seen.holdings), removal, now);
    let mut ordinary: BTreeMap<String, u64> = BTreeMap::new();
    for (at, why) in &plan.left {
        match why.is_ordinary() {
            true => *ordinary.entry(why.to_string()).or_default() += 1,
            false => {
                let place = &seen.items[*at].set.place;
                forecast.warnings.push(format!("{place} would stay: {why}"));
            }
        }
    }
    for (why, count) in ordinary {
        forecast.warnings.push(format!("{} would stay: {why}", human::count(count, "set")));
    }
    let going: Vec<&FoundSet> = plan.remove.iter().map(|(at, _)| &seen.items[*at].set).collect();
    if !going.is_empty() {
        let freed = human::sum(going.iter().map(|set| set.held_bytes()));
        let text = format!("remove {}, which frees {}", all(&going), human::bytes(freed));
        let command = catalog::sets::remove(&entry.spec, "", limits.files).to_string();
        forecast.steps.push(Planned { text, command });
    }
    Ok(())
}

async fn ask(store: Option<&Store>, host: String, items: &[Item]) -> Result<Holdings, Why> {
    let Some(store) = store.cloned() else { return Ok(Holdings::default()) };
    let places: HashSet<SetPlace> = items.iter().map(|item| item.set.place.clone()).collect();
    let ask = move || store.holdings(&host, &mut |set| places.contains(&set.place));
    blocking(ask).await.map_err(|error| Why::new(WhyKind::Local, error.to_string()))
}

fn all(sets: &[&FoundSet]) -> String {
    let mut amount = Amount::default();
    for set in sets {
        amount.add(set.bytes());
    }
    shown(amount)
}

fn shown(amount: Amount) -> String {
    format!("{}, {}", human::count(amount.sets, "set"), human::bytes(amount.bytes))
}
