//! Which tables keep out of incremental backups: from snapshots' schemas, or asked of Cassandra.

use std::time::Duration;

use super::catalog;
use super::segments::{self, Segment};
use super::survey::Limits;
use super::{Exit, Node, Output};
use crate::cassandra::fact::{Fact, Why, WhyKind};
use crate::cassandra::schema::{self, Coverage};
use crate::cassandra::snapshot_schema::Schemas;
use crate::inventory::NodeSpec;

/// cqlsh starts a Python and connects: seconds on a busy node.
const CQLSH_LIMIT: Duration = Duration::from_secs(60);

/// How it is to be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// From the schemas that lie in snapshots: as old as these are, and with gaps.
    Snapshots,
    /// By `cqlsh` on the node.
    Cqlsh,
}

/// Returns the tables that keep out of incremental backups. `version` is Cassandra's, when known:
/// before 5.0 no table can.
pub async fn uncovered<N: Node>(
    node: &N,
    spec: &NodeSpec,
    data_dirs: &[String],
    version: Option<&str>,
    from: From,
    limits: Limits,
) -> Fact<Coverage> {
    if version.is_some_and(has_no_such_option) {
        return Fact::Known(Coverage::default());
    }
    let answer = match from {
        From::Snapshots => from_snapshots(node, spec, data_dirs, limits).await,
        From::Cqlsh => from_cqlsh(node).await,
    };
    match answer {
        Ok(coverage) => Fact::Known(coverage),
        Err(why) => Fact::Unknown(why),
    }
}

fn has_no_such_option(version: &str) -> bool {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major < 5)
}

async fn from_snapshots<N: Node>(
    node: &N,
    spec: &NodeSpec,
    data_dirs: &[String],
    limits: Limits,
) -> Result<Coverage, Why> {
    let mut schemas = Schemas::new(data_dirs);
    let command = catalog::schemas(spec, data_dirs, limits.files);
    segments::read(node, &command, &mut |segment| match segment {
        Segment::Word("d", value) => schemas.take_folder(value),
        Segment::Word("s", value) => schemas.take_schema(value),
        Segment::Word("walk", _) => {
            schemas.restart();
            Ok(())
        }
        Segment::Files(text) => {
            schemas.take_texts(text);
            Ok(())
        }
        Segment::Word(word, value) => Err(segments::not_understood(word, value)),
    })
    .await?;
    Ok(schemas.finish())
}

async fn from_cqlsh<N: Node>(node: &N) -> Result<Coverage, Why> {
    let output = node.run(&catalog::cqlsh_tables(CQLSH_LIMIT)).await?;
    if output.ended.exit != Exit::Code(0) {
        return refused(&output);
    }
    match schema::parse_cqlsh(&String::from_utf8_lossy(&output.stdout)) {
        Ok(off) => Ok(Coverage { off, unseen: 0 }),
        Err(line) => {
            let text = format!("cqlsh printed what ringhaul does not understand: {line}");
            Err(Why::new(WhyKind::NotUnderstood, text))
        }
    }
}

/// What it means that cqlsh did not end well; one of its errors is an answer.
fn refused(output: &Output) -> Result<Coverage, Why> {
    let said = crate::text::one_line(&output.ended.stderr, 300);
    let has = |part: &str| said.contains(part);
    let why = |kind, text: &str| Err(Why::new(kind, text));
    match &output.ended.exit {
        Exit::Code(124 | 137) => why(WhyKind::TimedOut, "cqlsh got no answer in time"),
        Exit::Code(127) => Err(Why::new(WhyKind::CommandNotFound, "there is no cqlsh on the node")
            .with_fix("leave out --cqlsh: snapshots' schemas are then looked at")),
        // Before 5.0 there is no such column: every table is covered.
        Exit::Code(_) if has("ndefined column name incremental_backups") => Ok(Coverage::default()),
        Exit::Code(_) if has("AuthenticationFailed") || has("requires authentication") => {
            Err(Why::new(WhyKind::NotPermitted, format!("cqlsh was not let in: {said}"))
                .with_fix("give the account a ~/.cassandra/cqlshrc with user and password"))
        }
        Exit::Code(_) if has("Unable to connect") || has("onnection refused") => {
            Err(Why::new(WhyKind::CassandraDown, format!("cqlsh cannot connect: {said}"))
                .with_fix("name the address in ~/.cassandra/cqlshrc of the account"))
        }
        Exit::Code(_) | Exit::Signal(_) => {
            Err(Why::new(WhyKind::NotUnderstood, format!("cqlsh failed: {said}")))
        }
    }
}
