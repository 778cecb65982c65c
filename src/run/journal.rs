//! The journal of a run: JSON lines, each on the disk before what it announces is done.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::record::{Record, SCHEMA, What};

/// Ends the name of every journal.
const ENDING: &str = ".jsonl";

/// The journal of one run, open for writing by this process alone.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// Half a line stands at its end: what came behind it could not be read any more.
    is_torn: bool,
}

/// What a journal holds.
#[derive(Debug)]
pub struct Held {
    /// Its records.
    pub records: Vec<Record>,
    /// Whether the last line was cut off in the middle, and is left out.
    pub is_torn: bool,
    /// Bytes of the whole lines.
    whole: u64,
}

/// What can be wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system said no.
    #[error("{}: {error}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// A line in the middle is no record.
    #[error("{}, line {line}: no record of ringhaul's: {error}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the reader said.
        error: serde_json::Error,
    },
    /// A later ringhaul wrote it.
    #[error("{}: a later ringhaul wrote it (schema {schema}, this one reads {SCHEMA})", path.display())]
    Later {
        /// The file.
        path: PathBuf,
        /// Its schema.
        schema: u64,
    },
    /// Another process has it.
    #[error("run {run} is under way in another process on this machine")]
    Busy {
        /// The run.
        run: String,
    },
    /// There is no such run.
    #[error("there is no run '{wanted}' in {}", folder.display())]
    None {
        /// What was asked for.
        wanted: String,
        /// Where.
        folder: PathBuf,
    },
    /// More than one run is called that.
    #[error("'{wanted}' may be {}", runs.join(", "))]
    Several {
        /// What was asked for.
        wanted: String,
        /// The runs whose ids begin so.
        runs: Vec<String>,
    },
}

fn fault(path: &Path) -> impl Fn(io::Error) -> JournalError + '_ {
    |error| JournalError::File { path: path.to_owned(), error }
}

impl Journal {
    /// Makes the journal of a new run in `folder`, which is made when it is not there.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn create(folder: &Path, run: &str) -> Result<Self, JournalError> {
        // 0700: a journal names hosts, users and paths.
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(fault(folder))?;
        let path = file_of(folder, run);
        let open = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path);
        let file = open.map_err(fault(&path))?;
        let journal = Self { file, path, is_torn: false };
        journal.lock(run)?;
        // The file's own name has to be on the disk too.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(fault(folder))?;
        Ok(journal)
    }

    /// Opens the journal of an earlier run to go on with it. A last line that was cut off is
    /// taken away.
    ///
    /// # Errors
    /// When it cannot be read or written, or another process has it.
    pub fn open(folder: &Path, run: &str) -> Result<(Self, Held), JournalError> {
        let path = file_of(folder, run);
        let file = OpenOptions::new().append(true).open(&path).map_err(fault(&path))?;
        let journal = Self { file, path, is_torn: false };
        journal.lock(run)?;
        let held = read(folder, run)?;
        if held.is_torn {
            journal.file.set_len(held.whole).map_err(fault(&journal.path))?;
            journal.file.sync_all().map_err(fault(&journal.path))?;
        }
        Ok((journal, held))
    }

    fn lock(&self, run: &str) -> Result<(), JournalError> {
        // Who lists the runs holds each journal for a moment.
        for _ in 0..10 {
            if self.file.try_lock().is_ok() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        match self.file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(JournalError::Busy { run: run.to_owned() }),
            Err(TryLockError::Error(error)) => Err(fault(&self.path)(error)),
        }
    }

    /// Adds a record; it is on the disk when this returns.
    ///
    /// # Errors
    /// When the disk is full, or the file cannot be written for another reason.
    pub fn add(&mut self, record: &Record) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(record)
            .map_err(|error| fault(&self.path)(io::Error::other(error)))?;
        line.push(b'\n');
        if self.is_torn {
            let error = "half a line stands at its end, which could not be taken away";
            return Err(fault(&self.path)(io::Error::other(error)));
        }
        let whole = self.file.metadata().map_err(fault(&self.path))?.len();
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            // Half a line in the middle would make the rest unreadable; when it cannot be taken
            // away either, nothing is written behind it.
            self.is_torn = self.file.set_len(whole).is_err();
            fault(&self.path)(error)
        })
    }
}

/// Reads the journal of a run.
///
/// # Errors
/// When it cannot be read, or is no journal.
pub fn read(folder: &Path, run: &str) -> Result<Held, JournalError> {
    let path = file_of(folder, run);
    let bytes = fs::read(&path).map_err(fault(&path))?;
    // A line without an end was cut off; one that has an end is meant to be a record.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut records = Vec::new();
    for (line, text) in (1..).zip(bytes[..whole].split(|byte| *byte == b'\n')) {
        if text.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Record>(text) {
            Ok(record) => records.push(record),
            Err(error) => return Err(not_read(path, line, text, error)),
        }
    }
    Ok(Held { records, is_torn: whole < bytes.len(), whole: whole as u64 })
}

fn not_read(path: PathBuf, line: usize, text: &[u8], error: serde_json::Error) -> JournalError {
    let schema = serde_json::from_slice::<serde_json::Value>(text)
        .ok()
        .and_then(|value| value.get("schema")?.as_u64());
    match schema.filter(|schema| *schema > u64::from(SCHEMA)) {
        Some(schema) => JournalError::Later { path, schema },
        None => JournalError::Line { path, line, error },
    }
}

/// Whether some process is at work on the run.
pub fn is_under_way(folder: &Path, run: &str) -> bool {
    let Ok(file) = File::open(file_of(folder, run)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Returns the ids of all runs, the oldest first.
///
/// # Errors
/// When the folder cannot be read. One that is not there holds no runs.
pub fn runs(folder: &Path) -> Result<Vec<String>, JournalError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fault(folder)(error)),
    };
    let mut runs = Vec::new();
    for entry in entries {
        let name = entry.map_err(fault(folder))?.file_name();
        if let Some(run) = name.to_str().and_then(|name| name.strip_suffix(ENDING)) {
            runs.push(run.to_owned());
        }
    }
    // An id begins with the time.
    runs.sort();
    Ok(runs)
}

/// Returns the id of the run that `wanted` means: all of an id, its beginning, or `last`.
///
/// # Errors
/// When no run is meant, or several may be.
pub fn find(folder: &Path, wanted: &str) -> Result<String, JournalError> {
    let none = || JournalError::None { wanted: wanted.to_owned(), folder: folder.to_owned() };
    let mut all = runs(folder)?;
    if wanted == "last" {
        return all.pop().ok_or_else(none);
    }
    all.retain(|run| run.starts_with(wanted));
    match all.as_slice() {
        [] => Err(none()),
        [one] => Ok(one.clone()),
        several => match several.iter().find(|run| *run == wanted) {
            Some(run) => Ok(run.clone()),
            None => {
                Err(JournalError::Several { wanted: wanted.to_owned(), runs: several.to_vec() })
            }
        },
    }
}

fn file_of(folder: &Path, run: &str) -> PathBuf {
    folder.join(format!("{run}{ENDING}"))
}

/// The records that `read` returns begin with the beginning of a run.
pub fn begins(records: &[Record]) -> bool {
    matches!(records.first(), Some(Record { what: What::Begun(_), .. }))
}
