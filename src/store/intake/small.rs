//! Small sets: each is handed whole to one of a few threads, which hashes and writes it. Making a
//! file takes longer than filling it, so several are made side by side.

use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use super::SetFault;
use super::gathered::{self, Gathered};
use crate::cassandra::sets::FoundSet;
use crate::store::error::StoreError;
use crate::store::manifest::StoredSet;
use crate::store::writer::{Draft, Writer};

/// Two keep a disk busy while the third, who reads, waits for the line.
const THREADS: usize = 2;

/// Sets that wait for a thread: with [`super::SMALL`] the most memory they take.
const WAITING: usize = 32;

/// What a thread made of a set.
pub(super) type Done = (usize, Result<Result<(StoredSet, Draft), SetFault>, StoreError>);

/// A set that has come whole.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) set: usize,
    /// Its files' contents, one after the other, in the order of the files.
    pub(super) bytes: Vec<u8>,
}

/// The threads.
pub(super) struct Pool {
    jobs: Option<SyncSender<Job>>,
    pub(super) done: Receiver<Done>,
}

impl Pool {
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        sets: &'scope [FoundSet],
        writer: &'scope Writer,
    ) -> Self {
        let (jobs, waiting) = mpsc::sync_channel(WAITING);
        let (ended, done) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..THREADS {
            let (waiting, ended) = (Arc::clone(&waiting), ended.clone());
            scope.spawn(move || work(&waiting, &ended, sets, writer));
        }
        Self { jobs: Some(jobs), done }
    }

    /// Hands a set to a thread; waits when all have enough.
    pub(super) fn put(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The threads live until this end is dropped.
            let _ = jobs.send(job);
        }
    }

    /// No more sets come: the threads end after those they have.
    pub(super) fn close(&mut self) {
        self.jobs = None;
    }
}

fn work(waiting: &Mutex<Receiver<Job>>, ended: &Sender<Done>, sets: &[FoundSet], writer: &Writer) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        let Some(found) = sets.get(job.set) else { return };
        // Nobody listens any more when the intake was stopped.
        let _ = ended.send((job.set, store(found, &job.bytes, writer)));
    }
}

fn store(
    found: &FoundSet,
    mut bytes: &[u8],
    writer: &Writer,
) -> Result<Result<(StoredSet, Draft), SetFault>, StoreError> {
    let mut gathered = Gathered::default();
    let mut files = Vec::with_capacity(found.files.len());
    for file in &found.files {
        let size = usize::try_from(file.size).unwrap_or(usize::MAX).min(bytes.len());
        let (content, rest) = bytes.split_at(size);
        bytes = rest;
        gathered.add(file, content);
        files.push((file, content));
    }
    let set = match gathered.finish(found) {
        Ok(set) => set,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut draft = writer.begin(&set.place, &set.id)?;
    for (file, content) in files {
        gathered::write(&mut draft, file, content)?;
    }
    Ok(Ok((set, draft)))
}
