//! Where everything lies in a store: names and relative paths, and which words may be in them.
//!
//! ```text
//! ringhaul-store.json            marks the folder as a store
//! nodes/<host id>/<keyspace>/<table folder>[/.<index>]/<descriptor>.<id>/<component files>
//! manifests/<host id>/<run>.<part>.json
//! rings/<run>.json
//! checks/<host id>.json          what was read back, and damage that was found then
//! checks/<host id>.lock          held while that is written
//! tmp/<host id>.lock, tmp/<host id>/    the one that writes a node's place, and its staging
//! ```
//!
//! Every word is looked at before it becomes part of a path, as a manifest may have been written
//! by anybody and a node may say anything: none can lead out of its folder.

use std::path::PathBuf;

use super::manifest::StoredSet;
use crate::cassandra::sets::{PAPERS, SetPlace};
use crate::cassandra::sstable;

/// The file that makes a folder a store.
pub const MARKER: &str = "ringhaul-store.json";

/// The files of all nodes.
pub const NODES: &str = "nodes";

/// The manifests.
pub const MANIFESTS: &str = "manifests";

/// The rings, one a run.
pub const RINGS: &str = "rings";

/// What was read back, and when.
pub const CHECKS: &str = "checks";

/// Locks and staging.
pub const TMP: &str = "tmp";

/// The manifest of a batch whose sets are being put in place, in the staging of its node.
pub const COMMIT: &str = "commit.json";

/// Linux file systems take no longer name (`NAME_MAX`).
const LONGEST_NAME: usize = 255;

/// Words that are part of a name beside others, such as a host id or a run.
const LONGEST_WORD: usize = 100;

/// A word that may not be part of a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no {what}")]
pub struct BadName {
    /// The word, made safe to show.
    text: String,
    /// What it should be.
    what: &'static str,
}

fn bad(text: &str, what: &'static str) -> BadName {
    BadName { text: crate::text::one_line(text.as_bytes(), 120), what }
}

