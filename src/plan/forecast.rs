//! What a dry run tells of one node.

use crate::record::State;

/// What a node's turn would be, by what is seen now.
#[derive(Debug, Clone)]
pub struct Forecast {
    /// What is seen.
    pub before: State,
    /// What would be done, each with the command line that does it.
    pub steps: Vec<Planned>,
    /// Why nothing would be done.
    pub reason: Option<String>,
    /// Whether that reason is one against it, and not that it is so already.
    pub is_refused: bool,
    /// What is worth knowing before.
    pub warnings: Vec<String>,
}

/// One step.
#[derive(Debug, Clone)]
pub struct Planned {
    /// In words.
    pub text: String,
    /// As it is sent to the node.
    pub command: String,
}
