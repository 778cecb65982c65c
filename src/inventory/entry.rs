//! From the entries of `nodes` to single nodes: ranges, defaults, and no node twice.

use std::collections::HashMap;

use super::keys::Section;
use super::read::{Key, Reader};
use super::settings::Settings;
use super::yaml::{Kind, Node, Place, Scalar, Value};
use super::{NodeSpec, words};
use crate::nearest::nearest;
use crate::node::Endpoint;
use crate::nodeset::{self, MAX_NAMES};

/// The port of SSH where no other is given; only for finding duplicates.
const SSH_PORT: u16 = 22;

/// One entry of the list, as it stands there.
#[derive(Default)]
struct Entry {
    hosts: Option<Names>,
    addresses: Option<Names>,
    cassandra_addresses: Option<Names>,
    host_id: Option<(Place, String)>,
    settings: Settings,
}

/// The names a text stands for, and where it stands.
struct Names {
    at: Place,
    text: String,
    names: Vec<String>,
}

/// Returns the nodes of the list.
pub(super) fn nodes(
    reader: &mut Reader<'_>,
    key: Key<'_>,
    list: &Node,
    defaults: &Settings,
) -> Option<Vec<NodeSpec>> {
    let Value::List(items) = &list.value else {
        return reader.type_of(&key, list, "a list of hosts, each line beginning with '- '");
    };
    if items.is_empty() {
        return reader.wrong(list.at, "nodes is empty, expected at least one host");
    }
    let mut nodes = Vec::new();
    let mut known = Known::default();
    for item in items {
        let Some(entry) = entry(reader, item) else {
            continue;
        };
        let Some(hosts) = &entry.hosts else { continue };
        if nodes.len() + hosts.names.len() > MAX_NAMES {
            return reader.wrong(item.at, "too many nodes, expected at most 65,536");
        }
        let place = hosts.at;
        let specs = specs(reader, entry, defaults);
        known.check(reader, place, &specs);
        nodes.extend(specs);
    }
    Some(nodes)
}

fn entry(reader: &mut Reader<'_>, item: &Node) -> Option<Entry> {
    let mut entry = Entry::default();
    if let Value::Scalar(_) = item.value {
        let name = String::from("host");
        entry.hosts = names(reader, &Key { text: &name, at: item.at }, item);
        return Some(entry);
    }
    if !matches!(item.value, Value::Map(_)) {
        let name = String::from("a node");
        let expected = "a host name, or a map with the key host";
        return reader.type_of(&Key { text: &name, at: item.at }, item, expected);
    }
    let mut has_host = false;
    let before = reader.problems.count();
    let entries = reader.section(item, Section::Node)?;
    let misspelt = reader.problems.count() > before;
    for (key, value) in entries {
        match key.text.as_str() {
            "host" => {
                has_host = true;
                entry.hosts = names(reader, &key, value);
            }
            "address" => entry.addresses = names(reader, &key, value),
            "host_id" => entry.host_id = host_id(reader, &key, value),
            "cassandra_address" => entry.cassandra_addresses = names(reader, &key, value),
            _ => entry.settings.take(reader, key, value),
        }
    }
    if !has_host && !misspelt {
        let message = "the key 'host' is missing in this node, expected a host name or a range";
        return reader.wrong(item.at, message);
    }
    Some(entry)
}

/// Takes the id under which the ring knows a node.
fn host_id(reader: &mut Reader<'_>, key: &Key<'_>, node: &Node) -> Option<(Place, String)> {
    let text = reader.text(key, node, words::host_id)?;
    Some((node.at, text.to_ascii_lowercase()))
}

/// Takes a text with ranges and unfolds it.
fn names(reader: &mut Reader<'_>, key: &Key<'_>, node: &Node) -> Option<Names> {
    let Value::Scalar(Scalar { text, kind }) = &node.value else {
        let expected = match node.value {
            // `- [fd77::1]` and `- host: [a, b]` are lists to YAML.
            Value::List(_) => "one text; quote what begins with a bracket",
            Value::Nothing | Value::Scalar(_) | Value::Map(_) => "a host name or a range",
        };
        return reader.type_of(key, node, expected);
    };
    if *kind != Kind::Text {
        return reader.text(key, node, words::host).and(None);
    }
    let names = match nodeset::expand(text) {
        Ok(names) => names,
        Err(error) => {
            // The offset counts from the first letter: behind a quote, when there is one.
            let quote = usize::from(node.at.width > text.chars().count());
            let at = Place { column: node.at.column + quote + error.at, width: 1, ..node.at };
            return reader.wrong(at, &format!("{}: {error}", key.text));
        }
    };
    let names: Vec<String> =
        names.iter().map(|name| words::without_brackets(name).to_owned()).collect();
    if let Some(expected) = names.iter().find_map(|name| words::host(name).err()) {
        return reader.type_of(key, node, expected);
    }
    Some(Names { at: node.at, text: text.clone(), names })
}

