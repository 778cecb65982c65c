//! Where a setting goes that is not there yet.

use super::root::Root;
use super::{Draft, text};

/// Returns the places to try, the best first.
pub(super) fn new_lines(text: &str, root: &Root, key: &str, value: bool) -> Vec<Draft> {
    if root.is_flow {
        return vec![in_braces(text, root, key, value)];
    }
    let line = format!("{}{key}: {value}", " ".repeat(root.indent));
    let mut commented = commented(text, key);
    // Of several comments the last stands where a reader would look for what counts.
    commented.reverse();
    commented.push(end(text));
    commented.into_iter().map(|offset| at(text, offset, &line)).collect()
}

fn in_braces(text: &str, root: &Root, key: &str, value: bool) -> Draft {
    let offset = root.start + 1;
    let quote = if root.is_json { "\"" } else { "" };
    let space = if text[offset..].starts_with(char::is_whitespace) { "" } else { " " };
    let comma = if root.is_empty { "" } else { "," };
    let space = if root.is_empty { "" } else { space };
    let text = format!("{quote}{key}{quote}: {value}{comma}{space}");
    Draft { offset, length: 0, text, is_new_line: false }
}

/// Returns a draft of a new line that begins at `offset`.
fn at(text: &str, offset: usize, line: &str) -> Draft {
    let before = &text[..offset];
    let end = text::line_end(before).or_else(|| text::line_end(text)).unwrap_or("\n");
    let text = if before.is_empty() || before.ends_with(['\n', '\r']) {
        format!("{line}{end}")
    } else {
        // The last line has no end: it gets one, and the new last line has none.
        format!("{end}{line}")
    };
    Draft { offset, length: 0, text, is_new_line: true }
}

/// Returns the ends of the lines on which the key stands commented out, with a boolean or nothing
/// behind it: prose that mentions the key is passed over.
fn commented(text: &str, key: &str) -> Vec<usize> {
    let mut found = Vec::new();
    for (start, line) in text::lines(text) {
        let Some(comment) = line.trim_start_matches([' ', '\t']).strip_prefix('#') else {
            continue;
        };
        let comment = comment.trim_start_matches(['#', ' ', '\t']);
        let name = comment.strip_prefix(key).map(|rest| rest.trim_start_matches([' ', '\t']));
        if let Some(rest) = name.and_then(|rest| rest.strip_prefix(':')) {
            let value = rest.split('#').next().unwrap_or_default().trim();
            let value = value.trim_matches(['"', '\'']);
            if value.is_empty() || super::boolean_word(value).is_some() {
                found.push(start + line.len());
            }
        }
    }
    found
}

/// Returns where the last line of the document ends: before `...`, if there is one.
fn end(text: &str) -> usize {
    let lines: Vec<(usize, &str)> = text::lines(text).collect();
    for (start, line) in lines.into_iter().rev() {
        let line = line.trim_end();
        if let Some(rest) = line.strip_prefix("...")
            && (rest.is_empty() || rest.starts_with([' ', '\t']))
        {
            return start;
        }
        if !line.is_empty() && !line.trim_start().starts_with('#') {
            break;
        }
    }
    text.len()
}
