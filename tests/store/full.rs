//! A store whose file system is full, on a real small one.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Command;

use ringhaul::cassandra::sets::{FoundFile, FoundSet, Origin};
use ringhaul::store::intake::{IntakeError, Wanted, take};
use ringhaul::store::{Store, StoreError};

use super::bench::{HOST, NOW, is_valid, keep, place};

/// Set for a child that has a mount of its own: where.
const CHILD: &str = "RINGHAUL_TEST_MOUNT";

#[test]
fn a_full_disk_is_said_and_leaves_a_valid_store() {
    if let Ok(mount) = std::env::var(CHILD) {
        return fill(Path::new(&mount));
    }
    let folder = tempfile::tempdir().unwrap();
    // The mount is in a name space of its own and ends with it.
    let script = "mount -t tmpfs -o size=512k,nr_inodes=300 none \"$1\" && shift && exec \"$@\"";
    let mounted = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "full::a_full_disk_is_said_and_leaves_a_valid_store"])
        .env(CHILD, folder.path())
        .output();
    let output = match mounted {
        Ok(output) => output,
        Err(error) => return println!("left out: there is no unshare here: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("unshare failed") || said.contains("must be superuser") {
        return println!("left out: no mount may be made here: {said}");
    }
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{said}");
}

#[test]
fn a_store_that_lies_on_two_disks_is_refused_before_anything_counts() {
    let folder = tempfile::tempdir().unwrap();
    let device = |dir: &Path| fs::metadata(dir).map(|metadata| metadata.dev()).ok();
    let shm = Path::new("/dev/shm");
    if device(shm).is_none_or(|other| Some(other) == device(folder.path())) {
        return println!("left out: there is no second file system here");
    }
    let elsewhere = tempfile::tempdir_in(shm).unwrap();
    for part in ["nodes", "manifests", "tmp"] {
        let store = Store::open_or_make(&folder.path().join(part)).unwrap().0;
        fs::create_dir(elsewhere.path().join(part)).unwrap();
        symlink(elsewhere.path().join(part), store.root().join(part)).unwrap();
        let writer = store.writer(HOST, NOW).unwrap();
        let refused = keep(&writer, "r", 1, &[place("a", 1)], "x").unwrap_err();
        let said = "it lies on another file system than the store's staging: nothing can be moved \
                    there";
        assert!(refused.to_string().ends_with(said), "{refused}");
        assert!(refused.hint().unwrap().contains("on one file system"));
        drop(writer);
        assert_eq!(is_valid(&store), 0);
    }
}

fn fill(mount: &Path) {
    let store = Store::open_or_make(&mount.join("store")).unwrap().0;
    let ballast = mount.join("ballast");
    fs::write(&ballast, vec![1; 64 * 1024]).unwrap();
    let mut stored = 0;
    for part in 1..200 {
        let kept = store.writer(HOST, NOW).and_then(|writer| {
            let places = [place("a", part as usize), place(&format!("t{part}"), 1)];
            keep(&writer, "r", part, &places, &"x".repeat(40))
        });
        match kept {
            Ok(_) => stored += 2,
            Err(StoreError::Full { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(stored > 0 && stored < 398, "{stored}");
    assert!(store.room().unwrap() < 64 * 1024);
    fs::remove_file(ballast).unwrap();
    drop(store.writer(HOST, NOW).unwrap());
    let sets = is_valid(&store);
    assert!(sets >= stored, "{sets} of {stored}");
    too_large(&store, mount);
}

/// A set that does not fit is no fault of the set, and nothing of it stays.
fn too_large(store: &Store, mount: &Path) {
    let node = tempfile::tempdir().unwrap();
    let path = node.path().join("nb-1-big-Data.db");
    fs::write(&path, vec![7; 4 << 20]).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    let found = FoundSet {
        place: place("large", 1),
        origin: Origin::Backups,
        dir: node.path().to_str().unwrap().into(),
        files: vec![FoundFile {
            component: "Data.db".into(),
            device: 0,
            inode: 0,
            links: 1,
            size: metadata.len(),
            modified: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
        }],
        digest: None,
        untouchable: None,
    };
    let tar = Command::new("tar").args(["-cPf", "-", "--format=gnu"]).arg(&path).output().unwrap();
    let writer = store.writer(HOST, NOW).unwrap();
    let ended = take(
        &*tar.stdout,
        Wanted { sets: std::slice::from_ref(&found) },
        &writer,
        &mut |_, _| panic!("it does not fit into {}", mount.display()),
        &mut |_| {},
    );
    assert!(matches!(ended, Err(IntakeError::Store(StoreError::Full { .. }))), "{ended:?}");
    drop(writer);
    is_valid(store);
}
