//! The hands: lines to nodes, turns, the loop that asks, the loop that changes, what is hauled.

pub mod audit;
pub mod change;
pub mod clock;
pub mod forecast;
mod gate;
pub mod haul;
pub mod journal;
pub mod lines;
pub mod log;
mod look;
pub mod peers;
pub mod ring;
mod setting;
pub mod topology;
mod turn;
mod turns;
mod verify;
