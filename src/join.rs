//! Inventory and ring joined: which member of the ring is which node.

use std::net::IpAddr;

use crate::cassandra::ring::{Member, Ring};
use crate::inventory::NodeSpec;

/// What is known of a node's place in the ring, by who says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Addresses and names from the operator: `cassandra_address` alone when given, else the
    /// host and the SSH address.
    pub written: Vec<String>,
    /// The host id from the operator.
    pub host_id: Option<String>,
    /// Where the SSH line really goes.
    pub peer: Option<IpAddr>,
    /// What the host's name means to the controller, when there is no line.
    pub resolved: Vec<IpAddr>,
    /// Addresses in the node's own cassandra.yaml. A node is not trusted with these: they count
    /// last, and never for a member that something else already names.
    pub claimed: Vec<String>,
}

impl Identity {
    /// Returns what the operator wrote of a node.
    pub fn of(spec: &NodeSpec) -> Self {
        let written = match &spec.cassandra_address {
            Some(address) => vec![address.clone()],
            None => spec.endpoint.address.iter().chain([&spec.endpoint.host]).cloned().collect(),
        };
        Self { written, host_id: spec.host_id.clone(), ..Self::default() }
    }
}

/// Nodes and members, joined.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// For each node, in order, its member.
    pub member_of: Vec<Option<usize>>,
    /// Members that are no node's.
    pub unlisted: Vec<usize>,
    /// Nodes that want the same member by the same kind of evidence; none of them gets it.
    pub disputed: Vec<(usize, usize)>,
}

/// One kind of evidence.
type IsMatch<'a> = dyn Fn(&Identity, &Member) -> bool + 'a;

/// Joins `nodes` with the members of `ring`, the strongest evidence first.
pub fn join(nodes: &[Identity], ring: &Ring) -> Joined {
    let mut joined = Joined { member_of: vec![None; nodes.len()], ..Joined::default() };
    let mut is_taken = vec![false; ring.members.len()];
    let by_host_id =
        |node: &Identity, member: &Member| node.host_id.is_some() && node.host_id == member.host_id;
    let by_writing =
        |node: &Identity, member: &Member| node.written.iter().any(|text| names(text, member));
    let by_peer = |node: &Identity, member: &Member| {
        let mut addresses = node.peer.iter().chain(&node.resolved);
        addresses.any(|address| member.ip() == Some(address.to_canonical()))
    };
    let by_claim =
        |node: &Identity, member: &Member| node.claimed.iter().any(|text| names(text, member));
    let kinds: [&IsMatch; 4] = [&by_host_id, &by_writing, &by_peer, &by_claim];
    for is_match in kinds {
        let wishes: Vec<(usize, usize)> = (0..nodes.len())
            .filter(|node| joined.member_of[*node].is_none())
            .filter_map(|node| {
                let mut members = (0..ring.members.len())
                    .filter(|member| !is_taken[*member])
                    .filter(|member| is_match(&nodes[node], &ring.members[*member]));
                // Two members behind one address: no way to tell which is meant.
                let only = members.next()?;
                members.next().is_none().then_some((node, only))
            })
            .collect();
        for &(node, member) in &wishes {
            if wishes.iter().filter(|(_, other)| *other == member).count() > 1 {
                joined.disputed.push((node, member));
            } else {
                joined.member_of[node] = Some(member);
                is_taken[member] = true;
            }
        }
    }
    joined
        .disputed
        .retain(|(node, member)| joined.member_of[*node].is_none() && !is_taken[*member]);
    joined.unlisted = (0..ring.members.len()).filter(|member| !is_taken[*member]).collect();
    joined
}

/// Whether `text`, an address or a name, is that of `member`.
fn names(text: &str, member: &Member) -> bool {
    match (text.parse::<IpAddr>(), member.ip()) {
        (Ok(mine), Some(its)) => mine.to_canonical() == its,
        (Err(_), None) => text.eq_ignore_ascii_case(&member.address),
        (Ok(_), None) | (Err(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cassandra::nodetool::status;

    fn ring(addresses: &[&str]) -> Ring {
        let rows: Vec<String> = (1..)
            .zip(addresses)
            .map(|(n, a)| {
                format!("UN  {a}  1 KiB  4  50.0%  d1045090-2a32-41af-9bf1-00000000000{n}  r1")
            })
            .collect();
        let text = format!(
            "Datacenter: dc1\n--  Address Load Tokens Owns Host ID Rack\n{}\n",
            rows.join("\n")
        );
        status::parse(&text).unwrap()
    }

    fn node(written: &[&str]) -> Identity {
        Identity {
            written: written.iter().map(|text| (*text).to_owned()).collect(),
            ..Identity::default()
        }
    }

    #[test]
    fn nodes_are_found_by_what_the_operator_wrote_then_by_the_line_then_by_their_word() {
        let ring = ring(&["10.0.0.1", "10.0.0.2", "2001:db8:0:0:0:0:0:3", "10.0.0.9"]);
        let by_line = Identity { peer: "10.0.0.2".parse().ok(), ..node(&["cass-2"]) };
        let by_word = Identity { claimed: vec!["2001:db8::3".into()], ..node(&["cass-3"]) };
        let joined = join(&[node(&["10.0.0.1"]), by_line, by_word, node(&["10.0.0.7"])], &ring);
        assert_eq!(joined.member_of, [Some(0), Some(1), Some(2), None]);
        assert_eq!(joined.unlisted, [3]);
    }

    #[test]
    fn a_node_cannot_take_a_member_that_is_anothers() {
        let ring = ring(&["10.0.0.1", "10.0.0.2"]);
        let liar = Identity { claimed: vec!["10.0.0.1".into()], ..node(&["10.0.0.2"]) };
        let joined = join(&[node(&["10.0.0.1"]), liar], &ring);
        assert_eq!(joined.member_of, [Some(0), Some(1)]);
    }

    #[test]
    fn two_nodes_that_claim_one_member_get_none() {
        let ring = ring(&["10.0.0.1"]);
        let a = Identity { claimed: vec!["10.0.0.1".into()], ..node(&["a"]) };
        let b = Identity { claimed: vec!["10.0.0.1".into()], ..node(&["b"]) };
        let joined = join(&[a, b], &ring);
        assert_eq!((joined.member_of, joined.unlisted), (vec![None, None], vec![0]));
        assert_eq!(joined.disputed, [(0, 0), (1, 0)]);
    }

    #[test]
    fn two_members_behind_one_address_are_nobodys() {
        let joined = join(&[node(&["10.0.0.1"])], &ring(&["10.0.0.1", "10.0.0.1"]));
        assert_eq!((joined.member_of, joined.unlisted), (vec![None], vec![0, 1]));
    }
}
