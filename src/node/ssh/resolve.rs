//! Settles how one host is reached: the operator's settings, then ssh_config, then the defaults.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command as Process;
use tokio::sync::OnceCell;

use super::config::{Said, Value};
use super::explain::{self, Explained};
use super::notices::{Notices, unsupported};
use super::settings::{
    CONNECT_TIMEOUT, Family, HostKeyChecking, Identity, Keepalive, Rekey, Settings, Wanted,
    check_host, check_user, local,
};
use super::source::Source;
use super::tokens::{self, IN_PROXIES, Tokens, env_path, expand};
use super::{DEFAULT_PORT, Options};
use crate::node::{AuthMethod, Endpoint, NodeError};
use crate::text::one_line;

/// Settles how hosts are reached.
#[derive(Debug)]
pub(super) struct Resolver {
    options: Arc<Options>,
    home: PathBuf,
    source: Source,
    local_user: OnceCell<Result<String, NodeError>>,
    pub(super) notices: Notices,
}

impl Resolver {
    pub(super) fn new(options: Arc<Options>, home: PathBuf) -> Self {
        Self {
            source: Source::new(Arc::clone(&options), home.clone()),
            notices: Notices::new(options.notice.clone()),
            options,
            home,
            local_user: OnceCell::new(),
        }
    }

    /// Returns how `endpoint` is reached, and says once what is not followed on the way.
    ///
    /// # Errors
    /// [`NodeError::Local`]: a host name that is none, a config that cannot be read.
    pub(super) async fn settle(&self, endpoint: &Endpoint) -> Result<Settings, NodeError> {
        let (said, settings) = self.resolve(endpoint).await?;
        self.notices.say(unsupported(&said, &settings));
        Ok(settings)
    }

    /// As [`Resolver::settle`], with where each setting comes from.
    pub(super) async fn explain(&self, endpoint: &Endpoint) -> Result<Explained, NodeError> {
        let (said, settings) = self.resolve(endpoint).await?;
        let given = self.options.connect_timeout.is_some();
        Ok(explain::explain(endpoint, &said, &settings, given))
    }

    /// Refuses a `Match exec` that nobody allowed; see [`Source::check_exec`].
    pub(super) async fn check_exec(&self, endpoint: &Endpoint) -> Result<(), NodeError> {
        let local_user = self.local_user().await?;
        self.source.check_exec(endpoint, &local_user).await
    }

    async fn resolve(&self, endpoint: &Endpoint) -> Result<(Said, Settings), NodeError> {
        check_host(&endpoint.host)?;
        let local_user = self.local_user().await?;
        let said = self.source.said(endpoint, &local_user).await?;
        let user = endpoint.user.as_deref().or(said.text("user")).unwrap_or(&local_user).to_owned();
        let name = endpoint.host.clone();
        let host = match (&endpoint.address, said.get("hostname")) {
            (Some(address), _) => address.clone(),
            (None, Some(value)) if value.filled => value.text().to_owned(),
            (None, Some(value)) => {
                expand(value.text(), &[('h', &name)]).map_err(|what| at(value, what))?
            }
            (None, None) => name.clone(),
        };
        // As OpenSSH: the tokens and known_hosts see it in lower case.
        let host = tokens::host(&host);
        check_host(&host)?;
        let port = endpoint.port.or_else(|| said.number("port")).unwrap_or(DEFAULT_PORT);
        let alias = said.text("hostkeyalias").map(str::to_lowercase);
        let jump = last_jump(endpoint, &said);
        let tokens = Tokens {
            home: &self.home,
            host: &host,
            name: &name,
            port: &port.to_string(),
            user: &user,
            alias: alias.as_deref().unwrap_or(&name),
            local_user: &local_user,
            jump: &jump,
            hash: RefCell::default(),
        };
        let settings = Settings {
            identities: identities(endpoint, &said, &tokens)?,
            identities_given: !endpoint.identity_files.is_empty()
                || !said.all("identityfile").is_empty(),
            identities_only: said.flag("identitiesonly").unwrap_or(false),
            agent: self.agent(said.get("identityagent"), &tokens)?,
            known_hosts: known_hosts(endpoint, &said, &tokens)?,
            hash_known_hosts: said.flag("hashknownhosts").unwrap_or(false),
            revoked_host_keys: files(said.all("revokedhostkeys"), &tokens)?,
            jumps: jumps(endpoint, &said, &tokens)?,
            proxy_command: proxy_command(endpoint, &said, &tokens)?,
            certificates: files(said.all("certificatefile"), &tokens)?,
            host_key_checking: match said.text("stricthostkeychecking") {
                Some("no" | "accept-new") => HostKeyChecking::AcceptNew,
                _ => HostKeyChecking::Strict,
            },
            connect_timeout: self
                .options
                .connect_timeout
                .or_else(|| seconds(&said, "connecttimeout"))
                .unwrap_or(CONNECT_TIMEOUT),
            attempts: said.number("connectionattempts").unwrap_or(1),
            keepalive: self.keepalive(&said),
            family: match said.text("addressfamily") {
                Some("inet") => Family::V4,
                Some("inet6") => Family::V6,
                _ => Family::Any,
            },
            bind_address: said.text("bindaddress").filter(|text| *text != "none").map(Into::into),
            compression: said.flag("compression").unwrap_or(false),
            rekey: rekey(&said),
            algorithms: wanted(&said),
            publickey: said.flag("pubkeyauthentication").unwrap_or(true)
                && preferred(&said).is_none_or(|list| list.contains(&"publickey")),
            auth: methods(endpoint, &said),
            is_jump: false,
            alias,
            port,
            user,
            host: host.clone(),
            name: name.clone(),
        };
        Ok((said, settings))
    }

