//! A run as its records tell it, node by node: made by a fold, while it runs and years later.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::plan::verify::ProofVerdict;
use crate::record::{Begun, Ended, Entry, Job, Outcome, Place, Record, State, Step, What};

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// How it began.
    pub begun: Begun,
    /// When it began.
    pub started: Timestamp,
    /// When it was last begun or taken up.
    pub session: Timestamp,
    /// When the last thing happened.
    pub last: Timestamp,
    /// Its nodes, in the order of their turns.
    pub rows: Vec<Row>,
    /// Members that were selected and that no inventory names.
    pub unlisted: Vec<Place>,
    /// Addresses of the members that were up and normal when it last began.
    pub up: Vec<String>,
    /// Why nothing more was started.
    pub stopped: Option<String>,
    /// Whether the operator ended it.
    pub interrupted: bool,
    /// Whether nothing is under way any more.
    pub finished: bool,
    /// Whether the canary nodes were all fine.
    pub canary_passed: bool,
    /// How often it was taken up again.
    pub resumed: usize,
    /// Names of its nodes, to their rows.
    index: HashMap<String, usize>,
}

/// One node of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The node.
    pub entry: Entry,
    /// When its last turn began.
    pub started: Option<Timestamp>,
    /// When that turn ended.
    pub ended: Option<Timestamp>,
    /// How.
    pub end: Option<Ended>,
    /// What its turn is at.
    pub step: Option<Step>,
    /// Whether a setting may have been changed in a turn that has no end, or was in an earlier one.
    pub touched: bool,
    /// What turns without an end changed, and those before the last.
    earlier: Vec<Step>,
    /// Where an earlier turn left the cassandra.yaml as it was.
    kept: Option<String>,
}

/// How many nodes ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// All rows.
    pub nodes: usize,
    /// Done, and seen to be.
    pub done: usize,
    /// As wanted already.
    pub nothing_to_do: usize,
    /// Not tried.
    pub refused: usize,
    /// Tried, not done.
    pub failed: usize,
    /// The line broke, and nobody could look.
    pub unsure: usize,
    /// Some of it is done, the rest was left on purpose.
    pub partly: usize,
    /// Their turn did not come.
    pub not_started: usize,
}

/// How many nodes have which verdict of a proof.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verdicts {
    /// Links were seen to appear.
    pub proven: usize,
    /// They were not, or something is missing.
    pub not_proven: usize,
    /// It could not be told.
    pub unknown: usize,
}

/// A journal without its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal does not begin with the beginning of a run")]
pub struct NoBeginning;

impl Fleet {
    /// Makes a run of its records.
    ///
    /// # Errors
    /// When the first of them is not the beginning.
    pub fn of(records: &[Record]) -> Result<Self, NoBeginning> {
        let Some((Record { at, what: What::Begun(begun) }, rest)) = records.split_first() else {
            return Err(NoBeginning);
        };
        let mut fleet = Self::begin(begun, *at);
        for record in rest {
            fleet.take(record);
        }
        Ok(fleet)
    }

    /// Returns a run in which nothing has happened yet.
    pub fn begin(begun: &Begun, at: Timestamp) -> Self {
        let rows: Vec<Row> = begun.nodes.iter().map(Row::of).collect();
        let index = rows.iter().enumerate().map(|(at, row)| (row.name().to_owned(), at)).collect();
        Self {
            started: at,
            session: at,
            last: at,
            rows,
            unlisted: begun.unlisted.clone(),
            up: begun.up.clone(),
            stopped: None,
            interrupted: false,
            finished: false,
            canary_passed: false,
            resumed: 0,
            index,
            begun: begun.clone(),
        }
    }

