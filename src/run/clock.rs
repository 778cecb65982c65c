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

/// Returns how many minutes of the day are over here, by the system's time zone.
pub fn minute_of_day() -> u16 {
    let here = now().to_zoned(jiff::tz::TimeZone::system());
    let minutes = i16::from(here.hour()) * 60 + i16::from(here.minute());
    u16::try_from(minutes).unwrap_or_default()
}
