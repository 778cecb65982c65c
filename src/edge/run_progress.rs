//! What a run shows while it runs: on a terminal a line a node in flight and one for the whole;
//! elsewhere plain lines with their time; for a pipe every event as JSON.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;

use super::moving;
use crate::fleet::Fleet;
use crate::human;
use crate::record::haul::Haul;
use crate::record::{Ended, Outcome, Record, Step, What};
use crate::run::change::Question;
use crate::run::clock;
use crate::run::log::{Notice, Pause};

/// How often the countdown moves.
const TICK: Duration = Duration::from_millis(250);

/// Shows a run.
pub(super) struct Shown {
    fleet: Fleet,
    is_quiet: bool,
    /// Every event as a line of JSON on standard output.
    as_json: bool,
    bars: Option<MultiProgress>,
    /// What the gate was said to wait for.
    waiting: Option<String>,
    /// How far the nodes under way are.
    far: BTreeMap<String, String>,
}

impl Shown {
    pub(super) fn new(fleet: &Fleet, is_quiet: bool, as_json: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal() && !is_quiet;
        let bars = is_terminal.then(moving::begin);
        Self { fleet: fleet.clone(), is_quiet, as_json, bars, waiting: None, far: BTreeMap::new() }
    }

    /// Whether there is somebody to ask.
    pub(super) fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Returns the question, asked while the moving lines are out of the way.
    pub(super) fn question<F>(&self, ask: fn(String) -> F) -> Arc<Question>
    where
        F: Future<Output = bool> + Send + 'static,
    {
        Arc::new(move |text| {
            let (aside, answer) = (moving::aside(), ask(text));
            Box::pin(async move {
                let answer = answer.await;
                drop(aside);
                answer
            })
        })
    }

    /// Shows what happens until the run is over.
    pub(super) async fn show(mut self, mut notices: UnboundedReceiver<Notice>) {
        let mut screen = self.bars.take().map(Screen::new);
        let mut ticks = tokio::time::interval(TICK);
        let mut pause: Option<Pause> = None;
        loop {
            let notice = tokio::select! {
                notice = notices.recv() => notice,
                _ = ticks.tick(), if screen.is_some() => {
                    if let Some(screen) = &mut screen {
                        screen.draw(&self.fleet, &self.far, pause.as_ref());
                    }
                    continue;
                }
            };
            match notice {
                None => break,
                Some(Notice::Pause(next)) => {
                    if screen.is_none()
                        && let Some(next) = &next
                    {
                        self.tell_pause(next, pause.as_ref());
                    }
                    pause = next;
                }
                Some(Notice::Progress { node, text }) => {
                    self.far.insert(node, text);
                }
                Some(Notice::Happened(record)) => {
                    self.fleet.take(&record);
                    if let What::Waiting { why } = &record.what {
                        self.waiting = Some(why.clone());
                    }
                    if self.as_json {
                        as_json(&record);
                    }
                    if let Some(text) = text(&record.what, &self.fleet) {
                        self.tell(&text, record.at, screen.as_ref());
                    }
                }
            }
            if let Some(screen) = &mut screen {
                screen.draw(&self.fleet, &self.far, pause.as_ref());
            }
        }
        if let Some(screen) = screen {
            screen.clear();
        }
    }

    /// A wait of some length is told once, elsewhere than on a terminal.
    fn tell_pause(&self, next: &Pause, last: Option<&Pause>) {
        let Some(until) = next.until else { return };
        if self.waiting.as_ref() == Some(&next.why) {
            return;
        }
        let left = until.duration_since(clock::now());
        let is_long = left >= jiff::SignedDuration::from_secs(5);
        if is_long && last.map(|last| &last.why) != Some(&next.why) {
            let until = until.strftime("%H:%M:%S");
            self.tell(
                &format!("{}, until {until} UTC at the latest", next.why),
                clock::now(),
                None,
            );
        }
    }

