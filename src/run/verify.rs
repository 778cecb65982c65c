//! verify on one node: a flush of what is no user data, and the look for what it made.

use super::clock;
use super::look::look;
use super::turn::{Held, Trouble, failed, is_out_of_sight};
use crate::cassandra::deep::Deep;
use crate::cassandra::fact::{Fact, Why};
use crate::cassandra::facts::Facts;
use crate::cassandra::proof::{Proof, Seen};
use crate::cassandra::schema::Coverage;
use crate::human;
use crate::node::Connect;
use crate::node::catalog::Nodetool;
use crate::node::deep::{DeepProgress, deep};
use crate::node::proof::{self, Ask, WAIT};
use crate::node::uncovered::{self, uncovered};
use crate::plan::setting::state;
use crate::plan::verify::{ProofVerdict, Proven, judge, judge_live, worth_proving};
use crate::record::{Ended, Halves, Outcome, Step, Verify, What};

/// How often the reading of every Data.db is written down: often enough for work of hours.
const TELL: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);

/// Takes one node through verify.
pub(super) async fn turn<C: Connect>(held: &Held<'_, C>, how: &Verify) -> Ended {
    let mut ended = Ended::new(held.entry.name(), Outcome::Done);
    let Examined { facts, proven, unheard, .. } = examine(held, how, &mut ended).await;
    ended.before = state(&facts);
    if let (ProofVerdict::Unknown, Some(why)) = (proven.verdict, unheard) {
        let end = failed(held.entry, &why);
        (ended.outcome, ended.hint) = (end.outcome, end.hint);
    }
    ended.reason = proven.reasons.first().cloned();
    ended.notes.extend(proven.notes.iter().cloned());
    ended.proven = Some(proven);
    ended
}

/// Proves the change of a canary; a change that is not proven has failed.
pub(super) async fn check_canary<C: Connect>(
    held: &Held<'_, C>,
    halves: Halves,
    ended: &mut Ended,
) {
    let how = Verify { wait: WAIT, ..Verify::default() };
    let examined = examine(held, &how, ended).await;
    let mut proven = match halves.config {
        true => examined.proven,
        false => judge_live(&examined.facts, &examined.proofs, &examined.uncovered),
    };
    if proven.verdict != ProofVerdict::Proven {
        ended.outcome = Outcome::Failed;
        let reason = proven.reasons.first().cloned().unwrap_or_default();
        ended.reason = Some(format!("the canary is not proven: {reason}"));
        ended.hint = Some("look at the node; `ringhaul verify` shows more".to_owned());
    }
    ended.notes.append(&mut proven.notes);
    ended.proven = Some(proven);
}

/// What came of looking and proving.
struct Examined {
    facts: Facts,
    proofs: Vec<Result<Proof, Why>>,
    uncovered: Fact<Coverage>,
    proven: Proven,
    /// Why the node could not say what it was asked, if its line broke.
    unheard: Option<Why>,
}

async fn examine<C: Connect>(held: &Held<'_, C>, how: &Verify, ended: &mut Ended) -> Examined {
    let (spec, limits) = (&held.entry.spec, held.shared.limits);
    let (facts, tool) = look(&*held.node, spec, limits, held.ring.as_ref()).await;
    if worth_proving(&facts).is_err() {
        let uncovered = Fact::Known(Coverage::default());
        let proven = judge(&facts, how.table.as_ref(), &[], None, &uncovered);
        let unheard = unheard(&facts, &[], None);
        return Examined { facts, proofs: Vec::new(), uncovered, proven, unheard };
    }
    let uncovered = keeping_out(held, how, &facts).await;
    // What keeps out of backups needs no flush to show it.
    let keeps_out = how.table.as_ref().is_some_and(|table| {
        uncovered.known().is_some_and(|known| known.off.iter().any(|off| off.is(table)))
    });
    let proofs = match keeps_out {
        true => Vec::new(),
        false => prove(held, how, &facts, &tool, ended).await,
    };
    let deep = match how.deep {
        true => Some(read_all(held, how, &facts).await),
        false => None,
    };
    let proven = judge(&facts, how.table.as_ref(), &proofs, deep.as_ref(), &uncovered);
    let unheard = unheard(&facts, &proofs, deep.as_ref());
    Examined { facts, proofs, uncovered, proven, unheard }
}

