//! `ringhaul audit`.

use std::io::IsTerminal as _;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::load::{self, Connector, Source};
use super::signals::Signals;
use super::{Fault, output, progress};
use crate::audit::{self, Audit, Surveyed};
use crate::cassandra::fact::Fact;
use crate::cassandra::ring::{Member, Ring};
use crate::cli::{self, Format, When};
use crate::exit::Exit;
use crate::inventory::NodeSpec;
use crate::node::Endpoint;
use crate::report::table::Look;
use crate::report::{csv, json, junit, nagios, prometheus, table};
use crate::run::audit::{Order, RingFrom};
use crate::run::lines::Lines;
use crate::run::ring::Told;
use crate::run::{self};
use crate::selection::Selection;

pub(super) async fn run(options: cli::Audit) -> Result<Exit, Fault> {
    let source = load::source(&options.fleet, &options.ssh)?;
    let connector = Arc::new(load::connector(&options.ssh, &options.asking)?);
    let signals = Signals::listen()?;
    let (stop, signals_stop) = (signals.stop(), signals.stop());
    let work = async {
        let mut stop_early = signals_stop.clone();
        let (cluster, order, is_wanted) = tokio::select! {
            order = order(source, &connector, &options.asking, options.ssh.per_jump) => order?,
            () = run::audit::stopped(&mut stop_early) => return Ok(Exit::Interrupted),
        };
        let (events, shown) = mpsc::unbounded_channel();
        let showing = tokio::spawn(progress::show(shown, options.showing.quiet));
        let result = run::audit::audit(Arc::clone(&connector), order, events, stop).await;
        // The last of the progress goes before the result.
        let _ = showing.await;
        let cluster = cluster.unwrap_or_else(|| name_of_cluster(&result.nodes));
        let audit = audit::judge(&cluster, result.nodes, &result.ring, &*is_wanted);
        let exit = if result.interrupted { Exit::Interrupted } else { Exit::of(&audit) };
        let text = render(&audit, exit, &options)?;
        match &options.output {
            Some(path) => output::to_file(path, text.as_bytes(), true)?,
            None => output::to_stdout(text.as_bytes())?,
        }
        Ok(exit)
    };
    let Some(exit) = signals.guard(work).await else {
        return Ok(Exit::Interrupted);
    };
    connector.inner().inner().settle(load::GOODBYE).await;
    exit
}

/// Whether a member of the ring that no inventory names belongs to what was selected.
type IsWanted = Box<dyn Fn(&Member) -> bool>;

async fn order(
    source: Source,
    connector: &Arc<Connector>,
    asking: &cli::Asking,
    per_jump: Option<usize>,
) -> Result<(Option<String>, Order, IsWanted), Fault> {
    let Source { inventory, via, selection } = source;
    let limits = load::limits(asking);
    let in_flight = asking.in_flight;
    let Some(inventory) = inventory else {
        let via = via.ok_or_else(|| Fault::usage("neither an inventory nor --via"))?;
        let mut told = ask_via(connector, &via, asking).await?;
        let nodes = load::select(&selection, load::nodes_of_ring(&told.ring, &via))?;
        // Among the nodes it goes by the address that the ring shows.
        if let Some(itself) = itself(&nodes, &told) {
            told.by = itself;
        }
        let order = Order { nodes, ring: RingFrom::Known(told), in_flight, per_jump, limits };
        // All members are nodes of their own here.
        return Ok((None, order, Box::new(|_| false)));
    };
    let first = via
        .into_iter()
        .chain(inventory.ring_from.iter().filter_map(|name| inventory.node(name)).cloned());
    let mut to_ask: Vec<NodeSpec> = first.collect();
    let nodes = load::select(&selection, inventory.nodes.clone())?;
    to_ask.extend(nodes.iter().cloned());
    let order = Order { nodes, ring: RingFrom::Ask(to_ask), in_flight, per_jump, limits };
    let all = inventory.nodes;
    let is_wanted = Box::new(move |member: &Member| is_wanted(&selection, &all, member));
    Ok((Some(inventory.cluster), order, is_wanted))
}

/// Without an inventory the cluster is called what its own settings call it; nodes that disagree
/// on that are a finding.
fn name_of_cluster(nodes: &[Surveyed]) -> String {
    let mut names = nodes.iter().filter_map(|node| {
        node.facts.config.known().and_then(|(_, config)| config.cluster_name.as_deref())
    });
    crate::text::visible(names.next().unwrap_or("cassandra"))
}

/// A member is wanted when the selection would take it, and when it is not simply a node of the
/// inventory that the selection left out.
pub(super) fn is_wanted(selection: &Selection, all: &[NodeSpec], member: &Member) -> bool {
    let is_left_out = all.iter().any(|node| {
        node.cassandra_address.as_ref().unwrap_or(&node.endpoint.host) == &member.address
            || node.endpoint.address.as_ref() == Some(&member.address)
    });
    let ring = Ring { members: vec![member.clone()], remarks: Vec::new() };
    let as_node = load::nodes_of_ring(&ring, &NodeSpec::at(Endpoint::default()));
    selection.is_everything() || (!is_left_out && selection.select(as_node).is_ok())
}

/// Returns where the node that told the ring is among `nodes`, when its name shows it.
fn itself(nodes: &[NodeSpec], told: &Told) -> Option<Endpoint> {
    let node = nodes.iter().find(|node| node.endpoint.host == told.by.host)?;
    Some(node.endpoint.clone())
}

/// No survey runs beside the question for the ring.
pub(super) fn nobody() -> mpsc::UnboundedReceiver<NodeSpec> {
    mpsc::unbounded_channel().1
}

/// Asks the node of `--via` for the ring.
pub(super) async fn ask_via(
    connector: &Arc<Connector>,
    via: &NodeSpec,
    asking: &cli::Asking,
) -> Result<Told, Fault> {
    let lines = Lines::new(Arc::clone(connector), [via.endpoint.clone()]);
    let nodes = std::slice::from_ref(via);
    match run::ring::ask(&lines, nodes, nobody(), load::limits(asking)).await {
        Fact::Known(told) => Ok(told),
        Fact::Unknown(why) => {
            Err(Fault::failed(format!("cannot learn the ring from {}", why.text)).hint(why.hint()))
        }
    }
}

fn render(audit: &Audit, exit: Exit, options: &cli::Audit) -> Result<String, Fault> {
    let fault = |error: &dyn std::fmt::Display| Fault::failed(format!("cannot render: {error}"));
    let format = if options.json { Format::Json } else { options.format };
    Ok(match format {
        Format::Table => table::render(audit, look(options.showing.color, options)),
        Format::Json => json::render(audit).map_err(|error| fault(&error))?,
        Format::Csv => csv::render(audit).map_err(|error| fault(&error))?,
        Format::Nagios => nagios::render(audit, exit),
        Format::Prometheus => prometheus::render(audit, now()),
        Format::Junit => junit::render(audit),
    })
}

fn look(color: When, options: &cli::Audit) -> Look {
    let is_terminal = std::io::stdout().is_terminal() && options.output.is_none();
    let (_, columns) = console::Term::stdout().size();
    Look {
        width: is_terminal.then_some(columns),
        color: uses_color(color, is_terminal),
        fold: options.fold,
        now: now(),
    }
}

/// NO_COLOR counts when it is set and not empty (no-color.org).
pub(super) fn uses_color(when: When, is_terminal: bool) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            let is_set = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            is_terminal && !is_set && !is_dumb
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the edge: the one place with a clock")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
