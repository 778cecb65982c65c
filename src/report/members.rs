//! The ring, member by member, for `ringhaul nodes`.

use serde::Serialize;

use super::plain;
use crate::cassandra::ring::{Member, Ring};
use crate::join::Joined;

/// Names of the inventory's nodes, and how they are joined with the ring.
pub type Listed<'a> = (Vec<&'a str>, &'a Joined);

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    members: Vec<Entry<'a>>,
    /// Nodes of the inventory that the ring does not show.
    not_in_ring: Vec<&'a str>,
    /// Addresses of members that the inventory does not name.
    not_in_inventory: Vec<&'a str>,
    remarks: &'a [String],
}

#[derive(Serialize)]
struct Entry<'a> {
    node: Option<&'a str>,
    address: &'a str,
    port: Option<u16>,
    host_id: Option<&'a str>,
    dc: &'a str,
    rack: &'a str,
    state: String,
    load: Option<&'a str>,
    owns: Option<&'a str>,
    tokens: Option<u32>,
}

/// Returns the ring as JSON, schema 1.
///
/// # Errors
/// None in practice: every value has a JSON form.
pub fn json(ring: &Ring, listed: Option<&Listed<'_>>) -> Result<String, serde_json::Error> {
    let members = ring.members.iter().enumerate().map(|(at, member)| Entry {
        node: name_of(at, listed),
        address: &member.address,
        port: member.port,
        host_id: member.host_id.as_deref(),
        dc: &member.dc,
        rack: &member.rack,
        state: member.state(),
        load: member.load.as_deref(),
        owns: member.owns.as_deref(),
        tokens: member.tokens,
    });
    let document = Document {
        schema: 1,
        members: members.collect(),
        not_in_ring: listed.map(not_in_ring).unwrap_or_default(),
        not_in_inventory: listed.map(|listed| not_in_inventory(ring, listed)).unwrap_or_default(),
        remarks: &ring.remarks,
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// Returns the ring as a table, and below it what inventory and ring do not agree on.
pub fn table(ring: &Ring, listed: Option<&Listed<'_>>, width: Option<u16>) -> String {
    let mut table = plain::table(width, false);
    let mut header = vec!["STATE", "ADDRESS", "DC", "RACK", "LOAD", "OWNS", "HOST ID"];
    if listed.is_some() {
        header.insert(0, "NODE");
    }
    table.set_header(header);
    for (at, member) in ring.members.iter().enumerate() {
        let mut cells = row(member);
        if listed.is_some() {
            cells.insert(0, name_of(at, listed).unwrap_or("-").to_owned());
        }
        table.add_row(cells);
    }
    let mut text = plain::text(table) + "\n";
    let Some(listed) = listed else {
        text.push_str(&crate::human::count(ring.members.len() as u64, "member"));
        text.push('\n');
        return text;
    };
    for name in not_in_ring(listed) {
        text.push_str(&format!("warning  {name}: in the inventory and not in the ring\n"));
    }
    for address in not_in_inventory(ring, listed) {
        text.push_str(&format!("warning  {address}: in the ring and not in the inventory\n"));
    }
    text.push_str(&format!(
        "{} in the ring, {} in the inventory\n",
        crate::human::count(ring.members.len() as u64, "member"),
        crate::human::count(listed.0.len() as u64, "node"),
    ));
    text
}

fn row(member: &Member) -> Vec<String> {
    let known = |text: Option<&String>| text.map_or_else(|| "?".to_owned(), String::clone);
    let port = member.port.map(|port| format!(":{port}")).unwrap_or_default();
    vec![
        member.state(),
        format!("{}{port}", member.address),
        member.dc.clone(),
        member.rack.clone(),
        known(member.load.as_ref()),
        known(member.owns.as_ref()),
        known(member.host_id.as_ref()),
    ]
}

fn name_of<'a>(member: usize, listed: Option<&Listed<'a>>) -> Option<&'a str> {
    let (names, joined) = listed?;
    let node = joined.member_of.iter().position(|joined| *joined == Some(member))?;
    names.get(node).copied()
}

fn not_in_ring<'a>((names, joined): &Listed<'a>) -> Vec<&'a str> {
    let members = names.iter().zip(&joined.member_of);
    members.filter(|(_, member)| member.is_none()).map(|(name, _)| *name).collect()
}

fn not_in_inventory<'a>(ring: &'a Ring, (_, joined): &Listed<'_>) -> Vec<&'a str> {
    joined.unlisted.iter().map(|at| ring.members[*at].address.as_str()).collect()
}
