//! Numbers as people read them.

use jiff::Timestamp;

/// `17.2 GiB`: three digits, binary units.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut whole = count;
    let mut rest = 0;
    let mut unit = 0;
    while whole >= 1024 && unit + 1 < UNITS.len() {
        rest = whole % 1024;
        whole /= 1024;
        unit += 1;
    }
    match unit {
        0 => format!("{whole} B"),
        _ if whole >= 100 => format!("{whole} {}", UNITS[unit]),
        _ => format!("{whole}.{} {}", rest * 10 / 1024, UNITS[unit]),
    }
}

/// Returns the sum of numbers that come from nodes: a lie ends at the top and does not wrap round.
pub fn sum(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, u64::saturating_add)
}

/// `1 set`, `2 sets`.
pub fn count(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// `on`, `off`.
pub fn on_off(value: bool) -> &'static str {
    if value { "on" } else { "off" }
}

/// `7s`, `4m05s`, `1h20m`: how long something takes.
pub fn duration(span: std::time::Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `5m`, `3h`, `12d`: the time from `then` to `now`, both in seconds since 1970.
pub fn age(then: i64, now: i64) -> String {
    let seconds = now.saturating_sub(then).max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `2026-11-21T02:40:53Z`; `None` for a time that no calendar holds.
pub fn instant(seconds: i64) -> Option<String> {
    Timestamp::from_second(seconds).ok().map(|instant| instant.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_right() {
        let shown: Vec<String> =
            [0, 1023, 1024, 1536, 123 * 1024, 5 << 30, u64::MAX].map(bytes).into();
        assert_eq!(
            shown,
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "123 KiB", "5.0 GiB", "16383 PiB"]
        );
        assert_eq!([count(1, "set"), count(2, "set")], ["1 set", "2 sets"]);
        assert_eq!(
            [age(0, 59), age(0, 3599), age(0, 90_000), age(0, 400_000)],
            ["59s", "59m", "25h", "4d"]
        );
        assert_eq!(instant(0).unwrap(), "1970-01-01T00:00:00Z");
    }
}
