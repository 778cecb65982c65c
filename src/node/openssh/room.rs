//! The private folder of a run: control sockets, configs, and who clears them away at the end.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use tokio::process::{Child, ChildStdin, Command as Process};

use crate::node::NodeError;
use crate::text::one_line;

/// Bytes of the longest path of a folder for sockets. A socket's path has at most 104 bytes on
/// some systems, and ssh makes it under a name that is 17 longer.
const LONGEST_FOLDER: usize = 60;

/// Ends the masters that are left when this program is killed: an `ssh -N` would hold its line
/// for ever. Its input ends with this program, whatever ended it.
const KEEPER: &str = r#"while read -r line; do :; done
for socket in "$1"/*.s; do
  [ -S "$socket" ] && ssh -F none -S "$socket" -O exit -- keeper
done
rm -rf -- "$1""#;

/// A folder nobody else may look into.
#[derive(Debug)]
pub(super) struct Room {
    dir: TempDir,
    next: AtomicU64,
    _keeper: (Child, Option<ChildStdin>),
}

/// The files of one master; removed when it is gone.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) socket: PathBuf,
    pub(super) config: PathBuf,
}

impl Room {
    /// Makes the folder.
    ///
    /// # Errors
    /// [`NodeError::Local`] when it cannot be made where paths are short enough.
    pub(super) fn new() -> Result<Self, NodeError> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let usual = [Path::new("/tmp").to_owned(), std::env::temp_dir()];
        let mut problem = "no folder for sockets is short enough".to_owned();
        for base in runtime.into_iter().chain(usual) {
            if !base.is_absolute() || base.as_os_str().len() > LONGEST_FOLDER - 20 {
                continue;
            }
            // From the start, and not only as the umask has it.
            let private = Permissions::from_mode(0o700);
            let mut builder = tempfile::Builder::new();
            match builder.prefix("ringhaul-").permissions(private).tempdir_in(&base) {
                Ok(dir) => return Self::kept(dir),
                Err(error) => problem = format!("{}: {error}", base.display()),
            }
        }
        Err(local(&problem))
    }

    fn kept(dir: TempDir) -> Result<Self, NodeError> {
        let mut keeper = Process::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // It has to outlive a Ctrl-C.
            .process_group(0)
            .spawn()
            .map_err(|error| local(&format!("sh: {error}")))?;
        let stdin = keeper.stdin.take();
        Ok(Self { dir, next: AtomicU64::new(0), _keeper: (keeper, stdin) })
    }

    /// Returns files for one more master.
    pub(super) fn place(&self) -> Place {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = |kind: &str| self.dir.path().join(format!("{number}.{kind}"));
        Place { number, socket: path("s"), config: path("c") }
    }

    /// Where questions of ssh are answered.
    pub(super) fn questions(&self) -> PathBuf {
        self.dir.path().join("q")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // ssh removes its socket itself, unless it was killed.
        let _ = std::fs::remove_file(&self.socket);
        let _ = std::fs::remove_file(&self.config);
    }
}

fn local(problem: &str) -> NodeError {
    NodeError::Local(one_line(format!("transport openssh: {problem}").as_bytes(), 300))
}
