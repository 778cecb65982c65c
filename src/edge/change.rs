//! `ringhaul enable`, `disable` and `verify`: from options to a run.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::load::{self, Connector};
use super::signals::Signals;
use super::targets::{self, Targets};
use super::{Fault, forecast, question, runs, session};
use crate::cassandra::fact::Fact;
use crate::cli;
use crate::exit::Exit;
use crate::node::catalog::Nodetool;
use crate::node::{Connect as _, topology};
use crate::plan::resume;
use crate::record::{Begun, Entry, Halves, Job, Record, SCHEMA, Verify, What};
use crate::run::clock;
use crate::run::journal::{Journal, JournalError};
use crate::schedule::{AfterCanary, Order, Place, Rules, Schedule, Share, Strategy, arranged};

/// Where several nodes may run at once and nobody says how many: as many turns as that take the
/// controller little, and a bastion's sshd too.
const MOST_IN_FLIGHT: usize = 32;

/// All options of a verb that changes nodes.
pub(super) struct Ordered {
    pub(super) job: Job,
    pub(super) fleet: cli::Fleet,
    pub(super) scheduling: cli::Scheduling,
    pub(super) running: cli::Running,
    pub(super) ssh: cli::Ssh,
    pub(super) asking: cli::Asking,
    pub(super) showing: cli::Showing,
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
    pub(super) fn setting(options: cli::Setting, on: bool) -> Self {
        let halves = Halves { live: !options.config_only, config: !options.live_only };
        Self {
            job: if on { Job::Enable(halves) } else { Job::Disable(halves) },
            fleet: options.fleet,
            scheduling: options.scheduling,
            running: options.running,
            ssh: options.ssh,
            asking: options.asking,
            showing: options.showing,
        }
    }

    pub(super) fn verify(options: cli::Verify) -> Self {
        Self {
            job: Job::Verify(Verify {
                table: options.table,
                deep: options.deep,
                deep_timeout: options.deep_timeout,
                clean_up: options.clean_up,
                cqlsh: options.cqlsh,
                wait: options.wait,
            }),
            fleet: options.fleet,
            scheduling: options.scheduling,
            running: options.running,
            ssh: options.ssh,
            asking: options.asking,
            showing: options.showing,
        }
    }
}

pub(super) async fn run(ordered: Ordered) -> Result<Exit, Fault> {
    let source = load::source(&ordered.fleet, &ordered.ssh)?;
    let folder = runs::folder(&ordered.running.place)?;
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
                exit = forecast::run(&connector_of_work, &prepared, &ordered) => exit,
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
        let session = session::Session {
            connector: connector_of_work,
            journal,
            fleet,
            order: prepared.into_order(&ordered.running.lock_wait, &ordered.asking),
            first: Record { at, what: What::Begun(Box::new(begun)) },
            show: session::Show::of(&ordered.running.result, &ordered.showing),
        };
        session.run(stop).await
    };
    let Some(exit) = signals.guard(work).await else {
        connector.inner().settle(load::GOODBYE).await;
        if let Some(run) = run.get() {
            load::say(&session::cut_off(run));
        }
        return Ok(Exit::Interrupted);
    };
    connector.inner().settle(load::GOODBYE).await;
    exit
}

/// All that is known before the first node is touched.
pub(super) struct Prepared {
    pub(super) targets: Targets,
    /// The nodes, in the order of their turns.
    pub(super) entries: Vec<Entry>,
    pub(super) schedule: Schedule,
    pub(super) canary: std::collections::BTreeSet<usize>,
    pub(super) up: Vec<String>,
    pub(super) seed: u64,
    scheduling: cli::Scheduling,
}

