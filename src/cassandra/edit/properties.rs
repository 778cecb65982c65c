//! What holds of every file: the setting changes, and nothing else does.

use proptest::prelude::*;

use super::tests::{KEY, set};
use super::*;
use crate::cassandra::config;

/// A file as people leave it: other settings, comments, blank lines, and the key in some form.
fn a_file() -> impl Strategy<Value = (String, bool)> {
    let other = prop::sample::select(vec![
        "",
        "# Set incremental_backups: true to keep links.",
        "   # ü — 備份 𝄞",
        "cluster_name: 'Test: # not a comment'",
        "data_file_directories:\n    - /var/lib/cassandra/data\n    # - /more\n    - /d2",
        "seed_provider:\n    - class_name: a.B\n      parameters:\n          - seeds: \"127.0.0.1:7000\"",
        "nested:\n  incremental_backups: true\n  x: {incremental_backups: no}",
        "text: |\n  incremental_backups: true\n\n  # incremental_backups: true\nlast: 1",
        "folded: >-\n  some words\n  more",
        "list: [1, 2,\n  3] # c",
        "\u{44f}: \"incremental_backups: true\"",
        "aliased: &one {a: 1}\nuse_of_it: *one",
        "num_tokens: 16   ",
    ]);
    let space = prop::sample::select(vec!["", " ", "  "]);
    let word = prop::sample::select(vec![
        ("false", false),
        ("no", false),
        ("OFF", false),
        ("'false'", false),
        ("\"No\"", false),
        ("true", true),
        ("Yes", true),
        ("on", true),
        ("!!bool 'true'", true),
        ("&here on", true),
        ("\n    false", false),
        ("# why\n  true", true),
    ]);
    let tail = prop::sample::select(vec!["", " ", " # false", "   # \u{20ac} true"]);
    let line = (space, word, tail).prop_map(|(space, (word, is_on), tail)| {
        (Some(format!("incremental_backups{space}: {word}{tail}")), is_on)
    });
    let commented = Just((Some("# incremental_backups: true".to_owned()), false));
    let absent = Just((None, false));
    let key = prop_oneof![4 => line, 1 => commented, 1 => absent];
    let parts = prop::collection::vec(other, 0..12);
    let form = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (parts, key, 0_usize..12, form).prop_map(|(parts, (key, is_on), at, form)| {
        let (has_bom, is_crlf, has_markers, is_indented, has_no_end) = form;
        let mut parts: Vec<String> = parts.into_iter().map(str::to_owned).collect();
        let at = at.min(parts.len());
        parts.splice(at..at, key);
        // At least one live key, and each of the others once is not asked for: the last counts.
        parts.insert(0, "first: 1".to_owned());
        let mut text = parts.join("\n");
        if is_indented {
            text = text.replace('\n', "\n  ");
            text.insert_str(0, "  ");
        }
        if has_markers {
            text = format!("---\n{text}\n...");
        }
        if !has_no_end {
            text.push('\n');
        }
        if is_crlf {
            text = text.replace('\n', "\r\n");
        }
        (if has_bom { format!("\u{feff}{text}") } else { text }, is_on)
    })
}

proptest! {
    // Each case reads some thirty texts, which takes a while without optimisation.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_stands_around_it_only_the_setting_changes((text, is_on) in a_file()) {
        let is_there = !config::parse(&text).unwrap().key_lines.is_empty();
        prop_assert_eq!(set(&text, is_on).unwrap().is_none(), is_there);
        // What `set` asserts: the rest byte for byte, read back, and once is enough.
        let new = set(&text, !is_on).unwrap().unwrap();
        let all = |text: &str| settings(text.trim_start_matches('\u{feff}')).unwrap();
        let (mut before, mut after) = (all(&text), all(&new));
        before.remove(KEY);
        prop_assert_eq!(after.remove(KEY).as_ref().and_then(boolean), Some(!is_on));
        prop_assert_eq!(before, after);

        let back = set(&new, is_on).unwrap().unwrap();
        let read = config::parse(&back).unwrap().incremental_backups;
        prop_assert_eq!(read.known(), Some(&is_on));
        prop_assert_eq!(set(&back, !is_on).unwrap(), Some(new), "there and back is where it was");
    }

    #[test]
    fn no_text_makes_it_panic(text in "(incremental_backups|[:#'\"{}\\[\\],&*!|>?%~ \t\r\n.a-]|---|true|no|\u{feff}|\u{e9}){0,24}") {
        for value in [true, false] {
            if let Ok(Some(edit)) = set_boolean(text.as_bytes(), KEY, value) {
                let new = edit.apply(text.as_bytes());
                prop_assert_eq!(set_boolean(&new, KEY, value), Ok(None));
            }
        }
    }
}
