//! Output that cannot be written: standard error that is closed or full is no reason to fail or to
//! panic; standard output that is closed ends a command quietly, and a full one is an error.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::{Served, command, layout, text};

/// Commands of all kinds, each with a log of everything it does.
fn commands(home: &Path, host: &str) -> Vec<Vec<String>> {
    let layout = layout(&home.join("layout"));
    let blob = home.join("blob");
    std::fs::write(&blob, "abc").unwrap();
    let (path, blob, out) = (text(layout.directory()), text(&blob), home.join("out"));
    let (app, out) = (format!("{host}/app"), format!("oci:{}", text(&out)));
    let tagged = format!("{app}:1.0");
    let lines: [&[&str]; 17] = [
        &["--version"],
        &["--help"],
        &["help", "options"],
        &["push", "--help"],
        &[],
        &["registry"],
        &["push"],
        &["shove"],
        &["version", "-vvv"],
        &["push", path, &tagged, "-vvv"],
        &["push", path, &tagged, "--dry-run", "--force", "-vv"],
        &[
            "push",
            path,
            &tagged,
            "--stats",
            "--progress",
            "json",
            "-vv",
        ],
        &["copy", &tagged, &out, "-vv"],
        &["blob", "push", "-vv", &app, blob],
        &["tag", "-vv", &tagged, "2"],
        &["delete", "-vv", &format!("{app}:2"), &format!("{app}:3")],
        &["push", "/nowhere", &tagged, "-vv"],
    ];
    let owned = |line: &&[&str]| line.iter().map(ToString::to_string).collect();
    lines.iter().map(owned).collect()
}

/// Runs each of the commands, with a registry of its own, with the streams that `redirected` makes.
fn all(redirected: impl Fn(&mut Command)) -> Vec<(Vec<String>, Output)> {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(&home.path().join("registry"));
    let commands = commands(home.path(), &served.address.to_string());
    let run = |line: Vec<String>| {
        let mut command = command(home.path());
        command.args(&line);
        redirected(&mut command);
        let output = command.output().unwrap();
        (line, output)
    };
    commands.into_iter().map(run).collect()
}

fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

/// A pipe without a reader.
fn closed() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

fn codes(runs: &[(Vec<String>, Output)]) -> Vec<Option<i32>> {
    let codes = runs.iter().map(|(_, output)| output.status.code());
    codes.collect()
}

#[test]
fn fault_a7_standard_error_that_cannot_be_written_changes_nothing() {
    let usual = codes(&all(|_| ()));
    assert!(usual.contains(&Some(0)) && usual.contains(&Some(2)));
    let redirections: [fn() -> Stdio; 2] = [full, closed];
    for redirection in redirections {
        let runs = all(|command| {
            command.stderr(redirection());
        });
        for ((line, output), usual) in runs.iter().zip(&usual) {
            assert_eq!(output.status.code(), *usual, "{line:?}: {output:?}");
        }
    }
}

#[test]
fn fault_a7_streams_that_are_not_open_at_all_change_nothing() {
    let home = tempfile::tempdir().unwrap();
    for line in [
        "--version 2>&-",
        "version -vvv 2>&-",
        "push -vv /nowhere 2>&-",
        "shove 2>&-",
        "version >&-",
        "--help >&-",
        "version -vvv >&- 2>&- <&-",
    ] {
        let program = env!("CARGO_BIN_EXE_wharf");
        let mut shell = Command::new("sh");
        shell.env("HOME", home.path());
        let output = shell.args(["-c", &format!("{program} {line}")]).output();
        let output = output.unwrap();
        let expected = match line {
            line if line.contains("nowhere") => 3,
            line if line.contains("shove") => 2,
            _ => 0,
        };
        assert_eq!(output.status.code(), Some(expected), "{line}: {output:?}");
        assert_eq!(output.stderr, b"", "{line}: {output:?}");
    }
}

#[test]
fn fault_a7_standard_output_that_is_closed_ends_a_command_quietly() {
    let usual = codes(&all(|_| ()));
    let runs = all(|command| {
        command.stdout(closed());
    });
    for ((line, output), usual) in runs.iter().zip(&usual) {
        assert_eq!(output.status.code(), *usual, "{line:?}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("standard output: "), "{line:?}: {said}");
        assert!(!said.contains("panicked"), "{line:?}: {said}");
    }
}

#[test]
fn fault_a7_standard_output_that_is_full_is_an_error() {
    let prints = |output: &Output| !output.stdout.is_empty();
    let usual = all(|_| ());
    let runs = all(|command| {
        command.stdout(full());
    });
    for ((line, output), (_, usual)) in runs.iter().zip(&usual) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{line:?}: {said}");
        let expected = match prints(usual) {
            true => Some(9),
            false => usual.status.code(),
        };
        assert_eq!(output.status.code(), expected, "{line:?}: {said}");
        assert_eq!(
            said.contains("standard output: "),
            prints(usual),
            "{line:?}: {said}"
        );
    }
    assert!(usual.iter().filter(|(_, output)| prints(output)).count() > 7);
}
