//! Takes a node's stream of sets apart: checks, hashes and writes them as they come.
//!
//! The stream is what GNU tar sends of the names it was given: `-P`, GNU format, hard links as
//! files, in the order of the sets and of the files in them. Only what was asked for is taken, once
//! each, with the listed size and time. One set is at hand at a time, so a stream that breaks off
//! leaves whole sets and a part of one.

#[cfg(fuzzing)]
pub mod fuzz;
mod gathered;
mod large;
mod small;
mod tape;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::ops::ControlFlow;

use tar::EntryType;

use self::gathered::Gathered;
pub(super) use self::gathered::stamp;
use self::large::{Broken, Large};
use self::small::{Done, Job, Pool};
use self::tape::{Entry, Stop, Tape};
use super::error::StoreError;
use super::layout::{self, BadName};
use super::manifest::StoredSet;
use super::writer::{Draft, Writer};
use crate::cassandra::sets::{FoundFile, FoundSet, PAPERS};

/// Sets of fewer bytes are gathered in memory and written by several threads side by side.
const SMALL: u64 = 256 * 1024;

/// Files that have grown since they were listed may bring so many bytes more than were listed.
const MOST_GROWN: u64 = 1 << 30;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The sets, in the order in which the node was told their names.
    pub sets: &'a [FoundSet],
}

/// Why a set is not stored. The stream goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetFault {
    /// A file of it did not come: it was removed, or could not be read.
    #[error("{component} did not come")]
    Missing {
        /// The file.
        component: String,
    },
    /// A file has another size than when it was listed.
    #[error("{component} was listed with {listed} bytes and came with {came}")]
    Size {
        /// The file.
        component: String,
        /// Bytes in the listing.
        listed: u64,
        /// Bytes in the stream.
        came: u64,
    },
    /// A file is another than the one that was listed.
    #[error("{component} was changed since it was listed")]
    Changed {
        /// The file.
        component: String,
    },
    /// Something else came in place of a file: a link, a device, a folder.
    #[error("{component} did not come as a file")]
    NoFile {
        /// The file.
        component: String,
    },
    /// The content is not what Cassandra wrote.
    #[error("Data.db does not match Digest.crc32: was {was}, is {is}")]
    Digest {
        /// What Cassandra wrote down.
        was: u32,
        /// The CRC-32 of what came.
        is: u32,
    },
    /// What Data.db should be compared with is none that Cassandra wrote.
    #[error("Digest.crc32 holds no number: Data.db cannot be compared with it")]
    NoNumber,
    /// It has a name under which nothing can be stored.
    #[error("{0}")]
    Name(#[from] BadName),
}

/// Why the stream was broken off. What was handed on before is good.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The node sends what nobody asked for.
    #[error("the node sends what it was not asked for: {0}")]
    Hostile(String),
    /// The line broke.
    #[error("the stream broke off: {0}")]
    Read(#[source] io::Error),
    /// The store cannot take more.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Is given each set when it is whole or has failed, by its number among those that were asked
/// for; not always in their order.
pub type OnSet<'a> = dyn FnMut(usize, Result<(StoredSet, Draft), SetFault>) -> ControlFlow<()> + 'a;

/// Takes the stream of a node's `tar`. `on_bytes` is told how many bytes of content have come.
///
/// A stream that ends early is no error here: sets that `on_set` was not told of did not come.
///
/// # Errors
/// See [`IntakeError`]. Sets that are whole are handed to `on_set` before that.
pub fn take(
    reader: impl Read,
    wanted: Wanted<'_>,
    writer: &Writer,
    on_set: &mut OnSet<'_>,
    on_bytes: &mut dyn FnMut(u64),
) -> Result<(), IntakeError> {
    let listed = crate::human::sum(wanted.sets.iter().map(FoundSet::bytes));
    std::thread::scope(|scope| {
        let mut intake = Intake {
            sets: wanted.sets,
            writer,
            tape: Tape::new(reader, listed.saturating_add(MOST_GROWN)),
            pool: Pool::start(scope, wanted.sets, writer),
            large: Large::start(scope, writer),
            at: (0, 0),
            current: None,
            on_set,
            on_bytes,
        };
        let ended = intake.run();
        intake.finish(ended)
    })
}

struct Intake<'a, 'f, R> {
    sets: &'a [FoundSet],
    writer: &'a Writer,
    tape: Tape<R>,
    pool: Pool,
    large: Large,
    /// The first set and file of it that may still come.
    at: (usize, usize),
    current: Option<Current>,
    on_set: &'f mut OnSet<'f>,
    on_bytes: &'f mut dyn FnMut(u64),
}

/// The set at hand.
struct Current {
    number: usize,
    /// Which of its files have come, in order.
    came: Vec<usize>,
    body: Body,
}

enum Body {
    Small(Vec<u8>),
    Large(Draft, Gathered),
    Failed(SetFault),
}

/// Why no more is read.
enum Ended {
    Tape(Stop),
    Store(StoreError),
    /// The caller has had enough.
    Enough,
}

impl From<Stop> for Ended {
    fn from(stop: Stop) -> Self {
        Self::Tape(stop)
    }
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Broken> for Ended {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Stop(stop) => Self::Tape(stop),
            Broken::Store(error) => Self::Store(error),
        }
    }
}

