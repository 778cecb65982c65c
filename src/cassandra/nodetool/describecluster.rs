//! `nodetool describecluster`: the ring's name, who has which version of the schema, and every
//! keyspace with its replication. Of the other sections only the headings are looked at.
//!
//! The list of keyspaces came with 4.0; one line each, from Cassandra's `DescribeCluster.java`:
//! `<tab>NAME -> Replication class: CLASS {dc1=3, dc2=3/1}`, in no order.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::ParseError;
use super::noise::is_noise;
use crate::text::visible;

/// What a node says of its ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedCluster {
    /// The ring's name.
    pub name: String,
    /// The version of the schema that each member has, by its address; members that could not be
    /// asked are left out.
    pub schema_versions: BTreeMap<String, String>,
    /// All keyspaces but the virtual ones, by name; `None` when the output has no list (3.11).
    pub keyspaces: Option<Vec<Keyspace>>,
}

/// A keyspace and how it is replicated. Texts are as the node printed them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Keyspace {
    /// Its name.
    pub name: String,
    /// The class of its replication strategy, without the package.
    pub class: String,
    /// The other options: `dc1` → `3`, `replication_factor` → `3/1`.
    pub options: BTreeMap<String, String>,
}

/// Returns what `stdout` says.
///
/// # Errors
/// When the frame or the name is missing, a line under `Keyspaces:` is not understood, the list is
/// empty (there is no such ring), or a line is neither a heading nor below one.
pub fn parse(stdout: &str) -> Result<DescribedCluster, ParseError> {
    let mut lines = stdout.lines().map(str::trim_end);
    // Before the frame anything may stand: start-up banners.
    lines
        .find(|line| *line == "Cluster Information:")
        .ok_or_else(|| error("no cluster information", stdout))?;
    let mut name = None;
    let mut schema_versions = BTreeMap::new();
    let mut keyspaces: Option<Vec<Keyspace>> = None;
    let mut is_keyspaces = false;
    for line in lines.filter(|line| !is_noise(line)) {
        let Some(below) = line.strip_prefix(['\t', ' ']) else {
            is_keyspaces = is_heading(line)? && line == "Keyspaces:";
            if is_keyspaces && keyspaces.replace(Vec::new()).is_some() {
                return Err(error("the keyspaces twice", line));
            }
            continue;
        };
        match &mut keyspaces {
            Some(list) if is_keyspaces => {
                let read = keyspace(below).ok_or_else(|| error("an unreadable keyspace", line))?;
                list.push(read);
            }
            Some(_) | None => {
                schema_versions.extend(schema_version(below));
                name = name.or_else(|| below.strip_prefix("Name: ").map(visible));
            }
        }
    }
    let name = name.ok_or_else(|| error("no name", stdout))?;
    let keyspaces = keyspaces.map(in_order).transpose()?;
    Ok(DescribedCluster { name, schema_versions, keyspaces })
}

/// Reads `<tab>UUID: [10.0.0.1, 10.0.0.2]`, less its first tab; nothing of any other line.
fn schema_version(line: &str) -> Vec<(String, String)> {
    let Some((version, members)) = line.trim().split_once(": [") else { return Vec::new() };
    let is_version = version.len() == 36 && version.bytes().filter(|b| *b == b'-').count() == 4;
    let Some(members) = members.strip_suffix(']').filter(|_| is_version) else {
        return Vec::new();
    };
    let addresses = members.split(", ").filter_map(|member| member.parse::<IpAddr>().ok());
    addresses.map(|address| (address.to_string(), version.to_owned())).collect()
}

/// Whether `name` follows Cassandra's rule for keyspaces, and so can stand in a command.
pub fn is_keyspace_name(name: &str) -> bool {
    (1..=48).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn error(reason: &'static str, line: &str) -> ParseError {
    ParseError::new("describecluster", reason, line)
}

/// A line that is not below a heading must be one, or the remark that ownership could not be
/// counted: in 5.0 a `Note: ` behind all sections, in 4.x an `Error: ` amid them.
fn is_heading(line: &str) -> Result<bool, ParseError> {
    if line.starts_with("Note: ") || line.starts_with("Error: Non-system keyspaces don't have") {
        return Ok(false);
    }
    line.ends_with(':').then_some(true).ok_or_else(|| error("a line of no known kind", line))
}

fn in_order(mut keyspaces: Vec<Keyspace>) -> Result<Vec<Keyspace>, ParseError> {
    keyspaces.sort();
    if keyspaces.is_empty() {
        // There are always those of the system: nothing here is not "no keyspace".
        return Err(error("no keyspace under its heading", "Keyspaces:"));
    }
    match keyspaces.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(error("the same keyspace twice", &pair[0].name)),
        None => Ok(keyspaces),
    }
}