    /// A half-open line has to be found, so that `ServerAliveInterval 0` is our own interval.
    fn keepalive(&self, said: &Said) -> Keepalive {
        let options = &self.options;
        let max = said.number("serveralivecountmax").filter(|max| *max > 0);
        Keepalive {
            interval: seconds(said, "serveraliveinterval").unwrap_or(options.keepalive_interval),
            max: max.unwrap_or(options.keepalive_max),
        }
    }

    fn agent(
        &self,
        said: Option<&Value>,
        tokens: &Tokens<'_>,
    ) -> Result<Option<PathBuf>, NodeError> {
        let from_env = || match &self.options.agent {
            Some(socket) if socket.as_os_str() == "none" => None,
            Some(socket) => Some(socket.clone()),
            None => env_path("SSH_AUTH_SOCK"),
        };
        let Some(value) = said else {
            return Ok(from_env());
        };
        match value.text() {
            "SSH_AUTH_SOCK" => Ok(from_env()),
            "none" => Ok(None),
            variable if variable.starts_with('$') && !variable.starts_with("${") => {
                Ok(env_path(variable.trim_start_matches('$')))
            }
            path if value.filled => Ok(Some(PathBuf::from(path))),
            path => tokens.path(path).map(Some).map_err(|what| at(value, what)),
        }
    }

