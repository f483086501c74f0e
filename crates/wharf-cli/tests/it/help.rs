//! Every flag and every command is in a snapshot; shared options are in one of their own.

use snapbox::{Data, assert_data_eq};

use crate::common::done;

/// Every command, and the file of the part of its help that is its own.
const COMMANDS: [(&[&str], &str); 17] = [
    (&[], "wharf"),
    (&["push"], "push"),
    (&["copy"], "copy"),
    (&["tag"], "tag"),
    (&["delete"], "delete"),
    (&["manifest"], "manifest"),
    (&["manifest", "put"], "manifest-put"),
    (&["blob"], "blob"),
    (&["blob", "push"], "blob-push"),
    (&["registry"], "registry"),
    (&["registry", "serve"], "registry-serve"),
    (&["auth"], "auth"),
    (&["auth", "login"], "auth-login"),
    (&["auth", "logout"], "auth-logout"),
    (&["auth", "get"], "auth-get"),
    (&["auth", "token"], "auth-token"),
    (&["version"], "version"),
];

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
    for (command, name) in COMMANDS {
        let help = printed(&[command, &["--help"]].concat());
        let own = help.replace(&shared, "[the options of every command]");
        assert!(own.len() < help.len(), "{command:?} has all flags: {help}");
        check(own, name);
        assert_eq!(printed(&[&["help"], command].concat()), help);
    }
}

#[test]
fn short_help_leaves_out_what_is_seldom_needed_and_says_where_it_is() {
    check(printed(&["push", "-h"]), "push-short");
    for (command, _) in COMMANDS {
        let help = printed(&[command, &["-h"]].concat());
        assert!(help.contains("wharf help options"), "{help}");
        for rare in ["--timeout-", "--ca-cert", "--creds", "--max-requests"] {
            assert!(!help.contains(rare), "{command:?}: {help}");
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