/// Returns why something was not heard of the node: of what it says of itself, or of the proof.
fn unheard(
    facts: &Facts,
    proofs: &[Result<Proof, Why>],
    deep: Option<&Result<Deep, Why>>,
) -> Option<Why> {
    let looks = [facts.live.why(), facts.config.why(), facts.backups.why()].into_iter().flatten();
    let proofs = proofs.iter().filter_map(|proof| proof.as_ref().err());
    let deep = deep.and_then(|deep| deep.as_ref().err());
    looks.chain(proofs).chain(deep).find(|why| is_out_of_sight(why.kind)).cloned()
}

async fn prove<C: Connect>(
    held: &Held<'_, C>,
    how: &Verify,
    facts: &Facts,
    tool: &Nodetool,
    ended: &mut Ended,
) -> Vec<Result<Proof, Why>> {
    let (spec, limits) = (&held.entry.spec, held.shared.limits);
    let data_dirs = match &facts.data_dirs {
        Fact::Known(data_dirs) => data_dirs,
        Fact::Unknown(why) => return vec![Err(why.clone())],
    };
    let ask = Ask { spec, tool, data_dirs, table: how.table.as_ref(), wait: how.wait, limits };
    let work = async { Ok(proof::prove_all(&*held.node, &ask).await) };
    let proofs = match held.step(Step::Prove, work).await {
        Ok(proofs) => proofs,
        Err(trouble) => return vec![Err(trouble.why().clone())],
    };
    ended.changed.push(Step::Prove);
    if how.clean_up {
        for proof in proofs.iter().flatten().filter(|proof| proof.is_own_table) {
            clean_up(held, proof, ended).await;
        }
    }
    proofs
}

/// Removes what the proof made. A table of the operator's is theirs, and so is its set.
async fn clean_up<C: Connect>(held: &Held<'_, C>, proof: &Proof, ended: &mut Ended) {
    let Seen::Linked { set } = &proof.seen else { return };
    let (spec, limit) = (&held.entry.spec, held.shared.limits.files);
    let work =
        async { proof::clean_up(&*held.node, spec, set, limit).await.map_err(Trouble::Said) };
    match held.step(Step::CleanUp, work).await {
        Ok(files) => {
            ended.changed.push(Step::CleanUp);
            let files = human::count(files as u64, "file");
            ended.notes.push(format!("removed the {files} that the proof made in backups"));
        }
        Err(trouble) => {
            ended.notes.push(format!("the proof's own set is left: {}", trouble.why()));
        }
    }
}

async fn read_all<C: Connect>(
    held: &Held<'_, C>,
    how: &Verify,
    facts: &Facts,
) -> Result<Deep, Why> {
    let (spec, limits) = (&held.entry.spec, held.shared.limits);
    let data_dirs = match &facts.data_dirs {
        Fact::Known(data_dirs) => data_dirs,
        Fact::Unknown(why) => return Err(why.clone()),
    };
    let mut last = clock::now();
    let mut tell = |progress: DeepProgress| {
        let now = clock::now();
        if now.duration_since(last) < TELL {
            return;
        }
        last = now;
        let read = human::bytes(progress.bytes_done);
        let text = format!("{read} of {} read", human::bytes(progress.bytes));
        let node = held.entry.name().to_owned();
        // The journal being full is seen by the next step.
        let _ = held.shared.log.write(What::Progress { node, text });
    };
    let work = async {
        let read = deep(&*held.node, spec, data_dirs, limits, how.deep_timeout, &mut tell);
        read.await.map_err(Trouble::Said)
    };
    held.step(Step::Deep, work).await.map_err(|trouble| trouble.why().clone())
}

async fn keeping_out<C: Connect>(
    held: &Held<'_, C>,
    how: &Verify,
    facts: &Facts,
) -> Fact<Coverage> {
    let data_dirs = match &facts.data_dirs {
        Fact::Known(data_dirs) => data_dirs,
        Fact::Unknown(why) => return Fact::Unknown(why.clone()),
    };
    let from = if how.cqlsh { uncovered::From::Cqlsh } else { uncovered::From::Snapshots };
    let version = facts.version.known().map(String::as_str);
    uncovered(&*held.node, &held.entry.spec, data_dirs, version, from, held.shared.limits).await
}
