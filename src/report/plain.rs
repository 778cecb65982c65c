//! Tables without lines, for terminals of any width.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

/// Returns an empty table for a terminal of `width` columns, or for no terminal.
pub(super) fn table(width: Option<u16>, color: bool) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).force_no_tty().set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    if color {
        table.enforce_styling();
    }
    table
}

/// Returns the table's text: a gap of two spaces between columns, none at the ends.
pub(super) fn text(mut table: Table) -> String {
    let last = table.column_count().saturating_sub(1);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if at == last { 0 } else { 2 }));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
