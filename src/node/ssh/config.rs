//! Reads ssh_config files as far as a line to a node needs them.
//!
//! What it does not understand is not guessed: `Match`, `CanonicalizeHostname` and unknown
//! keywords are an [`Odd`] line, and the `ssh` program is asked instead. A test compares the two.

use std::path::{Path, PathBuf};

use super::pattern;

/// What ssh_config says of one host; tokens and `~` as they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) host_name: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) identity_files: Vec<String>,
    pub(super) identities_only: Option<bool>,
    pub(super) identity_agent: Option<String>,
    pub(super) proxy: Option<Proxy>,
    pub(super) user_known_hosts: Option<Vec<String>>,
    pub(super) global_known_hosts: Option<Vec<String>>,
    pub(super) host_key_alias: Option<String>,
    pub(super) hash_known_hosts: Option<bool>,
}

impl Said {
    /// Whether a value that may hold tokens holds this one.
    pub(super) fn mentions(&self, token: &str) -> bool {
        let proxy = match &self.proxy {
            Some(Proxy::Jump(text) | Proxy::Command(text)) => Some(text),
            None => None,
        };
        let lists = [&self.user_known_hosts, &self.global_known_hosts];
        self.identity_files
            .iter()
            .chain(proxy)
            .chain(&self.identity_agent)
            .chain(lists.into_iter().flatten().flatten())
            .any(|text| text.contains(token))
    }
}

/// How a host is reached when not directly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proxy {
    /// `ProxyJump`: hosts with commas between, or `none`.
    Jump(String),
    /// `ProxyCommand`: a command line, or `none`.
    Command(String),
}

/// A line this resolver leaves to the `ssh` program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {what}", file.display())]
pub(super) struct Odd {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) what: String,
}

/// One line of a file that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    Host(Vec<String>),
    Set(Setting),
    /// The rules of an included file; a `Host` in it ends with it.
    File(Vec<Rule>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    HostName(String),
    Port(u16),
    User(String),
    IdentityFile(String),
    IdentitiesOnly(bool),
    IdentityAgent(String),
    Proxy(Proxy),
    UserKnownHosts(Vec<String>),
    GlobalKnownHosts(Vec<String>),
    HostKeyAlias(String),
    HashKnownHosts(bool),
}

/// Includes within includes, as many as OpenSSH follows.
const MAX_DEPTH: usize = 16;

/// Keywords that change nothing for a line that runs commands: forwarding, terminals, passwords,
/// the algorithms, which are ours, and the timeouts, which are options of our own.
const IRRELEVANT: &str = " addkeystoagent addressfamily batchmode bindaddress bindinterface \
    canonicaldomains canonicalizefallbacklocal canonicalizemaxdots canonicalizepermittedcnames \
    casignaturealgorithms certificatefile challengeresponseauthentication channeltimeout \
    checkhostip ciphers clearallforwardings compression compressionlevel connectionattempts \
    connecttimeout controlmaster controlpath controlpersist dynamicforward enableescapecommandline \
    enablesshkeysign escapechar exitonforwardfailure fingerprinthash forkafterauthentication \
    forwardagent forwardx11 forwardx11timeout forwardx11trusted gatewayports gssapiauthentication \
    gssapiclientidentity gssapidelegatecredentials gssapikeyexchange gssapirenewalforcesrekey \
    gssapiserveridentity gssapitrustdns gssapikexalgorithms hostbasedacceptedalgorithms \
    hostbasedauthentication hostbasedkeytypes hostkeyalgorithms ipqos kbdinteractiveauthentication \
    kbdinteractivedevices kexalgorithms knownhostscommand localcommand localforward loglevel \
    logverbose macs nohostauthenticationforlocalhost numberofpasswordprompts obscurekeystroketiming \
    passwordauthentication permitlocalcommand permitremoteopen pkcs11provider \
    preferredauthentications proxyusefdpass pubkeyacceptedalgorithms pubkeyacceptedkeytypes \
    pubkeyauthentication rekeylimit remotecommand remoteforward requesttty requiredrsasize \
    revokedhostkeys securitykeyprovider sendenv serveralivecountmax serveraliveinterval sessiontype \
    setenv stdinnull streamlocalbindmask streamlocalbindunlink stricthostkeychecking syslogfacility \
    tcpkeepalive tunnel tunneldevice updatehostkeys useprivilegedport usekeychain \
    usepamsession verifyhostkeydns versionaddendum visualhostkey warnweakcrypto xauthlocation ";

