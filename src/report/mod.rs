//! Readers of a result: an audit or a run as texts for people and machines.

pub mod csv;
pub mod forecast;
pub mod haul_table;
pub mod json;
pub mod junit;
pub mod members;
pub mod nagios;
mod plain;
pub mod prometheus;
pub mod run_json;
pub mod run_table;
pub mod ssh_check;
pub mod store;
pub mod sudoers;
pub mod table;
