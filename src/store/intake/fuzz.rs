//! A door for fuzzers: a node's tar stream, entry by entry, with nothing written.

use std::io::Read;

use super::tape::{Stop, Tape};

/// What was read of a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Played {
    /// Names, sizes, and the first bytes of each entry.
    pub entries: Vec<(Vec<u8>, u64, Vec<u8>)>,
    /// Bytes of content that were told to have come.
    pub told: u64,
    /// Why no more was read.
    pub end: String,
}

/// Reads a stream in which `budget` bytes of content may come, and `first` bytes of each entry.
pub fn play(reader: impl Read, budget: u64, first: u64) -> Played {
    let mut tape = Tape::new(reader, budget);
    let mut played = Played { entries: Vec::new(), told: 0, end: String::new() };
    let end = loop {
        if let Err(stop) = step(&mut tape, first, &mut played) {
            break stop;
        }
    };
    played.end = match end {
        Stop::End => "end".to_owned(),
        Stop::Cut => "cut".to_owned(),
        Stop::Hostile(text) => format!("hostile: {text}"),
        Stop::Read(error) => format!("read: {error}"),
    };
    played
}

fn step<R: Read>(tape: &mut Tape<R>, first: u64, played: &mut Played) -> Result<(), Stop> {
    let entry = tape.next()?;
    let mut bytes = vec![0; usize::try_from(entry.size.min(first)).unwrap_or_default()];
    tape.fill(&mut bytes)?;
    played.entries.push((entry.name, entry.size, bytes));
    tape.skip(&mut |passed| played.told += passed)
}
