//! The only door to where backups lie: a folder on a disk, a mount, a NAS.
//!
//! [`layout`] says where everything lies. What no manifest names does not count, and a manifest is
//! written last, when every byte it names is on the disk: so whoever goes by the manifests sees
//! whole sets only. Everything here waits for the disk: call it where waiting is allowed.

mod abandoned;
pub mod check;
mod commit;
pub mod contents;
mod disk;
mod durable;
mod error;
pub mod get;
mod holdings;
pub mod intake;
pub mod layout;
mod list;
mod lock;
pub mod manifest;
mod papers;
mod readings;
mod whole;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use error::StoreError;
pub use holdings::{Held, Holdings};
use manifest::{SCHEMA, Topology};
pub use papers::Manifests;
pub use readings::Readings;
pub use writer::{Draft, Writer};

/// What an empty file system may hold by itself.
const NOT_OURS: [&str; 4] = ["lost+found", ".snapshot", ".snapshots", ".zfs"];

/// A folder that holds the backups of rings.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// What [`layout::MARKER`] holds.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    schema: u32,
    made: Timestamp,
}

impl Store {
    /// Opens a store.
    ///
    /// # Errors
    /// When there is none in the folder, or a later ringhaul made it.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let no_store = |what| StoreError::NotAStore { path: root.to_owned(), what };
        match fs::metadata(root) {
            Ok(metadata) if !metadata.is_dir() => return Err(no_store("it is no folder")),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(no_store("there is no such folder"));
            }
            Err(error) => return Err(StoreError::io(root, error)),
        }
        let marker = root.join(layout::MARKER);
        let bytes = durable::read_file(&marker)?.ok_or_else(|| no_store("it has no marker"))?;
        papers::parse::<Marker>(&marker, &bytes, |marker| marker.schema)?;
        // Later work may change its folder.
        let root = fs::canonicalize(root).map_err(StoreError::at(root))?;
        Ok(Self { root })
    }

    /// Opens a store, or makes one of an empty folder or of none. Returns whether it was made.
    ///
    /// # Errors
    /// When the folder holds something else, its parent is not there, or it cannot be written.
    pub fn open_or_make(root: &Path) -> Result<(Self, bool), StoreError> {
        match Self::open(root) {
            Err(StoreError::NotAStore { what, .. }) => {
                make(root, what)?;
                Ok((Self::open(root)?, true))
            }
            opened => Ok((opened?, false)),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns how many bytes this account may still write.
    ///
    /// # Errors
    /// When the file system does not say.
    pub fn room(&self) -> Result<u64, StoreError> {
        let stat = rustix::fs::statvfs(&self.root);
        let stat = stat.map_err(|error| StoreError::io(&self.root, error.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Returns the host ids of all nodes of which something is stored, in order.
    ///
    /// # Errors
    /// When the folders cannot be read.
    pub fn hosts(&self) -> Result<Vec<String>, StoreError> {
        let mut hosts = std::collections::BTreeSet::new();
        for part in [layout::MANIFESTS, layout::NODES] {
            let names = names_in(&self.root.join(part))?;
            hosts.extend(names.into_iter().filter(|name| layout::host(name).is_ok()));
        }
        Ok(hosts.into_iter().collect())
    }

    /// Keeps the ring as it was when a run began. What is kept of the run already stays.
    ///
    /// # Errors
    /// When it cannot be written, or what is there cannot be read.
    pub fn keep_topology(&self, topology: &Topology) -> Result<(), StoreError> {
        if self.topology(&topology.run)?.is_some() {
            return Ok(());
        }
        let bytes = papers::bytes(&self.root, topology)?;
        self.put(&layout::ring(&topology.run)?, &bytes)
    }

    /// Returns the ring as it was when a run began.
    ///
    /// # Errors
    /// When what is there cannot be read.
    pub fn topology(&self, run: &str) -> Result<Option<Topology>, StoreError> {
        let path = self.root.join(layout::ring(run)?);
        let Some(bytes) = durable::read_file(&path)? else { return Ok(None) };
        papers::parse(&path, &bytes, |topology: &Topology| topology.schema).map(Some)
    }

    /// Replaces a file of ours: the old one or the new one is there at any moment, whole.
    fn put(&self, name: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let tmp = self.root.join(layout::TMP);
        durable::make_dir(&tmp)?;
        let path = self.root.join(name);
        let steps = durable::Steps::all();
        steps.make_dirs(&self.root, path.parent().unwrap_or(&self.root))?;
        steps.sync_dir(&self.root)?;
        // Two that write the same file at once must not write into each other's.
        let beside = tempfile::Builder::new()
            .prefix(".paper-")
            .tempfile_in(&tmp)
            .map_err(StoreError::at(&tmp))?
            .into_temp_path();
        make_readable(&beside)?;
        steps.write(&beside, &path, bytes)
    }
}

/// A temporary file is for its owner alone; a store is read by others too.
fn make_readable(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = fs::Permissions::from_mode(0o644);
    fs::set_permissions(path, permissions).map_err(StoreError::at(path))
}

fn make(root: &Path, what: &'static str) -> Result<(), StoreError> {
    if root.symlink_metadata().is_ok() {
        let is_known = |name: &String| {
            // Another controller may be making it just now.
            NOT_OURS.contains(&name.as_str()) || name.starts_with(layout::MARKER)
        };
        let refused = |what| StoreError::NotAStore { path: root.to_owned(), what };
        if !root.is_dir() {
            return Err(refused(what));
        }
        if !names_in(root)?.iter().all(is_known) {
            return Err(refused("it holds other things"));
        }
    } else {
        durable::make_dir(root)?;
        let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty());
        durable::Steps::all().sync_dir(parent.unwrap_or(Path::new(".")))?;
    }
    write_marker(root)
}

fn write_marker(root: &Path) -> Result<(), StoreError> {
    let beside = tempfile::Builder::new()
        .prefix(layout::MARKER)
        .tempfile_in(root)
        .map_err(StoreError::at(root))?;
    // The store's own clock: the time that its file system gave the file.
    let made = beside.as_file().metadata().and_then(|metadata| metadata.modified());
    let made = made.map_err(StoreError::at(root))?;
    let made = Timestamp::try_from(made)
        .map_err(|error| StoreError::io(root, std::io::Error::other(error)))?;
    let bytes = papers::bytes(root, &Marker { schema: SCHEMA, made })?;
    let beside = beside.into_temp_path();
    make_readable(&beside)?;
    durable::Steps::all().write(&beside, &root.join(layout::MARKER), &bytes)
}

/// The names in a folder, in order; a name that is no text is shown as one. One that is not there
/// holds none.
fn names_in(dir: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io(dir, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(StoreError::at(dir))?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}
