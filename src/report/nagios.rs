//! The audit as the output of a Nagios plugin: one line, performance data, then the findings.
//! The exit codes of the program are those that Nagios expects: 0, 1, 2, 3.

use std::fmt::Write as _;

use crate::audit::Audit;
use crate::audit::finding::Severity;
use crate::cassandra::holdings::Backups;
use crate::exit::Exit;
use crate::human;

/// Returns the text; `exit` is what the program will end with.
pub fn render(audit: &Audit, exit: Exit) -> String {
    let word = word(exit);
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
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        " | enabled={} disabled={} drift={} unknown={}",
        sum.enabled, sum.disabled, sum.drift, sum.unknown
    );
    // Sums over some nodes alone would look like backups that went away.
    if let Some(backups) = of_all(audit) {
        let sets = human::sum(backups.iter().map(|one| one.sets));
        let held = human::sum(backups.iter().map(|one| one.held_bytes));
        let _ = write!(text, " sets={sets} held={held}B");
    }
    text.push('\n');
    for finding in audit.findings.iter().filter(|finding| finding.severity != Severity::Info) {
        let node = finding.node.as_deref().unwrap_or("ring");
        let severity = finding.severity.name();
        let _ = writeln!(text, "{severity}: {}: {}", harmless(node), harmless(&finding.text));
    }
    text
}

/// Returns the text for a run that came to no result.
pub fn fault(text: &str, exit: Exit) -> String {
    let text = crate::text::one_line(text.as_bytes(), 300);
    format!("INCREMENTAL BACKUPS {} - {}\n", word(exit), harmless(&text))
}

/// The word that goes with the exit code in Nagios's eyes.
fn word(exit: Exit) -> &'static str {
    match exit {
        Exit::Fine => "OK",
        Exit::Findings => "WARNING",
        Exit::Failed => "CRITICAL",
        Exit::Unknown | Exit::Usage | Exit::Interrupted => "UNKNOWN",
    }
}

fn of_all(audit: &Audit) -> Option<Vec<&Backups>> {
    audit.rows.iter().map(|row| row.facts.backups.known()).collect()
}

/// Nagios splits text and performance data at a bar.
fn harmless(text: &str) -> String {
    text.replace('|', "/")
}
