//! `ringhaul ship` and `ringhaul clean`: their options and help.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Turns, span};
use crate::record::haul::Window;

/// `ringhaul ship`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringhaul ship --to /mnt/nas/cassandra            every complete set of every node, one node after
                                                   the other
  ringhaul ship --to /mnt/nas/cassandra --then-clean --min-age 1d --keep-last 2
                                                   and what is proven to be stored goes from the node
  ringhaul ship --to /mnt/nas/cassandra --table shop,'!shop.cache*'
  ringhaul ship --to /mnt/nas/cassandra --snapshot before-upgrade
  ringhaul ship --to /mnt/nas/cassandra --strategy all --max-in-flight 4 --total-rate 200MiB
  ringhaul ship --to /mnt/nas/cassandra --window 22:00-06:00 --must-exist --json     from cron
  ringhaul ship --to /mnt/nas/cassandra --dry-run  what is new, and how much

A set is stored when all that its TOC names has come, Data.db matches its digest, and all of it is
on the store's disk. Sets that are not complete yet are left for the next time. Running it again
stores what is new.
Ctrl-C once: what is under way is stored, nothing more is begun. Twice: stops at once.
Either way `ringhaul resume last`, or the same command, goes on.")]
pub struct Ship {
    /// The store and the tables.
    #[command(flatten)]
    pub what: What,
    /// Ship this snapshot too; what backups holds of it is stored once
    #[arg(long, value_name = "TAG")]
    pub snapshot: Option<String>,
    /// Then remove from backups/ on the node what the store is proven to hold
    #[arg(long)]
    pub then_clean: bool,
    /// What --then-clean may remove.
    #[command(flatten)]
    pub removing: Removing,
    /// How much a second from one node, such as 50MiB
    #[arg(long, value_name = "SIZE", value_parser = rate)]
    pub rate: Option<u64>,
    /// How much a second from all nodes together
    #[arg(long, value_name = "SIZE", value_parser = rate)]
    pub total_rate: Option<u64>,
    /// Leave so much free in the store
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size)]
    pub reserve: u64,
    /// Do not make a new store: for cron, where a disk that is not mounted would else become one
    #[arg(long)]
    pub must_exist: bool,
    /// Which nodes, when, and how.
    #[command(flatten)]
    pub turns: Turns,
}

/// `ringhaul clean`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringhaul clean --to /mnt/nas/cassandra --dry-run       what would go, what stays and why
  ringhaul clean --to /mnt/nas/cassandra                 all that the store holds
  ringhaul clean --to /mnt/nas/cassandra --min-age 2d --keep-last 3
  ringhaul clean --to /mnt/nas/cassandra --read-back     reads the store's copies first, all of them
  ringhaul clean --to /mnt/nas/cassandra --read-back=5%

A set goes only when the store, asked in this run, holds every file of it, and the files on the node
are still the very files that were stored. Nothing else is ever touched.")]
pub struct Clean {
    /// The store and the tables.
    #[command(flatten)]
    pub what: What,
    /// What may be removed.
    #[command(flatten)]
    pub removing: Removing,
    /// Which nodes, when, and how.
    #[command(flatten)]
    pub turns: Turns,
}

/// The store and the tables.
#[derive(Debug, Args)]
pub struct What {
    /// The store: a folder
    #[arg(long, visible_alias = "store", value_name = "DIR", env = "RINGHAUL_STORE")]
    pub to: PathBuf,
    /// Only these: KEYSPACE or KEYSPACE.TABLE, globs, `!` leaves out; repeatable [default: all that
    /// Cassandra links, its own tables too]
    #[arg(long, value_name = "TABLE")]
    pub table: Vec<String>,
    /// Only at this time of the day, by this machine's clock; before it, it is waited for
    #[arg(long, value_name = "HH:MM-HH:MM", value_parser = Window::parse)]
    pub window: Option<Window>,
    /// Count by table, too
    #[arg(long)]
    pub by_table: bool,
}

/// What may be removed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Removing")]
pub struct Removing {
    /// Leave sets that were written a shorter time ago
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = span)]
    pub min_age: Duration,
    /// Leave so many of the newest sets of each table
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub keep_last: usize,
    /// Read the store's copies and compare their hashes first: of all that is to be removed, or of
    /// so many percent
    #[arg(
        long,
        value_name = "N%",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "100%",
        value_parser = percent
    )]
    pub read_back: Option<u8>,
}

/// Bytes: `200`, `64KiB`, `1.5 GB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let size: Result<bytesize::ByteSize, _> = text.parse();
    size.map(|size| size.as_u64())
        .map_err(|_| "expected a size such as 500MB, 64MiB or 1.5GiB".to_owned())
}

/// Bytes a second. Below that, a packet of SSH alone would take seconds.
fn rate(text: &str) -> Result<u64, String> {
    match size(text)? {
        rate if rate >= 16 * 1024 => Ok(rate),
        _ => Err("expected at least 16KiB a second".to_owned()),
    }
}

/// `5%` or `5`.
pub(crate) fn percent(text: &str) -> Result<u8, String> {
    match text.strip_suffix('%').unwrap_or(text).parse() {
        Ok(number @ 1..=100) => Ok(number),
        Ok(_) | Err(_) => Err("expected a percentage from 1% to 100%".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_rates_and_percentages_are_read_and_nonsense_is_refused() {
        assert_eq!(size("200"), Ok(200));
        assert_eq!(size("64KiB"), Ok(64 * 1024));
        assert_eq!(size("1.5 GB"), Ok(1_500_000_000));
        assert!(size("much").is_err() && size("-1").is_err() && rate("1KiB").is_err());
        assert_eq!(percent("5%"), Ok(5));
        assert!(percent("0%").is_err() && percent("101%").is_err() && percent("x").is_err());
    }
}
