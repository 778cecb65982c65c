//! Checks across nodes: who disagrees with the rest of the ring.

use std::collections::BTreeMap;

use super::Row;
use super::finding::{Check, Finding, Severity};
use crate::cassandra::fact::Fact;
use crate::cassandra::ring::Ring;

/// Runs every check that needs more than one node.
pub(super) fn all(rows: &[Row], ring: &Fact<Ring>, findings: &mut Vec<Finding>) {
    if let Fact::Unknown(why) = ring {
        findings.push(Finding {
            severity: Severity::Warning,
            check: Check::RingUnknown,
            node: None,
            text: format!("no node could be asked for the ring: {}", why.text),
            hint: why.hint(),
        });
    }
    for (what, value) in QUESTIONS {
        disagreement(what, &rows.iter().map(value).collect::<Vec<_>>(), rows, findings);
    }
}

/// What all nodes of a ring are expected to answer alike.
type Question = (&'static str, fn(&Row) -> Option<String>);

const QUESTIONS: [Question; 6] = [
    ("live incremental backups", |row| on_off(&row.facts.live)),
    ("incremental_backups in cassandra.yaml", |row| on_off(&row.facts.configured())),
    ("the version", |row| row.facts.version.known().cloned()),
    ("auto_snapshot", |row| on_off(&row.facts.config.known()?.1.auto_snapshot)),
    ("snapshot_before_compaction", |row| {
        on_off(&row.facts.config.known()?.1.snapshot_before_compaction)
    }),
    ("cluster_name", |row| row.facts.config.known()?.1.cluster_name.clone()),
];

fn on_off(fact: &Fact<bool>) -> Option<String> {
    fact.known().map(|on| if *on { "enabled" } else { "disabled" }.to_owned())
}

/// Names the nodes whose answer is not that of most others. When no answer has a clear majority,
/// all are named together.
fn disagreement(what: &str, answers: &[Option<String>], rows: &[Row], findings: &mut Vec<Finding>) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for answer in answers.iter().flatten() {
        *counts.entry(answer).or_default() += 1;
    }
    if counts.len() < 2 {
        return;
    }
    let known: usize = counts.values().sum();
    let most = counts.iter().max_by_key(|(_, count)| **count).filter(|(_, n)| **n * 2 > known);
    let hint = "bring all nodes of the ring to the same state".to_owned();
    let Some((usual, count)) = most else {
        let shares: Vec<String> =
            counts.iter().map(|(answer, n)| format!("{} on {n}", shown(answer))).collect();
        findings.push(Finding {
            severity: Severity::Warning,
            check: Check::Disagrees,
            node: None,
            text: format!("the nodes disagree on {what}: {}", shares.join(", ")),
            hint,
        });
        return;
    };
    for (row, answer) in rows.iter().zip(answers) {
        if let Some(answer) = answer.as_ref().filter(|answer| answer != usual) {
            findings.push(Finding {
                severity: Severity::Warning,
                check: Check::Disagrees,
                node: Some(row.name.clone()),
                text: format!(
                    "{what}: {} here, {} on {count} of {known} nodes",
                    shown(answer),
                    shown(usual)
                ),
                hint: hint.clone(),
            });
        }
    }
}

fn shown(answer: &str) -> String {
    crate::text::one_line(answer.as_bytes(), 60)
}
