//! What ssh_config says of one host, and where each value stands.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::text::one_line;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in super::super) struct Place {
    pub(in super::super) file: Arc<Path>,
    pub(in super::super) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = one_line(self.file.to_string_lossy().as_bytes(), 200);
        write!(f, "{file}:{}", self.line)
    }
}

/// Who set a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Origin {
    File(Place),
    /// `ssh -G` printed it.
    Program,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(place) => place.fmt(f),
            Self::Program => f.write_str("ssh -G"),
        }
    }
}

/// The values of one directive, written in one way only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Value {
    pub(in super::super) words: Vec<String>,
    pub(in super::super) origin: Origin,
    /// Tokens, variables and `~` are filled in already.
    pub(in super::super) filled: bool,
}

impl Value {
    pub(in super::super) fn text(&self) -> &str {
        self.words.first().map(String::as_str).unwrap_or_default()
    }
}

/// What ssh_config says of one host, by the names of the directives in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Said {
    values: BTreeMap<&'static str, Vec<Value>>,
}

impl Said {
    /// Returns the value that counts.
    pub(in super::super) fn get(&self, name: &str) -> Option<&Value> {
        self.all(name).first()
    }

    pub(in super::super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(Value::text)
    }

    /// Returns a yes or a no.
    pub(in super::super) fn flag(&self, name: &str) -> Option<bool> {
        self.text(name).map(|text| text == "yes")
    }

    /// Returns a number; `none` is none.
    pub(in super::super) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// Returns the values of a directive that adds up.
    pub(in super::super) fn all(&self, name: &str) -> &[Value] {
        self.values.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Keeps a value if it is the first of its kind.
    pub(super) fn first(&mut self, name: &'static str, value: Value) {
        let values = self.values.entry(name).or_default();
        if values.is_empty() {
            values.push(value);
        }
    }

    /// Keeps each word that is the first in its place: two settings in one directive.
    pub(super) fn first_words(&mut self, name: &'static str, value: Value) {
        match self.values.entry(name).or_default().first_mut() {
            Some(old) => {
                let more = value.words.into_iter().skip(old.words.len());
                old.words.extend(more);
            }
            None => self.first(name, value),
        }
    }

    /// Keeps a value that is not there yet; how many there are then.
    pub(super) fn add(&mut self, name: &'static str, value: Value) -> usize {
        let values = self.values.entry(name).or_default();
        if values.iter().all(|old| old.words != value.words) {
            values.push(value);
        }
        values.len()
    }

    /// Puts a value in the place of what was said.
    pub(super) fn put(&mut self, name: &'static str, value: Value) {
        self.values.insert(name, vec![value]);
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.values.remove(name);
    }
}
