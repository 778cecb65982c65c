//! What can be wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

use super::layout::BadName;
use super::manifest::SCHEMA;

/// A fault of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder is no store.
    #[error("{} is no store: {what}", path.display())]
    NotAStore {
        /// The folder.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A later ringhaul wrote it.
    #[error("{}: a later ringhaul wrote it (schema {schema}, this one reads {SCHEMA})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        schema: u64,
    },
    /// Another controller writes there.
    #[error("another controller writes the sets of node {host} in this store")]
    Locked {
        /// The node's host id.
        host: String,
    },
    /// There is no room.
    #[error("{} is full", path.display())]
    Full {
        /// Where something was to be written.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// It holds what it should not.
    #[error("{}: {what}", path.display())]
    Bad {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A word that may be no part of a path.
    #[error("nothing is stored under that name: {0}")]
    Name(#[from] BadName),
}

impl StoreError {
    /// Returns what an error of the file system means.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        let is_full =
            matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        if is_full { Self::Full { path } } else { Self::Io { path, source } }
    }

    /// Makes the function that `map_err` wants.
    pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::io(path, source)
    }

    pub(super) fn bad(path: &Path, what: impl Into<String>) -> Self {
        Self::Bad { path: path.to_owned(), what: what.into() }
    }

    /// What helps, when something is known to.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotAStore { .. } => {
                Some("name a folder that a run made a store, or for a new one an empty folder")
            }
            Self::Newer { .. } => Some("use the ringhaul that wrote it, or a later one"),
            Self::Locked { .. } => {
                Some("wait for it to end; a lock of a controller that has died holds nobody up")
            }
            Self::Full { .. } => Some("make room; what is stored stays, and the next run goes on"),
            Self::Bad { .. } => Some("`ringhaul store check` says what is whole and what is not"),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("make the folder above it, or mount the disk that should be there")
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("let this account write there, or name another folder")
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::CrossesDevices => {
                Some("let all folders of the store lie on one file system, in one mount")
            }
            Self::Io { .. } | Self::Name(_) => None,
        }
    }
}
