//! What a run would do on one node: its look and its plan, and nothing after.

use super::haul;
use super::haul::forecast::Wanted;
use super::look::look;
use super::setting::{Draft, planned, stamp};
use crate::cassandra::edit::Edit;
use crate::cassandra::fact::Why;
use crate::cassandra::ring::Ring;
use crate::cassandra::table_name::TableName;
use crate::inventory::NodeSpec;
use crate::node::catalog::{self, Nodetool};
use crate::node::survey::Limits;
use crate::node::{Connect, config_file};
use crate::plan::forecast::{Forecast, Planned};
use crate::plan::setting::{Action, Plan, Want, state};
use crate::plan::verify::worth_proving;
use crate::record::{Entry, Job, State, Verify};
use crate::store::Store;

/// Looks at a node, and changes nothing. `store` is that of a job which has one, where it is
/// there already.
///
/// # Errors
/// Why it could not be looked at.
pub async fn forecast<C: Connect>(
    connector: &C,
    entry: &Entry,
    limits: Limits,
    ring: Option<&Ring>,
    job: &Job,
    store: Option<&Store>,
) -> Result<Forecast, Why> {
    match job {
        Job::Enable(halves) => {
            setting(connector, &entry.spec, limits, ring, Want { on: true, halves: *halves }).await
        }
        Job::Disable(halves) => {
            setting(connector, &entry.spec, limits, ring, Want { on: false, halves: *halves }).await
        }
        Job::Verify(how) => {
            let node = connector.connect(&entry.spec.endpoint).await.map_err(Why::from)?;
            let (facts, tool) = look(&node, &entry.spec, limits, ring).await;
            let against = worth_proving(&facts).err().map(|not| not.why());
            Ok(proof(&tool, how, state(&facts), against))
        }
        Job::Ship(ship) => {
            let wanted = Wanted {
                tables: &ship.tables,
                snapshot: ship.snapshot.as_deref(),
                ships: Some(ship.reserve),
                removal: ship.then_clean.as_ref(),
                store,
            };
            haul::forecast::forecast(connector, entry, limits, &wanted).await
        }
        Job::Clean(clean) => {
            let removal = Some(&clean.removal);
            let wanted =
                Wanted { tables: &clean.tables, snapshot: None, ships: None, removal, store };
            haul::forecast::forecast(connector, entry, limits, &wanted).await
        }
    }
}

async fn setting<C: Connect>(
    connector: &C,
    spec: &NodeSpec,
    limits: Limits,
    ring: Option<&Ring>,
    want: Want,
) -> Result<Forecast, Why> {
    let node = connector.connect(&spec.endpoint).await.map_err(Why::from)?;
    let (facts, tool) = look(&node, spec, limits, ring).await;
    let before = state(&facts);
    let (plan, draft) = planned(&node, spec, limits, &facts, want).await;
    let mut forecast = Forecast {
        before,
        steps: Vec::new(),
        reason: None,
        is_refused: false,
        warnings: Vec::new(),
    };
    match plan {
        Plan::NothingToDo(why) => forecast.reason = Some(why),
        Plan::Refused(why) => {
            forecast.reason = Some(format!("{why} ({})", why.hint()));
            forecast.is_refused = true;
        }
        Plan::Steps(actions) => {
            for action in actions {
                match (action, &draft) {
                    (Action::SetLive(on), _) => forecast.steps.push(switch(&tool, on)),
                    (Action::Edit(edit), Some(draft)) => {
                        forecast.warnings.extend(edit.warnings.iter().cloned());
                        forecast.steps.push(rewrite(spec, draft, &edit, limits));
                    }
                    (Action::Edit(_), None) => {}
                }
            }
        }
    }
    Ok(forecast)
}

fn rewrite(spec: &NodeSpec, draft: &Draft, edit: &Edit, limits: Limits) -> Planned {
    let place = crate::text::visible(&draft.file.target);
    let text = match &edit.before {
        Some(before) => format!("{place} line {}: '{before}' becomes '{}'", edit.line, edit.after),
        None => format!("{place} line {}: '{}' is added", edit.line, edit.after),
    };
    let stamp = stamp();
    let command = config_file::command(spec, &draft.file, edit, &stamp, limits.nodetool);
    Planned { text, command: command.to_string() }
}

fn switch(tool: &Nodetool, on: bool) -> Planned {
    let command = match on {
        true => catalog::nodetool_enablebackup(tool),
        false => catalog::nodetool_disablebackup(tool),
    };
    let text = format!("switch the running process {}", crate::human::on_off(on));
    Planned { text, command: command.to_string() }
}

fn proof(tool: &Nodetool, how: &Verify, before: State, against: Option<Why>) -> Forecast {
    let mut forecast = Forecast {
        before,
        steps: Vec::new(),
        // Off or not known: either way nothing would be proven, which is not nothing to do.
        is_refused: against.is_some(),
        reason: against.map(|why| why.to_string()),
        warnings: Vec::new(),
    };
    if forecast.reason.is_some() {
        return forecast;
    }
    let mut step = |text: &str, command: &crate::node::Command| {
        forecast.steps.push(Planned { text: text.to_owned(), command: command.to_string() });
    };
    let own = TableName::size_estimates();
    if how.table.is_none() {
        step("make Cassandra count its sizes", &catalog::nodetool_refreshsizeestimates(tool));
    }
    let table = how.table.as_ref().unwrap_or(&own);
    let text = format!("flush {table} and look for the set in backups/");
    step(&text, &catalog::nodetool_flush(tool, table));
    forecast
}
