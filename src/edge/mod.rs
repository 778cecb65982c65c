//! The edge: reads files and options, shows progress, writes results. Nothing is decided here.

pub mod askpass;
mod audit;
mod change;
mod depot;
mod forecast;
mod load;
mod moving;
mod nodes;
mod output;
mod prepare;
mod progress;
mod question;
mod run_progress;
mod runs;
mod secrets;
mod session;
mod signals;
mod ssh_check;
mod store;
mod sudoers;
mod targets;
mod terminal;

use std::io::Write as _;

use clap::CommandFactory as _;

use change::Ordered;

use crate::cli::{Cli, Verb};
use crate::exit::Exit;
use crate::report::nagios;

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
    let terminal = terminal::Kept::of_stdin();
    let is_nagios = matches!(&cli.verb, Verb::Audit(audit) if audit.is_for_nagios());
    let exit = run_verb(cli, is_nagios).await;
    terminal.restore();
    exit
}

async fn run_verb(cli: Cli, is_nagios: bool) -> Exit {
    let work = async {
        match cli.verb {
            Verb::Nodes(options) => nodes::run(options).await,
            Verb::Audit(options) => audit::run(options).await,
            Verb::Enable(options) => change::run(Ordered::setting(options, true)).await,
            Verb::Disable(options) => change::run(Ordered::setting(options, false)).await,
            Verb::Verify(options) => change::run(Ordered::verify(options)).await,
            Verb::Ship(options) => change::run(Ordered::ship(options)).await,
            Verb::Clean(options) => change::run(Ordered::clean(options)).await,
            Verb::Runs(options) => runs::run(&options),
            Verb::Resume(options) => runs::resume(options).await,
            Verb::SshCheck(options) => ssh_check::run(options).await,
            Verb::Store(options) => store::run(options).await,
            Verb::Sudoers(options) => sudoers::run(options).await,
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
            if is_nagios {
                // Nagios shows standard output alone. Gone, there is nobody left to tell.
                let _ = output::to_stdout(nagios::fault(&fault.text, fault.exit).as_bytes());
            }
            // With standard error gone there is nobody left to tell.
            let _ = std::io::stderr().write_all(message.as_bytes());
            fault.exit
        }
    }
}
