//! Who shares data with whom: nodes that hold a range of a keyspace together must not be taken
//! out of work at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::nodetool::describecluster::Keyspace;
use super::nodetool::describering::TokenRange;

/// Keyspaces of Cassandra itself, and of DSE. They are replicated in ways of their own (two or
/// three nodes anywhere, even in one rack), hold no data of the users, and would keep nodes apart
/// that no operator wants apart. Names are listed and not guessed from a beginning: a keyspace
/// taken for a user's costs time, a user's taken for Cassandra's costs replicas.
const OF_CASSANDRA: [&str; 18] = [
    "system",
    "system_auth",
    "system_cluster_metadata",
    "system_distributed",
    "system_schema",
    "system_traces",
    "system_views",
    "system_virtual_schema",
    "dse_analytics",
    "dse_auth",
    "dse_insights",
    "dse_insights_local",
    "dse_leases",
    "dse_perf",
    "dse_security",
    "dse_system",
    "dse_system_local",
    "solr_admin",
];

/// How a keyspace of the users is spread over the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// It is not theirs, or it is never replicated.
    NotAsked,
    /// Every node has all of it: everybody shares with everybody.
    Everywhere,
    /// The ranges say it.
    ByRange,
}

/// Returns how `keyspace` is spread.
pub fn spread(keyspace: &Keyspace) -> Spread {
    match keyspace.class.rsplit('.').next() {
        _ if OF_CASSANDRA.contains(&keyspace.name.as_str()) => Spread::NotAsked,
        Some("LocalStrategy") => Spread::NotAsked,
        Some("EverywhereStrategy") => Spread::Everywhere,
        Some(_) | None => Spread::ByRange,
    }
}

/// Nodes, by their addresses, and which of them share a range.
///
/// It holds who owns a range at the time of asking. A node that joins is in no range yet.
#[derive(Debug, Clone, Default)]
pub struct Replicas {
    numbers: HashMap<String, usize>,
    /// For each node, by its number, a bit for each node it shares a range with, and for itself.
    rows: Vec<Vec<u64>>,
}

impl Replicas {
    /// Adds the ranges of one keyspace.
    pub fn add(&mut self, ranges: &[TokenRange]) {
        let mut together = Vec::new();
        for range in ranges {
            together.clear();
            together.extend(range.endpoints.iter().map(|address| self.number(address)));
            self.share(&together);
        }
    }

    /// Adds a keyspace that every one of `addresses` has whole.
    pub fn add_everywhere<'a>(&mut self, addresses: impl IntoIterator<Item = &'a str>) {
        let together: Vec<usize> =
            addresses.into_iter().map(|address| self.number(address)).collect();
        self.share(&together);
    }

    /// Adds all that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        let mut names = vec![""; other.rows.len()];
        for (name, number) in &other.numbers {
            names[*number] = name;
        }
        let ours: Vec<usize> = names.iter().map(|name| self.number(name)).collect();
        for (row, &one) in other.rows.iter().zip(&ours) {
            for number in bits(row) {
                self.set(one, ours[number]);
            }
        }
    }

    /// Returns for each node that has a range those that must not run at the same time as it.
    pub fn apart(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut names = vec![""; self.rows.len()];
        for (name, number) in &self.numbers {
            names[*number] = name;
        }
        let others = |one: usize| bits(&self.rows[one]).filter(move |number| *number != one);
        (0..names.len())
            .map(|one| (names[one].to_owned(), others(one).map(|n| names[n].to_owned()).collect()))
            .collect()
    }

    fn number(&mut self, address: &str) -> usize {
        if let Some(number) = self.numbers.get(address) {
            return *number;
        }
        let number = self.rows.len();
        self.numbers.insert(address.to_owned(), number);
        self.rows.push(Vec::new());
        number
    }

    fn share(&mut self, together: &[usize]) {
        for &one in together {
            for &other in together {
                self.set(one, other);
            }
        }
    }

    fn set(&mut self, one: usize, other: usize) {
        let row = &mut self.rows[one];
        let word = other / 64;
        if row.len() <= word {
            row.resize(word + 1, 0);
        }
        row[word] |= 1 << (other % 64);
    }
}

