//! What lies in a store, looked at without the code that wrote it: folders, files, manifests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::backups::Set;

/// The host id of node number 1 …
pub(crate) fn host(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// All files below a folder, with their paths from there.
pub(crate) fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap_or_default());
            }
        }
    }
    found
}

/// The folders in which a node's copies of a place lie.
fn folders(store: &Path, host: &str, set: &Set) -> Vec<PathBuf> {
    let table = store.join("nodes").join(host).join(&set.keyspace).join(&set.folder);
    let table = set.index.map_or(table.clone(), |index| table.join(index));
    let begin = format!("{}.", set.descriptor);
    let names = fs::read_dir(table).into_iter().flatten().map(|entry| entry.unwrap());
    let is_it = |name: &str| name.starts_with(&begin) && name.len() == begin.len() + 16;
    names
        .filter(|entry| is_it(entry.file_name().to_str().unwrap()))
        .map(|entry| entry.path())
        .collect()
}

/// How often the store has this very set of a node: all of its files and no others.
pub(crate) fn copies(store: &Path, host: &str, set: &Set) -> usize {
    let wanted: BTreeMap<String, Vec<u8>> = set
        .files
        .iter()
        .map(|(component, content)| (set.name(component), content.clone()))
        .collect();
    folders(store, host, set).iter().filter(|folder| files(folder) == wanted).count()
}

/// The manifests of a node, in the order of their names.
pub(crate) fn manifests(store: &Path, host: &str) -> Vec<Value> {
    let found = files(&store.join("manifests").join(host));
    found.values().map(|text| serde_json::from_slice(text).unwrap()).collect()
}

/// All sets that a node's manifests name, with the manifest's run.
pub(crate) fn named(store: &Path, host: &str) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for manifest in manifests(store, host) {
        let run = manifest["run"].as_str().unwrap().to_owned();
        let sets = manifest["sets"].as_array().unwrap().clone();
        all.extend(sets.into_iter().map(|set| (run.clone(), set)));
    }
    all
}

/// What is not as it must be in a store at which nobody works: sets that are torn or that no
/// manifest names, leftovers, files that belong nowhere.
pub(crate) fn faults(store: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    let mut all = files(&store.join("nodes"));
    for host in hosts(store) {
        for (_, set) in named(store, &host) {
            // A set that was stored again is named again.
            faults.extend(take_out(&mut all, &host, &set));
        }
    }
    all.retain(|_, content| *content != b"taken");
    faults.extend(all.into_keys().map(|path| format!("no manifest names {path}")));
    for path in files(&store.join("tmp")).into_keys() {
        if !path.ends_with(".lock") || path.contains('/') {
            faults.push(format!("left over in tmp: {path}"));
        }
    }
    let is_known = |name: &str| {
        ["nodes/", "manifests/", "rings/", "checks/", "tmp/"]
            .iter()
            .any(|dir| name.starts_with(dir))
            || name == "ringhaul-store.json"
    };
    let others = files(store).into_keys().filter(|name| !is_known(name));
    faults.extend(others.map(|name| format!("what is {name}?")));
    faults
}

fn hosts(store: &Path) -> Vec<String> {
    let dirs = fs::read_dir(store.join("manifests")).into_iter().flatten();
    dirs.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Takes a set's files out of all files. Says what is not as the manifest has it.
fn take_out(all: &mut BTreeMap<String, Vec<u8>>, host: &str, set: &Value) -> Option<String> {
    let word = |key: &str| set[key].as_str().unwrap_or_default().to_owned();
    let (descriptor, id) = (word("descriptor"), word("id"));
    let mut dir = format!("{host}/{}/{}", word("keyspace"), word("folder"));
    if let Some(index) = set["index"].as_str() {
        dir = format!("{dir}/{index}");
    }
    for file in set["files"].as_array().unwrap() {
        let component = file["component"].as_str().unwrap();
        let name = match descriptor.as_str() {
            "snapshot" => component.to_owned(),
            _ => format!("{descriptor}-{component}"),
        };
        let path = format!("{dir}/{descriptor}.{id}/{name}");
        let Some(content) = all.get_mut(&path) else { return Some(format!("{path} is missing")) };
        if content == b"taken" {
            continue;
        }
        if blake3::hash(content).to_hex().as_str() != file["blake3"].as_str().unwrap()
            || content.len() as u64 != file["size"].as_u64().unwrap()
        {
            return Some(format!("{path} is not as its manifest says"));
        }
        let digest = set["digest"].as_u64();
        if component == "Data.db" && digest.is_some_and(|told| told != crc(content)) {
            return Some(format!("{path} does not match its digest"));
        }
        *content = b"taken".to_vec();
    }
    None
}

fn crc(content: &[u8]) -> u64 {
    u64::from(crc32fast::hash(content))
}
