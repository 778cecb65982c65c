//! The only door to where backups lie.

pub mod manifest;
