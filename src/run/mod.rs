//! The hands: lines to nodes, turns, signals, and the loop that asks.

pub mod audit;
pub mod lines;
pub mod peers;
pub mod ring;
mod turns;
