//! One boolean setting of cassandra.yaml changed, and every other byte kept.
//!
//! A real YAML reader finds the bytes of the value; only these are replaced. Whatever was planned
//! is read again before it is handed out: the new text must say the same as the old one but for
//! that key. What cannot be done with certainty is refused with its line.

mod line;
mod root;
mod text;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use root::{Entry, Held};

pub use text::warnings;

/// One replacement of bytes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Edit {
    /// Where the bytes to be replaced begin.
    pub offset: usize,
    /// How many they are; 0 when something is put in between.
    pub length: usize,
    /// What takes their place.
    pub text: String,
    /// The line of the new text, from 1, that is changed or added.
    pub line: usize,
    /// The line as it was, made visible; `None` when a line is added.
    pub before: Option<String>,
    /// The line as it will be, made visible.
    pub after: String,
    /// What the operator should know besides; see [`warnings`].
    pub warnings: Vec<String>,
}

/// Why a cassandra.yaml is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are not UTF-8.
    #[error("line {line} is not UTF-8: mend it, then ask again")]
    NotUtf8 {
        /// The line, from 1.
        line: usize,
    },
    /// A character that Cassandra refuses, or reads otherwise than other readers do.
    #[error("line {line} holds the character {shown}, which YAML does not allow: remove it first")]
    Character {
        /// The line, from 1.
        line: usize,
        /// The character, by its number.
        shown: String,
    },
    /// What stands there is the source of some tool, not what Cassandra reads.
    #[error("line {line} is a template ({shown}): edit it where it is made")]
    Template {
        /// The line, from 1.
        line: usize,
        /// The line, made visible.
        shown: String,
    },
    /// No YAML.
    #[error("line {line} is not valid YAML ({problem}): mend it first")]
    NotYaml {
        /// The line, from 1.
        line: usize,
        /// The reader's words.
        problem: String,
    },
    /// A second document begins.
    #[error("line {line} begins a second document: cassandra.yaml holds one")]
    Documents {
        /// The line of the second one, from 1.
        line: usize,
    },
    /// No settings at all, or a list.
    #[error("cassandra.yaml holds no settings (no keys with values)")]
    NoSettings,
    /// The key is there more than once.
    #[error("lines {} both set {key}, and only the last counts: leave one of them", listed(lines))]
    Twice {
        /// The key.
        key: String,
        /// Its lines, from 1.
        lines: Vec<usize>,
    },
    /// The value is neither a boolean nor nothing.
    #[error("line {line} sets {key} to {shown}, which is no boolean: mend it first")]
    NotBoolean {
        /// The key.
        key: String,
        /// The line, from 1.
        line: usize,
        /// The value, made visible.
        shown: String,
    },
    /// The key has its value from elsewhere in the file.
    #[error("{key} is set by an alias or a merge (<<): give it a line of its own first")]
    Indirect {
        /// The key.
        key: String,
    },
    /// The change would change more than the one setting.
    #[error("line {line} cannot be changed alone ({problem}): change it by hand")]
    NotAlone {
        /// The line, from 1.
        line: usize,
        /// What else would change.
        problem: String,
    },
}

/// Returns what makes `key` of the root say `value`; `None` when it says so already, in any
/// spelling that Cassandra reads.
///
/// - A value in quotes stays in quotes. Tag and anchor stay. Of an alias only its use is replaced.
/// - `key:` without a value gets one.
/// - A key that is only commented out gets a line of its own right behind the comment, which
///   stays; where that is not possible, and where there is no comment, the line comes last. Which
///   value an absent key stands for is not known here: it is written whatever `value` is.
/// - A root in braces gets the key as its first.
///
/// # Errors
/// [`Refusal`]: all that cannot be changed with certainty.
pub fn set_boolean(bytes: &[u8], key: &str, value: bool) -> Result<Option<Edit>, Refusal> {
    let text = text::readable(bytes)?;
    let root = root::read(text, key)?;
    let settings = settings(text)?;
    let drafts = match root.entries.as_slice() {
        [] => match settings.get(key).map(boolean) {
            Some(Some(now)) if now == value => return Ok(None),
            Some(_) => return Err(Refusal::Indirect { key: key.to_owned() }),
            None => line::new_lines(text, &root, key, value),
        },
        [entry] => {
            let now = now(text, &settings, key, entry)?;
            if now == Some(value) {
                return Ok(None);
            }
            vec![replacement(text, key, entry, value)?]
        }
        several => {
            let lines = several.iter().map(|entry| text::line_at(text, entry.key.start)).collect();
            return Err(Refusal::Twice { key: key.to_owned(), lines });
        }
    };
    checked(bytes, text, &settings, drafts, key, value).map(Some)
}

impl Edit {
    /// Returns `text` with the replacement made.
    pub fn apply(&self, text: &[u8]) -> Vec<u8> {
        let start = self.offset.min(text.len());
        let end = start.saturating_add(self.length).min(text.len());
        [&text[..start], self.text.as_bytes(), &text[end..]].concat()
    }
}

/// A replacement that has not been checked yet.
struct Draft {
    offset: usize,
    length: usize,
    text: String,
    is_new_line: bool,
}

impl Draft {
    fn apply(&self, text: &str) -> String {
        let end = self.offset + self.length;
        [&text[..self.offset], &self.text, &text[end..]].concat()
    }
}

