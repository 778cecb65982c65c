//! How a host is reached, told to the operator: every setting, and where it comes from.

use serde::Serialize;

use super::config::{Said, Value};
use super::notices::unsupported;
use super::resolve::shown;
use super::settings::{Family, HostKeyChecking, Settings};
use crate::node::{AuthMethod, Endpoint};

/// How one host is reached, with where each setting comes from. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The name the operator uses.
    pub host: String,
    /// The settings, in the order in which they come to matter.
    pub settings: Vec<Setting>,
    /// Jump hosts, `[user@]host[:port]`, first hop first. Each has settings of its own.
    pub jumps: Vec<String>,
    /// Directives that matter and are not followed, each in one line.
    pub notices: Vec<String>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name in ssh_config.
    pub directive: &'static str,
    /// What it is, everything filled in. Times are in seconds, amounts in bytes.
    pub value: String,
    /// `inventory or command line`, `file:line` of an ssh_config, `ssh -G`, or `default`.
    pub origin: String,
}

const OPERATOR: &str = "inventory or command line";
const DEFAULT: &str = "default";

/// Where a setting comes from, by who said it first.
fn origin(operator: bool, said: Option<&Value>) -> String {
    match said {
        _ if operator => OPERATOR.to_owned(),
        Some(value) => value.origin.to_string(),
        None => DEFAULT.to_owned(),
    }
}

pub(super) fn explain(
    endpoint: &Endpoint,
    said: &Said,
    settings: &Settings,
    timeout_given: bool,
) -> Explained {
    let mut list = List { said, settings: Vec::new() };
    list.way(endpoint, settings, timeout_given);
    list.trust(endpoint, settings);
    list.login(endpoint, settings);
    list.wire();
    Explained {
        host: shown(&endpoint.host),
        settings: list.settings,
        jumps: settings.jumps.iter().map(|jump| shown(jump)).collect(),
        notices: unsupported(said, settings),
    }
}

struct List<'a> {
    said: &'a Said,
    settings: Vec<Setting>,
}

