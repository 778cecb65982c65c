//! A run as people read it: a row a node, the reasons below, a summary.

use comfy_table::{Attribute, Cell, CellAlignment, Color};
use jiff::Timestamp;

use super::{haul_table, plain};
use crate::fleet::{Fleet, Row};
use crate::human;
use crate::nodeset;
use crate::plan::verify::ProofVerdict;
use crate::record::{Outcome, Place};

/// Reasons of more nodes than this are folded where they are equal.
const MOST_NAMES: usize = 1;

/// Returns the report as text. `width` is the terminal's, `None` when there is none; `is_running`
/// says that some process is still at work on it.
pub fn render(fleet: &Fleet, width: Option<u16>, color: bool, is_running: bool) -> String {
    let mut text = match fleet.begun.job.is_haul() {
        true => haul_table::nodes(fleet, width, color, is_running),
        false => nodes(fleet, width, color, is_running),
    };
    let reasons = reasons(fleet, width, color, is_running);
    if !reasons.is_empty() {
        text.push('\n');
        text.push_str(&reasons);
    }
    text.push('\n');
    text.push_str(&summary(fleet, is_running));
    text.push_str(&how_it_stands(fleet, is_running));
    text
}

fn nodes(fleet: &Fleet, width: Option<u16>, color: bool, is_running: bool) -> String {
    let is_proving =
        fleet.verdicts().is_some() || fleet.rows.iter().any(|row| row.verdict().is_some());
    // The narrowest terminals do without the places.
    let has_room = width.is_none_or(|width| width >= 100);
    let mut table = plain::table(width, color);
    let mut titles = vec!["NODE"];
    if has_room {
        titles.extend(["DC", "RACK"]);
    }
    titles.push("OUTCOME");
    if is_proving {
        titles.push("VERDICT");
    }
    titles.extend(["LIVE", "FILE", "STARTED", "TOOK"]);
    table.set_header(titles.iter().map(|title| {
        let cell = Cell::new(title).add_attribute(Attribute::Bold);
        if *title == "TOOK" { cell.set_alignment(CellAlignment::Right) } else { cell }
    }));
    for row in &fleet.rows {
        let state = row.state();
        let mut cells = vec![Cell::new(row.name())];
        if has_room {
            cells.extend(place(&row.entry.place));
        }
        cells.push(match (row.is_open(), is_running) {
            (true, true) => Cell::new("under way"),
            (true, false) => Cell::new("cut off").fg(Color::Magenta),
            (false, _) => outcome(row.outcome()),
        });
        if is_proving {
            cells.push(verdict(row.verdict()));
        }
        cells.push(Cell::new(on_off(state.live)));
        cells.push(Cell::new(on_off(state.configured)));
        cells.push(Cell::new(row.started.map(clock).unwrap_or_default()));
        cells.push(Cell::new(took(row)).set_alignment(CellAlignment::Right));
        table.add_row(cells);
    }
    for member in &fleet.unlisted {
        let mut cells = vec![Cell::new(&member.address)];
        if has_room {
            cells.extend(place(member));
        }
        cells.push(outcome(Outcome::NotStarted));
        table.add_row(cells);
    }
    plain::text(table)
}

pub(super) fn place(place: &Place) -> [Cell; 2] {
    [&place.dc, &place.rack].map(|word| Cell::new(word.as_deref().unwrap_or_default()))
}

pub(super) fn outcome(outcome: Outcome) -> Cell {
    let cell = Cell::new(outcome.label());
    match outcome {
        Outcome::Done => cell.fg(Color::Green),
        Outcome::NothingToDo => cell,
        Outcome::Refused | Outcome::Failed => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Outcome::Unsure => cell.fg(Color::Magenta),
        Outcome::Partly | Outcome::NotStarted => cell.fg(Color::Yellow),
    }
}

fn verdict(verdict: Option<ProofVerdict>) -> Cell {
    let Some(verdict) = verdict else { return Cell::new("") };
    let cell = Cell::new(verdict.label());
    match verdict {
        ProofVerdict::Proven => cell.fg(Color::Green),
        ProofVerdict::NotProven => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        ProofVerdict::Unknown => cell.fg(Color::Magenta),
    }
}

fn on_off(value: Option<bool>) -> &'static str {
    value.map_or("?", human::on_off)
}

/// `13:15:02`, UTC as everywhere.
fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

pub(super) fn took(row: &Row) -> String {
    let (Some(started), Some(ended)) = (row.started, row.ended) else { return String::new() };
    let span = ended.duration_since(started);
    std::time::Duration::try_from(span).map(human::duration).unwrap_or_default()
}

