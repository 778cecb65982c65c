//! What a store holds, as tables and JSON.

use comfy_table::{Cell, CellAlignment, Color};
use serde::Serialize;

use super::plain;
use crate::cassandra::sets::Origin;
use crate::human;
use crate::store::contents::{Checked, FaultKind, NodeContents, TableContents};
use crate::store::get::Got;
use crate::text::visible;

/// The version of the JSON.
const SCHEMA: u32 = 1;

/// How tables are drawn.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Columns of the terminal; `None` when there is none.
    pub width: Option<u16>,
    /// Whether colours may be used.
    pub color: bool,
    /// The time, in seconds since 1970, that ages are counted to.
    pub now: i64,
}

/// Returns a value as JSON, with the version of its form.
///
/// # Errors
/// When it cannot be rendered.
pub fn json<T: Serialize>(name: &str, value: &T) -> Result<String, serde_json::Error> {
    let mut object = serde_json::Map::new();
    object.insert("schema".to_owned(), SCHEMA.into());
    object.insert(name.to_owned(), serde_json::to_value(value)?);
    serde_json::to_string_pretty(&object).map(|text| text + "\n")
}

/// A row a node.
pub fn list(nodes: &[NodeContents], look: Look) -> String {
    let mut table = plain::table(look.width, look.color);
    table.set_header(header(&[
        ("NODE", false),
        ("HOST ID", false),
        ("TABLES", true),
        ("SETS", true),
        ("SIZE", true),
        ("NEWEST", true),
        ("LAST RUN", false),
    ]));
    for node in nodes {
        table.add_row(vec![
            left(&node.name),
            left(&node.host_id),
            right(node.tables.len()),
            right(node.sets),
            right(human::bytes(node.bytes)),
            right(node.newest.map(|then| human::age(then, look.now)).unwrap_or_default()),
            left(node.last_run.as_deref().unwrap_or_default()),
        ]);
    }
    let mut text = plain::text(table);
    for node in nodes {
        push_unread(&mut text, &node.unread);
    }
    let sum = |value: fn(&NodeContents) -> u64| human::sum(nodes.iter().map(value));
    text.push_str(&format!(
        "\n{}, {}, {}\n",
        human::count(nodes.len() as u64, "node"),
        human::count(sum(|node| node.sets), "set"),
        human::bytes(sum(|node| node.bytes)),
    ));
    text
}

/// A row a table; below it its sets, when they were asked for.
pub fn show(node: &NodeContents, is_by_set: bool, look: Look) -> String {
    let mut text = if is_by_set { sets(node, look) } else { tables(node, look) };
    push_unread(&mut text, &node.unread);
    let name = if node.name.is_empty() { &node.host_id } else { &node.name };
    text.push_str(&format!(
        "\n{} ({}): {}, {} in {}, last run {}\n",
        visible(name),
        node.host_id,
        human::count(node.sets, "set"),
        human::bytes(node.bytes),
        human::count(node.tables.len() as u64, "table"),
        node.last_run.as_deref().unwrap_or("unknown"),
    ));
    text
}

fn tables(node: &NodeContents, look: Look) -> String {
    let mut table = plain::table(look.width, look.color);
    table.set_header(header(&[
        ("KEYSPACE", false),
        ("TABLE", false),
        ("SETS", true),
        ("SIZE", true),
        ("NEWEST", true),
    ]));
    for TableContents { keyspace, folder, sets, bytes, newest, .. } in &node.tables {
        table.add_row(vec![
            left(keyspace),
            left(folder),
            right(sets),
            right(human::bytes(*bytes)),
            right(human::age(*newest, look.now)),
        ]);
    }
    plain::text(table)
}

fn sets(node: &NodeContents, look: Look) -> String {
    let mut table = plain::table(look.width, look.color);
    table.set_header(header(&[
        ("TABLE", false),
        ("SET", false),
        ("ID", false),
        ("FILES", true),
        ("SIZE", true),
        ("WRITTEN", false),
        ("FOUND IN", false),
        ("RUN", false),
    ]));
    for of in &node.tables {
        for set in &of.listed {
            let index = set.index.as_ref().map(|index| format!("/{index}")).unwrap_or_default();
            let found_in: Vec<String> = set.found_in.iter().map(origin).collect();
            table.add_row(vec![
                left(&format!("{}.{}{index}", of.keyspace, of.folder)),
                left(&set.descriptor),
                left(&set.id),
                right(set.files),
                right(human::bytes(set.bytes)),
                left(&human::instant(set.newest).unwrap_or_default()),
                left(&found_in.join(", ")),
                left(&set.run),
            ]);
        }
    }
    plain::text(table)
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Backups => "backups".to_owned(),
        Origin::Snapshot(tag) => format!("snapshots/{tag}"),
    }
}

