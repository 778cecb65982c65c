//! cassandra.yaml: what Cassandra would take from it at its next start.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::options;

use super::fact::{Fact, Why, WhyKind};
use crate::text::one_line;

/// The settings of one cassandra.yaml that matter to backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whether incremental backups are on after the next start. An absent key means `false`
    /// (Cassandra's default); of a key given twice Cassandra takes the last.
    pub incremental_backups: Fact<bool>,
    /// Lines, from 1, on which `incremental_backups` is a key of the root.
    pub key_lines: Vec<usize>,
    /// Lines, from 1, on which it stands commented out.
    pub commented_lines: Vec<usize>,
    /// Whether DROP and TRUNCATE take a snapshot first (default `true`).
    pub auto_snapshot: Fact<bool>,
    /// Whether each compaction takes a snapshot first (default `false`).
    pub snapshot_before_compaction: Fact<bool>,
    /// `data_file_directories` and `local_system_data_file_directory`; empty when not given.
    /// Unknown when one is no absolute path: it would not be a folder to the node's `find`.
    pub data_dirs: Fact<Vec<String>>,
    /// `broadcast_address` and `listen_address`, those given.
    pub addresses: Vec<String>,
    /// `storage_port` and `ssl_storage_port`: on one of them a node talks to the others.
    pub storage_ports: [u16; 2],
    /// `cluster_name`, if given.
    pub cluster_name: Option<String>,
}

/// Reads the text of a cassandra.yaml.
///
/// # Errors
/// When it is not YAML, or its root is not a map: Cassandra would not start with it either.
pub fn parse(text: &str) -> Result<Config, Why> {
    let not_yaml = |reason: &str| {
        let first = reason.lines().find(|line| !line.trim().is_empty()).unwrap_or(reason);
        Why::new(
            WhyKind::NotUnderstood,
            format!("cassandra.yaml is not valid YAML: {}", one_line(first.as_bytes(), 160)),
        )
    };
    let options = options! {
        // SnakeYAML, which Cassandra uses, lets the last of equal keys win.
        duplicate_keys: serde_yaml::options::DuplicateKeyPolicy::LastWins,
    };
    let raw: Raw = serde_yaml::from_str_with_options(&without_comments(text), options)
        .map_err(|error| not_yaml(&error.to_string()))?;
    let (key_lines, commented_lines) = lines_of("incremental_backups", text);
    Ok(Config {
        incremental_backups: raw.incremental_backups.boolean("incremental_backups", false),
        key_lines,
        commented_lines,
        auto_snapshot: raw.auto_snapshot.boolean("auto_snapshot", true),
        snapshot_before_compaction: raw
            .snapshot_before_compaction
            .boolean("snapshot_before_compaction", false),
        data_dirs: data_dirs([raw.data_file_directories, raw.local_system_data_file_directory]),
        addresses: [raw.broadcast_address, raw.listen_address]
            .into_iter()
            .flat_map(Loose::texts)
            .collect(),
        storage_ports: [
            raw.storage_port.port().unwrap_or(7000),
            raw.ssl_storage_port.port().unwrap_or(7001),
        ],
        cluster_name: raw.cluster_name.texts().into_iter().next(),
    })
}

/// Returns the text with lines that are comments left empty: of a stock file's 2,000 lines these
/// are nine in ten, and a YAML reader takes ten times as long for them as this does.
fn without_comments(text: &str) -> String {
    let mut rest = String::with_capacity(text.len() / 4);
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('#') {
            rest.push('\n');
        } else {
            rest.push_str(line);
        }
    }
    rest
}

fn data_dirs(settings: [Loose; 2]) -> Fact<Vec<String>> {
    let mut dirs: Vec<String> = Vec::new();
    for text in settings.into_iter().flat_map(Loose::texts) {
        if !text.starts_with('/') || text.chars().any(char::is_control) {
            let text = one_line(text.as_bytes(), 80);
            let text = format!("cassandra.yaml names the data folder '{text}', no absolute path");
            return Fact::unknown(WhyKind::NotUnderstood, text);
        }
        let dir = text.trim_end_matches('/').to_owned();
        if !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    Fact::Known(dirs)
}

/// Returns the line numbers on which `key` is a key of the root, and those on which it is
/// commented out.
fn lines_of(key: &str, text: &str) -> (Vec<usize>, Vec<usize>) {
    let text = text.trim_start_matches('\u{feff}');
    let indent = |line: &str| line.len() - line.trim_start().len();
    let root_indent = text
        .lines()
        .find(|line| !line.trim().is_empty() && !line.trim_start().starts_with(['#', '-', '%']))
        .map_or(0, indent);
    let is_key = |line: &str| {
        let line = line.trim_start();
        let name = line.split(':').next().unwrap_or_default().trim_end();
        line.contains(':') && name.trim_matches(['"', '\'']) == key
    };
    let mut keys = Vec::new();
    let mut commented = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(comment) = line.trim_start().strip_prefix('#') {
            if is_key(comment.trim_start_matches('#')) {
                commented.push(number);
            }
        } else if indent(line) == root_indent && is_key(line) {
            keys.push(number);
        }
    }
    (keys, commented)
}

