//! enable and disable: what is to be done on one node so that the setting is as wanted, in both
//! places.

use crate::cassandra::edit::Edit;
use crate::cassandra::fact::{Fact, Why};
use crate::cassandra::facts::Facts;
use crate::human;
use crate::record::{Halves, State};

/// What is wanted of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// On or off.
    pub on: bool,
    /// In which places.
    pub halves: Halves,
}

/// What is to be done on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nothing, because it is so already.
    NothingToDo(String),
    /// Nothing, because it cannot or must not be done.
    Refused(Why),
    /// These, in this order: the file first, so that a restart in between keeps what is wanted.
    Steps(Vec<Action>),
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Replace one value of cassandra.yaml.
    Edit(Edit),
    /// `nodetool enablebackup` or `disablebackup`.
    SetLive(bool),
}

/// Returns what the two places say.
pub fn state(facts: &Facts) -> State {
    State { live: facts.live.known().copied(), configured: facts.configured().known().copied() }
}

/// Whether the file has to be read: its value is meant, and is not seen to be as wanted.
pub fn needs_file(facts: &Facts, want: Want) -> bool {
    want.halves.config && facts.configured().known() != Some(&want.on)
}

/// Decides what is to be done. `edit` is what would make the file right, when [`needs_file`].
pub fn plan(facts: &Facts, edit: Option<Fact<Option<Edit>>>, want: Want) -> Plan {
    let mut actions = Vec::new();
    if want.halves.live
        && let Fact::Unknown(why) = &facts.live
    {
        let text = format!("the live setting is not known: {}", why.text);
        let fix = format!("{}; --config-only changes cassandra.yaml alone", why.hint());
        return Plan::Refused(Why::new(why.kind, text).with_fix(&fix));
    }
    if needs_file(facts, want) {
        if let Some(why) = overridden(facts, want) {
            return Plan::Refused(why);
        }
        match edit {
            Some(Fact::Known(Some(edit))) => actions.push(Action::Edit(edit)),
            Some(Fact::Unknown(why)) => return Plan::Refused(why),
            // The file has come to say so since the survey.
            Some(Fact::Known(None)) | None => {}
        }
    }
    if want.halves.live && facts.live.known() != Some(&want.on) {
        actions.push(Action::SetLive(want.on));
    }
    if actions.is_empty() { Plan::NothingToDo(already(want)) } else { Plan::Steps(actions) }
}

/// Cassandra would not take the setting from the file.
fn overridden(facts: &Facts, want: Want) -> Option<Why> {
    let process = facts.process.known().and_then(Option::as_ref)?;
    let text = process.override_of_yaml.as_deref()?;
    let text = format!(
        "the process is started with -Dcassandra.settings.incremental_backups={text}, which wins \
         over cassandra.yaml"
    );
    let fix = format!("set it to {} where the JVM's options are, or take it out", want.on);
    Some(Why::new(crate::cassandra::fact::WhyKind::NotPermitted, text).with_fix(&fix))
}

fn already(want: Want) -> String {
    let word = human::on_off(want.on);
    match (want.halves.live, want.halves.config) {
        (true, true) => format!("{word} already, live and in cassandra.yaml"),
        (true, false) => format!("{word} already, live"),
        (false, _) => format!("{word} already in cassandra.yaml"),
    }
}

/// Returns what is not as wanted after the work; `None` when all is.
pub fn missing(facts: &Facts, want: Want) -> Option<String> {
    let places = [
        (want.halves.config, "cassandra.yaml", facts.configured()),
        (want.halves.live, "live", facts.live.clone()),
    ];
    let mut is_missing = false;
    let texts: Vec<String> = places
        .into_iter()
        .filter(|(is_meant, ..)| *is_meant)
        .map(|(_, place, fact)| match fact {
            Fact::Known(value) => {
                is_missing |= value != want.on;
                format!("{place} is {}", human::on_off(value))
            }
            Fact::Unknown(why) => {
                is_missing = true;
                format!("{place} is not known ({})", why.text)
            }
        })
        .collect();
    is_missing.then(|| texts.join(", "))
}
