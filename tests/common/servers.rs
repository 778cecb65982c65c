//! SSH servers and login shells of several Debian releases, each run in a root of its own.
//!
//! `integration/ring install` fetches them. They need root: each server has its own mounts and
//! processes, and is gone with them when it is dropped.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::sshd::{keygen, run, user};

/// How long a server may need to come up on a machine that is busy.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Builds the root, and becomes the server: the first process of its namespace, with which all
/// others end. Arguments: root of the release, work folder, mounts to make, the server's own.
const ENTER: &str = r#"
release=$1 work=$2 mounts=$3
shift 3
mkdir "$work/disk"
mount -t tmpfs -o mode=755 tmpfs "$work/disk"
mkdir "$work/disk/upper" "$work/disk/work" "$work/disk/root"
mount -t overlay -o "lowerdir=$release,upperdir=$work/disk/upper,workdir=$work/disk/work" \
    overlay "$work/disk/root"
cd "$work/disk/root"
cp -a "$work/stage/." .
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for device in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "dev/${device%:*}" c 1 "${device#*:}"
done
mknod -m 666 dev/tty c 5 0
ln -s /proc/self/fd dev/fd
mkdir -p run/sshd
chown -R 1000:1000 home/ops
eval "$mounts"
exec chroot . "$@"
"#;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    OpenSsh,
    Dropbear,
}

/// A server as a test wants it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) suite: &'a str,
    pub(crate) program: Program,
    /// Lines of sshd_config, or arguments of dropbear.
    pub(crate) lines: &'a str,
    /// What `ssh-keygen -t` takes.
    pub(crate) host_key: &'a str,
    pub(crate) shell: &'a str,
    /// Files below the root, with their text.
    pub(crate) files: &'a [(&'a str, &'a str)],
    /// Shell commands that mount things, in the folder of the root.
    pub(crate) mounts: &'a str,
}

impl Setup<'_> {
    pub(crate) const PLAIN: Self = Self {
        suite: "bookworm",
        program: Program::OpenSsh,
        lines: "",
        host_key: "ed25519",
        shell: "/bin/dash",
        files: &[],
        mounts: "",
    };
}

/// Returns the root folder of a release, or says why this machine has none.
pub(crate) fn release(suite: &str) -> Result<PathBuf, String> {
    let cache = std::env::var_os("RINGHAUL_CACHE").map(PathBuf::from).or_else(|| {
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/ringhaul"))
    });
    let at = cache.unwrap_or_default().join("servers").join(suite);
    if user() != "root" {
        return Err(format!("the servers of Debian {suite} need root"));
    }
    if !at.join("complete").exists() {
        return Err(format!(
            "the servers of Debian {suite} are not here: integration/ring install fetches them"
        ));
    }
    Ok(at.join("root"))
}

/// Whether this machine has the servers of a release; says so when it has not, and fails for those
/// that `RINGHAUL_SERVERS` names.
pub(crate) fn is_here(suite: &str) -> bool {
    let Err(why) = release(suite) else { return true };
    let wanted = std::env::var("RINGHAUL_SERVERS").unwrap_or_default();
    assert!(!wanted.split_whitespace().any(|name| name == suite), "{why}");
    // Not by the macro: the harness would keep the words of a test that passes.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
    false
}

/// A server, gone with all its sessions when dropped. Its only account is `ops`.
pub(crate) struct Server {
    child: Child,
    dir: TempDir,
    pub(crate) port: u16,
    host_key: String,
}

impl Server {
    /// Starts a server that lets in the keys of `authorized`, the text of such a file.
    pub(crate) fn start(setup: &Setup<'_>, authorized: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::at(setup, authorized, port)
    }

    /// The same, on a port of another that is gone.
    pub(crate) fn at(setup: &Setup<'_>, authorized: &str, port: u16) -> Self {
        let root = release(setup.suite).unwrap();
        let dir = tempfile::Builder::new().prefix("server-").tempdir().unwrap();
        let stage = dir.path().join("stage");
        write_stage(&stage, setup, authorized, port);
        let key = stage.join("etc/ssh/host_key");
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"])
            .args(["sh", "-euc", ENTER, "server"])
            .args([&root, &dir.path().to_path_buf()])
            .arg(mounts(setup))
            .args(program(setup, port))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("unshare is part of util-linux");
        let host_key = fs::read_to_string(key.with_extension("pub")).unwrap();
        let host_key = host_key.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let mut server = Self { child, dir, port, host_key };
        server.wait(setup.program);
        server
    }

