//! What is complete, the stream, and the look after it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;

use ringhaul::cassandra::sets::FoundSet;
use ringhaul::cassandra::toc::is_complete;
use ringhaul::inventory::Sudo;
use ringhaul::node::sets::{look_again, tocs};
use ringhaul::node::{Command, Ended, Exit, Node, NodeError, catalog};
use tokio::sync::mpsc;

use crate::tree::{ID, LIMIT, Tree};

async fn poured(tree: &Tree, command: &Command) -> (Result<Ended, NodeError>, Vec<u8>) {
    let (into, mut from) = mpsc::channel::<bytes::Bytes>(2);
    let receive = async {
        let mut bytes = Vec::new();
        while let Some(piece) = from.recv().await {
            bytes.extend_from_slice(&piece);
        }
        bytes
    };
    let door = tree.door();
    tokio::join!(door.pour(command, into), receive)
}

/// Every file of a stream by its name.
fn unpacked(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(bytes).entries().unwrap() {
        let mut entry = entry.unwrap();
        assert!(entry.header().entry_type().is_file());
        let name = String::from_utf8(entry.path_bytes().to_vec()).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert!(files.insert(name, content).is_none());
    }
    files
}

fn files_of(sets: &[FoundSet]) -> Vec<(String, u64)> {
    let of = |set: &FoundSet| {
        set.files.iter().map(|file| (set.path(file), file.size)).collect::<Vec<_>>()
    };
    sets.iter().flat_map(of).collect()
}

#[tokio::test]
async fn a_set_is_complete_when_every_name_in_its_toc_is_there() {
    let tree = Tree::new();
    let table = format!("data/shop/orders-{ID}");
    for number in 1..=6 {
        tree.set(&format!("{table}/backups"), &format!("nb-{number}-big"));
    }
    let file = |name: &str| tree.path(&format!("{table}/backups/{name}"));
    fs::remove_file(file("nb-2-big-Filter.db")).unwrap();
    fs::remove_file(file("nb-3-big-TOC.txt")).unwrap();
    fs::write(file("nb-4-big-TOC.txt"), "").unwrap();
    fs::write(file("nb-5-big-TOC.txt"), "\n \n").unwrap();
    fs::write(file("nb-6-big-TOC.txt"), "Data.db\nTOC.txt\nA.db\nB\u{1b}.db").unwrap();
    tree.write(&format!("{table}/snapshots/s/manifest.json"), "{}");
    let sets = tree.shelf(&["data"], Some("s")).await.sets;
    let asked: Vec<&FoundSet> = sets.iter().collect();
    let found = tocs(&tree.door(), &tree.spec(&["data"]), true, &asked, LIMIT).await.unwrap();
    let said: Vec<_> = sets
        .iter()
        .zip(&found)
        .map(|(set, toc)| is_complete(set, toc.as_deref()).err().unwrap_or_default())
        .collect();
    assert_eq!(
        said,
        [
            "",
            "Filter.db is missing",
            "TOC.txt is missing",
            "TOC.txt could not be read",
            "TOC.txt lists nothing",
            "A.db and 1 more are missing",
            ""
        ]
    );
    // One that went away since it was listed is not complete, and no fault.
    fs::remove_file(file("nb-1-big-TOC.txt")).unwrap();
    let found = tocs(&tree.door(), &tree.spec(&["data"]), true, &asked[..1], LIMIT).await;
    assert_eq!(found.unwrap(), [None]);
}

#[tokio::test]
async fn the_stream_holds_the_files_whole_and_is_as_long_as_said() {
    let tree = Tree::new();
    let table = format!("data \"it's\"/shop/orders-{ID}");
    tree.set(&format!("{table}/backups"), "nb-1-big");
    let long = format!("nb-1-big-SAI+aa+{}+Meta.db", "x".repeat(120));
    tree.write(&format!("{table}/backups/{long}"), &"y".repeat(100_000));
    // A second link to a file that is in the stream already.
    let data = tree.path(&format!("{table}/backups/nb-1-big-Data.db"));
    let second = tree.path(&format!("{table}/backups/nb-2-big-Data.db"));
    fs::hard_link(&data, second).unwrap();
    let sets = tree.shelf(&["data \"it's\""], None).await.sets;
    let files = files_of(&sets);
    let command = catalog::sets::stream(&tree.spec(&[]), true, &files, None);
    let (ended, bytes) = poured(&tree, &command).await;
    assert_eq!(ended, Ok(Ended { exit: Exit::Code(0), stderr: Vec::new() }));
    assert_eq!(bytes.len() as u64, catalog::sets::stream_bytes(&files));
    let want: BTreeMap<_, _> =
        files.iter().map(|(path, _)| (path.clone(), fs::read(path).unwrap())).collect();
    assert_eq!(unpacked(&bytes), want);
    assert_eq!(want.len(), 6);

    // A file that is gone is told; the others come.
    fs::remove_file(&data).unwrap();
    let (ended, bytes) = poured(&tree, &command).await;
    let ended = ended.unwrap();
    assert_eq!((ended.exit, unpacked(&bytes).len()), (Exit::Code(2), 5));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("No such file"));
    // One that has grown without end does not fill the controller's disk.
    fs::File::create(&data).unwrap().set_len(1 << 30).unwrap();
    let (ended, _) = poured(&tree, &command).await;
    assert_eq!(ended, Err(NodeError::TooMuch { limit: command.output_limit() }));
}

