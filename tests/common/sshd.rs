//! Starts real OpenSSH servers on loopback, each with its own keys, port and folder.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ringhaul::node::Endpoint;
use ringhaul::node::ssh::{Options, Ssh};
use tempfile::TempDir;

/// How long a server may need to come up on a machine that is busy.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A server, killed with all its sessions when dropped.
pub(crate) struct Sshd {
    child: Child,
    dir: TempDir,
    pub(crate) address: String,
    pub(crate) port: u16,
}

/// Runs a program to its end and wants it to succeed.
pub(crate) fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program}: {error}; apt-get install openssh-server openssh-client")
    });
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    output
}

pub(crate) fn user() -> String {
    String::from_utf8(run("id", &["-un"]).stdout).unwrap().trim().to_owned()
}

/// sshd wants to be started by its full path.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).map(|folder| folder.join("sshd"));
    let usual = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"].map(PathBuf::from);
    folders
        .chain(usual)
        .find(|path| path.is_file())
        .expect("these tests talk to a real sshd: apt-get install openssh-server")
}

/// Makes a key pair; `kind` is what `ssh-keygen -t` takes.
pub(crate) fn keygen(file: &Path, kind: &str, passphrase: &str) {
    let file = file.to_str().unwrap();
    // One round of key derivation: the tests are built without optimisation.
    let mut args =
        vec!["-q", "-t", kind, "-N", passphrase, "-C", "a comment", "-a", "1", "-f", file];
    if kind == "rsa" {
        args.extend(["-b", "2048"]);
    }
    run("ssh-keygen", &args);
}

impl Sshd {
    /// Starts a server with an Ed25519 host key and these lines in its config.
    pub(crate) fn start(home: &Home, lines: &str) -> Self {
        Self::with_host_keys(home, &["ed25519"], lines)
    }

    pub(crate) fn with_host_keys(home: &Home, kinds: &[&str], lines: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("sshd-").tempdir().unwrap();
        for kind in kinds {
            keygen(&dir.path().join(format!("host_{kind}")), kind, "");
        }
        let address = "127.0.0.1".to_owned();
        let port = TcpListener::bind((address.as_str(), 0)).unwrap().local_addr().unwrap().port();
        Self::in_folder(dir, kinds, &address, port, home, lines)
    }