async fn prepare(
    source: load::Source,
    connector: &Arc<Connector>,
    ordered: &Ordered,
) -> Result<Prepared, Fault> {
    let targets = targets::find(source, connector, &ordered.asking).await?;
    let scheduling = &ordered.scheduling;
    let tokens = match scheduling.order {
        Order::Ring => tokens(connector, &targets, &ordered.asking).await?,
        Order::Inventory | Order::Rack => BTreeMap::new(),
    };
    let places: Vec<Place> = targets.entries.iter().map(slot).collect();
    let first_token: Vec<Option<i128>> = targets
        .entries
        .iter()
        .map(|entry| tokens.get(&canonical(&entry.place.address)).copied())
        .collect();
    let order = arranged(scheduling.order, &places, &first_token);
    let canary = targets.canary(&scheduling.canary, &order)?;
    let entries: Vec<Entry> = order.iter().map(|at| targets.entries[*at].clone()).collect();
    let up = targets.up(&scheduling.allow_down)?;
    let seed = seed();
    schedule(
        connector,
        targets,
        entries,
        &canary,
        up,
        seed,
        scheduling,
        &ordered.job,
        &ordered.asking,
    )
    .await
}

/// Makes the schedule of these nodes, in this order.
#[expect(clippy::too_many_arguments, reason = "all that a schedule depends on, once")]
pub(super) async fn schedule(
    connector: &Arc<Connector>,
    targets: Targets,
    entries: Vec<Entry>,
    canary: &std::collections::BTreeSet<String>,
    up: Vec<String>,
    seed: u64,
    scheduling: &cli::Scheduling,
    job: &Job,
    asking: &cli::Asking,
) -> Result<Prepared, Fault> {
    let canary: std::collections::BTreeSet<usize> =
        (0..entries.len()).filter(|at| canary.contains(&entries[*at].place.address)).collect();
    let mut rules = rules(scheduling, job, &canary, seed);
    if rules.strategy == Strategy::Topology {
        rules.apart = apart(connector, &entries, asking).await?;
    }
    let places = entries.iter().map(slot).collect();
    let mut schedule =
        Schedule::new(rules, places).map_err(|error| Fault::usage(error.to_string()))?;
    let mut entries = entries;
    resume::skip_down(&mut schedule, &mut entries, job);
    Ok(Prepared { targets, entries, schedule, canary, up, seed, scheduling: scheduling.clone() })
}

fn rules(
    scheduling: &cli::Scheduling,
    job: &Job,
    canary: &std::collections::BTreeSet<usize>,
    seed: u64,
) -> Rules {
    let allows_several =
        matches!(scheduling.strategy, Some(Strategy::Rack | Strategy::Topology | Strategy::All));
    let default = if allows_several || !scheduling.waves.is_empty() { MOST_IN_FLIGHT } else { 1 };
    let max_in_flight = scheduling.max_in_flight.unwrap_or(default);
    let strategy = scheduling.strategy.unwrap_or(match max_in_flight {
        1 => Strategy::One,
        // Several at once must never be two replicas, unless the operator says otherwise.
        _ => Strategy::Topology,
    });
    let after_canary = match scheduling.canary_wait {
        Some(wait) => AfterCanary::Wait(wait),
        None => AfterCanary::Ask,
    };
    // A proof that fails says nothing against proving the others.
    let default_failures = match job {
        Job::Enable(_) | Job::Disable(_) => Share::Count(0),
        Job::Verify(_) => Share::Percent(100),
    };
    Rules {
        stagger: scheduling.stagger,
        jitter: scheduling.jitter,
        seed,
        max_in_flight,
        per_rack: scheduling.per_rack,
        per_dc: scheduling.per_dc,
        strategy,
        apart: Vec::new(),
        canary: canary.iter().copied().collect(),
        after_canary,
        waves: scheduling.waves.clone(),
        max_failures: scheduling.max_failures.unwrap_or(default_failures),
        max_unreachable: scheduling.max_unreachable,
    }
}

fn slot(entry: &Entry) -> Place {
    let word = |word: &Option<String>| word.clone().unwrap_or_default();
    Place { dc: word(&entry.place.dc), rack: word(&entry.place.rack) }
}

