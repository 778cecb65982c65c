//! The audit as JSON, schema 1; described in README.md.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::audit::finding::{Check, Severity};
use crate::audit::{Audit, Finding, Row, Summary, Verdict};
use crate::cassandra::fact::{Fact, WhyKind};
use crate::cassandra::holdings::{self, Evidence};
use crate::human;

/// The version of the layout. It changes when a field goes or means something else.
const SCHEMA: u32 = 1;

/// Returns the audit as JSON, ended by a line end.
///
/// # Errors
/// None in practice: every value has a JSON form.
pub fn render(audit: &Audit) -> Result<String, serde_json::Error> {
    let document = Document {
        schema: SCHEMA,
        cluster: &audit.cluster,
        summary: audit.summary,
        findings: &audit.findings,
        nodes: audit.rows.iter().map(|row| node(row, &audit.findings)).collect(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    cluster: &'a str,
    summary: Summary,
    findings: &'a [Finding],
    nodes: Vec<Node<'a>>,
}

#[derive(Serialize)]
struct Node<'a> {
    name: &'a str,
    address: &'a str,
    host_id: Option<&'a str>,
    dc: Option<&'a str>,
    rack: Option<&'a str>,
    labels: Option<&'a BTreeMap<String, String>>,
    ring_state: Option<String>,
    mode: Option<&'a str>,
    version: Option<&'a str>,
    live: Option<bool>,
    configured: Option<bool>,
    config_file: Option<&'a str>,
    verdict: Verdict,
    reason: Option<&'a str>,
    reason_kind: Option<WhyKind>,
    backups: Option<Backups>,
    snapshots: Option<Vec<Snapshots<'a>>>,
    left_overs: Option<Vec<LeftOver<'a>>>,
    disks: Option<Vec<Disk<'a>>>,
    /// Facts that are null above, and why.
    unknown: BTreeMap<&'static str, String>,
    findings: Vec<NodeFinding<'a>>,
}

#[derive(Serialize)]
struct Backups {
    sets: u64,
    incomplete_sets: u64,
    bytes: u64,
    held_bytes: u64,
    oldest: Option<String>,
    newest: Option<String>,
}

#[derive(Serialize)]
struct Snapshots<'a> {
    kind: &'static str,
    count: u64,
    bytes: u64,
    held_bytes: u64,
    oldest: Option<String>,
    newest: Option<String>,
    names: &'a [String],
}

#[derive(Serialize)]
struct LeftOver<'a> {
    keyspace: &'a str,
    folder: &'a str,
    bytes: u64,
    sets: u64,
    evidence: &'static str,
}

#[derive(Serialize)]
struct Disk<'a> {
    mount: &'a str,
    size: u64,
    free: u64,
}

#[derive(Serialize)]
struct NodeFinding<'a> {
    severity: Severity,
    check: Check,
    text: &'a str,
    hint: &'a str,
}

fn node<'a>(row: &'a Row, findings: &'a [Finding]) -> Node<'a> {
    let facts = &row.facts;
    let member = row.member.as_ref();
    let config = facts.config.known();
    Node {
        name: &row.name,
        address: &row.address,
        host_id: member.and_then(|member| member.host_id.as_deref()),
        dc: row.dc.as_deref(),
        rack: row.rack.as_deref(),
        labels: row.spec.as_ref().map(|spec| &spec.labels),
        ring_state: member.map(crate::cassandra::ring::Member::state),
        mode: facts.mode.as_ref().and_then(Fact::known).map(|mode| mode.name()),
        version: facts.version.known().map(String::as_str),
        live: facts.live.known().copied(),
        configured: facts.configured().known().copied(),
        config_file: config.map(|(path, _)| path.as_str()),
        verdict: row.verdict,
        reason: row.reason.as_ref().map(|why| why.text.as_str()),
        reason_kind: row.reason.as_ref().map(|why| why.kind),
        backups: facts.backups.known().map(backups),
        snapshots: facts.snapshots.known().map(|all| all.iter().map(snapshots).collect()),
        left_overs: facts.left_overs.known().map(|all| all.iter().map(left_over).collect()),
        disks: facts.disks.known().map(|all| {
            all.iter().map(|d| Disk { mount: &d.mount, size: d.size, free: d.free }).collect()
        }),
        unknown: unknown(row),
        findings: findings
            .iter()
            .filter(|finding| finding.node.as_ref() == Some(&row.name))
            .map(|finding| NodeFinding {
                severity: finding.severity,
                check: finding.check,
                text: &finding.text,
                hint: &finding.hint,
            })
            .collect(),
    }
}

fn unknown(row: &Row) -> BTreeMap<&'static str, String> {
    let facts = &row.facts;
    let configured = facts.configured();
    [
        ("live", facts.live.why()),
        ("configured", configured.why()),
        ("config_file", facts.config.why()),
        ("version", facts.version.why()),
        ("backups", facts.backups.why()),
        ("snapshots", facts.snapshots.why()),
        ("left_overs", facts.left_overs.why()),
        ("disks", facts.disks.why()),
        ("mode", facts.mode.as_ref().and_then(Fact::why)),
    ]
    .into_iter()
    .filter_map(|(name, why)| Some((name, why?.text.clone())))
    .collect()
}

fn backups(backups: &holdings::Backups) -> Backups {
    Backups {
        sets: backups.sets,
        incomplete_sets: backups.incomplete_sets,
        bytes: backups.bytes,
        held_bytes: backups.held_bytes,
        oldest: backups.oldest.and_then(human::instant),
        newest: backups.newest.and_then(human::instant),
    }
}

fn snapshots(snapshots: &holdings::Snapshots) -> Snapshots<'_> {
    Snapshots {
        kind: snapshots.kind.name(),
        count: snapshots.count,
        bytes: snapshots.bytes,
        held_bytes: snapshots.held_bytes,
        oldest: human::instant(snapshots.oldest),
        newest: human::instant(snapshots.newest),
        names: &snapshots.names,
    }
}

fn left_over(folder: &holdings::LeftOver) -> LeftOver<'_> {
    LeftOver {
        keyspace: &folder.keyspace,
        folder: &folder.folder,
        bytes: folder.bytes,
        sets: folder.sets,
        evidence: match folder.evidence {
            Evidence::DroppedSnapshot => "dropped_snapshot",
            Evidence::NewerFolder => "newer_folder",
        },
    }
}