#[test]
fn the_length_of_a_stream_is_that_of_its_blocks() {
    let length = |path: usize, size| catalog::sets::stream_bytes(&[("x".repeat(path), size)]);
    let record = 128 * 512;
    assert_eq!((length(100, 0), length(100, 125 * 512)), (record, record));
    assert_eq!((length(100, 125 * 512 + 1), length(101, 124 * 512)), (2 * record, 2 * record));
    assert_eq!(length(511, 123 * 512), record);
    assert_eq!(length(512, 123 * 512), 2 * record);
    assert_eq!(catalog::sets::stream_bytes(&[]), record);
    assert!(length(1, u64::MAX) > 1 << 60);
}

#[tokio::test]
async fn a_file_that_changed_while_it_was_read_is_noticed() {
    let tree = Tree::new();
    let backups = format!("data/shop/orders-{ID}/backups");
    for number in 1..=6 {
        tree.set(&backups, &format!("nb-{number}-big"));
    }
    let sets = tree.sets().await;
    let asked: Vec<&FoundSet> = sets.iter().collect();
    let file = |name: &str| tree.path(&format!("{backups}/{name}"));
    // A second link, or one less, changes nothing.
    fs::hard_link(file("nb-1-big-Data.db"), tree.path("live")).unwrap();
    fs::remove_file(file("nb-2-big-Data.db")).unwrap();
    fs::write(file("nb-3-big-Data.db"), "54321").unwrap();
    fs::remove_file(file("nb-4-big-Data.db")).unwrap();
    fs::write(file("nb-4-big-Data.db"), "12345").unwrap();
    fs::remove_file(file("nb-5-big-Data.db")).unwrap();
    std::os::unix::fs::symlink(file("nb-6-big-Data.db"), file("nb-5-big-Data.db")).unwrap();
    let found = look_again(&tree.door(), &tree.spec(&[]), true, &asked, LIMIT).await.unwrap();
    let changed = || Err("Data.db changed while it was read".to_owned());
    let gone = Err("Data.db went away while it was read".to_owned());
    assert_eq!(found, [Ok(()), gone, changed(), changed(), changed(), Ok(())]);
}

#[tokio::test]
async fn what_the_account_may_not_read_is_asked_of_sudo_program_by_program() {
    let tree = Tree::new();
    tree.set(&format!("data/shop/orders-{ID}/backups"), "nb-1-big");
    let sets = tree.sets().await;
    let asked: Vec<&FoundSet> = sets.iter().collect();
    let sudo = tree.sudo();
    let mut spec = tree.spec(&["data"]);
    spec.sudo = Sudo::Auto;
    let door = tree.door();
    assert!(tocs(&door, &spec, false, &asked, LIMIT).await.unwrap()[0].is_some());
    assert_eq!(look_again(&door, &spec, false, &asked, LIMIT).await.unwrap(), [Ok(())]);
    let (ended, _) =
        poured(&tree, &catalog::sets::stream(&spec, false, &files_of(&sets), None)).await;
    assert_eq!(ended.unwrap().exit, Exit::Code(0));
    assert_eq!(sudo.asked(), ["head", "stat", "tar"]);
    // Refused, it is no answer.
    sudo.refuse();
    assert!(tocs(&door, &spec, false, &asked, LIMIT).await.is_err());
    assert!(look_again(&door, &spec, false, &asked, LIMIT).await.is_err());
}

#[test]
fn every_login_shell_reads_the_commands_alike() {
    let tree = Tree::new();
    let spec = tree.spec(&[]);
    let none: [String; 0] = [];
    for command in [
        catalog::sets::list(&spec, Some("tag"), &none, LIMIT),
        catalog::sets::tocs(&spec, false, &none, 1, LIMIT),
        catalog::sets::stat(&spec, false, &none, LIMIT),
        catalog::sets::stream(&spec, false, &[], None),
        catalog::sets::remove(&spec, "", LIMIT),
    ] {
        for word in command.argv() {
            assert!(!word.contains(['\'', '\\', '\n', '!']), "{word}");
        }
    }
}
