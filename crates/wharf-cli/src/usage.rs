//! Errors of usage: one line, as every other error.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::arguments::Unreadable;
use crate::exit_code::Exit;
use crate::printer::{Printer, ProgressChoice, Screen, Voice};
use crate::{hints, output};

/// Prints help or version if requested, otherwise the error.
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
                Err(error) => {
                    printer.begin();
                    printer.failed(&hints::line(&error));
                    return Exit::of(&error).code();
                }
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            if printer.voice() != Voice::Json {
                // The page of help, on standard error; a line that cannot be written is dropped.
                let _ = error.print();
                return match asks_for_help(error) {
                    true => ExitCode::SUCCESS,
                    false => Exit::Usage.code(),
                };
            }
            "a command is missing; wharf --help lists the commands".to_owned()
        }
        _ => line(error),
    };
    printer.begin();
    printer.failed(&failed);
    Exit::Usage.code()
}

/// Whether a group of commands by itself is a question for help, as it is to other tools.
fn asks_for_help(error: &clap::Error) -> bool {
    let page = error.to_string();
    let usage = page.lines().find_map(|line| line.strip_prefix("Usage: "));
    let words = usage.into_iter().flat_map(str::split_whitespace);
    let named: Vec<&str> = words
        .take_while(|word| !word.starts_with(['[', '<']))
        .collect();
    matches!(named.as_slice(), ["wharf"] | ["wharf", "auth"])
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
    if let Some(Unreadable(error)) = error.source().and_then(|source| source.downcast_ref()) {
        return hints::line(error);
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let typed = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            let advice = command_meant(error, typed);
            format!("no such command: {typed}; {advice}")
        }
        ErrorKind::UnknownArgument => {
            let typed = text(ContextKind::InvalidArg).unwrap_or_default();
            let advice = flag_meant(error, typed);
            format!(
                "no such option or argument here: {typed}{advice}; {}",
                usage(error)
            )
        }
        _ => one_line(&error.to_string()),
    }
}

/// Commands of other tools, and what does the same here.
const COMMANDS: [(&str, &str); 9] = [
    ("save", "wharf pull IMAGE FILE"),
    ("load", "wharf push FILE"),
    ("login", "wharf auth login HOST"),
    ("logout", "wharf auth logout HOST"),
    ("serve", "wharf registry serve"),
    ("rm", "wharf delete IMAGE"),
    ("rmi", "wharf delete IMAGE"),
    ("untag", "wharf delete IMAGE"),
    ("attach", "wharf manifest put REPO FILE"),
];

/// Flags of other tools, and what does the same here.
const FLAGS: [(&str, &str); 8] = [
    ("--tls-verify", "--insecure"),
    ("--src-tls-verify", "--insecure"),
    ("--dest-tls-verify", "--insecure"),
    ("--plain-http", "--insecure"),
    ("--src-creds", "--creds HOST=USER:PASSWORD"),
    ("--dest-creds", "--creds HOST=USER:PASSWORD"),
    ("--username", "--creds HOST=USER:PASSWORD"),
    ("--password", "--creds HOST=USER:PASSWORD"),
];

/// The command that `typed` may mean, else where the commands are listed.
fn command_meant(error: &clap::Error, typed: &str) -> String {
    let suggested = suggested(error, ContextKind::SuggestedSubcommand, typed);
    let foreign = || COMMANDS.iter().find(|(name, _)| *name == typed);
    let group = usage(error);
    let group = group.trim_start_matches("usage: wharf").split(['[', '<']);
    let group = group.map(str::trim).next().unwrap_or_default();
    match (suggested, group.is_empty()) {
        (Some(near), true) => format!("did you mean wharf {near}?"),
        (Some(near), false) => format!("did you mean wharf {group} {near}?"),
        (None, true) => match foreign() {
            Some((_, ours)) => format!("did you mean {ours}?"),
            None => "wharf help lists the commands".to_owned(),
        },
        (None, false) => format!("wharf help {group} lists the commands"),
    }
}

