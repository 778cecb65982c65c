//! The keys an inventory may hold, and what to say of one that it may not.

use super::problem::is_secret_key;
use crate::nearest::nearest;

/// A part of an inventory, with its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    File,
    Defaults,
    Node,
    Paths,
    Jmx,
    Become,
}

const ALL: [Section; 6] = [
    Section::File,
    Section::Defaults,
    Section::Node,
    Section::Paths,
    Section::Jmx,
    Section::Become,
];

impl Section {
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::File => &["cluster", "ring_from", "defaults", "nodes"],
            Self::Node => &NODE,
            // What makes a node one of its own cannot be a default.
            Self::Defaults => NODE.split_at(4).1,
            Self::Paths => &["nodetool", "config", "data"],
            Self::Jmx => &["host", "port", "user", "password_file", "sudo"],
            Self::Become => &["method", "user", "password"],
        }
    }

    /// Where its keys stand, as in "unknown key 'x' in …".
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::File => "the inventory",
            Self::Defaults => "defaults",
            Self::Node => "a node",
            Self::Paths => "paths",
            Self::Jmx => "jmx",
            Self::Become => "become",
        }
    }

    fn dotted(self) -> &'static str {
        match self {
            Self::File => "",
            Self::Defaults => "defaults.",
            Self::Node => "nodes.",
            Self::Paths => "nodes.paths.",
            Self::Jmx => "nodes.jmx.",
            Self::Become => "nodes.become.",
        }
    }
}

const NODE: [&str; 18] = [
    "host",
    "address",
    "cassandra_address",
    "host_id",
    "user",
    "port",
    "identity_file",
    "known_hosts",
    "proxy_jump",
    "auth",
    "transport",
    "sudo",
    "become",
    "paths",
    "jmx",
    "dc",
    "rack",
    "labels",
];

/// Every key the reader knows, as `nodes.jmx.port`; for the test of the example and for help.
pub fn known_keys() -> impl Iterator<Item = String> {
    ALL.into_iter().flat_map(|section| {
        section.keys().iter().map(move |key| format!("{}{key}", section.dotted()))
    })
}

/// The sentence about a key that `section` does not know.
pub(super) fn unknown(section: Section, key: &str) -> String {
    let known = section.keys();
    let place = section.name();
    let near = nearest(key, known.iter().copied());
    let begin = format!("unknown key '{key}' in {place}");
    let others = ALL.iter().filter(|other| other.keys().contains(&key));
    let others: Vec<&str> = others.map(|other| other.name()).collect();
    // Where `become.password` stands a word is expected; anywhere else it is a password itself.
    if !others.is_empty() && key != "password" {
        return format!("{begin}, expected it in {}", others.join(" or "));
    }
    if is_secret_key(key) && (near != Some("password_file") || key.to_lowercase() == "password") {
        return format!(
            "{begin}: passwords are not taken, expected jmx.password_file, the path of a file on \
             the node that holds it"
        );
    }
    let expected = format!("expected one of {}", known.join(", "));
    match near {
        Some(near) => format!("{begin}: did you mean '{near}'? {expected}"),
        None => format!("{begin}, {expected}"),
    }
}
