//! What nodetool prints: each parser understands it or shows the line, and nothing else of it
//! reaches the terminal. Recorded outputs are read as they lie in tests/transcripts.
#![no_main]

use std::fmt::{Debug, Display};

use libfuzzer_sys::fuzz_target;
use ringhaul::cassandra::nodetool as tool;
use ringhaul::cassandra::replicas::{Replicas, spread};
use ringhaul::cassandra::{disk, schema, socket};
use ringhaul::node::{Ended, Exit, Output};
use ringhaul_fuzz::{shown, twice};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (head, text) = text.split_once("--- stdout\n").unwrap_or(("", &text));
    let (stdout, stderr) = text.split_once("--- stderr\n").unwrap_or((text, ""));
    status(stdout);
    topology(stdout);
    if let Ok(version) = ask(|| tool::version::parse(stdout)) {
        shown(&version, 40);
    }
    if let Ok(mode) = ask(|| tool::netstats::parse(stdout)) {
        shown(mode.name(), 100);
    }
    let _ = ask(|| tool::statusbackup::parse(stdout));
    failure(head.len() as u32 % 140, stdout, stderr);
    others(stdout);
});

/// Asks twice; an error's text is one safe line.
fn ask<T: PartialEq + Debug, E: PartialEq + Debug + Display>(
    parse: impl Fn() -> Result<T, E>,
) -> Result<T, E> {
    let parsed = twice(parse);
    if let Err(error) = &parsed {
        shown(&error.to_string(), 400);
    }
    parsed
}

fn status(stdout: &str) {
    let Ok(ring) = ask(|| tool::status::parse(stdout)) else { return };
    assert!(!ring.members.is_empty() && ring.members.len() <= stdout.lines().count());
    for member in &ring.members {
        let texts = [&member.load, &member.owns, &member.host_id, &member.token];
        for text in texts.into_iter().flatten().chain([&member.address, &member.dc, &member.rack]) {
            shown(text, stdout.len() * 10);
        }
        assert!(!member.address.starts_with('-'), "it would be an option: {}", member.address);
    }
    ring.remarks.iter().for_each(|remark| shown(remark, stdout.len() * 10));
}

fn topology(stdout: &str) {
    if let Ok(cluster) = ask(|| tool::describecluster::parse(stdout)) {
        for keyspace in cluster.keyspaces.iter().flatten() {
            let _ = spread(keyspace);
        }
    }
    if let Ok(ranges) = ask(|| tool::describering::parse(stdout)) {
        let mut replicas = Replicas::default();
        replicas.add(&ranges);
        // Who shares with whom is mutual.
        let apart = replicas.apart();
        for (node, others) in &apart {
            assert!(others.iter().all(|other| apart[other].contains(node)));
        }
    }
    let lowest = ask(|| tool::ring::parse(stdout));
    if let (Ok(lowest), Ok(all)) = (lowest, ask(|| tool::ring::tokens(stdout))) {
        assert!(lowest.iter().all(|(node, token)| all[node].iter().min() == Some(token)));
    }
}

fn failure(code: u32, stdout: &str, stderr: &str) {
    let (stdout, stderr) = (stdout.as_bytes().to_vec(), stderr.as_bytes().to_vec());
    for exit in [Exit::Code(code), Exit::Signal(String::from_utf8_lossy(&stderr).into_owned())] {
        let ended = Ended { exit, stderr: stderr.clone() };
        let output = Output { stdout: stdout.clone(), ended };
        if let Some(why) = twice(|| tool::failure::why(&output)) {
            shown(&why.text, 401);
        }
    }
}

fn others(stdout: &str) {
    if let Err(text) = twice(|| disk::parse(stdout)) {
        shown(&text, 400);
    }
    let _ = twice(|| socket::listening(stdout));
    if let Err(text) = twice(|| schema::parse_cqlsh(stdout)) {
        shown(&text, 400);
    }
    let _ = twice(|| schema::is_covered(stdout, "k", "t"));
}
