//! The ring as one of its nodes sees it.

use std::fmt;
use std::net::IpAddr;

/// All members that a node's `nodetool status` shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ring {
    /// The members, in the order shown.
    pub members: Vec<Member>,
    /// `Note:` and `Warning:` lines, and what was printed before the table.
    pub remarks: Vec<String>,
}

impl Ring {
    /// Puts the members in the order of data centre, rack and address; nodetool's changes from
    /// call to call.
    pub fn sort(&mut self) {
        self.members.sort_by(|a, b| {
            let place = |member: &Member| (member.dc.clone(), member.rack.clone());
            place(a).cmp(&place(b)).then_with(|| a.ip().cmp(&b.ip())).then_with(|| {
                (&a.address, a.port, &a.host_id).cmp(&(&b.address, b.port, &b.host_id))
            })
        });
    }
}

/// Returns an address in the one form in which equal ones are equal: IPv6 is printed in several.
pub fn canonical(address: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().to_string(),
        Err(_) => address.to_owned(),
    }
}

/// One member of the ring. Texts are as Cassandra printed them, made visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Up, down, or not known to the node that was asked.
    pub liveness: Liveness,
    /// Normal, leaving, joining, moving.
    pub phase: Phase,
    /// The address as printed: an IP address, or a name with `-r`; without a port.
    pub address: String,
    /// The port of `-pp`, if it was printed.
    pub port: Option<u16>,
    /// `123.5 KiB`; `None` when printed as `?`.
    pub load: Option<String>,
    /// Number of tokens; `None` in the single-token layout.
    pub tokens: Option<u32>,
    /// `100.0%`; `None` when printed as `?`.
    pub owns: Option<String>,
    /// The host id, which stays when the address changes.
    pub host_id: Option<String>,
    /// Data centre.
    pub dc: String,
    /// Rack; may hold spaces, dots, colons.
    pub rack: String,
    /// The token, in the single-token layout.
    pub token: Option<String>,
}

/// First letter of a member's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// `U`
    Up,
    /// `D`
    Down,
    /// `?`: the node that was asked has not made up its mind.
    Unsure,
}

/// Second letter of a member's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `N`
    Normal,
    /// `L`
    Leaving,
    /// `J`
    Joining,
    /// `M`
    Moving,
}

impl Member {
    /// Returns the state as nodetool prints it: `UN`, `DL` …
    pub fn state(&self) -> String {
        format!("{}{}", self.liveness, self.phase)
    }

    /// Whether the ring shows it up and normal.
    pub fn is_up_and_normal(&self) -> bool {
        self.liveness == Liveness::Up && self.phase == Phase::Normal
    }

    /// Returns the address as a number, when it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address.parse().ok()
    }
}

impl fmt::Display for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "U",
            Self::Down => "D",
            Self::Unsure => "?",
        })
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "N",
            Self::Leaving => "L",
            Self::Joining => "J",
            Self::Moving => "M",
        })
    }
}