impl<R: Read> Intake<'_, '_, R> {
    fn run(&mut self) -> Ended {
        loop {
            if let Err(ended) = self.step() {
                return ended;
            }
        }
    }

    /// Takes one entry.
    fn step(&mut self) -> Result<(), Ended> {
        let entry = match self.tape.next() {
            Ok(entry) => entry,
            Err(Stop::End) => {
                self.close()?;
                return Err(Stop::End.into());
            }
            Err(stop) => return Err(stop.into()),
        };
        let Some((number, index)) = self.find(&entry.name) else {
            let shown = crate::text::one_line(&entry.name, 200);
            return Err(Stop::Hostile(format!("'{shown}'")).into());
        };
        if self.current.as_ref().is_none_or(|current| current.number != number) {
            self.close()?;
            self.begin(number)?;
        }
        self.at = (number, index + 1);
        let sets = self.sets;
        if let Some(current) = &mut self.current {
            current.came.push(index);
        }
        self.file(&entry, &sets[number].files[index])?;
        let is_last = index + 1 == sets[number].files.len();
        if is_last { self.close() } else { Ok(()) }
    }

    /// Finds who is meant among those that may still come. What is passed by does not come any
    /// more, so that every name is looked at once, whatever the stream holds.
    fn find(&self, name: &[u8]) -> Option<(usize, usize)> {
        let name = std::str::from_utf8(name).ok()?;
        let (first, from) = self.at;
        for (number, set) in self.sets.iter().enumerate().skip(first) {
            let in_dir = name.strip_prefix(&*set.dir).and_then(|rest| rest.strip_prefix('/'));
            let Some(component) = in_dir.and_then(|rest| component(set, rest)) else { continue };
            let from = if number == first { from } else { 0 };
            let mut files = set.files.iter().enumerate().skip(from);
            if let Some((index, _)) = files.find(|(_, file)| &*file.component == component) {
                return Some((number, index));
            }
        }
        None
    }

    fn begin(&mut self, number: usize) -> Result<(), Ended> {
        let found = &self.sets[number];
        let body = match look_at_names(found) {
            Err(bad) => Body::Failed(bad.into()),
            Ok(()) if found.bytes() <= SMALL => Body::Small(Vec::new()),
            Ok(()) => {
                let draft = self.writer.begin(&found.place, &found.id())?;
                Body::Large(draft, Gathered::default())
            }
        };
        self.current = Some(Current { number, came: Vec::new(), body });
        Ok(())
    }