/// Returns what the key says now; `None` when it says nothing.
fn now(
    text: &str,
    settings: &Map<String, Value>,
    key: &str,
    entry: &Entry,
) -> Result<Option<bool>, Refusal> {
    let word = match &entry.held {
        Held::Nothing => return Ok(None),
        Held::Word { word, .. } => boolean_word(word),
        Held::Alias => settings.get(key).and_then(boolean),
        Held::Other => None,
    };
    word.map(Some).ok_or_else(|| Refusal::NotBoolean {
        key: key.to_owned(),
        line: text::line_at(text, entry.value.start),
        shown: crate::text::one_line(text[entry.value.clone()].as_bytes(), 60),
    })
}

fn replacement(text: &str, key: &str, entry: &Entry, value: bool) -> Result<Draft, Refusal> {
    let draft = |offset, length, text| Ok(Draft { offset, length, text, is_new_line: false });
    match &entry.held {
        Held::Word { quote, .. } => {
            let text = format!("{quote}{value}{quote}");
            draft(entry.value.start, entry.value.len(), text)
        }
        // Nothing, written as a word: `~`, `null`.
        Held::Nothing if !entry.value.is_empty() => {
            draft(entry.value.start, entry.value.len(), value.to_string())
        }
        Held::Nothing => match text[entry.key.end..].trim_start_matches([' ', '\t']) {
            rest if rest.starts_with(':') => {
                draft(text.len() - rest.len() + 1, 0, format!(" {value}"))
            }
            _ => Err(Refusal::NotBoolean {
                key: key.to_owned(),
                line: text::line_at(text, entry.key.start),
                shown: "nothing, without a colon".to_owned(),
            }),
        },
        Held::Alias => draft(entry.value.start, entry.value.len(), value.to_string()),
        // `now` has refused it.
        Held::Other => Err(Refusal::Indirect { key: key.to_owned() }),
    }
}

/// Returns the first draft that changes the one setting and nothing else.
fn checked(
    bytes: &[u8],
    text: &str,
    settings: &Map<String, Value>,
    drafts: Vec<Draft>,
    key: &str,
    value: bool,
) -> Result<Edit, Refusal> {
    let mut refusal = Refusal::NoSettings;
    for draft in drafts {
        let new = draft.apply(text);
        match differs_in(settings, &new, key, value) {
            Ok(()) => return Ok(edit(bytes, text, &new, draft)),
            Err(problem) => {
                let line = text::line_at(text, draft.offset);
                refusal = Refusal::NotAlone { line, problem };
            }
        }
    }
    Err(refusal)
}

/// Says what is wrong with the new text, if it differs from the old in more than `key`.
fn differs_in(old: &Map<String, Value>, new: &str, key: &str, value: bool) -> Result<(), String> {
    let root = root::read(new, key).map_err(|refusal| refusal.to_string())?;
    let mut new = settings(new).map_err(|refusal| refusal.to_string())?;
    if root.entries.len() != 1 || new.remove(key).as_ref().and_then(boolean) != Some(value) {
        return Err(format!("{key} would not be {value} after it"));
    }
    let mut old = old.clone();
    old.remove(key);
    if old == new {
        return Ok(());
    }
    let other = old.iter().find(|(name, value)| new.get(*name) != Some(value));
    let other = other.map_or("another key", |(name, _)| name);
    Err(format!("{} would change too", crate::text::one_line(other.as_bytes(), 60)))
}

fn edit(bytes: &[u8], old: &str, new: &str, draft: Draft) -> Edit {
    // A new line begins behind the line end that may have to be added first.
    let lead = if draft.is_new_line { text::leading_line_end(&draft.text) } else { 0 };
    let line = text::line_at(new, draft.offset + lead);
    let before = (!draft.is_new_line).then(|| text::shown_line(old, draft.offset));
    let after = text::shown_line(new, draft.offset + lead);
    Edit {
        // A byte order mark was left out before.
        offset: draft.offset + bytes.len() - old.len(),
        length: draft.length,
        text: draft.text,
        line,
        before,
        after,
        warnings: warnings(bytes),
    }
}

/// Returns all settings as plain values, read by another room of the YAML library than [`root`].
fn settings(text: &str) -> Result<Map<String, Value>, Refusal> {
    let options = serde_yaml::options! {
        // A stock file has 2,000 lines of comments, which count against small limits when kept.
        emit_comments: false,
        // SnakeYAML, which Cassandra uses, lets the last of equal keys win.
        duplicate_keys: serde_yaml::DuplicateKeyPolicy::LastWins,
        non_finite_float_policy: serde_yaml::NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    };
    serde_yaml::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        Refusal::NotYaml {
            line: usize::try_from(line).unwrap_or(usize::MAX),
            problem: crate::text::one_line(error.to_string().as_bytes(), 160),
        }
    })
}

/// Returns what a value says where Cassandra wants a boolean.
fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(word) => boolean_word(word),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// SnakeYAML's words for a boolean property, quoted or not. `y` and `n` are none of them.
fn boolean_word(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// `3 and 7`, `3, 7 and 9`.
fn listed(lines: &[usize]) -> String {
    let texts: Vec<String> = lines.iter().map(ToString::to_string).collect();
    match texts.split_last() {
        Some((last, first)) if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => texts.join(", "),
    }
}
