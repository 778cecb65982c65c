//! A host of the test's own: a mount namespace with accounts, sudoers and PAM in place of this
//! machine's, and a door that runs commands in it as an ordinary account.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ringhaul::inventory::{PasswordOf, Rights};
use ringhaul::node::{Command, Connect, Ended, Endpoint, Exit, Node, NodeError, Output, Sink};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// The password of `ops`. It is looked for on the whole machine, so nothing else has it.
pub(crate) const SECRET: &str = "Lab 5ecr3t'\"$x\\n%p-Zw9q";

/// The accounts of the host.
pub(crate) const OPS: u32 = 64711;
pub(crate) const CASSANDRA: u32 = 64712;

/// What Debian's sudoers begins with.
pub(crate) const USUAL: &str = "Defaults env_reset\nDefaults mail_badpass\n\
    Defaults secure_path=\"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"\n\
    Defaults !fqdn\n";

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A host whose sudoers is given, and the shell that runs its scripts.
pub(crate) struct Host {
    folder: tempfile::TempDir,
    holder: Child,
    about: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// A door to the host, as an account of it.
#[derive(Clone)]
pub(crate) struct Door {
    holder: u32,
    home: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Host {
    /// `rules` follow what is usual.
    pub(crate) fn new(rules: &str) -> Self {
        Self::prepared(rules, "dash", "")
    }

    /// `before` is what else is mounted or changed there, a script with `$D` as a folder.
    pub(crate) fn prepared(rules: &str, shell: &str, before: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("become").tempdir_in("/var/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let at = |name: &str| folder.path().join(name);
        let all = |name: &str, more: &str, mode: u32| {
            let text = fs::read_to_string(format!("/etc/{name}")).unwrap() + more;
            fs::write(at(name), text).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        let home = at("home").display().to_string();
        let accounts = format!(
            "ops:x:{OPS}:{OPS}::{home}:/bin/sh\ncassandra:x:{CASSANDRA}:{CASSANDRA}::/:/bin/sh\n"
        );
        all("passwd", &accounts, 0o644);
        all("group", &format!("ops:x:{OPS}:\ncassandra:x:{CASSANDRA}:\n"), 0o644);
        all("shadow", &format!("ops:{}:19000:0:99999:7:::\n", hash(SECRET)), 0o640);
        fs::write(at("sudoers"), format!("{USUAL}root ALL=(ALL:ALL) ALL\n{rules}\n")).unwrap();
        fs::set_permissions(at("sudoers"), fs::Permissions::from_mode(0o440)).unwrap();
        for folder in ["home", "sudoers.d", "pam.d"] {
            fs::create_dir(at(folder)).unwrap();
        }
        // Nobody else looks into a home.
        fs::set_permissions(at("home"), fs::Permissions::from_mode(0o700)).unwrap();
        chown(at("home"), Some(OPS), Some(OPS)).unwrap();
        let script = format!(
            "set -e; D={}\n\
             for f in passwd group shadow sudoers sudoers.d; do mount --bind $D/$f /etc/$f; done\n\
             mount -t tmpfs -o mode=755 none /run/sudo 2>/dev/null || true\n\
             {before}\necho ready; exec cat\n",
            folder.path().display()
        );
        let mut holder = Process::new("unshare")
            .args(["-m", "--propagation", "private", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare, of util-linux, as root");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "no mount namespace could be made: run the tests as root");
        Self { folder, holder, about: format!("{rules} {shell} {before}"), asked: Arc::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn door(&self) -> Door {
        Door { holder: self.holder.id(), home: self.path("home"), asked: Arc::clone(&self.asked) }
    }

    /// The commands that came over the door, as text.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// What was done to the host, for messages.
    pub(crate) fn shown(&self) -> &str {
        &self.about
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn hash(password: &str) -> String {
    let mut child = Process::new("openssl")
        .args(["passwd", "-6", "-stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl");
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), password.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Connect for Door {
    type Node = Self;

    async fn connect(&self, _: &Endpoint) -> Result<Self, NodeError> {
        Ok(self.clone())
    }
}

impl Node for Door {
    async fn feed(&self, command: &Command, sink: &mut Sink<'_>) -> Result<Ended, NodeError> {
        let output = self.begin(command).await;
        let _ = sink(&output.stdout);
        Ok(output.ended)
    }

    async fn pour(&self, command: &Command, into: mpsc::Sender<Bytes>) -> Result<Ended, NodeError> {
        let output = self.begin(command).await;
        into.send(output.stdout.into()).await.unwrap();
        Ok(output.ended)
    }

    async fn hold(
        &self,
        command: &Command,
        _: Duration,
        enough: impl Future<Output = ()> + Send,
        sink: &mut Sink<'_>,
    ) -> Result<Ended, NodeError> {
        enough.await;
        self.feed(command, sink).await
    }
}

impl Door {
    async fn begin(&self, command: &Command) -> Output {
        self.asked.lock().unwrap().push(command.to_string());
        let holder = self.holder.to_string();
        let (uid, gid) = (format!("--reuid={OPS}"), format!("--regid={OPS}"));
        let home = format!("HOME={}", self.home.display());
        // `sh` of the host may be another shell than this machine's.
        let shells = self.home.parent().unwrap().join("shells");
        let path = format!("PATH={}:/usr/bin:/bin", shells.display());
        let line = format!("cd; {command}");
        let mut process = tokio::process::Command::new("nsenter");
        process.args(["-m", "-t", &holder, "setpriv", &uid, &gid, "--clear-groups"]);
        process.args(["env", "-i", &home, &path, "LANG=de_DE.UTF-8", "/bin/sh", "-c", &line]);
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process.kill_on_drop(true).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let text = command.stdin().to_vec();
        let write = async move {
            // A command that does not read its input is fine.
            let _ = stdin.write_all(&text).await;
        };
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let all = async {
            let ((), out, err) =
                tokio::join!(write, out.read_to_end(&mut stdout), err.read_to_end(&mut stderr));
            out.and(err).unwrap();
            child.wait().await.unwrap()
        };
        let status = tokio::time::timeout(LIMIT, all).await.expect("a command hangs");
        let code = status.code().map(|code| Exit::Code(u32::try_from(code).unwrap()));
        let exit = code.unwrap_or_else(|| Exit::Signal(status.to_string()));
        Output { stdout, ended: Ended { exit, stderr } }
    }
}

/// Rights of `user` by a password.
pub(crate) fn rights(user: &str) -> Rights {
    Rights { user: user.to_owned(), password: PasswordOf::Ask, ..Rights::default() }
}

pub(crate) fn endpoint(host: &str) -> Endpoint {
    Endpoint { host: host.to_owned(), ..Endpoint::default() }
}

/// Makes `sh` of the host this program.
pub(crate) fn shell(program: &str) -> String {
    let program = Path::new(program).display();
    format!(
        "mkdir $D/shells; printf '#!/bin/sh\\nexec {program} \"$@\"\\n' >$D/shells/sh; chmod 755 $D/shells $D/shells/sh"
    )
}
