//! `nodetool status`: a total parser. A line is a member, a known frame or remark, or an error
//! that shows it; none is skipped.
//!
//! Layouts, from Cassandra's `Status.java` (3.11 to 5.0): with several tokens a node,
//! `--  Address  Load  Tokens  Owns  Host ID  Rack`; with one,
//! `--  Address  Load  Owns  Host ID  Token  Rack`. Widths move, `Owns` may be
//! `Owns (effective)`, any value but address and rack may be `?`, and a rack may hold anything.

use super::ParseError;
use super::noise::is_noise;
use crate::cassandra::ring::{Liveness, Member, Phase, Ring};
use crate::text::visible;

/// Returns the ring that `stdout` shows.
///
/// # Errors
/// When there is no table, or any line from the first `Datacenter:` on is not understood, or a
/// line before it looks like a member.
pub fn parse(stdout: &str) -> Result<Ring, ParseError> {
    let mut ring = Ring::default();
    let mut table = Table::Before;
    for line in stdout.lines().map(str::trim_end) {
        if let Some(dc) = line.strip_prefix("Datacenter:") {
            table = Table::Of { dc: visible(dc.trim()), layout: None };
        } else if let Some((liveness, phase, rest)) = member_start(line) {
            let Table::Of { dc, layout: Some(layout) } = &table else {
                return Err(error("a member outside of a table", line));
            };
            let member = member(liveness, phase, rest, dc, *layout)
                .ok_or_else(|| error("a member that cannot be read", line))?;
            if ring.members.contains(&member) {
                return Err(error("the same member twice", line));
            }
            ring.members.push(member);
        } else if let Some(layout) = header(line) {
            let Table::Of { layout: open, .. } = &mut table else {
                return Err(error("a header outside of a table", line));
            };
            *open = Some(layout?);
        } else if is_remark(line) || (matches!(table, Table::Before) && !line.is_empty()) {
            ring.remarks.push(visible(line));
        } else if !is_frame(line) && !is_noise(line) {
            return Err(error("a line of no known kind", line));
        }
    }
    if ring.members.is_empty() {
        return Err(error("no member", stdout));
    }
    Ok(ring)
}

/// Where the reader stands.
enum Table {
    Before,
    Of { dc: String, layout: Option<Layout> },
}

#[derive(Clone, Copy)]
enum Layout {
    /// A column `Tokens`, rack behind the host id.
    ManyTokens,
    /// A column `Token` between host id and rack.
    OneToken,
}

fn error(reason: &'static str, line: &str) -> ParseError {
    ParseError::new("status", reason, line)
}

/// Splits `UN  rest` into its parts; `None` when the line does not begin as a member does.
fn member_start(line: &str) -> Option<(Liveness, Phase, &str)> {
    let mut chars = line.chars();
    let liveness = match chars.next()? {
        'U' => Liveness::Up,
        'D' => Liveness::Down,
        '?' => Liveness::Unsure,
        _ => return None,
    };
    let phase = match chars.next()? {
        'N' => Phase::Normal,
        'L' => Phase::Leaving,
        'J' => Phase::Joining,
        'M' => Phase::Moving,
        _ => return None,
    };
    let rest = chars.as_str();
    rest.starts_with(' ').then(|| (liveness, phase, rest.trim_start()))
}

/// Reads the header row; `Some(Err)` when it is one and its columns are others than known.
fn header(line: &str) -> Option<Result<Layout, ParseError>> {
    let words: Vec<&str> = line.strip_prefix("--")?.split_whitespace().collect();
    let layout = match words.as_slice() {
        ["Address", "Load", "Tokens", "Owns", "Host", "ID", "Rack"]
        | ["Address", "Load", "Tokens", "Owns", "(effective)", "Host", "ID", "Rack"] => {
            Ok(Layout::ManyTokens)
        }
        ["Address", "Load", "Owns", "Host", "ID", "Token", "Rack"]
        | ["Address", "Load", "Owns", "(effective)", "Host", "ID", "Token", "Rack"] => {
            Ok(Layout::OneToken)
        }
        _ => Err(error("other columns than known", line)),
    };
    Some(layout)
}

