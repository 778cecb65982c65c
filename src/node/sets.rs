//! The sets of a node: listed, looked at again, removed. nodetool is not asked, so Cassandra may
//! be down.

mod look;
mod removal;

use std::time::Duration;

pub use look::{look_again, tocs};
pub use removal::{Removal, Removed, remove};

use super::answer::Answer;
use super::survey;
use super::{Node, catalog};
use crate::cassandra::disk::Disk;
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::listing::Listing;
use crate::cassandra::shelf::{Shelf, is_tag};
use crate::inventory::NodeSpec;

/// What one look at a node's files showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The version of the running process.
    pub version: Fact<String>,
    /// The data folders that were looked at.
    pub data_dirs: Vec<String>,
    /// Whether the account could look there without sudo.
    pub may_read: bool,
    /// The data folders' file systems.
    pub disks: Fact<Vec<Disk>>,
    /// The node's clock, seconds since 1970.
    pub now: Fact<i64>,
    /// The sets.
    pub sets: Fact<Shelf>,
}

/// Lists the sets in `backups` and, if one is named, in a snapshot.
pub async fn list<N: Node>(
    node: &N,
    spec: &NodeSpec,
    snapshot: Option<&str>,
    limit: Duration,
) -> Listed {
    if let Some(tag) = snapshot.filter(|tag| !is_tag(tag)) {
        let text = format!("'{tag}' is no name of a snapshot that can be asked for");
        return not_asked(&Why::new(WhyKind::Local, text));
    }
    let ask = |data: &[String]| catalog::sets::list(spec, snapshot, data, limit);
    let answer = survey::look(node, spec, ask, || Listing::new(snapshot)).await;
    let Answer { now, process, disks, tree, may_read, data_dirs, .. } = answer;
    Listed {
        version: survey::version_of(&process),
        data_dirs,
        may_read,
        disks,
        now,
        sets: match tree {
            Fact::Known(listing) => Fact::Known(listing.finish()),
            Fact::Unknown(why) => Fact::Unknown(why),
        },
    }
}

fn not_asked(why: &Why) -> Listed {
    Listed {
        version: Fact::Unknown(why.clone()),
        data_dirs: Vec::new(),
        may_read: false,
        disks: Fact::Unknown(why.clone()),
        now: Fact::Unknown(why.clone()),
        sets: Fact::Unknown(why.clone()),
    }
}
