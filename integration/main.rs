//! The ring stories: ringhaul against real Cassandra rings, with sshd, sudo and faults. They need
//! root; `integration/test` runs them with everything else, `cargo test --test ring` alone.
//!
//! Each file of `stories/` is one lab, or one reason to have one; each test is a claim about
//! ringhaul. Tests run one after another, whatever `--test-threads` says, because they share a
//! lab: a test mends what it broke, and needs nothing of the one before.
#![expect(clippy::expect_used, reason = "a story that cannot go on has failed, and says where")]

#[path = "stories/audit.rs"]
mod audit;
#[path = "stories/away.rs"]
mod away;
#[path = "stories/command.rs"]
mod command;
#[path = "stories/depot.rs"]
mod depot;
#[path = "stories/discovery.rs"]
mod discovery;
#[path = "stories/faults.rs"]
mod faults;
#[path = "stories/gate.rs"]
mod gate;
#[path = "stories/lab.rs"]
mod lab;
#[path = "stories/output.rs"]
mod output;
#[path = "stories/papers.rs"]
mod papers;
#[path = "stories/restarts.rs"]
mod restarts;
#[path = "stories/resume.rs"]
mod resume;
#[path = "stories/rolling.rs"]
mod rolling;
#[path = "stories/runs.rs"]
mod runs;
#[path = "stories/ship.rs"]
mod ship;
#[path = "stories/stock.rs"]
mod stock;
#[path = "stories/three_nodes.rs"]
mod three_nodes;
#[path = "stories/topology.rs"]
mod topology;
#[path = "stories/truth.rs"]
mod truth;
#[path = "stories/verify.rs"]
mod verify;
#[path = "stories/versions.rs"]
mod versions;
#[path = "stories/ways.rs"]
mod ways;