    fn tell(&self, text: &str, at: Timestamp, screen: Option<&Screen>) {
        if self.is_quiet {
            return;
        }
        let line = format!("{} {text}", at.strftime("%H:%M:%S"));
        match screen {
            // A terminal that is gone is no reason to stop.
            Some(screen) if !screen.bars.is_hidden() => {
                let _ = screen.bars.println(line);
            }
            Some(_) | None => {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }
}

fn as_json(record: &Record) {
    if let Ok(mut line) = serde_json::to_string(record) {
        line.push('\n');
        // A reader that has gone is no reason to stop.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
        let _ = std::io::stdout().lock().flush();
    }
}

/// The line for an event; none where it says nothing to people.
fn text(what: &What, fleet: &Fleet) -> Option<String> {
    Some(match what {
        What::Begun(begun) => format!(
            "run {}: {} on {} of {}",
            begun.run,
            begun.job.verb(),
            human::count(begun.nodes.len() as u64, "node"),
            begun.cluster
        ),
        What::Resumed(resumed) => format!(
            "run {} goes on: {}",
            fleet.begun.run,
            human::count(resumed.nodes.len() as u64, "node")
        ),
        What::Waiting { why } => format!("waiting: {why}"),
        What::CanaryPassed => "the canary is fine".to_owned(),
        What::TurnBegun { node } => format!("{node}: begins"),
        What::LockHeld { node, by } => format!("{node}: waiting: {by}"),
        What::StepBegun { .. } => return None,
        What::StepEnded { node, step, error: None } => format!("{node}: {} is done", step.text()),
        What::StepEnded { node, step, error: Some(error) } => {
            format!("{node}: {} failed: {error}", step.text())
        }
        What::Progress { node, text } => format!("{node}: {text}"),
        What::Ended(ended) => ending(ended, fleet),
        What::Stopped { why } => format!("nothing more is started: {why}"),
        What::Interrupted => format!(
            "nothing more is started, what runs is finished (again: stop at once); \
             `ringhaul resume {}` goes on",
            fleet.begun.run
        ),
        What::Finished => return None,
    })
}

fn ending(ended: &Ended, fleet: &Fleet) -> String {
    let sum = fleet.summary();
    let done = fleet.rows.iter().filter(|row| row.end.is_some()).count();
    let verdict = ended.proven.as_ref().map(|proven| format!(", {}", proven.verdict.label()));
    let reason = ended.reason.as_ref().map(|reason| format!(": {reason}"));
    format!(
        "{}: {}{}{}{} [{done}/{}]",
        ended.node,
        ended.outcome.label(),
        verdict.unwrap_or_default(),
        ended.haul.as_ref().map(hauled).unwrap_or_default(),
        reason.unwrap_or_default(),
        sum.nodes
    )
}

/// `, shipped 12 (3.4 MiB), cleaned 12 (3.4 MiB)`
fn hauled(haul: &Haul) -> String {
    let sum = haul.sum();
    let told = [
        ("shipped", sum.shipped),
        ("held back", sum.held),
        ("not stored", sum.failed),
        ("cleaned", sum.cleaned),
    ];
    let told = told.into_iter().filter(|(_, amount)| amount.sets > 0);
    told.map(|(word, amount)| format!(", {word} {} ({})", amount.sets, human::bytes(amount.bytes)))
        .collect()
}

/// The moving lines.
struct Screen {
    bars: MultiProgress,
    whole: ProgressBar,
    nodes: BTreeMap<String, ProgressBar>,
}

impl Screen {
    fn new(bars: MultiProgress) -> Self {
        let whole = bars.add(line());
        Self { bars, whole, nodes: BTreeMap::new() }
    }

    fn draw(&mut self, fleet: &Fleet, far: &BTreeMap<String, String>, pause: Option<&Pause>) {
        let now = clock::now();
        let open: BTreeMap<&str, String> = fleet
            .rows
            .iter()
            .filter(|row| row.is_open())
            .map(|row| {
                let step = row.step.map_or("looking", |step| step.text());
                let since = row.started.map(|at| span(at, now)).unwrap_or_default();
                let far = far.get(row.name()).filter(|_| row.step == Some(Step::Ship));
                let far = far.map(|far| format!(" {far}")).unwrap_or_default();
                (row.name(), format!("  {}  {since}  {step}{far}", row.name()))
            })
            .collect();
        self.nodes.retain(|name, bar| {
            let is_open = open.contains_key(name.as_str());
            if !is_open {
                bar.finish_and_clear();
                self.bars.remove(bar);
            }
            is_open
        });
        for (name, text) in open {
            let bar = self.nodes.entry(name.to_owned());
            let bar = bar.or_insert_with(|| self.bars.insert_before(&self.whole, line()));
            bar.set_message(text);
            bar.tick();
        }
        self.whole.set_message(whole(fleet, pause, now));
        self.whole.tick();
    }

    fn clear(self) {
        for bar in self.nodes.values() {
            bar.finish_and_clear();
        }
        self.whole.finish_and_clear();
        moving::away();
    }
}

fn line() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// `3 done, 1 failed, 1 running, 5 waiting · cass-05 starts after the stagger in 8m12s · about 52m left`
fn whole(fleet: &Fleet, pause: Option<&Pause>, now: Timestamp) -> String {
    let sum = fleet.summary();
    let running = fleet.rows.iter().filter(|row| row.is_open()).count();
    let fine = sum.done + sum.nothing_to_do;
    let bad = sum.refused + sum.failed + sum.partly + (sum.unsure - running.min(sum.unsure));
    let down = fleet
        .rows
        .iter()
        .filter(|row| row.outcome() == Outcome::NotStarted && row.entry.down)
        .count();
    let waiting = (sum.not_started - fleet.unlisted.len()).saturating_sub(down);
    let mut text = format!("{fine} done, {bad} failed, {running} running, {waiting} waiting");
    if let Some(pause) = pause {
        text.push_str(&format!(" · {}", pause.why));
        if let Some(until) = pause.until {
            text.push_str(&format!(", {}", span(now, until)));
        }
    }
    if let Some(left) = left(fleet, running + waiting, now) {
        text.push_str(&format!(" · about {} left", human::duration(left)));
    }
    text
}

/// What the rest takes, at the pace of this session.
fn left(fleet: &Fleet, open: usize, now: Timestamp) -> Option<Duration> {
    let over = fleet.rows.iter().filter(|row| row.ended.is_some_and(|at| at >= fleet.session));
    let over = u32::try_from(over.count()).ok().filter(|over| *over > 0)?;
    let open = u32::try_from(open).ok().filter(|open| *open > 0)?;
    let spent = Duration::try_from(now.duration_since(fleet.session)).ok()?;
    Some(spent / over * open)
}

fn span(from: Timestamp, to: Timestamp) -> String {
    Duration::try_from(to.duration_since(from)).map(human::duration).unwrap_or_default()
}
