//! The reader: takes values out of the tree and notes what is wrong with them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::entry;
use super::keys::{Section, unknown};
use super::problem::{Problems, Shown, is_secret_key};
use super::settings::Settings;
use super::yaml::{self, Fault, Kind, Node, Place, START, Scalar, Value};
use super::{Inventory, InventoryError, words};

/// What paths on this machine are relative to.
#[derive(Clone, Copy)]
pub(super) struct Folders<'a> {
    pub(super) base: &'a Path,
    pub(super) home: Option<&'a Path>,
}

/// What a text must look like; the error is what was expected.
pub(super) type Rule = fn(&str) -> Result<(), &'static str>;

/// Collects problems while values are taken. Each method returns `None` once it noted one.
pub(super) struct Reader<'a> {
    pub(super) problems: Problems<'a>,
    folders: Folders<'a>,
}

pub(super) fn inventory(
    text: &str,
    file: &Path,
    folders: Folders<'_>,
) -> Result<Inventory, InventoryError> {
    // Editors on Windows begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { problems: Problems::new(file, text), folders };
    let inventory = match yaml::read(text) {
        Ok(root) => reader.root(&root),
        Err(fault) => reader.no_yaml(&fault),
    };
    if reader.problems.count() == 0
        && let Err(fault) = yaml::check_number_keys(text)
    {
        reader.no_yaml(&fault);
    }
    match inventory {
        Some(inventory) if reader.problems.count() == 0 => Ok(inventory),
        _ => Err(reader.problems.into_error()),
    }
}

impl<'a> Reader<'a> {
    fn no_yaml(&mut self, fault: &Fault) -> Option<Inventory> {
        let Fault { at, message, expected } = fault;
        if self.problems.is_indented_by_tab(*at) {
            return self.wrong(*at, &format!("{message}, expected spaces instead of the tab"));
        }
        self.wrong(*at, &format!("{message}, expected {expected}"))
    }

    fn root(&mut self, root: &Node) -> Option<Inventory> {
        if matches!(root.value, Value::Nothing) {
            return self.wrong(START, "the file is empty, expected the keys cluster and nodes");
        }
        let (mut cluster, mut ring_from, mut nodes) = (None, None, None);
        let mut defaults = Settings::default();
        let before = self.problems.count();
        let entries = self.section(root, Section::File)?;
        let misspelt = self.problems.count() > before;
        for (key, value) in entries {
            match key.text.as_str() {
                "cluster" => cluster = Some(self.name(&key, value)),
                "ring_from" => ring_from = Some(self.words(&key, value, words::name)),
                "defaults" => defaults = Settings::read(self, value),
                _ => nodes = Some((key, value)),
            }
        }
        if cluster.is_none() && !misspelt {
            self.missing::<()>(root, "cluster", "a name for reports");
        }
        let Some((key, list)) = nodes else {
            // Most likely it is there, misspelt, and has been noted.
            return if misspelt { None } else { self.missing(root, "nodes", "a list of hosts") };
        };
        let nodes = entry::nodes(self, key, list, &defaults)?;
        let ring_from = match ring_from {
            Some(names) => entry::ring_from(self, names?, &nodes),
            None => Vec::new(),
        };
        Some(Inventory { cluster: cluster??, ring_from, nodes })
    }

    fn missing<T>(&mut self, map: &Node, key: &str, expected: &str) -> Option<T> {
        self.wrong(map.at, &format!("the key '{key}' is missing, expected {expected}"))
    }

    pub(super) fn wrong<T>(&mut self, at: Place, message: &str) -> Option<T> {
        self.problems.add(at, message, Shown::Line);
        None
    }

