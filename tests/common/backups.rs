//! Sets as Cassandra lays them out on a node: live files, their links in `backups` and snapshots.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ringhaul::run::clock;

use crate::fleet::Tree;

/// The id of a table; each name has the same here.
pub(crate) const ID: &str = "6a1adbe06a0211f184742b61a3e0ec16";

/// A set: where it belongs and what it holds.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    /// The data folder, below the node's home.
    pub(crate) data: &'static str,
    pub(crate) keyspace: String,
    /// The table's folder.
    pub(crate) folder: String,
    pub(crate) index: Option<&'static str>,
    pub(crate) descriptor: String,
    /// By component.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl Set {
    /// A set of the format `big`; `seed` is what its content is made of.
    pub(crate) fn big(table: &str, generation: &str, seed: &str) -> Self {
        let components = [
            "CompressionInfo.db",
            "Data.db",
            "Filter.db",
            "Index.db",
            "Statistics.db",
            "Summary.db",
        ];
        Self::new(table, &format!("nb-{generation}-big"), &components, seed)
    }

    /// A set of the format `bti`.
    pub(crate) fn bti(table: &str, generation: &str, seed: &str) -> Self {
        let components = ["Data.db", "Filter.db", "Partitions.db", "Rows.db", "Statistics.db"];
        Self::new(table, &format!("da-{generation}-bti"), &components, seed)
    }

    fn new(table: &str, descriptor: &str, components: &[&str], seed: &str) -> Self {
        let (keyspace, table) = table.split_once('.').unwrap();
        let content = |component: &&str| {
            let text = format!("{component} of {table} {descriptor}: {seed}\n");
            ((*component).to_owned(), text.into_bytes())
        };
        let mut set = Self {
            data: "data",
            keyspace: keyspace.to_owned(),
            folder: format!("{table}-{ID}"),
            index: None,
            descriptor: descriptor.to_owned(),
            files: components.iter().map(content).collect(),
        };
        set.settle();
        set
    }

    /// Makes digest and TOC those of the other files.
    fn settle(&mut self) {
        let digest = crc32fast::hash(&self.files["Data.db"]).to_string();
        self.files.insert("Digest.crc32".to_owned(), digest.into_bytes());
        self.files.insert("TOC.txt".to_owned(), Vec::new());
        let toc: String = self.files.keys().map(|component| format!("{component}\n")).collect();
        self.files.insert("TOC.txt".to_owned(), toc.into_bytes());
    }

    /// With this file.
    pub(crate) fn with(mut self, component: &str, content: &[u8]) -> Self {
        self.files.insert(component.to_owned(), content.to_vec());
        self.settle();
        self
    }

    /// With a Data.db of so many bytes, which no compression shrinks.
    pub(crate) fn of_size(self, bytes: usize) -> Self {
        let mut data = vec![0; bytes];
        let seed = blake3::Hasher::new().update(&self.files["Data.db"]).clone();
        seed.finalize_xof().fill(&mut data);
        self.with("Data.db", &data)
    }

    /// Of a secondary index of the table.
    pub(crate) fn of_index(mut self, index: &'static str) -> Self {
        self.index = Some(index);
        self
    }

    /// In another folder of the table: one that was dropped, or recreated.
    pub(crate) fn in_folder(mut self, folder: &str) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// In another data folder.
    pub(crate) fn in_data(mut self, data: &'static str) -> Self {
        self.data = data;
        self
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.values().map(|content| content.len() as u64).sum()
    }

    fn dir(&self, tree: &Tree, between: &str) -> PathBuf {
        let dir = tree.path(self.data).join(&self.keyspace).join(&self.folder).join(between);
        self.index.map_or(dir.clone(), |index| dir.join(index))
    }

    /// Where its live files lie.
    pub(crate) fn live(&self, tree: &Tree) -> PathBuf {
        self.dir(tree, "")
    }

    /// Where its links in `backups` lie.
    pub(crate) fn backups(&self, tree: &Tree) -> PathBuf {
        self.dir(tree, "backups")
    }

    /// Where its links in a snapshot lie.
    pub(crate) fn snapshot(&self, tree: &Tree, tag: &str) -> PathBuf {
        self.dir(tree, &format!("snapshots/{tag}"))
    }

    /// The name of a component's file.
    pub(crate) fn name(&self, component: &str) -> String {
        format!("{}-{component}", self.descriptor)
    }

    /// One of its files in `backups`.
    pub(crate) fn file(&self, tree: &Tree, component: &str) -> PathBuf {
        self.backups(tree).join(self.name(component))
    }

    /// Writes it as a flush does: live, and linked into `backups`.
    pub(crate) fn flush(&self, tree: &Tree) {
        self.write_to(&self.live(tree));
        self.link(&self.live(tree), &self.backups(tree));
    }

    /// A compaction has taken the live files away: the links in `backups` are the last.
    pub(crate) fn compact(&self, tree: &Tree) {
        for component in self.files.keys() {
            fs::remove_file(self.live(tree).join(self.name(component))).unwrap();
        }
    }

    /// Writes it to `backups` alone, as a flush and a compaction leave it.
    pub(crate) fn write(&self, tree: &Tree) {
        self.write_to(&self.backups(tree));
    }

    pub(crate) fn write_to(&self, dir: &Path) {
        fs::create_dir_all(dir).unwrap();
        for (component, content) in &self.files {
            fs::write(dir.join(self.name(component)), content).unwrap();
        }
    }

    /// Links the live files into a snapshot, with the papers of one.
    pub(crate) fn take_snapshot(&self, tree: &Tree, tag: &str) {
        self.link(&self.live(tree), &self.snapshot(tree, tag));
        let table = Self { index: None, ..self.clone() };
        let papers = table.snapshot(tree, tag);
        let list = format!("{{\"files\":[\"{}\"]}}", self.name("Data.db"));
        fs::write(papers.join("manifest.json"), list).unwrap();
        fs::write(papers.join("schema.cql"), "CREATE TABLE t (k int PRIMARY KEY);\n").unwrap();
    }

    fn link(&self, from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for component in self.files.keys() {
            let name = self.name(component);
            fs::hard_link(from.join(&name), to.join(&name)).unwrap();
        }
    }

    /// Its files in `backups` were written so long ago.
    pub(crate) fn age(&self, tree: &Tree, age: Duration) {
        let then = SystemTime::from(clock::now()) - age;
        for component in self.files.keys() {
            let file = fs::File::options().write(true).open(self.file(tree, component)).unwrap();
            file.set_modified(then).unwrap();
        }
    }

    /// How many of its files lie in `backups`.
    pub(crate) fn left(&self, tree: &Tree) -> usize {
        self.files.keys().filter(|component| self.file(tree, component).exists()).count()
    }

    /// Whether all of it lies in `backups`, byte for byte.
    pub(crate) fn is_on(&self, tree: &Tree) -> bool {
        self.files.iter().all(|(component, content)| {
            fs::read(self.file(tree, component)).is_ok_and(|found| found == *content)
        })
    }
}
