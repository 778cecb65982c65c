//! The verbs that work node after node: from options to a run.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::depot::{self, Asked, Making};
use super::load;
use super::prepare::{Prepared, prepare};
use super::signals::Signals;
use super::{Fault, forecast, question, runs, session};
use crate::cli;
use crate::exit::Exit;
use crate::plan::tables::Tables;
use crate::record::haul::{Clean, Removal, Ship};
use crate::record::{Begun, Halves, Job, Record, SCHEMA, Verify, What};
use crate::run::clock;
use crate::run::journal::{Journal, JournalError};

/// All options of a verb that changes nodes.
pub(super) struct Ordered {
    pub(super) job: Job,
    pub(super) fleet: cli::Fleet,
    pub(super) scheduling: cli::Scheduling,
    pub(super) running: cli::Running,
    pub(super) ssh: cli::Ssh,
    pub(super) asking: cli::Asking,
    pub(super) showing: cli::Showing,
    pub(super) making: Making,
    pub(super) by_table: bool,
}

/// What a journal keeps of the options, for whoever goes on with the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Options {
    pub(super) scheduling: cli::Scheduling,
    pub(super) ssh: cli::Ssh,
    pub(super) asking: cli::Asking,
    pub(super) lock_wait: std::time::Duration,
}

impl Ordered {
    fn of(job: Job, turns: cli::Turns) -> Self {
        let cli::Turns { fleet, scheduling, running, ssh, asking, showing } = turns;
        let (making, by_table) = (Making::Never, false);
        Self { job, fleet, scheduling, running, ssh, asking, showing, making, by_table }
    }

    pub(super) fn setting(options: cli::Setting, on: bool) -> Self {
        let halves = Halves { live: !options.config_only, config: !options.live_only };
        let job = if on { Job::Enable(halves) } else { Job::Disable(halves) };
        Self::of(job, options.turns)
    }

    pub(super) fn ship(options: cli::haul::Ship) -> Self {
        let removal = removal(&options.removing);
        let job = Job::Ship(Ship {
            store: load::absolute(&options.what.to),
            tables: options.what.table,
            snapshot: options.snapshot,
            rate: options.rate,
            total_rate: options.total_rate,
            window: options.what.window,
            reserve: options.reserve,
            then_clean: options.then_clean.then_some(removal),
        });
        let making = match (options.turns.running.dry_run, options.must_exist) {
            (_, true) => Making::MustExist,
            (true, false) => Making::Never,
            (false, false) => Making::IfNew,
        };
        Self { making, by_table: options.what.by_table, ..Self::of(job, options.turns) }
    }

    pub(super) fn clean(options: cli::haul::Clean) -> Self {
        let job = Job::Clean(Clean {
            store: load::absolute(&options.what.to),
            tables: options.what.table,
            window: options.what.window,
            removal: removal(&options.removing),
        });
        let (making, by_table) = (Making::MustExist, options.what.by_table);
        Self { making, by_table, ..Self::of(job, options.turns) }
    }

    pub(super) fn verify(options: cli::Verify) -> Self {
        let job = Job::Verify(Verify {
            table: options.table,
            deep: options.deep,
            deep_timeout: options.deep_timeout,
            clean_up: options.clean_up,
            cqlsh: options.cqlsh,
            wait: options.wait,
        });
        Self::of(job, options.turns)
    }
}

fn removal(options: &cli::haul::Removing) -> Removal {
    Removal { min_age: options.min_age, keep_last: options.keep_last, read_back: options.read_back }
}

/// A wrong pattern is told before any node is asked.
fn check_tables(job: &Job) -> Result<(), Fault> {
    let tables = match job {
        Job::Enable(_) | Job::Disable(_) | Job::Verify(_) => return Ok(()),
        Job::Ship(ship) => &ship.tables,
        Job::Clean(clean) => &clean.tables,
    };
    let read = Tables::read(tables).map_err(|error| Fault::usage(format!("--table: {error}")));
    read.map(|_| ())
}

pub(super) async fn run(ordered: Ordered) -> Result<Exit, Fault> {
    check_tables(&ordered.job)?;
    let source = load::source(&ordered.fleet, &ordered.ssh)?;
    let folder = runs::folder(&ordered.running.place)?;
    let store = depot::open(&ordered.job, ordered.making)?;
    let connector = Arc::new(load::connector(&ordered.ssh, &ordered.asking)?);
    let signals = Signals::listen()?;
    let (stop, mut stop_early) = (signals.stop(), signals.stop());
    let connector_of_work = Arc::clone(&connector);
    let run = std::sync::OnceLock::new();
    let work = async {
        let prepared = tokio::select! {
            prepared = prepare(source, &connector_of_work, &ordered) => prepared?,
            () = crate::run::audit::stopped(&mut stop_early) => return Ok(Exit::Interrupted),
        };
        if ordered.running.dry_run {
            return tokio::select! {
                exit = forecast::run(&connector_of_work, &prepared, &ordered, store.as_ref()) => exit,
                () = crate::run::audit::stopped(&mut stop_early) => Ok(Exit::Interrupted),
            };
        }
        tokio::select! {
            is_wanted = confirm(&prepared, &ordered) => if !is_wanted? {
                load::say("nothing was changed");
                return Ok(Exit::Interrupted);
            },
            () = crate::run::audit::stopped(&mut stop_early) => return Ok(Exit::Interrupted),
        }
        let (journal, begun, at) = begin(&prepared, &ordered, &folder)?;
        let fleet = crate::fleet::Fleet::begin(&begun, at);
        let _ = run.set(begun.run.clone());
        let (targets, asking) = (&prepared.targets, &ordered.asking);
        let (depot, keeping) = match store {
            None => (None, None),
            Some(store) => {
                let asked = Asked {
                    connector: &connector_of_work,
                    begun: &begun,
                    entries: &targets.entries,
                    ring: &targets.ring,
                    asking,
                };
                let (depot, keeping) = depot::ready(store, &asked)?;
                (Some(depot), keeping)
            }
        };
        let mut order = prepared.into_order(&ordered.running.lock_wait, asking, &ordered.job);
        order.depot = depot;
        let session = session::Session {
            connector: connector_of_work,
            journal,
            fleet,
            order,
            first: Record { at, what: What::Begun(Box::new(begun)) },
            show: session::Show::of(&ordered.running.result, &ordered.showing, ordered.by_table),
        };
        let exit = session.run(stop).await?;
        if let Some(keeping) = keeping {
            keeping.end().await?;
        }
        Ok(exit)
    };
    let Some(exit) = signals.guard(work).await else {
        connector.inner().inner().settle(load::GOODBYE).await;
        if let Some(run) = run.get() {
            load::say(&session::cut_off(run));
        }
        return Ok(Exit::Interrupted);
    };
    connector.inner().inner().settle(load::GOODBYE).await;
    exit
}

