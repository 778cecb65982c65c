//! What ringhaul writes beside the files: manifests, rings, the marker; JSON, looked at in full
//! before it is believed.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::manifest::{Manifest, SCHEMA};
use super::{Store, durable, layout, names_in};

/// The manifests of a node, the oldest first; one is in memory at a time.
#[derive(Debug)]
pub struct Manifests {
    dir: PathBuf,
    host: String,
    names: std::vec::IntoIter<String>,
}

impl Store {
    /// Returns the manifests of a node, by run and part. One that cannot be read is an error that
    /// names it, in its turn; the others follow.
    ///
    /// # Errors
    /// When their folder cannot be read.
    pub fn manifests(&self, host: &str) -> Result<Manifests, StoreError> {
        let dir = self.root.join(layout::manifest_dir(host)?);
        let names = names_in(&dir)?.into_iter();
        Ok(Manifests { dir, host: host.to_owned(), names })
    }
}

impl Iterator for Manifests {
    type Item = Result<Manifest, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.names.next()?;
        Some(self.read(&name))
    }
}

impl Manifests {
    /// Returns the last that can be read.
    pub(super) fn last_readable(mut self) -> Option<Manifest> {
        std::iter::from_fn(|| self.names.next_back())
            .collect::<Vec<_>>()
            .iter()
            .find_map(|name| self.read(name).ok())
    }

    fn read(&self, name: &str) -> Result<Manifest, StoreError> {
        let path = self.dir.join(name);
        let named = layout::split_manifest(name)
            .ok_or_else(|| StoreError::bad(&path, "no manifest has that name"))?;
        // One that went while others were read: nobody does that to a manifest.
        let bytes = durable::read_file(&path)?
            .ok_or_else(|| StoreError::bad(&path, "it was removed just now"))?;
        manifest(&path, &bytes, &self.host, Some(named))
    }
}

/// Reads a manifest that must be `host`'s, and of that run and part.
pub(super) fn manifest(
    path: &Path,
    bytes: &[u8],
    host: &str,
    named: Option<(&str, u32)>,
) -> Result<Manifest, StoreError> {
    let manifest: Manifest = parse(path, bytes, |manifest: &Manifest| manifest.schema)?;
    if manifest.node.host_id != host {
        return Err(StoreError::bad(path, "it is of another node than its folder says"));
    }
    if named.is_some_and(|named| named != (manifest.run.as_str(), manifest.part)) {
        return Err(StoreError::bad(path, "it is of another run than its name says"));
    }
    check(path, &manifest)?;
    Ok(manifest)
}

/// Whether every word of a manifest may be part of a path.
pub(super) fn check(path: &Path, manifest: &Manifest) -> Result<(), StoreError> {
    let words = layout::host(&manifest.node.host_id).and(layout::run(&manifest.run));
    words.map_err(|error| StoreError::bad(path, error.to_string()))?;
    for set in &manifest.sets {
        layout::set(set).map_err(|error| StoreError::bad(path, error.to_string()))?;
    }
    Ok(())
}

/// Reads JSON of ours; a later schema is told apart from damage.
pub(super) fn parse<T: DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
    schema: impl Fn(&T) -> u32,
) -> Result<T, StoreError> {
    #[derive(Deserialize)]
    struct Head {
        schema: u64,
    }
    let newer = |schema: u64| StoreError::Newer { path: path.to_owned(), schema };
    match serde_json::from_slice::<T>(bytes) {
        Ok(read) if schema(&read) > SCHEMA => Err(newer(u64::from(schema(&read)))),
        Ok(read) => Ok(read),
        Err(error) => match serde_json::from_slice::<Head>(bytes) {
            Ok(head) if head.schema > u64::from(SCHEMA) => Err(newer(head.schema)),
            Ok(_) | Err(_) => Err(StoreError::bad(path, format!("it cannot be read: {error}"))),
        },
    }
}

/// Returns JSON of ours as it is written: people read it too.
pub(super) fn bytes<T: Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| StoreError::io(path, std::io::Error::other(error)))?;
    bytes.push(b'\n');
    if bytes.len() as u64 > durable::LARGEST_PAPER {
        return Err(StoreError::bad(path, "more sets at once than one manifest can hold"));
    }
    Ok(bytes)
}
