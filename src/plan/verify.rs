//! Whether one node's incremental backups are proved to work, and why not.

use crate::cassandra::deep::Deep;
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::facts::Facts;
use crate::cassandra::proof::{Proof, Seen};
use crate::cassandra::schema::Coverage;
use crate::cassandra::table_name::TableName;
use crate::human;

/// What is proved of one node.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Proven {
    /// The verdict.
    pub verdict: ProofVerdict,
    /// Why it is not proven, a line each, the gravest first.
    pub reasons: Vec<String>,
    /// What else is good to know, a line each.
    pub notes: Vec<String>,
    /// What was seen linked, a line each: table, set, number of components.
    pub evidence: Vec<String>,
}

/// The verdict on one node. The names are part of the JSON output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofVerdict {
    /// What was flushed is linked, and nothing speaks against the backups.
    Proven,
    /// Something does.
    NotProven,
    /// It could not be told.
    Unknown,
}

impl ProofVerdict {
    /// Returns the verdict in the words of the table.
    pub fn label(self) -> &'static str {
        match self {
            Self::Proven => "PROVEN",
            Self::NotProven => "NOT PROVEN",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// Why nothing is to be flushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotWorth {
    /// Incremental backups are off: a flush could only show the same.
    Off,
    /// It is not known whether they are on.
    Unknown(Why),
}

impl NotWorth {
    /// Returns it as the result of the proof that was not begun.
    pub fn why(&self) -> Why {
        match self {
            Self::Off => {
                Why::new(WhyKind::NotAsked, "incremental backups are off: nothing flushed")
            }
            Self::Unknown(why) => why.clone(),
        }
    }
}

/// Returns whether a flush can show anything.
///
/// # Errors
/// With the reason when it cannot.
pub fn worth_proving(facts: &Facts) -> Result<(), NotWorth> {
    match &facts.live {
        Fact::Known(true) => Ok(()),
        Fact::Known(false) => Err(NotWorth::Off),
        Fact::Unknown(why) => Err(NotWorth::Unknown(why.clone())),
    }
}

/// What speaks for and against, as it is gathered.
#[derive(Debug, Default)]
struct Case {
    /// What shows that something is wrong.
    against: Vec<String>,
    /// What could not be told and would have to be.
    open: Vec<String>,
    notes: Vec<String>,
    evidence: Vec<String>,
}

/// Judges one node. `proofs` are those made, in order (see `prove_all`); `table` is the one asked
/// for, if one was.
pub fn judge(
    facts: &Facts,
    table: Option<&TableName>,
    proofs: &[Result<Proof, Why>],
    deep: Option<&Result<Deep, Why>>,
    uncovered: &Fact<Coverage>,
) -> Proven {
    let mut case = Case::default();
    case.settings(facts);
    case.judged(facts, table, proofs, deep, uncovered)
}

/// Judges a node on which the running process alone was to be switched on: what cassandra.yaml
/// says of the next start is no part of the question.
pub fn judge_live(
    facts: &Facts,
    proofs: &[Result<Proof, Why>],
    uncovered: &Fact<Coverage>,
) -> Proven {
    let mut case = Case::default();
    match &facts.live {
        Fact::Known(true) => {}
        Fact::Known(false) => case.against.push("incremental backups are off".to_owned()),
        Fact::Unknown(why) => {
            case.open.push(format!("whether they are on is not known: {why}"));
        }
    }
    case.judged(facts, None, proofs, None, uncovered)
}

fn is_linked(proofs: &[Result<Proof, Why>], table: &TableName) -> bool {
    proofs.iter().flatten().any(|proof| match proof.seen {
        Seen::Linked { .. } => proof.table == *table,
        Seen::NotLinked { .. } | Seen::NothingToFlush => false,
    })
}

impl Case {
    fn judged(
        mut self,
        facts: &Facts,
        table: Option<&TableName>,
        proofs: &[Result<Proof, Why>],
        deep: Option<&Result<Deep, Why>>,
        uncovered: &Fact<Coverage>,
    ) -> Proven {
        if worth_proving(facts).is_ok() {
            let is_off = |table: &TableName| {
                uncovered.known().is_some_and(|known| known.off.iter().any(|off| off.is(table)))
            };
            // What is linked is not kept out, whatever an old snapshot says.
            match table.filter(|table| is_off(table) && !is_linked(proofs, table)) {
                Some(table) => self.against.push(format!(
                    "{table} keeps out of incremental backups: its schema says \
                     incremental_backups = false"
                )),
                None => self.proofs(proofs),
            }
        }
        if let Some(deep) = deep {
            self.deep(deep);
        }
        self.files(facts);
        self.coverage(table, uncovered);
        self.verdict()
    }

