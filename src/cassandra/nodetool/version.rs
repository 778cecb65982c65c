//! `nodetool version`: `ReleaseVersion: 5.0.5`.

use super::ParseError;

/// Returns the release version of the running process.
///
/// # Errors
/// When no line says it.
pub fn parse(stdout: &str) -> Result<String, ParseError> {
    stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("ReleaseVersion:"))
        .map(str::trim)
        .filter(|version| is_version(version))
        .map(str::to_owned)
        .ok_or_else(|| ParseError::new("version", "no ReleaseVersion line", stdout))
}

/// Whether `text` looks like a version of Cassandra: `4.1.9`, `5.0-beta1`, `4.0.17-SNAPSHOT`.
pub fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.contains('.')
        && text.len() <= 40
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'))
}
