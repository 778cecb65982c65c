//! What may stand both under `defaults` and in a node, and how a node's own settings win.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::keys::Section;
use super::read::{Key, Reader};
use super::rights::RightsSettings;
use super::words;
use super::yaml::{Kind, Node, Place, Scalar, Value};
use super::{Jmx, Paths, Sudo};
use crate::node::{AuthMethod, Transport};

/// Settings as far as they are written down.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) user: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) identity_files: Option<Vec<PathBuf>>,
    pub(super) known_hosts: Option<Vec<PathBuf>>,
    pub(super) proxy_jump: Option<Vec<String>>,
    pub(super) auth: Option<Vec<AuthMethod>>,
    pub(super) transport: Option<Transport>,
    pub(super) sudo: Option<Sudo>,
    pub(super) rights: RightsSettings,
    pub(super) paths: Paths,
    pub(super) jmx: JmxSettings,
    pub(super) dc: Option<String>,
    pub(super) rack: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
}

/// [`Jmx`], as far as it is written down, and where.
#[derive(Debug, Clone, Default)]
pub(super) struct JmxSettings {
    at: Option<Place>,
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password_file: Option<String>,
    sudo: Option<bool>,
    /// Whether the keys are there at all, even with a value that is wrong.
    has_user: bool,
    has_password_file: bool,
}

impl Settings {
    /// Reads what stands under `defaults`.
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Self {
        let mut settings = Self::default();
        for (key, value) in reader.section(node, Section::Defaults).unwrap_or_default() {
            settings.take(reader, key, value);
        }
        settings
    }

    /// Reads one key; `section` has sorted out the unknown ones.
    pub(super) fn take(&mut self, reader: &mut Reader<'_>, key: Key<'_>, value: &Node) {
        match key.text.as_str() {
            "user" => self.user = reader.text(&key, value, words::user),
            "port" => self.port = reader.port(&key, value),
            "identity_file" => self.identity_files = reader.local_paths(&key, value),
            "known_hosts" => self.known_hosts = reader.local_paths(&key, value),
            "proxy_jump" => self.proxy_jump = proxy_jump(reader, key, value),
            "auth" => self.auth = auth(reader, key, value),
            "transport" => self.transport = transport(reader, key, value),
            "sudo" => self.sudo = sudo(reader, key, value),
            "become" => self.rights = RightsSettings::read(reader, key, value),
            "paths" => self.paths = paths(reader, value),
            "jmx" => self.jmx = JmxSettings::read(reader, key, value),
            "dc" => self.dc = reader.name(&key, value),
            "rack" => self.rack = reader.name(&key, value),
            "labels" => self.labels = labels(reader, value),
            _ => {}
        }
    }

    /// Returns these settings, and those of `defaults` where these say nothing.
    pub(super) fn over(self, defaults: &Self) -> Self {
        let defaults = defaults.clone();
        let mut labels = defaults.labels;
        labels.extend(self.labels);
        Self {
            user: self.user.or(defaults.user),
            port: self.port.or(defaults.port),
            identity_files: self.identity_files.or(defaults.identity_files),
            known_hosts: self.known_hosts.or(defaults.known_hosts),
            proxy_jump: self.proxy_jump.or(defaults.proxy_jump),
            auth: self.auth.or(defaults.auth),
            transport: self.transport.or(defaults.transport),
            sudo: self.sudo.or(defaults.sudo),
            rights: self.rights.over(defaults.rights),
            paths: Paths {
                nodetool: self.paths.nodetool.or(defaults.paths.nodetool),
                config: self.paths.config.or(defaults.paths.config),
                data: if self.paths.data.is_empty() {
                    defaults.paths.data
                } else {
                    self.paths.data
                },
            },
            jmx: self.jmx.over(defaults.jmx),
            dc: self.dc.or(defaults.dc),
            rack: self.rack.or(defaults.rack),
            labels,
        }
    }
}

impl JmxSettings {
    fn read(reader: &mut Reader<'_>, key: Key<'_>, node: &Node) -> Self {
        let mut jmx = Self { at: Some(key.at), ..Self::default() };
        let before = reader.problems.count();
        let entries = reader.section(node, Section::Jmx).unwrap_or_default();
        // A misspelt key, or a map that is none, is not missing as well.
        let misspelt = reader.problems.count() > before;
        (jmx.has_user, jmx.has_password_file) = (misspelt, misspelt);
        for (key, value) in entries {
            match key.text.as_str() {
                "host" => jmx.host = reader.text(&key, value, words::host),
                "port" => jmx.port = reader.port(&key, value),
                "user" => {
                    jmx.has_user = true;
                    jmx.user = reader.text(&key, value, words::user);
                }
                "password_file" => {
                    jmx.has_password_file = true;
                    jmx.password_file = reader.text(&key, value, words::node_path);
                }
                _ => jmx.sudo = reader.truth(&key, value),
            }
        }
        jmx
    }

