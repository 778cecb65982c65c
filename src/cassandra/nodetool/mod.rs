//! What `nodetool` prints, one file per output. Each parser understands a line or shows it.

pub mod describecluster;
pub mod describering;
pub mod failure;
pub mod netstats;
mod noise;
pub mod ring;
pub mod status;
pub mod statusbackup;
pub mod version;

use crate::text::one_line;

/// An output that is not what the command prints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nodetool {command} printed what ringhaul does not understand, {reason}: {line}")]
pub struct ParseError {
    /// The nodetool command.
    pub command: &'static str,
    /// What is wrong with the line.
    pub reason: &'static str,
    /// The line, made visible.
    pub line: String,
}

impl ParseError {
    fn new(command: &'static str, reason: &'static str, line: &str) -> Self {
        Self { command, reason, line: one_line(line.as_bytes(), 200) }
    }
}
