//! `nodetool ring`: every token of every node, a table for each data centre.
//!
//! Columns, from Cassandra's `Ring.java`: `Address  Rack  Status State  Load  Owns  Token`. Their
//! widths are fixed and a longer rack runs into the status, so a row is read from its end.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::ParseError;
use super::noise::is_noise;

/// Returns each node's lowest token, by its address as printed.
///
/// # Errors
/// As [`tokens`].
pub fn parse(stdout: &str) -> Result<BTreeMap<String, i128>, ParseError> {
    let lowest =
        |(address, tokens): (String, Vec<i128>)| Some((address, tokens.into_iter().min()?));
    Ok(tokens(stdout)?.into_iter().filter_map(lowest).collect())
}

/// Returns each node's tokens, by its address as printed.
///
/// # Errors
/// When there is no row, a line from the first `Datacenter:` on is not understood, or a token is
/// no number: those of `ByteOrderedPartitioner` are not.
pub fn tokens(stdout: &str) -> Result<BTreeMap<String, Vec<i128>>, ParseError> {
    let mut tokens: BTreeMap<String, Vec<i128>> = BTreeMap::new();
    let mut is_table = false;
    for line in stdout.lines().map(str::trim_end) {
        if line.starts_with("Datacenter: ") {
            is_table = true;
        } else if let Some((address, token)) = row(line) {
            if !is_table {
                return Err(error("a node outside of a table", line));
            }
            tokens.entry(address.to_owned()).or_default().push(token);
        } else if is_table && !is_frame(line) && !is_noise(line) {
            return Err(error("a line of no known kind", line));
        }
    }
    if tokens.is_empty() {
        return Err(error("no node", stdout));
    }
    Ok(tokens)
}

fn error(reason: &'static str, line: &str) -> ParseError {
    ParseError::new("ring", reason, line)
}

fn is_frame(line: &str) -> bool {
    let columns = ["Address", "Rack", "Status", "State", "Load", "Owns", "Token"];
    line.bytes().all(|b| b == b'=')
        || line.split_whitespace().eq(columns)
        // The first row of a table holds nothing but the last token of the data centre.
        || (line.starts_with(' ') && line.trim().parse::<i128>().is_ok())
        || line.trim_start().starts_with("Note: ")
        || line.starts_with("  Warning: \"nodetool ring\" is used to output all the tokens")
        || line.starts_with("  To view status related info of a node use")
}

/// Returns the address and token of a row.
fn row(line: &str) -> Option<(&str, i128)> {
    let (rest, token) = last_word(line)?;
    let token = token.parse().ok()?;
    let (rest, owns) = last_word(rest)?;
    // Java writes a share of nothing as `NaN`.
    if !(owns == "?" || owns == "NaN" || owns.ends_with('%')) {
        return None;
    }
    let rest = before_load(rest)?;
    let (rest, state) = last_word(rest)?;
    if !matches!(state, "Normal" | "Joining" | "Leaving" | "Moving") {
        return None;
    }
    let is_status = |status: &&str| rest.ends_with(*status);
    let status = ["Up", "Down", "?"].into_iter().find(is_status)?;
    let (address, rack) = rest.strip_suffix(status)?.split_once(' ')?;
    (!rack.trim().is_empty() && address.parse::<IpAddr>().is_ok()).then_some((address, token))
}

/// Takes the load off the end: `?`, or a number and its unit.
fn before_load(text: &str) -> Option<&str> {
    let (rest, unit) = last_word(text)?;
    if unit == "?" {
        return Some(rest);
    }
    let (rest, number) = last_word(rest)?;
    let is_unit = matches!(unit, "bytes" | "KiB" | "MiB" | "GiB" | "TiB" | "PiB")
        || matches!(unit, "KB" | "MB" | "GB" | "TB");
    // The decimal point follows the locale of the JVM.
    let is_number = number.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b','));
    (is_unit && is_number).then_some(rest)
}

/// Splits off the last word; what is left has no space at its end.
fn last_word(text: &str) -> Option<(&str, &str)> {
    let (rest, word) = text.rsplit_once(' ')?;
    (!word.is_empty()).then_some((rest.trim_end(), word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "\nDatacenter: dc1\n==========\nAddress          Rack        Status State   Load            Owns                Token                                       \n";

    fn read(rows: &str) -> Result<Vec<(String, i128)>, ParseError> {
        Ok(parse(&format!("{HEAD}{rows}\n"))?.into_iter().collect())
    }

    #[test]
    fn the_lowest_token_of_each_node_is_taken_from_all_tables() {
        let one = "10.0.0.1  r1   Up     Normal  83.1 KiB   100.00%   7   \n10.0.0.1  r1   Up     Normal  83.1 KiB   100.00%   -5   \n";
        let text = format!("{HEAD}      99   \n{one}\nDatacenter: dc2\n==========\n\n");
        let other = "10.0.0.2  r1   Down   Leaving  ?   ?   9   \n";
        let read: Vec<_> = parse(&format!("{text}{other}")).unwrap().into_iter().collect();
        assert_eq!(read, [("10.0.0.1".to_owned(), -5), ("10.0.0.2".to_owned(), 9)]);
    }

    #[test]
    fn racks_loads_addresses_and_states_may_be_any_that_cassandra_prints() {
        for (row, address, token) in [
            ("10.0.0.1  rack 1 . eu Up     Normal  1 bytes  ?  1", "10.0.0.1", 1),
            ("10.0.0.1  a-rack-of-a-long-nameUp     Normal  1,5 TiB  33,3%  1", "10.0.0.1", 1),
            ("10.0.0.1  Up          ?      Joining  ?  NaN  1", "10.0.0.1", 1),
            ("10.0.0.1  Up Normal ? Down   Moving  ?  0.00%  1", "10.0.0.1", 1),
            (
                "fd77:0:0:0:0:0:0:11  r1  Up     Normal  1.5 KB  0.00%  -9223372036854775808",
                "fd77:0:0:0:0:0:0:11",
                i128::from(i64::MIN),
            ),
            (
                "10.0.0.1  r1  Up  Normal  ?  ?  170141183460469231731687303715884105727",
                "10.0.0.1",
                i128::MAX,
            ),
        ] {
            assert_eq!(read(row).unwrap(), [(address.to_owned(), token)], "{row}");
        }
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error() {
        for row in [
            "10.0.0.1  r1  Up  Normal  1.5 KiB  ?  6b6579",
            "10.0.0.1  r1  Up  Asleep  1.5 KiB  ?  1",
            "10.0.0.1  r1  Off  Normal  1.5 KiB  ?  1",
            "10.0.0.1  r1  Up  Normal  1.5  ?  1",
            "10.0.0.1  Up  Normal  ?  ?  1",
            "name  r1  Up  Normal  ?  ?  1",
            "Error: keyspace is gone",
        ] {
            assert!(read(row).is_err(), "{row}");
        }
        assert!(parse("10.0.0.1  r1  Up  Normal  ?  ?  1\n").is_err());
    }

    #[test]
    fn an_empty_output_is_an_error_and_not_an_empty_ring() {
        assert!(parse("").is_err());
        assert!(parse(HEAD).is_err());
        assert!(parse("\n  Error: The keyspace x, does not exist\n").is_err());
    }
}
