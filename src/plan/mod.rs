//! What is to be done, and what was: facts in, plans and verdicts out. One file per verb.

pub mod clean;
pub mod forecast;
pub mod resume;
pub mod setting;
pub mod ship;
pub mod tables;
pub mod verify;
