//! What the manifests name, node by node, without a look at the files.

use globset::GlobMatcher;

use super::contents::{NodeContents, Seen};
use super::error::StoreError;
use super::{Store, layout, names_in};

/// What is meant by a node's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhichNode {
    /// None.
    #[error("the store holds nothing of a node '{wanted}'")]
    None {
        /// What was asked for.
        wanted: String,
    },
    /// More than one.
    #[error("'{wanted}' may be {}", hosts.join(", "))]
    Several {
        /// What was asked for.
        wanted: String,
        /// Host ids and names.
        hosts: Vec<String>,
    },
}

impl Store {
    /// Returns what the manifests name of a node; with `listed` only of the tables meant by it
    /// (`keyspace.table`), each set by itself.
    ///
    /// # Errors
    /// When the manifests cannot be listed. One that cannot be read is told in the result.
    pub fn contents(
        &self,
        host: &str,
        listed: Option<&GlobMatcher>,
    ) -> Result<NodeContents, StoreError> {
        let mut node = NodeContents { host_id: host.to_owned(), ..NodeContents::default() };
        let mut seen = Seen::default();
        for manifest in self.manifests(host)? {
            match manifest {
                Ok(manifest) => node.add(&manifest, listed, &mut seen),
                Err(error) => node.unread.push(error.to_string()),
            }
        }
        node.sort();
        Ok(node)
    }

    /// Returns the name that the last run had for a node; empty when none is known.
    ///
    /// # Errors
    /// When the manifests cannot be listed.
    pub fn name_of(&self, host: &str) -> Result<String, StoreError> {
        let last = self.manifests(host)?.last_readable();
        Ok(last.map(|manifest| manifest.node.name).unwrap_or_default())
    }

    /// Returns the host id that is meant: by the id, its beginning, or a node's name.
    ///
    /// # Errors
    /// When none is meant, or several may be; or the folders cannot be read.
    pub fn find_host(&self, wanted: &str) -> Result<Result<String, WhichNode>, StoreError> {
        let hosts = self.hosts()?;
        if let Some(host) = hosts.iter().find(|host| *host == wanted) {
            return Ok(Ok(host.clone()));
        }
        let mut named = Vec::new();
        for host in hosts {
            let name = self.name_of(&host)?;
            if name == wanted || (!wanted.is_empty() && host.starts_with(wanted)) {
                named.push((host, name));
            }
        }
        let wanted = crate::text::visible(wanted);
        Ok(match named.as_slice() {
            [] => Err(WhichNode::None { wanted }),
            [(host, _)] => Ok(host.clone()),
            several => {
                let shown = |(host, name): &(String, String)| {
                    format!("{host} ({})", crate::text::visible(name))
                };
                Err(WhichNode::Several { wanted, hosts: several.iter().map(shown).collect() })
            }
        })
    }

    /// The host ids of [`Store::hosts`], and those of nodes of which only a lock or staging is
    /// there.
    ///
    /// # Errors
    /// When the folders cannot be read.
    pub fn hosts_and_locks(&self) -> Result<Vec<String>, StoreError> {
        let mut hosts = self.hosts()?;
        for name in names_in(&self.root.join(layout::TMP))? {
            let host = name.strip_suffix(".lock").unwrap_or(&name);
            if layout::host(host).is_ok() && !hosts.iter().any(|known| known == host) {
                hosts.push(host.to_owned());
            }
        }
        hosts.sort_unstable();
        Ok(hosts)
    }
}
