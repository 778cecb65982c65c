//! The audit as JUnit XML: a test case a node, for CI systems that show such reports.

use std::fmt::Write as _;

use crate::audit::finding::Severity;
use crate::audit::{Audit, Finding, Verdict};

/// Returns the report: a node with critical or warning findings has failed, an unknown one is an
/// error.
pub fn render(audit: &Audit) -> String {
    let grave = |node: Option<&str>| -> Vec<&Finding> {
        audit
            .findings
            .iter()
            .filter(|finding| finding.node.as_deref() == node)
            .filter(|finding| finding.severity != Severity::Info)
            .collect()
    };
    let mut cases = String::new();
    let (mut tests, mut failures, mut errors) = (0, 0, 0);
    let mut case = |name: &str, group: &str, findings: &[&Finding], unknown: Option<&str>| {
        tests += 1;
        // Writing to a String cannot fail.
        let _ = writeln!(
            cases,
            r#"    <testcase classname="{}" name="{}">"#,
            escaped(group),
            escaped(name)
        );
        if let Some(reason) = unknown {
            errors += 1;
            let _ = writeln!(cases, r#"      <error message="{}"/>"#, escaped(reason));
        } else if !findings.is_empty() {
            failures += 1;
            let texts: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
            let text = escaped(&texts.join("; "));
            let _ = writeln!(cases, r#"      <failure message="{text}"/>"#);
        }
        cases.push_str("    </testcase>\n");
    };
    for row in &audit.rows {
        let place = [row.dc.as_deref(), row.rack.as_deref()].map(|part| part.unwrap_or("?"));
        let unknown = (row.verdict == Verdict::Unknown)
            .then(|| row.reason.as_ref().map_or("not known", |why| why.text.as_str()));
        case(&row.name, &place.join("."), &grave(Some(&row.name)), unknown);
    }
    let of_ring = grave(None);
    if !of_ring.is_empty() {
        case("ring", "ring", &of_ring, None);
    }
    let name = escaped(&format!("incremental backups of {}", audit.cluster));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  \
         <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">\n\
         {cases}  </testsuite>\n</testsuites>\n"
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
