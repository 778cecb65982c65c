//! Facts: all that one survey learnt of a node. JMX down makes one fact unknown, not the node.

use super::config::Config;
use super::disk::Disk;
use super::fact::{Fact, Why, WhyKind};
use super::holdings::{Backups, LeftOver, Snapshots};
use super::jvm::Process;
use super::nodetool::netstats::Mode;

/// What is known of one node, and why the rest is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whether incremental backups are on in the running process.
    pub live: Fact<bool>,
    /// cassandra.yaml: its path on the node and what it says.
    pub config: Fact<(String, Config)>,
    /// The release version of the running process.
    pub version: Fact<String>,
    /// The running process, `None` when there is none.
    pub process: Fact<Option<Process>>,
    /// The ports that are listened on there, when they can be seen.
    pub listening: Option<Vec<u16>>,
    /// What the node says it is doing; asked only when there is doubt.
    pub mode: Option<Fact<Mode>>,
    /// The data folders that were looked at.
    pub data_dirs: Fact<Vec<String>>,
    /// What the backups folders hold.
    pub backups: Fact<Backups>,
    /// Snapshots, by kind.
    pub snapshots: Fact<Vec<Snapshots>>,
    /// Folders of dropped tables.
    pub left_overs: Fact<Vec<LeftOver>>,
    /// The data folders' file systems.
    pub disks: Fact<Vec<Disk>>,
    /// The node's clock when it was asked, seconds since 1970.
    pub now: Fact<i64>,
}

impl Facts {
    /// Returns facts of a node that could not be asked at all.
    pub fn unknown(why: &Why) -> Self {
        fn same<T>(why: &Why) -> Fact<T> {
            Fact::Unknown(why.clone())
        }
        Self {
            live: same(why),
            config: same(why),
            version: same(why),
            process: same(why),
            listening: None,
            mode: None,
            data_dirs: same(why),
            backups: same(why),
            snapshots: same(why),
            left_overs: same(why),
            disks: same(why),
            now: same(why),
        }
    }

    /// Whether the node talks to the others: it listens on one of its storage ports. `None` when
    /// that cannot be seen.
    pub fn is_talking(&self) -> Option<bool> {
        let (_, config) = self.config.known()?;
        let listening = self.listening.as_ref()?;
        Some(config.storage_ports.iter().any(|port| listening.contains(port)))
    }

    /// Whether incremental backups are on after the next start: cassandra.yaml, or the setting
    /// in the process's arguments where Cassandra lets that win.
    pub fn configured(&self) -> Fact<bool> {
        let process = self.process.known().and_then(Option::as_ref);
        if let Some(text) = process.and_then(|process| process.override_of_yaml.as_deref()) {
            return match text.to_ascii_lowercase().as_str() {
                "true" => Fact::Known(true),
                "false" => Fact::Known(false),
                _ => Fact::unknown(
                    WhyKind::NotUnderstood,
                    format!("the process sets incremental_backups to '{text}'"),
                ),
            };
        }
        match &self.config {
            Fact::Known((_, config)) => config.incremental_backups.clone(),
            Fact::Unknown(why) => Fact::Unknown(why.clone()),
        }
    }
}
