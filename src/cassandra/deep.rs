//! Sets in `backups` whose data is read whole and compared with the digest beside it.

use std::collections::BTreeMap;

use super::crc;
use super::fact::{Why, WhyKind};
use super::sstable;

/// More sets than this are not checked: a guard for the controller's memory.
const MOST_SETS: usize = 500_000;

/// Linux takes no longer path (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;

/// At most so many paths of a kind are kept: where more are damaged, it is the disk.
const NAMES_KEPT: usize = 1000;

/// What reading every Data.db in `backups` showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Deep {
    /// Sets whose data was read and compared.
    pub checked: u64,
    /// Bytes of their data.
    pub bytes: u64,
    /// Sets whose data is not what the digest says, at most a thousand.
    pub wrong: Vec<Wrong>,
    /// Sets that have no digest, at most a thousand by path.
    pub without_digest: Vec<String>,
    /// Sets that are there and could not be read, at most a thousand by path.
    pub unread: Vec<String>,
    /// Sets that went away, or came, while others were read.
    pub changed: u64,
    /// Why it ended early, if it did.
    pub broke_off: Option<Why>,
}

/// A set whose data is damaged, or whose digest is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Wrong {
    /// Path of the data, made visible.
    pub path: String,
    /// What `Digest.crc32` says.
    pub expected: String,
    /// What the data gives.
    pub found: u32,
}

/// One list of the sets: made before they are read, and again when something does not fit.
#[derive(Debug, Default)]
pub struct DeepList {
    data_dirs: Vec<String>,
    /// Device, inode, size and time, by path.
    files: BTreeMap<String, (u64, u64, u64, String)>,
    /// What the digest says, by the path of the data.
    digests: BTreeMap<String, String>,
}

/// The sums as they come.
#[derive(Debug)]
pub struct Sums {
    before: DeepList,
    deep: Deep,
    /// Paths that were read, and what does not fit yet: the sum, if all was read.
    read: BTreeMap<String, Doubt>,
}

#[derive(Debug)]
enum Doubt {
    None,
    Differs(u32),
    NotWhole,
}

impl DeepList {
    /// Returns an empty list of what lies in `data_dirs`.
    pub fn new(data_dirs: &[String]) -> Self {
        let data_dirs = data_dirs.iter().map(|dir| dir.trim_end_matches('/').to_owned()).collect();
        Self { data_dirs, ..Self::default() }
    }

    /// Forgets what was listed; a second pass with other rights follows.
    pub fn restart(&mut self) {
        self.files.clear();
        self.digests.clear();
    }

    /// How many sets there are.
    pub fn count(&self) -> u64 {
        self.files.len() as u64
    }

    /// Bytes of their data.
    pub fn bytes(&self) -> u64 {
        crate::human::sum(self.files.values().map(|(_, _, size, _)| *size))
    }

    /// Takes a record `DEVICE INODE SIZE TIME PATH`.
    ///
    /// # Errors
    /// When it has another form, or there are too many.
    pub fn take_file(&mut self, record: &str) -> Result<(), Why> {
        let odd = || {
            let text = crate::text::one_line(record.as_bytes(), 200);
            Why::new(WhyKind::NotUnderstood, format!("the list of sets holds {text}"))
        };
        let mut fields = record.splitn(5, ' ');
        let mut number = || fields.next().and_then(|f| f.parse::<u64>().ok()).ok_or_else(odd);
        let (device, inode, size) = (number()?, number()?, number()?);
        let time = fields.next().filter(|time| time.len() < 40).ok_or_else(odd)?;
        let path = fields.next().ok_or_else(odd)?;
        if self.files.len() >= MOST_SETS || path.len() > LONGEST_PATH {
            return Err(too_much());
        }
        if self.component(path).is_some_and(|component| component == "Data.db") {
            self.files.insert(path.to_owned(), (device, inode, size, time.to_owned()));
        }
        Ok(())
    }

    /// Takes what `head -v` printed of digests.
    ///
    /// # Errors
    /// When there are too many.
    pub fn take_digests(&mut self, text: &str) -> Result<(), Why> {
        let mut open = None;
        for line in text.lines() {
            let header = line.strip_prefix("==> ").and_then(|rest| rest.strip_suffix(" <=="));
            if let Some(path) = header {
                open = (self.component(path) == Some("Digest.crc32"))
                    .then(|| path.strip_suffix("Digest.crc32").map(|set| format!("{set}Data.db")))
                    .flatten();
            } else if let Some(data) = open.take_if(|_| !line.trim().is_empty()) {
                if self.digests.len() >= MOST_SETS || data.len() > LONGEST_PATH {
                    return Err(too_much());
                }
                self.digests.insert(data, line.trim().to_owned());
            }
        }
        Ok(())
    }

