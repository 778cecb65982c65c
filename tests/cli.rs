//! The program as a shell sees it: exit codes, what stands on which stream, help.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;

/// Runs ringhaul in an empty folder with a bare environment; returns code, stdout, stderr.
fn ringhaul(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::cargo_bin("ringhaul")
        .unwrap()
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .timeout(std::time::Duration::from_secs(30))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn without_an_inventory_the_error_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = ringhaul(folder.path(), &["audit"]);
    assert_eq!((code, stdout.as_str()), (64, ""));
    insta::assert_snapshot!(stderr, @r"
    error: there is no inventory.yaml here
    hint: name an inventory with -i, or ask a node for the ring with --via HOST; `ringhaul nodes --via HOST --write inventory.yaml` makes one
    ");
}

#[test]
fn a_mistake_in_the_inventory_is_shown_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("inventory.yaml"),
        "cluster: c\nnodes:\n  - host: a\n    prot: 1\n",
    )
    .unwrap();
    let (code, stdout, stderr) = ringhaul(folder.path(), &["audit", "--json"]);
    assert_eq!((code, stdout.as_str()), (64, ""));
    insta::assert_snapshot!(stderr, @r"
    error: the inventory cannot be used
    inventory.yaml:4:5: unknown key 'prot' in a node: did you mean 'port'? expected one of host, address, cassandra_address, host_id, user, port, identity_file, known_hosts, proxy_jump, auth, transport, sudo, become, paths, jmx, dc, rack, labels
      4 |     prot: …
        |     ^^^^
    ");
}

#[test]
fn wrong_usage_is_64_and_help_is_a_result() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in [
        &[][..],
        &["frobnicate"],
        &["audit", "--in-flight", "0"],
        &["audit", "--connect-timeout", "10"],
        &["audit", "--json", "--format", "csv"],
        &["audit", "--via", "a b"],
        &["audit", "--via", "a:port"],
        &["audit", "--via", "h", "--node", "[3-1]"],
        &["nodes", "--via", "h", "--force"],
    ] {
        let (code, stdout, stderr) = ringhaul(folder.path(), wrong);
        assert_eq!((code, stdout.as_str()), (64, ""), "{wrong:?}: {stderr}");
        assert!(!stderr.is_empty(), "{wrong:?}");
    }
    for asked in [&["--help"][..], &["audit", "--help"], &["nodes", "--help"], &["--version"]] {
        let (code, stdout, stderr) = ringhaul(folder.path(), asked);
        assert_eq!((code, stderr.as_str()), (0, ""), "{asked:?}");
        assert!(stdout.contains("ringhaul"), "{asked:?}");
    }
    let (code, stdout, _) = ringhaul(folder.path(), &["completions", "bash"]);
    assert!(code == 0 && stdout.contains("--accept-new-host-keys"));
}

#[test]
fn a_node_that_refuses_is_unknown_and_nothing_is_guessed() {
    let folder = tempfile::tempdir().unwrap();
    // Port 1 of loopback: nobody listens there.
    fs::write(
        folder.path().join("inventory.yaml"),
        "cluster: c\nnodes: [127.0.0.1]\ndefaults: {port: 1, user: nobody}\n",
    )
    .unwrap();
    let (code, stdout, stderr) = ringhaul(folder.path(), &["audit", "--json", "-F", "none"]);
    assert_eq!(code, 3, "{stderr}");
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let node = &json["nodes"][0];
    assert_eq!(json["summary"]["unknown"], 1);
    assert_eq!(node["verdict"], "unknown");
    assert_eq!(node["reason_kind"], "refused");
    assert_eq!(node["reason"], "127.0.0.1:1 refused the connection");
    for field in ["live", "configured", "version", "backups", "snapshots", "disks", "ring_state"] {
        assert!(node[field].is_null(), "{field}: {}", node[field]);
    }

    let (code, stdout, stderr) = ringhaul(folder.path(), &["audit", "--via", "127.0.0.1:1"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.starts_with("error: cannot learn the ring from 127.0.0.1"), "{stderr}");
}

#[test]
fn a_result_file_is_there_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = "cluster: c\nnodes: [127.0.0.1]\ndefaults: {port: 1, user: nobody}\n";
    fs::write(folder.path().join("inventory.yaml"), inventory).unwrap();
    let audit = |output: &str| {
        ringhaul(folder.path(), &["audit", "-F", "none", "--format", "csv", "--output", output])
    };
    assert_eq!(audit("result.csv").0, 3);
    let text = fs::read_to_string(folder.path().join("result.csv")).unwrap();
    assert_eq!(text.lines().count(), 2);

    let (code, _, stderr) = audit("no/such/folder/result.csv");
    assert_eq!(code, 2);
    assert!(stderr.contains("cannot write no/such/folder/result.csv"), "{stderr}");

    std::os::unix::fs::symlink("result.csv", folder.path().join("link.csv")).unwrap();
    assert_eq!(audit("link.csv").0, 3);
    let link = fs::symlink_metadata(folder.path().join("link.csv")).unwrap();
    assert!(link.is_symlink(), "a link is followed, not replaced");
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "nothing else is left: {names:?}");
}
