//! A run as JSON, schema 1; described in README.md.

use std::collections::BTreeMap;

use serde::Serialize;

use super::haul_table;
use crate::fleet::{Fleet, Row, Summary, Verdicts};
use crate::plan::verify::{ProofVerdict, Proven};
use crate::record::haul::{Amount, Counts};
use crate::record::{Outcome, State, Step};

/// The version of the layout. It changes when a field goes or means something else.
const SCHEMA: u32 = 1;

/// Returns the run as JSON, ended by a line end.
///
/// # Errors
/// None in practice: every value has a JSON form.
pub fn render(fleet: &Fleet) -> Result<String, serde_json::Error> {
    let unlisted = fleet.unlisted.iter().map(|place| Node {
        name: &place.address,
        address: &place.address,
        host_id: place.host_id.as_deref(),
        dc: place.dc.as_deref(),
        rack: place.rack.as_deref(),
        outcome: Outcome::NotStarted,
        reason: Some("in the ring and not in the inventory".to_owned()),
        hint: Some("add it to the inventory".to_owned()),
        started: None,
        ended: None,
        before: State::default(),
        after: State::default(),
        changed: &[],
        kept: None,
        notes: &[],
        verdict: fleet.verdicts().map(|_| ProofVerdict::Unknown),
        proof: None,
        haul: None,
    });
    let document = Document {
        schema: SCHEMA,
        run: &fleet.begun.run,
        verb: fleet.begun.job.verb(),
        cluster: &fleet.begun.cluster,
        who: &fleet.begun.who,
        started: fleet.started.to_string(),
        ended: fleet.finished.then(|| fleet.last.to_string()),
        finished: fleet.finished,
        interrupted: fleet.interrupted,
        stopped: fleet.stopped.as_deref(),
        resumed: fleet.resumed,
        summary: fleet.summary(),
        verdicts: fleet.verdicts(),
        haul: fleet.begun.job.is_haul().then(|| Totals::of(haul_table::sum(fleet))),
        nodes: fleet.rows.iter().map(|row| node(fleet, row)).chain(unlisted).collect(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    run: &'a str,
    verb: &'static str,
    cluster: &'a str,
    who: &'a str,
    started: String,
    ended: Option<String>,
    finished: bool,
    interrupted: bool,
    stopped: Option<&'a str>,
    resumed: usize,
    summary: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdicts: Option<Verdicts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    haul: Option<Totals>,
    nodes: Vec<Node<'a>>,
}

#[derive(Serialize)]
struct Node<'a> {
    name: &'a str,
    address: &'a str,
    host_id: Option<&'a str>,
    dc: Option<&'a str>,
    rack: Option<&'a str>,
    outcome: Outcome,
    reason: Option<String>,
    hint: Option<String>,
    started: Option<String>,
    ended: Option<String>,
    before: State,
    after: State,
    changed: &'a [Step],
    kept: Option<&'a str>,
    notes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<ProofVerdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<&'a Proven>,
    #[serde(skip_serializing_if = "Option::is_none")]
    haul: Option<Hauled<'a>>,
}

/// What all nodes together shipped and cleaned.
#[derive(Serialize)]
struct Totals {
    #[serde(flatten)]
    counts: Counts,
    /// Whether `left` is that of every node.
    is_left_known: bool,
}

impl Totals {
    fn of((counts, is_left_known): (Counts, bool)) -> Self {
        Self { counts, is_left_known }
    }
}

/// What one node shipped and cleaned.
#[derive(Serialize)]
struct Hauled<'a> {
    #[serde(flatten)]
    sum: Totals,
    bytes_per_second: Option<u64>,
    strays: Amount,
    tables: &'a BTreeMap<String, Counts>,
}

fn node<'a>(fleet: &Fleet, row: &'a Row) -> Node<'a> {
    let end = row.end.as_ref();
    let place = &row.entry.place;
    let is_proving = fleet.verdicts().is_some();
    Node {
        name: row.name(),
        address: &place.address,
        host_id: place.host_id.as_deref(),
        dc: place.dc.as_deref(),
        rack: place.rack.as_deref(),
        outcome: row.outcome(),
        reason: row.reason(fleet),
        hint: end.and_then(|end| end.hint.clone()),
        started: row.started.map(|at| at.to_string()),
        ended: row.ended.map(|at| at.to_string()),
        before: end.map(|end| end.before).unwrap_or_default(),
        after: row.state(),
        changed: row.changed(),
        kept: end.and_then(|end| end.kept.as_deref()),
        notes: end.map_or(&[], |end| end.notes.as_slice()),
        verdict: row.verdict().or(is_proving.then_some(ProofVerdict::Unknown)),
        proof: end.and_then(|end| end.proven.as_ref()),
        haul: end.and_then(|end| end.haul.as_ref()).map(|haul| Hauled {
            sum: Totals::of((haul.sum(), haul.is_left_known)),
            bytes_per_second: haul.rate(),
            strays: haul.strays,
            tables: &haul.tables,
        }),
    }
}

/// Returns a list of runs as JSON, ended by a line end. Each goes with whether a process is at
/// work on it.
///
/// # Errors
/// None in practice: every value has a JSON form.
pub fn list(fleets: &[(Fleet, bool)]) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct List<'a> {
        schema: u32,
        runs: Vec<Short<'a>>,
    }
    #[derive(Serialize)]
    struct Short<'a> {
        run: &'a str,
        verb: &'static str,
        cluster: &'a str,
        who: &'a str,
        started: String,
        state: &'static str,
        summary: Summary,
    }
    let runs = fleets.iter().map(|(fleet, is_running)| Short {
        run: &fleet.begun.run,
        verb: fleet.begun.job.verb(),
        cluster: &fleet.begun.cluster,
        who: &fleet.begun.who,
        started: fleet.started.to_string(),
        state: super::run_table::standing(fleet, *is_running),
        summary: fleet.summary(),
    });
    Ok(serde_json::to_string_pretty(&List { schema: SCHEMA, runs: runs.collect() })? + "\n")
}
