//! What the tests of the store share: sets, and a store that they are put into.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringhaul::cassandra::sets::{self, Origin, SetPlace};
use ringhaul::store::manifest::{Manifest, NodeAtHand, SCHEMA, StoredFile, StoredSet};
use ringhaul::store::{Draft, Store, StoreError, Writer, layout};

pub(crate) const HOST: &str = "0c7e5a9e-6f0b-4c8e-9d2b-6a1adbe06a02";
/// How long a lock is waited for that nobody should have: a process that another test is just
/// starting has all files of this one for a moment.
pub(crate) const NOW: Duration = Duration::from_millis(500);

pub(crate) fn store(folder: &Path) -> Store {
    Store::open_or_make(&folder.join("store")).unwrap().0
}

pub(crate) fn place(table: &str, generation: usize) -> SetPlace {
    SetPlace {
        keyspace: "shop".into(),
        folder: format!("{table}-6a1adbe06a0211f184742b61a3e0ec16"),
        index: None,
        descriptor: format!("nb-{generation}-big"),
    }
}

/// A set's components and what they hold.
pub(crate) fn content(place: &SetPlace, salt: &str) -> Vec<(&'static str, String)> {
    let data = format!("{place} {salt}").repeat(9);
    vec![("Data.db", data), ("Empty.db", String::new()), ("TOC.txt", "Data.db\n".into())]
}

pub(crate) fn set(place: &SetPlace, salt: &str) -> StoredSet {
    let files: Vec<StoredFile> = content(place, salt)
        .into_iter()
        .map(|(component, text)| StoredFile {
            component: component.into(),
            size: text.len() as u64,
            modified: 1_700_000_000_123_456_789 + salt.len() as i64,
            inode: 7,
            blake3: blake3::hash(text.as_bytes()).to_hex().to_string(),
        })
        .collect();
    let id = sets::id(None, files.iter().map(|f| (&*f.component, f.size, f.modified)));
    StoredSet { place: place.clone(), id, found_in: vec![Origin::Backups], digest: None, files }
}

pub(crate) fn gather(writer: &Writer, set: &StoredSet, salt: &str) -> Result<Draft, StoreError> {
    let draft = writer.begin(&set.place, &set.id)?;
    for (component, text) in content(&set.place, salt) {
        let written = draft.file(component)?.write_all(text.as_bytes());
        written.map_err(|source| {
            assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "{source}");
            StoreError::Full { path: draft.dir().to_owned() }
        })?;
    }
    Ok(draft)
}

pub(crate) fn manifest(run: &str, part: u32, sets: Vec<StoredSet>) -> Manifest {
    Manifest {
        schema: SCHEMA,
        run: run.into(),
        part,
        ringhaul: "0".into(),
        written: jiff::Timestamp::from_second(1_700_000_000 + i64::from(part)).unwrap(),
        node: NodeAtHand { host_id: HOST.into(), name: "cass-01".into(), ..NodeAtHand::default() },
        sets,
    }
}

/// Gathers and commits sets of one salt.
pub(crate) fn keep(
    writer: &Writer,
    run: &str,
    part: u32,
    places: &[SetPlace],
    salt: &str,
) -> Result<Vec<StoredSet>, StoreError> {
    let sets: Vec<StoredSet> = places.iter().map(|place| set(place, salt)).collect();
    let drafts = sets.iter().map(|set| gather(writer, set, salt)).collect::<Result<_, _>>()?;
    writer.commit(manifest(run, part, sets.clone()), drafts)?;
    Ok(sets)
}

/// All files below a folder, by relative path.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                walk(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    if dir.exists() {
        walk(dir, dir, &mut found);
    }
    found.sort();
    found
}

/// What holds at any moment in which nobody writes: every set that a manifest names is there and
/// reads as it was stored, nothing else lies under `nodes`, nothing is left in the staging.
/// Returns the number of sets.
pub(crate) fn is_valid(store: &Store) -> usize {
    let holdings = store.holdings(HOST, &mut |_| true).unwrap();
    assert!(holdings.unread.is_empty(), "{:?}", holdings.unread);
    let mut named: Vec<PathBuf> = Vec::new();
    for held in holdings.iter() {
        assert_eq!(held.fault, None, "{}", held.set.place);
        assert_eq!(store.hash_set(&held.set, HOST, &mut |_| {}), Ok(()));
        let dir = layout::set_dir(HOST, &held.set.place, &held.set.id).unwrap();
        for file in &held.set.files {
            named.push(dir.join(layout::file_name(&held.set.place, &file.component).unwrap()));
        }
    }
    named.sort();
    let there: Vec<PathBuf> = files(&store.root().join("nodes"))
        .into_iter()
        .map(|f| Path::new("nodes").join(f))
        .collect();
    assert_eq!(there, named);
    let staged = files(&store.root().join("tmp"));
    assert_eq!(staged, [PathBuf::from(format!("{HOST}.lock"))], "something is left");
    holdings.iter().count()
}
