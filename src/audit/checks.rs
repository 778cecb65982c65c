//! Checks of one node, a function each: facts in, findings out.

use super::finding::{Check, Finding, Severity};
use super::{Row, Verdict};
use crate::cassandra::config::Config;
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::nodetool::netstats::Mode;
use crate::cassandra::ring::{Liveness, Member, Phase};
use crate::human;

/// Below this share of free space, in percent, a file system is filling up. Cassandra itself
/// needs room to compact; other backup tools refuse to start at 10.
const LEAST_FREE_PERCENT: u64 = 10;

/// Runs every check of one node.
pub(super) fn all(row: &Row, is_ring_known: bool, findings: &mut Vec<Finding>) {
    verdict(row, findings);
    mode(row, findings);
    place_in_ring(row, is_ring_known, findings);
    if let Some((path, config)) = row.facts.config.known() {
        settings(row, path, config, findings);
    }
    files(row, findings);
    disks(row, findings);
}

fn finding(
    row: &Row,
    severity: Severity,
    check: Check,
    text: impl Into<String>,
    hint: impl Into<String>,
) -> Finding {
    let node = Some(row.name.clone());
    Finding { severity, check, node, text: text.into(), hint: hint.into() }
}

fn verdict(row: &Row, findings: &mut Vec<Finding>) {
    let new = match row.verdict {
        Verdict::Enabled => return,
        Verdict::Disabled => finding(
            row,
            Severity::Critical,
            Check::Disabled,
            "incremental backups are off, live and in cassandra.yaml",
            "run `nodetool enablebackup` there and set incremental_backups: true",
        ),
        Verdict::OnAtRestart => finding(
            row,
            Severity::Critical,
            Check::OnAtRestart,
            "incremental backups are off now, although cassandra.yaml says on",
            "run `nodetool enablebackup` there; what was flushed meanwhile has no backup",
        ),
        Verdict::LostAtRestart => finding(
            row,
            Severity::Warning,
            Check::LostAtRestart,
            "incremental backups are on now and off after the next restart",
            "set incremental_backups: true in cassandra.yaml there",
        ),
        Verdict::Unknown => {
            let why = row.reason.as_ref();
            let text = why.map_or("not known", |why| why.text.as_str());
            let hint = why.map_or_else(|| "ask again".to_owned(), Why::hint);
            if why.is_some_and(|why| why.kind == WhyKind::NotAsked) && row.spec.is_none() {
                return;
            }
            finding(row, Severity::Warning, Check::Unknown, text, hint)
        }
    };
    findings.push(new);
}

fn mode(row: &Row, findings: &mut Vec<Finding>) {
    if let Some(Fact::Known(Mode::Drained)) = &row.facts.mode {
        findings.push(finding(
            row,
            Severity::Critical,
            Check::Drained,
            "the node is drained: it takes no writes and makes no backups until it is restarted",
            "restart Cassandra there",
        ));
    }
}

fn place_in_ring(row: &Row, is_ring_known: bool, findings: &mut Vec<Finding>) {
    let Some(member) = &row.member else {
        // What a node that was reached says of itself has been compared with the ring; of one
        // that was not, only what is written is known.
        let text = match &row.facts.config {
            Fact::Known(_) => "in the inventory and not in the ring",
            Fact::Unknown(_) => "by its name and address it is no member of the ring",
        };
        if is_ring_known {
            findings.push(finding(
                row,
                Severity::Warning,
                Check::NotInRing,
                text,
                "take it out of the inventory, or set cassandra_address to what the ring shows",
            ));
        }
        return;
    };
    let Some(spec) = &row.spec else {
        findings.push(finding(
            row,
            Severity::Warning,
            Check::NotInInventory,
            format!("in the ring ({}) and not in the inventory: it was not asked", member.state()),
            "add it to the inventory",
        ));
        return;
    };
    liveness(row, member, findings);
    for (what, written, shown) in
        [("data centre", &spec.dc, &member.dc), ("rack", &spec.rack, &member.rack)]
    {
        if let Some(written) = written.as_ref().filter(|written| *written != shown) {
            findings.push(finding(
                row,
                Severity::Warning,
                Check::PlaceDiffers,
                format!("the inventory says {what} '{written}', the ring '{shown}'"),
                "mend the inventory",
            ));
        }
    }
}

