//! What Cassandra says and how it lays out files: text in, data out.

pub mod config;
pub mod crc;
pub mod deep;
pub mod disk;
pub mod edit;
pub mod fact;
pub mod facts;
pub mod holdings;
pub mod jvm;
pub mod links;
pub mod listing;
pub mod nodetool;
pub mod proof;
pub mod replicas;
pub mod ring;
pub mod schema;
pub mod sets;
pub mod shelf;
pub mod snapshot;
pub mod snapshot_schema;
pub mod socket;
pub mod sstable;
pub mod table_name;
pub mod toc;
pub mod tree;
