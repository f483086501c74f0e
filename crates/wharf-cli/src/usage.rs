//! Words about arguments that make no sense: one line, as every other error.

use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::printer::Printer;

/// Prints help or version where that was asked for, otherwise the error. Scripts know only 0 and
/// 1 as exit codes of such tools, so clap's 2 becomes 1.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Nobody is left to tell when standard output is closed.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::FAILURE
        }
        _ => {
            Printer::complain(&one_line(&error.to_string()));
            ExitCode::FAILURE
        }
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
    use crate::args::Args;

    fn message(arguments: &[&str]) -> String {
        one_line(&Args::try_parse_from(arguments).unwrap_err().to_string())
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
