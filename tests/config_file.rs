//! cassandra.yaml read and changed by the real script and real coreutils, on files made here:
//! links, rights, full disks, several shells, and a cut at every program the script runs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[path = "config_file/cut.rs"]
mod cut;
#[path = "common/local.rs"]
mod local;
#[path = "config_file/refused.rs"]
mod refused;
#[path = "config_file/tree.rs"]
mod tree;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use ringhaul::node::config_file::{EditError, Replaced};
use tree::{NEW, OLD, STAMP, Tree, is_root, known, left_out, run, text, text_of};

#[tokio::test]
async fn a_file_is_read_byte_for_byte() {
    let tree = Tree::new();
    for text in
        [&b""[..], b"a: 1", b"a: 1\n\n\n", b"a\0end 0\0b\r\n", b"\xff\xfe\n", OLD.as_bytes()]
    {
        fs::write(tree.yaml(), text).unwrap();
        let file = known(tree.read().await);
        assert_eq!(file.bytes, text);
        assert_eq!(file.target, text_of(&tree));
    }
}

#[tokio::test]
async fn one_word_is_changed_and_a_copy_kept() {
    for shell in ["sh", "dash", "bash", "busybox sh"] {
        let tree = Tree::new();
        if run("sh", &["-c", &format!("command -v {shell}")]).is_none() {
            left_out(shell);
            continue;
        }
        tree.shell(shell);
        let done = tree.set().await.unwrap();
        let backup = format!("{}.ringhaul-{STAMP}", text_of(&tree));
        let wanted = Replaced { backup: Some(backup.clone()), pruned: 0, was_already: false };
        assert_eq!((done, tree.text().as_str()), (wanted, NEW), "{shell}");
        assert_eq!(fs::read_to_string(backup).unwrap(), OLD);
        assert_eq!(tree.others().len(), 1);
    }
}

#[tokio::test]
async fn lines_are_added_whatever_the_text_is() {
    for (before, after) in [
        ("a: 1", "a: 1\nincremental_backups: true"),
        (
            "a: 1\r\nb: '\\ \"!$(x)`'\r\n",
            "a: 1\r\nb: '\\ \"!$(x)`'\r\nincremental_backups: true\r\n",
        ),
        ("incremental_backups:\n", "incremental_backups: true\n"),
        ("{a: 1}", "{incremental_backups: true, a: 1}"),
        ("incremental_backups: off", "incremental_backups: true"),
    ] {
        let tree = Tree::new();
        fs::write(tree.yaml(), before).unwrap();
        tree.set().await.unwrap();
        assert_eq!(tree.text(), after);
    }
}

#[tokio::test]
async fn a_large_file_stays_whole() {
    let tree = Tree::new();
    let filler = "# 0123456789 ü and more words to make a long comment line of it\n".repeat(9_000);
    fs::write(tree.yaml(), format!("{filler}incremental_backups: no\n{filler}")).unwrap();
    tree.set().await.unwrap();
    assert!(tree.text() == format!("{filler}incremental_backups: true\n{filler}"));
}

#[tokio::test]
async fn a_link_stays_and_the_file_behind_it_is_changed() {
    let tree = Tree::new();
    fs::create_dir(tree.path("real folder")).unwrap();
    let real = tree.path("real folder/it's [1]*.yaml");
    fs::rename(tree.yaml(), &real).unwrap();
    symlink("../real folder/it's [1]*.yaml", tree.yaml()).unwrap();
    let done = tree.set().await.unwrap();
    assert!(fs::symlink_metadata(tree.yaml()).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), NEW);
    assert_eq!(fs::read_to_string(done.backup.unwrap()).unwrap(), OLD);
    assert_eq!(tree.others(), [""; 0], "the copy lies beside the file, not beside the link");
}

#[tokio::test]
async fn owner_mode_and_attributes_stay() {
    let tree = Tree::new();
    let yaml = text(&tree.yaml());
    fs::set_permissions(tree.yaml(), fs::Permissions::from_mode(0o640)).unwrap();
    if is_root() {
        assert!(run("chown", &["12345:23456", &yaml]).is_some());
    } else {
        left_out("another owner, which takes root");
    }
    let tools: [(&str, &[&str], &str, &[&str]); 2] = [
        ("setfacl", &["-m", "u:4321:r", &yaml], "getfacl", &["-cnp", &yaml]),
        (
            "setfattr",
            &["-n", "user.x", "-v", "y", &yaml],
            "getfattr",
            &["-d", "--absolute-names", &yaml],
        ),
    ];
    let mut seen = Vec::new();
    for (set, arguments, get, shown) in tools {
        match run(set, arguments).and_then(|_| run(get, shown)) {
            Some(text) => seen.push((get, shown, text)),
            None => left_out(set),
        }
    }
    let likeness = |path: &Path| {
        let data = fs::metadata(path).unwrap();
        (data.uid(), data.gid(), data.mode())
    };
    let before = likeness(&tree.yaml());
    let done = tree.set().await.unwrap();
    assert_eq!((tree.text().as_str(), likeness(&tree.yaml())), (NEW, before));
    assert_eq!(likeness(Path::new(&done.backup.unwrap())), before);
    for (get, shown, text) in seen {
        assert_eq!(run(get, shown), Some(text), "{get}");
    }
}

