//! enable and disable on one node: look, edit, switch, look again.

use std::time::Duration;

use super::clock;
use super::look::look;
use super::turn::{Held, Trouble, is_out_of_sight, refused};
use super::verify;
use crate::cassandra::edit::{self, Edit};
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::facts::Facts;
use crate::cassandra::nodetool::failure;
use crate::inventory::NodeSpec;
use crate::node::catalog::{self, Nodetool};
use crate::node::config_file::{self, ConfigFile, EditError};
use crate::node::survey::Limits;
use crate::node::{Connect, Node, NodeError};
use crate::plan::setting::{Action, Plan, Want, missing, needs_file, plan, state};
use crate::record::{Ended, Outcome, Step};

/// The setting's key in cassandra.yaml.
pub(super) const KEY: &str = "incremental_backups";

/// How often a file that somebody else changes at the same time is read anew.
const TRIES: usize = 3;

/// How often, and how far apart, a node whose line broke in the middle of a change is gone to
/// again for a look.
const LOOKS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(8)];

/// cassandra.yaml as it is, and what would make it as wanted.
pub(super) struct Draft {
    pub(super) file: ConfigFile,
    pub(super) edit: Option<Edit>,
}

/// Takes one node through enable or disable.
pub(super) async fn turn<C: Connect>(held: &Held<'_, C>, want: Want) -> Ended {
    let (spec, limits) = (&held.entry.spec, held.shared.limits);
    let (facts, tool) = look(&*held.node, spec, limits, held.ring.as_ref()).await;
    let (plan, draft) = planned(&*held.node, spec, limits, &facts, want).await;
    let mut ended = match plan {
        Plan::NothingToDo(why) => Ended::new(held.entry.name(), Outcome::NothingToDo).because(why),
        Plan::Refused(why) => refused(held.entry, &why),
        Plan::Steps(actions) => {
            let file = draft.map(|draft| draft.file);
            change(held, want, Work { actions, file, tool: &tool }).await
        }
    };
    ended.before = state(&facts);
    if held.is_canary && want.on && want.halves.live && ended.outcome.is_fine() {
        verify::check_canary(held, want.halves, &mut ended).await;
    }
    ended
}

/// Returns what is to be done, after a look at cassandra.yaml where that matters.
pub(super) async fn planned<N: Node>(
    node: &N,
    spec: &NodeSpec,
    limits: Limits,
    facts: &Facts,
    want: Want,
) -> (Plan, Option<Draft>) {
    if !needs_file(facts, want) {
        return (plan(facts, None, want), None);
    }
    match draft(node, spec, limits, facts, want.on).await {
        Fact::Known(draft) => {
            let edit = draft.edit.clone();
            (plan(facts, Some(Fact::Known(edit)), want), Some(draft))
        }
        Fact::Unknown(why) => (plan(facts, Some(Fact::Unknown(why)), want), None),
    }
}

async fn draft<N: Node>(
    node: &N,
    spec: &NodeSpec,
    limits: Limits,
    facts: &Facts,
    on: bool,
) -> Fact<Draft> {
    let path = match &facts.config {
        Fact::Known((path, _)) => path.clone(),
        Fact::Unknown(why) => return Fact::Unknown(why.clone()),
    };
    let file = match config_file::read(node, spec, &path, limits.nodetool).await {
        Fact::Known(file) => file,
        Fact::Unknown(why) => return Fact::Unknown(why),
    };
    match edit::set_boolean(&file.bytes, KEY, on) {
        Ok(edit) => Fact::Known(Draft { file, edit }),
        Err(refusal) => Fact::Unknown(
            Why::new(WhyKind::NotUnderstood, format!("{path} is left alone: {refusal}"))
                .with_fix("set incremental_backups there by hand, then run this again"),
        ),
    }
}

/// What is to be done, and with what.
struct Work<'a> {
    actions: Vec<Action>,
    file: Option<ConfigFile>,
    tool: &'a Nodetool,
}

