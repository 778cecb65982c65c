//! Reads what `ssh -G` prints.

use super::directive::Directive;
use super::said::{Origin, Said, Value};
use super::table;

/// Values in which the program has filled in tokens, variables and `~`.
const FILLED: &[&str] = &["hostname", "identityagent", "userknownhostsfile"];

/// Returns what the program said of a host, without what it says of every host.
///
/// It prints a value for each directive. Those it also prints with no file at all are nobody's
/// wish: `defaults` is that text.
pub(in super::super) fn from_ssh(printed: &str, defaults: &str) -> Said {
    let usual = values(defaults);
    let mut said = Said::default();
    for (name, words) in values(printed) {
        let default = usual.iter().filter(|(usual, _)| *usual == name);
        let adds_up = table::find(name).is_some_and(Directive::adds_up);
        // The name is that of the host, and not the same for every one.
        let is_own = adds_up || name == "hostname";
        if !is_own && default.clone().any(|(_, usual)| *usual == words) {
            continue;
        }
        let words = match default.map(|(_, usual)| usual).next() {
            Some(usual) if is_list(name) => relative(usual, words),
            _ => words,
        };
        let value = Value { words, origin: Origin::Program, filled: FILLED.contains(&name) };
        if adds_up {
            said.add(name, value);
        } else {
            said.first(name, value);
        }
    }
    let files = |values: &[(&'static str, Vec<String>)]| -> Vec<Vec<String>> {
        values.iter().filter(|(name, _)| *name == "identityfile").map(|(_, w)| w.clone()).collect()
    };
    if files(&usual) == said.all("identityfile").iter().map(|v| v.words.clone()).collect::<Vec<_>>()
    {
        said.remove("identityfile");
    }
    said
}

fn is_list(name: &str) -> bool {
    matches!(
        name,
        "ciphers"
            | "macs"
            | "kexalgorithms"
            | "hostkeyalgorithms"
            | "pubkeyacceptedalgorithms"
            | "casignaturealgorithms"
    )
}

/// Writes a list the way it was asked for, when that was by its difference from the usual one.
/// Its other names are then ours, and in our order.
fn relative(usual: &[String], words: Vec<String>) -> Vec<String> {
    let ([usual], [list]) = (usual, words.as_slice()) else {
        return words;
    };
    if let Some(more) = list.strip_prefix(usual.as_str()).and_then(|more| more.strip_prefix(',')) {
        return vec![format!("+{more}")];
    }
    let names: Vec<&str> = list.split(',').collect();
    let all: Vec<&str> = usual.split(',').collect();
    let gone: Vec<&str> = all.iter().filter(|name| !names.contains(name)).copied().collect();
    let kept: Vec<&str> = all.iter().filter(|name| names.contains(name)).copied().collect();
    if kept == names {
        return vec![format!("-{}", gone.join(","))];
    }
    // Some first, and the others as usual behind them.
    let moved = (1..names.len()).find(|&at| {
        let (first, rest) = names.split_at(at);
        all.iter().filter(|name| !first.contains(name)).eq(rest)
    });
    match moved.and_then(|at| names.get(..at)) {
        Some(first) => vec![format!("^{}", first.join(","))],
        None => words,
    }
}

/// The lines that are of use here.
fn values(printed: &str) -> Vec<(&'static str, Vec<String>)> {
    printed
        .lines()
        .filter_map(|line| {
            let (keyword, rest) = line.split_once(' ')?;
            let directive = table::find(&keyword.to_lowercase()).filter(|d| !d.is_idle())?;
            Some((directive.name, directive.read_printed(rest).ok()?))
        })
        .collect()
}
