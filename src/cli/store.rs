//! The options of `ringhaul store`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::When;

/// `ringhaul store`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringhaul store list --to /mnt/backup              a row a node
  ringhaul store show cass-01 --to /mnt/backup      a row a table
  ringhaul store show cass-01 'shop.*'              each set; the store is in RINGHAUL_STORE
  ringhaul store check                              manifests against files
  ringhaul store check --read-data=5%               and reads what was not read for longest
  ringhaul store get cass-01 shop.orders --into /tmp/orders

Exit codes: 0 all is well, 1 something is damaged, missing or named by no manifest, 2 it could
not be done, 3 something could not be looked at, 64 wrong usage")]
pub struct Store {
    /// What to do.
    #[command(subcommand)]
    pub what: WhatOfStore,
    /// The store's folder
    #[arg(
        long,
        value_name = "DIR",
        global = true,
        env = "RINGHAUL_STORE",
        visible_aliases = ["store", "from"]
    )]
    pub to: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress on standard error
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Colours: on a terminal unless NO_COLOR is set, always, or never
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", global = true)]
    pub color: When,
}

/// What of a store.
#[derive(Debug, Subcommand)]
pub enum WhatOfStore {
    /// List the nodes of which something is stored, as the manifests name it
    List,
    /// Show what is stored of a node, table by table; with TABLE set by set
    Show {
        /// Its host id, the beginning of it, or its name
        #[arg(value_name = "NODE")]
        node: String,
        /// Tables, KEYSPACE.TABLE; a glob
        #[arg(value_name = "TABLE")]
        table: Option<String>,
    },
    /// Compare the manifests with the files, look for what no manifest names, and end what a
    /// controller left that died
    Check {
        /// Host ids, their beginnings, or names; all nodes when none is named
        #[arg(value_name = "NODE")]
        nodes: Vec<String>,
        /// Read the files too and compare them with their hashes: all, or N% of the bytes, what was
        /// not read for longest first
        #[arg(
            long,
            value_name = "N%",
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "100%",
            value_parser = percent
        )]
        read_data: Option<u8>,
    },
    /// Copy sets into a folder as FOLDER/N/KEYSPACE/TABLE, for sstableloader or nodetool import
    #[command(after_help = "\
Examples:
  ringhaul store get cass-01 shop.orders --into /tmp/orders
  ringhaul store get cass-01 'shop.*' --into /tmp/shop --snapshot before-upgrade
  ringhaul store get cass-01 shop.orders --into /tmp/one --set nb-7-big

Sets of one name lie in folders of different numbers, the older in the lower one: load each by
itself, in that order. Every file is compared with its hash while it is copied.")]
    Get {
        /// Its host id, the beginning of it, or its name
        #[arg(value_name = "NODE")]
        node: String,
        /// Tables, KEYSPACE.TABLE; a glob
        #[arg(value_name = "TABLE")]
        table: String,
        /// The folder: empty, or not there yet
        #[arg(long, value_name = "FOLDER")]
        into: PathBuf,
        /// Only this set, such as nb-7-big; repeatable
        #[arg(long, value_name = "SET")]
        set: Vec<String>,
        /// Only what the snapshot of this name holds, its schema.cql and manifest.json too
        #[arg(long, value_name = "TAG")]
        snapshot: Option<String>,
    },
}

fn percent(text: &str) -> Result<u8, String> {
    match text.strip_suffix('%').and_then(|number| number.parse().ok()) {
        Some(number @ 1..=100) => Ok(number),
        Some(_) | None => Err("expected a share from 1% to 100%".to_owned()),
    }
}
