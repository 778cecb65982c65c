//! The hosts of a `ProxyJump`, each written in one way: `[user@]host[:port]`.

use super::directive::Fault;

/// Reads the rest of a `ProxyJump` line: `none`, or hosts with commas between.
///
/// # Errors
/// As OpenSSH, also for a host that is not the one that counts.
pub(super) fn read(rest: &str) -> Result<Vec<String>, Fault> {
    let text = rest.trim_start_matches(['=', ' ', '\t']);
    let text = text.split('#').next().unwrap_or_default().trim_end();
    if text.is_empty() {
        return Err(Fault::Bad("a value is missing".into()));
    }
    if text.eq_ignore_ascii_case("none") {
        return Ok(vec!["none".into()]);
    }
    let hops: Result<Vec<String>, Fault> = text.split(',').map(hop).collect();
    // Each version of OpenSSH makes something else of a blank or a quote.
    if hops.is_ok() && text.contains([' ', '\t', '"', '\'', '\\']) {
        return Err(Fault::Odd(format!("proxyjump {text}")));
    }
    hops
}

fn hop(text: &str) -> Result<String, Fault> {
    let bad = || Fault::Bad(format!("not a jump host, [user@]host[:port]: {text}"));
    let lower = text.get(..6).unwrap_or_default();
    let rest = match text.get(6..) {
        Some(rest) if lower.eq_ignore_ascii_case("ssh://") => match rest.split_once('/') {
            Some((rest, "")) => rest,
            Some(_) => return Err(bad()),
            None => rest,
        },
        _ => text,
    };
    let (user, rest) = match rest.rsplit_once('@') {
        Some(("", _)) => return Err(bad()),
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(bad)?;
            match port.strip_prefix(':') {
                Some(port) => (host, port),
                None if port.is_empty() => (host, ""),
                None => return Err(bad()),
            }
        }
        None => rest.split_once(':').unwrap_or((rest, "")),
    };
    if host.is_empty() || host.starts_with(' ') || (!rest.starts_with('[') && port.contains(':')) {
        return Err(bad());
    }
    let port = match port {
        "" => None,
        port if port.bytes().all(|byte| byte.is_ascii_digit()) => match port.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err(bad()),
        },
        port if port.starts_with(|c: char| c.is_ascii_alphabetic()) && !port.contains('%') => {
            // The name of a service, perhaps.
            return Err(Fault::Odd(format!("proxyjump {text}")));
        }
        _ => return Err(bad()),
    };
    let user = user.map_or_else(String::new, |user| format!("{user}@"));
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    Ok(format!("{user}{host}{port}"))
}
