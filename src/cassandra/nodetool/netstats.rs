//! `nodetool netstats`: its first line says what the node is doing.

use super::ParseError;

/// What a node says it is doing (`Mode:` of netstats, from `StorageService.Mode`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Starting: answers of the node mean nothing yet.
    Starting,
    /// The ordinary state.
    Normal,
    /// Drained, or on the way there: nothing is written or flushed until a restart.
    Drained,
    /// Any other: `JOINING`, `LEAVING`, `MOVING`, `DECOMMISSIONED` …; in lower case.
    Other(String),
}

impl Mode {
    /// Returns the mode's name in lower case.
    pub fn name(&self) -> &str {
        match self {
            Self::Starting => "starting",
            Self::Normal => "normal",
            Self::Drained => "drained",
            Self::Other(name) => name,
        }
    }
}

/// Returns the node's mode.
///
/// # Errors
/// When no line says it.
pub fn parse(stdout: &str) -> Result<Mode, ParseError> {
    let name = stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("Mode: "))
        .filter(|name| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        })
        .ok_or_else(|| ParseError::new("netstats", "no Mode line", stdout))?;
    Ok(match name {
        "STARTING" => Mode::Starting,
        "NORMAL" => Mode::Normal,
        "DRAINED" | "DRAINING" => Mode::Drained,
        other => Mode::Other(other.to_ascii_lowercase()),
    })
}
