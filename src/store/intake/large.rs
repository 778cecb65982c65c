//! Large files: written as they come, hashed by a second thread, given to the disk early by a
//! third.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::Scope;

use super::gathered::{self, DATA, Gathered};
use super::tape::{Stop, Tape};
use crate::cassandra::sets::FoundFile;
use crate::store::error::StoreError;
use crate::store::writer::{Draft, Writer};

/// Bytes that are read, written and hashed at once; some of them fit the processor's cache.
const PIECE: usize = 256 * 1024;

/// Pieces on their way: as many as hide that two threads are not equally quick.
const PIECES: usize = 6;

/// The disk is told to begin each time so many bytes have come, so that little is left to wait
/// for when the batch is stored.
const EARLY: u64 = 64 << 20;

/// And at the end of a file for so many: of many files none may be larger than [`EARLY`].
const WORTH: u64 = 8 << 20;

/// The two threads.
pub(super) struct Large {
    pieces: Sender<Piece>,
    back: Receiver<Vec<u8>>,
    hashes: Receiver<(blake3::Hash, u32)>,
    early: SyncSender<(File, PathBuf)>,
}

enum Piece {
    /// Bytes, and whether their CRC-32 is wanted.
    Bytes(Vec<u8>, bool),
    /// The file's end: its hash is wanted.
    End,
}

/// Why a file did not come to its end.
pub(super) enum Broken {
    Stop(Stop),
    Store(StoreError),
}

impl From<Stop> for Broken {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl Large {
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, '_>, writer: &'scope Writer) -> Self {
        let (pieces, to_hash) = mpsc::channel();
        let (used, back) = mpsc::channel();
        let (hashed, hashes) = mpsc::channel();
        let (early, to_sync) = mpsc::sync_channel::<(File, PathBuf)>(1);
        for _ in 0..PIECES {
            // The other end is in this function.
            let _ = used.send(vec![0; PIECE]);
        }
        scope.spawn(move || hash(&to_hash, &used, &hashed));
        scope.spawn(move || {
            for (file, path) in to_sync {
                if let Err(error) = file.sync_data() {
                    writer.spoil(StoreError::io(&path, error));
                }
            }
        });
        Self { pieces, back, hashes, early }
    }

    /// Writes a file of a set as it comes.
    pub(super) fn take<R: Read>(
        &self,
        tape: &mut Tape<R>,
        file: &FoundFile,
        draft: &mut Draft,
        gathered: &mut Gathered,
        on_bytes: &mut dyn FnMut(u64),
    ) -> Result<(), Broken> {
        let dir = draft.dir().to_owned();
        let fault = |error| Broken::Store(StoreError::io(&dir, error));
        let is_data = *file.component == *DATA;
        let mut opened = draft.file(&file.component).map_err(Broken::Store)?;
        let mut left = file.size;
        let mut unsaid = 0;
        while left > 0 {
            let mut piece = self.back.recv().unwrap_or_else(|_| vec![0; PIECE]);
            piece.resize(usize::try_from(left).unwrap_or(PIECE).min(PIECE), 0);
            let taken = tape.fill(&mut piece).map_err(Broken::Stop);
            let taken = taken.and_then(|()| opened.write_all(&piece).map_err(fault));
            let count = piece.len() as u64;
            // The piece goes round even when the file does not come to its end.
            let _ = self.pieces.send(Piece::Bytes(piece, is_data));
            if let Err(broken) = taken {
                self.hash();
                return Err(broken);
            }
            left -= count;
            unsaid += count;
            on_bytes(count);
            if unsaid >= EARLY {
                self.begin_early(&opened, &dir);
                unsaid = 0;
            }
        }
        if unsaid >= WORTH {
            self.begin_early(&opened, &dir);
        }
        gathered::stamp(&opened, file.modified).map_err(fault)?;
        draft.close(&file.component, opened);
        if let Some((hash, crc)) = self.hash() {
            gathered.add_hashed(file, &hash, is_data.then_some(crc));
        }
        Ok(())
    }

    /// Asks for the hash of what was sent since the last time.
    fn hash(&self) -> Option<(blake3::Hash, u32)> {
        let _ = self.pieces.send(Piece::End);
        self.hashes.recv().ok()
    }

    /// When the disk is still at the last part, it needs no telling.
    fn begin_early(&self, file: &File, dir: &Path) {
        if let Ok(file) = file.try_clone() {
            let _ = self.early.try_send((file, dir.to_owned()));
        }
    }
}

fn hash(pieces: &Receiver<Piece>, used: &Sender<Vec<u8>>, hashed: &Sender<(blake3::Hash, u32)>) {
    let mut hasher = blake3::Hasher::new();
    let mut crc = crc32fast::Hasher::new();
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes, wants_crc) => {
                hasher.update(&bytes);
                if wants_crc {
                    crc.update(&bytes);
                }
                let _ = used.send(bytes);
            }
            Piece::End => {
                let _ = hashed.send((hasher.finalize(), crc.clone().finalize()));
                hasher.reset();
                crc.reset();
            }
        }
    }
}
