//! Every recorded output of nodetool is understood, or is the failure that it was.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::fmt::Write as _;
use std::path::Path;

use ringhaul::cassandra::nodetool::{failure, netstats, status, statusbackup, version};
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
        _ => panic!("{name} names no command"),
    };
    said.unwrap_or_else(|error| format!("not understood: {error}"))
}

fn all_in(folder: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(folder);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut lines = String::new();
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
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
