//! Settles how one host is reached: the operator's settings, then ssh_config, then the defaults.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::process::Command as Process;
use tokio::sync::OnceCell;

use super::config::{self, Odd, Proxy, Roots, Rule, Said};
use super::known_hosts::Names;
use super::{DEFAULT_PORT, Options, SSH_PROGRAM_LIMIT};
use crate::node::{Endpoint, NodeError};
use crate::text::one_line;

/// How one host is reached, settled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Settings {
    /// The name the operator uses.
    pub(super) name: String,
    /// The name or address to connect to.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    /// `HostKeyAlias`.
    pub(super) alias: Option<String>,
    pub(super) identities: Vec<Identity>,
    /// Whether `IdentityFile` was set at all; if not, OpenSSH's default files are tried.
    pub(super) identities_given: bool,
    pub(super) identities_only: bool,
    /// The agent's socket.
    pub(super) agent: Option<PathBuf>,
    /// The user's files first; the first of them takes new keys.
    pub(super) known_hosts: Vec<PathBuf>,
    pub(super) hash_known_hosts: bool,
    /// Jump hosts, first hop first.
    pub(super) jumps: Vec<String>,
}

/// A private key file to offer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) path: PathBuf,
    /// The operator named it in the inventory or on the command line, so it has to be there.
    pub(super) must_exist: bool,
}

impl Settings {
    /// `host:port`, for messages.
    pub(super) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The names its keys are on file under.
    pub(super) fn names(&self) -> Names {
        match &self.alias {
            Some(alias) => Names::alias(alias),
            None => Names::of(&self.host, self.port),
        }
    }
}

/// Reads ssh_config once and answers for every host.
#[derive(Debug)]
pub(super) struct Resolver {
    options: Arc<Options>,
    home: PathBuf,
    rules: OnceCell<Result<Vec<Rule>, Unread>>,
    /// What the `ssh` program said, by what it was asked.
    asked: Mutex<HashMap<Question, Arc<Answer>>>,
    local_user: OnceCell<Result<String, NodeError>>,
}

/// Host, user and port as the operator set them: a `Match` may look at all three.
type Question = (String, Option<String>, Option<u16>);

type Answer = OnceCell<Result<Said, NodeError>>;

#[derive(Debug, Clone)]
enum Unread {
    Odd(Odd),
    Broken(String),
}

impl Resolver {
    pub(super) fn new(options: Arc<Options>, home: PathBuf) -> Self {
        Self {
            options,
            home,
            rules: OnceCell::new(),
            asked: Mutex::default(),
            local_user: OnceCell::new(),
        }
    }

    /// Returns how `endpoint` is reached.
    ///
    /// # Errors
    /// [`NodeError::Local`]: a host name that is none, a config that cannot be read.
    pub(super) async fn settle(&self, endpoint: &Endpoint) -> Result<Settings, NodeError> {
        check_host(&endpoint.host)?;
        let said = self.said(endpoint).await?;
        let user = match endpoint.user.clone().or_else(|| said.user.clone()) {
            Some(user) => user,
            None => self.local_user().await?,
        };
        let name = endpoint.host.clone();
        let host = match (&endpoint.address, &said.host_name) {
            (Some(address), _) => address.clone(),
            (None, Some(host_name)) => expand(host_name, &[('h', &name)]).map_err(local)?,
            (None, None) => name.clone(),
        };
        check_host(&host)?;
        let port = endpoint.port.or(said.port).unwrap_or(DEFAULT_PORT);
        // Rarely wanted, and it takes a process.
        let local_user = if said.mentions("%u") { self.local_user().await? } else { String::new() };
        let tokens = Tokens {
            home: &self.home,
            host: &host,
            name: &name,
            port: &port.to_string(),
            user: &user,
            alias: said.host_key_alias.as_deref().unwrap_or(&name),
            local_user: &local_user,
        };
        let jumps = self.jumps(endpoint, &said, &tokens)?;
        Ok(Settings {
            identities: identities(endpoint, &said, &tokens)?,
            identities_given: !endpoint.identity_files.is_empty()
                || !said.identity_files.is_empty(),
            identities_only: said.identities_only.unwrap_or(false),
            agent: self.agent(said.identity_agent.as_deref(), &tokens)?,
            known_hosts: self.known_hosts(endpoint, &said, &tokens)?,
            hash_known_hosts: said.hash_known_hosts.unwrap_or(false),
            alias: said.host_key_alias.clone(),
            jumps,
            port,
            user,
            host,
            name,
        })
    }

    fn jumps(
        &self,
        endpoint: &Endpoint,
        said: &Said,
        tokens: &Tokens<'_>,
    ) -> Result<Vec<String>, NodeError> {
        if let Some(jumps) = &endpoint.proxy_jump {
            return Ok(jumps.clone());
        }
        match &said.proxy {
            Some(Proxy::Jump(jumps)) if jumps != "none" => jumps
                .split(',')
                .map(|jump| tokens.expand(jump.trim()))
                .collect::<Result<_, _>>()
                .map_err(local),
            Some(Proxy::Command(command)) if command != "none" => Err(NodeError::Local(format!(
                "ProxyCommand of {} is not supported, only ProxyJump",
                one_line(endpoint.host.as_bytes(), 80)
            ))),
            Some(_) | None => Ok(Vec::new()),
        }
    }

