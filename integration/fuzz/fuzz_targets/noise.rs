//! What a login shell prints before a command's output: the same is dropped however it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringhaul::node::ssh::fuzz::strip;

const WORD: &str = "W0rd";

fuzz_target!(|data: &[u8]| {
    let Some((&cut, answer)) = data.split_first() else { return };
    let whole = strip(WORD, std::iter::once(answer));
    let pieces = strip(WORD, answer.chunks(usize::from(cut).max(1)));
    assert_eq!((&whole.own, whole.is_over), (&pieces.own, pieces.is_over), "cut every {cut} bytes");
    // What it is meant to do, in one line.
    let mark = format!("{WORD}\n").into_bytes();
    let at = answer.windows(mark.len()).position(|bytes| bytes == mark);
    assert_eq!(whole.is_over, at.is_some());
    assert_eq!(whole.own, at.map_or(&[][..], |at| &answer[at + mark.len()..]));
    if !whole.is_over {
        assert_eq!((&whole.text, whole.is_too_much), (&pieces.text, pieces.is_too_much));
        assert!(whole.text.len() <= 1024 && answer.starts_with(&whole.text));
    }
});
