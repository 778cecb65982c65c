//! Every recorded output of nodetool is understood, or is the failure that it was.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ringhaul::cassandra::nodetool::{
    describecluster, describering, failure, netstats, ring, status, statusbackup, version,
};
use ringhaul::cassandra::replicas::Replicas;
use ringhaul::node::{Ended, Exit, Output};

/// One recorded output: `# …; exit N`, then `--- stdout` and `--- stderr`.
fn recorded(path: &Path) -> Output {
    let text = std::fs::read_to_string(path).unwrap();
    let (head, rest) = text.split_once("--- stdout\n").unwrap();
    let (stdout, stderr) = rest.split_once("--- stderr").unwrap();
    let code = head.rsplit("exit ").next().unwrap().trim().parse().unwrap();
    let ended = Ended { exit: Exit::Code(code), stderr: stderr.trim_start().into() };
    Output { stdout: stdout.into(), ended }
}

/// What the product makes of an output, in a line.
fn understood(name: &str, output: &Output) -> String {
    if let Some(why) = failure::why(output) {
        return format!("{:?}: {}", why.kind, why.text);
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    // `5.0.5-status-one-down.txt`: the command is the second part.
    let said = match name.split('-').nth(1) {
        Some("status") => status::parse(&stdout).map(|ring| {
            let members = ring.members.iter().map(|member| {
                let port = member.port.map(|port| format!(" port {port}")).unwrap_or_default();
                format!("{} {}{port} {}/{}", member.state(), member.address, member.dc, member.rack)
            });
            format!("{}; {} remarks", members.collect::<Vec<_>>().join(", "), ring.remarks.len())
        }),
        Some("statusbackup") => statusbackup::parse(&stdout).map(|on| format!("{on}")),
        Some("netstats") => netstats::parse(&stdout).map(|mode| mode.name().to_owned()),
        Some("version") => version::parse(&stdout),
        Some("describecluster") => describecluster::parse(&stdout).map(|cluster| {
            let keyspaces = cluster.keyspaces.map(|keyspaces| {
                let shown =
                    keyspaces.iter().map(|k| format!("{} {} {:?}", k.name, k.class, k.options));
                shown.collect::<Vec<_>>().join(", ")
            });
            format!("{}: {}", cluster.name, keyspaces.as_deref().unwrap_or("no list of keyspaces"))
        }),
        Some("describering") => describering::parse(&stdout).map(|ranges| {
            let mut replicas = Replicas::default();
            replicas.add(&ranges);
            let apart = replicas.apart().into_iter().map(|(node, others)| {
                format!("{node} from {}", others.into_iter().collect::<Vec<_>>().join(" "))
            });
            format!("{} ranges; {}", ranges.len(), apart.collect::<Vec<_>>().join(", "))
        }),
        Some("ring") => ring::parse(&stdout).map(|tokens| format!("{tokens:?}")),
        _ => panic!("{name} names no command"),
    };
    said.unwrap_or_else(|error| format!("not understood: {error}"))
}

fn texts_in(folder: &str) -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(folder);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    paths.into_iter().map(|path| (name(&path), path)).collect()
}

fn all_in(folder: &str) -> String {
    let mut lines = String::new();
    for (name, path) in texts_in(folder) {
        writeln!(lines, "{name}: {}", understood(&name, &recorded(&path))).unwrap();
    }
    lines
}

#[test]
fn every_recorded_output_is_understood() {
    insta::assert_snapshot!(all_in("nodetool"));
}

#[test]
fn layouts_that_could_not_be_recorded_are_understood() {
    insta::assert_snapshot!(all_in("made"));
}

type Apart = BTreeMap<String, BTreeSet<String>>;

fn add(apart: &mut Apart, together: &[&str]) {
    for &one in together {
        let others = apart.entry(one.to_owned()).or_default();
        others
            .extend(together.iter().filter(|other| **other != one).map(|&other| other.to_owned()));
    }
}

/// Who is apart by what nodetool printed for `keyspace`.
fn apart_by_ranges(stdout: &str) -> Apart {
    let mut replicas = Replicas::default();
    replicas.add(&describering::parse(stdout).unwrap());
    replicas.apart()
}

#[test]
fn nodes_are_apart_exactly_where_the_details_of_a_range_name_both() {
    let mut read = 0;
    for (name, path) in texts_in("nodetool") {
        let output = recorded(&path);
        if !name.contains("-describering-") || failure::why(&output).is_some() {
            continue;
        }
        let stdout = String::from_utf8(output.stdout).unwrap();
        let mut expected = Apart::new();
        for line in stdout.lines() {
            // The details stand behind what the parser reads.
            let details = line.split("EndpointDetails(host:").skip(1);
            let hosts: Vec<&str> = details.map(|rest| rest.split(',').next().unwrap()).collect();
            add(&mut expected, &hosts);
        }
        assert_eq!(apart_by_ranges(&stdout), expected, "{name}");
        read += 1;
    }
    assert!(read >= 13, "only {read} were read");
}

#[test]
fn two_simple_replicas_are_each_token_s_node_and_the_next_one_on_the_ring() {
    let mut read = 0;
    for (name, path) in texts_in("nodetool") {
        let Some((version, shape)) = name.split_once("-ring-") else { continue };
        let tokens = String::from_utf8(recorded(&path).stdout).unwrap();
        let mut owners = BTreeMap::new();
        for words in tokens.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()) {
            if words.len() > 4 && words.contains(&"Normal") {
                owners.insert(words.last().unwrap().parse::<i64>().unwrap(), words[0]);
            }
        }
        let owners: Vec<&str> = owners.into_values().collect();
        let mut expected = Apart::new();
        for (at, owner) in owners.iter().enumerate() {
            let next = owners[at..].iter().chain(&owners).find(|next| *next != owner).unwrap();
            add(&mut expected, &[owner, next]);
        }
        let ranges = format!("{version}-describering-{shape}-simple_rf2.txt");
        let ranges = String::from_utf8(recorded(&path.with_file_name(ranges)).stdout).unwrap();
        assert_eq!(apart_by_ranges(&ranges), expected, "{name}");
        read += 1;
    }
    assert!(read >= 4, "only {read} were read");
}
