//! What lies in the folder: stale tickets, hostile names, no folder at all, no room.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn put(place: &Place, name: &[u8]) {
    fs::create_dir_all(&place.terms.folder).unwrap();
    let name = std::ffi::OsStr::from_bytes(name);
    fs::write(Path::new(&place.terms.folder).join(name), "").unwrap();
}

fn ticket(pid: u32, start: &str, boot: &str) -> String {
    format!("ticket,run-9,{pid},{start},{boot},1800000000,clean,them@there")
}

#[tokio::test]
async fn tickets_of_the_dead_block_nobody_and_are_cleared_away() {
    let place = Place::new();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let dead = child.id();
    until("it is a zombie", || {
        fs::read_to_string(format!("/proc/{dead}/stat")).unwrap().contains(") Z ")
    })
    .await;
    let zombie = ticket(dead, &start_of(dead), &boot());
    let own = std::process::id();
    put(&place, zombie.as_bytes());
    put(&place, zombie.replace("ticket", "dead").as_bytes());
    put(&place, ticket(own, "1", &boot()).as_bytes());
    put(&place, ticket(own, &start_of(own), "00000000").as_bytes());
    let lock = place.take(&place.door(), &FIRST).await.unwrap();
    assert_eq!(place.names().len(), 1);
    lock.release().await;
    child.wait().unwrap();
    put(&place, ticket(dead, "1", &boot()).as_bytes());
    place.take(&place.door(), &FIRST).await.unwrap().release().await;
    assert_eq!(place.names(), [""; 0]);
}

#[tokio::test]
async fn a_ticket_of_a_process_that_lives_blocks_whatever_its_name_and_state() {
    let place = Place::new();
    let odd = place.path("a) R 1 (b\n c");
    fs::copy(on_path("sleep").unwrap(), &odd).unwrap();
    let mut child = std::process::Command::new(&odd).arg("1000").spawn().unwrap();
    let pid = child.id();
    until("it is a sleep", || {
        fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains("R 1 (b")
    })
    .await;
    put(&place, ticket(pid, &start_of(pid), &boot()).as_bytes());
    sshd::send("-STOP", pid);
    let by = held_by(place.take(&place.door(), &FIRST).await);
    assert_eq!((by.run.as_str(), by.who.as_str()), ("run-9", "them@there"));
    assert!(by.to_string().starts_with("them@there, run run-9, clean, since "), "{by}");
    child.kill().unwrap();
    child.wait().unwrap();
    place.take(&place.door(), &FIRST).await.unwrap().release().await;
}

#[tokio::test]
async fn what_is_no_ticket_of_ours_is_left_alone_and_blocks_nobody() {
    let place = Place::new();
    let own = std::process::id();
    let good = ticket(own, &start_of(own), &boot());
    let mut names: Vec<Vec<u8>> = vec![
        b"ticket,".to_vec(),
        b"ticket,*".to_vec(),
        b"-rf".to_vec(),
        b"ticket,a\nb,\x1b[2J\x07,c".to_vec(),
        b"ticket,\xff\xfe".to_vec(),
        [b"ticket,".to_vec(), vec![b'x'; 248]].concat(),
        [b"ticket,".to_vec(), vec![b','; 248]].concat(),
        good.replace("them@there", "them there").into_bytes(),
        good.replace("them@there", "$(id)`id`").into_bytes(),
        good.replace("them@there", "a\n").into_bytes(),
        good.replace("them@there", "").into_bytes(),
        format!("{good},more").into_bytes(),
        format!("{good},").into_bytes(),
        good.replace("1800000000", "soon").into_bytes(),
    ];
    for pid in ["0", "-1", "1e3", "123456789", "", "01"] {
        names.push(good.replace(&format!(",{own},"), &format!(",{pid},")).into_bytes());
    }
    for name in &names {
        put(&place, name);
    }
    let before = place.names();
    place.take(&place.door(), &FIRST).await.unwrap().release().await;
    assert_eq!(place.names(), before);
}

#[tokio::test]
async fn the_folder_is_made_for_all_accounts() {
    let place = Place::new();
    place.take(&place.door(), &FIRST).await.unwrap().release().await;
    let mode = fs::metadata(&place.terms.folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o1777);
}

#[tokio::test]
async fn a_folder_that_is_none_is_refused() {
    let place = Place::new();
    let folder = place.terms.folder.clone();
    fs::create_dir(place.path("elsewhere")).unwrap();
    symlink(place.path("elsewhere"), &folder).unwrap();
    let said = refused(place.take(&place.door(), &FIRST).await);
    assert_eq!(said, format!("cannot be locked: {folder} is a symbolic link"));
    assert_eq!(fs::read_dir(place.path("elsewhere")).unwrap().count(), 0);
    fs::remove_file(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    let said = refused(place.take(&place.door(), &FIRST).await);
    assert!(said.contains("File exists"), "{said}");
    let mut place = Place::new();
    place.terms.folder = place.path("no/where").display().to_string();
    let said = refused(place.take(&place.door(), &FIRST).await);
    assert!(said.contains("No such file or directory"), "{said}");
}

#[tokio::test]
async fn words_of_the_controller_are_made_plain_and_a_run_of_another_name_is_refused() {
    let place = Place::new();
    let odd = Holder { run: "run-1", who: "o,p s\n@h\u{1b}'\"", verb: "" };
    let lock = place.take(&place.door(), &odd).await.unwrap();
    assert_eq!(held_by(place.take(&place.door(), &SECOND).await).who, "o_p_s_@h___");
    lock.release().await;
    let said = refused(place.take(&place.door(), &Holder { run: "a b", ..FIRST }).await);
    assert_eq!(said, "cannot be locked: the run's id cannot stand in a ticket: a b");
}

/// A full file system needs a mount, and a mount needs root.
#[tokio::test]
async fn a_full_disk_can_be_locked_and_one_without_inodes_or_rights_is_refused() {
    if !is_root() {
        println!("not root: left out");
        return;
    }
    for (options, fill, says) in [
        ("size=64k,nr_inodes=20", "head -c 1000000 /dev/zero > full 2> /dev/null", None),
        ("nr_inodes=4", "mkdir -m 1777 tickets; : > a; : > b", Some("No space left on device")),
        ("size=64k", "mount -o remount,ro .", Some("Read-only file system")),
    ] {
        let mut place = Place::new();
        let mount = place.path("mount").display().to_string();
        fs::create_dir(&mount).unwrap();
        place.terms.folder = format!("{mount}/tickets");
        // Every `sh` of this door sees a small file system of its own.
        let script = format!(
            "#!/bin/sh\nexec unshare -m /bin/sh -c 'mount -t tmpfs -o {options} none {mount} &&\n\
             {{ cd {mount}; {fill}; cd /; exec /bin/sh \"$@\"; }}' sh \"$@\"\n"
        );
        fs::create_dir(place.path("bin")).unwrap();
        fs::write(place.path("bin/sh"), script).unwrap();
        fs::set_permissions(place.path("bin/sh"), fs::Permissions::from_mode(0o755)).unwrap();
        let lock = place.take(&place.door(), &FIRST).await;
        match says {
            None => lock.unwrap().release().await,
            Some(says) => {
                let said = refused(lock);
                assert!(said.contains(says), "{options}: {said}");
            }
        }
    }
}