    /// Adds what happened next.
    pub fn take(&mut self, record: &Record) {
        self.last = record.at;
        match &record.what {
            What::Begun(_) | What::Waiting { .. } => {}
            What::Resumed(resumed) => {
                self.resumed += 1;
                self.session = record.at;
                self.up.clone_from(&resumed.up);
                (self.stopped, self.interrupted, self.finished) = (None, false, false);
                for name in &resumed.nodes {
                    if let Some(row) = self.row_mut(name) {
                        row.take_up(resumed.down.contains(name));
                    }
                }
            }
            What::CanaryPassed => self.canary_passed = true,
            What::TurnBegun { node } => {
                if let Some(row) = self.row_mut(node) {
                    row.take_up(row.entry.down);
                    row.started = Some(record.at);
                }
            }
            What::StepBegun { node, step } => {
                if let Some(row) = self.row_mut(node) {
                    row.step = Some(*step);
                    row.touched |= step.changes_settings();
                }
            }
            What::StepEnded { node, step, error } => {
                if let Some(row) = self.row_mut(node) {
                    row.step = None;
                    // Its turn may be cut off and never say so.
                    let is_change = error.is_none() && step.changes_settings();
                    if is_change && !row.earlier.contains(step) {
                        row.earlier.push(*step);
                    }
                }
            }
            What::LockHeld { .. } | What::Progress { .. } => {}
            What::Ended(ended) => {
                if let Some(row) = self.row_mut(&ended.node) {
                    row.finish(ended, record.at);
                }
            }
            What::Stopped { why } => self.stopped = Some(why.clone()),
            What::Interrupted => self.interrupted = true,
            What::Finished => self.finished = true,
        }
    }

    fn row_mut(&mut self, name: &str) -> Option<&mut Row> {
        let at = *self.index.get(name)?;
        self.rows.get_mut(at)
    }

    /// Returns the place of a node in the order of the run.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Counts the outcomes; members that no inventory names are nodes that were not started.
    pub fn summary(&self) -> Summary {
        let mut sum =
            Summary { nodes: self.rows.len() + self.unlisted.len(), ..Summary::default() };
        sum.not_started = self.unlisted.len();
        for row in &self.rows {
            match row.outcome() {
                Outcome::Done => sum.done += 1,
                Outcome::NothingToDo => sum.nothing_to_do += 1,
                Outcome::Refused => sum.refused += 1,
                Outcome::Failed => sum.failed += 1,
                Outcome::Unsure => sum.unsure += 1,
                Outcome::Partly => sum.partly += 1,
                Outcome::NotStarted => sum.not_started += 1,
            }
        }
        sum
    }

    /// Counts the verdicts, of a run that proves; every node that has none is unknown.
    pub fn verdicts(&self) -> Option<Verdicts> {
        match self.begun.job {
            Job::Enable(_) | Job::Disable(_) | Job::Ship(_) | Job::Clean(_) => return None,
            Job::Verify(_) => {}
        }
        let mut sum = Verdicts { unknown: self.unlisted.len(), ..Verdicts::default() };
        for row in &self.rows {
            match row.verdict() {
                Some(ProofVerdict::Proven) => sum.proven += 1,
                Some(ProofVerdict::NotProven) => sum.not_proven += 1,
                Some(ProofVerdict::Unknown) | None => sum.unknown += 1,
            }
        }
        Some(sum)
    }

    /// Returns why a node whose turn did not come was left.
    pub fn reason_left(&self, row: &Row) -> String {
        if row.entry.down {
            let is_retried = self.begun.options.pointer("/scheduling/retry_down");
            return match is_retried.and_then(serde_json::Value::as_bool) {
                Some(true) => "the ring showed it down, at the start and at the end".into(),
                Some(false) | None => {
                    "the ring showed it down at the start; --retry-down takes it at the end".into()
                }
            };
        }
        match (&self.stopped, self.interrupted, self.finished) {
            (Some(why), ..) => format!("the run stopped before its turn: {why}"),
            (None, true, _) => "the run was interrupted before its turn".into(),
            (None, false, false) => "its turn has not come".into(),
            (None, false, true) => "its turn did not come".into(),
        }
    }

