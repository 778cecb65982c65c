//! Fills in what stands for something else in ssh_config: `%` tokens, `${variables}`, `~`.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

/// The tokens OpenSSH fills in in paths; `%%` is known everywhere.
pub(super) const IN_PATHS: &str = "CLdhijklnpru";

/// The tokens it fills in in the commands and hosts of a proxy.
pub(super) const IN_PROXIES: &str = "hknpr";

/// What `%` tokens stand for.
pub(super) struct Tokens<'a> {
    /// `%d`
    pub(super) home: &'a Path,
    /// `%h`, the name to connect to.
    pub(super) host: &'a str,
    /// `%n`, the name the operator uses.
    pub(super) name: &'a str,
    /// `%p`
    pub(super) port: &'a str,
    /// `%r`, the user at the other end.
    pub(super) user: &'a str,
    /// `%k`
    pub(super) alias: &'a str,
    /// `%u`, the user at this end.
    pub(super) local_user: &'a str,
    /// `%j`, the host of the last jump.
    pub(super) jump: &'a str,
    /// `%C`, once it was wanted.
    pub(super) hash: RefCell<Option<String>>,
}

impl Tokens<'_> {
    /// Fills in the tokens of `known`, and variables if they are to be looked for.
    pub(super) fn fill(
        &self,
        text: &str,
        known: &str,
        with_variables: bool,
    ) -> Result<String, String> {
        let value = |token: char| known.contains(token).then(|| self.value(token)).flatten();
        scan(text, value, with_variables)
    }

    /// Returns a path of ssh_config with tokens, `${variables}` and `~` filled in.
    pub(super) fn path(&self, text: &str) -> Result<PathBuf, String> {
        let text = tilde(text, self.home)?;
        self.fill(&text.to_string_lossy(), IN_PATHS, true).map(PathBuf::from)
    }

    /// Returns a path with `~` filled in, and nothing else.
    pub(super) fn home_path(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("~") {
            Ok(rest) => self.home.join(rest),
            Err(_) => path.to_path_buf(),
        }
    }

    fn value(&self, token: char) -> Option<Cow<'_, str>> {
        Some(match token {
            'C' => Cow::Owned(self.hash()),
            'L' => {
                let name = local_host();
                Cow::Owned(name.split('.').next().unwrap_or_default().to_owned())
            }
            'd' => self.home.to_string_lossy(),
            'h' => self.host.into(),
            'i' => Cow::Owned(rustix::process::getuid().as_raw().to_string()),
            'j' => self.jump.into(),
            'k' => self.alias.into(),
            'l' => Cow::Owned(local_host()),
            'n' => self.name.into(),
            'p' => self.port.into(),
            'r' => self.user.into(),
            'u' => self.local_user.into(),
            _ => return None,
        })
    }

    /// A short name of the connection: the hash of both ends, port, user and jump.
    fn hash(&self) -> String {
        let mut kept = self.hash.borrow_mut();
        kept.get_or_insert_with(|| {
            let mut hash = Sha1::new();
            for part in [&local_host(), self.host, self.port, self.user, self.jump] {
                hash.update(part);
            }
            hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
        })
        .clone()
    }
}

/// The name of this machine.
fn local_host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Fills in `%` tokens.
pub(super) fn expand(text: &str, tokens: &[(char, &str)]) -> Result<String, String> {
    let value = |token: char| {
        tokens.iter().find(|(known, _)| *known == token).map(|(_, value)| Cow::Borrowed(*value))
    };
    scan(text, value, false)
}

/// Fills in `${variables}` of the environment.
pub(super) fn variables(text: &str) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (value, after) = variable(after, text)?;
        filled.push_str(before);
        filled.push_str(&value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Goes through a text once: what is filled in is not looked at again.
fn scan<'a>(
    text: &str,
    value: impl Fn(char) -> Option<Cow<'a, str>>,
    with_variables: bool,
) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['%', '$']) {
        let (before, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        filled.push_str(before);
        let mut chars = after.chars();
        let mark = chars.next();
        if mark == Some('$') {
            if let Some(after) = after.strip_prefix("${").filter(|_| with_variables) {
                let (value, after) = variable(after, text)?;
                filled.push_str(&value);
                rest = after;
            } else {
                filled.push('$');
                rest = chars.as_str();
            }
            continue;
        }
        match chars.next() {
            Some('%') => filled.push('%'),
            token => match token.and_then(&value) {
                Some(value) => filled.push_str(&value),
                None => return Err(format!("unknown % token in {text}")),
            },
        }
        rest = chars.as_str();
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Returns the value of a variable whose name `after` begins with, and what is behind the brace.
fn variable<'a>(after: &'a str, text: &str) -> Result<(String, &'a str), String> {
    let (name, after) = after.split_once('}').ok_or_else(|| format!("no }} in {text}"))?;
    let value = std::env::var(name).map_err(|_| format!("${{{name}}} of {text} is not set"))?;
    Ok((value, after))
}

/// Fills in a `~` or `~user` at the beginning.
pub(super) fn tilde(text: &str, home: &Path) -> Result<PathBuf, String> {
    let Some(rest) = text.strip_prefix('~') else {
        return Ok(PathBuf::from(text));
    };
    let (user, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let home = if user.is_empty() { home.to_path_buf() } else { home_of(user)? };
    Ok(home.join(rest.trim_start_matches('/')))
}

/// The name of the user who runs this, if /etc/passwd has it.
pub(super) fn own_name() -> Option<String> {
    let own = rustix::process::getuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|fields| fields.get(2).is_some_and(|id| *id == own))?;
    line.first().filter(|name| !name.is_empty()).map(|name| (*name).to_owned())
}

/// The home of another user of this machine. `getent` also asks directories of users.
fn home_of(user: &str) -> Result<PathBuf, String> {
    let field = |text: &str| {
        let line = text.lines().find(|line| line.split(':').next() == Some(user))?;
        line.split(':').nth(5).map(PathBuf::from)
    };
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    field(&passwd)
        .or_else(|| {
            let asked = std::process::Command::new("getent")
                .args(["passwd", "--", user])
                .stdin(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .output();
            field(&String::from_utf8_lossy(&asked.ok()?.stdout))
        })
        .ok_or_else(|| format!("no user {user} on this machine"))
}

/// Writes a host in the one way it is looked up: names in lower case, addresses in their short
/// form.
pub(super) fn host(host: &str) -> String {
    match host.parse::<std::net::Ipv6Addr>() {
        Ok(address) => address.to_string(),
        Err(_) => host.to_lowercase(),
    }
}

pub(super) fn env_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}