    fn settings(&mut self, facts: &Facts) {
        match (&facts.live, &facts.configured()) {
            (Fact::Known(false), Fact::Known(true)) => self.against.push(
                "incremental backups are off now, although cassandra.yaml says on".to_owned(),
            ),
            (Fact::Known(false), Fact::Known(false)) => {
                self.against
                    .push("incremental backups are off, live and in cassandra.yaml".to_owned());
            }
            (Fact::Known(false), Fact::Unknown(_)) => {
                self.against.push("incremental backups are off".to_owned());
            }
            (Fact::Known(true), Fact::Known(false)) => {
                self.against.push("on now, off after the next restart".to_owned());
            }
            (Fact::Known(true), Fact::Known(true)) => {}
            (Fact::Known(true), Fact::Unknown(why)) => self
                .open
                .push(format!("on now; whether after the next restart is not known: {why}")),
            (Fact::Unknown(why), _) => {
                self.open.push(format!("whether they are on is not known: {why}"));
            }
        }
    }

    fn proofs(&mut self, proofs: &[Result<Proof, Why>]) {
        let mut is_linked = false;
        let mut open = Vec::new();
        for proof in proofs {
            match proof {
                Err(why) => open.push(format!("no proof: {why}")),
                Ok(Proof { table, seen: Seen::NotLinked { why }, .. }) => {
                    self.against.push(format!("{table} was flushed and not linked: {why}"));
                }
                Ok(Proof { table, seen: Seen::Linked { set }, .. }) => {
                    is_linked = true;
                    let components = human::count(set.components.len() as u64, "component");
                    self.evidence.push(format!("{table}: {}, {components}", set.descriptor));
                    if !set.is_seen_linked {
                        self.notes.push(format!(
                            "{table}: the set is complete; the live SSTable was compacted away \
                             before it could be compared"
                        ));
                    }
                }
                Ok(proof @ Proof { table, seen: Seen::NothingToFlush, .. }) => {
                    let text = format!("{table} had nothing to flush");
                    if proof.needs_another() {
                        self.notes.push(text);
                    } else {
                        open.push(text);
                    }
                }
            }
        }
        self.open.append(&mut open);
        if !is_linked && self.against.is_empty() && self.open.is_empty() {
            self.open.push("nothing was flushed, so nothing is proved".to_owned());
        }
    }

    fn deep(&mut self, deep: &Result<Deep, Why>) {
        let deep = match deep {
            Ok(deep) => deep,
            Err(why) => return self.open.push(format!("the sets' data was not read: {why}")),
        };
        if let Some(first) = deep.wrong.first() {
            self.against.push(format!(
                "{}: {} (CRC-32 {}, not {})",
                match deep.wrong.len() {
                    1 => "1 set in backups differs from its digest".to_owned(),
                    count => format!("{count} sets in backups differ from their digests"),
                },
                first.path,
                first.found,
                first.expected
            ));
        }
        if let Some(why) = &deep.broke_off {
            self.open.push(format!(
                "the reading of the sets' data broke off after {}: {why}",
                human::count(deep.checked, "set")
            ));
        }
        if let Some(first) = deep.unread.first() {
            let count = human::count(deep.unread.len() as u64, "set");
            self.open.push(format!("{count} in backups could not be read: {first}"));
        }
        if let Some(first) = deep.without_digest.first() {
            let count = human::count(deep.without_digest.len() as u64, "set");
            self.notes.push(format!("{count} in backups without a digest: {first}"));
        }
    }

