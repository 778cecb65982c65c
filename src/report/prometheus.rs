//! The audit for node_exporter's textfile collector: text format 0.0.4, gauges only.

use std::fmt::Write as _;

use crate::audit::finding::Severity;
use crate::audit::{Audit, Row};
use crate::cassandra::ring::Member;
use crate::human;

/// A metric: name, help, and its value on a node; no value, no line: an unknown is not a zero.
struct Metric {
    name: &'static str,
    help: &'static str,
    value: fn(&Row) -> Option<f64>,
}

fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus holds doubles; 2^53 bytes are 9 PB")]
fn number(number: u64) -> f64 {
    number as f64
}

const METRICS: [Metric; 11] = [
    Metric {
        name: "cassandra_incremental_backup_enabled",
        help: "Whether incremental backups are on in the running process.",
        value: |row| row.facts.live.known().copied().map(flag),
    },
    Metric {
        name: "cassandra_incremental_backup_configured",
        help: "Whether incremental backups are on after the next start.",
        value: |row| row.facts.configured().known().copied().map(flag),
    },
    Metric {
        name: "cassandra_incremental_backup_unknown",
        help: "Whether the verdict on the node is unknown.",
        value: |row| Some(flag(row.verdict == crate::audit::Verdict::Unknown)),
    },
    Metric {
        name: "cassandra_incremental_backup_sets",
        help: "Complete SSTable sets in backups folders.",
        value: |row| row.facts.backups.known().map(|backups| number(backups.sets)),
    },
    Metric {
        name: "cassandra_incremental_backup_incomplete_sets",
        help: "Incomplete SSTable sets in backups folders.",
        value: |row| row.facts.backups.known().map(|backups| number(backups.incomplete_sets)),
    },
    Metric {
        name: "cassandra_incremental_backup_bytes",
        help: "Bytes of all files in backups folders.",
        value: |row| row.facts.backups.known().map(|backups| number(backups.bytes)),
    },
    Metric {
        name: "cassandra_incremental_backup_held_bytes",
        help: "Bytes in backups folders that no other link holds.",
        value: |row| row.facts.backups.known().map(|backups| number(backups.held_bytes)),
    },
    Metric {
        name: "cassandra_incremental_backup_oldest_timestamp_seconds",
        help: "When the oldest set in backups folders was written.",
        value: |row| {
            let oldest = row.facts.backups.known()?.oldest?;
            u64::try_from(oldest).ok().map(number)
        },
    },
    Metric {
        name: "cassandra_snapshot_bytes",
        help: "Bytes of all files in snapshots.",
        value: |row| {
            Some(number(human::sum(row.facts.snapshots.known()?.iter().map(|one| one.bytes))))
        },
    },
    Metric {
        name: "cassandra_snapshot_held_bytes",
        help: "Bytes in snapshots that no other link holds.",
        value: |row| {
            Some(number(human::sum(row.facts.snapshots.known()?.iter().map(|one| one.held_bytes))))
        },
    },
    Metric {
        name: "cassandra_data_free_bytes",
        help: "Free bytes of the data folders' file systems.",
        value: |row| {
            Some(number(human::sum(row.facts.disks.known()?.iter().map(|disk| disk.free))))
        },
    },
];

/// Returns the metrics; `now` is when the audit was made, in seconds since 1970.
pub fn render(audit: &Audit, now: i64) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for metric in &METRICS {
        head(&mut text, metric.name, metric.help);
        for row in &audit.rows {
            if let Some(value) = (metric.value)(row) {
                let _ = writeln!(text, "{}{} {value}", metric.name, labels(audit, row));
            }
        }
    }
    let cluster = escaped(&audit.cluster);
    head(&mut text, "ringhaul_findings", "Findings of the last audit.");
    for severity in [Severity::Critical, Severity::Warning, Severity::Info] {
        let count = audit.findings.iter().filter(|finding| finding.severity == severity).count();
        let name = severity.name();
        let _ = writeln!(
            text,
            "ringhaul_findings{{cluster=\"{cluster}\",severity=\"{name}\"}} {count}"
        );
    }
    let name = "ringhaul_audit_timestamp_seconds";
    head(&mut text, name, "When the last audit was made.");
    let _ = writeln!(text, "{name}{{cluster=\"{cluster}\"}} {now}");
    text
}

fn head(text: &mut String, name: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn labels(audit: &Audit, row: &Row) -> String {
    let host_id = row.member.as_ref().and_then(|member: &Member| member.host_id.as_deref());
    let pairs = [
        ("cluster", audit.cluster.as_str()),
        ("node", &row.name),
        ("address", &row.address),
        ("dc", row.dc.as_deref().unwrap_or_default()),
        ("rack", row.rack.as_deref().unwrap_or_default()),
        // Two members may stand behind one address; their series must not be the same.
        ("host_id", host_id.unwrap_or_default()),
    ];
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