    /// Takes a file of the set at hand.
    fn file(&mut self, entry: &Entry, file: &FoundFile) -> Result<(), Ended> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if !matches!(current.body, Body::Failed(_))
            && let Some(fault) = odd(entry, file)
            && let Body::Large(draft, _) = std::mem::replace(&mut current.body, Body::Failed(fault))
        {
            draft.discard()?;
        }
        match &mut current.body {
            Body::Failed(_) => self.tape.skip(self.on_bytes)?,
            Body::Small(bytes) => {
                let from = bytes.len();
                bytes.resize(from + usize::try_from(file.size).unwrap_or_default(), 0);
                self.tape.fill(&mut bytes[from..])?;
                (self.on_bytes)(file.size);
            }
            Body::Large(draft, gathered) if file.size <= SMALL => {
                let mut bytes = vec![0; usize::try_from(file.size).unwrap_or_default()];
                self.tape.fill(&mut bytes)?;
                gathered.add(file, &bytes);
                gathered::write(draft, file, &bytes)?;
                (self.on_bytes)(file.size);
            }
            Body::Large(draft, gathered) => {
                self.large.take(&mut self.tape, file, draft, gathered, self.on_bytes)?;
            }
        }
        Ok(())
    }

    /// Ends the set at hand: no more of it comes.
    fn close(&mut self) -> Result<(), Ended> {
        let Some(Current { number, came, body }) = self.current.take() else { return Ok(()) };
        let found = &self.sets[number];
        match body {
            Body::Failed(fault) => self.hand_on(number, Err(fault))?,
            Body::Small(bytes) if came.len() == found.files.len() => {
                self.pool.put(Job { set: number, bytes });
            }
            Body::Small(_) => {
                let mut files = found.files.iter().enumerate();
                let missing = files.find(|(index, _)| came.get(*index) != Some(index));
                let component = missing.map(|(_, file)| file.component.to_string());
                let component = component.unwrap_or_default();
                self.hand_on(number, Err(SetFault::Missing { component }))?;
            }
            Body::Large(draft, gathered) => match gathered.finish(found) {
                Ok(set) => self.hand_on(number, Ok((set, draft)))?,
                Err(fault) => {
                    draft.discard()?;
                    self.hand_on(number, Err(fault))?;
                }
            },
        }
        self.collect()
    }

    fn hand_on(
        &mut self,
        number: usize,
        result: Result<(StoredSet, Draft), SetFault>,
    ) -> Result<(), Ended> {
        match (self.on_set)(number, result) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Ended::Enough),
        }
    }

    /// Hands on what the threads have done by now.
    fn collect(&mut self) -> Result<(), Ended> {
        while let Ok(done) = self.pool.done.try_recv() {
            self.done(done)?;
        }
        Ok(())
    }

    fn done(&mut self, (number, result): Done) -> Result<(), Ended> {
        let result = result?;
        self.hand_on(number, result)
    }

    /// Waits for the threads and hands on what they have.
    fn finish(mut self, mut ended: Ended) -> Result<(), IntakeError> {
        self.pool.close();
        while let Ok(done) = self.pool.done.recv() {
            if matches!(ended, Ended::Enough) {
                continue;
            }
            match self.done(done) {
                Ok(()) => {}
                // The first fault is the one that is told.
                Err(_) if matches!(ended, Ended::Store(_)) => {}
                Err(later) => ended = later,
            }
        }
        match ended {
            Ended::Tape(Stop::End | Stop::Cut) | Ended::Enough => Ok(()),
            Ended::Tape(Stop::Hostile(what)) => Err(IntakeError::Hostile(what)),
            Ended::Tape(Stop::Read(error)) => Err(IntakeError::Read(error)),
            Ended::Store(error) => Err(error.into()),
        }
    }
}

/// The component that a file's name means in a set's folder.
fn component<'n>(set: &FoundSet, name: &'n str) -> Option<&'n str> {
    if set.place.descriptor == PAPERS {
        return Some(name);
    }
    name.strip_prefix(set.place.descriptor.as_str())?.strip_prefix('-')
}

fn look_at_names(found: &FoundSet) -> Result<(), BadName> {
    layout::place(&found.place)?;
    found
        .files
        .iter()
        .try_for_each(|file| layout::file_name(&found.place, &file.component).map(drop))
}

/// What is odd about a file that comes, beside what was listed.
fn odd(entry: &Entry, file: &FoundFile) -> Option<SetFault> {
    let component = file.component.to_string();
    if !matches!(entry.kind, EntryType::Regular) {
        return Some(SetFault::NoFile { component });
    }
    if entry.size != file.size {
        return Some(SetFault::Size { component, listed: file.size, came: entry.size });
    }
    let listed = u64::try_from(file.modified.div_euclid(1_000_000_000));
    (listed.ok() != entry.modified).then_some(SetFault::Changed { component })
}
