//! `ringhaul nodes`: the ring, what the inventory makes of it, and an inventory written from it.

use std::io::IsTerminal as _;
use std::sync::Arc;

use super::load::{self, Connector, Source};
use super::signals::Signals;
use super::{Fault, audit, output};
use crate::cassandra::ring::{Member, Ring};
use crate::cli;
use crate::exit::Exit;
use crate::inventory::{Draft, DraftNode, NodeSpec, render};
use crate::join::{self, Identity, Joined};
use crate::node::{Connect as _, survey};
use crate::report::members;
use crate::run;
use crate::run::lines::Lines;

pub(super) async fn run(options: cli::Nodes) -> Result<Exit, Fault> {
    let source = load::source(&options.fleet, &options.ssh)?;
    if let Some(path) = options.write.as_ref().filter(|path| path.exists() && !options.force) {
        let fault = Fault::usage(format!("{} is there already", path.display()));
        return Err(fault.hint("--force replaces it"));
    }
    let connector = Arc::new(load::connector(&options.ssh, &options.asking)?);
    let signals = Signals::listen()?;
    let mut stop = signals.stop();
    let work = async {
        tokio::select! {
            exit = show(source, &connector, &options) => exit,
            () = run::audit::stopped(&mut stop) => Ok(Exit::Interrupted),
        }
    };
    let Some(exit) = signals.guard(work).await else { return Ok(Exit::Interrupted) };
    connector.inner().inner().settle(load::GOODBYE).await;
    exit
}

async fn show(
    source: Source,
    connector: &Arc<Connector>,
    options: &cli::Nodes,
) -> Result<Exit, Fault> {
    let Source { inventory, via, selection } = source;
    let (ring, asked) = match (&via, &inventory) {
        (Some(via), _) => {
            (audit::ask_via(connector, via, &options.asking).await?.ring, via.clone())
        }
        (None, Some(inventory)) => {
            let first = inventory.ring_from.iter().filter_map(|name| inventory.node(name));
            let nodes: Vec<NodeSpec> = first.chain(&inventory.nodes).cloned().collect();
            let lines =
                Lines::new(Arc::clone(connector), nodes.iter().map(|node| node.endpoint.clone()));
            let limit = load::limits(&options.asking);
            let answer = run::ring::ask(&lines, &nodes, audit::nobody(), limit).await;
            let ring = match answer {
                crate::cassandra::fact::Fact::Known(told) => told.ring,
                crate::cassandra::fact::Fact::Unknown(why) => {
                    let fault = Fault::failed(format!("no node could tell the ring: {why}"));
                    return Err(fault.hint(why.hint()));
                }
            };
            (ring, nodes[0].clone())
        }
        (None, None) => return Err(Fault::usage("neither an inventory nor --via")),
    };
    let members = load::select(&selection, load::nodes_of_ring(&ring, &asked))?;
    let is_shown = |member: &Member| {
        members
            .iter()
            .any(|node| node.endpoint.host == member.address && node.host_id == member.host_id)
    };
    let ring = Ring {
        members: ring.members.into_iter().filter(|member| is_shown(member)).collect(),
        remarks: ring.remarks,
    };
    let listed = match &inventory {
        Some(inventory) => {
            let nodes = load::select(&selection, inventory.nodes.clone())?;
            let joined = join_with(connector, &nodes, &ring, options.asking.in_flight).await;
            Some((nodes, joined))
        }
        None => None,
    };
    if let Some(path) = &options.write {
        let name = match &options.cluster {
            Some(name) => name.clone(),
            None => cluster_name(connector, &asked, &options.asking).await,
        };
        let text = draft(name, &ring, &asked)?;
        output::to_file(path, text.as_bytes(), options.force)?;
    }
    let names: Option<(Vec<&str>, &Joined)> =
        listed.as_ref().map(|(nodes, joined)| (nodes.iter().map(NodeSpec::name).collect(), joined));
    let text = if options.json {
        members::json(&ring, names.as_ref())
            .map_err(|error| Fault::failed(format!("cannot render: {error}")))?
    } else {
        let is_terminal = std::io::stdout().is_terminal();
        let width = is_terminal.then(|| console::Term::stdout().size().1);
        members::table(&ring, names.as_ref(), width)
    };
    output::to_stdout(text.as_bytes())?;
    if let Some(path) = options.write.as_ref().filter(|_| !options.showing.quiet) {
        load::say(&format!("wrote {}", path.display()));
    }
    let differs = listed
        .is_some_and(|(_, joined)| !joined.unlisted.is_empty() || joined.member_of.contains(&None));
    Ok(if differs { Exit::Findings } else { Exit::Fine })
}

/// Joins inventory and ring as the audit does, but for what only a survey learns.
pub(super) async fn join_with(
    connector: &Arc<Connector>,
    nodes: &[NodeSpec],
    ring: &Ring,
    in_flight: usize,
) -> Joined {
    let by_word = join::join(&nodes.iter().map(Identity::of).collect::<Vec<_>>(), ring);
    // Only nodes that are not found by what is written are gone to.
    let identities = run::peers::find(connector, nodes, &by_word.member_of, in_flight).await;
    join::join(&identities, ring)
}

/// The name in the settings of the node that was asked.
pub(super) async fn cluster_name(
    connector: &Arc<Connector>,
    asked: &NodeSpec,
    asking: &cli::Asking,
) -> String {
    let limits = load::limits(asking);
    let name = match connector.connect(&asked.endpoint).await {
        Ok(node) => survey::ask_cluster_name(&node, asked, limits).await,
        Err(_) => None,
    };
    // A name is for people: where nobody says it, any will do until they put their own.
    crate::text::visible(&name.unwrap_or_else(|| "cassandra".to_owned()))
}

fn draft(cluster: String, ring: &Ring, asked: &NodeSpec) -> Result<String, Fault> {
    let nodes = ring.members.iter().map(|member| DraftNode {
        host: member.address.clone(),
        dc: Some(member.dc.clone()),
        rack: Some(member.rack.clone()),
        comment: None,
        host_id: member.host_id.clone(),
    });
    let endpoint = &asked.endpoint;
    let absolute = |paths: &[std::path::PathBuf]| paths.iter().map(|p| load::absolute(p)).collect();
    let draft = Draft {
        cluster,
        user: endpoint.user.clone(),
        port: endpoint.port,
        identity_files: absolute(&endpoint.identity_files),
        known_hosts: absolute(&endpoint.known_hosts),
        proxy_jump: endpoint.proxy_jump.clone(),
        transport: endpoint.transport,
        nodes: nodes.collect(),
    };
    render(&draft).map_err(|error| Fault::failed(error.to_string()))
}
