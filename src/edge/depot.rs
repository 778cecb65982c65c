//! The store of a run: opened before anything else, and told the ring.

use std::sync::Arc;

use futures::FutureExt as _;
use tokio::task::JoinHandle;

use super::Fault;
use super::load::{self, Connector};
use crate::cassandra::ring::Ring;
use crate::cli;
use crate::inventory::NodeSpec;
use crate::record::haul::Window;
use crate::record::{Begun, Entry, Job};
use crate::run::haul::depot::{Depot, known};
use crate::run::topology;
use crate::store::manifest::Topology;
use crate::store::{Store, StoreError};

/// How a store may come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Making {
    /// It must be there.
    MustExist,
    /// An empty folder, or a new one, becomes one.
    IfNew,
    /// It is only looked at: what is not there is empty.
    Never,
}

/// Opens the store of a job that has one.
pub(super) fn open(job: &Job, making: Making) -> Result<Option<Store>, Fault> {
    let folder = match job {
        Job::Enable(_) | Job::Disable(_) | Job::Verify(_) => return Ok(None),
        Job::Ship(ship) => &ship.store,
        Job::Clean(clean) => &clean.store,
    };
    // There is nothing to remove by a store that is not there.
    let must_exist = making == Making::MustExist || matches!(job, Job::Clean(_));
    if must_exist {
        return Ok(Some(Store::open(folder)?));
    }
    if making == Making::Never {
        let is_new =
            !folder.exists() || folder.read_dir().is_ok_and(|mut entries| entries.next().is_none());
        return if is_new { Ok(None) } else { Ok(Some(Store::open(folder)?)) };
    }
    let (store, is_new) = Store::open_or_make(folder)?;
    if is_new {
        let folder = crate::text::visible(&folder.to_string_lossy());
        load::say(&format!("{folder} is a new store"));
    }
    Ok(Some(store))
}

/// The window of a job that has one.
pub(super) fn window(job: &Job) -> Option<Window> {
    match job {
        Job::Enable(_) | Job::Disable(_) | Job::Verify(_) => None,
        Job::Ship(ship) => ship.window,
        Job::Clean(clean) => clean.window,
    }
}

/// What a run's ring is asked for with.
pub(super) struct Asked<'a> {
    pub(super) connector: &'a Arc<Connector>,
    pub(super) begun: &'a Begun,
    pub(super) entries: &'a [Entry],
    pub(super) ring: &'a Ring,
    pub(super) asking: &'a cli::Asking,
}

/// Makes the store ready for a run. One that ships keeps the ring there; it is asked for while the
/// first node is looked at. Returns what is to be awaited at the end.
pub(super) fn ready(store: Store, asked: &Asked<'_>) -> Result<(Depot, Option<Keeping>), Fault> {
    let begun = asked.begun;
    let Job::Ship(ship) = &begun.job else {
        return Ok((Depot::new(store, known(Topology::default()), None), None));
    };
    if let Some(kept) = store.topology(&begun.run)? {
        return Ok((Depot::new(store, known(kept), ship.total_rate), None));
    }
    let up = asked.entries.iter().filter(|entry| entry.place.state.as_deref() == Some("UN"));
    let specs: Vec<NodeSpec> = up.map(|entry| entry.spec.clone()).collect();
    let (connector, limits) = (Arc::clone(asked.connector), load::limits(asked.asking));
    let (ring, run, cluster) = (asked.ring.clone(), begun.run.clone(), begun.cluster.clone());
    let picture = async move {
        Arc::new(topology::ask(&*connector, &specs, limits, &ring, &run, &cluster).await)
    };
    let picture = picture.boxed().shared();
    let (to, shown) = (store.clone(), picture.clone());
    let task = tokio::spawn(async move {
        let topology = shown.await;
        for missing in &topology.missing {
            load::warn(&format!("the store's picture of the ring lacks {missing}"));
        }
        match tokio::task::spawn_blocking(move || to.keep_topology(&topology)).await {
            Ok(kept) => kept,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    });
    Ok((Depot::new(store, picture, ship.total_rate), Some(Keeping(task))))
}

/// The ring on its way into the store.
pub(super) struct Keeping(JoinHandle<Result<(), StoreError>>);

impl Keeping {
    /// Waits until it is there.
    pub(super) async fn end(self) -> Result<(), Fault> {
        match self.0.await {
            Ok(kept) => Ok(kept?),
            Err(_) => Err(Fault::failed("a fault in ringhaul; please report it")),
        }
    }
}