    /// Returns the known keys of a map, each once, and notes the others.
    pub(super) fn section<'n>(
        &mut self,
        node: &'n Node,
        section: Section,
    ) -> Option<Vec<(Key<'n>, &'n Node)>> {
        let expected = format!("a map with the keys {}", section.keys().join(", "));
        let entries = self.map(node, section.name(), &expected)?;
        let (known, others): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|(key, _)| section.keys().contains(&key.text.as_str()));
        for (key, _) in others {
            self.problems.add(key.at, &unknown(section, key.text), Shown::UpToPlace);
        }
        Some(known)
    }

    /// Returns the entries of a map, each key once, and notes the others.
    pub(super) fn map<'n>(
        &mut self,
        node: &'n Node,
        name: &str,
        expected: &str,
    ) -> Option<Vec<(Key<'n>, &'n Node)>> {
        let Value::Map(pairs) = &node.value else {
            let found = found(node, name);
            return self.wrong(node.at, &format!("{name} is {found}, expected {expected}"));
        };
        let mut places: HashMap<&str, Place> = HashMap::new();
        let mut entries = Vec::new();
        for (key, value) in pairs {
            let Value::Scalar(Scalar { text, .. }) = &key.value else {
                let found = found(key, "key");
                let message = format!("{found} stands for a key in {name}, expected a word");
                self.problems.add(key.at, &message, Shown::UpToPlace);
                continue;
            };
            if let Some(first) = places.insert(text, key.at) {
                let line = first.line;
                let message = format!(
                    "duplicate key '{text}' in {name}, expected it once: line {line} has it already"
                );
                self.problems.add(key.at, &message, Shown::UpToPlace);
                continue;
            }
            entries.push((Key { text, at: key.at }, value));
        }
        Some(entries)
    }

    /// Notes that a value is of the wrong type.
    pub(super) fn type_of<T>(&mut self, key: &Key<'_>, node: &Node, expected: &str) -> Option<T> {
        let (name, found) = (key.text, found(node, key.text));
        self.wrong(node.at, &format!("{name} is {found}, expected {expected}"))
    }

    /// Takes a text. Numbers and truth values are refused: they may be what they look like.
    pub(super) fn text(&mut self, key: &Key<'_>, node: &Node, rule: Rule) -> Option<String> {
        match &node.value {
            Value::Scalar(scalar) if scalar.kind == Kind::Text => {
                self.ruled(key, node, scalar, rule)
            }
            Value::Scalar(scalar) => match rule(&scalar.text) {
                Ok(()) => {
                    let meant = format!("text; write \"{}\" if that is meant", scalar.text);
                    self.type_of(key, node, &meant)
                }
                Err(expected) => self.type_of(key, node, expected),
            },
            Value::Nothing | Value::List(_) | Value::Map(_) => self.type_of(key, node, "text"),
        }
    }

    /// Takes a name that Cassandra gives: a rack called `1` or `no` need not be quoted.
    pub(super) fn name(&mut self, key: &Key<'_>, node: &Node) -> Option<String> {
        match &node.value {
            Value::Scalar(scalar) => self.ruled(key, node, scalar, words::name),
            Value::Nothing | Value::List(_) | Value::Map(_) => self.type_of(key, node, "a name"),
        }
    }

    fn ruled(&mut self, key: &Key<'_>, node: &Node, scalar: &Scalar, rule: Rule) -> Option<String> {
        match rule(&scalar.text) {
            Ok(()) => Some(scalar.text.clone()),
            Err(expected) => self.type_of(key, node, expected),
        }
    }

    /// Takes one text or a list of them, at least one, each with its place.
    pub(super) fn words(
        &mut self,
        key: &Key<'_>,
        node: &Node,
        rule: Rule,
    ) -> Option<Vec<(Place, String)>> {
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            Value::Scalar(_) => std::slice::from_ref(node),
            Value::Nothing | Value::Map(_) => &[],
        };
        if items.is_empty() {
            return self.type_of(key, node, "a text or a list of texts");
        }
        let take = |item: &Node| Some((item.at, self.text(key, item, rule)?));
        let texts: Vec<_> = items.iter().map(take).collect();
        texts.into_iter().collect()
    }

    /// Takes one path on this machine or a list of them.
    pub(super) fn local_paths(&mut self, key: &Key<'_>, node: &Node) -> Option<Vec<PathBuf>> {
        let Folders { base, home } = self.folders;
        let mut paths = Vec::new();
        for (at, text) in self.words(key, node, |_| Ok(()))? {
            match words::local_path(&text, base, home) {
                Ok(path) => paths.push(path),
                Err(expected) => {
                    let message = format!("{} is '{text}', expected {expected}", key.text);
                    return self.wrong(at, &message);
                }
            }
        }
        Some(paths)
    }

    /// Takes a port.
    pub(super) fn port(&mut self, key: &Key<'_>, node: &Node) -> Option<u16> {
        if let Value::Scalar(Scalar { kind: Kind::Whole(number), .. }) = node.value
            && let Ok(port @ 1..) = u16::try_from(number)
        {
            return Some(port);
        }
        self.type_of(key, node, "a number from 1 to 65535, without quotes")
    }

    /// Takes yes or no.
    pub(super) fn truth(&mut self, key: &Key<'_>, node: &Node) -> Option<bool> {
        if let Value::Scalar(Scalar { kind: Kind::Truth(truth), .. }) = node.value {
            return Some(truth);
        }
        self.type_of(key, node, "true or false")
    }
}

/// A key and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Key<'n> {
    pub(super) text: &'n String,
    pub(super) at: Place,
}

/// What stands where something else was expected. A value that may be a secret is not shown.
fn found(node: &Node, name: &str) -> String {
    match &node.value {
        Value::Nothing => "empty".into(),
        Value::List(_) => "a list".into(),
        Value::Map(_) => "a map".into(),
        Value::Scalar(scalar) if is_secret_key(name) => match scalar.kind {
            Kind::Text => "another text (not shown)".into(),
            Kind::Truth(_) | Kind::Whole(_) | Kind::Number => "no text (not shown)".into(),
        },
        Value::Scalar(Scalar { text, kind }) => {
            let short: String = text.chars().take(60).collect();
            let short = if short.len() < text.len() { format!("{short}…") } else { short };
            match kind {
                Kind::Text => format!("'{short}'"),
                Kind::Truth(_) => format!("the truth value {short}"),
                Kind::Whole(_) | Kind::Number => format!("the number {short}"),
            }
        }
    }
}
