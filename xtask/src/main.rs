//! Tasks of the project:
//! `cargo xtask test | format | check | words | circles | ci | bench | dist | fuzz`.

mod bench;
mod check;
mod circles;
mod citations;
mod dist;
mod format;
mod fuzz;
mod peers;
mod prose;
mod run;
mod test;
mod tree;
mod words;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use run::root;
use tree::Tree;

const USAGE: &str = "\
usage: cargo xtask TASK

  test [ARGS]  install missing peers where possible, then run every test;
               ARGS go to `cargo test`: a filter, or -- --nocapture
  format       every file, also those that `cargo fmt` does not find
  check        format, words, citations, circles, lints and documentation;
               nothing is changed
  words [--update]
               banned words in comments, literals and Markdown; --update lowers
               the numbers in xtask/words.txt
  circles [--update]
               files that need each other; --update removes what is gone from
               xtask/circles.txt
  ci           check, then test
  bench        wharf beside skopeo, into docker-registry: medians and ratios
  dist [PROFILE]
               the binary, pages of the manual and completions, in target/dist
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
        ("words", []) => printed(words::show),
        ("words", [flag]) if flag == "--update" => changed(words::lower),
        ("circles", []) => printed(circles::show),
        ("circles", [flag]) if flag == "--update" => changed(circles::lower),
        ("bench", []) => bench::run_all(),
        ("dist", []) => dist::make("release"),
        ("dist", [profile]) => dist::make(profile),
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

fn printed(show: fn(&Tree) -> Result<String, String>) -> Result<(), String> {
    let text = show(&Tree::of(root())?)?;
    // A reader that has seen enough, such as `head`, closes the pipe.
    let _ = writeln!(io::stdout(), "{text}");
    Ok(())
}

fn changed(change: fn(&Tree) -> Result<(), String>) -> Result<(), String> {
    change(&Tree::of(root())?)
}
