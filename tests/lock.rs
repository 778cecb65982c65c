//! The lock of a node: real shells and files, and real OpenSSH servers on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

#[path = "common/local.rs"]
mod local;
#[allow(dead_code, reason = "the tests of the SSH door use all of it")]
#[path = "common/sshd.rs"]
mod sshd;

#[path = "lock/at_once.rs"]
mod at_once;
#[path = "lock/lines.rs"]
mod lines;
#[path = "lock/tickets.rs"]
mod tickets;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ringhaul::node::Node;
use ringhaul::node::lock::{HeldBy, Holder, Lock, LockError, Terms, take};

use local::Local;

/// More than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

const FIRST: Holder<'_> = Holder { run: "run-1", who: "ops@first", verb: "enable" };
const SECOND: Holder<'_> = Holder { run: "run-2", who: "dev@second", verb: "clean" };

/// A folder of tickets of a test's own, and the door to this machine.
struct Place {
    dir: tempfile::TempDir,
    terms: Terms,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("lock-").tempdir().unwrap();
        let folder = dir.path().join("tickets").display().to_string();
        let terms = Terms {
            folder,
            beat: Duration::from_millis(200),
            silence: Duration::from_secs(10),
            linger: Duration::from_secs(3),
        };
        Self { dir, terms }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn door(&self) -> Arc<Local> {
        Arc::new(Local { bin: self.path("bin") })
    }

    /// The names in the folder, in order.
    fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.terms.folder) else { return Vec::new() };
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.unwrap().file_name().to_string_lossy().into_owned()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    /// The process that holds the lock, by its ticket.
    fn holder(&self) -> u32 {
        let names = self.names();
        let ticket = names.iter().find(|name| name.starts_with("ticket,")).unwrap();
        ticket.split(',').nth(2).unwrap().parse().unwrap()
    }

    async fn take<N: Node>(&self, node: &Arc<N>, holder: &Holder<'_>) -> Result<Lock, LockError> {
        take(Arc::clone(node), &self.terms, holder, Duration::ZERO, &mut |_| {}).await
    }

    /// Takes the node when those before are done, and says whom it waited for.
    async fn wait_for<N: Node>(
        &self,
        node: &Arc<N>,
        holder: &Holder<'_>,
    ) -> (Result<Lock, LockError>, Vec<HeldBy>) {
        let mut told = Vec::new();
        let mut on_wait = |by: &HeldBy| told.push(by.clone());
        let lock = take(Arc::clone(node), &self.terms, holder, LONG, &mut on_wait).await;
        (lock, told)
    }
}

fn held_by(result: Result<Lock, LockError>) -> HeldBy {
    match result {
        Err(LockError::Held(by)) => by,
        other => panic!("{other:?}"),
    }
}

fn refused(result: Result<Lock, LockError>) -> String {
    match result {
        Err(error @ LockError::Refused(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// The start of a process, as the kernel tells it.
fn start_of(pid: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().to_owned()
}

fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap()[..8].to_owned()
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn is_root() -> bool {
    sshd::user() == "root"
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Puts a program into the folder that comes first in PATH.
fn link(place: &Place, to: &Path, name: &str) {
    std::fs::create_dir_all(place.path("bin")).unwrap();
    std::os::unix::fs::symlink(to, place.path("bin").join(name)).unwrap();
}
