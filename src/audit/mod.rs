//! The audit: facts of all nodes in, verdicts and findings out. Nothing here asks a node.

mod across;
mod checks;
pub mod finding;

use std::net::IpAddr;

use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::facts::Facts;
use crate::cassandra::ring::{Member, Ring};
use crate::inventory::NodeSpec;
use crate::join::{self, Identity};

pub use finding::{Check, Finding, Severity};

/// A node that was to be asked, and what came of it.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// What the inventory, or the ring, says of it.
    pub spec: NodeSpec,
    /// What the survey learnt.
    pub facts: Facts,
    /// Where the SSH line really went.
    pub peer: Option<IpAddr>,
    /// What the host's name means, when there was no line.
    pub resolved: Vec<IpAddr>,
}

/// One row of the audit.
#[derive(Debug, Clone)]
pub struct Row {
    /// The operator's name of it: the host of the inventory, else the ring's address.
    pub name: String,
    /// The address the ring shows, else the one that was written.
    pub address: String,
    /// Data centre: the ring's, else the inventory's.
    pub dc: Option<String>,
    /// Rack: the ring's, else the inventory's.
    pub rack: Option<String>,
    /// Its member of the ring.
    pub member: Option<Member>,
    /// What the inventory says; `None` for a member that no inventory names.
    pub spec: Option<NodeSpec>,
    /// What the survey learnt.
    pub facts: Facts,
    /// The answer.
    pub verdict: Verdict,
    /// Why the verdict is `unknown`.
    pub reason: Option<Why>,
}

/// Whether incremental backups are on, live and after the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Live on, file on.
    Enabled,
    /// Live off, file off.
    Disabled,
    /// Live on, file off.
    LostAtRestart,
    /// Live off, file on.
    OnAtRestart,
    /// One of the two is not known.
    Unknown,
}

/// The whole result.
#[derive(Debug, Clone)]
pub struct Audit {
    /// The operator's name of the cluster.
    pub cluster: String,
    /// The nodes, in the order of the inventory or of the ring.
    pub rows: Vec<Row>,
    /// What is not as it should be, the gravest first.
    pub findings: Vec<Finding>,
    /// How many nodes have which verdict.
    pub summary: Summary,
}

/// Counts of verdicts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// All rows.
    pub nodes: usize,
    /// Live on, file on.
    pub enabled: usize,
    /// Live off, file off.
    pub disabled: usize,
    /// Live and file differ.
    pub drift: usize,
    /// Not known.
    pub unknown: usize,
}

impl Verdict {
    /// Returns the verdict for two facts, and the reason when it is unknown.
    pub fn of(live: &Fact<bool>, configured: &Fact<bool>) -> (Self, Option<Why>) {
        match (live, configured) {
            (Fact::Known(true), Fact::Known(true)) => (Self::Enabled, None),
            (Fact::Known(false), Fact::Known(false)) => (Self::Disabled, None),
            (Fact::Known(true), Fact::Known(false)) => (Self::LostAtRestart, None),
            (Fact::Known(false), Fact::Known(true)) => (Self::OnAtRestart, None),
            (Fact::Unknown(why), _) | (Fact::Known(_), Fact::Unknown(why)) => {
                (Self::Unknown, Some(why.clone()))
            }
        }
    }

    /// Returns the verdict in the words of the table.
    pub fn label(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
            Self::LostAtRestart => "LOST AT RESTART",
            Self::OnAtRestart => "ON AT RESTART",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// Returns the verdict in the words of the machine formats.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::LostAtRestart => "lost_at_restart",
            Self::OnAtRestart => "on_at_restart",
            Self::Unknown => "unknown",
        }
    }
}

/// Judges what was learnt.
///
/// `is_wanted` says whether a member of the ring that no inventory names belongs to what the
/// operator selected; such members become rows of their own, which nobody asked.
pub fn judge(
    cluster: &str,
    surveyed: Vec<Surveyed>,
    ring: &Fact<Ring>,
    is_wanted: &dyn Fn(&Member) -> bool,
) -> Audit {
    let identities: Vec<Identity> = surveyed.iter().map(identity).collect();
    let empty = Ring::default();
    let known_ring = ring.known().unwrap_or(&empty);
    let joined = join::join(&identities, known_ring);
    let mut rows: Vec<Row> = surveyed
        .into_iter()
        .zip(&joined.member_of)
        .map(|(node, member)| row(node, member.map(|at| known_ring.members[at].clone())))
        .collect();
    let asked = rows.len();
    rows.extend(
        joined
            .unlisted
            .iter()
            .map(|at| &known_ring.members[*at])
            .filter(|member| is_wanted(member))
            .map(unlisted_row),
    );
    let mut findings = Vec::new();
    for row in &rows {
        checks::all(row, ring.known().is_some(), &mut findings);
    }
    for (node, member) in &joined.disputed {
        findings.push(checks::disputed(&rows[*node], &known_ring.members[*member]));
    }
    across::all(&rows[..asked], ring, &mut findings);
    findings.sort_by_key(|finding| (finding.severity, finding.check));
    Audit { cluster: cluster.to_owned(), summary: summary(&rows), rows, findings }
}

/// Returns what is known of a node's place in the ring.
pub fn identity(node: &Surveyed) -> Identity {
    let is_told = node.spec.cassandra_address.is_some();
    let claimed = node.facts.config.known().map(|(_, config)| config.addresses.clone());
    Identity {
        // Where SSH goes says nothing of a node whose address in the ring is another.
        peer: node.peer.filter(|_| !is_told),
        resolved: if is_told { Vec::new() } else { node.resolved.clone() },
        claimed: claimed.unwrap_or_default(),
        ..Identity::of(&node.spec)
    }
}

fn row(node: Surveyed, member: Option<Member>) -> Row {
    let Surveyed { spec, facts, .. } = node;
    let (verdict, reason) = Verdict::of(&facts.live, &facts.configured());
    let name = spec.endpoint.host.clone();
    let written = spec.cassandra_address.as_ref().or(spec.endpoint.address.as_ref());
    Row {
        address: member
            .as_ref()
            .map_or_else(|| written.unwrap_or(&name).clone(), |member| member.address.clone()),
        dc: member.as_ref().map(|member| member.dc.clone()).or_else(|| spec.dc.clone()),
        rack: member.as_ref().map(|member| member.rack.clone()).or_else(|| spec.rack.clone()),
        name,
        member,
        spec: Some(spec),
        facts,
        verdict,
        reason,
    }
}

fn unlisted_row(member: &Member) -> Row {
    let why = Why::new(WhyKind::NotAsked, "in the ring and not in the inventory: not asked");
    Row {
        name: member.address.clone(),
        address: member.address.clone(),
        dc: Some(member.dc.clone()),
        rack: Some(member.rack.clone()),
        member: Some(member.clone()),
        spec: None,
        facts: Facts::unknown(&why),
        verdict: Verdict::Unknown,
        reason: Some(why),
    }
}

fn summary(rows: &[Row]) -> Summary {
    let count =
        |wanted: &[Verdict]| rows.iter().filter(|row| wanted.contains(&row.verdict)).count();
    Summary {
        nodes: rows.len(),
        enabled: count(&[Verdict::Enabled]),
        disabled: count(&[Verdict::Disabled]),
        drift: count(&[Verdict::LostAtRestart, Verdict::OnAtRestart]),
        unknown: count(&[Verdict::Unknown]),
    }
}
