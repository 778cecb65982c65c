//! What was read back of a node's sets, when, and what was damaged then: `checks/<host id>.json`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::manifest::{SCHEMA, StoredSet};
use super::{Store, durable, layout, papers};

/// The last reading of each set, by place and id.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Readings {
    schema: u32,
    sets: BTreeMap<String, Reading>,
}

/// When a set was read, and what was wrong with it.
#[derive(Debug, Serialize, Deserialize)]
struct Reading {
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// What a set is called beside others of its node.
pub(super) fn key(set: &StoredSet) -> String {
    format!("{}.{}", set.place, set.id)
}

impl Readings {
    /// When a set was read last.
    pub(super) fn last(&self, key: &str) -> Option<Timestamp> {
        self.sets.get(key).map(|reading| reading.at)
    }

    /// What was wrong with a set when it was read, if it was not stored anew since then.
    pub(super) fn fault(&self, set: &StoredSet, written: Timestamp) -> Option<&str> {
        let reading = self.sets.get(&key(set)).filter(|reading| reading.at >= written)?;
        reading.fault.as_deref()
    }

    pub(super) fn note(&mut self, set: &StoredSet, at: Timestamp, fault: Option<String>) {
        self.sets.insert(key(set), Reading { at, fault });
    }

    /// Forgets sets that are not there any more.
    pub(super) fn keep(&mut self, is_known: impl Fn(&str) -> bool) {
        self.sets.retain(|key, _| is_known(key));
    }
}

impl Store {
    /// Returns what was read back of a node.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn readings(&self, host: &str) -> Result<Readings, StoreError> {
        let path = self.root.join(layout::check(host)?);
        match durable::read_file(&path)? {
            Some(bytes) => papers::parse(&path, &bytes, |readings: &Readings| readings.schema),
            None => Ok(Readings::default()),
        }
    }

    pub(super) fn keep_readings(
        &self,
        host: &str,
        readings: &mut Readings,
    ) -> Result<(), StoreError> {
        readings.schema = SCHEMA;
        let bytes = papers::bytes(&self.root, readings)?;
        self.put(&layout::check(host)?, &bytes)
    }
}