    /// Returns which component of a set in `backups` lies at `path`, by its depth.
    fn component<'a>(&self, path: &'a str) -> Option<&'a str> {
        self.data_dirs.iter().find_map(|dir| {
            let below = path.strip_prefix(dir.as_str())?.strip_prefix('/')?;
            let parts: Vec<&str> = below.split('/').collect();
            let name = match parts.as_slice() {
                [_, _, "backups", name] => name,
                [_, _, "backups", index, name] if index.starts_with('.') => name,
                _ => return None,
            };
            sstable::split_name(name).map(|(_, component)| component)
        })
    }
}

impl Sums {
    /// Begins with the list of what is to be read.
    pub fn new(before: DeepList) -> Self {
        Self { before, deep: Deep::default(), read: BTreeMap::new() }
    }

    /// Takes a record `CKSUM LENGTH PATH`; returns how many bytes were read.
    ///
    /// # Errors
    /// When it has another form.
    pub fn take(&mut self, record: &str) -> Result<u64, Why> {
        let odd = || {
            let text = crate::text::one_line(record.as_bytes(), 200);
            Why::new(WhyKind::NotUnderstood, format!("cksum printed {text}"))
        };
        let mut fields = record.splitn(3, ' ');
        let cksum: u32 = fields.next().and_then(|f| f.parse().ok()).ok_or_else(odd)?;
        let length: u64 = fields.next().and_then(|f| f.parse().ok()).ok_or_else(odd)?;
        let path = fields.next().ok_or_else(odd)?;
        // A set that came since has no digest that we know.
        let Some((_, _, size, _)) = self.before.files.get(path) else { return Ok(length) };
        if self.read.contains_key(path) {
            return Err(odd());
        }
        let doubt = match self.before.digests.get(path) {
            _ if *size != length => Doubt::NotWhole,
            None => Doubt::None,
            Some(digest) => {
                let found = crc::crc32_of(cksum, length);
                self.deep.checked += 1;
                self.deep.bytes = self.deep.bytes.saturating_add(length);
                let is_right = digest.parse::<u32>() == Ok(found);
                if is_right { Doubt::None } else { Doubt::Differs(found) }
            }
        };
        self.read.insert(path.to_owned(), doubt);
        Ok(length)
    }

    /// Whether all that was listed was read and is right: then nothing more need be asked.
    pub fn is_clear(&self) -> bool {
        self.read.len() == self.before.files.len()
            && self.read.values().all(|doubt| matches!(doubt, Doubt::None))
            && self.before.files.keys().all(|path| self.before.digests.contains_key(path))
    }

    /// Returns what all sums amount to. `after` is a second list, made when they were not clear:
    /// a set that is gone or another by then is no fault.
    pub fn finish(mut self, after: Option<&DeepList>, broke_off: Option<Why>) -> Deep {
        for (path, file) in &self.before.files {
            let shown = || crate::text::visible(path);
            if after.is_some_and(|after| after.files.get(path) != Some(file)) {
                self.deep.changed += 1;
                continue;
            }
            let digest = self.before.digests.get(path);
            match (self.read.get(path), digest) {
                (Some(Doubt::Differs(found)), Some(digest)) if after.is_some() => {
                    let now = after.and_then(|after| after.digests.get(path));
                    if now == Some(digest) {
                        keep(&mut self.deep.wrong, || Wrong {
                            path: shown(),
                            expected: crate::text::one_line(digest.as_bytes(), 40),
                            found: *found,
                        });
                    } else {
                        self.deep.changed += 1;
                    }
                }
                (Some(Doubt::None | Doubt::NotWhole), None) => {
                    keep(&mut self.deep.without_digest, shown);
                }
                // What was not come to is told by the reason for which it broke off.
                (None, _) if broke_off.is_some() => {}
                (None | Some(Doubt::NotWhole | Doubt::Differs(_)), _) => {
                    keep(&mut self.deep.unread, shown);
                }
                (Some(Doubt::None), Some(_)) => {}
            }
        }
        self.deep.broke_off = broke_off;
        self.deep
    }
}

fn keep<T>(kept: &mut Vec<T>, one: impl FnOnce() -> T) {
    if kept.len() < NAMES_KEPT {
        kept.push(one());
    }
}

fn too_much() -> Why {
    Why::new(WhyKind::TooMuch, "more sets, or longer names, were listed than any node has")
}
