//! `nodetool describering KEYSPACE`: which nodes hold which range of tokens.
//!
//! One line a range, from Cassandra's `TokenRange.java`: `<tab>TokenRange(start_token:A,
//! end_token:B, endpoints:[…], rpc_endpoints:[…], endpoint_details:[…])`. What comes behind the
//! endpoints holds names of data centres and racks, which may be anything, and is not read.

use std::collections::HashSet;
use std::net::IpAddr;

use super::ParseError;
use super::noise::is_noise;

/// The most replicas of a range that are taken; rings have 3 for each of a few data centres.
const MOST_ENDPOINTS: usize = 128;

/// The most nodes that are taken: ten times the largest rings there are. A node is not trusted
/// with the controller's memory.
const MOST_NODES: usize = 10_000;

/// A range of tokens and its replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRange {
    /// Where it begins, itself not within. A text: not every partitioner's tokens are numbers.
    pub start: String,
    /// Where it ends, itself within.
    pub end: String,
    /// The addresses of its replicas, as printed; empty where the keyspace has none.
    pub endpoints: Vec<String>,
}

/// Returns the ranges that `stdout` shows.
///
/// # Errors
/// When a line behind the heading is not understood, or the ranges do not close to a ring: one
/// that is missed would let two of its replicas run at once.
pub fn parse(stdout: &str) -> Result<Vec<TokenRange>, ParseError> {
    let mut lines = stdout.lines().map(str::trim);
    lines
        .find(|line| *line == "TokenRange:")
        .ok_or_else(|| error("no heading of the ranges", stdout))?;
    let mut ranges = Vec::new();
    let mut nodes = HashSet::new();
    for line in lines.filter(|line| !is_noise(line)) {
        let (start, end, endpoints) =
            split(line).ok_or_else(|| error("a line of no known kind", line))?;
        if endpoints.len() > MOST_ENDPOINTS {
            return Err(error("more replicas than are taken", line));
        }
        for &address in &endpoints {
            // A set of those seen: a thousand addresses come back in each of many ranges.
            if !nodes.contains(address) {
                address.parse::<IpAddr>().map_err(|_| error("a replica without address", line))?;
                nodes.insert(address);
            }
        }
        if nodes.len() > MOST_NODES {
            return Err(error("more nodes than are taken", line));
        }
        let endpoints = endpoints.into_iter().map(str::to_owned).collect();
        ranges.push(TokenRange { start: start.to_owned(), end: end.to_owned(), endpoints });
    }
    if ranges.is_empty() {
        return Err(error("no range", stdout));
    }
    match gap(&ranges) {
        Some(token) => Err(error("ranges that do not close to a ring", token)),
        None => Ok(ranges),
    }
}

fn error(reason: &'static str, line: &str) -> ParseError {
    ParseError::new("describering", reason, line)
}

fn split(line: &str) -> Option<(&str, &str, Vec<&str>)> {
    let rest = line.strip_prefix("TokenRange(start_token:")?.strip_suffix(')')?;
    let (start, rest) = rest.split_once(", end_token:")?;
    let (end, rest) = rest.split_once(", endpoints:[")?;
    let (endpoints, rest) = rest.split_once(']')?;
    if !rest.starts_with(", rpc_endpoints:[") {
        return None;
    }
    let endpoints = match endpoints {
        "" => Vec::new(),
        some => some.split(", ").collect(),
    };
    Some((start, end, endpoints))
}

/// Returns a token at which one range ends and no other, or none, begins; or the other way round.
fn gap(ranges: &[TokenRange]) -> Option<&str> {
    let mut starts: Vec<&str> = ranges.iter().map(|range| range.start.as_str()).collect();
    let mut ends: Vec<&str> = ranges.iter().map(|range| range.end.as_str()).collect();
    starts.sort_unstable();
    ends.sort_unstable();
    let doubled = starts.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    let differs = || starts.iter().zip(&ends).find(|(start, end)| start != end);
    doubled.or_else(|| differs().map(|(start, _)| *start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(start: &str, end: &str, endpoints: &str) -> String {
        format!(
            "\tTokenRange(start_token:{start}, end_token:{end}, endpoints:[{endpoints}], \
             rpc_endpoints:[{endpoints}], endpoint_details:[EndpointDetails(host:x, \
             datacenter:dc1, rack:odd), rack]: a, endpoints:[y])])\n"
        )
    }

    fn read(lines: &str) -> Result<Vec<TokenRange>, ParseError> {
        parse(&format!("Schema Version:b9cd138d\nTokenRange: \n{lines}"))
    }

    #[test]
    fn ranges_have_their_replicas_whatever_racks_are_called() {
        let read = read(&(line("-9", "5", "10.0.0.1, fd77:0:0:0:0:0:0:11") + &line("5", "-9", "")));
        let read = read.unwrap();
        assert_eq!((read[0].start.as_str(), read[0].end.as_str()), ("-9", "5"));
        assert_eq!(read[0].endpoints, ["10.0.0.1", "fd77:0:0:0:0:0:0:11"]);
        assert!(read[1].endpoints.is_empty());
    }

    #[test]
    fn tokens_of_any_partitioner_are_taken_and_one_range_may_be_the_whole_ring() {
        for token in ["-9223372036854775808", "170141183460469231731687303715884105728", "6b65", ""]
        {
            let read = read(&line(token, token, "10.0.0.1")).unwrap();
            assert_eq!(read[0].end, token);
        }
    }

    #[test]
    fn a_missing_or_doubled_range_is_an_error() {
        let circle = line("1", "2", "10.0.0.1") + &line("2", "3", "10.0.0.2");
        for (text, shown) in [
            (circle.clone(), "1"),
            (circle.clone() + &line("3", "4", "10.0.0.1"), "1"),
            (circle + &line("3", "1", "10.0.0.1") + &line("3", "1", "10.0.0.1"), "3"),
        ] {
            let error = read(&text).unwrap_err();
            assert_eq!(error.reason, "ranges that do not close to a ring");
            assert_eq!(error.line, shown);
        }
    }

    #[test]
    fn an_empty_torn_or_foreign_output_is_an_error() {
        assert!(parse("").is_err());
        assert!(read("").is_err());
        let whole = line("1", "1", "10.0.0.1");
        for text in [
            whole.trim_end().trim_end_matches(')').to_owned(),
            whole[..40].to_owned(),
            whole.clone() + "error: boom\n",
            line("1", "1", "10.0.0.1,10.0.0.2"),
            line("1", "1", "evil name"),
        ] {
            assert!(read(&text).is_err(), "{text}");
        }
        assert!(parse(&whole).is_err());
    }

    #[test]
    fn more_than_any_ring_has_is_refused() {
        let many: Vec<String> = (0..129).map(|number| format!("10.0.0.{number}")).collect();
        assert_eq!(
            read(&line("1", "1", &many.join(", "))).unwrap_err().reason,
            "more replicas than are taken"
        );
        let mut text = String::new();
        for number in 0..10_001_u32 {
            let address = std::net::Ipv4Addr::from(number).to_string();
            text += &line(&number.to_string(), "x", &address);
        }
        assert_eq!(read(&text).unwrap_err().reason, "more nodes than are taken");
    }
}
