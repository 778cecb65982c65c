//! Fills in what stands for something else in ssh_config: `%` tokens, `${variables}`, `~`.

use std::path::{Path, PathBuf};

use super::settings::local;
use crate::node::NodeError;

/// What `%` tokens stand for.
pub(super) struct Tokens<'a> {
    pub(super) home: &'a Path,
    /// `%h`, the name to connect to.
    pub(super) host: &'a str,
    /// `%n`, the name the operator uses.
    pub(super) name: &'a str,
    pub(super) port: &'a str,
    /// `%r`, the user at the other end.
    pub(super) user: &'a str,
    pub(super) alias: &'a str,
    /// `%u`, the user at this end.
    pub(super) local_user: &'a str,
}

impl Tokens<'_> {
    pub(super) fn expand(&self, text: &str) -> Result<String, NodeError> {
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
    pub(super) fn path(&self, text: &str) -> Result<PathBuf, NodeError> {
        let text = variables(&self.expand(text)?)?;
        Ok(self.home_path(Path::new(&text)))
    }

    pub(super) fn home_path(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("~") {
            Ok(rest) => self.home.join(rest),
            Err(_) => path.to_path_buf(),
        }
    }
}

/// Fills in `%` tokens.
pub(super) fn expand(text: &str, tokens: &[(char, &str)]) -> Result<String, NodeError> {
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
                None => {
                    return Err(local(format!("unknown % token in {text} of the ssh config")));
                }
            },
        }
    }
    Ok(filled)
}

/// Fills in `${variables}` of the environment.
fn variables(text: &str) -> Result<String, NodeError> {
    let Some((before, rest)) = text.split_once("${") else {
        return Ok(text.to_owned());
    };
    let (name, after) = rest.split_once('}').ok_or_else(|| local(format!("no }} in {text}")))?;
    let value =
        std::env::var(name).map_err(|_| local(format!("${{{name}}} of {text} is not set")))?;
    Ok(format!("{before}{value}{}", variables(after)?))
}

pub(super) fn env_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}
