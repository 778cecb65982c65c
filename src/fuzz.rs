//! Doors for the fuzzers of `integration/fuzz`: what reads a stranger's bytes and is private to its
//! room. A build has them only with `--cfg fuzzing`.

pub use crate::node::ssh::fuzz as ssh;
pub use crate::store::intake::fuzz as intake;