    fn wait(&mut self, program: Program) {
        let start = Instant::now();
        loop {
            let up = match program {
                Program::OpenSsh => self.log().contains("Server listening"),
                Program::Dropbear => TcpStream::connect(("127.0.0.1", self.port)).is_ok(),
            };
            if up {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the server ended, {ended:?}: {}", self.log());
            assert!(start.elapsed() < START_LIMIT, "the server does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The line of a known_hosts file.
    pub(crate) fn known(&self) -> String {
        format!("[127.0.0.1]:{} {}", self.port, self.host_key)
    }

    /// The arguments of all processes of the server, as the machine sees them.
    pub(crate) fn processes(&self) -> Vec<String> {
        let ours = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid_for_children")).ok();
        let Some(own) = ours(&self.child.id().to_string()) else { return Vec::new() };
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let inside = pids.filter(|pid| {
            fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|space| space == own)
        });
        inside
            .filter_map(|pid| fs::read(format!("/proc/{pid}/cmdline")).ok())
            .map(|text| String::from_utf8_lossy(&text).replace('\0', " "))
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The kernel ends the server with it, and all else in the server's namespace.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_stage(stage: &Path, setup: &Setup<'_>, authorized: &str, port: u16) {
    let write = |path: &str, text: &str| {
        let path = stage.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let shell = setup.shell;
    write(
        "etc/passwd",
        &format!(
            "root:x:0:0:root:/root:/bin/dash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n\
             ops:x:1000:1000::/home/ops:{shell}\n"
        ),
    );
    write("etc/group", "root:x:0:\nops:x:1000:\nnogroup:x:65534:\n");
    // No password, and no lock: both servers refuse accounts that are locked.
    write("etc/shadow", "root:*:19000::::::\nsshd:!:19000::::::\nops:*:19000::::::\n");
    write("etc/shells", &format!("/bin/sh\n/bin/dash\n/bin/bash\n{shell}\n"));
    write("home/ops/.ssh/authorized_keys", authorized);
    write(
        "etc/ssh/sshd_config",
        &format!(
            "{}\nListenAddress 127.0.0.1\nPort {port}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nChallengeResponseAuthentication no\nUseDNS no\n\
             LogLevel VERBOSE\nHostKey /etc/ssh/host_key\nSubsystem sftp internal-sftp\n",
            setup.lines
        ),
    );
    for (path, text) in setup.files {
        write(path, text);
    }
    let key = stage.join("etc/ssh/host_key");
    keygen(&key, setup.host_key, "");
    if setup.program == Program::Dropbear && setup.host_key != "ed25519" {
        // Of the form OpenSSH has had since 7.8, dropbear reads Ed25519 alone.
        run("ssh-keygen", &["-q", "-p", "-m", "PEM", "-N", "", "-f", key.to_str().unwrap()]);
    }
    for (path, mode) in [("home/ops/.ssh", 0o700), ("home/ops/.ssh/authorized_keys", 0o600)] {
        fs::set_permissions(stage.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn mounts(setup: &Setup<'_>) -> String {
    match setup.program {
        Program::OpenSsh => setup.mounts.to_owned(),
        Program::Dropbear => format!(
            "chroot . /usr/lib/dropbear/dropbearconvert openssh dropbear \
             /etc/ssh/host_key /etc/ssh/dropbear_key\n{}",
            setup.mounts
        ),
    }
}

fn program(setup: &Setup<'_>, port: u16) -> Vec<String> {
    let words: Vec<String> = match setup.program {
        Program::OpenSsh => ["/usr/sbin/sshd", "-D", "-e"].map(str::to_owned).into(),
        Program::Dropbear => {
            let port = format!("127.0.0.1:{port}");
            let words = ["/usr/sbin/dropbear", "-F", "-E", "-s", "-m", "-p", &port];
            let words = words.into_iter().chain(["-r", "/etc/ssh/dropbear_key"]);
            words.chain(setup.lines.split_whitespace()).map(str::to_owned).collect()
        }
    };
    words
}
