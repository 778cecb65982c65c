//! A lab of `integration/ring` for the stories: brought up when a story needs it, shared by the
//! stories that follow, taken down before another comes up and when this process ends, however.

use std::io::Write as _;
use std::ops::Deref;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::command::{Ended, Running};

/// No command of the rig but `up` takes longer, on a machine that others use too.
const LONG: Duration = Duration::from_secs(240);

/// `up` has a limit of its own, 180 s and 60 s a node; this is behind it.
const UP: Duration = Duration::from_secs(600);

/// What an audit of a few nodes may take, whatever is broken, with the limits of `QUICK`.
pub(crate) const AUDIT: Duration = Duration::from_secs(60);

/// Shorter limits than the ordinary ones, so that stories about hanging nodes take less time. A
/// nodetool call takes 1 s here, and several on a busy machine.
pub(crate) const QUICK: [&str; 4] = ["--nodetool-timeout", "12s", "--connect-timeout", "6s"];

/// A kind of lab.
pub(crate) struct Plan {
    /// Part of the lab's name.
    pub(crate) name: &'static str,
    /// The options of `ring up`.
    pub(crate) up: &'static [&'static str],
    /// What is done to it before the first story.
    pub(crate) prepare: fn(&Lab),
}

/// A lab that is up.
pub(crate) struct Lab {
    name: String,
    plan: &'static str,
    keeper: Keeper,
}

/// A story's turn: nobody else has a lab meanwhile.
pub(crate) struct Turn(Option<Arc<Lab>>);

struct Queue {
    next: u64,
    serving: u64,
    lab: Option<Arc<Lab>>,
    /// A plan that failed is not tried by each story anew.
    failed: Option<(&'static str, String)>,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue { next: 0, serving: 0, lab: None, failed: None });
static MOVED: Condvar = Condvar::new();

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plan {
    /// Waits for this story's turn, and brings the lab up unless it is. Turns are given in the
    /// order of asking, so that the stories of one lab stay together.
    #[track_caller]
    pub(crate) fn turn(&'static self) -> Turn {
        let mut queue = queue();
        let ticket = queue.next;
        queue.next += 1;
        while queue.serving != ticket {
            queue = MOVED.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        // From here on the turn is given on, also when this story panics.
        let mut turn = Turn(None);
        if let Some((plan, why)) = &queue.failed
            && *plan == self.name
        {
            let why = why.clone();
            drop(queue);
            panic!("the lab '{}' did not come up for an earlier story: {why}", self.name);
        }
        let old = queue.lab.take();
        drop(queue);
        let lab = match old.filter(|lab| lab.plan == self.name) {
            Some(lab) => lab,
            None => Arc::new(self.bring_up()),
        };
        self::queue().lab = Some(Arc::clone(&lab));
        turn.0 = Some(lab);
        turn
    }

    fn bring_up(&self) -> Lab {
        let prefix = std::env::var("RINGHAUL_STORY_LABS")
            .unwrap_or_else(|_| format!("story{}", std::process::id()));
        let name = format!("{prefix}-{}", self.name);
        let keeper = Keeper::of(&name);
        let lab = Lab { name, plan: self.name, keeper };
        let up = lab.run("up", self.up, UP);
        if up.code != 0 {
            queue().failed = Some((self.name, up.stderr.clone()));
            panic!("ring up {:?} failed:\n{}", self.up, up.stderr);
        }
        (self.prepare)(&lab);
        lab
    }
}

impl Deref for Turn {
    type Target = Lab;
    fn deref(&self) -> &Lab {
        self.0.as_deref().expect("a turn has its lab from its beginning")
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        queue().serving += 1;
        MOVED.notify_all();
    }
}

impl Lab {
    /// Runs a command of `integration/ring` that must not fail.
    #[track_caller]
    pub(crate) fn ring(&self, command: &str, arguments: &[&str]) -> String {
        self.run(command, arguments, LONG).fine(&format!("ring {command} {arguments:?}")).stdout
    }

    /// Runs a command of `integration/ring` that may fail.
    pub(crate) fn run(&self, command: &str, arguments: &[&str], limit: Duration) -> Ended {
        let mut ring = Command::new(ring());
        ring.args([command, "--lab", &self.name]).args(arguments);
        // The nodes' sudo allows what this program says that it needs.
        ring.env("RINGHAUL_BIN", env!("CARGO_BIN_EXE_ringhaul"));
        Running::start(&mut ring).end(limit)
    }

    /// Runs CQL on the first node. A ring that has just come up may not agree on its schema yet.
    #[track_caller]
    pub(crate) fn cql(&self, statements: &str) {
        for _ in 0..9 {
            if self.run("cql", &["1", statements], LONG).code == 0 {
                return;
            }
            thread::sleep(Duration::from_secs(2));
        }
        self.ring("cql", &["1", statements]);
    }

    /// Runs a shell script on a node, as root.
    #[track_caller]
    pub(crate) fn on(&self, node: u8, script: &str) -> String {
        self.ring("exec", &[&node.to_string(), "--", "sh", "-euc", script])
    }

    /// Runs the real nodetool on a node.
    #[track_caller]
    pub(crate) fn nodetool(&self, node: u8, arguments: &[&str]) -> String {
        self.ring("nodetool", &[&[node.to_string().as_str()], arguments].concat())
    }

    /// Does the same to several nodes at once.
    pub(crate) fn side_by_side(&self, nodes: &[u8], job: impl Fn(u8) + Sync) {
        thread::scope(|scope| {
            for node in nodes {
                scope.spawn(|| job(*node));
            }
        });
    }

    /// Breaks something of a node; it is mended when the result is dropped.
    #[track_caller]
    pub(crate) fn broken<'a>(
        &'a self,
        node: u8,
        fault: &str,
        mended_by: &'a [&'a str],
    ) -> Broken<'a> {
        self.ring("fault", &[&node.to_string(), fault]);
        Broken { lab: self, node, mended_by }
    }

