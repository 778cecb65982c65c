//! `ringhaul runs` and `ringhaul resume`: earlier runs, from their journals.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use etcetera::BaseStrategy as _;

use super::change::{self, Options};
use super::depot;
use super::prepare::Wish;
use super::signals::Signals;
use super::targets::{self, Targets};
use super::{Fault, audit, load, output, prepare, session};
use crate::cassandra::ring::Ring;
use crate::cli::{self, Scheduling};
use crate::exit::Exit;
use crate::fleet::Fleet;
use crate::inventory::NodeSpec;
use crate::plan;
use crate::record::{Entry, Record, What};
use crate::report::{run_json, run_table};
use crate::run::clock;
use crate::run::journal::{self, Journal, JournalError};

/// The folder of the journals.
pub(super) fn folder(place: &cli::StateDir) -> Result<PathBuf, Fault> {
    let base = match &place.state_dir {
        Some(folder) => load::absolute(folder),
        None => {
            let known = etcetera::choose_base_strategy().ok();
            let state = known.and_then(|known| known.state_dir());
            let fault = || {
                Fault::failed("there is no home folder to keep the run's journal in")
                    .hint("name a folder with --state-dir")
            };
            state.ok_or_else(fault)?.join("ringhaul")
        }
    };
    Ok(base.join("runs"))
}

fn fault(error: &JournalError) -> Fault {
    match error {
        JournalError::None { .. } | JournalError::Several { .. } => {
            Fault::usage(error.to_string()).hint("`ringhaul runs` lists them")
        }
        JournalError::Busy { .. } => {
            Fault::failed(error.to_string()).hint("`ringhaul runs show` shows how it stands")
        }
        JournalError::File { .. } | JournalError::Line { .. } | JournalError::Later { .. } => {
            Fault::failed(error.to_string())
        }
    }
}

/// `ringhaul runs …`
pub(super) fn run(options: &cli::Runs) -> Result<Exit, Fault> {
    let folder = folder(&options.place)?;
    match &options.what {
        None | Some(cli::WhatOfRuns::List) => list(&folder, options),
        Some(cli::WhatOfRuns::Show { run, by_table }) => {
            let run = journal::find(&folder, run).map_err(|error| fault(&error))?;
            // Whether it is under way is asked first: one that ends in between is then shown whole.
            let is_running = journal::is_under_way(&folder, &run);
            let fleet = read(&folder, &run)?;
            let show = session::Show {
                json: options.json,
                json_lines: false,
                quiet: true,
                color: options.color,
                by_table: *by_table,
            };
            session::print(&fleet, show, is_running)?;
            Ok(Exit::of_run(&fleet))
        }
    }
}

fn read(folder: &Path, run: &str) -> Result<Fleet, Fault> {
    let held = journal::read(folder, run).map_err(|error| fault(&error))?;
    if held.is_torn {
        load::warn(&format!("the last line of run {run}'s journal was cut off, and is left out"));
    }
    Fleet::of(&held.records).map_err(|error| Fault::failed(format!("run {run}: {error}")))
}

fn list(folder: &Path, options: &cli::Runs) -> Result<Exit, Fault> {
    let mut fleets = Vec::new();
    for run in journal::runs(folder).map_err(|error| fault(&error))? {
        let is_running = journal::is_under_way(folder, &run);
        match read(folder, &run) {
            Ok(fleet) => fleets.push((fleet, is_running)),
            // One journal that cannot be read must not hide the others.
            Err(fault) => load::warn(&fault.to_string()),
        }
    }
    let text = if options.json {
        run_json::list(&fleets).map_err(|error| Fault::failed(format!("cannot render: {error}")))?
    } else {
        let is_terminal = std::io::stdout().is_terminal();
        let width = is_terminal.then(|| console::Term::stdout().size().1);
        run_table::list(&fleets, width, audit::uses_color(options.color, is_terminal))
    };
    output::to_stdout(text.as_bytes())?;
    Ok(Exit::Fine)
}

