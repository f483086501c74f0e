//! Every flag and every command is in a snapshot; shared options are in one of their own.

use snapbox::{Data, assert_data_eq};

use crate::common::{commands, done};

fn help(command: &[String], flag: &str) -> String {
    let words = command.iter().map(String::as_str);
    printed(&words.chain([flag]).collect::<Vec<_>>())
}

/// What the binary prints.
fn printed(arguments: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    done(home.path(), arguments).stdout
}

fn check(found: String, name: &str) {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/help/{name}.txt"));
    assert_data_eq!(found, Data::read_from(&path, None).raw());
}

/// The flags of every command, as the page about them shows them.
fn shared() -> String {
    let page = printed(&["help", "options"]);
    let (_, flags) = page.split_once("\n\n").unwrap();
    flags.trim_end().to_owned()
}

#[test]
fn help_is_what_is_checked_in() {
    check(printed(&["help", "options"]), "options");
    let shared = shared();
    for command in commands() {
        let long = help(&command, "--help");
        let own = long.replace(&shared, "[the options of every command]");
        assert!(own.len() < long.len(), "{command:?} has all flags: {long}");
        let name = match command.is_empty() {
            true => "wharf".to_owned(),
            false => command.join("-"),
        };
        check(own, &name);
        let mut words = vec!["help"];
        words.extend(command.iter().map(String::as_str));
        assert_eq!(printed(&words), long);
    }
}

#[test]
fn short_help_leaves_out_what_is_seldom_needed_and_says_where_it_is() {
    check(printed(&["push", "-h"]), "push-short");
    for command in commands() {
        let short = help(&command, "-h");
        assert!(short.contains("wharf help options"), "{short}");
        for rare in ["--timeout-", "--ca-cert", "--creds", "--max-requests"] {
            assert!(!short.contains(rare), "{command:?}: {short}");
        }
    }
}

#[test]
fn version_is_a_number_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let run = done(home.path(), &["version"]);
    assert_eq!(run.stdout, format!("{}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run.stderr, "");
}
