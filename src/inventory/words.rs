//! What a single text in an inventory must look like: hosts, users, paths, jump hosts, labels.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Component, Path, PathBuf};

/// Characters that OpenSSH refuses in a host or user name as well, because names end up in
/// `ProxyCommand` and `Match exec` lines that a shell reads.
const SHELL: &[char] = &['\'', '`', '"', '$', '\\', ';', '&', '<', '>', '|', '(', ')', '{', '}'];

/// A UUID, as `nodetool status` shows it.
pub(super) fn host_id(text: &str) -> Result<(), &'static str> {
    let is_uuid = text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if is_uuid { Ok(()) } else { Err("a host id as `nodetool status` shows it") }
}

/// Returns what was expected when `name` is no host; `Ok` when it is one.
pub(super) fn host(name: &str) -> Result<(), &'static str> {
    if is_address(name) {
        return Ok(());
    }
    let port = name.split_once(':').map(|(_, port)| port);
    if name.is_empty() {
        Err("a host name or address")
    } else if name.starts_with('-') {
        Err("a name that does not begin with '-'")
    } else if name.contains(',') {
        Err("one host; several stand in entries of their own or in a range such as cass-[01-12]")
    } else if name.contains('@') {
        Err("the host without a login name")
    } else if port.is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
    {
        Err("the host without a port")
    } else if name.contains(':') {
        Err("a host name or an IPv6 address")
    } else if has_blanks(name)
        || name.contains(SHELL)
        || name.contains(['/', '[', ']', '*', '?', '!', '%', '#'])
    {
        Err("a host name of letters, digits, '.', '-' and '_'")
    } else {
        Ok(())
    }
}

/// Whether `name` is an IP address, an IPv6 one perhaps with a zone: `fe80::1%eth0`.
pub(super) fn is_address(name: &str) -> bool {
    let zoned = |(address, zone): (&str, &str)| {
        let is_zone = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.chars().all(is_zone)
    };
    name.parse::<IpAddr>().is_ok() || name.split_once('%').is_some_and(zoned)
}

/// Returns `name` without the brackets of an IPv6 literal, `[fd77::11]`.
pub(super) fn without_brackets(name: &str) -> &str {
    name.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .filter(|inner| inner.contains(':') && is_address(inner))
        .unwrap_or(name)
}

/// Returns the form in which two ways of writing one host are equal.
pub(super) fn canonical(name: &str) -> String {
    name.parse::<IpAddr>().map_or_else(|_| name.to_lowercase(), |address| address.to_string())
}

/// Returns what was expected when `name` is no login name.
pub(super) fn user(name: &str) -> Result<(), &'static str> {
    let shell = SHELL.iter().filter(|c| !['$', '\\'].contains(c));
    if name.is_empty() || name.starts_with('-') || name.ends_with('\\') || has_blanks(name) {
        Err("a login name")
    } else if name.contains(shell.copied().collect::<Vec<_>>().as_slice()) {
        Err("a login name without quotes and brackets")
    } else {
        Ok(())
    }
}

/// Returns what was expected when `name` is no account of a node: it stands in a command's text
/// and in lines for sudoers, where nothing of it may be read as anything else.
///
/// # Errors
/// What was expected.
pub fn account(name: &str) -> Result<(), &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(is_plain) {
        Err("an account's name of letters, digits, '.', '-' and '_'")
    } else {
        Ok(())
    }
}

/// Returns what was expected when `text` is no path on a node.
pub(super) fn node_path(text: &str) -> Result<(), &'static str> {
    if !text.starts_with('/') {
        Err("an absolute path on the node")
    } else if text.chars().any(char::is_control) {
        Err("a path without control characters")
    } else {
        Ok(())
    }
}

/// Returns what was expected when `hop` is not `[user@]host[:port]`.
pub(super) fn jump(hop: &str) -> Result<(), &'static str> {
    const HOP: &str = "[user@]host[:port], or none";
    let (login, rest) = hop.rsplit_once('@').map_or((None, hop), |(u, rest)| (Some(u), rest));
    let (name, port) = host_and_port(rest);
    let good = hop != "none"
        && login.is_none_or(|login| user(login).is_ok())
        && host(name).is_ok()
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if good { Ok(()) } else { Err(HOP) }
}

fn host_and_port(text: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, (!rest.is_empty()).then(|| rest.strip_prefix(':').unwrap_or("")));
    }
    match text.split_once(':') {
        Some((name, port)) if !is_address(text) => (name, Some(port)),
        _ => (text, None),
    }
}

/// Returns what was expected when `text` is no name of a cluster, data centre or rack.
pub(super) fn name(text: &str) -> Result<(), &'static str> {
    if text.trim().is_empty() {
        Err("a name")
    } else if text.chars().any(char::is_control) {
        Err("a name without control characters")
    } else {
        Ok(())
    }
}

/// Returns what was expected when `--label` could not ask for `key`.
pub(super) fn label_key(key: &str) -> Result<(), &'static str> {
    let good = !key.is_empty()
        && !has_blanks(key)
        && !key.contains(['=', ',', '!', '*', '?', '[', ']', '{', '}']);
    if good { Ok(()) } else { Err("a label's name without blanks and any of = , ! * ? [ ] { }") }
}

/// Returns a path on this machine: `~/` is `home`, relative ones begin at `base`.
pub(super) fn local_path(
    text: &str,
    base: &Path,
    home: Option<&Path>,
) -> Result<PathBuf, &'static str> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("a path on this machine");
    }
    if let Some(rest) = text.strip_prefix('~') {
        let home = home.ok_or("a path without '~': the home folder is not known")?;
        let rest = rest.strip_prefix('/').or((rest.is_empty()).then_some(""));
        return Ok(tidy(&home.join(rest.ok_or("'~/…' or a path without '~'")?)));
    }
    Ok(tidy(&base.join(text)))
}

/// Leaves the `.` in the middle out, so that messages show the path people expect.
fn tidy(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

fn has_blanks(text: &str) -> bool {
    text.chars().any(|c| c.is_whitespace() || c.is_control())
}
