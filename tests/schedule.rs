//! The schedule, driven by a clock that is a number: single rules by hand, all rules at once by
//! chance.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[path = "schedule/chance.rs"]
mod chance;
#[path = "schedule/drive.rs"]
mod drive;
#[path = "schedule/single.rs"]
mod single;
