//! Errors of usage: one line, as every other error.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::arguments::Unreadable;
use crate::printer::{Printer, ProgressChoice, Screen, Voice};
use crate::{hints, output};

/// Prints help or version if requested, otherwise the error. Scripts expect only 0 and 1 as exit
/// codes of such tools, so clap's 2 becomes 1.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    let choice = match wants_json(env::args_os()) {
        true => ProgressChoice::Json,
        false => ProgressChoice::Plain,
    };
    let printer = Printer::new(choice, Screen::Lines);
    let failed = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let printed = error.print().and_then(|()| io::stdout().flush());
            match output::judge(printed) {
                Ok(()) => return ExitCode::SUCCESS,
                Err(error) => hints::line(&error),
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            if printer.voice() != Voice::Json {
                // The page of help, on standard error; a line that cannot be written is dropped.
                let _ = error.print();
                return ExitCode::FAILURE;
            }
            "a command is missing; wharf --help lists the commands".to_owned()
        }
        _ => line(error),
    };
    printer.begin();
    printer.failed(&failed);
    ExitCode::FAILURE
}

/// Whether `arguments`, which could not be parsed, select JSON lines.
fn wants_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let mut is_value = false;
    // Everything after `--` is an operand.
    arguments
        .take_while(|argument| argument != "--")
        .any(|argument| {
            let json = is_value && argument == "json" || argument == "--progress=json";
            is_value = argument == "--progress";
            json
        })
}

/// The error in one line. Some errors name their argument themselves.
fn line(error: &clap::Error) -> String {
    match error.source().and_then(|source| source.downcast_ref()) {
        Some(Unreadable(error)) => hints::line(error),
        None => one_line(&error.to_string()),
    }
}

/// Clap's paragraphs up to its advice to read the help, joined.
fn one_line(text: &str) -> String {
    let paragraphs: Vec<String> = text
        .trim_start_matches("error: ")
        .split("\n\n")
        .filter(|paragraph| !paragraph.starts_with("For more information"))
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .map(|paragraph| paragraph.replacen("Usage:", "usage:", 1))
        .collect();
    paragraphs.join("; ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::CommandLine;

    fn message(arguments: &[&str]) -> String {
        line(&CommandLine::try_parse_from(arguments).unwrap_err())
    }

    #[test]
    fn programs_that_listen_are_told_of_usage_errors_too() {
        let wants = |line: &str| wants_json(line.split(' ').map(OsString::from));
        assert!(wants("wharf push --progress json a"));
        assert!(wants("wharf --progress=json push"));
        assert!(!wants("wharf push json --progress plain"));
        assert!(!wants("wharf push --progress"));
        assert!(!wants("wharf push -- --progress json"));
    }

    #[test]
    fn an_error_that_names_the_argument_stands_alone() {
        assert_eq!(
            message(&["wharf", "tag", "a@b", "1"]),
            "reference \"a@b\": digest \"b\": no algorithm (expected sha256:<hex>)"
        );
    }

    #[test]
    fn every_usage_error_is_one_line() {
        assert_eq!(
            message(&["wharf", "push"]),
            "the following required arguments were not provided: <PATH>; usage: wharf push <PATH> [REF]..."
        );
        assert!(message(&["wharf", "shove"]).starts_with("unrecognized subcommand 'shove'"));
        for line in [
            message(&["wharf", "push", "--insecur", "a"]),
            message(&["wharf", "push", "a", "--platform", "linux"]),
            message(&["wharf", "push", "a", "-j0"]),
            message(&["wharf", "push", "a", "-qv"]),
        ] {
            assert!(!line.contains('\n'), "{line}");
            assert!(!line.contains("For more"), "{line}");
        }
    }
}
