//! What the fuzzers share: the promises that hold of every text, and a node that answers anything.

mod hostile;

pub use hostile::{Fleet, Hostile, block_on};

/// Checks a text for the operator's terminal: one line, no control characters, bounded.
pub fn shown(text: &str, most_chars: usize) {
    let bad = text.chars().find(|c| c.is_control() || "\u{202e}\u{200b}\u{feff}".contains(*c));
    assert!(bad.is_none(), "{bad:?} would reach the terminal: {text:?}");
    let chars = text.chars().count();
    assert!(chars <= most_chars, "{chars} characters, over {most_chars}: {text:?}");
}

/// Checks a text of several lines.
pub fn shown_lines(text: &str, most_chars: usize) {
    text.split('\n').for_each(|line| shown(line, most_chars));
}

/// Checks that asking twice gives the same, and returns it.
pub fn twice<T: PartialEq + std::fmt::Debug>(ask: impl Fn() -> T) -> T {
    let (first, second) = (ask(), ask());
    assert_eq!(first, second, "asked twice, answered otherwise");
    first
}

/// Splits off the first line, which says how the rest is read.
pub fn first_line(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    end.map_or((data, &[]), |end| (&data[..end], &data[end + 1..]))
}
