//! ship and clean as people read them: what was shipped, cleaned and left, by node and by table.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{Attribute, Cell, CellAlignment, Color};

use super::plain;
use super::run_table::{outcome, place, took};
use crate::fleet::{Fleet, Row};
use crate::human;
use crate::record::haul::{Amount, Counts, Haul};
use crate::record::{Job, Outcome};

/// A terminal of so many columns shows sets and bytes in one line.
const WIDE: u16 = 150;

/// What of the counts a verb has something to say of.
#[derive(Debug, Clone, Copy)]
struct Columns {
    ships: bool,
    cleans: bool,
}

impl Columns {
    fn of(job: &Job) -> Self {
        Self { ships: matches!(job, Job::Ship(_)), cleans: job.removes_files() }
    }

    fn titles(self) -> Vec<&'static str> {
        let mut titles = Vec::new();
        if self.ships {
            titles.extend(["SHIPPED", "THERE", "HELD", "FAILED"]);
        }
        if self.cleans {
            titles.extend(["CLEANED", "FREED"]);
        }
        titles.push("LEFT");
        titles
    }

    /// Cells behind the counts: the rate of what is shipped.
    fn rate(self, rate: Option<u64>) -> Option<Cell> {
        let shown =
            || rate.map_or_else(|| "-".to_owned(), |rate| format!("{}/s", human::bytes(rate)));
        self.ships.then(|| right(shown()))
    }

    fn cells(self, counts: &Counts, is_left_known: bool, is_wide: bool) -> Vec<Cell> {
        let amount = |amount: Amount| right(shown(amount, is_wide));
        let mut cells = Vec::new();
        if self.ships {
            cells.extend([counts.shipped, counts.there, counts.held].map(amount));
            let failed = amount(counts.failed);
            cells.push(match counts.failed.sets {
                0 => failed,
                _ => failed.fg(Color::Red).add_attribute(Attribute::Bold),
            });
        }
        if self.cleans {
            cells.push(amount(counts.cleaned));
            cells.push(right(match counts.cleaned.sets {
                0 => "-".to_owned(),
                _ => human::bytes(counts.freed),
            }));
        }
        cells.push(match is_left_known {
            true => amount(counts.left),
            false => right("?".to_owned()),
        });
        cells
    }
}

/// Returns the table of nodes, with a line for the sum of several.
pub(super) fn nodes(fleet: &Fleet, width: Option<u16>, color: bool, is_running: bool) -> String {
    let columns = Columns::of(&fleet.begun.job);
    let is_wide = width.is_none_or(|width| width >= WIDE);
    let has_room = width.is_none_or(|width| width >= 120);
    let mut table = plain::table(width, color);
    let mut titles = vec!["NODE"];
    if has_room {
        titles.extend(["DC", "RACK"]);
    }
    titles.push("OUTCOME");
    let before = titles.len();
    titles.extend(columns.titles());
    titles.extend(columns.ships.then_some("RATE"));
    titles.push("TOOK");
    table.set_header(titles.iter().enumerate().map(|(at, title)| {
        let cell = Cell::new(title).add_attribute(Attribute::Bold);
        if at >= before { cell.set_alignment(CellAlignment::Right) } else { cell }
    }));
    let blank = titles.len() - before;
    for row in &fleet.rows {
        let mut cells = vec![Cell::new(row.name())];
        if has_room {
            cells.extend(place(&row.entry.place));
        }
        cells.push(match (row.is_open(), is_running) {
            (true, true) => Cell::new("under way"),
            (true, false) => Cell::new("cut off").fg(Color::Magenta),
            (false, _) => outcome(row.outcome()),
        });
        match haul(row) {
            Some(haul) => {
                cells.extend(columns.cells(&haul.sum(), haul.is_left_known, is_wide));
                cells.extend(columns.rate(haul.rate()));
            }
            None => cells.extend((1..blank).map(|_| right("?".to_owned()))),
        }
        cells.push(right(took(row)));
        table.add_row(cells);
    }
    for member in &fleet.unlisted {
        let mut cells = vec![Cell::new(&member.address)];
        if has_room {
            cells.extend(place(member));
        }
        cells.push(outcome(Outcome::NotStarted));
        cells.extend((1..blank).map(|_| right("?".to_owned())));
        table.add_row(cells);
    }
    if fleet.rows.len() > 1 {
        let mut cells = vec![Cell::new("all").add_attribute(Attribute::Bold)];
        cells.extend((1..before).map(|_| Cell::new("")));
        let (sum, is_left_known) = sum(fleet);
        cells.extend(columns.cells(&sum, is_left_known, is_wide));
        cells.extend(columns.rate(whole_rate(fleet)));
        cells.push(right(span(fleet)));
        table.add_row(cells);
    }
    plain::text(table)
}

/// Returns the counts of each table over all nodes.
pub fn by_table(fleet: &Fleet, width: Option<u16>, color: bool) -> String {
    let mut tables: BTreeMap<&str, Counts> = BTreeMap::new();
    for haul in fleet.rows.iter().filter_map(haul) {
        for (name, counts) in &haul.tables {
            tables.entry(name).or_default().join(counts);
        }
    }
    let columns = Columns::of(&fleet.begun.job);
    let is_wide = width.is_none_or(|width| width >= 100);
    let (_, is_left_known) = sum(fleet);
    let mut table = plain::table(width, color);
    let mut titles = vec!["TABLE"];
    titles.extend(columns.titles());
    table.set_header(titles.iter().enumerate().map(|(at, title)| {
        let cell = Cell::new(title).add_attribute(Attribute::Bold);
        if at > 0 { cell.set_alignment(CellAlignment::Right) } else { cell }
    }));
    for (name, counts) in tables {
        let mut cells = vec![Cell::new(crate::text::visible(name))];
        cells.extend(columns.cells(&counts, is_left_known, is_wide));
        table.add_row(cells);
    }
    plain::text(table)
}

/// Returns the counts of all nodes, and whether what is left is known of each.
pub(super) fn sum(fleet: &Fleet) -> (Counts, bool) {
    let mut sum = Counts::default();
    let mut is_left_known = fleet.unlisted.is_empty();
    for row in &fleet.rows {
        match haul(row) {
            Some(haul) => {
                sum.join(&haul.sum());
                is_left_known &= haul.is_left_known;
            }
            None => is_left_known = false,
        }
    }
    (sum, is_left_known)
}

fn haul(row: &Row) -> Option<&Haul> {
    row.end.as_ref()?.haul.as_ref()
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// `12, 3.4 MiB`, or in two lines; `-` for none.
fn shown(amount: Amount, is_wide: bool) -> String {
    let bytes = human::bytes(amount.bytes);
    match amount.sets {
        0 => "-".to_owned(),
        sets if is_wide => format!("{sets}, {bytes}"),
        sets => format!("{sets}\n{bytes}"),
    }
}

/// What all nodes together sent, by the time of the session.
fn whole_rate(fleet: &Fleet) -> Option<u64> {
    let of_session = fleet.rows.iter().filter(|row| row.ended >= Some(fleet.session));
    let bytes = human::sum(of_session.filter_map(haul).map(|haul| haul.sum().shipped.bytes));
    let millis = session(fleet).as_millis();
    let rate = u128::from(bytes).saturating_mul(1000).checked_div(millis)?;
    u64::try_from(rate).ok().filter(|rate| *rate > 0)
}

fn span(fleet: &Fleet) -> String {
    human::duration(session(fleet))
}

fn session(fleet: &Fleet) -> Duration {
    Duration::try_from(fleet.last.duration_since(fleet.session)).unwrap_or_default()
}
