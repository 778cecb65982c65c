//! From options and files to nodes: the inventory, the selection, the SSH settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Fault, moving, secrets};
use crate::cassandra::ring::Ring;
use crate::cli;
use crate::inventory::{Inventory, NodeSpec};
use crate::node::becoming::Becoming;
use crate::node::door::Door;
use crate::node::openssh::Openssh;
use crate::node::recorder::Recorder;
use crate::node::secret::Ask;
use crate::node::ssh;
use crate::node::survey::Limits;
use crate::node::{Endpoint, Transport};
use crate::selection::Selection;

/// The inventory that is taken when none is named.
const DEFAULT_INVENTORY: &str = "inventory.yaml";

/// Names another one to take then.
const INVENTORY_VARIABLE: &str = "RINGHAUL_INVENTORY";

/// How long commands that were given up are waited for, so that none lives on on a node.
pub(super) const GOODBYE: Duration = Duration::from_secs(3);

/// What the operator named: an inventory, a node to ask, or both.
pub(super) struct Source {
    /// The inventory, all of it, with the command line's SSH settings on top.
    pub(super) inventory: Option<Inventory>,
    /// The node of `--via`.
    pub(super) via: Option<NodeSpec>,
    /// The options that narrow the nodes down.
    pub(super) selection: Selection,
}

/// Reads what `fleet` names.
pub(super) fn source(fleet: &cli::Fleet, ssh: &cli::Ssh) -> Result<Source, Fault> {
    let selection = Selection::new(&fleet.dc, &fleet.rack, &fleet.node, &fleet.label)
        .map_err(|error| Fault::usage(error.to_string()))?;
    let file = match (&fleet.inventory, &fleet.via) {
        (Some(file), _) => Some(file.clone()),
        (None, Some(_)) => None,
        (None, None) => Some(default_inventory()?),
    };
    let mut inventory = file.map(|file| read_inventory(&file)).transpose()?;
    for node in inventory.iter_mut().flat_map(|inventory| &mut inventory.nodes) {
        put_on_top(&mut node.endpoint, ssh);
    }
    let via = match &fleet.via {
        None => None,
        Some(text) => Some(one(text, inventory.as_ref(), ssh, "--via")?),
    };
    Ok(Source { inventory, via, selection })
}

/// Reads the inventory that is named, or the default one if it is there.
pub(super) fn optional(file: Option<&Path>, ssh: &cli::Ssh) -> Result<Option<Inventory>, Fault> {
    let file = match file {
        Some(file) => Some(file.to_owned()),
        None => default_inventory().ok(),
    };
    let mut inventory = file.map(|file| read_inventory(&file)).transpose()?;
    for node in inventory.iter_mut().flat_map(|inventory| &mut inventory.nodes) {
        put_on_top(&mut node.endpoint, ssh);
    }
    Ok(inventory)
}

/// Whether there is an inventory that is taken when none is named.
pub(super) fn has_usual_inventory() -> bool {
    std::env::var_os(INVENTORY_VARIABLE).is_some_and(|name| !name.is_empty())
        || Path::new(DEFAULT_INVENTORY).exists()
}

fn default_inventory() -> Result<PathBuf, Fault> {
    if let Some(named) = std::env::var_os(INVENTORY_VARIABLE).filter(|name| !name.is_empty()) {
        return Ok(named.into());
    }
    let file = Path::new(DEFAULT_INVENTORY);
    if file.exists() {
        return Ok(file.to_owned());
    }
    Err(Fault::usage("there is no inventory.yaml here").hint(
        "name an inventory with -i, or ask a node for the ring with --via HOST; \
         `ringhaul nodes --via HOST --write inventory.yaml` makes one",
    ))
}

fn read_inventory(file: &Path) -> Result<Inventory, Fault> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Fault::usage(format!("cannot read {}: {error}", file.display())))?;
    let base = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let home = etcetera::home_dir().ok();
    Inventory::parse(&text, file, base, home.as_deref())
        .map_err(|error| Fault::usage(format!("the inventory cannot be used\n{error}")))
}

/// Lays the command line's SSH settings over those of the inventory.
fn put_on_top(endpoint: &mut Endpoint, ssh: &cli::Ssh) {
    if ssh.user.is_some() {
        endpoint.user.clone_from(&ssh.user);
    }
    if ssh.port.is_some() {
        endpoint.port = ssh.port;
    }
    if !ssh.identity.is_empty() {
        endpoint.identity_files.clone_from(&ssh.identity);
    }
    if !ssh.known_hosts.is_empty() {
        endpoint.known_hosts.clone_from(&ssh.known_hosts);
    }
    if !ssh.jump.is_empty() {
        let hops = ssh.jump.iter().filter(|hop| *hop != "none").cloned().collect();
        endpoint.proxy_jump = Some(hops);
    }
    if let Some(transport) = ssh.transport {
        endpoint.transport = Some(match transport {
            cli::Transport::Builtin => Transport::Builtin,
            cli::Transport::Openssh => Transport::Openssh,
        });
    }
}

