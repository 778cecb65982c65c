//! `df -Pk`: the file systems under the data folders.

use crate::text::one_line;

/// A file system that holds data folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Where it is mounted.
    pub mount: String,
    /// Size in bytes.
    pub size: u64,
    /// Bytes that an ordinary account may still use.
    pub free: u64,
}

/// Returns the file systems that `df -Pk` printed, each once.
///
/// # Errors
/// The line that is not understood, and that is no complaint of df about one folder.
pub fn parse(stdout: &str) -> Result<Vec<Disk>, String> {
    let mut disks: Vec<Disk> = Vec::new();
    let mut has_header = false;
    for line in stdout.lines().filter(|line| !line.trim().is_empty()) {
        if line.starts_with("Filesystem") && line.ends_with("Mounted on") {
            has_header = true;
            continue;
        }
        let disk = has_header.then(|| row(line)).flatten();
        let disk = disk.ok_or_else(|| one_line(line.as_bytes(), 200))?;
        // Free space may move between two lines of one file system.
        if disks.iter().all(|known| known.mount != disk.mount) {
            disks.push(disk);
        }
    }
    if disks.is_empty() { Err("df printed nothing".to_owned()) } else { Ok(disks) }
}

/// `SOURCE BLOCKS USED AVAILABLE CAPACITY% MOUNT`; source and mount may hold spaces, so the row
/// is read from the word that ends in `%`.
fn row(line: &str) -> Option<Disk> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let percent = (4..words.len()).find(|at| {
        words[*at].strip_suffix('%').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
            || words[*at] == "-"
    })?;
    let kib = |at: usize| words.get(at)?.parse::<u64>().ok()?.checked_mul(1024);
    let mount = words.get(percent + 1..).filter(|words| !words.is_empty())?.join(" ");
    Some(Disk {
        mount: crate::text::visible(&mount),
        size: kib(percent - 3)?,
        free: kib(percent - 1)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_system_counts_once() {
        let head = "Filesystem     1024-blocks    Used Available Capacity Mounted on\n";
        let row = "/dev/vda         264085084 9000000  80000000      11% /var/lib/my data\n";
        let disk = Disk {
            mount: "/var/lib/my data".into(),
            size: 264_085_084 * 1024,
            free: 80_000_000 * 1024,
        };
        assert_eq!(parse(&format!("{head}{row}{row}")), Ok(vec![disk]));
        assert_eq!(
            parse("df: /x: No such file or directory\n"),
            Err("df: /x: No such file or directory".into())
        );
    }
}