#[tokio::test]
async fn the_last_five_copies_are_kept_and_no_file_of_others_is_touched() {
    let tree = Tree::new();
    let foreign = [
        "cassandra.yaml.ringhaul-20261121T131500Z.old",
        "cassandra.yaml.ringhaul-x0261121T131500Z",
        "cassandra.yaml.bak",
        "cassandra.yaml.ringhaul-tmp-mine",
        "other.yaml.ringhaul-20200101T000000Z",
        "xcassandra.yaml.ringhaul-20200101T000000Z",
        ".ringhaul-20200101T000000Z",
        "new\nline.ringhaul-20200101T000000Z",
    ];
    for name in foreign {
        fs::write(tree.path("conf").join(name), "x").unwrap();
    }
    for day in 1..=8 {
        fs::write(tree.yaml(), OLD).unwrap();
        let file = known(tree.read().await);
        let done = tree.replace(&file, &format!("202611{day:02}T000000Z")).await.unwrap();
        assert_eq!(done.pruned, usize::from(day > 5));
    }
    let mut wanted: Vec<String> = foreign.iter().map(ToString::to_string).collect();
    wanted.extend((4..=8).map(|day| format!("cassandra.yaml.ringhaul-202611{day:02}T000000Z")));
    wanted.sort();
    assert_eq!(tree.others(), wanted);
}

#[tokio::test]
async fn a_file_that_somebody_changed_meanwhile_is_left_to_them() {
    let tree = Tree::new();
    let file = known(tree.read().await);
    fs::write(tree.yaml(), "theirs: 1\n").unwrap();
    assert_eq!(tree.replace(&file, STAMP).await, Err(EditError::Changed));
    assert_eq!((tree.text().as_str(), tree.others().len()), ("theirs: 1\n", 0));

    // A link that now leads elsewhere.
    let tree = Tree::new();
    let file = known(tree.read().await);
    fs::rename(tree.yaml(), tree.path("conf/b")).unwrap();
    symlink("b", tree.yaml()).unwrap();
    assert_eq!(tree.replace(&file, STAMP).await, Err(EditError::Changed));

    // While the script is at work, at any of its programs. Of the two dd at a time it is the one
    // that writes.
    for (program, call) in [("cp", 1), ("cp", 2), ("dd", 1), ("sync", 1), ("mv", 1)] {
        let tree = Tree::new();
        let file = known(tree.read().await);
        let yaml = text(&tree.yaml());
        let count = text(&tree.path("count"));
        tree.program(
            program,
            &format!(
                "case $1 in if=*) ;; *) echo >> '{count}'
                [ $(wc -l < '{count}') = {call} ] && echo 'theirs: 1' > '{yaml}' ;; esac
                PATH=${{PATH#*:}}; exec {program} \"$@\""
            ),
        );
        assert_eq!(tree.replace(&file, STAMP).await, Err(EditError::Changed), "{program} {call}");
        assert_eq!(tree.text(), "theirs: 1\n");
        assert_eq!(tree.others(), [""; 0], "{program} {call}");
    }
}

#[tokio::test]
async fn what_is_done_already_is_done_once() {
    let tree = Tree::new();
    let file = known(tree.read().await);
    let first = tree.replace(&file, STAMP).await.unwrap();
    let again = tree.replace(&file, "20261121T131501Z").await.unwrap();
    assert!(again.was_already && !first.was_already);
    assert_eq!((again.backup, tree.others().len()), (first.backup, 1));
}

#[tokio::test]
async fn a_copy_of_the_same_second_is_not_overwritten() {
    let tree = Tree::new();
    fs::write(tree.path(&format!("conf/cassandra.yaml.ringhaul-{STAMP}")), "another").unwrap();
    assert!(tree.refused().await.contains("File exists"));
}
