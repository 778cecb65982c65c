//! What a snapshot's name says about it.

/// The kinds of snapshots, by who made them. Their names are part of the JSON output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody asked for it, by name or not.
    User,
    /// `auto_snapshot` on DROP: `dropped-<ms>-<table>`.
    Dropped,
    /// `auto_snapshot` on TRUNCATE: `truncated-<ms>-<table>`.
    Truncated,
    /// `snapshot_before_compaction`: `<ms>-compact-<table>`.
    Compaction,
    /// Of system tables at an upgrade: `<ms>-upgrade-<from>-<to>`.
    Upgrade,
    /// Before a scrub: `pre-scrub-<ms>`.
    Scrub,
}

impl Kind {
    /// Returns the kind's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Dropped => "dropped",
            Self::Truncated => "truncated",
            Self::Compaction => "compaction",
            Self::Upgrade => "upgrade",
            Self::Scrub => "scrub",
        }
    }
}

/// Returns the kind of the snapshot of `table` named `name`, and when it was made, in
/// milliseconds since 1970, when the name holds it.
pub fn classify(name: &str, table: &str) -> (Kind, Option<i64>) {
    let of_table = |rest: &str| {
        let (ms, name) = rest.split_once('-')?;
        (name == table).then(|| millis(ms))?
    };
    if let Some(ms) = name.strip_prefix("dropped-").and_then(of_table) {
        return (Kind::Dropped, Some(ms));
    }
    if let Some(ms) = name.strip_prefix("truncated-").and_then(of_table) {
        return (Kind::Truncated, Some(ms));
    }
    if let Some(ms) = name.strip_prefix("pre-scrub-").and_then(millis) {
        return (Kind::Scrub, Some(ms));
    }
    if let Some((ms, rest)) = name.split_once('-')
        && let Some(ms) = millis(ms)
    {
        if rest.starts_with("compact-") {
            return (Kind::Compaction, Some(ms));
        }
        if rest.starts_with("upgrade-") {
            return (Kind::Upgrade, Some(ms));
        }
    }
    // `nodetool snapshot` without a name takes the time for one.
    (Kind::User, millis(name))
}

/// Thirteen digits are milliseconds from 2001 to 2286.
fn millis(text: &str) -> Option<i64> {
    let is_time = text.len() == 13 && text.bytes().all(|b| b.is_ascii_digit());
    is_time.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_are_told_by_name_and_table() {
        let ms = Some(1_795_222_167_483);
        assert_eq!(classify("dropped-1795222167483-gone", "gone"), (Kind::Dropped, ms));
        assert_eq!(classify("dropped-1795222167483-gone", "other"), (Kind::User, None));
        assert_eq!(classify("truncated-1795222167483-a-b", "a-b"), (Kind::Truncated, ms));
        assert_eq!(classify("1795222167483", "x"), (Kind::User, ms));
        assert_eq!(classify("1795222167483-compact-x", "x"), (Kind::Compaction, ms));
        assert_eq!(classify("1795222167483-upgrade-4.0-5.0", "x"), (Kind::Upgrade, ms));
        assert_eq!(classify("base-1", "x"), (Kind::User, None));
    }
}
