//! Running the binary, and a registry that is the binary itself.
#![allow(
    dead_code,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test program uses a part of it, and a fixture that fails fails the test"
)]

pub(crate) mod pushes;
pub(crate) mod said;
pub(crate) mod wire;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// How a run of `wharf` ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
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
    let Output {
        status,
        stdout,
        stderr,
    } = command(home).args(arguments).output().unwrap();
    Run {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
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
    // One that gives up early closes its end: what it says is what counts.
    let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs it and expects success.
pub(crate) fn done(home: &Path, arguments: &[&str]) -> Run {
    let run = wharf(home, arguments);
    assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
    run
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

    /// Takes over a server that says its address in its first line.
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

    /// Sends SIGTERM and gives the exit code.
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