/// Asks before several nodes are changed.
async fn confirm(prepared: &Prepared, ordered: &Ordered) -> Result<bool, Fault> {
    let count = prepared.targets.entries.iter().filter(|entry| !entry.down).count();
    let job = &ordered.job;
    let matters = job.changes_settings() || job.removes_files();
    if ordered.running.yes || !matters || count < 2 {
        return Ok(true);
    }
    let is_there = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !is_there && job.removes_files() {
        // What goes is proven to be stored, and cron has nobody to ask.
        return Ok(true);
    }
    if !is_there {
        let verb = ordered.job.verb();
        return Err(Fault::usage(format!(
            "{verb} on {count} nodes needs a yes, and nobody is there to ask"
        ))
        .hint("give --yes, or --dry-run to see what would be done"));
    }
    let mut text = format!(
        "{} on {count} nodes of {}",
        ordered.job.verb(),
        crate::text::visible(&prepared.targets.cluster)
    );
    let last = prepared.schedule.forecast(std::time::Duration::ZERO).into_iter().map(|(_, at)| at);
    if let Some(last) = last.max() {
        text.push_str(&format!(
            ", the last one no sooner than in {}",
            crate::human::duration(last)
        ));
    }
    text.push_str(". Go on?");
    Ok(question::ask(text).await)
}

fn begin(
    prepared: &Prepared,
    ordered: &Ordered,
    folder: &std::path::Path,
) -> Result<(Journal, Begun, jiff::Timestamp), Fault> {
    let mut ssh = ordered.ssh.clone();
    // `none` is a word, not a file.
    let is_file = |path: &PathBuf| path.as_os_str() != "none";
    ssh.ssh_config =
        ssh.ssh_config.map(|path| if is_file(&path) { load::absolute(&path) } else { path });
    let mut asking = ordered.asking.clone();
    asking.transcript = asking.transcript.map(|path| load::absolute(&path));
    let options = Options {
        scheduling: prepared.scheduling.clone(),
        ssh,
        asking,
        lock_wait: ordered.running.lock_wait,
    };
    let options = serde_json::to_value(options)
        .map_err(|error| Fault::failed(format!("cannot write the journal: {error}")))?;
    let at = clock::now();
    let (journal, run) = create(folder, at)?;
    let begun = Begun {
        schema: SCHEMA,
        run,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: crate::text::visible(&prepared.targets.cluster),
        who: who(),
        job: ordered.job.clone(),
        options,
        seed: prepared.seed,
        canary: prepared
            .canary
            .iter()
            .map(|at| prepared.targets.entries[*at].name().to_owned())
            .collect(),
        nodes: prepared.targets.entries.clone(),
        witnesses: prepared.targets.witnesses.clone(),
        unlisted: prepared.targets.unlisted.clone(),
        up: prepared.up.clone(),
    };
    Ok((journal, begun, at))
}

/// Makes the journal under an id that no other run has.
fn create(folder: &std::path::Path, at: jiff::Timestamp) -> Result<(Journal, String), Fault> {
    // Runs of one second are in order too.
    let stem = at.strftime("%Y%m%d-%H%M%S-%3f").to_string();
    let mut last = None;
    for _ in 0..16 {
        let run = format!("{stem}{:x}", seed() & 0xf);
        match Journal::create(folder, &run) {
            Ok(journal) => return Ok((journal, run)),
            Err(JournalError::File { error, .. })
                if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                last = Some(error);
                break;
            }
        }
    }
    let text = last.map_or_else(|| "no id is free".to_owned(), |error| error.to_string());
    Err(Fault::failed(format!("cannot make the run's journal: {text}"))
        .hint("name another folder with --state-dir"))
}

/// A number that differs from run to run.
pub(super) fn seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // The standard library's hasher is seeded by the system.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// `user@host` of the controller.
pub(super) fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let user = user.unwrap_or_else(|_| match rustix::process::getuid() {
        rustix::process::Uid::ROOT => "root".to_owned(),
        other => format!("uid-{}", other.as_raw()),
    });
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    crate::text::visible(&format!("{user}@{host}"))
}
