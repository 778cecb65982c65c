//! Other rights on a node: the real sudo of this machine, with rules, accounts and PAM of the test's
//! own in a mount namespace. It needs root, as the namespace does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

#[path = "become/cassandra.rs"]
mod cassandra;
#[path = "become/host.rs"]
mod host;
#[path = "become/input.rs"]
mod input;
#[path = "become/operator.rs"]
mod operator;
#[path = "become/refusals.rs"]
mod refusals;
#[path = "become/secrecy.rs"]
mod secrecy;
