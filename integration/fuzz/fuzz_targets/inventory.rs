//! Inventories: a node that is read can be asked for; every problem is told in safe lines, and
//! a secret is in none of them.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ringhaul::inventory::Inventory;
use ringhaul_fuzz::{shown_lines, twice};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let folder = Path::new("/etc/ringhaul");
    let read = || Inventory::parse(text, Path::new("i.yaml"), folder, Some(Path::new("/home/o")));
    match twice(read) {
        Ok(inventory) => {
            for node in &inventory.nodes {
                assert_eq!(inventory.node(node.name()), Some(node), "two nodes of one name");
                assert!(!node.name().starts_with('-') && !node.name().is_empty());
            }
        }
        Err(error) => {
            assert!(!error.problems.is_empty());
            shown_lines(&error.to_string(), 2000);
        }
    }
});
