//! The way back: writes an inventory text from what the ring said and the command line used.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::node::Transport;

/// What an inventory is written from. Empty and `None` are left out of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// The cluster's name.
    pub cluster: String,
    /// The login name used.
    pub user: Option<String>,
    /// The SSH port used.
    pub port: Option<u16>,
    /// The keys used, as absolute paths: the file may come to lie anywhere.
    pub identity_files: Vec<PathBuf>,
    /// The known_hosts files used, as absolute paths.
    pub known_hosts: Vec<PathBuf>,
    /// The jump hosts used; `Some(vec![])` is written as `none`.
    pub proxy_jump: Option<Vec<String>>,
    /// Who spoke SSH, when that was said.
    pub transport: Option<Transport>,
    /// The nodes. They are written grouped by data centre and rack, else in this order.
    pub nodes: Vec<DraftNode>,
}

/// One node to write down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftNode {
    /// Where SSH goes.
    pub host: String,
    /// The data centre.
    pub dc: Option<String>,
    /// The rack.
    pub rack: Option<String>,
    /// The id under which the ring knows the node.
    pub host_id: Option<String>,
    /// A remark for the reader.
    pub comment: Option<String>,
}

/// Why a path cannot be written down so that it is found again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The inventory's folder is not the folder the path was meant from.
    #[error("the path {0} is relative: an inventory needs it absolute")]
    Relative(PathBuf),
    /// YAML holds text only.
    #[error("the path {0:?} is not valid UTF-8 and cannot stand in an inventory")]
    NotText(PathBuf),
}

/// Returns the text of an inventory, which reads back to the same.
///
/// # Errors
/// A path that is relative or no text.
pub fn render(draft: &Draft) -> Result<String, DraftError> {
    let mut text = format!(
        "# Written by `ringhaul nodes --write` from what the ring said. Yours from now on: every\n\
         # key that may stand here is explained in inventory.example.yaml.\n\
         cluster: {}\n",
        quoted(&draft.cluster)
    );
    let defaults = defaults(draft)?;
    if !defaults.is_empty() {
        let _ = write!(text, "\ndefaults:\n{defaults}");
    }
    text.push_str("\nnodes:\n");
    let mut nodes: Vec<&DraftNode> = draft.nodes.iter().collect();
    nodes.sort_by_key(|node| group(node));
    let mut before = None;
    for node in nodes {
        if before.replace(group(node)).is_none_or(|before| before != group(node)) {
            let _ = writeln!(text, "  # {}", heading(node));
        }
        push_node(&mut text, node);
    }
    Ok(text)
}

fn defaults(draft: &Draft) -> Result<String, DraftError> {
    let mut text = String::new();
    if let Some(user) = &draft.user {
        let _ = writeln!(text, "  user: {}", quoted(user));
    }
    if let Some(port) = draft.port {
        let _ = writeln!(text, "  port: {port}");
    }
    push_list(&mut text, "identity_file", &paths(&draft.identity_files)?);
    push_list(&mut text, "known_hosts", &paths(&draft.known_hosts)?);
    match draft.proxy_jump.as_deref() {
        Some([]) => text.push_str("  proxy_jump: none\n"),
        Some(hops) => push_list(&mut text, "proxy_jump", hops),
        None => {}
    }
    match draft.transport {
        Some(Transport::Openssh) => text.push_str("  transport: openssh\n"),
        Some(Transport::Builtin) => text.push_str("  transport: builtin\n"),
        None => {}
    }
    Ok(text)
}

fn paths(paths: &[PathBuf]) -> Result<Vec<String>, DraftError> {
    let text = |path: &PathBuf| match path.to_str() {
        None => Err(DraftError::NotText(path.clone())),
        Some(_) if !Path::is_absolute(path) => Err(DraftError::Relative(path.clone())),
        Some(text) => Ok(text.to_owned()),
    };
    paths.iter().map(text).collect()
}

fn push_list(text: &mut String, key: &str, items: &[String]) {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    match items.as_slice() {
        [] => {}
        [one] => text.push_str(&format!("  {key}: {one}\n")),
        many => text.push_str(&format!("  {key}: [{}]\n", many.join(", "))),
    }
}

fn group(node: &DraftNode) -> (Option<&str>, Option<&str>) {
    (named(&node.dc), named(&node.rack))
}

/// An empty name is no name: the inventory could not read it back.
fn named(name: &Option<String>) -> Option<&str> {
    name.as_deref().filter(|name| !name.trim().is_empty())
}

fn heading(node: &DraftNode) -> String {
    match group(node) {
        (Some(dc), Some(rack)) => format!("data centre {}, rack {}", line(dc), line(rack)),
        (Some(dc), None) => format!("data centre {}, rack not known", line(dc)),
        (None, Some(rack)) => format!("data centre not known, rack {}", line(rack)),
        (None, None) => "data centre and rack not known".to_owned(),
    }
}

fn push_node(text: &mut String, node: &DraftNode) {
    let _ = write!(text, "  - host: {}", quoted(&node.host));
    if let Some(comment) = &node.comment {
        let _ = write!(text, "  # {}", line(comment));
    }
    text.push('\n');
    let keys =
        [("host_id", named(&node.host_id)), ("dc", named(&node.dc)), ("rack", named(&node.rack))];
    for (key, name) in keys {
        if let Some(name) = name {
            let _ = writeln!(text, "    {key}: {}", quoted(name));
        }
    }
}

/// A comment ends where its line ends.
fn line(text: &str) -> String {
    text.chars().map(|c| if is_strange(c) { ' ' } else { c }).collect()
}

/// Returns `text` as a YAML scalar that reads back as this very text.
///
/// Plain only where no reader of any YAML version could see something else; quoted otherwise.
fn quoted(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            _ if is_strange(c) => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 10] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "none"];
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/@".contains(c));
    first && rest && !WORDS.contains(&text.to_lowercase().as_str())
        || text.parse::<Ipv4Addr>().is_ok()
}

/// Control characters, and what some reader takes for a line break or a byte order mark.
fn is_strange(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}