    fn over(self, defaults: Self) -> Self {
        Self {
            at: self.at.or(defaults.at),
            host: self.host.or(defaults.host),
            port: self.port.or(defaults.port),
            user: self.user.or(defaults.user),
            password_file: self.password_file.or(defaults.password_file),
            sudo: self.sudo.or(defaults.sudo),
            has_user: self.has_user || defaults.has_user,
            has_password_file: self.has_password_file || defaults.has_password_file,
        }
    }

    /// Returns the options, after a look whether user and password file come together.
    pub(super) fn finish(self, reader: &mut Reader<'_>) -> Jmx {
        let half = match (self.has_user, self.has_password_file) {
            (true, false) => Some("jmx.user stands alone, expected jmx.password_file with it"),
            (false, true) => Some("jmx.password_file stands alone, expected jmx.user with it"),
            (true, true) | (false, false) => None,
        };
        if let (Some(message), Some(at)) = (half, self.at) {
            reader.wrong::<()>(at, message);
        }
        Jmx {
            host: self.host,
            port: self.port,
            user: self.user,
            password_file: self.password_file,
            sudo: self.sudo.unwrap_or_default(),
        }
    }
}

fn proxy_jump(reader: &mut Reader<'_>, key: Key<'_>, node: &Node) -> Option<Vec<String>> {
    let mut hops = Vec::new();
    for (at, text) in reader.words(&key, node, |_| Ok(()))? {
        hops.extend(text.split(',').map(|hop| (at, hop.trim().to_owned())));
    }
    if let [(_, one)] = hops.as_slice()
        && one == "none"
    {
        return Some(Vec::new());
    }
    if let Some((at, hop)) = hops.iter().find(|(_, hop)| words::jump(hop).is_err()) {
        let message = format!("proxy_jump '{hop}', expected [user@]host[:port], or none alone");
        return reader.wrong(*at, &message);
    }
    Some(hops.into_iter().map(|(_, hop)| hop).collect())
}

/// What may be tried beside public keys; `publickey` alone for nothing else.
fn auth(reader: &mut Reader<'_>, key: Key<'_>, node: &Node) -> Option<Vec<AuthMethod>> {
    let mut methods = Vec::new();
    for (at, word) in reader.words(&key, node, |_| Ok(()))? {
        match word.as_str() {
            "publickey" => {}
            "keyboard-interactive" => methods.push(AuthMethod::KeyboardInteractive),
            "password" => methods.push(AuthMethod::Password),
            other => {
                let known = ["publickey", "keyboard-interactive", "password"];
                let meant = crate::nearest::nearest(other, known);
                let meant = meant.map(|word| format!("; did you mean '{word}'?"));
                let message = format!(
                    "auth '{other}', expected publickey, keyboard-interactive, password{}",
                    meant.unwrap_or_default()
                );
                return reader.wrong(at, &message);
            }
        }
    }
    Some(methods)
}

fn transport(reader: &mut Reader<'_>, key: Key<'_>, node: &Node) -> Option<Transport> {
    let words = "builtin or openssh";
    let Value::Scalar(Scalar { text, .. }) = &node.value else {
        return reader.type_of(&key, node, words);
    };
    match text.as_str() {
        "builtin" => Some(Transport::Builtin),
        "openssh" => Some(Transport::Openssh),
        _ => reader.type_of(&key, node, words),
    }
}

fn sudo(reader: &mut Reader<'_>, key: Key<'_>, node: &Node) -> Option<Sudo> {
    let words = "auto, never or always";
    let Value::Scalar(Scalar { text, kind }) = &node.value else {
        return reader.type_of(&key, node, words);
    };
    let meant = match (text.as_str(), kind) {
        ("auto", _) => return Some(Sudo::Auto),
        ("never", _) => return Some(Sudo::Never),
        ("always", _) => return Some(Sudo::Always),
        (_, Kind::Truth(true)) => Some("always"),
        (_, Kind::Truth(false)) => Some("never"),
        (text, _) => crate::nearest::nearest(text, ["auto", "never", "always"]),
    };
    let meant = meant.map(|word| format!("; did you mean '{word}'?")).unwrap_or_default();
    reader.type_of(&key, node, &format!("{words}{meant}"))
}

fn paths(reader: &mut Reader<'_>, node: &Node) -> Paths {
    let mut paths = Paths::default();
    for (key, value) in reader.section(node, Section::Paths).unwrap_or_default() {
        match key.text.as_str() {
            "nodetool" => paths.nodetool = reader.text(&key, value, words::node_path),
            "config" => paths.config = reader.text(&key, value, words::node_path),
            _ => {
                let folders = reader.words(&key, value, words::node_path).unwrap_or_default();
                paths.data = folders.into_iter().map(|(_, folder)| folder).collect();
            }
        }
    }
    paths
}

fn labels(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let entries = reader.map(node, "labels", "a map of words, such as {env: prod}");
    for (key, value) in entries.unwrap_or_default() {
        if let Err(expected) = words::label_key(key.text) {
            reader.wrong::<()>(key.at, &format!("label '{}', expected {expected}", key.text));
        } else if let Some(text) = reader.name(&key, value) {
            labels.insert(key.text.clone(), text);
        }
    }
    labels
}