    fn files(&mut self, facts: &Facts) {
        let backups = match &facts.backups {
            Fact::Known(backups) => backups,
            Fact::Unknown(why) => {
                return self.open.push(format!("whether sets are torn is not known: {why}"));
            }
        };
        if backups.torn_sets > 0 {
            self.against.push(format!(
                "{} in backups lack components and are older than five minutes: {}",
                human::count(backups.torn_sets, "set"),
                crate::text::visible(&backups.torn_examples.join(", "))
            ));
        }
        if backups.sets_with_extra > 0 {
            self.notes.push(format!(
                "{} in backups with components that the TOC does not name: {}",
                human::count(backups.sets_with_extra, "set"),
                crate::text::visible(&backups.extra_examples.join(", "))
            ));
        }
    }

    fn coverage(&mut self, asked: Option<&TableName>, uncovered: &Fact<Coverage>) {
        let coverage = match uncovered {
            Fact::Known(coverage) => coverage,
            Fact::Unknown(why) => {
                let text = format!("which tables keep out of backups is not known: {why}");
                return self.notes.push(text);
            }
        };
        let off: Vec<String> = coverage
            .off
            .iter()
            .filter(|off| !asked.is_some_and(|asked| off.is(asked)))
            .map(|off| {
                let of = off.since.as_ref().map(|tag| format!(" (snapshot {tag})"));
                format!("{}.{}{}", off.keyspace, off.table, of.unwrap_or_default())
            })
            .collect();
        if !off.is_empty() {
            let more = if off.len() > 5 { ", …" } else { "" };
            self.notes.push(format!(
                "{} by schema not backed up (incremental_backups = false): {}{more}",
                human::count(off.len() as u64, "table"),
                off[..off.len().min(5)].join(", ")
            ));
        }
        if coverage.unseen > 0 {
            self.notes.push(format!(
                "whether {} keep out of backups is not known: no snapshot holds their schema",
                human::count(coverage.unseen, "table")
            ));
        }
    }

