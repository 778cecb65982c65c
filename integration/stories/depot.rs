//! A store, read as a stranger would: JSON and plain files, without a line of ringhaul.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A set as a manifest names it: host id, keyspace, table's folder, index, descriptor, id.
pub(crate) type Named = (String, String, String, String, String, String);

/// What the manifests of a store name.
pub(crate) struct Depot {
    pub(crate) sets: BTreeMap<Named, Value>,
    /// `inode size mtime name` of every file of every set, with the host it is of.
    pub(crate) files: BTreeSet<(String, String)>,
}

/// Reads a store and proves it: every set that a manifest names is there whole, with each file in
/// its TOC, its sizes, and the checksum of its Data.db; and nothing else is there.
#[track_caller]
pub(crate) fn prove(store: &Path) -> Depot {
    let mut depot = Depot { sets: BTreeMap::new(), files: BTreeSet::new() };
    let mut folders = BTreeSet::new();
    for host in names(&store.join("manifests")) {
        for name in names(&store.join("manifests").join(&host)) {
            let path = store.join("manifests").join(&host).join(&name);
            let manifest: Value = serde_json::from_str(&read(&path)).expect("a manifest is JSON");
            assert_eq!(manifest["schema"], 1, "{path:?}");
            assert_eq!(manifest["node"]["host_id"], host.as_str(), "{path:?}");
            for set in manifest["sets"].as_array().expect("sets") {
                let folder = folder(store, &host, set);
                prove_set(&folder, set);
                for file in set["files"].as_array().expect("files") {
                    depot.files.insert((host.clone(), line_of(set, file)));
                }
                folders.insert(folder);
                depot.sets.insert(named(&host, set), set.clone());
            }
        }
    }
    let found: BTreeSet<PathBuf> = set_folders(&store.join("nodes"));
    assert_eq!(found.difference(&folders).next(), None, "no manifest names it");
    let tmp: Vec<String> =
        names(&store.join("tmp")).into_iter().filter(|name| !name.ends_with(".lock")).collect();
    assert_eq!(tmp, Vec::<String>::new(), "staging is left");
    depot
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn named(host: &str, set: &Value) -> Named {
    let word = |key| text(set, key).to_owned();
    let host = host.to_owned();
    (host, word("keyspace"), word("folder"), word("index"), word("descriptor"), word("id"))
}

fn folder(store: &Path, host: &str, set: &Value) -> PathBuf {
    let mut path = store.join("nodes").join(host);
    path.push(text(set, "keyspace"));
    path.push(text(set, "folder"));
    if let Some(index) = set["index"].as_str() {
        path.push(index);
    }
    path.push(format!("{}.{}", text(set, "descriptor"), text(set, "id")));
    path
}

fn file_name(set: &Value, component: &str) -> String {
    match text(set, "descriptor") {
        "snapshot" => component.to_owned(),
        descriptor => format!("{descriptor}-{component}"),
    }
}

/// As `find -printf '%i %s %T@ %f'` prints it.
fn line_of(set: &Value, file: &Value) -> String {
    let modified = file["modified"].as_i64().expect("a time");
    let (seconds, nanos) = (modified / 1_000_000_000, modified % 1_000_000_000);
    let name = file_name(set, text(file, "component"));
    format!("{} {} {seconds}.{nanos:09}0 {name}", file["inode"], file["size"])
}

#[track_caller]
fn prove_set(folder: &Path, set: &Value) {
    let files = set["files"].as_array().expect("files");
    let listed: BTreeSet<String> =
        files.iter().map(|file| file_name(set, text(file, "component"))).collect();
    let there: BTreeSet<String> = names(folder).into_iter().collect();
    assert_eq!(there, listed, "{folder:?}");
    for file in files {
        let path = folder.join(file_name(set, text(file, "component")));
        let bytes = fs::read(&path).expect("a stored file can be read");
        assert_eq!(bytes.len() as u64, file["size"].as_u64().expect("a size"), "{path:?}");
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), text(file, "blake3"), "{path:?}");
    }
    if text(set, "descriptor") == "snapshot" {
        return;
    }
    let descriptor = text(set, "descriptor");
    let toc = read(&folder.join(format!("{descriptor}-TOC.txt")));
    for component in toc.lines().filter(|line| !line.trim().is_empty()) {
        let name = format!("{descriptor}-{}", component.trim());
        assert!(there.contains(&name), "{folder:?} lacks {name}");
    }
    let data = fs::read(folder.join(format!("{descriptor}-Data.db"))).expect("data");
    let digest = read(&folder.join(format!("{descriptor}-Digest.crc32")));
    assert_eq!(crc32fast::hash(&data).to_string(), digest.trim(), "{folder:?}");
}

/// Every folder that holds files.
fn set_folders(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for name in names(path) {
        let below = path.join(name);
        if below.is_dir() {
            found.extend(set_folders(&below));
        } else {
            found.insert(path.to_owned());
        }
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}