/// Where relative and `~` paths of `Include` begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Roots<'a> {
    pub(super) home: &'a Path,
    /// `~/.ssh`, or `/etc/ssh` for the system's file.
    pub(super) include: &'a Path,
}

/// Returns the rules of a file's `text`.
///
/// # Errors
/// The first line that only the `ssh` program understands.
pub(super) fn parse(
    text: &str,
    file: &Path,
    roots: Roots<'_>,
    depth: usize,
) -> Result<Vec<Rule>, Odd> {
    let mut rules = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let odd = |what: String| Odd { file: file.to_path_buf(), line: index + 1, what };
        let Some((keyword, rest)) = split_keyword(line) else {
            continue;
        };
        if keyword == "include" {
            if depth == MAX_DEPTH {
                return Err(odd("too many Include levels".into()));
            }
            for name in words(rest).map_err(odd)? {
                for path in included(&name, roots).map_err(odd)? {
                    let Ok(text) = std::fs::read(&path) else {
                        continue;
                    };
                    let text = String::from_utf8_lossy(&text);
                    rules.push(Rule::File(parse(&text, &path, roots, depth + 1)?));
                }
            }
        } else if let Some(rule) = rule(&keyword, rest).map_err(odd)? {
            rules.push(rule);
        }
    }
    Ok(rules)
}

/// Returns the keyword in lower case and the rest of the line; none for blanks and comments.
fn split_keyword(line: &str) -> Option<(String, &str)> {
    let line = line.trim_matches([' ', '\t', '\r', '\x0c']);
    let end = line.find([' ', '\t', '=']).unwrap_or(line.len());
    let (keyword, rest) = line.split_at_checked(end)?;
    let rest = rest.trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start_matches([' ', '\t']);
    (!keyword.is_empty() && !keyword.starts_with('#')).then(|| (keyword.to_lowercase(), rest))
}

fn rule(keyword: &str, rest: &str) -> Result<Option<Rule>, String> {
    let set = match keyword {
        "host" => return Ok(Some(Rule::Host(words(rest)?))),
        // These two take the rest of the line as it stands.
        "proxyjump" => Setting::Proxy(Proxy::Jump(whole(rest)?)),
        "proxycommand" => Setting::Proxy(Proxy::Command(whole(rest)?)),
        "hostname" => Setting::HostName(one(rest)?),
        "port" => Setting::Port(match one(rest)?.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err(format!("bad port: {rest}")),
        }),
        "user" => Setting::User(one(rest)?),
        "identityfile" => Setting::IdentityFile(one(rest)?),
        "identitiesonly" => Setting::IdentitiesOnly(yes(rest)?),
        "identityagent" => Setting::IdentityAgent(one(rest)?),
        "userknownhostsfile" => Setting::UserKnownHosts(words(rest)?),
        "globalknownhostsfile" => Setting::GlobalKnownHosts(words(rest)?),
        "hostkeyalias" => Setting::HostKeyAlias(one(rest)?),
        "hashknownhosts" => Setting::HashKnownHosts(yes(rest)?),
        "canonicalizehostname" if !yes(rest).unwrap_or(true) => return Ok(None),
        _ if IRRELEVANT.contains(&format!(" {keyword} ")) => return Ok(None),
        _ => return Err(format!("{keyword} {rest}")),
    };
    Ok(Some(Rule::Set(set)))
}

fn whole(rest: &str) -> Result<String, String> {
    let rest = rest.trim();
    if rest.is_empty() { Err("a value is missing".into()) } else { Ok(rest.to_owned()) }
}

fn one(rest: &str) -> Result<String, String> {
    match <[String; 1]>::try_from(words(rest)?) {
        Ok([word]) => Ok(word),
        Err(_) => Err(format!("one value is wanted: {rest}")),
    }
}

fn yes(rest: &str) -> Result<bool, String> {
    match one(rest)?.as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        other => Err(format!("yes or no is wanted: {other}")),
    }
}

