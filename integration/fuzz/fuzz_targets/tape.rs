//! A node's tar stream: what is read of it does not depend on how it comes, and stays within the
//! budget.
#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use ringhaul::store::intake::fuzz::play;

fuzz_target!(|data: &[u8]| {
    let Some((&[how, budget], stream)) = data.split_first_chunk() else { return };
    let budget = u64::from(budget) * 512;
    let whole = play(stream, budget, 16);
    let sum: u64 = whole.entries.iter().map(|(_, size, _)| size).sum();
    assert!(sum <= budget, "{sum} bytes of {budget}");
    assert!(whole.told <= sum && whole.entries.len() <= stream.len() / 512);
    assert!(whole.entries.iter().all(|(name, ..)| name.len() <= 4097));
    let pieces = play(Pieces { rest: stream, most: usize::from(how).max(1) }, budget, 16);
    assert_eq!(whole.entries, pieces.entries);
    assert_eq!((whole.told, &whole.end), (pieces.told, &pieces.end));
});

/// Brings a few bytes at a time.
struct Pieces<'a> {
    rest: &'a [u8],
    most: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.most.min(buffer.len());
        self.rest.read(&mut buffer[..most])
    }
}