fn keyspace(line: &str) -> Option<Keyspace> {
    let (name, replication) = line.trim().split_once(" -> Replication class: ")?;
    let (class, options) = replication.split_once(' ')?;
    let options = options.strip_prefix('{')?.strip_suffix('}')?;
    if name.is_empty() || class.is_empty() {
        return None;
    }
    let mut read = BTreeMap::new();
    for option in options.split(", ").filter(|_| !options.is_empty()) {
        // The last one: a data centre's name may hold `=`.
        let (key, value) = option.rsplit_once('=')?;
        if read.insert(key.to_owned(), value.to_owned()).is_some() {
            return None;
        }
    }
    Some(Keyspace { name: name.to_owned(), class: class.to_owned(), options: read })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Cluster Information:\n\tName: prod: eu\n\tSnitch: x\n";

    fn keyspaces(lines: &str) -> Result<Vec<Keyspace>, ParseError> {
        parse(&format!("{HEAD}\nKeyspaces:\n{lines}\n")).map(|read| read.keyspaces.unwrap())
    }

    #[test]
    fn keyspaces_have_class_and_options_in_an_order_of_their_own() {
        let read = keyspaces(
            "\tsystem -> Replication class: LocalStrategy {}\n\
             \tShop_1 -> Replication class: NetworkTopologyStrategy {eu=west=3, dc1=3/1}\n",
        )
        .unwrap();
        let options: Vec<_> =
            read[0].options.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            (read[0].name.as_str(), read[0].class.as_str()),
            ("Shop_1", "NetworkTopologyStrategy")
        );
        assert_eq!(options, [("dc1", "3/1"), ("eu=west", "3")]);
        assert_eq!((read[1].name.as_str(), read[1].options.len()), ("system", 0));
    }

    #[test]
    fn an_output_without_the_list_is_understood_and_names_no_keyspace() {
        let version = "d24b6584-ca87-38fc-ab1a-6a88acdfb1a3";
        let text = format!(
            "Welcome!\n{HEAD}\tSchema versions:\n\t\t{version}: [10.0.0.1, fd77:0:0:0:0:0:0:11]\n\n\
             \t\tUNREACHABLE: [10.0.0.2]\n\n"
        );
        let read = parse(&text).unwrap();
        let members = ["10.0.0.1", "fd77::11"];
        let schema_versions =
            members.map(|member| (member.to_owned(), version.to_owned())).into_iter().collect();
        let name = "prod: eu".to_owned();
        assert_eq!(read, DescribedCluster { name, schema_versions, keyspaces: None });
    }

    #[test]
    fn a_list_that_is_torn_doubled_or_odd_is_an_error_that_shows_it() {
        for (lines, reason) in [
            ("", "no keyspace under its heading"),
            ("\tshop -> Replication class: SimpleStrategy {replication_factor=3", "an unreadable"),
            ("\tshop -> Replication class: SimpleStrategy", "an unreadable"),
            ("\tshop -> Replication class: null", "an unreadable"),
            ("\tsomething went wrong for keyspace: shop", "an unreadable"),
            ("\tshop -> Replication class: X {a}", "an unreadable"),
            ("\tshop -> Replication class: X {a=1, a=2}", "an unreadable"),
            ("\ta -> Replication class: X {}\n\ta -> Replication class: Y {}", "the same keyspace"),
            ("\ta -> Replication class: X {}\nKeyspaces:", "the keyspaces twice"),
            ("\ta -> Replication class: X {}\nerror: boom", "a line of no known kind"),
            ("\ta -> Replication class: X {}\nError: keyspace is gone", "a line of no known kind"),
        ] {
            let error = keyspaces(lines).unwrap_err();
            assert!(error.reason.contains(reason), "{lines}: {error}");
        }
    }

    #[test]
    fn an_empty_output_is_an_error() {
        for text in ["", "nodetool: Failed\n", "Cluster Information:\n", "Keyspaces:\n"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_names_that_cassandra_allows_may_stand_in_a_command() {
        for good in ["shop", "Shop_1", "0", &"x".repeat(48)] {
            assert!(is_keyspace_name(good), "{good}");
        }
        for bad in ["", "-h", "a b", "a;b", "ä", "a\n", "$(x)", &"x".repeat(49)] {
            assert!(!is_keyspace_name(bad), "{bad}");
        }
    }
}