/// Returns the numbers of the bits that are set.
fn bits(row: &[u64]) -> impl Iterator<Item = usize> {
    let is_set = |word: u64, bit: usize| word & (1 << bit) != 0;
    row.iter().enumerate().flat_map(move |(at, &word)| {
        (0..64).filter(move |bit| is_set(word, *bit)).map(move |bit| at * 64 + bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    fn range(endpoints: &[&str]) -> TokenRange {
        let endpoints = endpoints.iter().map(|&address| address.to_owned()).collect();
        TokenRange { start: String::new(), end: String::new(), endpoints }
    }

    /// `a: b c; b: a; c: a`
    fn shown(replicas: &Replicas) -> String {
        let nodes = replicas.apart().into_iter().map(|(node, others)| {
            let others: Vec<String> = others.into_iter().collect();
            format!("{node}: {}", others.join(" "))
        });
        nodes.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn nodes_of_one_range_are_apart_and_others_are_not() {
        let mut replicas = Replicas::default();
        replicas.add(&[range(&["a", "b"]), range(&["b", "a"]), range(&["c", "d"]), range(&[])]);
        assert_eq!(shown(&replicas), "a: b; b: a; c: d; d: c");
    }

    #[test]
    fn a_node_that_shares_with_nobody_is_there_and_free() {
        let mut replicas = Replicas::default();
        replicas.add(&[range(&["a"]), range(&["b"])]);
        assert_eq!(shown(&replicas), "a: ; b: ");
        assert_eq!(shown(&Replicas::default()), "");
    }

    #[test]
    fn an_address_twice_in_a_range_is_one_node() {
        let mut replicas = Replicas::default();
        replicas.add(&[range(&["a", "a", "fd77:0:0:0:0:0:0:11"])]);
        assert_eq!(shown(&replicas), "a: fd77:0:0:0:0:0:0:11; fd77:0:0:0:0:0:0:11: a");
    }

    #[test]
    fn several_keyspaces_keep_apart_whom_any_of_them_does() {
        let mut one = Replicas::default();
        one.add(&[range(&["a", "b"]), range(&["c"])]);
        let mut other = Replicas::default();
        other.add(&[range(&["c", "b", "d"])]);
        other.merge(&one);
        one.merge(&other);
        assert_eq!(shown(&one), "a: b; b: a c d; c: b d; d: b c");
        assert_eq!(shown(&other), shown(&one));
        one.add_everywhere(["a", "d"]);
        assert_eq!(shown(&one), "a: b d; b: a c d; c: b d; d: a b c");
    }

    #[test]
    fn keyspaces_of_users_are_told_from_those_of_cassandra() {
        let of = |name: &str, class: &str| {
            let (name, class) = (name.to_owned(), class.to_owned());
            spread(&Keyspace { name, class, options: BTreeMap::new() })
        };
        for (name, class, expected) in [
            ("shop", "SimpleStrategy", Spread::ByRange),
            ("system_shop", "NetworkTopologyStrategy", Spread::ByRange),
            ("System", "SimpleStrategy", Spread::ByRange),
            ("dse_shop", "com.example.Own", Spread::ByRange),
            ("shop", "", Spread::ByRange),
            ("system_auth", "NetworkTopologyStrategy", Spread::NotAsked),
            ("dse_system", "EverywhereStrategy", Spread::NotAsked),
            ("shop", "LocalStrategy", Spread::NotAsked),
            ("shop", "org.apache.cassandra.locator.EverywhereStrategy", Spread::Everywhere),
        ] {
            assert_eq!(of(name, class), expected, "{name} {class}");
        }
    }

    #[test]
    fn a_thousand_nodes_are_read_in_a_moment() {
        let mut text = "Schema Version:x\nTokenRange: \n".to_owned();
        let total = 1000 * 16;
        for number in 0..total {
            // Steps that share no factor with 1,000: every node has ranges with many others.
            let address =
                |step: u32| std::net::Ipv4Addr::from(0x0a00_0000 + (number * step) % 1000);
            let endpoints = format!("[{}, {}, {}]", address(1), address(7), address(13));
            text += &format!(
                "\tTokenRange(start_token:{number}, end_token:{}, endpoints:{endpoints}, \
                 rpc_endpoints:{endpoints}, endpoint_details:[])\n",
                (number + 1) % total
            );
        }
        // The best of a few: other tests run beside this one.
        let took = (0..5).map(|_| {
            let begun = Instant::now();
            let mut replicas = Replicas::default();
            replicas.add(&super::super::nodetool::describering::parse(&text).unwrap());
            assert_eq!(replicas.apart().len(), 1000);
            begun.elapsed()
        });
        let best = took.min().unwrap();
        assert!(best < Duration::from_secs(1), "it took {best:?}");
    }

    proptest::proptest! {
        #[test]
        fn pairs_are_exactly_those_that_stand_in_a_range(
            keyspaces in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(0..150_u32, 0..6), 0..20), 0..4)
        ) {
            let mut all = Replicas::default();
            let mut expected: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for keyspace in keyspaces {
                let mut replicas = Replicas::default();
                for numbers in keyspace {
                    let names: Vec<String> = numbers.iter().map(u32::to_string).collect();
                    for one in &names {
                        let others = expected.entry(one.clone()).or_default();
                        others.extend(names.iter().filter(|name| *name != one).cloned());
                    }
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    replicas.add(&[range(&names)]);
                }
                all.merge(&replicas);
            }
            proptest::prop_assert_eq!(all.apart(), expected);
        }
    }
}
