//! Outside text made safe to show: one line, no control characters, a bounded length.

use std::fmt::Write as _;

/// Returns `bytes` as one line of at most `max_chars` characters, and a `…` when there was more.
///
/// Line ends become ` / `; control characters (C0, C1, DEL) and the marks that reorder or hide
/// text are written as escapes, so that nothing a node prints reaches the operator's terminal as
/// a command to it.
pub fn one_line(bytes: &[u8], max_chars: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut line = String::new();
    let mut used = 0;
    for (index, part) in text.lines().map(str::trim).filter(|part| !part.is_empty()).enumerate() {
        let mut end = line.len();
        if index > 0 {
            line.push_str(" / ");
            used += 3;
        }
        for c in part.chars() {
            let begin = line.len();
            push_visible(&mut line, c);
            // An escape is ten characters in place of one.
            used += line[begin..].chars().count();
            if used > max_chars {
                line.truncate(end);
                line.push('…');
                return line;
            }
            end = line.len();
        }
    }
    line
}

/// Returns `text` with every character that is not plainly visible written as an escape.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        push_visible(&mut shown, c);
    }
    shown
}

fn push_visible(line: &mut String, c: char) {
    if c == '\t' {
        line.push(' ');
    } else if c.is_control() || reorders_or_hides(c) {
        // Writing to a String cannot fail.
        let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
    } else {
        line.push(c);
    }
}

/// Bidirectional overrides and isolates, zero-width characters, the line and paragraph
/// separators, tags: legal text that can make a line read as another.
pub(crate) fn reorders_or_hides(c: char) -> bool {
    matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{061c}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_and_line_ends_become_harmless() {
        assert_eq!(
            one_line(b"\x1b[2Jhi\r\n\n  there\x07 \xc2\x9b31m", 80),
            "\\u{1b}[2Jhi / there\\u{7} \\u{9b}31m"
        );
    }

    #[test]
    fn text_that_reorders_the_line_is_shown_as_escapes() {
        assert_eq!(one_line("a\u{202e}b\u{feff}c".as_bytes(), 80), "a\\u{202e}b\\u{feff}c");
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        assert_eq!(one_line(b"abcdef", 3), "abc…");
        assert_eq!(one_line(b"abc", 3), "abc");
        assert_eq!(one_line(b"\xff\xfe", 10), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn escapes_and_gaps_count_towards_the_length() {
        assert_eq!(one_line(b"a\x00\x00", 9), "a\\u{0}…");
        assert_eq!(one_line(b"abc\ndef", 5), "abc…");
        assert_eq!(one_line(b"abc\ndef", 7), "abc / d…");
        assert_eq!(one_line(b"abc\ndef", 9), "abc / def");
        assert_eq!(one_line(b"x\ny", 0), "…");
    }
}
