//! The hands: lines to nodes, turns, signals, the loop that asks and the loop that changes.

pub mod audit;
pub mod change;
pub mod clock;
pub mod forecast;
mod gate;
pub mod journal;
pub mod lines;
pub mod log;
mod look;
pub mod peers;
pub mod ring;
mod setting;
mod turn;
mod turns;
mod verify;
