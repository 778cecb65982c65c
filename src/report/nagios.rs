//! The audit as the output of a Nagios plugin: one line, performance data, then the findings.
//! The exit codes of the program are those that Nagios expects: 0, 1, 2, 3.

use std::fmt::Write as _;

use crate::audit::Audit;
use crate::audit::finding::Severity;
use crate::exit::Exit;

/// Returns the text; `exit` is what the program will end with.
pub fn render(audit: &Audit, exit: Exit) -> String {
    let word = match exit {
        Exit::Fine => "OK",
        Exit::Findings => "WARNING",
        Exit::Failed => "CRITICAL",
        Exit::Unknown | Exit::Usage | Exit::Interrupted => "UNKNOWN",
    };
    let sum = &audit.summary;
    let mut text = format!(
        "INCREMENTAL BACKUPS {word} - {}: {} of {} enabled, {} disabled, {} drift, {} unknown",
        harmless(&audit.cluster),
        sum.enabled,
        sum.nodes,
        sum.disabled,
        sum.drift,
        sum.unknown
    );
    let held: u64 = known(audit, |backups| backups.held_bytes);
    let sets: u64 = known(audit, |backups| backups.sets);
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        " | enabled={} disabled={} drift={} unknown={} sets={sets} held={held}B",
        sum.enabled, sum.disabled, sum.drift, sum.unknown
    );
    for finding in audit.findings.iter().filter(|finding| finding.severity != Severity::Info) {
        let node = finding.node.as_deref().unwrap_or("ring");
        let severity = finding.severity.name();
        let _ = writeln!(text, "{severity}: {}: {}", harmless(node), harmless(&finding.text));
    }
    text
}

fn known(audit: &Audit, number: fn(&crate::cassandra::holdings::Backups) -> u64) -> u64 {
    audit.rows.iter().filter_map(|row| row.facts.backups.known()).map(number).sum()
}

/// Nagios splits text and performance data at a bar.
fn harmless(text: &str) -> String {
    text.replace('|', "/")
}
