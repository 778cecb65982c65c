//! One survey of one node: asks and changes nothing. Two commands side by side in the ordinary
//! case, one nodetool call among them.

use std::ops::ControlFlow;
use std::time::Duration;

use super::answer::{Answer, Reader, Walk};
use super::catalog::{self, Nodetool};
use super::{Command, Node, NodeError};
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::facts::Facts;
use crate::cassandra::holdings;
use crate::cassandra::jvm::Process;
use crate::cassandra::nodetool::{ParseError, failure, netstats, status, statusbackup, version};
use crate::cassandra::ring::Ring;
use crate::cassandra::tree::Tree;
use crate::inventory::NodeSpec;

/// How long the parts of a survey may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// One nodetool call.
    pub nodetool: Duration,
    /// The look at processes and files.
    pub files: Duration,
}

/// Asks `node` all an audit wants to know; `tool` holds afterwards what was learnt of nodetool.
pub async fn survey<N: Node>(
    node: &N,
    spec: &NodeSpec,
    tool: &mut Nodetool,
    limits: Limits,
) -> Facts {
    let (answer, first_live) = tokio::join!(
        look(node, spec, |data| catalog::survey(spec, data, limits.files), Tree::default),
        ask_live(node, tool)
    );
    let live = match with_what_was_learnt(tool, first_live.why(), &answer) {
        Some(better) => {
            *tool = better;
            ask_live(node, tool).await
        }
        None => first_live,
    };
    let mut facts = facts(answer, live);
    if facts.live.known().is_some() && facts.version.known().is_none() {
        facts.version = nodetool(node, &catalog::nodetool_version(tool), version::parse).await;
    }
    facts
}

/// Asks for the live flag.
pub async fn ask_live<N: Node>(node: &N, tool: &Nodetool) -> Fact<bool> {
    nodetool(node, &catalog::nodetool_statusbackup(tool), statusbackup::parse).await
}

/// Asks what the node is doing, when its other answers leave a doubt.
pub async fn ask_mode<N: Node>(node: &N, tool: &Nodetool) -> Fact<netstats::Mode> {
    nodetool(node, &catalog::nodetool_netstats(tool), netstats::parse).await
}

/// Asks for the ring as `node` sees it, its members in order.
pub async fn ask_ring<N: Node>(node: &N, spec: &NodeSpec, limits: Limits) -> Fact<Ring> {
    let tool = Nodetool::new(spec, limits.nodetool);
    let sorted = |text: &str| {
        status::parse(text).map(|mut ring| {
            ring.sort();
            ring
        })
    };
    let first = nodetool(node, &catalog::nodetool_status(&tool), sorted).await;
    if !first.why().is_some_and(may_be_elsewhere) {
        return first;
    }
    let answer = look_at(node, &catalog::survey(spec, &[], limits.files), Tree::default()).await;
    match with_what_was_learnt(&tool, first.why(), &answer) {
        Some(better) => nodetool(node, &catalog::nodetool_status(&better), sorted).await,
        None => first,
    }
}

/// Finds out how nodetool is called on `node`.
pub async fn find_nodetool<N: Node>(node: &N, spec: &NodeSpec, limits: Limits) -> Nodetool {
    let mut tool = Nodetool::new(spec, limits.nodetool);
    let answer = look_at(node, &catalog::survey(spec, &[], limits.files), Tree::default()).await;
    let not_there = Why::new(WhyKind::CommandNotFound, "not looked for yet");
    if let Some(better) = with_what_was_learnt(&tool, Some(&not_there), &answer) {
        tool = better;
    }
    tool
}

/// Asks the ring for its name, as cassandra.yaml of one node has it.
pub async fn ask_cluster_name<N: Node>(
    node: &N,
    spec: &NodeSpec,
    limits: Limits,
) -> Option<String> {
    let answer = look_at(node, &catalog::survey(spec, &[], limits.files), Tree::default()).await;
    answer.config.known()?.1.cluster_name.clone()
}

/// Asks nodetool one question; all that can go wrong with it is why the fact is unknown.
pub(crate) async fn nodetool<N: Node, T>(
    node: &N,
    command: &Command,
    parse: impl Fn(&str) -> Result<T, ParseError>,
) -> Fact<T> {
    let output = match node.run(command).await {
        Ok(output) => output,
        Err(error) => return Fact::Unknown(error.into()),
    };
    if let Some(why) = failure::why(&output) {
        return Fact::Unknown(why);
    }
    match parse(&String::from_utf8_lossy(&output.stdout)) {
        Ok(value) => Fact::Known(value),
        Err(error) => Fact::unknown(WhyKind::NotUnderstood, error.to_string()),
    }
}

/// Returns another way to call nodetool when the first did not work and the look at the node
/// shows why: it lies elsewhere, or JMX is on another port.
fn with_what_was_learnt(
    tool: &Nodetool,
    failure: Option<&Why>,
    answer: &Answer<Tree>,
) -> Option<Nodetool> {
    let is_elsewhere = may_be_elsewhere(failure?);
    let mut better = tool.clone();
    if is_elsewhere && better.path.is_none() {
        better.path = answer.nodetools.first().cloned();
    }
    if is_elsewhere && better.port.is_none() {
        let process = answer.process.known().and_then(Option::as_ref);
        // Where it is the usual port, nodetool has tried it.
        better.port = process.and_then(|process| process.jmx_port).filter(|port| *port != 7199);
    }
    (better != *tool).then_some(better)
}

/// Whether nodetool, or the JMX port, may be in another place than where it was looked for.
fn may_be_elsewhere(why: &Why) -> bool {
    matches!(why.kind, WhyKind::CommandNotFound | WhyKind::CassandraDown)
}

