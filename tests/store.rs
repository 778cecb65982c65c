//! A store on a real file system: whole or not there, whenever its writer is stopped.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[path = "store/bench.rs"]
mod bench;
#[path = "store/crash.rs"]
mod crash;
#[path = "store/full.rs"]
mod full;
#[path = "store/holds.rs"]
mod holds;
#[path = "store/verbs.rs"]
mod verbs;