    /// Returns the names of the nodes that are still to be done. A node that failed before
    /// anything was changed on it, or that was not proven, is among them only when `retry_failed`;
    /// where sets are moved, whatever failed is still to be done.
    pub fn left(&self, retry_failed: bool) -> Vec<String> {
        let is_left = |row: &&Row| match row.outcome() {
            Outcome::Done | Outcome::NothingToDo => retry_failed && !row.is_fine_and_proven(),
            Outcome::Unsure | Outcome::Partly | Outcome::NotStarted => true,
            Outcome::Failed | Outcome::Refused => {
                row.touched || retry_failed || self.begun.job.is_haul()
            }
        };
        self.rows.iter().filter(is_left).map(|row| row.name().to_owned()).collect()
    }
}

impl Row {
    fn of(entry: &Entry) -> Self {
        Self {
            entry: entry.clone(),
            started: None,
            ended: None,
            end: None,
            step: None,
            touched: false,
            earlier: Vec::new(),
            kept: None,
        }
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        self.entry.name()
    }

    /// Forgets how an earlier turn ended, but not what it changed.
    fn take_up(&mut self, down: bool) {
        if let Some(end) = self.end.take() {
            self.earlier = end.changed;
            self.kept = end.kept;
        }
        self.entry.down = down;
        (self.started, self.ended, self.step) = (None, None, None);
    }

    fn finish(&mut self, ended: &Ended, at: Timestamp) {
        let mut end = ended.clone();
        // Where this turn changed nothing, what it saw first is what it saw last.
        if !end.changed.iter().any(|step| step.changes_settings()) {
            end.after.live = end.after.live.or(end.before.live);
            end.after.configured = end.after.configured.or(end.before.configured);
        }
        // What an earlier turn changed was changed by this run.
        for step in self.earlier.iter().rev() {
            if !end.changed.contains(step) {
                end.changed.insert(0, *step);
            }
        }
        end.kept = end.kept.or_else(|| self.kept.clone());
        self.touched |= end.changed.iter().any(|step| step.changes_settings());
        self.end = Some(end);
        self.ended = Some(at);
        self.step = None;
    }

    /// How its turn ended. One that began and has no end was cut off: unsure.
    pub fn outcome(&self) -> Outcome {
        match (&self.end, self.started) {
            (Some(end), _) => end.outcome,
            (None, Some(_)) => Outcome::Unsure,
            (None, None) => Outcome::NotStarted,
        }
    }

    /// Whether its turn is under way, or was when the records end.
    pub fn is_open(&self) -> bool {
        self.started.is_some() && self.end.is_none()
    }

    /// The verdict of its proof.
    pub fn verdict(&self) -> Option<ProofVerdict> {
        self.end.as_ref()?.proven.as_ref().map(|proven| proven.verdict)
    }

    /// Whether others may follow it when it is a canary: it is as wanted, and what was to be proven
    /// is.
    pub fn is_fine_and_proven(&self) -> bool {
        self.outcome().is_fine()
            && self.verdict().is_none_or(|verdict| verdict == ProofVerdict::Proven)
    }

    /// What this run changed on it.
    pub fn changed(&self) -> &[Step] {
        self.end.as_ref().map_or(&self.earlier, |end| &end.changed)
    }

    /// What was seen last.
    pub fn state(&self) -> State {
        self.end.as_ref().map(|end| end.after).unwrap_or_default()
    }

    /// Why it ended so.
    pub fn reason(&self, fleet: &Fleet) -> Option<String> {
        match (&self.end, self.started, self.step) {
            (Some(end), ..) => end.reason.clone(),
            (None, Some(_), Some(step)) => Some(format!("the run was cut off in {}", step.text())),
            (None, Some(_), None) => Some("the run was cut off in its turn".to_owned()),
            (None, None, _) => Some(self.reason_left(fleet)),
        }
    }

