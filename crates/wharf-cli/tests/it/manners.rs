//! What every command does alike, seen on all of them: new commands are covered by their help.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use wharf_testkit::{Answer, FaultServer, LayoutFixture, push_registry};

use crate::common::{Run, Served, command, commands, done, layout, ran, text, wharf};

/// Commands that serve, ask a person, or look at this machine only.
const APART: [&str; 6] = [
    "registry serve",
    "auth login",
    "auth logout",
    "auth get",
    "completion",
    "version",
];

/// Commands that make what they name, or list what is there.
const MAKERS: [&str; 6] = [
    "push",
    "blob push",
    "manifest put",
    "catalog",
    "auth token",
    "append",
];

/// Commands that put what they made in the place of what they name.
const EDITORS: [&str; 7] = [
    "delete",
    "mutate",
    "append",
    "flatten",
    "rebase",
    "index append",
    "index filter",
];

/// The words of a command.
fn line(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// The first line of its usage after its name: `[OPTIONS] <IMAGE> <TAG>...`.
fn usage(home: &Path, words: &[String]) -> String {
    let page = done(home, &[&line(words)[..], &["-h"]].concat()).stdout;
    let name = format!("Usage: wharf {} ", words.join(" "));
    let found = page.lines().find_map(|line| line.strip_prefix(&name));
    found
        .unwrap_or_else(|| panic!("{words:?}: {page}"))
        .to_owned()
}

/// Commands that do work themselves, with their usage.
fn workers(home: &Path) -> Vec<(Vec<String>, String)> {
    let all = commands();
    let groups = |words: &Vec<String>| {
        let page = done(home, &[&line(words)[..], &["-h"]].concat()).stdout;
        page.lines().any(|line| line == "Commands:")
    };
    let works = |words: &Vec<String>| {
        let usage = usage(home, words);
        !groups(words) || usage.contains('>') && !usage.contains("<COMMAND>")
    };
    let named = all.into_iter().filter(|words| !words.is_empty());
    named
        .filter(works)
        .map(|words| {
            let usage = usage(home, &words);
            (words, usage)
        })
        .collect()
}

/// Whether it needs arguments.
fn wants(usage: &str) -> bool {
    usage
        .replace("[OPTIONS]", "")
        .split_whitespace()
        .any(|word| word.starts_with('<'))
}

fn complains(run: &Run, about: &[&str]) {
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (2, ""),
        "{about:?}: {run:?}"
    );
    assert_eq!(run.stderr.lines().count(), 1, "{about:?}: {run:?}");
    assert!(run.stderr.starts_with("wharf: "), "{about:?}: {run:?}");
}

#[test]
fn every_command_says_in_a_line_that_its_arguments_are_wrong() {
    let home = tempfile::tempdir().unwrap();
    for (words, usage) in workers(home.path()) {
        let words = line(&words);
        let unknown = [&words[..], &["--no-such-flag"]].concat();
        let run = wharf(home.path(), &unknown);
        complains(&run, &unknown);
        assert!(run.stderr.contains("--no-such-flag"), "{run:?}");
        let bad = [&words[..], &["--retries", "many"]].concat();
        let run = wharf(home.path(), &bad);
        complains(&run, &bad);
        assert!(run.stderr.contains("many"), "{run:?}");
        let near = [&words[..], &["--insecur"]].concat();
        let run = wharf(home.path(), &near);
        complains(&run, &near);
        assert!(run.stderr.contains("did you mean --insecure?"), "{run:?}");
        if wants(&usage) {
            let run = wharf(home.path(), &words);
            // `digest` alone prints its help, as in other tools.
            if words != ["digest"] {
                complains(&run, &words);
                assert!(run.stderr.contains("usage: wharf "), "{run:?}");
            }
        }
    }
}

#[test]
fn every_group_alone_prints_its_commands_on_standard_error() {
    let home = tempfile::tempdir().unwrap();
    for words in commands() {
        let page = done(home.path(), &[&line(&words)[..], &["-h"]].concat()).stdout;
        if !page.contains("<COMMAND>") || page.contains("\nArguments:") {
            continue;
        }
        let run = wharf(home.path(), &line(&words));
        // These two ask for help by themselves, as in other tools.
        let is_question = words.is_empty() || words == ["auth"];
        assert_eq!(
            run.code,
            if is_question { 0 } else { 2 },
            "{words:?}: {run:?}"
        );
        assert_eq!(run.stdout, "", "{words:?}");
        assert!(run.stderr.contains("Usage: wharf"), "{words:?}: {run:?}");
    }
}

