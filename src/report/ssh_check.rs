//! The way to a node as lines, as they come, and as JSON.

use std::time::Duration;

use console::style;
use serde::Serialize;

use crate::cassandra::fact::Why;
use crate::node::ssh::{Explained, Step};
use crate::text::visible;

/// Columns that values take at most before where they come from stands further right.
const WIDEST: usize = 48;

/// The version of the JSON.
const SCHEMA: u32 = 1;

/// A node whose way was gone.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Its name.
    pub node: String,
    /// Whether a command ran there.
    pub reached: bool,
    /// How it is reached: the jump hosts before it, first hop first, and then itself. Empty when
    /// that cannot be told, as the first step says, or is left to the ssh program.
    pub way: Vec<Explained>,
    /// The steps, in their order.
    pub steps: Vec<Told>,
}

/// One step, for machines.
#[derive(Debug, Clone, Serialize)]
pub struct Told {
    step: &'static str,
    host: String,
    milliseconds: u128,
    ok: bool,
    text: String,
    fix: Option<String>,
}

impl Checked {
    /// Returns a node of which nothing is known yet.
    pub fn new(node: &str) -> Self {
        Self { node: node.to_owned(), reached: false, way: Vec::new(), steps: Vec::new() }
    }
}

impl From<Step> for Told {
    fn from(step: Step) -> Self {
        let (ok, text, fix) = match step.outcome {
            Ok(text) => (true, text, None),
            Err(why) => (false, why.text.clone(), Some(why.hint())),
        };
        let milliseconds = step.took.as_millis();
        Self { step: step.what, host: step.host, milliseconds, ok, text, fix }
    }
}

/// The line before the steps of a node.
pub fn title(node: &str, color: bool) -> String {
    format!("{}\n", style(visible(node)).bold().force_styling(color))
}

/// The settings of one host, a line each, with where it comes from.
pub fn settings(host: &Explained, color: bool) -> String {
    let wide = host.settings.iter().map(|setting| setting.value.chars().count()).max();
    let wide = wide.unwrap_or_default().min(WIDEST);
    let mut text = format!("  {}\n", style(visible(&host.host)).underlined().force_styling(color));
    for setting in &host.settings {
        let origin = style(visible(&setting.origin)).dim().force_styling(color);
        let value = visible(&setting.value);
        text.push_str(&format!("    {:<26} {value:<wide$}  {origin}\n", setting.directive));
    }
    for notice in &host.notices {
        text.push_str(&format!("    note: {}\n", visible(notice)));
    }
    text
}

/// One step as a line, and a second one with what to do when it failed.
pub fn step(step: &Step, color: bool) -> String {
    let line = |mark: &str, text: &str| {
        let took = took(step.took);
        format!("  {mark} {:<10} {:<22} {text}{took}\n", step.what, visible(&step.host))
    };
    match &step.outcome {
        Ok(text) => line(&style("ok    ").green().force_styling(color).to_string(), text),
        Err(why) => {
            let mark = style("FAILED").red().bold().force_styling(color).to_string();
            format!("{}{}", line(&mark, &why.text), fix(why))
        }
    }
}

fn fix(why: &Why) -> String {
    format!("         to do: {}\n", why.hint())
}

/// Steps that took no time to speak of say nothing about it.
fn took(took: Duration) -> String {
    if took < Duration::from_millis(100) {
        return String::new();
    }
    format!(" ({:.1} s)", took.as_secs_f64())
}

/// All nodes as JSON.
///
/// # Errors
/// When it cannot be rendered.
pub fn json(nodes: &[Checked]) -> Result<String, serde_json::Error> {
    let value = serde_json::json!({ "schema": SCHEMA, "nodes": nodes });
    serde_json::to_string_pretty(&value).map(|text| text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cassandra::fact::WhyKind;

    #[test]
    fn a_step_that_failed_is_followed_by_what_to_do() {
        let of = |outcome| Step {
            what: "login",
            host: "n1:22".into(),
            took: Duration::from_millis(1500),
            outcome,
        };
        let text = step(&of(Ok("as ops".into())), false);
        assert_eq!(text, "  ok     login      n1:22                  as ops (1.5 s)\n");
        let why = Why::new(WhyKind::Auth, "ops was not let in").with_fix("ssh-add");
        let text = step(&of(Err(why)), false);
        assert!(text.contains("FAILED login") && text.ends_with("to do: ssh-add\n"), "{text}");
    }
}
