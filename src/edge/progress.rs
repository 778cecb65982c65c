//! Progress on standard error: a line that moves on a terminal, plain lines elsewhere.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc::UnboundedReceiver;

use super::moving;
use crate::event::Event;

/// Without a terminal, a run of more nodes than this prints each tenth of the way in place of
/// each node: a log of a thousand lines is read by nobody.
const MOST_LINES: usize = 50;

/// Shows events until the run is over. `is_quiet` shows none.
pub(super) async fn show(mut events: UnboundedReceiver<Event>, is_quiet: bool) {
    if is_quiet {
        while events.recv().await.is_some() {}
    } else if std::io::stderr().is_terminal() {
        on_terminal(events).await;
    } else {
        as_lines(events).await;
    }
}

async fn on_terminal(mut events: UnboundedReceiver<Event>) {
    let bar = moving::begin().add(ProgressBar::new(0));
    let style = ProgressStyle::with_template("{spinner} {pos}/{len} {elapsed} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(100));
    let mut asked = BTreeSet::new();
    while let Some(event) = events.recv().await {
        match event {
            Event::Begun { nodes } => bar.set_length(nodes as u64),
            Event::Started { node } => {
                asked.insert(node);
            }
            Event::Finished { node, reason, .. } => {
                asked.remove(&node);
                bar.inc(1);
                if let Some(reason) = reason {
                    moving::say(&format!("{node}: {reason}"));
                }
            }
            Event::Ring { members: Err(why) } => moving::say(&format!("the ring: {why}")),
            Event::Ring { members: Ok(_) } => {}
        }
        let first: Vec<&str> = asked.iter().take(8).map(String::as_str).collect();
        let more = if asked.len() > first.len() { " …" } else { "" };
        bar.set_message(format!("asking {}{more}", first.join(" ")));
    }
    bar.finish_and_clear();
    moving::away();
}

async fn as_lines(mut events: UnboundedReceiver<Event>) {
    let mut all = 0;
    let mut done = 0;
    while let Some(event) = events.recv().await {
        match event {
            Event::Begun { nodes } => {
                all = nodes;
                line(&format!("asking {}", crate::human::count(nodes as u64, "node")));
            }
            Event::Started { .. } | Event::Ring { members: Ok(_) } => {}
            Event::Finished { node, verdict, reason } => {
                done += 1;
                match reason {
                    Some(reason) => line(&format!("[{done}/{all}] {node}: unknown: {reason}")),
                    None if all <= MOST_LINES => {
                        line(&format!("[{done}/{all}] {node}: {}", verdict.name()));
                    }
                    None if done * 10 / all != (done - 1) * 10 / all => {
                        line(&format!("[{done}/{all}]"));
                    }
                    None => {}
                }
            }
            Event::Ring { members: Err(why) } => line(&format!("the ring is unknown: {why}")),
        }
    }
}

fn line(text: &str) {
    // Progress that nobody can see any more is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{text}");
}
