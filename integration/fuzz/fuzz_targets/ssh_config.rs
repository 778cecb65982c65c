//! ssh_config and what `ssh -G` prints: the first value wins, so a file said twice says the same.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use ringhaul::node::ssh::fuzz::{ask_ssh_config, matches, read_ssh_g};
use ringhaul_fuzz::{first_line, twice};

/// A home folder with files to include. Made once: the fuzzer's process is killed, not ended.
fn home() -> &'static Path {
    static HOME: OnceLock<tempfile::TempDir> = OnceLock::new();
    let home = HOME.get_or_init(|| {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::write(home.path().join("one"), "User one\nHost n2\nPort 2\n").expect("a file");
        std::fs::write(home.path().join("loop"), "Include loop\n").expect("a file");
        home
    });
    home.path()
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let (host, text) = first_line(data);
    let (host, text) = (String::from_utf8_lossy(host), String::from_utf8_lossy(text));
    let _ = twice(|| read_ssh_g(&text));
    let patterns: Vec<&str> = text.split_whitespace().collect();
    // Another order of the same patterns matches the same.
    let backwards: Vec<&str> = patterns.iter().rev().copied().collect();
    assert_eq!(matches(&patterns, &host), matches(&backwards, &host));
    if text.lines().any(leaves_the_folder) {
        return Corpus::Reject;
    }
    // A `Match` looks at what was said before it: the second time that is more.
    let once = text.to_lowercase().contains("match");
    if let Ok(said) = twice(|| ask_ssh_config(&text, home(), &host))
        && !once
    {
        let doubled = ask_ssh_config(&format!("{text}\n{text}"), home(), &host);
        assert_eq!(doubled.as_deref(), Ok(said.as_str()), "the first value does not win");
    }
    Corpus::Keep
});

/// An `Include` of this machine's own files, which may be pipes and devices; and the process of a
/// `Match exec` is none of the fuzzer's business either.
fn leaves_the_folder(line: &str) -> bool {
    let line = line.to_lowercase();
    let outside = ['/', '~', '$', '%', '\\', '.'];
    (line.contains("include") && line.contains(outside)) || line.contains("exec")
}
