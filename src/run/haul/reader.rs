//! A stream of pieces as something that can be read, for a thread that may wait.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc::Receiver;

/// Reads what comes through a channel until its sender is gone.
#[derive(Debug)]
pub(super) struct PieceReader {
    pieces: Receiver<Bytes>,
    piece: Bytes,
    over: Arc<AtomicBool>,
}

impl PieceReader {
    /// Must be read outside of the runtime's own threads. Once it is `over`, nothing more is read.
    pub(super) fn new(pieces: Receiver<Bytes>, over: Arc<AtomicBool>) -> Self {
        Self { pieces, piece: Bytes::new(), over }
    }
}

impl Read for PieceReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            if self.over.load(Ordering::SeqCst) {
                return Ok(0);
            }
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(into.len());
        self.piece.copy_to_slice(&mut into[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_read_in_order_and_whole_whatever_their_size() {
        let (sender, receiver) = tokio::sync::mpsc::channel(8);
        for piece in ["", "a", "", "bcdefg", "h"] {
            sender.blocking_send(Bytes::from_static(piece.as_bytes())).unwrap();
        }
        drop(sender);
        let mut text = String::new();
        PieceReader::new(receiver, Arc::default()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcdefgh");
    }
}