    /// Returns the name of the user who runs this.
    ///
    /// `id` asks the same sources as OpenSSH; $USER may be another's under sudo.
    async fn local_user(&self) -> Result<String, NodeError> {
        let ask = || async {
            if let Some(name) = tokens::own_name() {
                return Ok(name);
            }
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

/// Names the line a value stands at.
fn at(value: &Value, what: String) -> NodeError {
    local(format!("{}: {what}", value.origin))
}

fn identities(
    endpoint: &Endpoint,
    said: &Said,
    tokens: &Tokens<'_>,
) -> Result<Vec<Identity>, NodeError> {
    if endpoint.identity_files.is_empty() {
        let files = files(said.all("identityfile"), tokens)?.into_iter();
        return Ok(files.map(|path| Identity { path, must_exist: false }).collect());
    }
    let files = endpoint.identity_files.iter();
    Ok(files.map(|file| Identity { path: tokens.home_path(file), must_exist: true }).collect())
}

/// Returns files with everything filled in; `none` is none.
fn files(values: &[Value], tokens: &Tokens<'_>) -> Result<Vec<PathBuf>, NodeError> {
    let values = values.iter().flat_map(|value| value.words.iter().map(move |word| (value, word)));
    let values = values.filter(|(_, word)| !word.eq_ignore_ascii_case("none"));
    values
        .map(|(value, word)| match value.filled {
            true => Ok(PathBuf::from(word)),
            false => tokens.path(word).map_err(|what| at(value, what)),
        })
        .collect()
}

fn known_hosts(
    endpoint: &Endpoint,
    said: &Said,
    tokens: &Tokens<'_>,
) -> Result<Vec<PathBuf>, NodeError> {
    if !endpoint.known_hosts.is_empty() {
        return Ok(endpoint.known_hosts.iter().map(|path| tokens.home_path(path)).collect());
    }
    let mut all = match said.all("userknownhostsfile") {
        [] => ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]
            .map(|file| tokens.home_path(Path::new(file)))
            .to_vec(),
        said => files(said, tokens)?,
    };
    match said.get("globalknownhostsfile") {
        // No tokens are filled in here.
        Some(value) => {
            let named = value.words.iter().filter(|word| *word != "none");
            all.extend(named.map(|file| tokens.home_path(Path::new(file))));
        }
        None => {
            all.extend(
                ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"].map(PathBuf::from),
            );
        }
    }
    Ok(all)
}

/// The jump hosts of ssh_config, as they are written.
fn said_jumps(said: &Said) -> Option<&Value> {
    said.get("proxyjump").filter(|value| value.text() != "none")
}

fn jumps(endpoint: &Endpoint, said: &Said, tokens: &Tokens<'_>) -> Result<Vec<String>, NodeError> {
    if let Some(jumps) = &endpoint.proxy_jump {
        return Ok(jumps.clone());
    }
    let Some(value) = said_jumps(said) else {
        return Ok(Vec::new());
    };
    let fill = |jump: &String| tokens.fill(jump, IN_PROXIES, false).map_err(|what| at(value, what));
    value.words.iter().map(fill).collect()
}

/// The host of the last jump, for `%j`.
fn last_jump(endpoint: &Endpoint, said: &Said) -> String {
    let last = match &endpoint.proxy_jump {
        Some(jumps) => jumps.last(),
        None => said_jumps(said).and_then(|value| value.words.last()),
    };
    let host = last.map(|jump| jump.rsplit('@').next().unwrap_or_default()).unwrap_or_default();
    match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((host, _)) => host.to_owned(),
        None => host.split(':').next().unwrap_or_default().to_owned(),
    }
}

fn proxy_command(
    endpoint: &Endpoint,
    said: &Said,
    tokens: &Tokens<'_>,
) -> Result<Option<String>, NodeError> {
    let value = said.get("proxycommand").filter(|value| !value.text().eq_ignore_ascii_case("none"));
    let Some(value) = value.filter(|_| endpoint.proxy_jump.is_none() && said_jumps(said).is_none())
    else {
        return Ok(None);
    };
    if value.text() == "-" {
        return Err(at(value, "ProxyCommand - is for programs that start ssh".into()));
    }
    if let Some(user) = &endpoint.user {
        check_user(user)?;
    }
    tokens.fill(value.text(), IN_PROXIES, false).map(Some).map_err(|what| at(value, what))
}

/// A time in seconds; none of it and no time at all are the same.
fn seconds(said: &Said, name: &str) -> Option<Duration> {
    said.number(name).filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

fn rekey(said: &Said) -> Rekey {
    let number = |at: usize| {
        let word = said.get("rekeylimit")?.words.get(at)?;
        word.parse::<u64>().ok().filter(|number| *number > 0)
    };
    Rekey { bytes: number(0), time: number(1).map(Duration::from_secs) }
}

fn wanted(said: &Said) -> Wanted {
    let list = |name: &str| said.text(name).map(str::to_owned);
    Wanted {
        ciphers: list("ciphers"),
        kex: list("kexalgorithms"),
        macs: list("macs"),
        host_keys: list("hostkeyalgorithms"),
        user_keys: list("pubkeyacceptedalgorithms"),
        ca_signatures: list("casignaturealgorithms"),
    }
}

fn preferred(said: &Said) -> Option<Vec<&str>> {
    said.text("preferredauthentications").map(|list| list.split(',').collect())
}

/// What the inventory allows beside keys and ssh_config does not rule out, in its order.
fn methods(endpoint: &Endpoint, said: &Said) -> Vec<AuthMethod> {
    let name = |method: AuthMethod| match method {
        AuthMethod::KeyboardInteractive => ("keyboard-interactive", "kbdinteractiveauthentication"),
        AuthMethod::Password => ("password", "passwordauthentication"),
    };
    let allowed = |method: &AuthMethod| said.flag(name(*method).1) != Some(false);
    let mut methods: Vec<AuthMethod> = endpoint.auth.iter().copied().filter(allowed).collect();
    if said.flag("batchmode") == Some(true) {
        methods.clear();
    }
    if let Some(list) = preferred(said) {
        let place = |method: AuthMethod| list.iter().position(|one| *one == name(method).0);
        methods.retain(|method| place(*method).is_some());
        methods.sort_by_key(|method| place(*method));
    }
    methods
}

/// A host as it is shown.
pub(super) fn shown(text: &str) -> String {
    one_line(text.as_bytes(), 300)
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "compare_tests.rs"]
mod compared;
