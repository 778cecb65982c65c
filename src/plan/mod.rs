//! What is to be done, and what was: facts in, plans and verdicts out. One file per verb.

pub mod forecast;
pub mod resume;
pub mod setting;
pub mod verify;