/// Looks at process, settings, disks and files, by the command that `ask` makes for data folders.
pub(super) async fn look<N: Node, W: Walk + Default + Send>(
    node: &N,
    spec: &NodeSpec,
    ask: impl Fn(&[String]) -> Command,
    walk: impl Fn() -> W,
) -> Answer<W> {
    let mut answer = look_at(node, &ask(&[]), walk()).await;
    if !spec.paths.data.is_empty() {
        return answer;
    }
    // The script reads the data folders off cassandra.yaml by plain means; where the real reader
    // sees other ones, these are looked at instead. Without cassandra.yaml it can only guess.
    let wanted = match &answer.config {
        Fact::Known((_, config)) => config.data_dirs.clone(),
        Fact::Unknown(why) => Fact::Unknown(why.clone()),
    };
    match wanted {
        Fact::Unknown(why) => {
            answer.tree = Fact::Unknown(why);
            answer
        }
        Fact::Known(wanted) => {
            let all_seen = wanted.iter().all(|dir| answer.data_dirs.contains(dir));
            if wanted.is_empty() || (all_seen && wanted.len() == answer.data_dirs.len()) {
                return answer;
            }
            look_at(node, &ask(&wanted), walk()).await
        }
    }
}

async fn look_at<N: Node, W: Walk + Default + Send>(
    node: &N,
    command: &Command,
    walk: W,
) -> Answer<W> {
    let mut reader = Reader::new(walk);
    let ended = node
        .feed(command, &mut |piece: &[u8]| {
            if reader.take(piece) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .await;
    reader.finish(match ended {
        Ok(ended) => failed_script(&ended),
        Err(error) => Some(error.into()),
    })
}

fn failed_script(ended: &super::Ended) -> Option<Why> {
    let said = crate::text::one_line(&ended.stderr, 200);
    (ended.exit != super::Exit::Code(0))
        .then(|| Why::new(WhyKind::NotUnderstood, format!("the survey's script broke off: {said}")))
}

fn facts(answer: Answer<Tree>, live: Fact<bool>) -> Facts {
    let process = match answer.process {
        // A node may hide other accounts' processes; one that answers is there all the same.
        Fact::Known(None) if live.known().is_some() => {
            Fact::unknown(WhyKind::NotPermitted, "the node hides the Cassandra process")
        }
        process @ (Fact::Known(_) | Fact::Unknown(_)) => process,
    };
    let version = version_of(&process);
    let live = match (&live, &process) {
        (Fact::Unknown(why), Fact::Known(process)) if why.kind == WhyKind::CassandraDown => {
            Fact::unknown(why.kind, down_text(process.as_ref(), why))
        }
        _ => live,
    };
    let (backups, snapshots, left_overs) = match (&answer.tree, &answer.now) {
        (Fact::Known(tree), Fact::Known(now)) => (
            Fact::Known(holdings::backups(tree, *now)),
            Fact::Known(holdings::snapshots(tree)),
            Fact::Known(holdings::left_overs(tree)),
        ),
        (Fact::Unknown(why), _) | (_, Fact::Unknown(why)) => {
            (Fact::Unknown(why.clone()), Fact::Unknown(why.clone()), Fact::Unknown(why.clone()))
        }
    };
    let data_dirs = match &answer.tree {
        Fact::Known(_) => Fact::Known(answer.data_dirs),
        Fact::Unknown(why) => Fact::Unknown(why.clone()),
    };
    Facts {
        live,
        config: answer.config,
        version,
        process,
        listening: answer.listening,
        mode: None,
        data_dirs,
        backups,
        snapshots,
        left_overs,
        disks: answer.disks,
        now: answer.now,
    }
}

/// The version that the process shows.
pub(super) fn version_of(process: &Fact<Option<Process>>) -> Fact<String> {
    match process {
        Fact::Known(Some(process)) => process.version.clone().map_or_else(
            || Fact::unknown(WhyKind::NotAsked, "the process does not show its version"),
            Fact::Known,
        ),
        Fact::Known(None) => Fact::unknown(WhyKind::CassandraDown, "Cassandra is not running"),
        Fact::Unknown(why) => Fact::Unknown(why.clone()),
    }
}

fn down_text(process: Option<&Process>, why: &Why) -> String {
    match process {
        None => "Cassandra is not running".to_owned(),
        Some(process) => {
            format!(
                "Cassandra runs (pid {}) and its JMX does not answer: {}",
                process.pid, why.text
            )
        }
    }
}

impl From<NodeError> for Why {
    fn from(error: NodeError) -> Self {
        let kind = match &error {
            NodeError::Unreachable { .. } => WhyKind::Unreachable,
            NodeError::Refused { .. } => WhyKind::Refused,
            NodeError::HostKey { .. } => WhyKind::HostKey,
            NodeError::Auth { .. } => WhyKind::Auth,
            NodeError::TimedOut { .. } => WhyKind::TimedOut,
            NodeError::Lost { .. } => WhyKind::Lost,
            NodeError::NoCommand { .. } | NodeError::Rights { .. } => WhyKind::NotPermitted,
            NodeError::TooMuch { .. } => WhyKind::TooMuch,
            NodeError::Local(_) => WhyKind::Local,
        };
        let why = Self::new(kind, error.to_string());
        match &error {
            NodeError::HostKey { fix, .. } | NodeError::Rights { fix, .. } => why.with_fix(fix),
            NodeError::Unreachable { .. }
            | NodeError::Refused { .. }
            | NodeError::Auth { .. }
            | NodeError::TimedOut { .. }
            | NodeError::Lost { .. }
            | NodeError::NoCommand { .. }
            | NodeError::TooMuch { .. }
            | NodeError::Local(_) => why,
        }
    }
}