impl List<'_> {
    /// Adds a setting; its name in lower case is what ssh_config knows it by.
    fn add(&mut self, directive: &'static str, operator: bool, value: impl ToString) {
        let said = self.said.get(&directive.to_lowercase());
        self.push(directive, value, origin(operator, said));
    }

    fn push(&mut self, directive: &'static str, value: impl ToString, origin: String) {
        self.settings.push(Setting { directive, value: shown(&value.to_string()), origin });
    }

    /// Adds a setting that is nothing unless somebody set it.
    fn add_if_said(&mut self, directive: &'static str) {
        if let Some(value) = self.said.get(&directive.to_lowercase()) {
            self.push(directive, value.words.join(" "), value.origin.to_string());
        }
    }

    /// Adds paths, each with its own line where every one counts.
    fn files(&mut self, directive: &'static str, paths: &[&std::path::Path]) {
        let values = self.said.all(&directive.to_lowercase());
        let values = values.iter().filter(|value| !value.text().eq_ignore_ascii_case("none"));
        let origins: Vec<String> = values.map(|value| value.origin.to_string()).collect();
        for (path, origin) in paths.iter().zip(origins) {
            self.push(directive, path.display(), origin);
        }
    }

    fn way(&mut self, endpoint: &Endpoint, settings: &Settings, timeout_given: bool) {
        self.add("HostName", endpoint.address.is_some(), &settings.host);
        self.add("Port", endpoint.port.is_some(), settings.port);
        self.add("User", endpoint.user.is_some(), &settings.user);
        let by_operator = endpoint.proxy_jump.is_some();
        if !settings.jumps.is_empty() || by_operator {
            let jumps =
                if settings.jumps.is_empty() { "none".into() } else { settings.jumps.join(",") };
            self.add("ProxyJump", by_operator, jumps);
        }
        if let Some(command) = &settings.proxy_command {
            self.add("ProxyCommand", false, command);
        }
        self.add("ConnectTimeout", timeout_given, settings.connect_timeout.as_secs_f64());
        self.add("ConnectionAttempts", false, settings.attempts);
        let family = match settings.family {
            Family::Any => "any",
            Family::V4 => "inet",
            Family::V6 => "inet6",
        };
        self.add("AddressFamily", false, family);
        if let Some(address) = &settings.bind_address {
            self.add("BindAddress", false, address);
        }
        let seconds = settings.keepalive.interval.as_secs_f64();
        // None at all is not taken.
        let taken = self.said.number("serveraliveinterval").filter(|own: &u64| *own > 0).is_some();
        let origin = origin(false, self.said.get("serveraliveinterval").filter(|_| taken));
        self.push("ServerAliveInterval", seconds, origin);
        self.add("ServerAliveCountMax", false, settings.keepalive.max);
    }

    fn trust(&mut self, endpoint: &Endpoint, settings: &Settings) {
        let checking = match settings.host_key_checking {
            HostKeyChecking::Strict => "yes",
            HostKeyChecking::AcceptNew => "accept-new",
        };
        self.add("StrictHostKeyChecking", false, checking);
        if let Some(alias) = &settings.alias {
            self.add("HostKeyAlias", false, alias);
        }
        let own = !endpoint.known_hosts.is_empty();
        let global = self.said.get("globalknownhostsfile");
        let globals = match global {
            _ if own => 0,
            Some(value) => value.words.iter().filter(|word| *word != "none").count(),
            None => 2,
        };
        let (users, globals) =
            settings.known_hosts.split_at(settings.known_hosts.len().saturating_sub(globals));
        let join = |files: &[std::path::PathBuf]| match files {
            [] => "none".to_owned(),
            _ => files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" "),
        };
        self.add("UserKnownHostsFile", own, join(users));
        if !own {
            self.add("GlobalKnownHostsFile", false, join(globals));
        }
        self.add("HashKnownHosts", false, yes(settings.hash_known_hosts));
        let revoked: Vec<_> =
            settings.revoked_host_keys.iter().map(|path| path.as_path()).collect();
        self.files("RevokedHostKeys", &revoked);
    }

    fn login(&mut self, endpoint: &Endpoint, settings: &Settings) {
        self.add("PubkeyAuthentication", false, yes(settings.publickey));
        if endpoint.identity_files.is_empty() {
            let files: Vec<_> = settings.identities.iter().map(|one| one.path.as_path()).collect();
            self.files("IdentityFile", &files);
            if !settings.identities_given {
                self.push("IdentityFile", "OpenSSH's usual files", DEFAULT.into());
            }
        }
        for identity in settings.identities.iter().filter(|_| !endpoint.identity_files.is_empty()) {
            self.push("IdentityFile", identity.path.display(), OPERATOR.into());
        }
        let files: Vec<_> = settings.certificates.iter().map(|path| path.as_path()).collect();
        self.files("CertificateFile", &files);
        self.add("IdentitiesOnly", false, yes(settings.identities_only));
        let agent = settings.agent.as_ref().map(|path| path.display().to_string());
        self.add("IdentityAgent", false, agent.unwrap_or_else(|| "none".into()));
        let methods: Vec<&str> = settings
            .auth
            .iter()
            .map(|method| match method {
                AuthMethod::KeyboardInteractive => "keyboard-interactive",
                AuthMethod::Password => "password",
            })
            .collect();
        if !endpoint.auth.is_empty() {
            let methods = if methods.is_empty() { "none".into() } else { methods.join(", ") };
            self.push("auth", methods, OPERATOR.into());
        }
        for directive in ["PreferredAuthentications", "PasswordAuthentication", "BatchMode"] {
            self.add_if_said(directive);
        }
        self.add_if_said("KbdInteractiveAuthentication");
    }

    fn wire(&mut self) {
        for directive in [
            "Ciphers",
            "KexAlgorithms",
            "MACs",
            "HostKeyAlgorithms",
            "PubkeyAcceptedAlgorithms",
            "CASignatureAlgorithms",
            "RekeyLimit",
        ] {
            self.add_if_said(directive);
        }
    }
}

fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}
