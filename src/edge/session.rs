//! One process at work on one run: the loop, what is shown meanwhile, and the result.

use std::io::IsTerminal as _;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::load::Connector;
use super::run_progress::Shown;
use super::{Fault, audit, output, question};
use crate::cli;
use crate::exit::Exit;
use crate::fleet::Fleet;
use crate::record::Record;
use crate::report::{haul_table, run_json, run_table};
use crate::run::change::{Order, change};
use crate::run::journal::Journal;
use crate::run::log::Log;

/// All that a process needs to work on a run.
pub(super) struct Session {
    pub(super) connector: Arc<Connector>,
    pub(super) journal: Journal,
    pub(super) fleet: Fleet,
    pub(super) order: Order,
    /// The record with which this session begins.
    pub(super) first: Record,
    pub(super) show: Show,
}

/// What is shown, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Show {
    pub(super) json: bool,
    pub(super) json_lines: bool,
    pub(super) quiet: bool,
    pub(super) color: cli::When,
    pub(super) by_table: bool,
}

impl Show {
    pub(super) fn of(result: &cli::RunResult, showing: &cli::Showing, by_table: bool) -> Self {
        Self {
            json: result.json,
            json_lines: result.json_lines,
            quiet: showing.quiet,
            color: showing.color,
            by_table,
        }
    }
}

impl Session {
    /// Works on the run until it is over, or told to stop, and prints the result.
    pub(super) async fn run(self, stop: watch::Receiver<bool>) -> Result<Exit, Fault> {
        let Self { connector, journal, fleet, mut order, first, show } = self;
        let run = fleet.begun.run.clone();
        let (notices, shown) = mpsc::unbounded_channel();
        let progress = Shown::new(&fleet, show.quiet, show.json_lines);
        if progress.can_ask() {
            order.question = Some(progress.question(question::ask));
        }
        let log = Arc::new(Log::new(journal, fleet, notices));
        log.add(first).map_err(|error| full(&error))?;
        let showing = tokio::spawn(progress.show(shown));
        let done = change(connector, order, Arc::clone(&log), stop).await;
        let fleet = log.look(Fleet::clone);
        drop(log);
        // The last of the progress goes before the result.
        let _ = showing.await;
        let exit = Exit::of_run(&fleet);
        print(&fleet, show, false)?;
        done.map_err(|error| {
            full(&error).hint(format!("make room, then `ringhaul resume {run}` goes on"))
        })?;
        Ok(exit)
    }
}

/// What is said after a stop at once.
pub(super) fn cut_off(run: &str) -> String {
    format!("stopped at once; `ringhaul resume {run}` looks at each node and goes on")
}

fn full(error: &crate::run::journal::JournalError) -> Fault {
    Fault::failed(format!("the journal cannot be written, so nothing more is done: {error}"))
}

/// Prints a run as it stands.
pub(super) fn print(fleet: &Fleet, show: Show, is_running: bool) -> Result<(), Fault> {
    if show.json_lines {
        return Ok(());
    }
    let text = if show.json {
        run_json::render(fleet).map_err(|error| Fault::failed(format!("cannot render: {error}")))?
    } else {
        let is_terminal = std::io::stdout().is_terminal();
        let width = is_terminal.then(|| console::Term::stdout().size().1);
        let color = audit::uses_color(show.color, is_terminal);
        let text = run_table::render(fleet, width, color, is_running);
        match show.by_table && fleet.begun.job.is_haul() {
            true => format!("{}\n{text}", haul_table::by_table(fleet, width, color)),
            false => text,
        }
    };
    output::to_stdout(text.as_bytes())
}
