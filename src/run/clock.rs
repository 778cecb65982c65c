//! The one clock of a run.

use jiff::Timestamp;

/// Returns the time, without what a millisecond leaves over: records are read by people.
#[expect(
    clippy::disallowed_methods,
    reason = "the hands have a clock, decisions are given its time"
)]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
