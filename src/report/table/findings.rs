//! The findings below the table: equal ones of several nodes together.

use comfy_table::{Attribute, Cell, Color};

use super::{Look, names};
use crate::audit::finding::Severity;
use crate::audit::{Audit, Finding};
use crate::report::plain;

/// Returns the findings, or a line that says there are none.
pub(super) fn render(audit: &Audit, look: Look) -> String {
    if audit.findings.is_empty() {
        return "no findings\n\n".to_owned();
    }
    let mut groups: Vec<(&Finding, Vec<&str>)> = Vec::new();
    for finding in &audit.findings {
        let same = groups.iter_mut().find(|(first, _)| {
            (first.check, text(first), &first.hint, first.node.is_some())
                == (finding.check, text(finding), &finding.hint, finding.node.is_some())
        });
        let node = finding.node.as_deref();
        match same {
            Some((_, nodes)) => nodes.extend(node),
            None => groups.push((finding, node.into_iter().collect())),
        }
    }
    let mut table = plain::table(look.width, look.color);
    for (finding, nodes) in groups {
        let shown = if nodes.len() > 1 { text(finding) } else { finding.text.clone() };
        let nodes = if nodes.is_empty() { "ring".to_owned() } else { names(&nodes) };
        table.add_row([
            severity(finding.severity),
            Cell::new(nodes),
            Cell::new(format!("{shown}\n→ {}", finding.hint)),
        ]);
    }
    plain::text(table) + "\n"
}

/// The text without the node's own name, so that it is equal for nodes in the same case.
fn text(finding: &Finding) -> String {
    match &finding.node {
        Some(node) => finding.text.replace(node.as_str(), "NODE"),
        None => finding.text.clone(),
    }
}

fn severity(severity: Severity) -> Cell {
    let cell = Cell::new(severity.name());
    match severity {
        Severity::Critical => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Severity::Warning => cell.fg(Color::Yellow),
        Severity::Info => cell.fg(Color::Blue),
    }
}