    fn verdict(self) -> Proven {
        let verdict = match (self.against.is_empty(), self.open.is_empty()) {
            (false, _) => ProofVerdict::NotProven,
            (true, false) => ProofVerdict::Unknown,
            (true, true) => ProofVerdict::Proven,
        };
        let reasons = self.against.into_iter().chain(self.open).collect();
        Proven { verdict, reasons, notes: self.notes, evidence: self.evidence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cassandra::config;
    use crate::cassandra::deep::Wrong;
    use crate::cassandra::holdings::Backups;
    use crate::cassandra::links::MadeSet;
    use crate::cassandra::schema::NotCovered;

    fn facts(live: Fact<bool>, yaml: &str) -> Facts {
        let config = config::parse(yaml).expect("a cassandra.yaml");
        Facts {
            live,
            config: Fact::Known(("cassandra.yaml".to_owned(), config)),
            process: Fact::Known(None),
            backups: Fact::Known(Backups::default()),
            ..Facts::unknown(&Why::new(WhyKind::NotAsked, "not asked"))
        }
    }

    fn on() -> Facts {
        facts(Fact::Known(true), "incremental_backups: true")
    }

    fn table() -> TableName {
        TableName::parse("shop.orders").expect("a name")
    }

    fn own(seen: Seen) -> Result<Proof, Why> {
        Ok(Proof { table: TableName::size_estimates(), is_own_table: true, seen })
    }

    fn asked(seen: Seen) -> Result<Proof, Why> {
        Ok(Proof { table: table(), is_own_table: false, seen })
    }

    fn linked() -> Seen {
        let (folder, descriptor) = (String::new(), String::new());
        let set = MadeSet { folder, descriptor, components: Vec::new(), is_seen_linked: true };
        Seen::Linked { set }
    }

    fn not_linked() -> Seen {
        Seen::NotLinked { why: "nb-1-big is live and not in backups".to_owned() }
    }

    fn off(table: &str) -> Fact<Coverage> {
        let (keyspace, table) = ("shop".to_owned(), table.to_owned());
        let since = Some("nightly".to_owned());
        Fact::Known(Coverage { off: vec![NotCovered { keyspace, table, since }], unseen: 0 })
    }

    fn all() -> Fact<Coverage> {
        Fact::Known(Coverage::default())
    }

    fn verdict(
        facts: &Facts,
        asked: Option<&TableName>,
        proofs: &[Result<Proof, Why>],
        coverage: &Fact<Coverage>,
    ) -> (ProofVerdict, String) {
        let proven = judge(facts, asked, proofs, None, coverage);
        (proven.verdict, proven.reasons.into_iter().next().unwrap_or_default())
    }

    #[test]
    fn what_is_on_and_linked_is_proven() {
        let proven = judge(&on(), None, &[own(linked())], None, &all());
        let reasons_and_notes = (proven.reasons, proven.notes);
        assert_eq!(proven.verdict, ProofVerdict::Proven);
        assert_eq!(reasons_and_notes, (Vec::new(), Vec::new()));
        assert_eq!(proven.evidence.len(), 1);
    }

    #[test]
    fn off_now_or_after_the_next_start_is_not_proven() {
        for (live, yaml, reason) in [
            (
                false,
                "incremental_backups: false",
                "incremental backups are off, live and in cassandra.yaml",
            ),
            (
                false,
                "incremental_backups: true",
                "incremental backups are off now, although cassandra.yaml says on",
            ),
            (true, "incremental_backups: false", "on now, off after the next restart"),
        ] {
            let facts = facts(Fact::Known(live), yaml);
            assert_eq!(worth_proving(&facts).is_ok(), live);
            let said = verdict(&facts, None, &[own(linked())], &all());
            assert_eq!(said, (ProofVerdict::NotProven, reason.to_owned()));
        }
    }

    #[test]
    fn of_the_running_process_alone_the_file_is_not_asked() {
        let live_only = facts(Fact::Known(true), "incremental_backups: false");
        let of = |facts: &Facts, seen| judge_live(facts, &[own(seen)], &all()).verdict;
        assert_eq!(of(&live_only, linked()), ProofVerdict::Proven);
        assert_eq!(of(&live_only, not_linked()), ProofVerdict::NotProven);
        assert_eq!(of(&live_only, Seen::NothingToFlush), ProofVerdict::Unknown);
        let off = facts(Fact::Known(false), "incremental_backups: true");
        assert_eq!(judge_live(&off, &[], &all()).verdict, ProofVerdict::NotProven);
        let lost = Fact::unknown(WhyKind::Lost, "the line was lost");
        let unknown = facts(lost, "incremental_backups: true");
        assert_eq!(judge_live(&unknown, &[], &all()).verdict, ProofVerdict::Unknown);
    }

    #[test]
    fn what_could_not_be_told_is_unknown_and_never_proven() {
        let lost = || Why::new(WhyKind::Lost, "the line was lost");
        let no_live = facts(Fact::Unknown(lost()), "incremental_backups: true");
        assert_eq!(worth_proving(&no_live), Err(NotWorth::Unknown(lost())));
        let no_yaml = Facts { config: Fact::Unknown(lost()), ..on() };
        let no_files = Facts { backups: Fact::Unknown(lost()), ..on() };
        for (facts, proofs) in [
            (&no_live, vec![]),
            (&no_yaml, vec![own(linked())]),
            (&no_files, vec![own(linked())]),
            (&on(), vec![Err(lost())]),
            (&on(), vec![own(Seen::NothingToFlush)]),
            (&on(), vec![]),
        ] {
            let (verdict, reason) = verdict(facts, None, &proofs, &all());
            assert_eq!(verdict, ProofVerdict::Unknown, "{reason}");
            assert!(!reason.is_empty());
        }
        let deep = Ok(Deep { broke_off: Some(lost()), ..Deep::default() });
        let proven = judge(&on(), None, &[own(linked())], Some(&deep), &all());
        assert_eq!(proven.verdict, ProofVerdict::Unknown);
        // A fault that is seen weighs more than what is not known.
        let said = verdict(&on(), None, &[own(not_linked()), Err(lost())], &all());
        assert_eq!(said.0, ProofVerdict::NotProven);
    }

    #[test]
    fn a_table_without_writes_is_proven_by_another_alone() {
        let table = table();
        let nothing = || asked(Seen::NothingToFlush);
        let of = |proofs: &[_]| verdict(&on(), Some(&table), proofs, &all()).0;
        assert_eq!(of(&[nothing(), own(linked())]), ProofVerdict::Proven);
        assert_eq!(of(&[nothing(), own(not_linked())]), ProofVerdict::NotProven);
        assert_eq!(of(&[nothing()]), ProofVerdict::Unknown);
    }

    #[test]
    fn a_table_that_keeps_out_is_a_note_unless_it_is_the_one_asked_for() {
        let proven = judge(&on(), None, &[own(linked())], None, &off("logs"));
        assert_eq!(proven.verdict, ProofVerdict::Proven);
        assert_eq!(
            proven.notes,
            ["1 table by schema not backed up (incremental_backups = false): \
              shop.logs (snapshot nightly)"]
        );
        let table = table();
        let said = verdict(&on(), Some(&table), &[asked(not_linked())], &off("orders"));
        let reason = "shop.orders keeps out of incremental backups: its schema says \
                      incremental_backups = false";
        assert_eq!(said, (ProofVerdict::NotProven, reason.to_owned()));
        // An old snapshot said so, and it is linked now.
        let said = verdict(&on(), Some(&table), &[asked(linked())], &off("orders"));
        assert_eq!(said.0, ProofVerdict::Proven);
        let unknown = Fact::unknown(WhyKind::CommandNotFound, "there is no cqlsh on the node");
        let proven = judge(&on(), None, &[own(linked())], None, &unknown);
        assert_eq!((proven.verdict, proven.notes.len()), (ProofVerdict::Proven, 1));
    }

    #[test]
    fn torn_sets_and_damaged_data_are_named() {
        let torn = Backups {
            torn_sets: 1,
            torn_examples: vec!["shop/orders-x/backups/nb-1-big".to_owned()],
            ..Backups::default()
        };
        let facts = Facts { backups: Fact::Known(torn), ..on() };
        let said = verdict(&facts, None, &[own(linked())], &all());
        assert_eq!(said.0, ProofVerdict::NotProven);
        assert!(said.1.contains("shop/orders-x/backups/nb-1-big"), "{}", said.1);
        let path = "/d/shop/orders-x/backups/nb-1-big-Data.db".to_owned();
        let wrong = vec![Wrong { path, expected: "1".to_owned(), found: 2 }];
        let deep = Ok(Deep { checked: 1, wrong, ..Deep::default() });
        let proven = judge(&on(), None, &[own(linked())], Some(&deep), &all());
        assert_eq!(proven.verdict, ProofVerdict::NotProven);
        assert_eq!(
            proven.reasons,
            ["1 set in backups differs from its digest: \
              /d/shop/orders-x/backups/nb-1-big-Data.db (CRC-32 2, not 1)"]
        );
    }
}
