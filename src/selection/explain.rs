//! What a selection says of itself: what it asked for in vain, and what there is instead.

use std::collections::BTreeSet;

use super::{Candidate, Flag, Pattern, Selection};
use crate::nearest::nearest;

/// More names than this make a message nobody reads.
const SHOWN: usize = 10;

/// No node is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EmptySelection(String);

pub(super) fn empty(selection: &Selection, nodes: &[Candidate<'_>]) -> EmptySelection {
    if nodes.is_empty() {
        return EmptySelection("there are no nodes to choose from".into());
    }
    let asked: Vec<String> = selection.patterns().map(Pattern::to_string).collect();
    let mut lines = vec![format!("no node is chosen by {}", asked.join(" "))];
    let mut in_vain = Vec::new();
    for pattern in selection.patterns().filter(|pattern| !pattern.negated) {
        let met = nodes.iter().filter(|node| pattern.means(node) == Some(true)).count();
        if met == 0 {
            let meant = suggestion(pattern, &pattern.text, nodes);
            in_vain.push(format!("{pattern} matches no node{meant}"));
        }
    }
    if in_vain.is_empty() {
        lines.push("each option alone matches some nodes, together they leave none".into());
    }
    lines.extend(in_vain);
    let flags = [Flag::Dc, Flag::Rack, Flag::Node, Flag::Label];
    for flag in flags.into_iter().filter(|flag| selection.patterns().any(|p| p.flag == *flag)) {
        lines.push(there_is(flag, nodes));
    }
    lines.extend(undecided(selection, nodes));
    EmptySelection(lines.join("\n  "))
}

/// A sentence for each word that no node answers to, and for each pattern whose nodes another
/// option leaves out.
pub(super) fn unmatched(
    selection: &Selection,
    nodes: &[Candidate<'_>],
    meant: &[bool],
) -> Vec<String> {
    selection.patterns().filter_map(|pattern| about(pattern, nodes, meant)).collect()
}

fn about(pattern: &Pattern, nodes: &[Candidate<'_>], meant: &[bool]) -> Option<String> {
    if pattern.negated && pattern.flag == Flag::Label {
        // `!maintenance` is the same every day; that no node is under maintenance is no typo.
        return None;
    }
    let option = pattern.flag.option();
    if let Some(word) = pattern.unmet(nodes) {
        let meant = suggestion(pattern, &word, nodes);
        return Some(if pattern.negated {
            format!("{option} !{word} matches no node, so it leaves none out{meant}")
        } else {
            format!("{option} {word} matches no node{meant}")
        });
    }
    let chosen =
        nodes.iter().zip(meant).any(|(node, meant)| *meant && pattern.means(node) == Some(true));
    (!pattern.negated && !chosen)
        .then(|| format!("{pattern} adds no node: another option leaves its nodes out"))
}

/// A sentence for data centre and rack each, when they were asked for and some node's is unknown.
pub(super) fn undecided(selection: &Selection, nodes: &[Candidate<'_>]) -> Vec<String> {
    let mut sentences = Vec::new();
    for flag in [Flag::Dc, Flag::Rack] {
        let Some(pattern) = selection.patterns().find(|pattern| pattern.flag == flag) else {
            continue;
        };
        let unknown: Vec<&str> =
            nodes.iter().filter(|node| pattern.means(node).is_none()).map(first_name).collect();
        if !unknown.is_empty() {
            sentences.push(format!(
                "{} neither chooses nor leaves out nodes whose {} is not known: {}",
                flag.option(),
                noun(flag),
                some(unknown)
            ));
        }
    }
    sentences
}

fn first_name<'a>(node: &'a Candidate<'_>) -> &'a str {
    node.names.first().map_or("?", |name| name.as_ref())
}

fn noun(flag: Flag) -> &'static str {
    match flag {
        Flag::Dc => "data centre",
        Flag::Rack => "rack",
        Flag::Node => "node",
        Flag::Label => "label",
    }
}

fn there_is(flag: Flag, nodes: &[Candidate<'_>]) -> String {
    let values: BTreeSet<String> = match flag {
        Flag::Node => nodes.iter().map(|node| first_name(node).to_owned()).collect(),
        Flag::Dc | Flag::Rack | Flag::Label => values(flag, nodes),
    };
    if values.is_empty() {
        return format!("no {} is known", noun(flag));
    }
    format!("{} known: {}", noun(flag), some(values.iter().map(String::as_str)))
}

/// All words an option could have been given.
fn values(flag: Flag, nodes: &[Candidate<'_>]) -> BTreeSet<String> {
    let owned = |text: &str| text.to_owned();
    match flag {
        Flag::Dc => nodes.iter().filter_map(|node| node.dc.map(owned)).collect(),
        Flag::Rack => nodes.iter().filter_map(|node| node.rack.map(owned)).collect(),
        Flag::Node => nodes.iter().flat_map(Candidate::all_names).map(owned).collect(),
        Flag::Label => {
            let pairs = nodes.iter().flat_map(|node| node.labels);
            pairs.map(|(key, value)| format!("{key}={value}")).collect()
        }
    }
}

fn some<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    let shown = words.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match words.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn suggestion(pattern: &Pattern, word: &str, nodes: &[Candidate<'_>]) -> String {
    let mut known = values(pattern.flag, nodes);
    if pattern.flag == Flag::Label && !word.contains('=') {
        known = known
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, _)| key.to_owned())
            .collect();
    }
    if pattern.flag == Flag::Rack && word.contains('/') {
        let pairs = nodes.iter().filter_map(|node| Some(format!("{}/{}", node.dc?, node.rack?)));
        known.extend(pairs);
    }
    nearest(word, known.iter().map(String::as_str))
        .map(|near| format!("; did you mean '{near}'?"))
        .unwrap_or_default()
}