/// A row a node, then everything that was found.
pub fn check(nodes: &[Checked], look: Look) -> String {
    let mut table = plain::table(look.width, look.color);
    table.set_header(header(&[
        ("NODE", false),
        ("HOST ID", false),
        ("SETS", true),
        ("SIZE", true),
        ("READ", true),
        ("DAMAGED", true),
        ("UNREADABLE", true),
        ("UNNAMED", true),
        ("LEFT OVER", true),
    ]));
    for node in nodes.iter().filter(|node| !node.host_id.is_empty()) {
        let faults = |kind| {
            let count = node.faults.iter().filter(|fault| fault.kind == kind).count();
            let cell = right(count);
            if count > 0 { cell.fg(Color::Red) } else { cell }
        };
        table.add_row(vec![
            left(&node.name),
            left(&node.host_id),
            right(node.sets),
            right(human::bytes(node.bytes)),
            right(human::bytes(node.read_bytes)),
            faults(FaultKind::Damaged),
            faults(FaultKind::Unreadable),
            faults(FaultKind::Unnamed),
            faults(FaultKind::Leftover),
        ]);
    }
    let mut text = plain::text(table);
    text.push('\n');
    for node in nodes {
        let name = if node.name.is_empty() { &node.host_id } else { &node.name };
        let name = if name.is_empty() { "the store" } else { name };
        for fault in &node.faults {
            let kind = fault.kind.name();
            let (subject, what) = (visible(&fault.subject), visible(&fault.what));
            text.push_str(&format!("{}: {kind}: {subject}: {what}\n", visible(name)));
        }
        for line in &node.unknown {
            text.push_str(&format!("{}: not known: {}\n", visible(name), visible(line)));
        }
        for line in &node.done {
            text.push_str(&format!("{}: {}\n", visible(name), visible(line)));
        }
    }
    text.push_str(&verdict(nodes));
    text
}

fn verdict(nodes: &[Checked]) -> String {
    let sum = |value: fn(&Checked) -> u64| human::sum(nodes.iter().map(value));
    let faults = sum(|node| node.faults.len() as u64);
    let found =
        if faults == 0 { "nothing wrong".to_owned() } else { human::count(faults, "fault") };
    let read = sum(|node| node.read_sets);
    let read = match read {
        0 => "none read".to_owned(),
        _ => format!("{read} read ({})", human::bytes(sum(|node| node.read_bytes))),
    };
    format!("{}, {read}: {found}\n", human::count(sum(|node| node.sets), "set"))
}

/// What was laid out, and where.
pub fn got(got: &Got, into: &str) -> String {
    let mut text = String::new();
    for folder in &got.folders {
        text.push_str(&format!("{into}/{}\n", visible(&folder.to_string_lossy())));
    }
    for (set, fault) in &got.failed {
        text.push_str(&format!("failed: {}: {}\n", visible(set), visible(fault)));
    }
    push_unread(&mut text, &got.unknown);
    let sets = human::count(got.sets, "set");
    text.push_str(&format!("{sets}, {}, each compared with its hash\n", human::bytes(got.bytes)));
    text
}

fn push_unread(text: &mut String, unread: &[String]) {
    for line in unread {
        text.push_str(&format!("cannot be read, and is not counted: {}\n", visible(line)));
    }
}

fn header(titles: &[(&str, bool)]) -> Vec<Cell> {
    let cell = |(title, is_number): &(&str, bool)| {
        let alignment = if *is_number { CellAlignment::Right } else { CellAlignment::Left };
        let cell = Cell::new(title).set_alignment(alignment);
        cell.add_attribute(comfy_table::Attribute::Bold)
    };
    titles.iter().map(cell).collect()
}

fn left(text: &str) -> Cell {
    Cell::new(visible(text))
}

fn right(text: impl ToString) -> Cell {
    Cell::new(text.to_string()).set_alignment(CellAlignment::Right)
}
