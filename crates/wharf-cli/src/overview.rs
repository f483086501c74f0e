//! The help of the tool itself: its commands by purpose.

use clap::error::{Error, ErrorKind};
use clap::{Command, CommandFactory};

use crate::cli::CommandLine;

/// The commands by purpose. One that is in no group is listed last, without a purpose.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Move images", &["push", "pull", "copy"]),
    (
        "Read",
        &[
            "digest", "manifest", "config", "blob", "ls", "catalog", "inspect", "tree", "validate",
        ],
    ),
    ("Read files of images", &["export", "files", "cat"]),
    (
        "Edit and delete",
        &[
            "tag", "append", "mutate", "flatten", "rebase", "index", "delete",
        ],
    ),
    ("Registries", &["auth", "registry"]),
    ("The tool itself", &["completion", "version", "help"]),
];

/// What the built-in command does.
const HELP: &str = "Print the help of a command; also: help options, help exit-codes";

/// The error as it is, or the help of the tool itself with the commands by purpose.
pub(crate) fn grouped(error: Error) -> Error {
    let text = error.to_string();
    let about = CommandLine::command().get_about().map(ToString::to_string);
    // Pages of commands begin with what those do.
    if !about.is_some_and(|about| text.starts_with(&about)) {
        return error;
    }
    let line: &[&str] = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => &["wharf"],
        // Only the long page has a paragraph for each option.
        ErrorKind::DisplayHelp if text.contains("see a summary with '-h'") => &["wharf", "--help"],
        ErrorKind::DisplayHelp => &["wharf", "-h"],
        _ => return error,
    };
    page().try_get_matches_from(line).err().unwrap_or(error)
}

/// A command without subcommands that has this help.
fn page() -> Command {
    let whole = CommandLine::command();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{{all-args}}{{after-help}}",
        listing(&whole)
    );
    Command::new("wharf")
        .about(whole.get_about().cloned().unwrap_or_default())
        .version(env!("CARGO_PKG_VERSION"))
        .max_term_width(100)
        .arg_required_else_help(true)
        .override_usage("wharf [OPTIONS] <COMMAND>")
        .args(whole.get_arguments().cloned())
        .help_template(template)
}

/// The commands below headings.
fn listing(whole: &Command) -> String {
    let shown = whole.get_subcommands().filter(|one| !one.is_hide_set());
    let mut left: Vec<(String, String)> = shown.map(row).collect();
    left.push(("help".to_owned(), HELP.to_owned()));
    let width = left.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let heading = whole.get_styles().get_header();
    let mut text = String::new();
    let mut section = |title: &str, rows: &[(String, String)]| {
        text.push_str(&format!("{heading}{title}:{heading:#}\n"));
        for (name, about) in rows {
            text.push_str(&format!("  {name:<width$}  {about}\n"));
        }
        text.push('\n');
    };
    for (title, names) in GROUPS {
        let rows: Vec<_> = names
            .iter()
            .filter_map(|name| {
                let at = left.iter().position(|(known, _)| known == name)?;
                Some(left.remove(at))
            })
            .collect();
        if !rows.is_empty() {
            section(title, &rows);
        }
    }
    if !left.is_empty() {
        section("Other", &left);
    }
    text
}

fn row(command: &Command) -> (String, String) {
    let about = command.get_about().map(ToString::to_string);
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    let about = match aliases.as_slice() {
        [] => about.unwrap_or_default(),
        aliases => format!(
            "{} [alias: {}]",
            about.unwrap_or_default(),
            aliases.join(", ")
        ),
    };
    (command.get_name().to_owned(), about)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls `check` with each command, and its words.
    fn walk(command: &Command, words: &str, check: &mut impl FnMut(&Command, &str)) {
        check(command, words);
        for one in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            walk(one, &format!("{words} {}", one.get_name()), check);
        }
    }

    #[test]
    fn every_command_has_a_purpose() {
        let whole = CommandLine::command();
        for one in whole.get_subcommands().filter(|one| !one.is_hide_set()) {
            let groups = GROUPS
                .iter()
                .filter(|(_, names)| names.contains(&one.get_name()));
            assert_eq!(groups.count(), 1, "{}", one.get_name());
        }
        assert!(!listing(&whole).contains("Other:"));
    }

    #[test]
    fn every_command_has_an_example_that_can_be_typed() {
        walk(&CommandLine::command(), "wharf", &mut |command, words| {
            if command.has_subcommands() {
                return;
            }
            let after = command
                .get_after_long_help()
                .or_else(|| command.get_after_help());
            let after = after.map(ToString::to_string).unwrap_or_default();
            let examples = after.split_once("Example").map(|(_, rest)| rest);
            let examples = examples.unwrap_or_else(|| panic!("{words} has no example"));
            assert!(examples.contains(words), "{words}: {examples}");
        });
    }

    #[test]
    fn pages_of_commands_stay_as_they_are() {
        let of = |line: &[&str]| {
            use clap::Parser;
            let error = CommandLine::try_parse_from(line).unwrap_err();
            (error.to_string(), grouped(error).to_string())
        };
        let (before, after) = of(&["wharf", "copy", "--help"]);
        assert_eq!(before, after);
        for line in [&["wharf"][..], &["wharf", "-h"], &["wharf", "--help"]] {
            let (_, after) = of(line);
            assert!(after.contains("Move images:\n  push "), "{after}");
            assert!(after.contains("<COMMAND>"), "{after}");
        }
    }
}