/// The flag that `typed` may mean, if any.
fn flag_meant(error: &clap::Error, typed: &str) -> String {
    let name = typed.split('=').next().unwrap_or_default();
    let foreign = FLAGS.iter().find(|(flag, _)| *flag == name);
    let foreign = foreign.map(|(_, ours)| (*ours).to_owned());
    let meant = foreign.or_else(|| suggested(error, ContextKind::SuggestedArg, name));
    meant.map_or(String::new(), |meant| format!("; did you mean {meant}?"))
}

/// The nearest of clap's suggestions, unless it is too far from what was typed to be meant.
fn suggested(error: &clap::Error, kind: ContextKind, typed: &str) -> Option<String> {
    let all = match error.get(kind)? {
        ContextValue::String(one) => vec![one.clone()],
        ContextValue::Strings(all) => all.clone(),
        _ => return None,
    };
    let far = |near: &String| distance(typed, near);
    let near = all.into_iter().min_by_key(far)?;
    (far(&near) <= 2).then_some(near)
}

/// How many letters must be put in, left out, replaced or swapped with the next one.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, letter) in from.iter().enumerate() {
        let mut next = vec![at + 1];
        for (column, other) in to.iter().enumerate() {
            let of = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
            let replaced = of(&row, column) + usize::from(letter != other);
            let mut least = replaced.min(of(&row, column + 1) + 1);
            least = least.min(of(&next, column) + 1);
            let swapped = at > 0
                && column > 0
                && from.get(at - 1) == Some(other)
                && to.get(column - 1) == Some(letter);
            if swapped {
                least = least.min(of(&before, column - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

/// Clap's line about the usage of the command.
fn usage(error: &clap::Error) -> String {
    let text = one_line(&error.to_string());
    text.rsplit_once("usage: ")
        .map(|(_, usage)| format!("usage: {usage}"))
        .unwrap_or_default()
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
    fn fault_c17_a_tip_names_what_is_meant_or_where_to_look() {
        for (typed, expected) in [
            (
                "shove",
                "no such command: shove; wharf help lists the commands",
            ),
            (
                "images",
                "no such command: images; wharf help lists the commands",
            ),
            ("psuh a", "no such command: psuh; did you mean wharf push?"),
            ("pul a", "no such command: pul; did you mean wharf pull?"),
            (
                "save a",
                "no such command: save; did you mean wharf pull IMAGE FILE?",
            ),
            (
                "login ghcr.io",
                "no such command: login; did you mean wharf auth login HOST?",
            ),
            (
                "auth logn x",
                "no such command: logn; did you mean wharf auth login?",
            ),
            (
                "registry start",
                "no such command: start; wharf help registry lists the commands",
            ),
            (
                "push --insecur a",
                "no such option or argument here: --insecur; did you mean --insecure?; \
                 usage: wharf push --insecure <PATH> [REF]...",
            ),
            (
                "push --dest-tls-verify=false a",
                "no such option or argument here: --dest-tls-verify; did you mean --insecure?; \
                 usage: wharf push [OPTIONS] <PATH> [REF]...",
            ),
            (
                "push -t x a",
                "no such option or argument here: -t; \
                 usage: wharf push [OPTIONS] <PATH> [REF]...",
            ),
        ] {
            let words: Vec<&str> = ["wharf"].into_iter().chain(typed.split(' ')).collect();
            assert_eq!(message(&words), expected);
        }
    }

    #[test]
    fn fault_c17_words_are_as_far_apart_as_the_letters_to_change() {
        for (from, to, expected) in [
            ("push", "push", 0),
            ("psuh", "push", 1),
            ("pus", "push", 1),
            ("logn", "login", 1),
            ("logn", "logout", 3),
            ("", "ab", 2),
            ("images", "manifest", 5),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn every_usage_error_is_one_line() {
        assert_eq!(
            message(&["wharf", "push"]),
            "the following required arguments were not provided: <PATH>; usage: wharf push <PATH> [REF]..."
        );
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