fn is_remark(line: &str) -> bool {
    line.starts_with("Note:") || line.starts_with("Warning:") || line.starts_with("* Warning:")
}

fn is_frame(line: &str) -> bool {
    line.is_empty()
        || line.bytes().all(|b| b == b'=')
        || line.starts_with("Status=Up/Down")
        || line.starts_with("|/ State=Normal/Leaving/Joining/Moving")
}

fn member(
    liveness: Liveness,
    phase: Phase,
    rest: &str,
    dc: &str,
    layout: Layout,
) -> Option<Member> {
    let mut words = Words(rest);
    let (address, port) = address(words.next()?)?;
    let load = load(&mut words)?;
    let tokens = match layout {
        Layout::ManyTokens => known(words.next()?).map(str::parse).transpose().ok()?,
        Layout::OneToken => None,
    };
    let owns = known(words.next()?).map(str::to_owned);
    if owns.as_ref().is_some_and(|owns| !owns.ends_with('%')) {
        return None;
    }
    let host_id = host_id(words.next()?)?;
    let token = match layout {
        Layout::ManyTokens => None,
        Layout::OneToken => known(words.next()?).map(visible),
    };
    let rack = visible(words.0.trim());
    if rack.is_empty() {
        return None;
    }
    let dc = dc.to_owned();
    Some(Member { liveness, phase, address, port, load, tokens, owns, host_id, dc, rack, token })
}

/// What is left of a row; `next` takes a word and leaves the rest as it stands.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

fn known(word: &str) -> Option<&str> {
    (word != "?").then_some(word)
}

/// `?`, or a number and its unit. `Some(None)` is a load that is not known.
fn load(words: &mut Words<'_>) -> Option<Option<String>> {
    let Some(number) = known(words.next()?) else {
        return Some(None);
    };
    let unit = words.next()?;
    // The decimal point follows the locale of the JVM.
    let is_number = number.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b','));
    let is_unit = matches!(unit, "bytes" | "KiB" | "MiB" | "GiB" | "TiB" | "PiB")
        || matches!(unit, "KB" | "MB" | "GB" | "TB");
    (is_number && is_unit).then(|| Some(format!("{number} {unit}")))
}

/// A UUID, or `null`/`?` of a node whose id gossip has not brought yet.
fn host_id(word: &str) -> Option<Option<String>> {
    if matches!(word, "null" | "?") {
        return Some(None);
    }
    let parts: Vec<usize> = word.split('-').map(str::len).collect();
    let is_uuid =
        parts == [8, 4, 4, 4, 12] && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_uuid.then(|| Some(word.to_ascii_lowercase()))
}