/// Does the work, looks again, and says what came of it.
async fn change<C: Connect>(held: &Held<'_, C>, want: Want, work: Work<'_>) -> Ended {
    let mut ended = Ended::new(held.entry.name(), Outcome::Done);
    let mut trouble = None;
    let mut is_edit = false;
    for action in work.actions {
        is_edit = matches!(action, Action::Edit(_));
        let done = match action {
            Action::Edit(edit) => {
                ended.notes.extend(edit.warnings.iter().cloned());
                edit_file(held, want.on, &edit, work.file.as_ref(), &mut ended).await
            }
            Action::SetLive(on) => set_live(held, on, work.tool, &mut ended).await,
        };
        if let Err(stopped_by) = done {
            trouble = Some(stopped_by);
            break;
        }
    }
    if is_edit
        && ended.changed.is_empty()
        && let Some(Trouble::Said(why)) = &trouble
    {
        // The edit is done or not done, and it said not; a nodetool that failed may have done it.
        return refused(held.entry, why);
    }
    let facts = look_again(held).await;
    ended.after = state(&facts);
    if let Some(Trouble::Line(_)) = &trouble {
        drop_undone(&mut ended, want.on);
    }
    judge(&mut ended, &facts, want, trouble.as_ref());
    ended
}

/// Takes the last step back that nobody heard the end of, when it is seen not to be done.
fn drop_undone(ended: &mut Ended, on: bool) {
    let seen = match ended.changed.last() {
        Some(Step::EditConfig) => ended.after.configured,
        Some(Step::EnableBackup | Step::DisableBackup) => ended.after.live,
        Some(Step::Prove | Step::Deep | Step::CleanUp | Step::Ship | Step::Clean) | None => None,
    };
    if seen == Some(!on) {
        ended.changed.pop();
    }
}

/// Says how the turn ended, by what is seen now.
fn judge(ended: &mut Ended, facts: &Facts, want: Want, trouble: Option<&Trouble>) {
    let Some(missing) = missing(facts, want) else {
        if let Some(trouble) = trouble {
            let note = format!("{}; a second look found it done", trouble.why());
            ended.notes.push(crate::text::one_line(note.as_bytes(), 400));
        }
        return;
    };
    let wanted = [(want.halves.live, &facts.live), (want.halves.config, &facts.configured())];
    let hidden = wanted
        .into_iter()
        .filter(|(is_meant, _)| *is_meant)
        .find_map(|(_, fact)| fact.why().filter(|why| is_out_of_sight(why.kind)).cloned());
    // What was under way when the line broke may still come to its end on the node.
    let is_loose = matches!(trouble, Some(Trouble::Line(_)));
    ended.outcome = match hidden.is_some() || is_loose {
        true => Outcome::Unsure,
        false => Outcome::Failed,
    };
    let reason = match trouble {
        Some(trouble @ Trouble::Line(_)) => {
            format!("{missing}, and may still change: {}", trouble.why())
        }
        Some(trouble) => format!("{missing}: {}", trouble.why()),
        None => format!("{missing}, although every step ended well"),
    };
    let why = hidden.or_else(|| trouble.map(|trouble| trouble.why().clone()));
    let help = why.map_or_else(|| "look at the node".to_owned(), |why| why.hint());
    ended.hint = Some(format!("{help}; resume, or the same command again, completes it"));
    ended.reason = Some(crate::text::one_line(reason.as_bytes(), 600));
}

async fn edit_file<C: Connect>(
    held: &Held<'_, C>,
    on: bool,
    edit: &Edit,
    file: Option<&ConfigFile>,
    ended: &mut Ended,
) -> Result<(), Trouble> {
    let Some(file) = file else { return Ok(()) };
    let kept = held.step(Step::EditConfig, replace(held, on, edit, file)).await;
    if matches!(kept, Ok(_) | Err(Trouble::Line(_))) {
        ended.changed.push(Step::EditConfig);
    }
    ended.kept = kept?;
    Ok(())
}