/// Why nodes are not fine, and what else is worth knowing; equal texts of several nodes together.
fn reasons(fleet: &Fleet, width: Option<u16>, color: bool, is_running: bool) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    let mut add = |text: String, name| match groups.iter_mut().find(|(known, _)| *known == text) {
        Some((_, names)) => names.push(name),
        None => groups.push((text, vec![name])),
    };
    for row in &fleet.rows {
        if is_running && row.is_open() {
            let step = row.step.map_or("looking", |step| step.text());
            add(format!("under way: {step}"), row.name());
            continue;
        }
        if let Some(reason) = row.reason(fleet) {
            let hint = row.end.as_ref().and_then(|end| end.hint.as_deref());
            let hint = hint.map(|hint| format!("\n→ {hint}")).unwrap_or_default();
            let what = match (row.verdict(), row.outcome()) {
                // The turn was well; what it found is not.
                (Some(verdict), Outcome::Done) => verdict.label(),
                (_, outcome) => outcome.label(),
            };
            add(format!("{what}: {reason}{hint}"), row.name());
        }
        let more = row.end.iter().flat_map(|end| {
            let reasons = end.proven.iter().flat_map(|proven| proven.reasons.iter().skip(1));
            reasons.chain(&end.notes)
        });
        for note in more {
            add(note.clone(), row.name());
        }
    }
    for member in &fleet.unlisted {
        let text = "not started: in the ring and not in the inventory\n→ add it to the inventory";
        add(text.to_owned(), &member.address);
    }
    if groups.is_empty() {
        return String::new();
    }
    let mut table = plain::table(width, color);
    for (text, names) in &groups {
        let names = match names.as_slice() {
            many if many.len() > MOST_NAMES => format!("{} ({})", nodeset::fold(many), many.len()),
            few => few.join(" "),
        };
        table.add_row([Cell::new(names), Cell::new(text)]);
    }
    plain::text(table)
}

fn summary(fleet: &Fleet, is_running: bool) -> String {
    let sum = fleet.summary();
    // Only of a run that nobody is at work on is it not known what became of them.
    let open = match is_running {
        true => fleet.rows.iter().filter(|row| row.is_open()).count(),
        false => 0,
    };
    let counts = [
        (sum.done, "done"),
        (sum.nothing_to_do, "nothing to do"),
        (sum.refused, "refused"),
        (sum.failed, "failed"),
        (sum.unsure.saturating_sub(open), "unsure"),
        (open, "under way"),
        (sum.partly, "partly done"),
        (sum.not_started, "not started"),
    ];
    let mut text = format!(
        "run {}: {} on {}\n{}",
        fleet.begun.run,
        fleet.begun.job.verb(),
        fleet.begun.cluster,
        human::count(sum.nodes as u64, "node")
    );
    for (count, word) in counts.into_iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!(", {count} {word}"));
    }
    if let Some(sum) = fleet.verdicts() {
        text.push_str(&format!(
            "\n{} proven, {} not proven, {} unknown",
            sum.proven, sum.not_proven, sum.unknown
        ));
    }
    text.push('\n');
    text
}

fn how_it_stands(fleet: &Fleet, is_running: bool) -> String {
    let mut text = String::new();
    if let Some(why) = &fleet.stopped {
        text.push_str(&format!("stopped: {why}\n"));
    }
    if fleet.interrupted {
        text.push_str("interrupted\n");
    }
    if is_running {
        text.push_str("under way\n");
        return text;
    }
    if !fleet.finished {
        text.push_str("cut off before its end\n");
    }
    let run = &fleet.begun.run;
    let (left, all) = (fleet.left(false).len(), fleet.left(true).len());
    if left > 0 {
        text.push_str(&format!("`ringhaul resume {run}` does what is not done\n"));
    }
    if all > left {
        text.push_str(&format!("`ringhaul resume {run} --retry-failed` tries the failed again\n"));
    }
    text
}

/// Returns the list of runs as text.
pub fn list(fleets: &[(Fleet, bool)], width: Option<u16>, color: bool) -> String {
    if fleets.is_empty() {
        return "no runs yet\n".to_owned();
    }
    let mut table = plain::table(width, color);
    let titles = ["RUN", "VERB", "CLUSTER", "NODES", "FINE", "NOT FINE", "LEFT", "STATE"];
    table.set_header(titles.map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
    for (fleet, is_running) in fleets {
        let sum = fleet.summary();
        table.add_row([
            Cell::new(&fleet.begun.run),
            Cell::new(fleet.begun.job.verb()),
            Cell::new(&fleet.begun.cluster),
            Cell::new(sum.nodes),
            Cell::new(sum.done + sum.nothing_to_do),
            Cell::new(sum.refused + sum.failed + sum.unsure),
            Cell::new(sum.not_started),
            Cell::new(standing(fleet, *is_running)),
        ]);
    }
    plain::text(table)
}

/// One word for how a run stands.
pub fn standing(fleet: &Fleet, is_running: bool) -> &'static str {
    match (is_running, fleet.finished, &fleet.stopped, fleet.interrupted) {
        (true, ..) => "under way",
        (false, false, ..) => "cut off",
        (false, true, Some(_), _) => "stopped",
        (false, true, None, true) => "interrupted",
        (false, true, None, false) => "finished",
    }
}
