//! Observes other programs: the memory they used, the files they left.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

/// Writes an executable file, in a process of its own. If this process had the file open, a program
/// started by another thread would briefly inherit it, and the file could not be run.
pub fn executable(path: &Path, text: &str) {
    let mut writer = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("start a shell");
    let mut stdin = writer.stdin.take().expect("a pipe to it");
    stdin.write_all(text.as_bytes()).expect("write to it");
    drop(stdin);
    assert!(writer.wait().expect("wait for it").success());
}

/// The command line that runs `test` of this test program, ignored or not, and no other test.
///
/// `test` is the full name with its modules.
pub fn only(test: &str) -> [String; 5] {
    let program = std::env::current_exe().expect("this program has a path");
    let program = program.to_str().expect("its path is text").to_owned();
    let [exact, shown, ignored] =
        ["--exact", "--nocapture", "--include-ignored"].map(str::to_owned);
    [program, exact, test.to_owned(), shown, ignored]
}

/// For a test that changes its whole process, such as one that installs a logger.
///
/// Starts `test`, the one that calls, in another process and waits for its success; the result is
/// false, and the test has no more to do. In that other process the result is true.
pub fn runs_alone(test: &str) -> bool {
    const ALONE: &str = "WHARF_TEST_ALONE";
    if std::env::var_os(ALONE).is_some_and(|name| name == test) {
        return true;
    }
    let [program, arguments @ ..] = only(test);
    passes(Command::new(program).args(arguments).env(ALONE, test), test);
    false
}

/// Runs a command of [`only`] and expects that `test` passes.
pub(crate) fn passes(command: &mut Command, test: &str) {
    let output = command.output().expect("start this program again");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    // A name that is no test's would succeed with no test run.
    let passed = output.status.success() && stdout.contains("test result: ok. 1 passed");
    assert!(passed, "{test}: {stdout}{stderr}");
}

/// A finished command and the most memory it had resident.
#[derive(Debug)]
pub struct PeakRss {
    /// Exit status, stdout and stderr.
    pub output: Output,
    /// The kernel's high-water mark of resident memory in KiB; `None` if there is no `/proc`.
    ///
    /// It is read every few milliseconds, so growth in the program's last milliseconds may be
    /// missed.
    pub peak_kib: Option<u64>,
}

impl PeakRss {
    /// Runs `command` to its end, with its stdout and stderr captured and an empty stdin unless set.
    ///
    /// # Errors
    /// When the command cannot be started or awaited.
    pub fn of(command: &mut Command) -> io::Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().map(drain);
        let stderr = child.stderr.take().map(drain);
        let (status, peak_kib) = watch(&mut child)?;
        let collect = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
            reader.map_or_else(Vec::new, |reader| reader.join().unwrap_or_default())
        };
        let output = Output {
            status,
            stdout: collect(stdout),
            stderr: collect(stderr),
        };
        Ok(Self { output, peak_kib })
    }
}

// The child is not reaped while its memory is read, so its id cannot belong to another process.
fn watch(child: &mut Child) -> io::Result<(std::process::ExitStatus, Option<u64>)> {
    let mut peak = None;
    loop {
        peak = peak.max(high_water_mark(child.id()));
        if let Some(status) = child.try_wait()? {
            return Ok((status, peak));
        }
        thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(target_os = "linux")]
fn high_water_mark(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn high_water_mark(_process: u32) -> Option<u64> {
    None
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A broken pipe has delivered all its bytes.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// Every regular file below `directory` with its size in bytes, by path relative to it, in order of names.
///
/// Symbolic links are not followed and not listed.
pub fn files_below(directory: &Path) -> BTreeMap<PathBuf, u64> {
    let mut files = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).expect("list a directory") {
            let entry = entry.expect("list a directory");
            let metadata = entry.metadata().expect("read a file's metadata");
            if metadata.is_dir() {
                pending.push(entry.path());
            } else if metadata.is_file() {
                let path = entry.path();
                let relative = path.strip_prefix(directory).expect("it lies below");
                files.insert(relative.to_owned(), metadata.len());
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_covers_memory_that_was_given_back_again() {
        let script = "x=$(head -c 60000000 /dev/zero | tr '\\0' a); unset x; echo done";
        let mut command = Command::new("sh");
        let run = PeakRss::of(command.args(["-c", script])).unwrap();
        assert_eq!(run.output.stdout, b"done\n");
        assert!(run.peak_kib.unwrap() > 50_000, "{:?}", run.peak_kib);
    }

    #[test]
    fn a_test_runs_in_a_process_of_its_own() {
        if runs_alone("process::tests::a_test_runs_in_a_process_of_its_own") {
            assert!(std::env::args().any(|argument| argument == "--exact"));
        }
    }

    #[test]
    #[should_panic = "0 passed"]
    fn a_test_that_is_not_there_is_noticed() {
        runs_alone("process::tests::no_test");
    }

    #[test]
    fn a_missing_command_is_an_error() {
        assert!(PeakRss::of(&mut Command::new("/nonexistent/command")).is_err());
    }

    #[test]
    fn files_are_listed_with_relative_paths_and_sizes() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("sub")).unwrap();
        fs::write(directory.path().join("sub/two"), b"22").unwrap();
        fs::write(directory.path().join("zero"), b"").unwrap();
        let files: Vec<_> = files_below(directory.path()).into_iter().collect();
        assert_eq!(files, [("sub/two".into(), 2), ("zero".into(), 0)]);
    }
}
