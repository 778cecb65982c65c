//! Texts made safe to show: one line, bounded, and made safe twice is made safe once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringhaul::text::{one_line, visible};
use ringhaul_fuzz::{first_line, shown};

fuzz_target!(|data: &[u8]| {
    let (most, rest) = first_line(data);
    let most = most.len() % 64;
    let line = one_line(rest, most);
    // And the mark of what was cut off.
    shown(&line, most + 1);
    assert!(line.chars().count() <= most || line.ends_with('…'), "{line:?}");
    // Safe text stays as it is.
    assert_eq!(one_line(line.as_bytes(), most + 1), line.trim());
    let text = String::from_utf8_lossy(rest);
    let line = visible(&text);
    shown(&line, text.chars().count() * 10);
    assert_eq!(visible(&line), line);
});
