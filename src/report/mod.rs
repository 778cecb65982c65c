//! Readers of a result: the audit as texts for people and machines.

pub mod csv;
pub mod json;
pub mod junit;
pub mod members;
pub mod nagios;
mod plain;
pub mod prometheus;
pub mod table;
