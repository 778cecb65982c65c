//! Cassandra's rights in place of root's, by the lines that `ringhaul sudoers --as cassandra` prints:
//! all that the verbs do with Cassandra's own files, and a plain no where the file is root's.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command as Process;

use assert_cmd::cargo::CommandCargoExt as _;
use ringhaul::cassandra::edit::set_boolean;
use ringhaul::inventory::{NodeSpec, PasswordOf, Paths, Rights};
use ringhaul::node::becoming::{Becoming, BecomingNode};
use ringhaul::node::config_file::{self, EditError};
use ringhaul::node::{Connect as _, Exit, Node as _, catalog, sets};

use crate::host::{CASSANDRA, Door, Host, LIMIT, endpoint};
use crate::operator::Operator;

const TABLE: &str = "data/shop/orders-6a1adbe06a0211f184742b61a3e0ec16/backups";

/// Gives a folder and all below it to Cassandra, which shows it to nobody.
fn give(path: &Path) {
    chown(path, Some(CASSANDRA), Some(CASSANDRA)).unwrap();
    let is_folder = path.is_dir();
    fs::set_permissions(path, fs::Permissions::from_mode(if is_folder { 0o700 } else { 0o600 }))
        .unwrap();
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        give(&entry.path());
    }
}

fn lines(more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut ringhaul = Process::cargo_bin("ringhaul").unwrap();
    ringhaul.args(["sudoers", "--as", "cassandra"]).args(more);
    ringhaul.current_dir(folder.path()).env_remove("RINGHAUL_INVENTORY");
    let output = ringhaul.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn host(password: PasswordOf) -> (Host, BecomingNode<Door>, NodeSpec) {
    let host = Host::new(&lines(match password {
        PasswordOf::None => &[],
        PasswordOf::Ask | PasswordOf::Own => &["--password"],
    }));
    fs::create_dir_all(host.path(TABLE)).unwrap();
    fs::create_dir(host.path("conf")).unwrap();
    fs::write(host.path("conf/cassandra.yaml"), "incremental_backups: false\n").unwrap();
    for (name, text) in [
        ("Data.db", "12345"),
        ("Digest.crc32", "3421846044"),
        ("TOC.txt", "Data.db\nDigest.crc32\nTOC.txt\n"),
    ] {
        fs::write(host.path(&format!("{TABLE}/nb-1-big-{name}")), text).unwrap();
    }
    give(&host.path("data"));
    give(&host.path("conf"));
    let text = |name: &str| host.path(name).to_str().unwrap().to_owned();
    let spec = NodeSpec {
        paths: Paths {
            nodetool: None,
            config: Some(text("conf/cassandra.yaml")),
            data: vec![text("data")],
        },
        rights: Rights { user: "cassandra".to_owned(), password, ..Rights::default() },
        ..NodeSpec::at(endpoint("n1"))
    };
    let door = Becoming::new(host.door(), Some(Operator::honest().ask()));
    let node = door.connect(&spec.endpoint).await.unwrap();
    (host, node, spec)
}

#[tokio::test]
async fn cassandras_own_files_are_listed_sent_changed_and_removed() {
    for password in [PasswordOf::None, PasswordOf::Ask] {
        let (host, node, spec) = host(password).await;
        let listed = sets::list(&node, &spec, None, LIMIT).await;
        assert!(!listed.may_read);
        let shelf = listed.sets.known().unwrap_or_else(|| panic!("{:?}", listed.sets)).clone();
        assert_eq!(shelf.sets.len(), 1);
        let set = &shelf.sets[0];
        let tocs = sets::tocs(&node, &spec, false, &[set], LIMIT).await.unwrap();
        assert!(tocs[0].is_some());

        let files: Vec<(String, u64)> =
            set.files.iter().map(|file| (set.path(file), file.size)).collect();
        let tar = node.run(&catalog::sets::stream(&spec, false, &files, None)).await.unwrap();
        assert_eq!(tar.ended.exit, Exit::Code(0), "{:?}", tar.ended);
        assert!(tar.stdout.windows(5).any(|part| part == b"12345"));
        let same = sets::look_again(&node, &spec, false, &[set], LIMIT).await.unwrap();
        assert_eq!(same, [Ok(())]);

        let path = spec.paths.config.clone().unwrap();
        let file = config_file::read(&node, &spec, &path, LIMIT).await;
        let file = file.known().unwrap_or_else(|| panic!("{file:?}"));
        let edit = set_boolean(&file.bytes, "incremental_backups", true).unwrap().unwrap();
        let stamp = "20261121T131500Z";
        config_file::replace(&node, &spec, file, &edit, stamp, LIMIT).await.unwrap();
        let text = fs::read_to_string(host.path("conf/cassandra.yaml")).unwrap();
        assert_eq!(text, "incremental_backups: true\n");

        let removal = sets::remove(&node, &spec, &shelf.sets, LIMIT).await;
        assert_eq!(removal.broke_off, None);
        assert_eq!(removal.sets[0].left, None, "{removal:?}");
        assert_eq!(fs::read_dir(host.path(TABLE)).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_cassandra_yaml_of_roots_is_read_and_not_changed_and_the_reason_is_told() {
    let (host, node, spec) = host(PasswordOf::None).await;
    let yaml = host.path("conf/cassandra.yaml");
    let path = spec.paths.config.clone().unwrap();
    let changed = async || {
        fs::set_permissions(&yaml, fs::Permissions::from_mode(0o644)).unwrap();
        let file = config_file::read(&node, &spec, &path, LIMIT).await;
        let file = file.known().unwrap_or_else(|| panic!("{file:?}"));
        let edit = set_boolean(&file.bytes, "incremental_backups", true).unwrap().unwrap();
        let changed =
            config_file::replace(&node, &spec, file, &edit, "20261121T131500Z", LIMIT).await;
        let Err(EditError::Refused(why)) = changed else { panic!("{changed:?}") };
        assert_eq!(fs::read_to_string(&yaml).unwrap(), "incremental_backups: false\n");
        assert_eq!(fs::read_dir(host.path("conf")).unwrap().count(), 1);
        format!("{why} [{}]", why.hint())
    };
    // The folder is Cassandra's, the file is not: a new one would have another owner.
    chown(&yaml, Some(0), Some(0)).unwrap();
    let said = changed().await;
    assert!(said.contains("would not have the owner") && said.contains("become.user"), "{said}");
    // Neither is.
    chown(host.path("conf"), Some(0), Some(0)).unwrap();
    fs::set_permissions(host.path("conf"), fs::Permissions::from_mode(0o755)).unwrap();
    let said = changed().await;
    assert!(said.contains("Permission denied") && said.contains("become.user"), "{said}");
}