/// Splits a line's values as OpenSSH does: blanks, both quotes, backslash, `#` at a word's start.
fn words(rest: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut chars = rest.chars().peekable();
    loop {
        while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        if matches!(chars.peek(), None | Some('#')) {
            break;
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next_if(|c| quote.is_some() || !matches!(c, ' ' | '\t')) {
            let escaped = |next: &char| {
                matches!(next, '\'' | '"' | '\\') || (quote.is_none() && *next == ' ')
            };
            match c {
                '\\' => word.push(chars.next_if(escaped).unwrap_or('\\')),
                '\'' | '"' if quote == Some(c) => quote = None,
                '\'' | '"' if quote.is_none() => quote = Some(c),
                _ => word.push(c),
            }
        }
        if quote.is_some() {
            return Err(format!("a quote is open: {rest}"));
        }
        words.push(word);
    }
    if words.is_empty() { Err("a value is missing".into()) } else { Ok(words) }
}

/// Returns the files an `Include` names, in the order of their names.
fn included(name: &str, roots: Roots<'_>) -> Result<Vec<PathBuf>, String> {
    let path = match name.strip_prefix("~/") {
        Some(rest) => roots.home.join(rest),
        None if name.starts_with('~') => return Err(format!("Include {name}")),
        None => roots.include.join(name),
    };
    let special = |text: &str| text.contains(['*', '?', '[', '{', '\\']);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let last = path.file_name().and_then(|last| last.to_str()).unwrap_or_default();
    if special(&folder.to_string_lossy()) || last.contains(['[', '{', '\\']) {
        return Err(format!("Include {name}"));
    }
    if !special(last) {
        return Ok(vec![path]);
    }
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && pattern::matches(last, name))
        .map(|name| folder.join(name))
        .collect();
    found.sort();
    Ok(found)
}

/// Returns what `rules` say of `host`: of every setting the first value that applies.
pub(super) fn lookup(rules: &[Rule], host: &str) -> Said {
    let mut said = Said::default();
    apply(rules, host, &mut said);
    said
}

fn apply(rules: &[Rule], host: &str, said: &mut Said) {
    let mut active = true;
    for rule in rules {
        match rule {
            Rule::Host(patterns) => {
                active = pattern::list_matches(patterns.iter().map(String::as_str), host);
            }
            Rule::Set(setting) if active => set(said, setting.clone()),
            Rule::File(rules) if active => apply(rules, host, said),
            Rule::Set(_) | Rule::File(_) => {}
        }
    }
}

fn set(said: &mut Said, setting: Setting) {
    fn first<T>(slot: &mut Option<T>, value: T) {
        slot.get_or_insert(value);
    }
    match setting {
        Setting::HostName(name) => first(&mut said.host_name, name),
        Setting::Port(port) => first(&mut said.port, port),
        Setting::User(user) => first(&mut said.user, user),
        Setting::IdentityFile(file) if said.identity_files.contains(&file) => {}
        Setting::IdentityFile(file) => said.identity_files.push(file),
        Setting::IdentitiesOnly(only) => first(&mut said.identities_only, only),
        Setting::IdentityAgent(agent) => first(&mut said.identity_agent, agent),
        Setting::Proxy(proxy) => first(&mut said.proxy, proxy),
        Setting::UserKnownHosts(files) => first(&mut said.user_known_hosts, files),
        Setting::GlobalKnownHosts(files) => first(&mut said.global_known_hosts, files),
        Setting::HostKeyAlias(alias) => first(&mut said.host_key_alias, alias),
        Setting::HashKnownHosts(hash) => first(&mut said.hash_known_hosts, hash),
    }
}

/// Returns what `ssh -G` printed of a host.
pub(super) fn from_ssh(printed: &str) -> Said {
    let mut said = Said::default();
    for line in printed.lines() {
        let Some((keyword, value)) = line.split_once(' ') else {
            continue;
        };
        let list = |value: &str| value.split(' ').map(str::to_owned).collect();
        // ssh fills in the tokens of these three; we would do it a second time.
        let filled = || value.replace('%', "%%");
        match keyword {
            "hostname" => said.host_name = Some(filled()),
            "port" => said.port = value.parse().ok(),
            "user" => said.user = Some(value.to_owned()),
            "identityfile" => said.identity_files.push(value.to_owned()),
            "identitiesonly" => said.identities_only = Some(value == "yes"),
            "identityagent" => said.identity_agent = Some(filled()),
            "proxyjump" => said.proxy = Some(Proxy::Jump(value.to_owned())),
            "proxycommand" => said.proxy = Some(Proxy::Command(value.to_owned())),
            "userknownhostsfile" => said.user_known_hosts = Some(list(&filled())),
            "globalknownhostsfile" => said.global_known_hosts = Some(list(value)),
            "hostkeyalias" => said.host_key_alias = Some(value.to_owned()),
            "hashknownhosts" => said.hash_known_hosts = Some(value == "yes"),
            _ => {}
        }
    }
    // With no IdentityFile set, ssh prints its default files, which nobody asked for.
    let default = |name: &str| said.identity_files.iter().any(|file| file == name);
    if ["~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"].into_iter().all(default)
        && said.identity_files.iter().all(|file| file.starts_with("~/.ssh/id_"))
    {
        said.identity_files.clear();
    }
    said
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
