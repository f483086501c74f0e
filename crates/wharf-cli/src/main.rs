//! The command-line tool `wharf`: a face over the library, without logic of its own.
//!
//! What was typed is in [`args`], what it means in [`context`]; each command is a file of
//! [`commands`]. Errors are printed here and nowhere else, once, in one line.

mod args;
mod ceilings;
mod commands;
mod context;
mod dry_run;
mod embedded;
mod failures;
mod hints;
mod image_refs;
mod json_line;
mod leniencies;
mod listing;
mod logging;
mod logins;
mod pauses;
mod printer;
mod progress;
mod signals;
mod stats;
mod timing;
mod tls;
mod transfer;
mod units;
mod usage;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use wharf::{Error, ErrorKind, Result};

use crate::args::Args;
use crate::commands::Ended;
use crate::printer::Printer;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage::report(&error),
    };
    logging::start(args.global.verbose);
    let printer = Printer::new(args.global.progress(), context::screen());
    printer.begin();
    match run(args) {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::Interrupted(signal)) => {
            printer.failed("interrupted");
            signal.exit_code()
        }
        Err(error) => {
            let line = hints::line(&error);
            printer.failed(&line);
            Printer::complain(&line);
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<Ended> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(ErrorKind::Io, "starting worker threads").source(error))?;
    let ended = runtime.block_on(commands::run(args));
    // A read of standard input cannot be interrupted: it must not keep the process alive.
    runtime.shutdown_timeout(Duration::from_millis(500));
    ended
}
