//! What is left of a run that is taken up again, by its records and by the ring as it is now.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::cassandra::ring::{Liveness, Member, Ring};
use crate::fleet::{Fleet, Row};
use crate::record::{Entry, Job, Place, Resumed};
use crate::schedule::Schedule;

/// Returns where a member of the ring is.
pub fn place(member: &Member) -> Place {
    Place {
        address: member.address.clone(),
        dc: Some(member.dc.clone()),
        rack: Some(member.rack.clone()),
        host_id: member.host_id.clone(),
        state: Some(member.state()),
    }
}

/// Whether the ring shows it down.
pub fn is_down(member: &Member) -> bool {
    match member.liveness {
        Liveness::Down => true,
        Liveness::Up | Liveness::Unsure => false,
    }
}

/// Returns a node of an earlier session as the ring shows it now.
pub fn as_now(entry: &Entry, ring: &Ring) -> Entry {
    let is_it = |member: &&Member| match (&entry.place.host_id, &member.host_id) {
        (Some(known), Some(shown)) => known == shown,
        (None, _) | (_, None) => entry.place.address == member.address,
    };
    match ring.members.iter().find(is_it) {
        None => Entry { down: false, ..entry.clone() },
        Some(member) => {
            Entry { spec: entry.spec.clone(), place: place(member), down: is_down(member) }
        }
    }
}

/// Skips the nodes that are down, where the job needs their Cassandra.
pub fn skip_down(schedule: &mut Schedule, entries: &mut [Entry], job: &Job) {
    for (at, entry) in entries.iter_mut().enumerate() {
        entry.down &= job.needs_cassandra();
        if entry.down {
            schedule.skip(at);
        }
    }
}

/// The canary was not fine, and is not taken again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the canary {0} is not fine")]
pub struct CanaryNotFine(pub String);

/// Skips the nodes that are not in `left`. Going on with a run whose canary was fine is the
/// answer to the question after it.
///
/// # Errors
/// When a canary was not fine and is not in `left`.
pub fn skip_done(
    schedule: &mut Schedule,
    canary: &BTreeSet<usize>,
    fleet: &Fleet,
    left: &[String],
) -> Result<(), CanaryNotFine> {
    let is_left = |at: usize| left.iter().any(|name| name == fleet.rows[at].name());
    for at in (0..fleet.rows.len()).filter(|at| !is_left(*at)) {
        schedule.skip(at);
    }
    let mut not_fine = canary.iter().filter(|at| !fleet.rows[**at].is_fine_and_proven()).peekable();
    if not_fine.peek().is_none() {
        schedule.go_on();
    }
    match not_fine.find(|at| !is_left(**at)) {
        None => Ok(()),
        Some(at) => Err(CanaryNotFine(fleet.rows[*at].name().to_owned())),
    }
}

/// Returns what is left of the time between two starts, since the last start of the run.
pub fn rest_of_stagger(fleet: &Fleet, stagger: Duration, now: Timestamp) -> Duration {
    let Some(last) = fleet.rows.iter().filter_map(|row| row.started).max() else {
        return Duration::ZERO;
    };
    rest_of(stagger, last, now)
}

/// Returns what is left of the pauses that follow the end of a turn: `rest` after any, and
/// `canary_wait` after the canary, as long as nothing else has started.
pub fn rest_of_pauses(
    fleet: &Fleet,
    rest: Duration,
    canary_wait: Option<Duration>,
    now: Timestamp,
) -> Duration {
    let is_canary = |row: &&Row| fleet.begun.canary.iter().any(|name| name == row.name());
    let last = |rows: &mut dyn Iterator<Item = &Row>| rows.filter_map(|row| row.ended).max();
    let after_any = last(&mut fleet.rows.iter());
    let is_begun = fleet.rows.iter().any(|row| !is_canary(&row) && row.started.is_some());
    let after_canary =
        last(&mut fleet.rows.iter().filter(is_canary)).filter(|_| !is_begun).zip(canary_wait);
    let after_any = after_any.map_or(Duration::ZERO, |last| rest_of(rest, last, now));
    let after_canary = after_canary.map_or(Duration::ZERO, |(last, wait)| rest_of(wait, last, now));
    after_any.max(after_canary)
}

/// What is left of a pause that began at `since`.
fn rest_of(pause: Duration, since: Timestamp, now: Timestamp) -> Duration {
    let gone = Duration::try_from(now.duration_since(since));
    // A clock that was set back must not stretch it.
    pause.saturating_sub(gone.unwrap_or(pause))
}

/// Returns what the journal is told: `who` takes the nodes `left` up again.
pub fn resumed(who: String, left: &[String], entries: &[Entry], up: Vec<String>) -> Resumed {
    let down = entries.iter().filter(|entry| entry.down);
    Resumed {
        who,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        nodes: left.to_vec(),
        up,
        down: down.map(|entry| entry.name().to_owned()).collect(),
    }
}