    fn in_folder(
        dir: TempDir,
        kinds: &[&str],
        address: &str,
        port: u16,
        home: &Home,
        lines: &str,
    ) -> Self {
        if user() == "root" {
            // The package's start-up script makes it; nothing starts it in a container.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let path = |name: &str| dir.path().join(name).display().to_string();
        let mut config = format!(
            "ListenAddress 0.0.0.0\nPort {port}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\n\
             LogLevel VERBOSE\nAuthorizedKeysFile {}\n",
            home.path("authorized_keys").display(),
        );
        for kind in kinds {
            config.push_str(&format!("HostKey {}\n", path(&format!("host_{kind}"))));
        }
        // The first value of a setting counts; of MaxStartups it is the last.
        fs::write(path("config"), format!("MaxStartups 200\n{lines}\n{config}")).unwrap();
        let child = Command::new(program())
            .args(["-D", "-f", &path("config"), "-E", &path("log")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A stopped member of the test's own group would have the kernel hang the group up,
            // should its shell go.
            .process_group(0)
            .spawn()
            .unwrap();
        let sshd = Self { child, dir, address: address.to_owned(), port };
        let start = Instant::now();
        while !sshd.log().contains("Server listening") {
            assert!(start.elapsed() < START_LIMIT, "sshd does not start: {}", sshd.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        sshd
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The public half of a host key: type and base64.
    pub(crate) fn host_key(&self, kind: &str) -> String {
        let file = self.dir.path().join(format!("host_{kind}.pub"));
        let text = fs::read_to_string(file).unwrap();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn fingerprint(&self, kind: &str) -> String {
        let file = self.dir.path().join(format!("host_{kind}.pub"));
        let output = run("ssh-keygen", &["-l", "-f", file.to_str().unwrap()]);
        String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
    }

    /// The name this server has in known_hosts files.
    pub(crate) fn name(&self) -> String {
        format!("[{}]:{}", self.address, self.port)
    }

    /// The server's own process and those of all sessions, deepest last.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut found = vec![self.child.id()];
        let mut next = 0;
        let parents = parents();
        while let Some(&parent) = found.get(next) {
            found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| pid));
            next += 1;
        }
        found
    }

    /// Sends a signal to sshd and its sessions, but not to the commands in them.
    pub(crate) fn signal(&self, signal: &str) {
        for pid in self.processes() {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            if name.starts_with("sshd") {
                send(signal, pid);
            }
        }
    }
}

/// Sends a signal to a process, which may be gone by now.
pub(crate) fn send(signal: &str, pid: u32) {
    let _ = Command::new("kill").args([signal, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Every process of the machine with its parent.
fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let rest = stat.rsplit_once(") ")?.1;
        Some((pid, rest.split(' ').nth(1)?.parse().ok()?))
    };
    pids.filter_map(parent).collect()
}

impl Drop for Sshd {
    fn drop(&mut self) {
        for pid in self.processes() {
            send("-KILL", pid);
        }
        let _ = self.child.wait();
    }
}

/// The operator's home directory: keys, known hosts.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("home-").tempdir().unwrap();
        // A server that runs as another user reads authorized_keys.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(dir.path().join(".ssh")).unwrap();
        fs::write(dir.path().join("authorized_keys"), "").unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.path(".ssh/known_hosts")
    }

    /// Makes a key that servers let in.
    pub(crate) fn key(&self, name: &str, kind: &str, passphrase: &str) -> PathBuf {
        let file = self.stranger(name, kind, passphrase);
        let line = fs::read_to_string(file.with_extension("pub")).unwrap();
        let list = self.path("authorized_keys");
        fs::write(&list, fs::read_to_string(&list).unwrap() + &line).unwrap();
        file
    }

    /// Makes a key that no server lets in.
    pub(crate) fn stranger(&self, name: &str, kind: &str, passphrase: &str) -> PathBuf {
        let file = self.path(".ssh").join(name);
        keygen(&file, kind, passphrase);
        file
    }

    /// Adds a line to known_hosts.
    pub(crate) fn know(&self, line: &str) {
        let file = self.known_hosts();
        let text = fs::read_to_string(&file).unwrap_or_default();
        fs::write(&file, format!("{text}{line}\n")).unwrap();
    }

    /// Puts a server's Ed25519 key on file.
    pub(crate) fn trust(&self, sshd: &Sshd) {
        self.know(&format!("{} {}", sshd.name(), sshd.host_key("ed25519")));
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            config_file: Some("none".into()),
            home: Some(self.dir.path().to_path_buf()),
            agent: Some("none".into()),
            ..Options::default()
        }
    }

    pub(crate) fn ssh(&self) -> Ssh {
        Ssh::new(self.options()).unwrap()
    }
}

impl Sshd {
    /// How this server is reached, with the default keys of the home directory.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            host: self.address.clone(),
            port: Some(self.port),
            user: Some(user()),
            ..Endpoint::default()
        }
    }
}

/// An agent with no keys, killed when dropped.
pub(crate) struct Agent {
    child: Child,
    pub(crate) socket: PathBuf,
}

impl Agent {
    pub(crate) fn start(home: &Home) -> Self {
        let socket = home.path("agent.sock");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a", socket.to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("apt-get install openssh-client");
        let start = Instant::now();
        while !socket.exists() {
            assert!(start.elapsed() < START_LIMIT, "ssh-agent does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, socket }
    }

    /// Hands a key to the agent.
    pub(crate) fn add(&self, file: &Path) {
        let status = Command::new("ssh-add")
            .args(["-q", file.to_str().unwrap()])
            .env("SSH_AUTH_SOCK", &self.socket)
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
