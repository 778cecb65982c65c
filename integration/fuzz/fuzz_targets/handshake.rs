//! A server that says anything: we never think that it proved itself, and always say why.
#![no_main]

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use libfuzzer_sys::fuzz_target;
use ringhaul::node::ssh::fuzz::greet;
use ringhaul_fuzz::{block_on, shown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

fuzz_target!(|data: &[u8]| {
    let Some((&how, words)) = data.split_first() else { return };
    let server = Server {
        words: words.to_vec(),
        at: 0,
        piece: usize::from(how >> 1),
        is_open: how & 1 == 1,
    };
    let error = block_on(greet(server)).expect_err("it has no key to prove itself with");
    shown(&error.to_string(), 700);
});

/// Says its words in pieces, then closes or is silent. What it is told is dropped.
struct Server {
    words: Vec<u8>,
    at: usize,
    piece: usize,
    is_open: bool,
}

impl AsyncRead for Server {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = if self.piece == 0 { usize::MAX } else { self.piece };
        let count = (self.words.len() - self.at).min(piece).min(buffer.remaining());
        if count == 0 && self.is_open {
            return Poll::Pending;
        }
        buffer.put_slice(&self.words[self.at..self.at + count]);
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Server {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
