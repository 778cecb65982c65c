//! The sets of a node: the real `find`, `head`, `tar`, `stat` and `rm` on a tree laid out as
//! Cassandra does it, with what hands and other programs leave there.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

#[path = "common/local.rs"]
mod local;

#[path = "sets/list.rs"]
mod list;
#[path = "sets/remove.rs"]
mod remove;
#[path = "sets/stream.rs"]
mod stream;
#[path = "sets/tree.rs"]
mod tree;
