//! Runs the binary, also as a registry.

pub(crate) mod edits;
pub(crate) mod pushes;
pub(crate) mod said;
pub(crate) mod shelf;
pub(crate) mod wire;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use wharf_testkit::{LayerSpec, LayoutFixture};

/// How a run of `wharf` ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The one line of a failed run, without the name of the program.
    pub(crate) fn complaint(&self) -> &str {
        assert_eq!(
            (is_failure(self.code), self.stdout.as_str()),
            (true, ""),
            "{self:?}"
        );
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        let line = self.stderr.trim_end().strip_prefix("wharf: ");
        line.unwrap_or_else(|| panic!("{self:?}"))
    }
}

/// Whether an exit code is that of an error (`wharf help exit-codes`), neither success nor the end by
/// a signal or a panic.
pub(crate) fn is_failure(code: i32) -> bool {
    (1..=9).contains(&code)
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A layout in `directory` with an image of two layers, tagged `1.0`.
pub(crate) fn layout(directory: &Path) -> LayoutFixture {
    let mut layout = LayoutFixture::new(directory);
    layout.image(
        Some("1.0"),
        &[LayerSpec::random(1, 70_000), LayerSpec::random(2, 3)],
    );
    layout
}

/// The binary, with its data, cache and session below `home`.
pub(crate) fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command
        .env_clear()
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home.join("session"))
        .env("TMPDIR", std::env::temp_dir());
    command.stdin(Stdio::null());
    command
}

/// Runs the binary with these arguments.
pub(crate) fn wharf(home: &Path, arguments: &[&str]) -> Run {
    ran(command(home).args(arguments).output().unwrap())
}

/// Runs the binary with `input` on standard input.
pub(crate) fn piped(home: &Path, arguments: &[&str], input: &[u8]) -> Run {
    let mut child = command(home)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A process that fails early closes its end; only its output counts.
    let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    ran(output)
}

/// How a process ended.
pub(crate) fn ran(output: Output) -> Run {
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Every command as it is typed: `wharf` itself, and those that it and its groups list.
pub(crate) fn commands() -> Vec<Vec<String>> {
    let home = tempfile::tempdir().unwrap();
    let mut commands = vec![Vec::new()];
    let mut next = 0;
    while let Some(command) = commands.get(next).cloned() {
        let words = command.iter().map(String::as_str);
        let page = done(home.path(), &words.chain(["-h"]).collect::<Vec<_>>()).stdout;
        for name in listed(&page, command.is_empty()) {
            commands.push([command.as_slice(), &[name]].concat());
        }
        next += 1;
    }
    assert!(commands.len() >= 20, "{commands:?}");
    commands
}

/// The names in the lists of a page of help: by purpose on the page of the tool itself.
fn listed(page: &str, is_tool: bool) -> Vec<String> {
    let lists = page.split("\n\n").filter(|part| match is_tool {
        true => {
            !part.starts_with("Usage:") && !part.contains("Options:\n") && part.contains(":\n  ")
        }
        false => part.starts_with("Commands:"),
    });
    let lists = lists.take_while(|part| !part.contains("  -"));
    let rows = lists.flat_map(|part| part.lines().skip(1));
    let names = rows.filter_map(|row| row.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// Runs it and expects success.
pub(crate) fn done(home: &Path, arguments: &[&str]) -> Run {
    let run = wharf(home, arguments);
    assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
    run
}

/// Runs it, expects a failure with one line, and returns that line.
pub(crate) fn complaint(home: &Path, arguments: &[&str]) -> String {
    wharf(home, arguments).complaint().to_owned()
}

/// `wharf registry serve` in a process of its own.
#[derive(Debug)]
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Served {
    /// Serves `disk` on a free port.
    pub(crate) fn start(disk: &Path) -> Self {
        let child = command(disk)
            .args(["registry", "serve", "--address", "127.0.0.1:0", "--disk"])
            .arg(disk)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Served::announced(child)
    }

    /// Takes over a server that prints its address in its first line.
    pub(crate) fn announced(mut child: Child) -> Self {
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .rsplit_once("http://")
            .unwrap_or_else(|| panic!("{line}"))
            .1;
        Served {
            address: address.parse().unwrap(),
            child,
        }
    }

    /// Sends SIGTERM and returns the exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
