//! The password is nowhere but in memory while a command runs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ringhaul::node::becoming::Becoming;
use ringhaul::node::{Command, Connect as _, Node as _};

use crate::host::{Host, LIMIT, SECRET, endpoint, rights};
use crate::operator::Operator;

/// Where the password is found on this machine, as other accounts of a node might look for it.
fn leaks(host: &Host) -> Vec<String> {
    let mut leaks = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let at = entry.path();
        if !entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        for name in ["cmdline", "environ"] {
            // Processes end while they are looked at.
            let text = fs::read(at.join(name)).unwrap_or_default();
            if holds(&text) {
                leaks.push(at.join(name).display().to_string());
            }
        }
    }
    for folder in ["/dev/shm", "/run/lock", "/tmp", "/var/tmp"] {
        named(Path::new(folder), 0, &mut leaks);
    }
    named(&host.path("home"), 0, &mut leaks);
    leaks
}

/// Files of that name that stay, and files that hold it.
fn named(folder: &Path, depth: usize, leaks: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if path.file_name().unwrap().to_string_lossy().starts_with(".ringhaul-") {
            // One that is just being made, by a test beside this one perhaps, is empty and goes at
            // once: the password is written when it has no name any more.
            let leaks_now = holds(&fs::read(&path).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(500));
            if leaks_now || path.exists() {
                leaks.push(path.display().to_string());
            }
        } else if meta.is_dir() && depth < 3 {
            named(&path, depth + 1, leaks);
        } else if meta.is_file()
            && meta.len() < 65536
            && holds(&fs::read(&path).unwrap_or_default())
        {
            leaks.push(path.display().to_string());
        }
    }
}

fn holds(text: &[u8]) -> bool {
    text.windows(SECRET.len()).any(|part| part == SECRET.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_a_command_runs_the_password_is_in_no_argv_environment_or_file() {
    let host = Host::new("Defaults timestamp_timeout=0\nops ALL=(ALL:ALL) ALL");
    let door = Becoming::new(host.door(), Some(Operator::honest().ask()));
    let node = door.connect(&endpoint("n1")).await.unwrap();
    // Programs with other rights one after the other, so that sudo asks all the time.
    let script =
        "i=0; while [ $i -lt 12 ]; do i=$((i + 1)); $RINGHAUL_AS sleep 0.2 || exit 1; done";
    let command = Command::new(["sh", "-c", script], LIMIT).with_rights(rights("root"));
    let run = tokio::spawn(async move { node.run(&command).await.unwrap() });
    let (mut looks, mut seen) = (0, false);
    while !run.is_finished() {
        let leaks = leaks(&host);
        assert!(leaks.is_empty(), "{leaks:?}");
        looks += 1;
        seen |= fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let text = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            text.starts_with(b"sudo\0-A\0-p\0/proc/")
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let output = run.await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.ended.stderr).trim(), "");
    // The looks were at what they are about.
    assert!(looks > 2 && seen, "{looks} looks, sudo seen: {seen}");
    for line in host.asked() {
        assert!(!line.contains(SECRET), "{line}");
    }
}

#[tokio::test]
async fn what_is_killed_leaves_nothing_behind() {
    let host = Host::new("ops ALL=(ALL:ALL) ALL");
    let door = Becoming::new(host.door(), Some(Operator::honest().ask()));
    let node = door.connect(&endpoint("n1")).await.unwrap();
    // The shell that holds the password is the parent of this one.
    let script = "kill -9 $PPID; sleep 0.3; $RINGHAUL_AS id";
    let command = Command::new(["sh", "-c", script], LIMIT).with_rights(rights("root"));
    let output = node.run(&command).await.unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    let leaks = leaks(&host);
    assert!(leaks.is_empty(), "{leaks:?}");
}
