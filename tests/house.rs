//! The rooms keep to what they may touch: nouns and decisions know no door, clock or terminal.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::fs;
use std::path::Path;

/// Rooms that take data and return data.
const PURE: [&str; 25] = [
    "audit",
    "cassandra",
    "event.rs",
    "exit.rs",
    "fleet.rs",
    "human.rs",
    "inventory",
    "join.rs",
    "nearest.rs",
    "node/programs.rs",
    "node/refusal.rs",
    "node/ticket.rs",
    "nodeset",
    "nodeset.rs",
    "plan",
    "record.rs",
    "report",
    "schedule",
    "schedule.rs",
    "selection",
    "selection.rs",
    "store/contents.rs",
    "store/layout.rs",
    "store/manifest.rs",
    "text.rs",
];

/// What only doors, hands and edge may name.
const FORBIDDEN: [&str; 9] = [
    "tokio",
    "russh",
    "std::fs",
    "std::net::Tcp",
    "std::process",
    "std::env",
    "std::io",
    "SystemTime",
    "Timestamp::now",
];

fn sources(path: &Path, found: &mut Vec<(String, String)>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            sources(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push((path.display().to_string(), fs::read_to_string(path).unwrap()));
    }
}

#[test]
fn nouns_and_decisions_touch_nothing_outside() {
    let mut found = Vec::new();
    for room in PURE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room);
        assert!(path.exists(), "{room} has moved: mend the list");
        sources(&path, &mut found);
    }
    for (path, text) in found {
        for (number, line) in (1..).zip(text.lines()) {
            let code = line.split("//").next().unwrap_or_default();
            for word in FORBIDDEN {
                assert!(!code.contains(word), "{path}:{number} names {word}: {line}");
            }
        }
    }
}

#[test]
fn the_readme_holds_the_table_of_exit_codes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(path).unwrap();
    for (_, code, meaning) in ringhaul::exit::Exit::TABLE {
        let row = format!("| {code} | {meaning} |");
        assert!(readme.contains(&row), "README.md lacks: {row}");
    }
}