/// One node: of the inventory by its name, else a host of its own. `what` named it.
pub(super) fn one(
    text: &str,
    inventory: Option<&Inventory>,
    ssh: &cli::Ssh,
    what: &str,
) -> Result<NodeSpec, Fault> {
    if let Some(node) = inventory.and_then(|inventory| inventory.node(text)) {
        return Ok(node.clone());
    }
    let wrong = || {
        Fault::usage(format!("{what} '{}' is no [USER@]HOST[:PORT]", crate::text::visible(text)))
    };
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, text),
    };
    let (host, port) = host_and_port(rest).ok_or_else(wrong)?;
    if host.is_empty()
        || host.starts_with('-')
        || user.as_deref() == Some("")
        || text.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        return Err(wrong());
    }
    // One of the inventory keeps its keys and files, whatever user and port are asked for.
    let mut node = match inventory.and_then(|inventory| inventory.node(&host)) {
        Some(node) => node.clone(),
        None => {
            let mut endpoint = Endpoint { host, ..Endpoint::default() };
            put_on_top(&mut endpoint, ssh);
            NodeSpec::at(endpoint)
        }
    };
    node.endpoint.user = user.or(node.endpoint.user);
    node.endpoint.port = port.or(node.endpoint.port);
    Ok(node)
}

/// `host`, `host:port`, `[2001:db8::1]:port`, `2001:db8::1`.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        return match rest.strip_prefix(':') {
            Some(port) => Some((host.to_owned(), Some(port.parse().ok()?))),
            None => rest.is_empty().then(|| (host.to_owned(), None)),
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Some((text.to_owned(), None)),
        Some((host, port)) => Some((host.to_owned(), Some(port.parse().ok()?))),
        None => Some((text.to_owned(), None)),
    }
}

/// Narrows the inventory's nodes down, and says on standard error what looks like a mistake.
pub(super) fn select(selection: &Selection, nodes: Vec<NodeSpec>) -> Result<Vec<NodeSpec>, Fault> {
    let selected = selection.select(nodes).map_err(|error| Fault::usage(error.to_string()))?;
    for remark in selected.unmatched.iter().chain(&selected.undecided) {
        warn(remark);
    }
    Ok(selected.chosen)
}

/// Prints one warning.
pub(super) fn warn(text: &str) {
    say(&format!("warning: {text}"));
}

/// Prints one line beside the result.
pub(super) fn say(text: &str) {
    moving::say(text);
}

/// The members of a ring as nodes, reached as the node that told the ring was.
pub(super) fn nodes_of_ring(ring: &Ring, via: &NodeSpec) -> Vec<NodeSpec> {
    let nodes = ring.members.iter().map(|member| {
        let endpoint =
            Endpoint { host: member.address.clone(), address: None, ..via.endpoint.clone() };
        let mut spec = NodeSpec::at(endpoint);
        spec.dc = Some(member.dc.clone());
        spec.rack = Some(member.rack.clone());
        spec.host_id.clone_from(&member.host_id);
        spec
    });
    nodes.collect()
}

/// The limits of the commands.
pub(super) fn limits(asking: &cli::Asking) -> Limits {
    Limits { nodetool: asking.nodetool_timeout, files: asking.files_timeout }
}

/// What makes lines to nodes: SSH, recorded when the operator wants a transcript.
pub(super) type Connector = Recorder<Becoming<Door>>;

/// Returns the maker of lines.
pub(super) fn connector(ssh: &cli::Ssh, asking: &cli::Asking) -> Result<Connector, Fault> {
    if let Some(folder) = &asking.transcript {
        std::fs::create_dir_all(folder).map_err(|error| {
            Fault::usage(format!("cannot make the folder {}: {error}", folder.display()))
        })?;
    }
    let ask = secrets::asker(&ssh.secrets)?;
    let door = door(ssh, ask.clone(), Some(std::sync::Arc::new(warn)))?;
    Ok(Recorder::new(Becoming::new(door, ask), asking.transcript.clone()))
}

/// Returns the makers of lines; `ask` is asked for their secrets, `notice` hears of directives of
/// ssh_config that are not followed.
pub(super) fn door(
    ssh: &cli::Ssh,
    ask: Option<Ask>,
    notice: Option<ssh::Notice>,
) -> Result<Door, Fault> {
    let options = ssh::Options {
        config_file: ssh.ssh_config.clone(),
        accept_new_host_keys: ssh.accept_new_host_keys,
        allow_match_exec: ssh.allow_match_exec,
        notice,
        connect_timeout: ssh.connect_timeout,
        ask,
        ..ssh::Options::default()
    };
    // Where this program cannot be found again, ssh has nobody to ask.
    let openssh = Openssh::new(options.clone(), std::env::current_exe().ok());
    let ssh = ssh::Ssh::new(options).map_err(|error| Fault::failed(error.to_string()))?;
    Ok(Door::new(ssh, openssh))
}

/// Returns `path` with the folder it is meant from, so that it is found from anywhere.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn a_host_may_carry_a_port_and_be_an_ipv6_address() {
        let parse = |text| host_and_port(text);
        assert_eq!(parse("a"), Some(("a".into(), None)));
        assert_eq!(parse("a:22"), Some(("a".into(), Some(22))));
        assert_eq!(parse("2001:db8::1"), Some(("2001:db8::1".into(), None)));
        assert_eq!(parse("[2001:db8::1]:22"), Some(("2001:db8::1".into(), Some(22))));
        assert_eq!(parse("a:x"), None);
        assert_eq!(parse("[::1]x"), None);
    }
}
