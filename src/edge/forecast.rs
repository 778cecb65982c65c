//! `--dry-run`: when each node would start, what would be done there, and what not and why.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};

use super::change::Ordered;
use super::load::{self, Connector};
use super::prepare::Prepared;
use super::{Fault, output};
use crate::cassandra::fact::Why;
use crate::exit::Exit;
use crate::plan::forecast::Forecast;
use crate::report::forecast::{Line, Report, json, table};
use crate::run::forecast::forecast;
use crate::store::Store;

/// What a turn takes, for the forecast: what was seen on an idle node, a busy one takes longer.
const TURN: Duration = Duration::from_secs(8);

/// Looks at every node, and prints what a run would do.
pub(super) async fn run(
    connector: &Arc<Connector>,
    prepared: &Prepared,
    ordered: &Ordered,
    store: Option<&Store>,
) -> Result<Exit, Fault> {
    let ring = Some(&prepared.targets.ring);
    let limits = load::limits(&ordered.asking);
    if !ordered.showing.quiet {
        let nodes = crate::human::count(prepared.targets.entries.len() as u64, "node");
        load::say(&format!("looking at {nodes}"));
    }
    let looks = prepared.targets.entries.iter().map(|entry| async move {
        match entry.down {
            true => None,
            false => Some(forecast(&**connector, entry, limits, ring, &ordered.job, store).await),
        }
    });
    let looks: Vec<Option<Result<Forecast, Why>>> =
        stream::iter(looks).buffered(ordered.asking.in_flight).collect().await;
    let starts = prepared.schedule.forecast(TURN);
    let lines: Vec<Line> = prepared
        .targets
        .entries
        .iter()
        .zip(looks)
        .enumerate()
        .map(|(at, (entry, look))| Line {
            name: entry.name().to_owned(),
            place: entry.place.clone(),
            start: starts.iter().find(|(node, _)| *node == at).map(|(_, start)| *start),
            is_canary: prepared.canary.contains(&at),
            look,
        })
        .collect();
    let report = Report {
        verb: ordered.job.verb(),
        is_haul: ordered.job.is_haul(),
        cluster: crate::text::visible(&prepared.targets.cluster),
        lines,
        unlisted: prepared.targets.unlisted.clone(),
    };
    let text = if ordered.running.result.json || ordered.running.result.json_lines {
        json(&report).map_err(|error| Fault::failed(format!("cannot render: {error}")))?
    } else {
        let is_terminal = std::io::stdout().is_terminal();
        table(&report, is_terminal.then(|| console::Term::stdout().size().1))
    };
    output::to_stdout(text.as_bytes())?;
    Ok(match report.lines.iter().all(Line::is_fine) && report.unlisted.is_empty() {
        true => Exit::Fine,
        false => Exit::Unknown,
    })
}
