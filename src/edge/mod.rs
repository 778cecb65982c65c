//! The edge: reads files and options, shows progress, writes results. Nothing is decided here.

mod audit;
mod load;
mod nodes;
mod output;
mod progress;
mod signals;

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::cli::{Cli, Verb};
use crate::exit::Exit;

/// A fault that ends the program: what, what to do, and with which exit.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    text: String,
    hint: Option<String>,
    exit: Exit,
}

impl Fault {
    fn usage(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None, exit: Exit::Usage }
    }

    fn failed(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None, exit: Exit::Failed }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Runs one verb to its end and returns how the program is to end.
pub async fn run(cli: Cli) -> Exit {
    let work = async {
        match cli.verb {
            Verb::Nodes(options) => nodes::run(options).await,
            Verb::Audit(options) => audit::run(options).await,
            Verb::Completions { shell } => {
                let mut text = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "ringhaul", &mut text);
                output::to_stdout(&text)?;
                Ok(Exit::Fine)
            }
        }
    };
    match work.await {
        Ok(exit) => exit,
        Err(fault) => {
            let mut message = format!("error: {}\n", fault.text);
            if let Some(hint) = &fault.hint {
                message.push_str(&format!("hint: {hint}\n"));
            }
            // With standard error gone there is nobody left to tell.
            let _ = std::io::stderr().write_all(message.as_bytes());
            fault.exit
        }
    }
}
