//! Reads ssh_config files as OpenSSH does.
//!
//! `lines`, `table` and `directive` understand a line, `parse` the files with what they include, and
//! `lookup` finds what they say of a host. What only the `ssh` program understands is not
//! guessed: it is a [`Fail::Odd`], and the program is asked; `program` reads its answer. The
//! tests compare the two.

mod criteria;
mod directive;
mod include;
mod jumps;
mod lines;
mod lookup;
mod numbers;
mod parse;
mod program;
mod said;
mod table;

pub(super) use lookup::{Asked, lookup};
pub(super) use parse::{Parser, Roots, Rules};
pub(super) use program::from_ssh;
pub(super) use said::{Place, Said, Value};

/// Why the files gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fail {
    /// A line this reader leaves to the `ssh` program.
    #[error("{0}: {1}")]
    Odd(Place, String),
    /// A line that OpenSSH refuses as well.
    #[error("{0}: {1}")]
    Bad(Place, String),
    /// A file.
    #[error("{0}")]
    File(String),
    /// How this command of a `Match exec` ends has to be known first.
    #[error("{0}: match exec {1}")]
    Exec(Place, String),
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