/// Returns one node for each name of an entry.
fn specs(reader: &mut Reader<'_>, entry: Entry, defaults: &Settings) -> Vec<NodeSpec> {
    let Some(hosts) = entry.hosts else {
        return Vec::new();
    };
    let addresses = paired(reader, "address", entry.addresses, &hosts);
    let cassandra_addresses =
        paired(reader, "cassandra_address", entry.cassandra_addresses, &hosts);
    if let Some((at, _)) = entry.host_id.as_ref().filter(|_| hosts.names.len() > 1) {
        let message = format!("host_id is one node's, expected one host, not '{}'", hosts.text);
        reader.wrong::<()>(*at, &message);
    }
    let settings = entry.settings.over(defaults);
    let jmx = settings.jmx.finish(reader);
    let rights = settings.rights.finish(reader);
    let spec = |(index, host): (usize, &String)| NodeSpec {
        endpoint: Endpoint {
            host: host.clone(),
            address: addresses.get(index).cloned(),
            port: settings.port,
            user: settings.user.clone(),
            identity_files: settings.identity_files.clone().unwrap_or_default(),
            known_hosts: settings.known_hosts.clone().unwrap_or_default(),
            proxy_jump: settings.proxy_jump.clone(),
            auth: settings.auth.clone().unwrap_or_default(),
            transport: settings.transport,
        },
        cassandra_address: cassandra_addresses.get(index).cloned(),
        host_id: entry.host_id.as_ref().map(|(_, id)| id.clone()),
        dc: settings.dc.clone(),
        rack: settings.rack.clone(),
        labels: settings.labels.clone(),
        paths: settings.paths.clone(),
        jmx: jmx.clone(),
        sudo: settings.sudo.unwrap_or_default(),
        rights: rights.clone(),
        line: hosts.at.line,
    };
    hosts.names.iter().enumerate().map(spec).collect()
}

/// Returns as many addresses as there are hosts, or none.
fn paired(
    reader: &mut Reader<'_>,
    key: &str,
    addresses: Option<Names>,
    hosts: &Names,
) -> Vec<String> {
    let Some(addresses) = addresses else {
        return Vec::new();
    };
    let (given, wanted) = (addresses.names.len(), hosts.names.len());
    if given != wanted {
        let message = format!(
            "{key} '{}' stands for {given}, expected {wanted}, one for each of '{}'",
            addresses.text, hosts.text
        );
        reader.wrong::<()>(addresses.at, &message);
        return Vec::new();
    }
    addresses.names
}

/// The names and addresses that are taken, and the lines that took them.
#[derive(Default)]
struct Known {
    names: HashMap<String, usize>,
    addresses: HashMap<(String, u16), (String, usize)>,
}

impl Known {
    fn check(&mut self, reader: &mut Reader<'_>, at: Place, specs: &[NodeSpec]) {
        let mut twice: Vec<(usize, Vec<&str>)> = Vec::new();
        for spec in specs {
            let name = spec.name();
            if let Some(line) = self.names.insert(words::canonical(name), spec.line) {
                match twice.iter_mut().find(|(known, _)| *known == line) {
                    Some((_, names)) => names.push(name),
                    None => twice.push((line, vec![name])),
                }
            } else {
                self.check_address(reader, at, spec);
            }
        }
        for (line, names) in twice {
            let names = nodeset::fold(&names);
            let where_else = if line == at.line {
                "the same line has it already".to_owned()
            } else {
                format!("line {line} has it already")
            };
            let message = format!("duplicate node {names}, expected each once: {where_else}");
            reader.wrong::<()>(at, &message);
        }
    }

    fn check_address(&mut self, reader: &mut Reader<'_>, at: Place, spec: &NodeSpec) {
        let endpoint = &spec.endpoint;
        let address = endpoint.address.as_ref().unwrap_or(&endpoint.host);
        let port = endpoint.port.unwrap_or(SSH_PORT);
        let here = (spec.name().to_owned(), spec.line);
        let taken = self.addresses.insert((words::canonical(address), port), here);
        if let Some((name, line)) = taken {
            let message = format!(
                "node {} has the address {address} port {port}, expected another: {name} in line \
                 {line} has it already",
                spec.name()
            );
            reader.wrong::<()>(at, &message);
        }
    }
}

/// Returns the full names of the nodes that `ring_from` names, by name, short name or address.
pub(super) fn ring_from(
    reader: &mut Reader<'_>,
    texts: Vec<(Place, String)>,
    nodes: &[NodeSpec],
) -> Vec<String> {
    let mut found = Vec::new();
    for (at, text) in texts {
        let names = nodeset::expand(&text).unwrap_or_else(|_| vec![text]);
        for name in names {
            let matches: Vec<&str> =
                nodes.iter().filter(|node| is_called(node, &name)).map(NodeSpec::name).collect();
            match matches.as_slice() {
                [one] => found.push((*one).to_owned()),
                [] => {
                    let short = nodes.iter().map(|node| short(node.name()));
                    let known = nodes.iter().map(NodeSpec::name).chain(short);
                    let meant = nearest(&name, known).map(|n| format!("; did you mean '{n}'?"));
                    let meant = meant.unwrap_or_default();
                    let message =
                        format!("ring_from '{name}', expected a node of this inventory{meant}");
                    reader.wrong::<()>(at, &message);
                }
                several => {
                    let several = several.join(", ");
                    let message = format!("ring_from '{name}', expected one node, not {several}");
                    reader.wrong::<()>(at, &message);
                }
            }
        }
    }
    found
}

fn is_called(node: &NodeSpec, name: &str) -> bool {
    let host = node.name();
    host == name || short(host) == name || node.endpoint.address.as_deref() == Some(name)
}

/// A host name up to its first dot; an address is not cut.
fn short(host: &str) -> &str {
    if words::is_address(host) { host } else { host.split('.').next().unwrap_or(host) }
}
