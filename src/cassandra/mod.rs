//! What Cassandra says and how it lays out files: text in, data out.

pub mod config;
pub mod disk;
pub mod edit;
pub mod fact;
pub mod facts;
pub mod holdings;
pub mod jvm;
pub mod nodetool;
pub mod replicas;
pub mod ring;
pub mod snapshot;
pub mod socket;
pub mod sstable;
pub mod tree;