#[test]
fn a_command_that_is_nearly_right_is_suggested() {
    let home = tempfile::tempdir().unwrap();
    for words in commands().iter().filter(|words| !words.is_empty()) {
        let (last, group) = words.split_last().unwrap();
        if last.len() < 4 {
            continue;
        }
        // Without its last letter but one.
        let mut typed = last.clone();
        typed.remove(last.len() - 2);
        let run = wharf(home.path(), &[&line(group)[..], &[&typed, "x"]].concat());
        let mistaken = run.stderr.contains("no such command");
        // Some groups take an argument in the place of a command.
        assert!(mistaken || !group.is_empty(), "{words:?}: {run:?}");
        if mistaken {
            let meant = format!("did you mean wharf {}?", words.join(" "));
            assert!(run.stderr.contains(&meant), "{words:?}: {run:?}");
        }
    }
}

/// Values for arguments, by their names in the usage.
struct Values {
    host: String,
    /// A repository and a tag there.
    repository: String,
    tag: String,
    layout: String,
    file: String,
    out: String,
}

impl Values {
    /// `None`: the argument has no such value.
    fn of(&self, name: &str) -> Option<String> {
        let image = format!("{}:{}", self.repository, self.tag);
        let digest = format!("sha256:{}", "0".repeat(64));
        Some(match name {
            "IMAGE" | "INDEX" | "SRC" | "REF" | "BASE" => image,
            "REPO" => self.repository.clone(),
            "BLOB" | "REPO@DIGEST" => format!("{}@{digest}", self.repository),
            "HOST" | "REG" | "REGISTRY" => self.host.clone(),
            "DST" => format!("oci:{}", self.out),
            "TAG" => "other".to_owned(),
            "PATH" => self.layout.clone(),
            "FILE" | "TAR" => self.file.clone(),
            "SHELL" => "bash".to_owned(),
            "PLATFORM" => "linux/amd64".to_owned(),
            _ => return None,
        })
    }

    /// What to type after a command with this usage; its first optional argument too, where it needs
    /// none.
    fn arguments(&self, words: &[String], usage: &str) -> Vec<String> {
        let mut arguments = Vec::new();
        for word in usage.replace("[OPTIONS]", "").split_whitespace() {
            let (name, required) = match word.trim_end_matches("...") {
                word if word.starts_with('<') => (word.trim_matches(['<', '>']), true),
                word if word.starts_with('[') => (word.trim_matches(['[', ']']), false),
                word => {
                    arguments.push(word.to_owned());
                    continue;
                }
            };
            // The files of `pull` and the path in an image.
            let value = match (name, words.join(" ").as_str()) {
                ("PATH", "cat" | "files") => Some("/etc/x".to_owned()),
                ("PATH", "pull") => Some(format!("{}.tar", self.out)),
                ("FILE", "export") => Some("-".to_owned()),
                _ => self.of(name),
            };
            if required || words == ["push"] {
                let value = value
                    .unwrap_or_else(|| panic!("{words:?}: no value for {name}: add it to Values"));
                arguments.push(value);
            }
        }
        arguments
    }
}

/// Each command that takes a name in a registry, with its name and its whole line.
fn lines(home: &Path, values: &Values) -> Vec<(String, Vec<String>)> {
    let all = workers(home).into_iter();
    all.filter_map(|(words, usage)| {
        let name = words.join(" ");
        let arguments = values.arguments(&words, &usage);
        let asks = arguments.iter().any(|word| word.contains(&values.host));
        (asks && !APART.contains(&name.as_str())).then(|| (name, [words, arguments].concat()))
    })
    .collect()
}

/// A layout with an image, a file, and a registry at `host`.
fn values(home: &Path, host: &str) -> Values {
    let file = home.join("file.json");
    std::fs::write(&file, crate::common::said::MANIFEST).unwrap();
    let layout = match home.join("layout") {
        there if there.exists() => there,
        path => layout_of(&path).directory().to_owned(),
    };
    Values {
        host: host.to_owned(),
        repository: format!("{host}/team/app"),
        tag: "nope".to_owned(),
        layout: text(&layout).to_owned(),
        file: text(&file).to_owned(),
        out: text(&home.join("out")).to_owned(),
    }
}

fn layout_of(path: &Path) -> LayoutFixture {
    layout(path)
}

/// The run of a line, with one try of each request. What it prints may be no text.
fn output(home: &Path, line: &[String]) -> Output {
    let mut command = command(home);
    command.args(line).args(["--retries", "0"]);
    command.stdin(Stdio::null()).output().unwrap()
}

fn run(home: &Path, line: &[String]) -> Run {
    ran(output(home, line))
}

#[test]
fn a_registry_that_is_not_there_is_one_clear_line_from_every_command() {
    let home = tempfile::tempdir().unwrap();
    let lines = lines(home.path(), &values(home.path(), "127.0.0.1:1"));
    assert!(lines.len() >= 12, "{lines:?}");
    for (name, line) in lines {
        let run = run(home.path(), &line);
        assert_eq!((run.code, run.stdout.as_str()), (5, ""), "{name}: {run:?}");
        let said = run
            .stderr
            .lines()
            .filter(|line| line.starts_with("wharf: "));
        assert_eq!(said.count(), 1, "{name}: {run:?}");
        assert!(
            run.stderr.contains("cannot connect to 127.0.0.1:1"),
            "{run:?}"
        );
    }
}

