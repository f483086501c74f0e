//! Every flag and every command stands in a snapshot.

use snapbox::{Data, assert_data_eq};

use crate::common::done;

fn check(arguments: &[&str], name: &str) {
    let home = tempfile::tempdir().unwrap();
    let run = done(home.path(), arguments);
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/help/{name}.txt"));
    assert_data_eq!(run.stdout, Data::read_from(&path, None).raw());
}

#[test]
fn help_is_what_is_checked_in() {
    check(&["--help"], "wharf");
    check(&["push", "--help"], "push");
    check(&["copy", "--help"], "copy");
    check(&["tag", "--help"], "tag");
    check(&["delete", "--help"], "delete");
    check(&["manifest", "--help"], "manifest");
    check(&["manifest", "put", "--help"], "manifest-put");
    check(&["blob", "--help"], "blob");
    check(&["blob", "push", "--help"], "blob-push");
    check(&["registry", "--help"], "registry");
    check(&["registry", "serve", "--help"], "registry-serve");
    check(&["version", "--help"], "version");
    check(&["auth", "--help"], "auth");
    check(&["auth", "login", "--help"], "auth-login");
    check(&["auth", "logout", "--help"], "auth-logout");
    check(&["auth", "get", "--help"], "auth-get");
    check(&["auth", "token", "--help"], "auth-token");
}

#[test]
fn version_is_a_number_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let run = done(home.path(), &["version"]);
    assert_eq!(run.stdout, format!("{}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run.stderr, "");
}
