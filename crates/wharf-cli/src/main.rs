//! The command-line tool `wharf`: it calls the library, without logic of its own.
//!
//! [`cli`] has the command line, [`flags`] the meaning of flags of several commands; each command
//! is a file in [`commands`]. Errors are printed only here, once, in one line.

mod arguments;
mod behind;
mod board;
mod bool_flags;
mod cli;
mod command;
mod commands;
mod completion;
mod context;
mod copy_tags;
mod dry_run;
mod embed;
mod embedded;
mod env;
mod exit_code;
mod failures;
mod file_lines;
mod flags;
mod hints;
mod image_refs;
mod inspection;
mod json_line;
mod listing;
mod logging;
mod notices;
mod open_files;
mod output;
mod overview;
mod panics;
mod printer;
mod progress;
mod push_all;
mod shells;
mod signals;
mod standing;
mod stats;
mod transfer;
mod units;
mod usage;

use std::process::ExitCode;
use std::time::Duration;

use wharf::{Error, ErrorKind, Result};

use crate::cli::{CommandLine, Ended};
use crate::exit_code::Exit;
use crate::printer::Printer;

fn main() -> ExitCode {
    if let Some(answered) = completion::answered() {
        return answered;
    }
    let line = match CommandLine::typed(std::env::args_os().collect()) {
        Ok(line) => line,
        Err(error) => return usage::report(&overview::grouped(error)),
    };
    let printer = Printer::new(line.global.progress(), env::screen());
    panics::watch(&printer);
    printer.begin();
    logging::start(line.global.verbose, &printer);
    match run(line, printer.clone()) {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::Interrupted(signal)) => signal.exit_code(),
        Err(error) => {
            printer.failed(&hints::line(&error));
            Exit::of(&error).code()
        }
    }
}

fn run(line: CommandLine, printer: Printer) -> Result<Ended> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Work for these is short, and each of them keeps memory.
        .max_blocking_threads(64)
        .build()
        .map_err(|error| Error::new(ErrorKind::Io, "starting worker threads").source(error))?;
    let ended = runtime.block_on(line.run(printer));
    // A read of standard input cannot be interrupted: it must not keep the process alive.
    runtime.shutdown_timeout(Duration::from_millis(500));
    ended
}
