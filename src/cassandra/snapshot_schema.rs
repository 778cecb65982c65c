//! The schemas that snapshots hold: the newest of each table's folder tells of the table.

use std::collections::BTreeMap;

use super::fact::{Why, WhyKind};
use super::schema::{self, Coverage, NotCovered};
use super::snapshot::{self, Kind};
use super::sstable;

/// More tables and snapshots than this are not read: a guard for the controller's memory.
const MOST_ENTRIES: usize = 500_000;

/// Linux takes no longer path (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;

/// A table's folder: keyspace and folder name. The same folder in several data folders is one.
type Folder = (String, String);

/// What the snapshots' schemas say.
#[derive(Debug, Default)]
pub struct Schemas {
    data_dirs: Vec<String>,
    folders: BTreeMap<Folder, Option<Newest>>,
    /// Paths of schemas whose text is to come.
    awaited: BTreeMap<String, (Folder, String, i64)>,
    entries: usize,
}

#[derive(Debug)]
struct Newest {
    taken: i64,
    tag: String,
    is_covered: Option<bool>,
}

impl Schemas {
    /// Returns what is known before anything is read of `data_dirs`.
    pub fn new(data_dirs: &[String]) -> Self {
        let data_dirs = data_dirs.iter().map(|dir| dir.trim_end_matches('/').to_owned()).collect();
        Self { data_dirs, ..Self::default() }
    }

    /// Forgets what was read; a second pass with other rights follows.
    pub fn restart(&mut self) {
        self.folders.clear();
        self.awaited.clear();
    }

    /// Takes a folder's record `DEPTH PATH`.
    ///
    /// # Errors
    /// When there are too many.
    pub fn take_folder(&mut self, record: &str) -> Result<(), Why> {
        let (_, path) = record.split_once(' ').unwrap_or_default();
        self.count(path)?;
        if let Some([keyspace, folder]) = self.split(path).as_deref()
            && sstable::split_table_folder(folder).1.is_some()
        {
            self.folders.entry(((*keyspace).to_owned(), (*folder).to_owned())).or_default();
        }
        Ok(())
    }

    /// Takes the record `DEPTH TIME PATH` of a schema, whose text follows.
    ///
    /// # Errors
    /// When there are too many.
    pub fn take_schema(&mut self, record: &str) -> Result<(), Why> {
        let mut fields = record.splitn(3, ' ').skip(1);
        let (time, path) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        self.count(path)?;
        let Some(taken) = time.split(['.', ',']).next().and_then(|time| time.parse().ok()) else {
            let text = crate::text::one_line(record.as_bytes(), 200);
            return Err(Why::new(
                WhyKind::NotUnderstood,
                format!("a schema's record reads {text}"),
            ));
        };
        if let Some([keyspace, folder, "snapshots", tag, _]) = self.split(path).as_deref() {
            let folder = ((*keyspace).to_owned(), (*folder).to_owned());
            self.awaited.insert(path.to_owned(), (folder, (*tag).to_owned(), taken));
        }
        Ok(())
    }

    /// Takes what `head -v` printed of schemas.
    pub fn take_texts(&mut self, text: &str) {
        let mut open: Option<String> = None;
        let mut cql = String::new();
        for line in text.lines() {
            let header = line.strip_prefix("==> ").and_then(|rest| rest.strip_suffix(" <=="));
            // A schema's own text may look like a header; it names no schema that is awaited.
            if let Some(path) = header.filter(|path| self.awaited.contains_key(*path)) {
                self.close(open.replace(path.to_owned()), &cql);
                cql.clear();
            } else {
                cql.push_str(line);
                cql.push('\n');
            }
        }
        self.close(open, &cql);
    }

    fn close(&mut self, path: Option<String>, cql: &str) {
        let Some((folder, tag, taken)) = path.and_then(|path| self.awaited.remove(&path)) else {
            return;
        };
        let (table, _) = sstable::split_table_folder(&folder.1);
        let is_covered = schema::is_covered(cql, &folder.0, table);
        let newest = self.folders.entry(folder).or_default();
        if newest.as_ref().is_none_or(|old| (old.taken, &old.tag) < (taken, &tag)) {
            *newest = Some(Newest { taken, tag, is_covered });
        }
    }

    /// Returns which tables keep out of incremental backups; dropped ones do not count.
    pub fn finish(self) -> Coverage {
        // Of a table that was made again, the newest folder.
        let mut tables = BTreeMap::<_, (Option<u64>, Option<&Newest>)>::new();
        for ((keyspace, folder), newest) in &self.folders {
            let (table, id) = sstable::split_table_folder(folder);
            let made = id.and_then(sstable::created);
            let newest = newest.as_ref();
            let entry = tables.entry((keyspace.as_str(), table)).or_insert((made, newest));
            if entry.0 < made {
                *entry = (made, newest);
            }
        }
        let mut coverage = Coverage::default();
        for ((keyspace, table), (_, newest)) in tables {
            // Cassandra's own tables have no such choice.
            if is_own(keyspace) {
                continue;
            }
            match newest {
                Some(newest) if snapshot::classify(&newest.tag, table).0 == Kind::Dropped => {}
                Some(Newest { is_covered: Some(true), .. }) => {}
                Some(Newest { is_covered: Some(false), tag, .. }) => {
                    coverage.off.push(NotCovered {
                        keyspace: crate::text::visible(keyspace),
                        table: crate::text::visible(table),
                        since: Some(crate::text::visible(tag)),
                    });
                }
                None | Some(Newest { is_covered: None, .. }) => coverage.unseen += 1,
            }
        }
        coverage
    }

    fn split<'a>(&self, path: &'a str) -> Option<Vec<&'a str>> {
        self.data_dirs.iter().find_map(|dir| {
            let below = path.strip_prefix(dir.as_str())?.strip_prefix('/')?;
            Some(below.split('/').collect())
        })
    }

    fn count(&mut self, path: &str) -> Result<(), Why> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES || path.len() > LONGEST_PATH {
            let text = "more snapshots, or longer names, were listed than any node has";
            return Err(Why::new(WhyKind::TooMuch, text));
        }
        Ok(())
    }
}

/// Whether Cassandra itself keeps its tables there.
fn is_own(keyspace: &str) -> bool {
    keyspace == "system" || keyspace.starts_with("system_")
}
