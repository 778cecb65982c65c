//! Finds out what ssh_config says: by reading it ourselves, or from the `ssh` program.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::process::Command as Process;
use tokio::sync::OnceCell;

use super::config::{self, Asked, Fail, Parser, Place, Roots, Rules, Said};
use super::settings::{check_user, local};
use super::{ConfigReader, Options};
use crate::node::{Endpoint, NodeError};
use crate::text::one_line;

/// How long `ssh -G` may take. It answers in milliseconds, unless a `Match exec` hangs.
const SSH_PROGRAM_LIMIT: Duration = Duration::from_secs(10);

/// How long the command of a `Match exec` may take.
const EXEC_LIMIT: Duration = Duration::from_secs(10);

/// The shell of an `ssh -G` that may not run a `Match exec`: the program ends with an error when
/// it would. No file of this name can be.
const NO_SHELL: &str = "/dev/null/match-exec-is-not-allowed";

/// Host, user and port as the operator set them: a `Match` may look at all three.
type Question = (String, Option<String>, Option<u16>);

type Answer = OnceCell<Result<Said, NodeError>>;

/// The ssh_config files, read once.
#[derive(Debug)]
pub(super) struct Source {
    options: Arc<Options>,
    home: std::path::PathBuf,
    rules: OnceCell<Result<Rules, Fail>>,
    /// What the `ssh` program said, by what it was asked.
    asked: Mutex<HashMap<Question, Arc<Answer>>>,
    /// What it prints when there is no file at all.
    pub(super) defaults: OnceCell<String>,
}

impl Source {
    pub(super) fn new(options: Arc<Options>, home: std::path::PathBuf) -> Self {
        Self {
            options,
            home,
            rules: OnceCell::new(),
            asked: Mutex::default(),
            defaults: OnceCell::new(),
        }
    }

    /// Returns what the files say of a host, for the user `local_user` of this machine.
    ///
    /// # Errors
    /// [`NodeError::Local`]: a file that cannot be read or understood, a `Match exec` that is not
    /// allowed.
    pub(super) async fn said(
        &self,
        endpoint: &Endpoint,
        local_user: &str,
    ) -> Result<Said, NodeError> {
        let rules = self.rules.get_or_init(async || self.read()).await;
        let rules = rules.as_ref().map_err(|fail| local(fail.to_string()))?;
        match self.options.config_reader {
            ConfigReader::Program => self.by_program(endpoint, rules, None).await,
            ConfigReader::Auto | ConfigReader::Own => {
                self.by_rules(endpoint, rules, local_user).await
            }
        }
    }

