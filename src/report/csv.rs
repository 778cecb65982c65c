//! The audit as CSV (RFC 4180): a header, then a line a node. An empty field is an unknown.

use crate::audit::{Audit, Row};
use crate::cassandra::fact::Fact;
use crate::human;

const HEADER: [&str; 21] = [
    "node",
    "address",
    "host_id",
    "dc",
    "rack",
    "ring_state",
    "version",
    "live",
    "configured",
    "verdict",
    "reason",
    "sets",
    "incomplete_sets",
    "bytes",
    "held_bytes",
    "oldest",
    "snapshots",
    "snapshot_bytes",
    "snapshot_held_bytes",
    "disk_free",
    "findings",
];

/// Returns the audit as CSV.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn render(audit: &Audit) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for row in &audit.rows {
        let checks: Vec<&str> = audit
            .findings
            .iter()
            .filter(|finding| finding.node.as_ref() == Some(&row.name))
            .map(|finding| finding.check.name())
            .collect();
        let record = record(row, &checks.join(" "));
        writer.write_record(record.iter().map(|field| harmless(field)))?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A spreadsheet runs a field that begins with one of these as a formula; texts come from nodes.
fn harmless(field: &str) -> String {
    let is_formula = field.starts_with(['=', '+', '-', '@']) && field.parse::<f64>().is_err();
    if is_formula { format!("'{field}") } else { field.to_owned() }
}

fn record(row: &Row, checks: &str) -> Vec<String> {
    let facts = &row.facts;
    let member = row.member.as_ref();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let flag = |fact: &Fact<bool>| fact.known().map(ToString::to_string).unwrap_or_default();
    let backups = facts.backups.known();
    let snapshots = facts.snapshots.known();
    let number = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
    let disks = facts.disks.known();
    vec![
        row.name.clone(),
        row.address.clone(),
        text(member.and_then(|member| member.host_id.as_deref())),
        text(row.dc.as_deref()),
        text(row.rack.as_deref()),
        member.map(crate::cassandra::ring::Member::state).unwrap_or_default(),
        text(facts.version.known().map(String::as_str)),
        flag(&facts.live),
        flag(&facts.configured()),
        row.verdict.name().to_owned(),
        text(row.reason.as_ref().map(|why| why.text.as_str())),
        number(backups.map(|backups| backups.sets)),
        number(backups.map(|backups| backups.incomplete_sets)),
        number(backups.map(|backups| backups.bytes)),
        number(backups.map(|backups| backups.held_bytes)),
        backups.and_then(|backups| backups.oldest).and_then(human::instant).unwrap_or_default(),
        number(snapshots.map(|all| human::sum(all.iter().map(|one| one.count)))),
        number(snapshots.map(|all| human::sum(all.iter().map(|one| one.bytes)))),
        number(snapshots.map(|all| human::sum(all.iter().map(|one| one.held_bytes)))),
        number(disks.map(|disks| human::sum(disks.iter().map(|disk| disk.free)))),
        checks.to_owned(),
    ]
}
