//! Completion of words in shells, also of what earlier runs saw.

use std::path::Path;
use std::process::Command;

use wharf_testkit::RecordingProxy;

use crate::common::{Served, command, commands, done, layout, ran, text, wharf};

/// The answers of Bash after `typed`, with the script of the binary.
fn completed(home: &Path, typed: &str) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_wharf")).parent().unwrap();
    let script = r#"source <(wharf completion bash)
COMP_LINE=$1 COMP_POINT=${#1} COMP_CWORD=1 COMP_WORDS=($1)
_wharf wharf
printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    bash.args(["-c", script, "bash", typed]).env_clear();
    let path = format!("{}:/usr/bin:/bin", program.display());
    bash.env("HOME", home).env("PATH", path).current_dir(home);
    let output = bash.output().unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(str::to_owned).collect()
}

#[test]
fn every_shell_has_a_script() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let run = done(home.path(), &["completion", shell]);
        assert!(run.stdout.contains("wharf"), "{shell}");
        assert_eq!(run.stderr, "", "{shell}");
    }
    let run = wharf(home.path(), &["completion", "tcsh"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
}

#[test]
fn commands_and_flags_are_completed_in_bash() {
    let home = tempfile::tempdir().unwrap();
    let names = completed(home.path(), "wharf ");
    for words in commands().iter().filter(|words| words.len() == 1) {
        assert!(names.contains(&words[0]), "{words:?}: {names:?}");
    }
    assert_eq!(completed(home.path(), "wharf auth logi"), ["login"]);
    assert_eq!(
        completed(home.path(), "wharf push --image-r"),
        ["--image-refs"]
    );
}

#[test]
fn repositories_and_tags_are_completed_from_what_was_seen_without_a_request() {
    let home = tempfile::tempdir().unwrap();
    let layout = layout(&home.path().join("layout"));
    let served = Served::start(&home.path().join("registry"));
    let proxy = RecordingProxy::start(served.address);
    let host = proxy.address();
    for tag in ["1.0", "2.0"] {
        let to = format!("{host}/team/app:{tag}");
        done(home.path(), &["push", "-q", text(layout.directory()), &to]);
    }
    proxy.forget();
    let port = host.port();
    // Bash keeps what stands before the last colon.
    let name = format!("{port}/team/app");
    assert_eq!(
        completed(home.path(), "wharf tag 127."),
        [format!("127.0.0.1:{name}")]
    );
    assert_eq!(
        completed(home.path(), &format!("wharf tag 127.0.0.1:{port}/t")),
        [name]
    );
    let tags = completed(home.path(), &format!("wharf delete {host}/team/app:"));
    assert_eq!(tags, ["1.0", "2.0"]);
    let tag = completed(home.path(), &format!("wharf copy -q {host}/team/app:2"));
    assert_eq!(tag, ["2.0"]);
    assert_eq!(proxy.lines(), [""; 0]);
}

#[test]
fn every_command_has_a_page_of_the_manual() {
    let home = tempfile::tempdir().unwrap();
    let pages = home.path().join("man");
    std::fs::create_dir(&pages).unwrap();
    let mut command = command(home.path());
    let run = ran(command.args(["man-pages", text(&pages)]).output().unwrap());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    for words in commands() {
        let name = [&["wharf".to_owned()], words.as_slice()].concat().join("-");
        let page = std::fs::read_to_string(pages.join(format!("{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".TH "), "{page}");
    }
}
