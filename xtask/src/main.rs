//! Tasks of the project: `cargo xtask test | format | check | ci | bench | fuzz`.

mod bench;
mod check;
mod format;
mod fuzz;
mod peers;
mod run;
mod test;

use std::env;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK

  test [ARGS]  install missing peers where possible, then run every test;
               ARGS go to `cargo test`: a filter, or -- --nocapture
  format       every file, also those that `cargo fmt` does not find
  check        format, lints and documentation, nothing is changed
  ci           check, then test
  bench        wharf beside skopeo, into docker-registry: medians and ratios
  fuzz SECONDS [TARGET]...
               every fuzz target, or those named, each for so long (with cargo-fuzz)";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("", arguments.as_slice()),
    };
    let done = match (task, rest) {
        ("test", arguments) => test::run_all(arguments),
        ("format", []) => format::apply(),
        ("check", []) => check::run_all(),
        ("bench", []) => bench::run_all(),
        ("fuzz", [seconds, targets @ ..]) => fuzz::run_all(seconds, targets),
        ("ci", []) => check::run_all().and_then(|()| test::run_all(&[])),
        ("help" | "--help" | "-h", []) => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("no task `{}`\n{USAGE}", arguments.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