/// The keys that are read; all others are passed over.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    incremental_backups: Loose,
    auto_snapshot: Loose,
    snapshot_before_compaction: Loose,
    data_file_directories: Loose,
    local_system_data_file_directory: Loose,
    broadcast_address: Loose,
    listen_address: Loose,
    cluster_name: Loose,
    storage_port: Loose,
    ssl_storage_port: Loose,
}

/// A value of any type: one that has the wrong type must not hide the others.
#[derive(Default, Clone)]
enum Loose {
    #[default]
    Absent,
    Null,
    Bool(bool),
    Text(String),
    List(Vec<Loose>),
    Other,
}

impl Loose {
    fn boolean(self, key: &str, default: bool) -> Fact<bool> {
        let odd = |what: &str| {
            let text = format!("cassandra.yaml sets {key} to {what}, which is no boolean");
            Fact::unknown(WhyKind::NotUnderstood, text)
        };
        match self {
            Self::Absent => Fact::Known(default),
            Self::Bool(value) => Fact::Known(value),
            // A quoted word, as SnakeYAML takes it for a boolean property.
            Self::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => Fact::Known(true),
                "false" | "no" | "off" => Fact::Known(false),
                _ => odd(&format!("'{}'", one_line(text.as_bytes(), 40))),
            },
            Self::Null => odd("nothing"),
            Self::List(_) | Self::Other => odd("a structure"),
        }
    }

    fn port(self) -> Option<u16> {
        self.texts().first()?.parse().ok()
    }

    fn texts(self) -> Vec<String> {
        match self {
            Self::Text(text) if !text.is_empty() => vec![text],
            Self::List(items) => items.into_iter().flat_map(Self::texts).collect(),
            Self::Absent | Self::Null | Self::Bool(_) | Self::Text(_) | Self::Other => Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Loose, E> {
        Ok(Loose::Bool(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Loose, E> {
        Ok(Loose::Text(value.to_owned()))
    }
    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(Loose::Null)
    }
    fn visit_none<E>(self) -> Result<Loose, E> {
        Ok(Loose::Null)
    }
    fn visit_i64<E>(self, value: i64) -> Result<Loose, E> {
        Ok(Loose::Text(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Loose, E> {
        Ok(Loose::Text(value.to_string()))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Loose, E> {
        Ok(Loose::Other)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Loose, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Loose::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(text: &str) -> Option<bool> {
        parse(text).unwrap().incremental_backups.known().copied()
    }

    #[test]
    fn every_spelling_of_a_boolean_is_read_as_cassandra_does() {
        for yes in ["true", "True", "TRUE", "yes", "on", "On", "'true'", "\"yes\"", "!!bool true"] {
            assert_eq!(flag(&format!("incremental_backups: {yes}  # why\n")), Some(true), "{yes}");
        }
        for no in ["false", "no", "OFF", "'false'"] {
            assert_eq!(flag(&format!("incremental_backups:   {no}\r\nx: 1\r\n")), Some(false));
        }
        for odd in ["maybe", "", "1", "[true]", "{a: b}"] {
            assert_eq!(flag(&format!("incremental_backups: {odd}\n")), None, "{odd}");
        }
    }

    #[test]
    fn an_absent_commented_or_nested_key_is_cassandras_default() {
        assert_eq!(flag("cluster_name: x\n"), Some(false));
        assert_eq!(flag("# incremental_backups: true\ncluster_name: x\n"), Some(false));
        assert_eq!(flag("a:\n  incremental_backups: true\n"), Some(false));
        let config =
            parse("#incremental_backups: true\na:\n  incremental_backups: true\n").unwrap();
        assert_eq!((config.key_lines, config.commented_lines), (vec![], vec![1]));
    }

    #[test]
    fn of_two_keys_the_last_counts_and_both_lines_are_known() {
        let config =
            parse("incremental_backups: true\na: 1\nincremental_backups: false\n").unwrap();
        assert_eq!(config.incremental_backups, Fact::Known(false));
        assert_eq!(config.key_lines, [1, 3]);
    }

    #[test]
    fn data_folders_are_a_list_or_one_name() {
        let list =
            "data_file_directories:\n    - /a\n    - /b c\nlocal_system_data_file_directory: /s\n";
        let dirs = |text: &str| parse(text).unwrap().data_dirs.known().cloned();
        let texts = |texts: &[&str]| Some(texts.iter().map(ToString::to_string).collect());
        assert_eq!(dirs(list), texts(&["/a", "/b c", "/s"]));
        assert_eq!(dirs("data_file_directories: /a/\n"), texts(&["/a"]));
        assert_eq!(dirs("data_file_directories: [/a, /a/]\n"), texts(&["/a"]));
        assert_eq!(dirs("x: 1\n"), texts(&[]));
    }

    #[test]
    fn a_data_folder_that_a_shell_or_find_could_misread_is_refused() {
        for text in ["[-exec, touch, /x, ;]", "[data]", r#"["/x\0y"]"#, r#"["/x\ny"]"#] {
            let config = parse(&format!("data_file_directories: {text}\n")).unwrap();
            assert!(config.data_dirs.known().is_none(), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_yaml_is_an_error() {
        assert_eq!(parse("a: [1\nb: }\n").unwrap_err().kind, WhyKind::NotUnderstood);
    }
}