    /// Refuses an endpoint whose `Match exec` would run without having been allowed, for a way there
    /// that reads the files itself. Where there is no such line, faults of the files are that way's
    /// own to tell; where there is one, each fault leaves open whether it would run.
    pub(super) async fn check_exec(
        &self,
        endpoint: &Endpoint,
        local_user: &str,
    ) -> Result<(), NodeError> {
        let rules = self.rules.get_or_init(async || self.read()).await;
        let is_open = match rules {
            Ok(rules) => rules.exec.is_some(),
            Err(_) => true,
        };
        match self.said(endpoint, local_user).await {
            Err(error) if is_open && !self.options.allow_match_exec => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn by_rules(
        &self,
        endpoint: &Endpoint,
        rules: &Rules,
        local_user: &str,
    ) -> Result<Said, NodeError> {
        let mut ran = HashMap::new();
        loop {
            let found = config::lookup(
                rules,
                &Asked {
                    host: &endpoint.host,
                    user: endpoint.user.as_deref(),
                    port: endpoint.port,
                    local_user,
                    home: &self.home,
                    ran: &ran,
                },
            );
            match found {
                Ok(said) => return Ok(said),
                Err(Fail::Exec(place, _)) if !self.options.allow_match_exec => {
                    return Err(not_allowed(Some(&place)));
                }
                Err(Fail::Exec(place, command)) => {
                    if let Some(user) = &endpoint.user {
                        check_user(user)?;
                    }
                    let well =
                        run(&command).await.map_err(|what| local(format!("{place}: {what}")))?;
                    ran.insert(command, well);
                }
                Err(fail @ Fail::Odd(..)) if self.options.config_reader == ConfigReader::Auto => {
                    return self.by_program(endpoint, rules, Some(&fail)).await;
                }
                Err(fail @ Fail::Odd(..)) => {
                    return Err(local(format!(
                        "{fail}; only the ssh program understands this line"
                    )));
                }
                Err(fail @ (Fail::Bad(..) | Fail::File(_))) => return Err(local(fail.to_string())),
            }
        }
    }

    /// Reads the user's file and the system's, or the one that was named.
    fn read(&self) -> Result<Rules, Fail> {
        let user_include = self.home.join(".ssh");
        let user = Roots { home: &self.home, include: &user_include, system: false };
        let mut parser = Parser::new();
        match &self.options.config_file {
            Some(file) if file.as_os_str() == "none" => {}
            Some(file) => {
                std::fs::metadata(file)
                    .map_err(|error| Fail::File(format!("{}: {error}", file.display())))?;
                parser.file(file, user, false)?;
            }
            None => {
                parser.file(&user_include.join("config"), user, true)?;
                let folder = Path::new("/etc/ssh");
                let system = Roots { home: &self.home, include: folder, system: true };
                parser.file(&folder.join("ssh_config"), system, false)?;
            }
        }
        Ok(parser.done())
    }

    /// Asks the program, once for each question.
    async fn by_program(
        &self,
        endpoint: &Endpoint,
        rules: &Rules,
        why: Option<&Fail>,
    ) -> Result<Said, NodeError> {
        let question = (endpoint.host.clone(), endpoint.user.clone(), endpoint.port);
        let cell = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(asked.entry(question.clone()).or_default())
        };
        let ask = || async {
            if let Some(user) = &endpoint.user {
                check_user(user)?;
            }
            let defaults = self.defaults.get_or_try_init(|| self.usual(why)).await?;
            let printed = self.ask_ssh(&question, rules, why).await?;
            Ok(config::from_ssh(&printed, defaults))
        };
        cell.get_or_init(ask).await.clone()
    }

    /// What `ssh -G` prints of a host of which no file says anything.
    async fn usual(&self, why: Option<&Fail>) -> Result<String, NodeError> {
        let mut ssh = Process::new("ssh");
        ssh.args(["-T", "-G", "-F", "none", "--", "localhost"]);
        self.output(ssh, "localhost", None, why).await
    }

    /// Asks `ssh -G`, which knows every directive.
    async fn ask_ssh(
        &self,
        question: &Question,
        rules: &Rules,
        why: Option<&Fail>,
    ) -> Result<String, NodeError> {
        let (host, user, port) = question;
        let mut ssh = Process::new("ssh");
        // -T stops a warning about the terminal.
        ssh.args(["-T", "-G"]);
        if let Some(file) = &self.options.config_file {
            ssh.arg("-F").arg(file);
        }
        if let Some(user) = user {
            ssh.args(["-l", user]);
        }
        if let Some(port) = port {
            ssh.args(["-p", &port.to_string()]);
        }
        ssh.args(["--", host]);
        if !self.options.allow_match_exec {
            ssh.env("SHELL", NO_SHELL);
        }
        self.output(ssh, host, rules.exec.as_ref(), why).await
    }

    async fn output(
        &self,
        mut ssh: Process,
        host: &str,
        exec: Option<&Place>,
        why: Option<&Fail>,
    ) -> Result<String, NodeError> {
        ssh.stdin(Stdio::null()).kill_on_drop(true);
        let host = one_line(host.as_bytes(), 80);
        let output = match tokio::time::timeout(SSH_PROGRAM_LIMIT, ssh.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                let line = why.map_or_else(|| "ssh -G".to_owned(), ToString::to_string);
                return Err(local(format!(
                    "{line}; only the ssh program understands this line, and it is not installed"
                )));
            }
            Ok(Err(error)) => return Err(NodeError::Local(format!("ssh -G: {error}"))),
            Err(_) => {
                return Err(NodeError::Local(format!(
                    "ssh -G {host} did not end within {SSH_PROGRAM_LIMIT:?}"
                )));
            }
        };
        if !output.status.success() {
            let text = one_line(&output.stderr, 300);
            if text.contains(NO_SHELL) {
                return Err(not_allowed(exec));
            }
            return Err(NodeError::Local(format!("ssh -G {host} failed: {text}")));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn not_allowed(place: Option<&Place>) -> NodeError {
    let place = place.map_or_else(|| "the ssh config".to_owned(), ToString::to_string);
    local(format!(
        "{place}: Match exec runs a command on this machine: --allow-match-exec allows it"
    ))
}

/// Runs the command of a `Match exec` as OpenSSH does; returns whether it ended well.
async fn run(command: &str) -> Result<bool, String> {
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let mut process = Process::new(shell.unwrap_or_else(|| "/bin/sh".into()));
    process.arg("-c").arg(command).kill_on_drop(true);
    process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match tokio::time::timeout(EXEC_LIMIT, process.status()).await {
        Ok(Ok(status)) if status.code().is_some() => Ok(status.success()),
        Ok(Ok(status)) => Err(format!("the command of Match exec ended with {status}")),
        Ok(Err(error)) => Err(format!("the command of Match exec: {error}")),
        Err(_) => Err(format!("the command of Match exec did not end within {EXEC_LIMIT:?}")),
    }
}