#[test]
fn an_image_that_is_not_there_is_one_clear_line_from_every_command() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(&home.path().join("registry"));
    let values = values(home.path(), &served.address.to_string());
    for (name, line) in lines(home.path(), &values) {
        if MAKERS.contains(&name.as_str()) {
            continue;
        }
        let run = run(home.path(), &line);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{name}: {run:?}");
        let said = run
            .stderr
            .lines()
            .filter(|line| line.starts_with("wharf: "));
        assert_eq!(said.count(), 1, "{name}: {run:?}");
    }
}

/// A registry with an image, and lines that name it.
fn stocked(home: &Path) -> (Served, Vec<(String, Vec<String>)>) {
    let served = Served::start(&home.join("registry"));
    let mut values = values(home, &served.address.to_string());
    values.tag = "1.0".to_owned();
    let image = format!("{}:1.0", values.repository);
    done(home, &["push", "-q", &values.layout, &image]);
    let lines = lines(home, &values);
    // What they change, or need besides an image, is the matter of their own tests.
    let reads = |(name, line): &(String, Vec<String>)| {
        let makes = MAKERS.contains(&name.as_str()) && name != "catalog";
        let edits = EDITORS.contains(&name.as_str());
        !makes && !edits && !line.iter().any(|word| word.contains("@sha256:000"))
    };
    (served, lines.into_iter().filter(reads).collect())
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_error() {
    let home = tempfile::tempdir().unwrap();
    let (_served, lines) = stocked(home.path());
    for (name, line) in lines {
        let usual = output(home.path(), &line).status.code();
        let closed: Stdio = std::io::pipe().unwrap().1.into();
        let mut command = command(home.path());
        command.args(&line).stdin(Stdio::null()).stdout(closed);
        let output = command.stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert!(
            !said.contains("pipe") && !said.contains("panicked"),
            "{name}: {said}"
        );
        assert_eq!(output.status.code(), usual, "{name}: {said}");
    }
}

#[test]
fn logs_and_insecure_connections_change_nothing_on_standard_output() {
    let home = tempfile::tempdir().unwrap();
    let (_served, lines) = stocked(home.path());
    for (name, line) in lines {
        let plain = output(home.path(), &line);
        for flag in ["-v", "-vvv", "--insecure", "--progress=json"] {
            let more = [&line[..], &[flag.to_owned()]].concat();
            let said = output(home.path(), &more);
            assert!(said.stdout == plain.stdout, "{name} {flag}: {said:?}");
            assert_eq!(said.status.code(), plain.status.code(), "{name} {flag}");
        }
    }
}

#[test]
fn p5_what_a_registry_warns_of_is_shown_once_at_the_end() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("blob");
    std::fs::write(&file, "abc").unwrap();
    let warned = |answer: Answer| {
        answer.header(
            "Warning",
            "299 - \"quota \u{9b}is near\", 299 - \"read the docs\"",
        )
    };
    let session = warned(Answer::status(202)).header("Location", "{path}session");
    let done = warned(Answer::status(201)).header("Docker-Content-Digest", "{digest}");
    let script = push_registry()
        .on("POST", "*", [session])
        .on("PUT", "*", [done]);
    let server = FaultServer::start(script);
    let repository = format!("{}/app", server.address());
    let run = wharf(home.path(), &["blob", "push", &repository, text(&file)]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.starts_with("sha256:"), "{run:?}");
    let host = server.address();
    let lines: Vec<&str> = run.stderr.lines().collect();
    let said = lines
        .iter()
        .position(|line| *line == format!("warning: {host}: read the docs"));
    assert_eq!(said, Some(lines.len() - 1), "{run:?}");
    let once = run.stderr.matches("read the docs").count();
    assert_eq!(once, 1, "{run:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let home = tempfile::tempdir().unwrap();
    let (program, home) = (env!("CARGO_BIN_EXE_wharf"), home.path());
    let shown = |line: &str, unwanted: bool| {
        // It gives the program a terminal.
        let mut command = Command::new("script");
        command.args(["-qec", &format!("{program} {line}"), "/dev/null"]);
        command
            .env("HOME", home)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR");
        if unwanted {
            command.env("NO_COLOR", "1");
        }
        let output = command.stdin(Stdio::null()).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (help, log) = ("--help", "copy -vv 127.0.0.1:1/a oci:out --retries 0");
    let Some(coloured) = shown(help, false) else {
        return eprintln!("skipped: script is not installed");
    };
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    assert!(shown(log, false).unwrap().contains("\u{1b}["));
    for line in [help, log] {
        let plain = shown(line, true).unwrap();
        assert!(
            !plain.contains("\u{1b}[3") && !plain.contains("\u{1b}[1m"),
            "{plain}"
        );
    }
}
