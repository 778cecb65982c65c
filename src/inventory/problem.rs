//! What is wrong in an inventory: place, sentence, and the line with a caret, secrets masked.

use std::fmt;
use std::path::Path;

use super::yaml::Place;
use crate::text::reorders_or_hides;

/// More problems than this are not read by anybody; the first ones usually cause the rest.
const SHOWN: usize = 20;

/// How much of a line an excerpt shows, in characters.
const EXCERPT: usize = 100;

/// The same of a message; our own sentences, with all keys of a section in them, are shorter.
const MESSAGE: usize = 400;

/// All that is wrong in one inventory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InventoryError {
    /// The problems in the order of the file; never empty.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong. `Display` is `FILE:LINE:COLUMN: message` and the line with a caret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as the operator named it.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong, what was expected, and what may have been meant. It holds no secrets.
    pub message: String,
    /// The line and a caret below it; empty when the line is empty. Secrets are masked.
    pub excerpt: String,
}

impl fmt::Display for InventoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(SHOWN).enumerate() {
            let gap = if index > 0 { "\n" } else { "" };
            write!(f, "{gap}{problem}")?;
        }
        match self.problems.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more problems"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        if !self.excerpt.is_empty() {
            write!(f, "\n{}", self.excerpt)?;
        }
        Ok(())
    }
}

/// How much of the line may be shown.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shown {
    /// All but the values of keys that are named like a secret.
    Line,
    /// Nothing after the place: behind a key nobody knows there may stand a secret.
    UpToPlace,
}

/// Collects problems of one file.
pub(super) struct Problems<'a> {
    file: String,
    lines: Vec<&'a str>,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &Path, text: &'a str) -> Self {
        Self {
            file: printable(&file.to_string_lossy()),
            lines: text.lines().collect(),
            found: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, at: Place, message: &str, shown: Shown) {
        let problem = Problem {
            file: self.file.clone(),
            line: at.line,
            column: at.column,
            message: message_of(message),
            excerpt: self.excerpt(at, shown),
        };
        // A faulty value that is merged into ten nodes is one fault.
        if !self.found.contains(&problem) {
            self.found.push(problem);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    pub(super) fn into_error(mut self) -> InventoryError {
        self.found.sort_by_key(|problem| (problem.line, problem.column));
        InventoryError { problems: self.found }
    }

    /// The line with a tab before `column`, if that is where the trouble comes from.
    pub(super) fn is_indented_by_tab(&self, at: Place) -> bool {
        let line = self.lines.get(at.line - 1).copied().unwrap_or_default();
        line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t')
    }

    fn excerpt(&self, at: Place, shown: Shown) -> String {
        let Some(line) = self.lines.get(at.line - 1).filter(|line| !line.trim().is_empty()) else {
            return String::new();
        };
        let end = at.column - 1 + at.width;
        let text = match shown {
            Shown::Line if self.continues_a_secret(at.line - 1) => "…".to_owned(),
            Shown::Line => masked(line),
            Shown::UpToPlace => up_to(line, end),
        };
        let text: Vec<char> = printable(&text).chars().collect();
        let from = if at.column > EXCERPT { at.column - EXCERPT / 2 } else { 0 };
        let visible: String = text.iter().skip(from).take(EXCERPT).collect();
        let before = (at.column - 1).min(text.len().saturating_sub(1)).saturating_sub(from);
        let width = at.width.clamp(1, visible.chars().count().saturating_sub(before).max(1));
        let number = at.line.to_string();
        let margin = " ".repeat(number.len());
        let (blanks, carets) = (" ".repeat(before), "^".repeat(width));
        format!("  {number} | {visible}\n  {margin} | {blanks}{carets}").trim_end().to_owned()
    }

    /// Whether this line goes on with the value of a secret key that stands on a line above.
    fn continues_a_secret(&self, index: usize) -> bool {
        let mut indent = indent_of(self.lines[index]);
        for line in self.lines[..index].iter().rev().filter(|line| !line.trim().is_empty()) {
            if indent_of(line) < indent {
                if secret_key_end(line).is_some() {
                    return true;
                }
                indent = indent_of(line);
            }
        }
        false
    }
}

/// Returns a message made safe. A quote that is not closed swallows the rest of the file, secrets
/// included, and makes it a value that the message shows.
fn message_of(message: &str) -> String {
    let text = masked(&printable(message));
    match text.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn indent_of(line: &str) -> usize {
    line.chars().take_while(|c| c.is_whitespace() || *c == '-').count()
}

/// Returns `line` without what follows the first key that is named like a secret.
fn masked(line: &str) -> String {
    secret_key_end(line).map_or_else(|| line.to_owned(), |end| format!("{} …", &line[..end]))
}

/// Returns the first `end` characters of `line`, and a sign that it goes on.
fn up_to(line: &str, end: usize) -> String {
    let begin: String = line.chars().take(end).collect();
    let text = masked(&begin);
    let rest: String = line.chars().skip(end).collect();
    match rest.trim_start_matches(['"', '\'', ' ']) {
        "" => text,
        _ if text != begin => text,
        more if more.starts_with(':') => format!("{text}: …"),
        _ => format!("{text} …"),
    }
}

/// Where the `:` behind such a key ends.
fn secret_key_end(line: &str) -> Option<usize> {
    line.match_indices(':').find_map(|(at, _)| {
        let before = line[..at].trim_end().trim_end_matches(['"', '\'']);
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let key = &before[before.trim_end_matches(is_word).len()..];
        (is_secret_key(key) && !is_path(key, &line[at + 1..])).then_some(at + 1)
    })
}

/// Whether a key sounds as if a secret stood behind it.
pub(super) fn is_secret_key(key: &str) -> bool {
    let key = key.to_lowercase();
    ["pass", "pwd", "secret", "token"].iter().any(|part| key.contains(part))
}

/// `password_file: /path` is no secret; `password_file: hunter2` is one in the wrong place.
fn is_path(key: &str, value: &str) -> bool {
    key == "password_file" && value.trim_start().trim_start_matches(['"', '\'']).starts_with('/')
}

/// Replaces what would move the cursor or the text around on a terminal, or cannot be seen there;
/// one character for another, so that the caret stays below its place.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { ' ' } else { c }).map(visible).collect()
}

fn visible(c: char) -> char {
    if c.is_control() || reorders_or_hides(c) { '\u{fffd}' } else { c }
}
