//! `ringhaul store`: what is stored, whether it is whole, and copies of it.

use std::io::IsTerminal as _;
use std::path::Path;

use globset::{Glob, GlobMatcher};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Fault, audit, load, output};
use crate::cli::store::{Store as Options, WhatOfStore};
use crate::exit::Exit;
use crate::report::store as report;
use crate::run::clock;
use crate::store::check::{Progress, Reading};
use crate::store::contents::Checked;
use crate::store::get::Choice;
use crate::store::{Store, StoreError};

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let text = crate::text::visible(&error.to_string());
        let fault = match &error {
            StoreError::NotAStore { .. } | StoreError::Name(_) => Self::usage(text),
            StoreError::Newer { .. }
            | StoreError::Locked { .. }
            | StoreError::Full { .. }
            | StoreError::Io { .. }
            | StoreError::Bad { .. } => Self::failed(text),
        };
        match error.hint() {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}

pub(super) async fn run(options: Options) -> Result<Exit, Fault> {
    // The store waits for the disk, which a worker of the runtime must not.
    let work = tokio::task::spawn_blocking(move || work(&options));
    work.await.map_err(|error| Fault::failed(format!("the work broke off: {error}")))?
}

fn work(options: &Options) -> Result<Exit, Fault> {
    let Some(folder) = &options.to else {
        return Err(Fault::usage("no store is named").hint("name its folder with --to DIR"));
    };
    let store = Store::open(folder)?;
    match &options.what {
        WhatOfStore::List => list(&store, options),
        WhatOfStore::Show { node, table } => show(&store, options, node, table.as_deref()),
        WhatOfStore::Check { nodes, read_data } => {
            check(&store, options, nodes, read_data.unwrap_or_default())
        }
        WhatOfStore::Get { node, table, into, set, snapshot } => {
            let choice = Choice {
                tables: Some(glob(table)?),
                descriptors: set.clone(),
                snapshot: snapshot.clone(),
            };
            get(&store, options, node, &choice, into)
        }
    }
}

fn glob(text: &str) -> Result<GlobMatcher, Fault> {
    let glob = Glob::new(text).map(|glob| glob.compile_matcher());
    glob.map_err(|error| {
        Fault::usage(format!("TABLE: {}", crate::text::visible(&error.to_string())))
    })
}

fn host(store: &Store, wanted: &str) -> Result<String, Fault> {
    let found = store.find_host(wanted)?;
    found.map_err(|which| {
        Fault::usage(which.to_string()).hint("`ringhaul store list` shows the nodes")
    })
}

fn look(options: &Options) -> report::Look {
    let is_terminal = std::io::stdout().is_terminal();
    report::Look {
        width: is_terminal.then(|| console::Term::stdout().size().1),
        color: audit::uses_color(options.color, is_terminal),
        now: clock::now().as_second(),
    }
}

fn print<T: serde::Serialize>(
    options: &Options,
    name: &str,
    value: &T,
    text: impl FnOnce() -> String,
) -> Result<(), Fault> {
    let text = if options.json {
        report::json(name, value).map_err(|e| Fault::failed(format!("cannot render: {e}")))?
    } else {
        text()
    };
    output::to_stdout(text.as_bytes())
}

fn list(store: &Store, options: &Options) -> Result<Exit, Fault> {
    let hosts = store.hosts()?;
    let nodes = hosts.iter().map(|host| store.contents(host, None));
    let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
    print(options, "nodes", &nodes, || report::list(&nodes, look(options)))?;
    let is_known = nodes.iter().all(|node| node.unread.is_empty());
    Ok(if is_known { Exit::Fine } else { Exit::Findings })
}

fn show(store: &Store, options: &Options, node: &str, table: Option<&str>) -> Result<Exit, Fault> {
    let host = host(store, node)?;
    let glob = table.map(glob).transpose()?;
    let node = store.contents(&host, glob.as_ref())?;
    if let Some(table) = table.filter(|_| node.tables.is_empty() && node.unread.is_empty()) {
        return Err(no_table(table));
    }
    print(options, "node", &node, || report::show(&node, glob.is_some(), look(options)))?;
    Ok(if node.unread.is_empty() { Exit::Fine } else { Exit::Findings })
}

fn no_table(table: &str) -> Fault {
    let table = crate::text::visible(table);
    Fault::usage(format!("the store holds nothing of '{table}' of that node"))
        .hint("`ringhaul store show NODE` shows the tables")
}

fn check(store: &Store, options: &Options, nodes: &[String], percent: u8) -> Result<Exit, Fault> {
    let hosts = if nodes.is_empty() {
        store.hosts_and_locks()?
    } else {
        nodes.iter().map(|node| host(store, node)).collect::<Result<_, _>>()?
    };
    let bar = bar(options);
    let mut checked = Vec::new();
    for host in &hosts {
        let mut reading = Reading {
            percent,
            now: &mut clock::now,
            progress: &mut |progress| match progress {
                Progress::Begun(bytes) => {
                    bar.set_message(host.clone());
                    bar.reset();
                    bar.set_length(bytes);
                }
                Progress::Read(bytes) => bar.inc(bytes),
            },
        };
        checked.push(store.check(host, &mut reading)?);
    }
    bar.finish_and_clear();
    let faults = store.leftovers()?;
    if !faults.is_empty() {
        checked.push(Checked { faults, ..Checked::default() });
    }
    print(options, "nodes", &checked, || report::check(&checked, look(options)))?;
    Ok(exit_of(&checked))
}

/// Damage that is known outweighs what could not be looked at: there is something to do now.
fn exit_of(checked: &[Checked]) -> Exit {
    if checked.iter().any(|node| !node.faults.is_empty()) {
        Exit::Findings
    } else if checked.iter().any(|node| !node.unknown.is_empty()) {
        Exit::Unknown
    } else {
        Exit::Fine
    }
}

fn get(
    store: &Store,
    options: &Options,
    node: &str,
    choice: &Choice,
    into: &Path,
) -> Result<Exit, Fault> {
    let host = host(store, node)?;
    let bar = bar(options);
    let got = store.get(&host, choice, into, &mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    let got = got?;
    if got.sets == 0 && got.folders.is_empty() && got.failed.is_empty() && got.unknown.is_empty() {
        return Err(Fault::usage("the store holds no such set of that node")
            .hint("`ringhaul store show NODE TABLE` shows the sets"));
    }
    let shown = crate::text::visible(&load::absolute(into).to_string_lossy());
    print(options, "got", &got, || report::got(&got, &shown))?;
    Ok(match (got.failed.is_empty(), got.unknown.is_empty()) {
        (false, _) => Exit::Failed,
        (true, false) => Exit::Unknown,
        (true, true) => Exit::Fine,
    })
}

/// Bytes as they are read, on a terminal alone.
fn bar(options: &Options) -> ProgressBar {
    let is_shown = !options.quiet && std::io::stderr().is_terminal();
    let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    let style = "{spinner} read {bytes} of {total_bytes} {msg}";
    bar.with_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}
