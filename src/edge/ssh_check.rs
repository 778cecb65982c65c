//! `ringhaul ssh-check`: the way to a node, step by step.

use std::io::IsTerminal as _;

use super::load;
use super::{Fault, audit, output, secrets};
use crate::cli::ssh_check::SshCheck;
use crate::exit::Exit;
use crate::inventory::NodeSpec;
use crate::node::door::Door;
use crate::report::ssh_check as report;

/// Goes the way to each node that was named.
pub(super) async fn run(options: SshCheck) -> Result<Exit, Fault> {
    let nodes = nodes(&options)?;
    // What is not followed stands beside the settings.
    let door = load::door(&options.ssh, secrets::asker(&options.ssh.secrets)?, None)?;
    let color = audit::uses_color(options.color, std::io::stdout().is_terminal());
    let mut signals = super::signals::Signals::listen()?.stop();
    let mut checked = Vec::new();
    for node in nodes {
        let work = check(&door, &node, &options, color);
        let node = tokio::select! {
            node = work => node?,
            () = crate::run::audit::stopped(&mut signals) => return Ok(Exit::Interrupted),
        };
        checked.push(node);
    }
    door.settle(load::GOODBYE).await;
    let is_reached = checked.iter().all(|node| node.reached);
    if options.json {
        let text = report::json(&checked)
            .map_err(|error| Fault::failed(format!("cannot render: {error}")))?;
        output::to_stdout(text.as_bytes())?;
    }
    Ok(if is_reached { Exit::Fine } else { Exit::Unknown })
}

async fn check(
    door: &Door,
    node: &NodeSpec,
    options: &SshCheck,
    color: bool,
) -> Result<report::Checked, Fault> {
    let mut checked = report::Checked::new(node.name());
    let mut failed = None;
    if !options.json {
        output::to_stdout(report::title(node.name(), color).as_bytes())?;
    }
    // That it cannot be told is what the first step says.
    checked.way = door.explain(&node.endpoint).await.unwrap_or_default();
    if !options.json {
        let settings: String =
            checked.way.iter().map(|host| report::settings(host, color)).collect();
        output::to_stdout(settings.as_bytes())?;
    }
    checked.reached = door
        .check(&node.endpoint, &mut |step| {
            if !options.json && failed.is_none() {
                failed = output::to_stdout(report::step(&step, color).as_bytes()).err();
            }
            checked.steps.push(step.into());
        })
        .await;
    match failed {
        Some(fault) => Err(fault),
        None => Ok(checked),
    }
}

/// The nodes that were named, of the inventory or of their own.
fn nodes(options: &SshCheck) -> Result<Vec<NodeSpec>, Fault> {
    let inventory = load::optional(options.inventory.as_deref(), &options.ssh)?;
    let mut nodes = Vec::new();
    for text in &options.nodes {
        // An address in brackets is no range.
        let names = match text.contains("[") && !text.contains("::") {
            true => crate::nodeset::expand(text)
                .map_err(|error| Fault::usage(format!("'{text}': {error}")))?,
            false => vec![text.clone()],
        };
        for name in names {
            nodes.push(load::one(&name, inventory.as_ref(), &options.ssh, "ssh-check")?);
        }
    }
    Ok(nodes)
}
