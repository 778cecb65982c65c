//! The key `become`: whose rights are used on a node, by which program, and with which password.

use super::keys::Section;
use super::read::{Key, Reader};
use super::words;
use super::yaml::{Node, Place, Scalar, Value};

/// Whose rights a node's programs are given when the account's own do not do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Rights {
    /// The program that gives them.
    pub method: Method,
    /// The account on the node whose rights they are.
    pub user: String,
    /// Whether that program is given a password. The password itself is never kept here.
    pub password: PasswordOf,
}

/// The program that gives other rights.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// `sudo`.
    #[default]
    Sudo,
    /// `doas`, which takes a password from a terminal alone: here it must not want one.
    Doas,
}

/// Whose password is asked of the operator.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum PasswordOf {
    /// Nobody's: it must go without.
    #[default]
    None,
    /// One for all nodes that say so, asked once.
    Ask,
    /// One of this node alone.
    Own,
}

impl Default for Rights {
    fn default() -> Self {
        Self { method: Method::Sudo, user: "root".to_owned(), password: PasswordOf::None }
    }
}

impl Rights {
    /// Whether they are root's, by sudo, without a password.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The words that stand before a program when no password is wanted: `sudo -n --`.
    pub fn words(&self) -> Vec<&str> {
        let mut words = match self.method {
            Method::Sudo => vec!["sudo", "-n"],
            Method::Doas => vec!["doas", "-n"],
        };
        if self.user != "root" {
            words.extend(["-u", &self.user]);
        }
        if self.method == Method::Sudo {
            words.push("--");
        }
        words
    }
}

/// [`Rights`], as far as they are written down, and where.
#[derive(Debug, Clone, Default)]
pub(super) struct RightsSettings {
    at: Option<Place>,
    method: Option<Method>,
    user: Option<String>,
    password: Option<PasswordOf>,
}

impl RightsSettings {
    pub(super) fn read(reader: &mut Reader<'_>, key: Key<'_>, node: &Node) -> Self {
        let mut rights = Self { at: Some(key.at), ..Self::default() };
        for (key, value) in reader.section(node, Section::Become).unwrap_or_default() {
            match key.text.as_str() {
                "method" => {
                    let known = [("sudo", Method::Sudo), ("doas", Method::Doas)];
                    rights.method = one_of(reader, key, value, "sudo or doas", &known);
                }
                "user" => rights.user = reader.text(&key, value, words::account),
                _ => {
                    let words = "none, ask (one for all nodes) or own (one of this node alone); \
                                 the password itself has no place in this file";
                    let known = [
                        ("none", PasswordOf::None),
                        ("ask", PasswordOf::Ask),
                        ("own", PasswordOf::Own),
                    ];
                    rights.password = one_of(reader, key, value, words, &known);
                }
            }
        }
        rights
    }

    pub(super) fn over(self, defaults: Self) -> Self {
        Self {
            at: self.at.or(defaults.at),
            method: self.method.or(defaults.method),
            user: self.user.or(defaults.user),
            password: self.password.or(defaults.password),
        }
    }

    /// Returns the rights, after a look whether method and password go together.
    pub(super) fn finish(self, reader: &mut Reader<'_>) -> Rights {
        let usual = Rights::default();
        let rights = Rights {
            method: self.method.unwrap_or(usual.method),
            user: self.user.unwrap_or(usual.user),
            password: self.password.unwrap_or(usual.password),
        };
        if let (Method::Doas, PasswordOf::Ask | PasswordOf::Own, Some(at)) =
            (rights.method, rights.password, self.at)
        {
            let message = "doas takes a password from a terminal alone, expected no password \
                           here and `nopass` in the nodes' doas.conf";
            reader.wrong::<()>(at, message);
        }
        rights
    }
}

fn one_of<T: Copy>(
    reader: &mut Reader<'_>,
    key: Key<'_>,
    node: &Node,
    expected: &str,
    known: &[(&str, T)],
) -> Option<T> {
    if let Value::Scalar(Scalar { text, .. }) = &node.value
        && let Some((_, value)) = known.iter().find(|(word, _)| word == text)
    {
        return Some(*value);
    }
    reader.type_of(&key, node, expected)
}
