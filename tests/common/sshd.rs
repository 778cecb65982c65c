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

/// The password of servers that take one, and what /etc/shadow says of it.
pub(crate) const PASSWORD: &str = "correct horse";
const PASSWORD_HASH: &str = "$6$ringhaul$CcgSckya2qIbTorm7Jsafwu3rVwuvXvbmD7g1zyg3fRjHYTR1RpQ6/xInmFcv2y51MGq3bK84iOuq7npD33dc/";

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
        Self::prepared(home, kinds, |_| lines.to_owned())
    }

    /// Starts a server after `prepare` has seen the folder with its host keys; it returns lines
    /// for the config.
    pub(crate) fn prepared(
        home: &Home,
        kinds: &[&str],
        prepare: impl FnOnce(&Path) -> String,
    ) -> Self {
        Self::within(home, kinds, None, prepare)
    }

    /// Starts a server that knows the one account there is by the password `PASSWORD`, with these
    /// lines in its config; `pam` are the lines of its PAM service, when it has one.
    ///
    /// The server sees files of its own in place of /etc/shadow and /etc/pam.d/sshd. That takes
    /// root: none, with the reason printed, for others.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    pub(crate) fn with_passwords(home: &Home, pam: Option<&str>, lines: &str) -> Option<Self> {
        let allowed = Command::new("unshare").args(["-m", "true"]).output();
        if !allowed.is_ok_and(|made| made.status.success()) {
            println!("skipped: real passwords need root, for a mount namespace");
            return None;
        }
        fs::write(home.path("shadow"), format!("root:{PASSWORD_HASH}:19000:0:99999:7:::\n"))
            .unwrap();
        fs::write(home.path("pam"), pam.unwrap_or_default()).unwrap();
        let shown = |name: &str| home.path(name).display().to_string();
        let mut before = format!("mount --bind {} /etc/shadow", shown("shadow"));
        if pam.is_some() {
            before.push_str(&format!(" && mount --bind {} /etc/pam.d/sshd", shown("pam")));
        }
        let use_pam = if pam.is_some() { "UsePAM yes" } else { "UsePAM no" };
        let lines = format!("PermitRootLogin yes\n{use_pam}\n{lines}");
        Some(Self::within(home, &["ed25519"], Some(&before), |_| lines))
    }

    fn within(
        home: &Home,
        kinds: &[&str],
        before: Option<&str>,
        prepare: impl FnOnce(&Path) -> String,
    ) -> Self {
        let dir = tempfile::Builder::new().prefix("sshd-").tempdir().unwrap();
        for kind in kinds {
            keygen(&dir.path().join(format!("host_{kind}")), kind, "");
        }
        let address = "127.0.0.1".to_owned();
        let port = TcpListener::bind((address.as_str(), 0)).unwrap().local_addr().unwrap().port();
        let lines = prepare(dir.path());
        if user() == "root" {
            // The package's start-up script makes it; nothing starts it in a container.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let path = |name: &str| dir.path().join(name).display().to_string();
        let mut config = format!(
            // Told that it is no login shell, bash leaves out ~/.bashrc, which is whatever the
            // machine's user has there: seconds, and locks that a killed session leaves behind.
            "SetEnv SHLVL=2\n\
             ListenAddress 0.0.0.0\nPort {port}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\n\
             LogLevel VERBOSE\nAuthorizedKeysFile {}\nSetEnv HOME={}\n",
            home.path("authorized_keys").display(),
            // The start-up files of whoever runs the tests are slow, or wait for a lock.
            home.path("").display(),
        );
        for kind in kinds {
            config.push_str(&format!("HostKey {}\n", path(&format!("host_{kind}"))));
        }
        // The first value of a setting counts; of MaxStartups it is the last.
        fs::write(path("config"), format!("MaxStartups 200\n{lines}\n{config}")).unwrap();
        let mut command = match before {
            None => Command::new(program()),
            Some(before) => {
                let mut command = Command::new("unshare");
                let script = format!("{before} && exec \"$0\" \"$@\"");
                command.args(["-m", "sh", "-c", &script]).arg(program());
                command
            }
        };
        let child = command
            .args(["-D", "-f", &path("config"), "-E", &path("log")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A stopped member of the test's own group would have the kernel hang the group up,
            // should its shell go.
            .process_group(0)
            .spawn()
            .unwrap();
        let sshd = Self { child, dir, address, port };
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

    /// Gives the server another host key; sessions that are open go on.
    pub(crate) fn exchange_host_key(&self, kind: &str) {
        let file = self.dir.path().join(format!("host_{kind}"));
        fs::remove_file(&file).unwrap();
        fs::remove_file(file.with_extension("pub")).unwrap();
        keygen(&file, kind, "");
        send("-HUP", self.child.id());
        let start = Instant::now();
        while !self.log().contains("restarting")
            || self.log().matches("Server listening").count() < 2
        {
            assert!(start.elapsed() < START_LIMIT, "sshd does not restart: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
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
