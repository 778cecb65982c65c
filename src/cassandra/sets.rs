//! SSTable sets as they lie on a node: where, which files, and what tells one set from another.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The descriptor of what a snapshot's folder holds besides sets: `manifest.json`, `schema.cql`.
/// No set can have it: a set's has two dashes.
pub const PAPERS: &str = "snapshot";

/// Where a set belongs, on the node and in the store.
///
/// Every word has been looked at: none can lead out of its folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SetPlace {
    /// Keyspace.
    pub keyspace: String,
    /// The table's folder: its name and the 32 digits of its id.
    pub folder: String,
    /// The folder of a secondary index in it, with its dot.
    pub index: Option<String>,
    /// `nb-1-big`; [`PAPERS`] for what is no set.
    pub descriptor: String,
}

/// In which folder of the table a set was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// `backups`.
    Backups,
    /// `snapshots/<tag>`.
    Snapshot(String),
}

/// One file of a set, as it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// The component (`Data.db`); of [`PAPERS`] the file's name.
    pub component: Arc<str>,
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// Number of hard links.
    pub links: u64,
    /// Bytes.
    pub size: u64,
    /// When it was written, in nanoseconds since 1970.
    pub modified: i64,
}

/// A set on a node, whole or in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSet {
    /// Where it belongs.
    pub place: SetPlace,
    /// In which folder it lies.
    pub origin: Origin,
    /// That folder's path on the node, absolute, without a slash at the end.
    pub dir: Arc<str>,
    /// Its files, by component.
    pub files: Vec<FoundFile>,
    /// The decimal number in its `Digest.crc32`, where there is one that can be read.
    pub digest: Option<u32>,
    /// Why nothing may be removed here: a symbolic link in the path, a mount inside, an old
    /// folder without an id.
    pub untouchable: Option<Arc<str>>,
}

impl SetPlace {
    /// Returns a component's file name: `nb-1-big-Data.db`.
    pub fn file_name(&self, component: &str) -> String {
        match self.descriptor.as_str() {
            PAPERS => component.to_owned(),
            descriptor => format!("{descriptor}-{component}"),
        }
    }

    /// `keyspace.table`, without the id.
    pub fn table(&self) -> String {
        format!("{}.{}", self.keyspace, super::sstable::split_table_folder(&self.folder).0)
    }
}

impl std::fmt::Display for SetPlace {
    /// `keyspace/folder[/.index]/descriptor`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/", self.keyspace, self.folder)?;
        if let Some(index) = &self.index {
            write!(f, "{index}/")?;
        }
        f.write_str(&self.descriptor)
    }
}

impl FoundSet {
    /// The absolute path of one of its files on the node.
    pub fn path(&self, file: &FoundFile) -> String {
        format!("{}/{}", self.dir, self.place.file_name(&file.component))
    }

    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        crate::human::sum(self.files.iter().map(|file| file.size))
    }

    /// Bytes that the disk gets back when it goes.
    pub fn held_bytes(&self) -> u64 {
        let held = self.files.iter().filter(|file| file.links == 1);
        crate::human::sum(held.map(|file| file.size))
    }

    /// When the last of its files was written, in nanoseconds since 1970.
    pub fn newest(&self) -> i64 {
        self.files.iter().map(|file| file.modified).max().unwrap_or_default()
    }

    /// What tells it from another set of the same name: 16 hexadecimal digits made of names, sizes,
    /// times and the digest. Inode and device are left out: a link in a snapshot has them too, a
    /// node that was restored has others.
    pub fn id(&self) -> String {
        id(self.digest, self.files.iter().map(|file| (&*file.component, file.size, file.modified)))
    }
}

/// Returns the id of a set; see [`FoundSet::id`]. The order of the files does not matter.
pub fn id<'a>(digest: Option<u32>, files: impl Iterator<Item = (&'a str, u64, i64)>) -> String {
    let mut files: Vec<_> = files.collect();
    files.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    if let Some(digest) = digest {
        hasher.update(format!("{digest}").as_bytes());
    }
    for (component, size, modified) in files {
        hasher.update(format!("\n{component} {size} {modified}").as_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_that_of_the_content_and_not_of_the_order() {
        let files = [("Data.db", 7, 1), ("TOC.txt", 3, 2)];
        let one = id(Some(5), files.into_iter());
        assert_eq!(one, id(Some(5), files.into_iter().rev()));
        assert_eq!(one.len(), 16);
        for other in [
            id(Some(6), files.into_iter()),
            id(None, files.into_iter()),
            id(Some(5), [("Data.db", 8, 1), ("TOC.txt", 3, 2)].into_iter()),
            id(Some(5), [("Data.db", 7, 2), ("TOC.txt", 3, 2)].into_iter()),
            id(Some(5), files.into_iter().take(1)),
        ] {
            assert_ne!(one, other);
        }
    }
}
