//! cassandra.yaml: an edit is refused, or it changes the one key and no other byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringhaul::cassandra::config::{self, Config};
use ringhaul::cassandra::edit::set_boolean;
use ringhaul::cassandra::fact::Fact;
use ringhaul_fuzz::{shown, twice};

const KEY: &str = "incremental_backups";

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let before = twice(|| config::parse(&text));
    if let Err(why) = &before {
        shown(&why.text, 401);
    }
    for value in [true, false] {
        change(data, value, before.as_ref().ok());
    }
});

fn change(data: &[u8], value: bool, before: Option<&Config>) {
    let edit = match twice(|| set_boolean(data, KEY, value)) {
        Err(refusal) => return shown(&refusal.to_string(), 2000),
        Ok(None) => {
            let before = before.map(|config| &config.incremental_backups);
            assert!(before.is_none_or(|now| *now == Fact::Known(value)), "{before:?} is {value}");
            return;
        }
        Ok(Some(edit)) => edit,
    };
    let after = edit.apply(data);
    assert_eq!(after[..edit.offset], data[..edit.offset]);
    assert!(after.ends_with(&data[edit.offset + edit.length..]));
    assert!(edit.length < 100 && edit.text.len() < 100, "{edit:?}");
    for line in edit.before.iter().chain([&edit.after]).chain(&edit.warnings) {
        shown(line, data.len() * 10 + 400);
    }
    // What was done need not be done again, and can be undone.
    assert_eq!(set_boolean(&after, KEY, value), Ok(None));
    let back = set_boolean(&after, KEY, !value).expect("what was written can be changed");
    assert!(back.is_some());
    let Some(before) = before else { return };
    let text = String::from_utf8(after).expect("the edit keeps it text");
    let after = config::parse(&text).expect("what could be read still can be");
    assert_eq!(after.incremental_backups, Fact::Known(value));
    let rest = |config: &Config| Config {
        incremental_backups: Fact::Known(value),
        key_lines: Vec::new(),
        commented_lines: Vec::new(),
        ..config.clone()
    };
    assert_eq!(rest(&after), rest(before), "another setting changed");
}
