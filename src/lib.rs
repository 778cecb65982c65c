//! ringhaul: Cassandra's incremental backups across a whole ring, over SSH.
pub mod audit;
pub mod cassandra;
pub mod cli;
pub mod edge;
pub mod event;
pub mod exit;
pub mod human;
pub mod inventory;
pub mod join;
pub mod nearest;
pub mod node;
pub mod nodeset;
pub mod report;
pub mod run;
pub mod selection;
pub mod text;