/// Letters, digits, `_` and `-`: no dot, so no file that is named after it is another's.
fn is_word(text: &str) -> bool {
    (1..=LONGEST_WORD).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// A name that is not hidden and holds nothing a shell or a terminal takes for more than text.
fn is_plain(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

/// Looks at a node's id.
///
/// # Errors
/// When it can be none.
pub fn host(text: &str) -> Result<&str, BadName> {
    if is_word(text) { Ok(text) } else { Err(bad(text, "host id")) }
}

/// Looks at a run's id.
///
/// # Errors
/// When it can be none.
pub fn run(text: &str) -> Result<&str, BadName> {
    if is_word(text) { Ok(text) } else { Err(bad(text, "run")) }
}

/// Looks at the words of a place.
///
/// # Errors
/// When one of them could lead elsewhere, or is none that Cassandra makes.
pub fn place(place: &SetPlace) -> Result<(), BadName> {
    let SetPlace { keyspace, folder, index, descriptor } = place;
    if !is_word(keyspace) {
        return Err(bad(keyspace, "keyspace"));
    }
    if folder.contains('.') || !is_plain(folder) {
        return Err(bad(folder, "table's folder"));
    }
    if let Some(index) = index {
        index
            .strip_prefix('.')
            .filter(|name| is_plain(name) && index.len() <= LONGEST_NAME)
            .ok_or_else(|| bad(index, "index's folder"))?;
    }
    let name = format!("{descriptor}-{}", sstable::TOC);
    let is_set = sstable::split_name(&name) == Some((descriptor.as_str(), sstable::TOC));
    // The set's folder has a dot and the id's 16 digits after it.
    if (is_set && is_plain(descriptor) && descriptor.len() + 17 <= LONGEST_NAME)
        || descriptor == PAPERS
    {
        Ok(())
    } else {
        Err(bad(descriptor, "set"))
    }
}

/// Returns the name of a component's file.
///
/// # Errors
/// When the component is none of the place's.
pub fn file_name(place: &SetPlace, component: &str) -> Result<String, BadName> {
    let name = place.file_name(component);
    let is_component = place.descriptor == PAPERS
        || sstable::split_name(&name) == Some((place.descriptor.as_str(), component));
    if is_component && is_plain(component) && is_plain(&name) {
        Ok(name)
    } else {
        Err(bad(component, "component"))
    }
}

/// Looks at the id of a set.
///
/// # Errors
/// When it is not 16 hexadecimal digits.
pub fn id(text: &str) -> Result<&str, BadName> {
    let is_id =
        text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if is_id { Ok(text) } else { Err(bad(text, "id of a set")) }
}

/// Looks at every word of a set.
///
/// # Errors
/// When one of them is bad, or a component is listed twice.
pub fn set(set: &StoredSet) -> Result<(), BadName> {
    place(&set.place)?;
    id(&set.id)?;
    let mut seen = std::collections::HashSet::new();
    for file in &set.files {
        file_name(&set.place, &file.component)?;
        if !seen.insert(&file.component) {
            return Err(bad(&file.component, "component listed once"));
        }
    }
    Ok(())
}

/// The folder of a table or of an index of it: `nodes/<host id>/<keyspace>/<folder>[/.<index>]`.
///
/// # Errors
/// When a word is bad.
pub fn table_dir(host_id: &str, at: &SetPlace) -> Result<PathBuf, BadName> {
    place(at)?;
    let mut path = PathBuf::from(NODES);
    path.extend([host(host_id)?, &at.keyspace, &at.folder]);
    path.extend(&at.index);
    Ok(path)
}

/// The folder of a set.
///
/// # Errors
/// When a word is bad.
pub fn set_dir(host_id: &str, at: &SetPlace, set_id: &str) -> Result<PathBuf, BadName> {
    Ok(table_dir(host_id, at)?.join(format!("{}.{}", at.descriptor, id(set_id)?)))
}

/// Splits the name of a set's folder into descriptor and id.
pub fn split_set_dir(name: &str) -> Option<(&str, &str)> {
    let (descriptor, set_id) = name.rsplit_once('.')?;
    id(set_id).ok().map(|set_id| (descriptor, set_id))
}

/// The folder in the staging where a set is gathered. It is made of all that tells a set from
/// others, so that a batch needs no list of them.
pub fn draft_name(at: &SetPlace, set_id: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{at}.{set_id}").as_bytes());
    hasher.finalize().to_hex()[..32].to_owned()
}

/// The folder of a node's manifests.
///
/// # Errors
/// When the id is bad.
pub fn manifest_dir(host_id: &str) -> Result<PathBuf, BadName> {
    Ok(PathBuf::from(MANIFESTS).join(host(host_id)?))
}

/// The manifest of a part.
///
/// # Errors
/// When a word is bad.
pub fn manifest(host_id: &str, run_id: &str, part: u32) -> Result<PathBuf, BadName> {
    Ok(manifest_dir(host_id)?.join(format!("{}.{part:04}.json", run(run_id)?)))
}

/// Splits the name of a manifest into run and part.
pub fn split_manifest(name: &str) -> Option<(&str, u32)> {
    let (run_id, part) = name.strip_suffix(".json")?.rsplit_once('.')?;
    let is_number = part.len() >= 4 && part.bytes().all(|b| b.is_ascii_digit());
    Some((run(run_id).ok()?, part.parse().ok().filter(|_| is_number)?))
}

/// The ring of a run.
///
/// # Errors
/// When the id is bad.
pub fn ring(run_id: &str) -> Result<PathBuf, BadName> {
    Ok(PathBuf::from(RINGS).join(format!("{}.json", run(run_id)?)))
}

/// What was read back of a node.
///
/// # Errors
/// When the id is bad.
pub fn check(host_id: &str) -> Result<PathBuf, BadName> {
    Ok(PathBuf::from(CHECKS).join(format!("{}.json", host(host_id)?)))
}

/// The lock of what was read back of a node.
///
/// # Errors
/// When the id is bad.
pub fn check_lock(host_id: &str) -> Result<PathBuf, BadName> {
    Ok(PathBuf::from(CHECKS).join(format!("{}.lock", host(host_id)?)))
}

/// The staging of a node's place.
///
/// # Errors
/// When the id is bad.
pub fn staging(host_id: &str) -> Result<PathBuf, BadName> {
    Ok(PathBuf::from(TMP).join(host(host_id)?))
}

/// The lock of a node's place.
///
/// # Errors
/// When the id is bad.
pub fn lock(host_id: &str) -> Result<PathBuf, BadName> {
    Ok(PathBuf::from(TMP).join(format!("{}.lock", host(host_id)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(descriptor: &str) -> SetPlace {
        SetPlace {
            keyspace: "shop".into(),
            folder: "orders-6a1adbe06a0211f184742b61a3e0ec16".into(),
            index: None,
            descriptor: descriptor.into(),
        }
    }

    #[test]
    fn a_set_lies_under_node_keyspace_and_table() {
        let index = SetPlace { index: Some(".by_day".into()), ..at("nb-1-big") };
        assert_eq!(
            set_dir("h-1", &index, "00112233aabbccdd").unwrap(),
            PathBuf::from(
                "nodes/h-1/shop/orders-6a1adbe06a0211f184742b61a3e0ec16/.by_day/nb-1-big.00112233aabbccdd"
            )
        );
        assert_eq!(
            split_set_dir("nb-1-big.00112233aabbccdd"),
            Some(("nb-1-big", "00112233aabbccdd"))
        );
        let long = format!("nb-{}-big", "1".repeat(240));
        assert!(place(&at("oa-3gcm_0c7a_2pdfk2dvq5p6xq3klm-big")).is_ok());
        assert!(place(&at(PAPERS)).is_ok() && place(&at(&long)).is_err());
    }

    #[test]
    fn no_word_leads_out_of_its_folder() {
        for evil in ["", ".", "..", "a/b", "/a", "../x", ".a", "a\0b", "a b", "ä", "a\n"] {
            assert!(host(evil).is_err() && run(evil).is_err() && id(evil).is_err(), "{evil}");
            assert!(place(&at(evil)).is_err(), "{evil}");
            assert!(place(&SetPlace { keyspace: evil.into(), ..at("nb-1-big") }).is_err());
            assert!(place(&SetPlace { folder: evil.into(), ..at("nb-1-big") }).is_err());
            assert!(file_name(&at("nb-1-big"), evil).is_err(), "{evil}");
            assert!(file_name(&at(PAPERS), evil).is_err(), "{evil}");
        }
        for evil in ["", ".", "..", "...", "a", "./a", ".a/b", ".a\0", "./.."] {
            let index = SetPlace { index: Some(evil.into()), ..at("nb-1-big") };
            assert!(place(&index).is_err(), "{evil}");
        }
        assert!(file_name(&at("nb-1-big"), "x-Data.db").is_ok());
        assert!(file_name(&at("nb-1-big"), "Data.db.tmp").is_err());
        assert_eq!(file_name(&at(PAPERS), "schema.cql").unwrap(), "schema.cql");
    }

    #[test]
    fn a_manifest_is_named_after_run_and_part() {
        let path = manifest("h", "20261121-131500-ab12", 7).unwrap();
        assert_eq!(path, PathBuf::from("manifests/h/20261121-131500-ab12.0007.json"));
        assert_eq!(split_manifest("r.0007.json"), Some(("r", 7)));
        assert_eq!(split_manifest("r.12345.json"), Some(("r", 12345)));
        for other in ["r.7.json", "r.json", "a.b.0001.json", ".0001.json", "r.0001.json.tmp"] {
            assert_eq!(split_manifest(other), None, "{other}");
        }
    }
}
