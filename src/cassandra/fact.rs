//! A fact about a node: known, or unknown with the reason. There is no third way, and no default.

use std::fmt;

/// Something a survey asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<T> {
    /// What was learnt.
    Known(T),
    /// Why it was not.
    Unknown(Why),
}

/// Why a fact is unknown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Why {
    /// The kind, for machines.
    pub kind: WhyKind,
    /// One line for people, free of control characters.
    pub text: String,
    /// What would put it right, when that is known better than by the kind.
    pub fix: Option<String>,
}

/// The kinds of not knowing. Their names are part of the JSON output.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum WhyKind {
    /// No way to the host: name, route, network.
    Unreachable,
    /// Nothing listens on the SSH port.
    Refused,
    /// The host key is unknown, changed or revoked.
    HostKey,
    /// The server let us not in.
    Auth,
    /// No answer in time.
    TimedOut,
    /// The line broke.
    Lost,
    /// A command, or nodetool, is not on the node.
    CommandNotFound,
    /// The account may not do it: file rights, sudo, JMX rights.
    NotPermitted,
    /// Cassandra's JMX port does not answer: it is not running, or not there.
    CassandraDown,
    /// Cassandra is starting: it is neither on nor off yet.
    Starting,
    /// JMX wants a user and password, or other ones.
    JmxAuth,
    /// An answer came and could not be understood.
    NotUnderstood,
    /// A file is not where it was looked for.
    FileNotFound,
    /// Cassandra knows no such keyspace or table.
    NoSuchTable,
    /// More came than is taken.
    TooMuch,
    /// It was not asked.
    NotAsked,
    /// A fault on the controller's side.
    Local,
}

impl<T> Fact<T> {
    /// Returns an unknown fact.
    pub fn unknown(kind: WhyKind, text: impl Into<String>) -> Self {
        Self::Unknown(Why::new(kind, text))
    }

    /// Returns what is known, if it is.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// Returns why it is unknown, if it is.
    pub fn why(&self) -> Option<&Why> {
        match self {
            Self::Known(_) => None,
            Self::Unknown(why) => Some(why),
        }
    }
}

impl Why {
    /// Returns a reason; `text` is made one safe line.
    pub fn new(kind: WhyKind, text: impl Into<String>) -> Self {
        // 400 characters hold every text of our own and a generous piece of a node's.
        let text = crate::text::one_line(text.into().as_bytes(), 400);
        Self { kind, text, fix: None }
    }

    /// Returns what helps against it.
    pub fn hint(&self) -> String {
        if let Some(fix) = &self.fix {
            return fix.clone();
        }
        let hint = match self.kind {
            WhyKind::Unreachable => "check the name, the network and that the host is up",
            WhyKind::Refused => "check that sshd runs there and the port is right",
            WhyKind::HostKey => {
                "compare the fingerprint with the host's own, then add or replace the key"
            }
            WhyKind::Auth => "check the user and the key; `ssh -v` to the same host shows more",
            WhyKind::TimedOut => {
                "the host or its JVM hangs or is overloaded: look there, then ask again"
            }
            WhyKind::Lost => "ask again; if it stays, look at sshd's log there",
            WhyKind::CommandNotFound => "set paths.nodetool in the inventory",
            WhyKind::NotPermitted => "give the account the right, or set sudo in the inventory",
            WhyKind::CassandraDown => "start Cassandra there, or set jmx.host and jmx.port",
            WhyKind::Starting => "ask again when it is up",
            WhyKind::JmxAuth => "set jmx.user and jmx.password_file in the inventory",
            WhyKind::NotUnderstood => {
                "look at the node; if the output is Cassandra's own, report it"
            }
            WhyKind::FileNotFound => "set paths.config and paths.data in the inventory",
            WhyKind::NoSuchTable => "name a table that exists, as keyspace.table",
            WhyKind::TooMuch => "look at the node: it prints without end",
            WhyKind::NotAsked => "ask again",
            WhyKind::Local => "mend it on this machine and ask again",
        };
        hint.to_owned()
    }

    /// Adds what would put it right.
    #[must_use]
    pub fn with_fix(mut self, fix: &str) -> Self {
        self.fix = Some(crate::text::one_line(fix.as_bytes(), 400));
        self
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