    fn known_hosts(
        &self,
        endpoint: &Endpoint,
        said: &Said,
        tokens: &Tokens<'_>,
    ) -> Result<Vec<PathBuf>, NodeError> {
        if !endpoint.known_hosts.is_empty() {
            return Ok(endpoint.known_hosts.iter().map(|path| tokens.home_path(path)).collect());
        }
        let or = |list: &Option<Vec<String>>, default: &[&str]| match list {
            Some(list) => list.clone(),
            None => default.iter().map(|&file| file.to_owned()).collect(),
        };
        let mut files = or(&said.user_known_hosts, &["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]);
        files.extend(or(
            &said.global_known_hosts,
            &["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
        ));
        files.iter().filter(|file| *file != "none").map(|file| tokens.path(file)).collect()
    }

    fn agent(&self, said: Option<&str>, tokens: &Tokens<'_>) -> Result<Option<PathBuf>, NodeError> {
        let from_env = || self.options.agent.clone().or_else(|| env_path("SSH_AUTH_SOCK"));
        match said {
            None | Some("SSH_AUTH_SOCK") => Ok(from_env()),
            Some("none") => Ok(None),
            Some(variable) if variable.starts_with('$') && !variable.starts_with("${") => {
                Ok(env_path(variable.trim_start_matches('$')))
            }
            Some(path) => tokens.path(path).map(Some),
        }
    }

    async fn said(&self, endpoint: &Endpoint) -> Result<Said, NodeError> {
        let rules = self.rules.get_or_init(async || self.read()).await;
        match rules {
            Ok(rules) => Ok(config::lookup(rules, &endpoint.host)),
            Err(Unread::Broken(text)) => Err(NodeError::Local(text.clone())),
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
        let mut rules = Vec::new();
        let user_file = user_include.join("config");
        let system = Path::new("/etc/ssh");
        let system_file = system.join("ssh_config");
        for (file, roots) in
            [(user_file, roots), (system_file, Roots { home: &self.home, include: system })]
        {
            let text = match std::fs::read(&file) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Unread::Broken(format!("{}: {error}", file.display()))),
            };
            check_mode(&file)?;
            let text = String::from_utf8_lossy(&text);
            rules.push(Rule::File(config::parse(&text, &file, roots, 0).map_err(Unread::Odd)?));
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

    /// Returns the name of the user who runs this.
    ///
    /// `id` asks the same sources as OpenSSH; $USER may be another's under sudo.
    async fn local_user(&self) -> Result<String, NodeError> {
        let ask = || async {
            let id = Process::new("id").arg("-un").stdin(Stdio::null()).output().await;
            let name = id
                .ok()
                .filter(|id| id.status.success())
                .map(|id| String::from_utf8_lossy(&id.stdout).trim().to_owned());
            name.filter(|name| !name.is_empty())
                .or_else(|| std::env::var("USER").ok())
                .ok_or_else(|| NodeError::Local("no login name: set a user".into()))
        };
        self.local_user.get_or_init(ask).await.clone()
    }
}

/// What `%` tokens stand for.
struct Tokens<'a> {
    home: &'a Path,
    host: &'a str,
    name: &'a str,
    port: &'a str,
    user: &'a str,
    alias: &'a str,
    local_user: &'a str,
}

impl Tokens<'_> {
    fn expand(&self, text: &str) -> Result<String, String> {
        expand(
            text,
            &[
                ('d', &self.home.to_string_lossy()),
                ('h', self.host),
                ('k', self.alias),
                ('n', self.name),
                ('p', self.port),
                ('r', self.user),
                ('u', self.local_user),
            ],
        )
    }

    /// Returns a path of ssh_config with tokens, `${variables}` and `~` filled in.
    fn path(&self, text: &str) -> Result<PathBuf, NodeError> {
        let text = variables(&self.expand(text).map_err(local)?).map_err(local)?;
        Ok(self.home_path(Path::new(&text)))
    }

    fn home_path(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("~") {
            Ok(rest) => self.home.join(rest),
            Err(_) => path.to_path_buf(),
        }
    }
}

fn identities(
    endpoint: &Endpoint,
    said: &Said,
    tokens: &Tokens<'_>,
) -> Result<Vec<Identity>, NodeError> {
    if endpoint.identity_files.is_empty() {
        let files = said.identity_files.iter().filter(|file| *file != "none");
        return files
            .map(|file| Ok(Identity { path: tokens.path(file)?, must_exist: false }))
            .collect();
    }
    let files = endpoint.identity_files.iter();
    Ok(files.map(|file| Identity { path: tokens.home_path(file), must_exist: true }).collect())
}

/// Fills in `%` tokens.
fn expand(text: &str, tokens: &[(char, &str)]) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(character) = chars.next() {
        if character != '%' {
            filled.push(character);
            continue;
        }
        match chars.next() {
            Some('%') => filled.push('%'),
            token => match tokens.iter().find(|(known, _)| Some(*known) == token) {
                Some((_, value)) => filled.push_str(value),
                None => return Err(format!("unknown % token in {text} of the ssh config")),
            },
        }
    }
    Ok(filled)
}

/// Fills in `${variables}` of the environment.
fn variables(text: &str) -> Result<String, String> {
    let Some((before, rest)) = text.split_once("${") else {
        return Ok(text.to_owned());
    };
    let (name, after) = rest.split_once('}').ok_or_else(|| format!("no }} in {text}"))?;
    let value = std::env::var(name).map_err(|_| format!("${{{name}}} of {text} is not set"))?;
    Ok(format!("{before}{value}{}", variables(after)?))
}

fn env_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn local(text: String) -> NodeError {
    NodeError::Local(one_line(text.as_bytes(), 300))
}

/// Refuses what is no host name: it is given to `ssh` and to shells in the fixes we print.
fn check_host(host: &str) -> Result<(), NodeError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || "'`\"$\\;&<>|(){},".contains(c);
    if host.is_empty() || host.starts_with('-') || host.contains(bad) {
        return Err(local(format!("not a host name: {host:?}")));
    }
    Ok(())
}

/// Refuses a config file others may write, as OpenSSH does.
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