/// The end of the name of a backup copy that is made now.
pub(super) fn stamp() -> String {
    clock::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Replaces the file; reads and edits it anew when somebody changed it in between. Returns where
/// the old one is kept.
async fn replace<C: Connect>(
    held: &Held<'_, C>,
    on: bool,
    edit: &Edit,
    file: &ConfigFile,
) -> Result<Option<String>, Trouble> {
    let (spec, limit) = (&held.entry.spec, held.shared.limits.nodetool);
    let stamp = stamp();
    let (mut file, mut edit) = (file.clone(), edit.clone());
    for _ in 0..TRIES {
        let replaced = config_file::replace(&*held.node, spec, &file, &edit, &stamp, limit).await;
        match replaced {
            Ok(replaced) => {
                return Ok(replaced.backup.map(|backup| crate::text::visible(&backup)));
            }
            Err(EditError::Refused(why)) => return Err(Trouble::Said(why)),
            Err(EditError::Line(error)) => return Err(Trouble::Line(error.into())),
            Err(EditError::Changed) => {}
        }
        file = match config_file::read(&*held.node, spec, &file.path, limit).await {
            Fact::Known(file) => file,
            Fact::Unknown(why) => return Err(Trouble::Said(why)),
        };
        edit = match edit::set_boolean(&file.bytes, KEY, on) {
            Ok(Some(edit)) => edit,
            Ok(None) => return Ok(None),
            Err(refusal) => {
                let why = Why::new(WhyKind::NotUnderstood, refusal.to_string());
                return Err(Trouble::Said(why));
            }
        };
    }
    let text = "cassandra.yaml is being changed by somebody else all the time";
    let fix = "find out what writes it (Puppet, Ansible, an editor), and let that end first";
    Err(Trouble::Said(Why::new(WhyKind::NotPermitted, text).with_fix(fix)))
}

async fn set_live<C: Connect>(
    held: &Held<'_, C>,
    on: bool,
    tool: &Nodetool,
    ended: &mut Ended,
) -> Result<(), Trouble> {
    let (step, command) = match on {
        true => (Step::EnableBackup, catalog::nodetool_enablebackup(tool)),
        false => (Step::DisableBackup, catalog::nodetool_disablebackup(tool)),
    };
    let work = async {
        match held.node.run(&command).await {
            Err(error) => Err(trouble_of(error)),
            Ok(output) => match failure::why(&output) {
                // A call that was ended in the middle may have done its work.
                Some(why) if why.kind == WhyKind::TimedOut => Err(Trouble::Line(why)),
                Some(why) => Err(Trouble::Said(why)),
                None => Ok(()),
            },
        }
    };
    let result = held.step(step, work).await;
    if matches!(result, Ok(()) | Err(Trouble::Line(_))) {
        ended.changed.push(step);
    }
    result
}

fn trouble_of(error: NodeError) -> Trouble {
    Trouble::Line(error.into())
}

/// Looks at the node after a change; when the line broke, over a new one.
async fn look_again<C: Connect>(held: &Held<'_, C>) -> Facts {
    let (spec, limits) = (&held.entry.spec, held.shared.limits);
    let (mut facts, _) = look(&*held.node, spec, limits, held.ring.as_ref()).await;
    for pause in LOOKS {
        if !is_line_gone(&facts) {
            return facts;
        }
        tokio::time::sleep(pause).await;
        facts = match held.shared.connector.connect(&spec.endpoint).await {
            Ok(node) => look(&node, spec, limits, held.ring.as_ref()).await.0,
            Err(error) => Facts::unknown(&error.into()),
        };
    }
    facts
}

/// Whether nothing at all could be asked.
fn is_line_gone(facts: &Facts) -> bool {
    let is_hidden = |why: Option<&Why>| why.is_some_and(|why| is_out_of_sight(why.kind));
    is_hidden(facts.live.why()) && is_hidden(facts.config.why())
}
