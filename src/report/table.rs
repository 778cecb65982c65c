//! The audit as people read it: a table that fits the terminal, the findings, a summary.

mod columns;
mod findings;

use comfy_table::{Attribute, Cell, CellAlignment, Color};

use super::plain;
use crate::audit::{Audit, Row, Verdict};
use crate::cassandra::holdings::Backups;
use crate::human;
use crate::nodeset;
use columns::{COLUMNS, Column, Group};

/// More rows than this are folded, unless the operator says otherwise: what fits a small
/// terminal below its findings.
const MOST_UNFOLDED: usize = 24;

/// How to draw.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Columns of the terminal; `None` when there is none, and nothing has to be left out.
    pub width: Option<u16>,
    /// Whether colours may be used.
    pub color: bool,
    /// Whether equal nodes share a row.
    pub fold: Fold,
    /// The time, in seconds since 1970, that ages are counted to.
    pub now: i64,
}

/// When equal nodes share a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Fold {
    /// When there are many.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Returns the report as text.
pub fn render(audit: &Audit, look: Look) -> String {
    let is_folded = match look.fold {
        Fold::Auto => audit.rows.len() > MOST_UNFOLDED,
        Fold::Always => true,
        Fold::Never => false,
    };
    let groups = groups(&audit.rows, is_folded);
    let mut text = nodes(&groups, look);
    text.push('\n');
    text.push_str(&findings::render(audit, look));
    text.push_str(&summary(audit, look));
    text
}

fn groups(rows: &[Row], is_folded: bool) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in rows {
        let same = groups.iter_mut().find(|group| is_folded && group.is_like(row));
        match same {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { rows: vec![row] }),
        }
    }
    groups
}

fn nodes(groups: &[Group<'_>], look: Look) -> String {
    // A column that says nothing of any node is left out at any width.
    let cells: Vec<(&Column, Vec<String>)> = COLUMNS
        .iter()
        .map(|column| {
            let cells = groups.iter().map(|group| (column.cell)(group, look.now)).collect();
            (column, cells)
        })
        .filter(|(column, cells): &(&Column, Vec<String>)| {
            column.rank == 0 || cells.iter().any(|cell| !cell.is_empty())
        })
        .collect();
    let shown = fitting(&cells, look.width);
    let mut table = plain::table(look.width, look.color);
    table.set_header(shown.iter().map(|(column, _)| {
        Cell::new(column.title).add_attribute(Attribute::Bold).set_alignment(column.alignment)
    }));
    for (at, group) in groups.iter().enumerate() {
        table.add_row(shown.iter().map(|(column, cells)| {
            let cell = Cell::new(&cells[at]).set_alignment(column.alignment);
            if column.title == "VERDICT" { coloured(cell, group.rows[0].verdict) } else { cell }
        }));
    }
    plain::text(table)
}

/// Drops columns, the least important first, until the rest fits.
fn fitting<'a>(
    cells: &'a [(&'a Column, Vec<String>)],
    width: Option<u16>,
) -> Vec<&'a (&'a Column, Vec<String>)> {
    let mut shown: Vec<_> = cells.iter().collect();
    let Some(limit) = width.map(usize::from) else {
        return shown;
    };
    loop {
        let needed: usize = shown.iter().map(|(column, cells)| needed(column, cells, limit)).sum();
        let least = shown.iter().map(|(column, _)| column.rank).max().unwrap_or_default();
        if needed <= limit || least == 0 {
            return shown;
        }
        shown.retain(|(column, _)| column.rank != least);
    }
}

/// Width of a column with its gap. The names of a folded row may be broken, so they need no more
/// than a third of the line.
fn needed(column: &Column, cells: &[String], limit: usize) -> usize {
    let widest = cells.iter().map(|cell| console::measure_text_width(cell)).max();
    let natural = widest.unwrap_or_default().max(column.title.len());
    let natural = if column.title == "NODE" { natural.min(limit / 3) } else { natural };
    natural + 2
}

fn coloured(cell: Cell, verdict: Verdict) -> Cell {
    let color = match verdict {
        Verdict::Enabled => Color::Green,
        Verdict::Disabled | Verdict::OnAtRestart => Color::Red,
        Verdict::LostAtRestart => Color::Yellow,
        Verdict::Unknown => Color::Magenta,
    };
    cell.fg(color)
}

fn summary(audit: &Audit, look: Look) -> String {
    let sum = &audit.summary;
    format!(
        "{}: {}, {} enabled, {} disabled, {} drift, {} unknown\n{}\n",
        audit.cluster,
        human::count(sum.nodes as u64, "node"),
        sum.enabled,
        sum.disabled,
        sum.drift,
        sum.unknown,
        backups(audit, look),
    )
}

/// What lies on the nodes, and on how many of them that is known.
fn backups(audit: &Audit, look: Look) -> String {
    let known: Vec<&Backups> =
        audit.rows.iter().filter_map(|row| row.facts.backups.known()).collect();
    if known.is_empty() {
        return "backups: not known".to_owned();
    }
    let sum = |value: fn(&Backups) -> u64| human::sum(known.iter().map(|one| value(one)));
    let place = if known.len() == audit.rows.len() {
        String::new()
    } else {
        format!(" on {} of {} nodes (not known of the others)", known.len(), audit.rows.len())
    };
    let oldest = known.iter().filter_map(|one| one.oldest).min();
    let oldest = oldest.map(|then| format!(", oldest {}", human::age(then, look.now)));
    format!(
        "backups{place}: {}, {} ({} held){}",
        human::count(sum(|one| one.sets), "set"),
        human::bytes(sum(|one| one.bytes)),
        human::bytes(sum(|one| one.held_bytes)),
        oldest.unwrap_or_default(),
    )
}

/// The names of some nodes in one text, and how many they are when that is not plain.
fn names(rows: &[&str]) -> String {
    match rows {
        [one] => (*one).to_owned(),
        many => format!("{} ({})", nodeset::fold(many), many.len()),
    }
}

const LEFT: CellAlignment = CellAlignment::Left;
const RIGHT: CellAlignment = CellAlignment::Right;
