//! `ringhaul sudoers`: the lines that the nodes' sudo needs, with the usual paths or a node's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::load::{self, Connector};
use super::signals::Signals;
use super::{Fault, output};
use crate::cli;
use crate::cli::sudoers::{NodeVerb, Sudoers as Options};
use crate::exit::Exit;
use crate::inventory::{self, Method, NodeSpec, PasswordOf};
use crate::node::programs::Goes;
use crate::node::{Connect as _, Node as _, catalog};
use crate::report::sudoers::{Wanted, render};
use crate::run;

/// The login when nobody says one.
const USUAL_ACCOUNT: &str = "ops";

/// How long a node may take to tell where its programs lie.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) async fn run(options: Options) -> Result<Exit, Fault> {
    let spec = node(&options)?;
    let mut wanted = wanted(&options, spec.as_ref())?;
    if options.node.is_some()
        && let Some(spec) = &spec
    {
        let connector = Arc::new(load::connector(&options.ssh, &options.asking)?);
        let signals = Signals::listen()?;
        let mut stop = signals.stop();
        let work = async {
            tokio::select! {
                asked = ask(&connector, spec, &mut wanted) => asked.map(|()| Exit::Fine),
                () = run::audit::stopped(&mut stop) => Ok(Exit::Interrupted),
            }
        };
        let Some(exit) = signals.guard(work).await else { return Ok(Exit::Interrupted) };
        connector.inner().inner().settle(load::GOODBYE).await;
        if exit? == Exit::Interrupted {
            return Ok(Exit::Interrupted);
        }
    }
    output::to_stdout(render(&wanted).as_bytes())?;
    Ok(Exit::Fine)
}

/// The node that was named, else the first of the inventory, if there is one.
fn node(options: &Options) -> Result<Option<NodeSpec>, Fault> {
    let is_wanted = options.inventory.is_some() || options.node.is_some();
    if !is_wanted && !load::has_usual_inventory() {
        return Ok(None);
    }
    let fleet = cli::Fleet {
        inventory: options.inventory.clone(),
        via: None,
        dc: Vec::new(),
        rack: Vec::new(),
        node: options.node.iter().cloned().collect(),
        label: Vec::new(),
    };
    let source = load::source(&fleet, &options.ssh)?;
    let nodes = source.inventory.map(|inventory| inventory.nodes).unwrap_or_default();
    let chosen = load::select(&source.selection, nodes)?;
    if options.node.is_some() && chosen.len() != 1 {
        return Err(Fault::usage(format!("--node stands for {} nodes, not one", chosen.len())));
    }
    Ok(chosen.into_iter().next())
}

fn wanted(options: &Options, spec: Option<&NodeSpec>) -> Result<Wanted, Fault> {
    let mut verbs: Vec<Goes> = options.verbs.iter().map(|verb| goes(*verb)).collect();
    if verbs.is_empty() {
        verbs = Goes::ALL.to_vec();
    }
    verbs.sort();
    verbs.dedup();
    let mut rights = spec.map(|spec| spec.rights.clone()).unwrap_or_default();
    if let Some(user) = &options.other {
        rights.user.clone_from(user);
    }
    if options.doas {
        (rights.method, rights.password) = (Method::Doas, PasswordOf::None);
    }
    if options.password {
        (rights.method, rights.password) = (Method::Sudo, PasswordOf::Ask);
    }
    let account = options.ssh.user.clone();
    let account = account.or_else(|| spec.and_then(|spec| spec.endpoint.user.clone()));
    let account = account.unwrap_or_else(|| USUAL_ACCOUNT.to_owned());
    if let Err(expected) = inventory::account(&account) {
        let shown = crate::text::visible(&account);
        return Err(Fault::usage(format!(
            "the login '{shown}' has no place in sudoers: {expected}"
        )));
    }
    let folders = if options.unmerged { vec!["/usr/bin", "/bin"] } else { vec!["/usr/bin"] };
    Ok(Wanted {
        verbs,
        account,
        rights,
        has_nodetool: options.nodetool || spec.is_some_and(|spec| spec.jmx.sudo),
        paths: BTreeMap::new(),
        folders,
        node: options.node.as_ref().and(spec).map(|spec| spec.name().to_owned()),
    })
}

fn goes(verb: NodeVerb) -> Goes {
    match verb {
        NodeVerb::Nodes => Goes::Nodes,
        NodeVerb::Audit => Goes::Audit,
        NodeVerb::Enable => Goes::Enable,
        NodeVerb::Disable => Goes::Disable,
        NodeVerb::Verify => Goes::Verify,
        NodeVerb::Ship => Goes::Ship,
        NodeVerb::Clean => Goes::Clean,
    }
}

/// Asks the node for the paths.
async fn ask(connector: &Connector, spec: &NodeSpec, wanted: &mut Wanted) -> Result<(), Fault> {
    let programs = wanted.verbs.iter().flat_map(|verb| wanted.programs(*verb));
    let mut names: Vec<&str> = programs.map(|program| program.name).collect();
    names.sort_unstable();
    names.dedup();
    let failed = |text: String| Fault::failed(format!("{}: {text}", spec.name()));
    let line =
        connector.connect(&spec.endpoint).await.map_err(|error| failed(error.to_string()))?;
    let output = line.run(&catalog::rights::paths(&names, LIMIT)).await;
    let output = output.map_err(|error| failed(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for name in names {
        match said.lines().find_map(|line| path(line, name)) {
            Some(path) => drop(wanted.paths.insert(name.to_owned(), path)),
            None => load::warn(&format!("{} has no {name}; its usual path is named", spec.name())),
        }
    }
    Ok(())
}

/// A path in a line such as `cat /usr/bin/cat`, if it is one that may stand in sudoers.
fn path(line: &str, name: &str) -> Option<String> {
    let path = line.strip_prefix(name)?.strip_prefix(' ')?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    let good = path.starts_with('/')
        && path.ends_with(&format!("/{name}"))
        && path.len() < 200
        && path.chars().all(is_plain);
    good.then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_node_cannot_put_anything_but_a_path_into_sudoers() {
        assert_eq!(path("cat /usr/bin/cat", "cat"), Some("/usr/bin/cat".to_owned()));
        for line in [
            "cat /usr/bin/cat, ALL",
            "cat /usr/bin/tac",
            "cat cat",
            "cat /x/*/cat",
            "cat /x\\\n/cat",
            "tac /usr/bin/cat",
        ] {
            assert_eq!(path(line, "cat"), None, "{line}");
        }
    }
}