    /// Runs ringhaul on the lab's controller.
    #[track_caller]
    pub(crate) fn ringhaul(&self, arguments: &[&str]) -> Ended {
        let ended = self.start_ringhaul(arguments).end(AUDIT);
        assert!(!ended.stderr.contains("panicked"), "ringhaul panicked:\n{}", ended.stderr);
        ended
    }

    /// Starts ringhaul on the lab's controller. A signal to what is started is one to ringhaul.
    pub(crate) fn start_ringhaul(&self, arguments: &[&str]) -> Running {
        let mut command = Command::new(ring());
        // The rig names the lab's inventory for people; a story names it itself, or none.
        command.args(["run", "--lab", &self.name, "--", "env", "-u", "RINGHAUL_INVENTORY"]);
        Running::start(command.arg(env!("CARGO_BIN_EXE_ringhaul")).args(arguments))
    }

    /// Runs ringhaul on the lab's controller with the file as its descriptor 3.
    #[track_caller]
    pub(crate) fn ringhaul_reading(&self, file: &Path, arguments: &[&str]) -> Ended {
        let mut command = Command::new(ring());
        let script = format!("exec \"$@\" 3<'{}'", file.display());
        command.args(["run", "--lab", &self.name, "--", "sh", "-c", &script, "sh"]);
        Running::start(command.arg(env!("CARGO_BIN_EXE_ringhaul")).args(arguments)).end(AUDIT)
    }

    /// Audits the lab's inventory with `QUICK` limits; returns the JSON, and how it ended.
    #[track_caller]
    pub(crate) fn audit(&self, arguments: &[&str]) -> (Value, Ended) {
        self.audit_within(&[&QUICK[..], arguments].concat())
    }

    /// Audits the lab's inventory with limits of its own, or the ordinary ones.
    #[track_caller]
    pub(crate) fn audit_within(&self, limits: &[&str]) -> (Value, Ended) {
        let inventory = self.path("inventory.yaml");
        let audit = ["audit", "--json", "-i", &inventory];
        let ended = self.ringhaul(&[&audit[..], limits].concat());
        (parsed(&ended), ended)
    }

    /// A file of the lab's folder: `inventory.yaml`, `ssh_config`, `known_hosts`, `id_ed25519`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        labs().join(&self.name).join(name)
    }

    /// The same, as an argument of a command line.
    pub(crate) fn path(&self, name: &str) -> String {
        self.file(name).to_string_lossy().into_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let down = self.run("down", &[], LONG);
        if down.code != 0 {
            tell(&format!("lab {} was not taken down: {}", self.name, down.stderr));
        }
        self.keeper.dismiss();
    }
}

/// Returns the JSON that ringhaul printed.
#[track_caller]
pub(crate) fn parsed(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| {
        panic!(
            "no JSON ({error}); exit {}\n--- stdout\n{}\n--- stderr\n{}",
            ended.code, ended.stdout, ended.stderr
        )
    })
}

/// Returns the row of a node of the lab, by its number.
#[track_caller]
pub(crate) fn row(audit: &Value, node: u8) -> &Value {
    let address = address(node);
    let rows = audit["nodes"].as_array().expect("an array of nodes");
    match rows.iter().find(|row| row["address"] == address.as_str()) {
        Some(row) => row,
        None => panic!("no row for {address}:\n{audit:#}"),
    }
}

/// The address of a node, by its number.
pub(crate) fn address(node: u8) -> String {
    format!("10.77.0.{}", 10 + node)
}

/// Something of a node that is broken just now.
pub(crate) struct Broken<'a> {
    lab: &'a Lab,
    node: u8,
    mended_by: &'a [&'a str],
}

impl Drop for Broken<'_> {
    fn drop(&mut self) {
        for fault in self.mended_by {
            let mended = self.lab.run("fault", &[&self.node.to_string(), fault], LONG);
            // A second panic would hide the first.
            if mended.code != 0 && !thread::panicking() {
                panic!("{fault} did not mend node {}: {}", self.node, mended.stderr);
            }
        }
    }
}

/// A process that outlives this one by the time of one `ring down`: statics are not dropped, and
/// a test run that is killed drops nothing at all.
struct Keeper(Child);

impl Keeper {
    fn of(lab: &str) -> Self {
        let script = r#"read -r word; [ "$word" = dismissed ] || exec "$0" down --lab "$1""#;
        let mut command = Command::new("bash");
        command.arg("-c").arg(script).arg(ring()).arg(lab).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Self(command.spawn().expect("bash can be started"))
    }

    fn dismiss(&mut self) {
        if let Some(mut stdin) = self.0.stdin.take() {
            let _ = stdin.write_all(b"dismissed\n");
        }
        let _ = self.0.wait();
    }
}

fn ring() -> PathBuf {
    project().join("integration/ring")
}

/// The project's folder.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn labs() -> PathBuf {
    std::env::var_os("RINGHAUL_LABS").map_or_else(|| "/var/tmp/ringhaul-labs".into(), PathBuf::from)
}

/// Says something that is shown when the story fails.
#[expect(clippy::print_stdout, reason = "the harness keeps what tests print")]
pub(crate) fn tell(text: &str) {
    println!("story: {text}");
}
