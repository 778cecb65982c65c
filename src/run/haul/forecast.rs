//! What ship and clean would do on one node, by what is seen now. Nothing is locked or changed.

use std::collections::HashSet;

use super::{blocking, host_id, known, named};
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::sets::{FoundSet, SetPlace};
use crate::cassandra::toc::is_complete;
use crate::human;
use crate::node::survey::Limits;
use crate::node::{Connect, catalog, sets};
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
    pub(in crate::run) ships: bool,
    pub(in crate::run) removal: Option<&'a Removal>,
    /// None is a store that would be made.
    pub(in crate::run) store: Option<&'a Store>,
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
    let listed = sets::list(&node, &entry.spec, wanted.snapshot, limits.files).await;
    let shelf = match listed.sets {
        Fact::Known(shelf) => shelf,
        Fact::Unknown(why) => return Err(why),
    };
    if shelf.stray_count > 0 {
        let files = human::count(shelf.stray_count, "file");
        forecast.warnings.push(format!("{files} of no set would be left alone"));
    }
    let items = selected(shelf.sets, &tables);
    let holdings = ask(wanted.store, host, &items).await?;
    let known = known(&holdings);
    let standings = standings(&items, &known);
    if wanted.ships {
        let new: Vec<&FoundSet> = items
            .iter()
            .zip(&standings)
            .filter(|(_, standing)| **standing == Standing::New)
            .map(|(item, _)| &item.set)
            .collect();
        let tocs = sets::tocs(&node, &entry.spec, listed.may_read, &new, limits.files).await?;
        let (mut ready, mut held) = (Vec::new(), Amount::default());
        for (set, toc) in new.into_iter().zip(tocs) {
            match is_complete(set, toc.as_deref()) {
                Ok(()) => ready.push(set),
                Err(_) => held.add(set.bytes()),
            }
        }
        if held.sets > 0 {
            let text = format!("{} would be held back as incomplete", shown(held));
            forecast.warnings.push(text);
        }
        if !ready.is_empty() {
            let command =
                catalog::sets::stream(&entry.spec, listed.may_read, &named(&ready)).to_string();
            forecast.steps.push(Planned { text: format!("ship {}", all(&ready)), command });
        }
    }
    if let Some(removal) = wanted.removal {
        let now = match listed.now {
            Fact::Known(now) => now,
            Fact::Unknown(why) => return Err(why),
        };
        let plan = plan(&items, &known, removal, now);
        let going: Vec<&FoundSet> = plan.remove.iter().map(|(at, _)| &items[*at].set).collect();
        let count =
            |kind: bool| plan.left.iter().filter(|(_, why)| why.is_ordinary() == kind).count();
        if count(true) > 0 && !wanted.ships {
            let sets = human::count(count(true) as u64, "set");
            forecast.warnings.push(format!("{sets} would stay: not stored, or to be kept"));
        }
        for (at, why) in plan.left.iter().filter(|(_, why)| !why.is_ordinary()) {
            forecast.warnings.push(format!("{} would stay: {why}", items[*at].set.place));
        }
        if !going.is_empty() {
            let freed = human::sum(going.iter().map(|set| set.held_bytes()));
            let text = format!("remove {}, which frees {}", all(&going), human::bytes(freed));
            let command = catalog::sets::remove(&entry.spec, "", limits.files).to_string();
            forecast.steps.push(Planned { text, command });
        }
        if wanted.ships {
            let more = "what it ships is removed too, once it is proven to be stored";
            forecast.warnings.push(more.to_owned());
        }
    }
    if forecast.steps.is_empty() {
        let there = standings.iter().filter(|standing| **standing == Standing::There).count();
        forecast.reason = Some(match wanted.ships {
            true => format!("{} in the store already", human::count(there as u64, "set")),
            false => "nothing that may go".to_owned(),
        });
    }
    Ok(forecast)
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
