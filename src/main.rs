//! ringhaul: parse, run, return the exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use ringhaul::cli::Cli;
use ringhaul::exit::Exit;

fn main() -> ExitCode {
    if let Some(exit) = ringhaul::edge::askpass::answer() {
        return exit.code().into();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that was asked for is a result; help instead of a verb is wrong usage.
            let is_asked_for =
                matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let exit = if is_asked_for { Exit::Fine } else { Exit::Usage };
            let _ = error.print();
            return exit.code().into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // With standard error gone there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "error: cannot start: {error}");
            return Exit::Failed.code().into();
        }
    };
    let exit = runtime.block_on(ringhaul::edge::run(cli));
    // After a second Ctrl-C nothing is waited for.
    runtime.shutdown_background();
    exit.code().into()
}
