//! What the store writes down beside the files: which sets of which node, by which run.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cassandra::sets::{Origin, SetPlace};

/// The version of the layout. It changes when an older reader would misread it.
pub const SCHEMA: u32 = 1;

/// One part of what a run stored of one node. It is written last: what no manifest names does not
/// count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`] of the writer.
    pub schema: u32,
    /// The run's id.
    pub run: String,
    /// A run's manifests of a node are numbered from 1.
    pub part: u32,
    /// ringhaul's version.
    pub ringhaul: String,
    /// When it was written, by the controller's clock.
    pub written: Timestamp,
    /// The node.
    pub node: NodeAtHand,
    /// What was stored.
    pub sets: Vec<StoredSet>,
}

/// A node as it was when its sets were stored. `None` is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAtHand {
    /// The id under which the ring knows it: its place in the store.
    pub host_id: String,
    /// The operator's name for it.
    pub name: String,
    /// The operator's name of the cluster.
    pub cluster: String,
    /// The address the ring showed.
    pub address: String,
    /// Data centre.
    pub dc: Option<String>,
    /// Rack.
    pub rack: Option<String>,
    /// Its tokens.
    pub tokens: Option<Vec<String>>,
    /// The version of Cassandra.
    pub cassandra: Option<String>,
    /// The version of the schema that the node had.
    pub schema_version: Option<String>,
}

/// A set in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSet {
    /// Where it belongs.
    #[serde(flatten)]
    pub place: SetPlace,
    /// See [`FoundSet::id`](crate::cassandra::sets::FoundSet::id).
    pub id: String,
    /// In which folders of the table it was found when it was stored.
    pub found_in: Vec<Origin>,
    /// What Data.db was compared with, the number in `Digest.crc32`; `None`: the set has none.
    pub digest: Option<u32>,
    /// Its files, by component.
    pub files: Vec<StoredFile>,
}

/// A file in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// The component (`Data.db`); its file's name has the descriptor before it.
    pub component: String,
    /// Bytes.
    pub size: u64,
    /// When it was written on the node, in nanoseconds since 1970.
    pub modified: i64,
    /// Its inode on the node.
    pub inode: u64,
    /// BLAKE3 of its content, 64 hexadecimal digits.
    pub blake3: String,
}

impl StoredSet {
    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        crate::human::sum(self.files.iter().map(|file| file.size))
    }

    /// When the last of its files was written, in nanoseconds since 1970.
    pub fn newest(&self) -> i64 {
        self.files.iter().map(|file| file.modified).max().unwrap_or_default()
    }
}

/// The ring as it was when a run began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// [`SCHEMA`] of the writer.
    pub schema: u32,
    /// The run's id.
    pub run: String,
    /// When the ring was asked.
    pub at: Option<Timestamp>,
    /// The operator's name of the cluster.
    pub cluster: String,
    /// The members.
    pub members: Vec<RingMember>,
    /// Keyspaces and their replication; `None` when that could not be learnt.
    pub keyspaces: Option<Vec<(String, String)>>,
    /// What could not be learnt, and why.
    pub missing: Vec<String>,
}

/// A member of the ring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingMember {
    /// Address.
    pub address: String,
    /// Host id.
    pub host_id: Option<String>,
    /// Data centre.
    pub dc: String,
    /// Rack.
    pub rack: String,
    /// `UN`, `DN` …
    pub state: String,
    /// Its tokens.
    pub tokens: Option<Vec<String>>,
    /// The version of the schema it had.
    pub schema_version: Option<String>,
}