/// Which nodes share replicas, by their numbers.
async fn apart(
    connector: &Arc<Connector>,
    entries: &[Entry],
    asking: &cli::Asking,
) -> Result<Vec<std::collections::BTreeSet<usize>>, Fault> {
    let replicas =
        ask_one(connector, entries, asking, "which nodes share replicas", async |node, tool| {
            topology::ask_replicas(node, tool).await
        })
        .await?;
    let number: BTreeMap<String, usize> = entries
        .iter()
        .enumerate()
        .map(|(at, entry)| (canonical(&entry.place.address), at))
        .collect();
    let mut apart = vec![std::collections::BTreeSet::new(); entries.len()];
    for (address, others) in replicas.apart() {
        let Some(at) = number.get(&canonical(&address)) else { continue };
        apart[*at].extend(others.iter().filter_map(|other| number.get(&canonical(other))));
    }
    Ok(apart)
}

/// IPv6 addresses are printed in several ways.
fn canonical(address: &str) -> String {
    match address.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.to_canonical().to_string(),
        Err(_) => address.to_owned(),
    }
}

async fn tokens(
    connector: &Arc<Connector>,
    targets: &Targets,
    asking: &cli::Asking,
) -> Result<BTreeMap<String, i128>, Fault> {
    let tokens = ask_one(connector, &targets.entries, asking, "the tokens", async |node, tool| {
        topology::ask_tokens(node, tool).await
    })
    .await?;
    Ok(tokens.into_iter().map(|(address, token)| (canonical(&address), token)).collect())
}

/// Asks the nodes one after the other until one answers.
async fn ask_one<T>(
    connector: &Arc<Connector>,
    entries: &[Entry],
    asking: &cli::Asking,
    what: &str,
    ask: impl AsyncFn(&<Connector as crate::node::Connect>::Node, &Nodetool) -> Fact<T>,
) -> Result<T, Fault> {
    let mut first = None;
    // Three that cannot tell it are enough to say so.
    for entry in entries.iter().filter(|entry| !entry.down).take(3) {
        let answer = match connector.connect(&entry.spec.endpoint).await {
            Ok(node) => {
                let limits = load::limits(asking);
                let tool = crate::node::survey::find_nodetool(&node, &entry.spec, limits).await;
                ask(&node, &tool).await
            }
            Err(error) => Fact::Unknown(error.into()),
        };
        match answer {
            Fact::Known(value) => return Ok(value),
            Fact::Unknown(why) => first = first.or(Some((entry.name(), why))),
        }
    }
    let text = match &first {
        Some((name, why)) => format!("cannot learn {what}: {name}: {why}"),
        None => format!("cannot learn {what}: no node is up"),
    };
    let hint = first.map_or_else(|| "start Cassandra there".to_owned(), |(_, why)| why.hint());
    Err(Fault::failed(text).hint(hint))
}

/// Asks before several nodes are changed.
async fn confirm(prepared: &Prepared, ordered: &Ordered) -> Result<bool, Fault> {
    let count = prepared.entries.iter().filter(|entry| !entry.down).count();
    if ordered.running.yes || !ordered.job.changes_settings() || count < 2 {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
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
        canary: prepared.canary.iter().map(|at| prepared.entries[*at].name().to_owned()).collect(),
        nodes: prepared.entries.clone(),
        unlisted: prepared.targets.unlisted.clone(),
        up: prepared.up.clone(),
    };
    Ok((journal, begun, at))
}

/// Makes the journal under an id that no other run has.
fn create(folder: &std::path::Path, at: jiff::Timestamp) -> Result<(Journal, String), Fault> {
    let stem = at.strftime("%Y%m%d-%H%M%S").to_string();
    let mut last = None;
    for _ in 0..16 {
        let run = format!("{stem}-{:04x}", seed() & 0xffff);
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
fn seed() -> u64 {
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

impl Prepared {
    /// Returns what the loop is given.
    pub(super) fn into_order(
        self,
        lock_wait: &std::time::Duration,
        asking: &cli::Asking,
    ) -> crate::run::change::Order {
        crate::run::change::Order {
            schedule: self.schedule,
            canary: self.canary,
            gate: crate::run::change::GateRules {
                up: self.up.into_iter().collect(),
                timeout: self.scheduling.gate_timeout,
            },
            ring: Some(self.targets.ring),
            retry_down: self.scheduling.retry_down,
            limits: load::limits(asking),
            patience: *lock_wait,
            terms: crate::node::lock::Terms::default(),
            not_before: std::time::Duration::ZERO,
            question: None,
        }
    }
}