/// `10.0.0.1`, `fd00::1`, `name`, each perhaps with a port: `10.0.0.1:7000`, `[fd00::1]:7000`.
fn address(word: &str) -> Option<(String, Option<u16>)> {
    if let Some((inside, port)) = word.strip_prefix('[').and_then(|w| w.split_once(']')) {
        inside.parse::<std::net::Ipv6Addr>().ok()?;
        let port = match port.strip_prefix(':') {
            Some(port) => Some(port.parse().ok()?),
            None if port.is_empty() => None,
            None => return None,
        };
        return Some((inside.to_owned(), port));
    }
    if word.parse::<std::net::IpAddr>().is_ok() {
        return Some((word.to_owned(), None));
    }
    let (name, port) = match word.split_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (word, None),
    };
    let is_name = !name.is_empty()
        && !name.starts_with('-')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    is_name.then(|| (name.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Datacenter: dc1\n===============\nStatus=Up/Down\n|/ State=Normal/Leaving/Joining/Moving\n";
    const ID: &str = "d1045090-2a32-41af-9bf1-dca51bb91474";

    fn row(columns: &str, row: &str) -> Result<Ring, ParseError> {
        parse(&format!("{HEAD}--  {columns}\n{row}\n\n"))
    }

    #[test]
    fn all_eight_states_and_an_unsure_one_are_members() {
        for state in ["UN", "UJ", "UL", "UM", "DN", "DJ", "DL", "DM", "?N"] {
            let text = format!("{state}  10.0.0.1  1.5 KiB  16  33.3%  {ID}  r1");
            let ring = row("Address Load Tokens Owns Host ID Rack", &text).unwrap();
            assert_eq!(ring.members[0].state(), state);
        }
    }

    #[test]
    fn a_rack_may_hold_spaces_dots_and_colons() {
        let text = format!("UN  10.0.0.1  1.5 KiB  16  33.3%  {ID}  rack 1 . eu:west  ");
        let ring = row("Address Load Tokens Owns (effective) Host ID Rack", &text).unwrap();
        assert_eq!(ring.members[0].rack, "rack 1 . eu:west");
    }

    #[test]
    fn the_single_token_layout_has_the_token_before_the_rack() {
        let text = format!("DN  10.0.0.1  ?  ?  {ID}  -9223372036854775808  rack 1");
        let ring = row("Address  Load  Owns  Host ID  Token  Rack", &text).unwrap();
        let member = &ring.members[0];
        assert_eq!(member.token.as_deref(), Some("-9223372036854775808"));
        assert_eq!((member.rack.as_str(), &member.load, &member.owns), ("rack 1", &None, &None));
    }

    #[test]
    fn addresses_with_ports_and_ipv6_are_split() {
        for (word, expected) in [
            ("10.0.0.1:7000", Some(("10.0.0.1", Some(7000)))),
            ("2001:db8:0:0:0:0:0:1", Some(("2001:db8:0:0:0:0:0:1", None))),
            ("[2001:db8::1]:7001", Some(("2001:db8::1", Some(7001)))),
            ("cass-1.example:7000", Some(("cass-1.example", Some(7000)))),
            ("cass-1.example", Some(("cass-1.example", None))),
            ("-oProxyCommand=x", None),
            ("a;b", None),
            ("10.0.0.1:x", None),
        ] {
            let expected = expected.map(|(name, port)| (name.to_owned(), port));
            assert_eq!(address(word), expected, "{word}");
        }
    }

    #[test]
    fn noise_before_the_table_is_kept_and_a_member_there_is_an_error() {
        let text = format!("UN  10.0.0.1  1.5 KiB  16  33.3%  {ID}  r1");
        let table = format!("{HEAD}--  Address Load Tokens Owns Host ID Rack\n{text}\n");
        let ring = parse(&format!("Welcome!\n{table}\nNote: replication differs\n")).unwrap();
        assert_eq!(ring.remarks, ["Welcome!", "Note: replication differs"]);
        assert!(parse(&format!("{text}\n{table}")).is_err());
    }

    #[test]
    fn a_line_that_is_not_understood_is_shown() {
        let text = format!("XN  10.0.0.1  1.5 KiB  16  33.3%  {ID}  r1");
        let error = row("Address Load Tokens Owns Host ID Rack", &text).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "nodetool status printed what ringhaul does not understand, a line of no known kind: {text}"
            )
        );
        for bad in [
            format!("UN  10.0.0.1  1.5  16  33.3%  {ID}  r1"),
            "UN  10.0.0.1  1.5 KiB  16  33.3%  not-an-id  r1".to_owned(),
            format!("UN  10.0.0.1  1.5 KiB  16  33.3%  {ID}"),
            format!("UN  10.0.0.1  1.5 KiB  x  33.3%  {ID}  r1"),
        ] {
            assert!(row("Address Load Tokens Owns Host ID Rack", &bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_table_is_an_error_and_not_an_empty_ring() {
        assert!(parse("").is_err());
        assert!(parse("nodetool: Failed to connect\n").is_err());
        assert!(parse(HEAD).is_err());
    }
}