fn liveness(row: &Row, member: &Member, findings: &mut Vec<Finding>) {
    if member.liveness != Liveness::Up {
        findings.push(finding(
            row,
            Severity::Warning,
            Check::NodeDown,
            format!("the ring shows it {}", member.state()),
            "look at Cassandra and the network there",
        ));
    } else if member.phase != Phase::Normal {
        findings.push(finding(
            row,
            Severity::Info,
            Check::NodeMoving,
            format!("the ring shows it {}", member.state()),
            "audit again when it has settled",
        ));
    }
}

fn settings(row: &Row, path: &str, config: &Config, findings: &mut Vec<Finding>) {
    let lines =
        |lines: &[usize]| lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    if config.key_lines.len() > 1 {
        findings.push(finding(
            row,
            Severity::Warning,
            Check::DuplicateKey,
            format!(
                "{path} has incremental_backups on lines {}: Cassandra takes the last",
                lines(&config.key_lines)
            ),
            "leave one of them",
        ));
    }
    if config.key_lines.is_empty()
        && !config.commented_lines.is_empty()
        && config.incremental_backups == Fact::Known(false)
    {
        findings.push(finding(
            row,
            Severity::Warning,
            Check::CommentedKey,
            format!(
                "{path} has incremental_backups in a comment alone (line {}): Cassandra takes false",
                lines(&config.commented_lines)
            ),
            "take the comment sign away and set it",
        ));
    }
    if config.auto_snapshot == Fact::Known(false) {
        findings.push(finding(
            row,
            Severity::Warning,
            Check::AutoSnapshotOff,
            "auto_snapshot is off: DROP and TRUNCATE destroy data without a snapshot",
            "set auto_snapshot: true in cassandra.yaml",
        ));
    }
    if config.snapshot_before_compaction == Fact::Known(true) {
        findings.push(finding(
            row,
            Severity::Warning,
            Check::SnapshotBeforeCompaction,
            "snapshot_before_compaction is on: every compaction leaves a snapshot that nobody clears",
            "set snapshot_before_compaction: false in cassandra.yaml",
        ));
    }
}

fn files(row: &Row, findings: &mut Vec<Finding>) {
    let backups = match &row.facts.backups {
        Fact::Known(backups) => backups,
        Fact::Unknown(why) => {
            // When the node could not be asked at all, the verdict says so already.
            if row.reason.as_ref() != Some(why) {
                let hint = why.hint();
                let text = format!("its files are not known: {}", why.text);
                findings.push(finding(row, Severity::Warning, Check::FilesUnknown, text, hint));
            }
            return;
        }
    };
    if backups.torn_sets > 0 {
        findings.push(finding(
            row,
            Severity::Warning,
            Check::TornSets,
            format!(
                "{} in backups lack components and are older than five minutes: {}",
                human::count(backups.torn_sets, "set"),
                crate::text::visible(&backups.torn_examples.join(", "))
            ),
            "somebody took files away; these sets cannot be restored",
        ));
    }
    if backups.strays > 0 {
        findings.push(finding(
            row,
            Severity::Info,
            Check::Strays,
            format!("{} in backups belong to no set", human::count(backups.strays, "file")),
            "look who puts them there",
        ));
    }
    if let Some(left) = row.facts.left_overs.known().filter(|left| !left.is_empty()) {
        let bytes = human::sum(left.iter().map(|folder| folder.bytes));
        let names: Vec<String> =
            left.iter().take(3).map(|one| format!("{}/{}", one.keyspace, one.folder)).collect();
        let more = if left.len() > names.len() { ", …" } else { "" };
        findings.push(finding(
            row,
            Severity::Info,
            Check::LeftOver,
            format!(
                "{} in {} of dropped tables: {}{more}",
                human::bytes(bytes),
                human::count(left.len() as u64, "folder"),
                names.join(", ")
            ),
            "keep them as long as the dropped data may be wanted back",
        ));
    }
}

fn disks(row: &Row, findings: &mut Vec<Finding>) {
    for disk in row.facts.disks.known().into_iter().flatten() {
        if disk.size > 0 && disk.free < disk.size / 100 * LEAST_FREE_PERCENT {
            findings.push(finding(
                row,
                Severity::Warning,
                Check::DiskFilling,
                format!(
                    "{} has {} free of {}",
                    disk.mount,
                    human::bytes(disk.free),
                    human::bytes(disk.size)
                ),
                "ship and clean backups, clear snapshots, or add room",
            ));
        }
    }
}

/// Two nodes that want to be one member.
pub(super) fn disputed(row: &Row, member: &Member) -> Finding {
    finding(
        row,
        Severity::Warning,
        Check::Disputed,
        format!("another node, too, says it is {} of the ring", member.address),
        "set cassandra_address for both in the inventory",
    )
}
