//! Finds out what ssh_config says: by reading it ourselves, or from the `ssh` program.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::process::Command as Process;
use tokio::sync::OnceCell;

use super::Options;
use super::config::{self, Odd, Roots, Rule, Said};
use super::settings::local;
use crate::node::{Endpoint, NodeError};
use crate::text::one_line;

/// How long `ssh -G` may take. It answers in milliseconds, unless a `Match exec` hangs.
const SSH_PROGRAM_LIMIT: Duration = Duration::from_secs(10);

/// Host, user and port as the operator set them: a `Match` may look at all three.
type Question = (String, Option<String>, Option<u16>);

type Answer = OnceCell<Result<Said, NodeError>>;

#[derive(Debug, Clone)]
enum Unread {
    Odd(Odd),
    Broken(String),
}

/// The ssh_config files, read once.
#[derive(Debug)]
pub(super) struct Source {
    options: Arc<Options>,
    home: PathBuf,
    rules: OnceCell<Result<Vec<Rule>, Unread>>,
    /// What the `ssh` program said, by what it was asked.
    asked: Mutex<HashMap<Question, Arc<Answer>>>,
}

impl Source {
    pub(super) fn new(options: Arc<Options>, home: PathBuf) -> Self {
        Self { options, home, rules: OnceCell::new(), asked: Mutex::default() }
    }

    /// Returns what the files say of a host.
    ///
    /// # Errors
    /// [`NodeError::Local`]: a file that cannot be read or understood.
    pub(super) async fn said(&self, endpoint: &Endpoint) -> Result<Said, NodeError> {
        let rules = self.rules.get_or_init(async || self.read()).await;
        match rules {
            Ok(rules) => Ok(config::lookup(rules, &endpoint.host)),
            Err(Unread::Broken(text)) => Err(local(text.clone())),
            Err(Unread::Odd(odd)) => {
                let question = (endpoint.host.clone(), endpoint.user.clone(), endpoint.port);
                let cell = {
                    let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                    Arc::clone(asked.entry(question.clone()).or_default())
                };
                cell.get_or_init(|| self.ask_ssh(&question, odd)).await.clone()
            }
        }
    }

    /// Reads the user's file and the system's, or the one that was named.
    fn read(&self) -> Result<Vec<Rule>, Unread> {
        let user_include = self.home.join(".ssh");
        let roots = Roots { home: &self.home, include: &user_include };
        if let Some(file) = &self.options.config_file {
            if file.as_os_str() == "none" {
                return Ok(Vec::new());
            }
            let text = std::fs::read(file)
                .map_err(|error| Unread::Broken(format!("{}: {error}", file.display())))?;
            return config::parse(&String::from_utf8_lossy(&text), file, roots, 0)
                .map_err(Unread::Odd);
        }
        let user_file = user_include.join("config");
        check_mode(&user_file)?;
        let system = Roots { home: &self.home, include: Path::new("/etc/ssh") };
        let mut rules = Vec::new();
        for (file, roots) in [(user_file, roots), (system.include.join("ssh_config"), system)] {
            let text = match std::fs::read(&file) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Unread::Broken(format!("{}: {error}", file.display()))),
            };
            let parsed = config::parse(&String::from_utf8_lossy(&text), &file, roots, 0);
            // A `Host` of one file ends with it.
            rules.push(Rule::File(parsed.map_err(Unread::Odd)?));
        }
        Ok(rules)
    }

    /// Asks `ssh -G`, which knows every directive.
    async fn ask_ssh(&self, question: &Question, odd: &Odd) -> Result<Said, NodeError> {
        let (host, user, port) = question;
        let mut ssh = Process::new("ssh");
        // -T stops a warning about the terminal.
        ssh.args(["-T", "-G"]).stdin(Stdio::null()).kill_on_drop(true);
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
        let output = match tokio::time::timeout(SSH_PROGRAM_LIMIT, ssh.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(NodeError::Local(format!(
                    "{}; only the ssh program understands this line, and it is not installed",
                    one_line(odd.to_string().as_bytes(), 300)
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
            return Err(NodeError::Local(format!("ssh -G {host} failed: {text}")));
        }
        Ok(config::from_ssh(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// Refuses a config file of the user that others may write, as OpenSSH does.
fn check_mode(file: &Path) -> Result<(), Unread> {
    use std::os::unix::fs::PermissionsExt;

    match std::fs::metadata(file) {
        Ok(meta) if meta.permissions().mode() & 0o022 != 0 => Err(Unread::Broken(format!(
            "{} may be written by others: chmod go-w {}",
            file.display(),
            file.display()
        ))),
        _ => Ok(()),
    }
}