    /// Why its turn did not come, and what an earlier one has done all the same.
    fn reason_left(&self, fleet: &Fleet) -> String {
        let left = fleet.reason_left(self);
        let earlier: Vec<&str> = self.earlier.iter().map(|step| step.text()).collect();
        match earlier.as_slice() {
            [] => left,
            earlier => format!("{left}; done in an earlier turn: {}", earlier.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::NodeSpec;
    use crate::node::Endpoint;
    use crate::record::{Halves, Resumed, SCHEMA};

    fn begun() -> Begun {
        let host = "a".to_owned();
        let spec = NodeSpec::at(Endpoint { host, ..Endpoint::default() });
        Begun {
            schema: SCHEMA,
            run: "r".to_owned(),
            version: String::new(),
            cluster: String::new(),
            who: String::new(),
            job: Job::Enable(Halves { live: true, config: true }),
            options: serde_json::Value::Null,
            seed: 0,
            canary: Vec::new(),
            nodes: vec![Entry { spec, place: Place::default(), down: false }],
            unlisted: Vec::new(),
            witnesses: Vec::new(),
            up: Vec::new(),
        }
    }

    fn after(whats: impl IntoIterator<Item = What>) -> Fleet {
        let mut fleet = Fleet::begin(&begun(), Timestamp::UNIX_EPOCH);
        for what in whats {
            fleet.take(&Record { at: Timestamp::UNIX_EPOCH, what });
        }
        fleet
    }

    #[test]
    fn what_a_turn_sees_is_told_also_when_an_earlier_one_made_it_so() {
        let on = State { live: Some(true), configured: Some(true) };
        let begins = || What::TurnBegun { node: "a".to_owned() };
        let mut cut = Ended::new("a", Outcome::Unsure);
        cut.changed = vec![Step::EditConfig, Step::EnableBackup];
        let mut seen = Ended::new("a", Outcome::NothingToDo);
        seen.before = on;
        let fleet = after([
            begins(),
            What::Ended(Box::new(cut.clone())),
            begins(),
            What::Ended(Box::new(seen)),
        ]);
        assert_eq!((fleet.rows[0].state(), fleet.rows[0].changed()), (on, &cut.changed[..]));
        // Of a change after which nobody could look, what was seen before says nothing.
        let unseen = Ended { before: on, ..cut };
        let fleet = after([begins(), What::Ended(Box::new(unseen))]);
        assert_eq!(fleet.rows[0].state(), State::default());
    }

    #[test]
    fn a_canary_whose_proof_says_no_is_not_fine_although_its_turn_was_done() {
        for (verdict, is_fine) in [
            (ProofVerdict::Proven, true),
            (ProofVerdict::NotProven, false),
            (ProofVerdict::Unknown, false),
        ] {
            let mut done = Ended::new("a", Outcome::Done);
            done.proven = Some(crate::plan::verify::Proven {
                verdict,
                reasons: Vec::new(),
                notes: Vec::new(),
                evidence: Vec::new(),
            });
            let fleet =
                after([What::TurnBegun { node: "a".to_owned() }, What::Ended(Box::new(done))]);
            assert_eq!(fleet.rows[0].is_fine_and_proven(), is_fine);
        }
    }

    #[test]
    fn what_a_cut_off_turn_changed_is_told_also_when_the_node_is_down_after_that() {
        let (node, step) = ("a".to_owned(), Step::EditConfig);
        let resumed = Resumed {
            who: String::new(),
            version: String::new(),
            nodes: vec![node.clone()],
            up: Vec::new(),
            down: vec![node.clone()],
        };
        let fleet = after([
            What::TurnBegun { node: node.clone() },
            What::StepBegun { node: node.clone(), step },
            What::StepEnded { node, step, error: None },
            What::Resumed(resumed),
        ]);
        let row = &fleet.rows[0];
        assert_eq!((row.outcome(), row.changed()), (Outcome::NotStarted, &[step][..]));
        assert_eq!(
            row.reason(&fleet).unwrap(),
            "the ring showed it down at the start; --retry-down takes it at the end; done in an \
             earlier turn: the edit of cassandra.yaml"
        );
    }
}
