//! What comes out: formats that parse, files that are whole or not there, an end by Ctrl-C.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::command::{Ended, Running};
use super::faults::assert_no_nodetool_lives;
use super::lab::{self, AUDIT, Lab, QUICK};
use super::three_nodes::{BROKEN, THREE};

fn in_format(lab: &Lab, format: &str) -> Ended {
    let inventory = lab.path("inventory.yaml");
    lab.ringhaul(&[&["audit", "-i", &inventory, "--format", format], &QUICK[..]].concat())
}

#[test]
fn every_format_can_be_read_by_its_reader_and_ends_with_the_same_code() {
    let lab = THREE.turn();
    let _broken = lab.broken(BROKEN, "sshd-stop", &["sshd-start"]);
    let formats = ["table", "json", "csv", "prometheus", "junit", "nagios"];
    let ended = formats.map(|format| in_format(&lab, format));
    for (format, ended) in formats.iter().zip(&ended) {
        assert_eq!(ended.code, 3, "{format}: {}", ended.stderr);
    }
    let [table, json, csv, prometheus, junit, nagios] = ended.map(|ended| ended.stdout);
    for node in 1..=3 {
        assert!(table.contains(&lab::address(node)), "{table}");
    }
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["schema"], 1);
    assert_csv(&csv, &json);
    assert_prometheus(&prometheus);
    assert_junit(&lab, &junit);
    let first = "INCREMENTAL BACKUPS UNKNOWN - ";
    let counts = ": 2 of 3 enabled, 0 disabled, 0 drift, 1 unknown | ";
    let line = nagios.lines().next().unwrap_or_default();
    assert!(line.starts_with(first) && line.contains(counts), "{nagios}");
}

#[track_caller]
fn assert_csv(text: &str, json: &Value) {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let records: Vec<csv::StringRecord> =
        reader.records().map(|record| record.expect("a record as long as the header")).collect();
    let column = |name: &str| header.iter().position(|is| is == name).expect("a column");
    let rows = json["nodes"].as_array().expect("an array");
    assert_eq!(records.len(), rows.len(), "{text}");
    for (record, row) in records.iter().zip(rows) {
        for name in ["address", "host_id", "dc", "rack", "verdict"] {
            assert_eq!(&record[column(name)], row[name].as_str().unwrap_or_default(), "{name}");
        }
        let sets = row["backups"]["sets"].as_u64().map(|sets| sets.to_string());
        assert_eq!(record[column("sets")], sets.unwrap_or_default(), "{text}");
    }
}

/// Every line is a comment or `name{label="value",…} number`; a metric of an unknown fact is left
/// out, not 0.
#[track_caller]
fn assert_prometheus(text: &str) {
    let mut enabled = Vec::new();
    for line in
        text.lines().filter(|line| !line.starts_with("# HELP ") && !line.starts_with("# TYPE "))
    {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let (name, labels) = series.split_once('{').expect("labels");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
        let labels = labels.strip_suffix('}').expect("an end of the labels");
        for label in labels.split("\",") {
            let (name, value) = label.split_once("=\"").expect("a label and its value");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
            assert!(!value.trim_end_matches('"').contains('"'), "{line}");
        }
        if name == "cassandra_incremental_backup_enabled" {
            enabled.push((labels.contains("node=\"10.77.0.12\""), value));
        }
    }
    assert_eq!(enabled, [(false, "1"), (false, "1")], "{text}");
    let unknown = "cassandra_incremental_backup_unknown";
    assert!(text.lines().any(|line| line.starts_with(unknown) && line.ends_with(" 1")), "{text}");
    assert!(text.ends_with('\n'), "{text}");
}

#[track_caller]
fn assert_junit(lab: &Lab, text: &str) {
    let file = lab.file("report.xml");
    fs::write(&file, text).expect("the lab's folder can be written");
    let script = "import sys, xml.etree.ElementTree as x; r = x.parse(sys.argv[1]).getroot()\n\
        for s in r.iter('testsuite'): print(*(s.get(k) for k in ('tests', 'failures', 'errors')))\n\
        for c in r.iter('testcase'): print(c.get('classname'), c.get('name'), *(e.tag for e in c))";
    let read = Running::start(Command::new("/usr/bin/python3").arg("-c").arg(script).arg(&file));
    let read = read.end(AUDIT).fine("reading the XML").stdout;
    let wanted = "3 0 1\ndc1.r1 10.77.0.11\ndc1.r2 10.77.0.12 error\ndc1.r3 10.77.0.13\n";
    assert_eq!(read, wanted, "{text}");
}

#[test]
fn a_result_that_cannot_be_written_leaves_no_file_and_ends_with_2() {
    let lab = THREE.turn();
    let inventory = lab.path("inventory.yaml");
    for place in ["/proc/ringhaul.json", "/no/such/folder/ringhaul.json"] {
        let ended = lab.ringhaul(&["audit", "--json", "-i", &inventory, "--output", place]);
        assert_eq!(ended.code, 2, "{place}: {}", ended.stderr);
        assert!(ended.stderr.contains("error: cannot write"), "{}", ended.stderr);
        assert!(!fs::exists(place).unwrap_or(true), "{place}");
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_result_replaces_the_file_of_before_and_leaves_nothing_beside_it() {
    let lab = THREE.turn();
    let (inventory, folder) = (lab.path("inventory.yaml"), lab.file("results"));
    let file = folder.join("audit.json");
    fs::create_dir(&folder).expect("the lab's folder can be written");
    fs::write(&file, "old").expect("so can the new one");
    let name = file.to_string_lossy();
    let ended = lab.ringhaul(&["audit", "--json", "-i", &inventory, "--output", &name]);
    let text = fs::read_to_string(&file).expect("the result");
    let names: Vec<_> = fs::read_dir(&folder).expect("a folder").flatten().collect();
    fs::remove_dir_all(&folder).expect("it can be removed");
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{}", ended.stderr);
    let audit: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(audit["summary"]["enabled"], 3, "{text}");
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn a_device_named_as_output_stays_a_device() {
    let lab = THREE.turn();
    let (inventory, device) = (lab.path("inventory.yaml"), lab.path("null"));
    let made = Command::new("mknod").args([device.as_str(), "c", "1", "3"]).status();
    assert!(made.is_ok_and(|status| status.success()), "mknod {device}");
    lab.ringhaul(&["audit", "--json", "-i", &inventory, "--output", &device]);
    let is_device = fs::metadata(&device).is_ok_and(|meta| meta.file_type().is_char_device());
    fs::remove_file(&device).expect("it can be removed");
    assert!(is_device, "a regular file has taken the device's place");
}

#[test]
fn ctrl_c_ends_the_audit_with_what_is_known_and_leaves_no_nodetool() {
    let lab = THREE.turn();
    let _broken = lab.broken(BROKEN, "nodetool-hang", &["nodetool-ok"]);
    let inventory = lab.path("inventory.yaml");
    let mut audit = lab.start_ringhaul(&["audit", "-i", &inventory]);
    audit.wait_until_said("[2/3]", AUDIT);
    audit.signal("INT");
    // Far less than the 20 s that nodetool has.
    let ended = audit.end(Duration::from_secs(8));
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    for node in 1..=3 {
        let address = lab::address(node);
        let row = ended.stdout.lines().find(|line| line.starts_with(&address)).unwrap_or_default();
        let verdict = if node == BROKEN { "UNKNOWN" } else { "ENABLED" };
        assert!(row.contains(verdict), "{verdict} of {address}:\n{}", ended.stdout);
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    // `timeout` on the node ends it at the latest.
    assert_no_nodetool_lives(&lab, Duration::from_secs(24));
}