/// `ringhaul resume`
pub(super) async fn resume(options: cli::Resume) -> Result<Exit, Fault> {
    let folder = folder(&options.place)?;
    let run = journal::find(&folder, &options.run).map_err(|error| fault(&error))?;
    let (mut journal, held) = Journal::open(&folder, &run).map_err(|error| fault(&error))?;
    if held.is_torn {
        load::warn("the last line of the journal was cut off, and is taken away");
    }
    let mut fleet = Fleet::of(&held.records)
        .map_err(|error| Fault::failed(format!("run {run}: {error}; nothing was done in it")))?;
    let show = session::Show::of(&options.result, &options.showing, options.by_table);
    let left = fleet.left(options.retry_failed);
    if left.is_empty() {
        if !show.quiet {
            load::say("there is nothing left to do in this run");
        }
        if !fleet.finished {
            // It was killed between its last turn's end and its own.
            let end = Record { at: clock::now(), what: What::Finished };
            journal.add(&end).map_err(|error| fault(&error))?;
            fleet.take(&end);
        }
        session::print(&fleet, show, false)?;
        return Ok(Exit::of_run(&fleet));
    }
    let mut kept: Options =
        serde_json::from_value(fleet.begun.options.clone()).map_err(|error| {
            Fault::failed(format!("run {run}: its options cannot be read: {error}"))
        })?;
    kept.scheduling.allow_down.extend(options.allow_down.iter().cloned());
    kept.ssh.secrets = options.secrets;
    let connector = Arc::new(load::connector(&kept.ssh, &kept.asking)?);
    let signals = Signals::listen()?;
    let (stop, mut stop_early) = (signals.stop(), signals.stop());
    let connector_of_work = Arc::clone(&connector);
    let work = async {
        let prepared = tokio::select! {
            prepared = prepare(&connector_of_work, &fleet, &left, &kept) => prepared?,
            () = crate::run::audit::stopped(&mut stop_early) => return Ok(Exit::Interrupted),
        };
        let up = prepared.up.clone();
        let resumed = plan::resume::resumed(change::who(), &left, &prepared.targets.entries, up);
        let (depot, keeping) = match depot::open(&fleet.begun.job, depot::Making::MustExist)? {
            None => (None, None),
            Some(store) => {
                let asked = depot::Asked {
                    connector: &connector_of_work,
                    begun: &fleet.begun,
                    entries: &prepared.targets.entries,
                    ring: &prepared.targets.ring,
                    asking: &kept.asking,
                };
                let (depot, keeping) = depot::ready(store, &asked)?;
                (Some(depot), keeping)
            }
        };
        let mut order = prepared.into_order(&kept.lock_wait, &kept.asking, &fleet.begun.job);
        order.depot = depot;
        let Scheduling { stagger, rest, canary_wait, .. } = kept.scheduling;
        let now = clock::now();
        order.not_before = plan::resume::rest_of_stagger(&fleet, stagger, now)
            .max(plan::resume::rest_of_pauses(&fleet, rest, canary_wait, now));
        let session = session::Session {
            connector: connector_of_work,
            journal,
            fleet,
            order,
            first: Record { at: clock::now(), what: What::Resumed(resumed) },
            show,
        };
        let exit = session.run(stop).await?;
        if let Some(keeping) = keeping {
            keeping.end().await?;
        }
        Ok(exit)
    };
    let Some(exit) = signals.guard(work).await else {
        connector.inner().inner().settle(load::GOODBYE).await;
        load::say(&session::cut_off(&run));
        return Ok(Exit::Interrupted);
    };
    connector.inner().inner().settle(load::GOODBYE).await;
    exit
}

/// Makes the schedule anew: the ring may be another one by now.
async fn prepare(
    connector: &Arc<load::Connector>,
    fleet: &Fleet,
    left: &[String],
    kept: &Options,
) -> Result<prepare::Prepared, Fault> {
    let nodes = fleet.begun.nodes.iter().map(|entry| &entry.spec);
    let specs: Vec<NodeSpec> = nodes.chain(&fleet.begun.witnesses).cloned().collect();
    let ring: Ring = targets::ask(connector, &specs, &kept.asking).await?.ring;
    let entries: Vec<Entry> =
        fleet.begun.nodes.iter().map(|entry| plan::resume::as_now(entry, &ring)).collect();
    let canary: Vec<&Entry> = fleet
        .begun
        .nodes
        .iter()
        .filter(|entry| fleet.begun.canary.iter().any(|name| name == entry.name()))
        .collect();
    let canary = canary.into_iter().map(|entry| entry.place.address.clone()).collect();
    let cluster = fleet.begun.cluster.clone();
    let targets =
        Targets { cluster, ring, entries, unlisted: fleet.unlisted.clone(), witnesses: Vec::new() };
    let mut up = targets.up(&kept.scheduling.allow_down)?;
    // What was up at the beginning has to be up, though it may be down just now.
    up.extend(targets.still_members(&fleet.begun.up, &kept.scheduling.allow_down)?);
    let wish = Wish {
        scheduling: &kept.scheduling,
        job: &fleet.begun.job,
        asking: &kept.asking,
        per_jump: kept.ssh.per_jump,
        seed: fleet.begun.seed,
    };
    let mut prepared = prepare::schedule(connector, targets, &canary, up, &wish).await?;
    plan::resume::skip_done(&mut prepared.schedule, &prepared.canary, fleet, left).map_err(
        |error| {
            Fault::failed(error.to_string()).hint("--retry-failed takes it again, then the others")
        },
    )?;
    Ok(prepared)
}
