//! What a dry run tells, for people and machines.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{Attribute, Cell, CellAlignment};
use serde::Serialize;

use super::plain;
use crate::cassandra::fact::Why;
use crate::human;
use crate::plan::forecast::Forecast;
use crate::record::{Place, State};

/// The version of the JSON's layout.
const SCHEMA: u32 = 1;

/// A dry run.
pub struct Report {
    /// The verb.
    pub verb: &'static str,
    /// Whether sets are moved, and the settings of the nodes were not looked at.
    pub is_haul: bool,
    /// The operator's name of the cluster.
    pub cluster: String,
    /// The nodes, in the order of their turns.
    pub lines: Vec<Line>,
    /// Selected members that no inventory names.
    pub unlisted: Vec<Place>,
}

/// One node of a dry run.
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its place.
    pub place: Place,
    /// When its turn would come, from the beginning; `None` when it would not.
    pub start: Option<Duration>,
    /// Whether it is a canary.
    pub is_canary: bool,
    /// What was seen; `None` when the ring shows it down.
    pub look: Option<Result<Forecast, Why>>,
}

impl Line {
    /// Whether its turn could come and do its work.
    pub fn is_fine(&self) -> bool {
        matches!(&self.look, Some(Ok(forecast)) if !forecast.is_refused)
    }

    fn plan(&self) -> String {
        match &self.look {
            None => "not started: the ring shows it down".to_owned(),
            Some(Err(why)) => format!("would fail: {why}"),
            Some(Ok(forecast)) => match (&forecast.reason, forecast.is_refused) {
                (Some(why), true) => format!("would be refused: {why}"),
                (Some(why), false) => format!("nothing to do: {why}"),
                (None, _) => {
                    let steps: Vec<&str> =
                        forecast.steps.iter().map(|step| step.text.as_str()).collect();
                    steps.join("; ")
                }
            },
        }
    }
}

/// Returns the report as text.
pub fn table(report: &Report, width: Option<u16>) -> String {
    let mut table = plain::table(width, false);
    let mut titles = vec!["START", "NODE", "LIVE", "FILE", "WHAT WOULD BE DONE"];
    if report.is_haul {
        titles.drain(2..4);
    }
    table.set_header(titles.iter().map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
    for line in &report.lines {
        let state = match &line.look {
            Some(Ok(forecast)) => forecast.before,
            Some(Err(_)) | None => State::default(),
        };
        let on_off = |value: Option<bool>| value.map_or("?", human::on_off);
        let start = line.start.map(|start| format!("+{}", human::duration(start)));
        let name =
            if line.is_canary { format!("{} (canary)", line.name) } else { line.name.clone() };
        let start = start.unwrap_or_else(|| "-".to_owned());
        let mut cells = vec![Cell::new(start).set_alignment(CellAlignment::Right), Cell::new(name)];
        if !report.is_haul {
            cells.extend([state.live, state.configured].map(|value| Cell::new(on_off(value))));
        }
        cells.push(Cell::new(line.plan()));
        table.add_row(cells);
    }
    for member in &report.unlisted {
        let mut words = vec!["-", &member.address, "?", "?", "not started: not in the inventory"];
        if report.is_haul {
            words.drain(2..4);
        }
        table.add_row(words);
    }
    let mut text = plain::text(table);
    for line in &report.lines {
        text.push_str(&details(line));
    }
    let _ = write!(
        text,
        "\ndry run of {} on {}, {}: nothing was changed.\nA forecast by what is seen now: each \
         node is looked at again when its turn comes.\n",
        report.verb,
        report.cluster,
        human::count(report.lines.len() as u64, "node")
    );
    text
}

fn details(line: &Line) -> String {
    let Some(Ok(forecast)) = &line.look else { return String::new() };
    let mut text = String::new();
    if !forecast.steps.is_empty() || !forecast.warnings.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{}", line.name);
    }
    for warning in &forecast.warnings {
        let _ = writeln!(text, "  warning: {warning}");
    }
    for step in &forecast.steps {
        let _ = writeln!(text, "  {}\n    $ {}", step.text, step.command);
    }
    text
}

/// Returns the report as JSON, ended by a line end.
///
/// # Errors
/// None in practice: every value has a JSON form.
pub fn json(report: &Report) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Document<'a> {
        schema: u32,
        dry_run: bool,
        verb: &'a str,
        cluster: &'a str,
        nodes: Vec<Node<'a>>,
        unlisted: &'a [Place],
    }
    #[derive(Serialize)]
    struct Node<'a> {
        name: &'a str,
        address: &'a str,
        dc: Option<&'a str>,
        rack: Option<&'a str>,
        canary: bool,
        starts_after_seconds: Option<f64>,
        before: State,
        plan: String,
        fine: bool,
        steps: Vec<Step<'a>>,
        warnings: &'a [String],
    }
    #[derive(Serialize)]
    struct Step<'a> {
        text: &'a str,
        command: &'a str,
    }
    let nodes = report
        .lines
        .iter()
        .map(|line| {
            let forecast = line.look.as_ref().and_then(|look| look.as_ref().ok());
            let steps = forecast.map(|forecast| forecast.steps.as_slice()).unwrap_or_default();
            Node {
                name: &line.name,
                address: &line.place.address,
                dc: line.place.dc.as_deref(),
                rack: line.place.rack.as_deref(),
                canary: line.is_canary,
                starts_after_seconds: line.start.map(|start| start.as_secs_f64()),
                before: forecast.map(|forecast| forecast.before).unwrap_or_default(),
                plan: line.plan(),
                fine: line.is_fine(),
                steps: steps
                    .iter()
                    .map(|step| Step { text: &step.text, command: &step.command })
                    .collect(),
                warnings: forecast.map(|f| f.warnings.as_slice()).unwrap_or_default(),
            }
        })
        .collect();
    let document = Document {
        schema: SCHEMA,
        dry_run: true,
        verb: report.verb,
        cluster: &report.cluster,
        nodes,
        unlisted: &report.unlisted,
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
