//! Waiting for registries: what the user sees, and can change.

use std::process::Stdio;

use wharf_testkit::{Answer, FaultServer, LayerSpec, LayoutFixture, Script, push_registry};

use crate::common::{done, piped, wharf};

/// A home with an image in it, and its path.
fn image() -> (tempfile::TempDir, String) {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    layout.image(Some("1"), &[LayerSpec::random(1, 1000)]);
    let path = layout.directory().to_str().unwrap().to_owned();
    (home, path)
}

#[test]
fn r2_the_user_is_told_when_a_registry_asks_to_wait_unless_quiet() {
    let (home, path) = image();
    let busy = Answer::status(429).header("Retry-After", "1");
    let script = push_registry().on(
        "POST",
        "/v2/*/blobs/uploads/",
        [busy.clone(), busy, Answer::fall_through()],
    );
    let server = FaultServer::start(script);
    let reference = format!("{}/app:1", server.address());
    let run = done(home.path(), &["push", &path, &reference]);
    let line = format!("{} asks to wait 1 s\n", server.address());
    assert!(run.stderr.contains(&line), "{}", run.stderr);

    let busy = Answer::status(429).header("Retry-After", "1");
    let answers = [busy, Answer::fall_through()];
    let server = FaultServer::start(push_registry().on("HEAD", "/v2/*/manifests/*", answers));
    let reference = format!("{}/app:1", server.address());
    let run = done(
        home.path(),
        &["push", "-q", "--max-retry-after=100ms", &path, &reference],
    );
    assert_eq!(run.stderr, "");
}

#[test]
fn fault_c17_retries_are_the_tries_after_the_first() {
    let (home, path) = image();
    let server = FaultServer::start(Script::new().on("*", "/v2/*", [Answer::status(503)]));
    let reference = format!("{}/app:1", server.address());
    for (retries, said) in [
        ("0", ""),
        ("1", " (after 2 tries)"),
        ("3", " (after 4 tries)"),
    ] {
        let push = [
            "push",
            "-q",
            &path,
            &reference,
            "--retry-wait=0",
            "--retries",
            retries,
        ];
        let line = wharf(home.path(), &push).complaint().to_owned();
        let (line, _hint) = line.rsplit_once(" (try again").unwrap();
        match said {
            "" => assert!(!line.contains("tries"), "{line}"),
            said => assert!(line.ends_with(said), "{line}"),
        }
    }
}

#[test]
fn fault_c17_one_v_says_each_step_and_two_each_request() {
    let (home, path) = image();
    let server = FaultServer::start(push_registry());
    let app = format!("{}/app", server.address());
    let said = |arguments: &[&str]| done(home.path(), arguments).stderr;
    let log = said(&["push", "-v", &path, &format!("{app}:1")]);
    for step in ["opened", "planned", "sending", "written"] {
        assert!(log.contains(step), "{step}: {log}");
    }
    assert!(!log.contains("method=PUT"), "{log}");
    let log = said(&["push", "-vv", &path, &format!("{app}:2")]);
    assert!(log.contains("method=PUT"), "{log}");
}

#[cfg(target_os = "linux")]
#[test]
fn fault_c17_standard_input_on_a_terminal_is_announced() {
    let home = tempfile::tempdir().unwrap();
    let wharf = env!("CARGO_BIN_EXE_wharf");
    for (arguments, what) in [
        ("push - localhost:1/a", "an archive"),
        ("copy docker-archive:- localhost:1/a", "an archive"),
        ("blob push localhost:1/a -", "the content"),
        ("manifest put localhost:1/a -", "a manifest"),
    ] {
        // Nothing is typed, so the process is ended after it had time to say something.
        let command = format!("timeout -s KILL 10 {wharf} --no-cache {arguments}");
        let mut script = std::process::Command::new("script");
        let script = script.args(["-qec", &command, "/dev/null"]);
        let script = script.env("HOME", home.path()).stdin(Stdio::null());
        let Ok(output) = script.output() else { return };
        let said = String::from_utf8_lossy(&output.stdout);
        let expected = format!("reading {what} from standard input");
        assert!(said.starts_with(&expected), "{arguments}: {said}");
    }
    let run = piped(home.path(), &["push", "-", "localhost:1/a"], b"");
    assert!(!run.stderr.contains("reading"), "{run:?}");
}

#[test]
fn fault_b3_patience_is_a_flag() {
    let (home, path) = image();
    let limited = || {
        let mut answers = vec![Answer::status(429); 7];
        answers.push(Answer::fall_through());
        FaultServer::start(push_registry().on("PUT", "/v2/*/manifests/*", answers))
    };
    let push = |flags: &[&str]| {
        let server = limited();
        let reference = format!("{}/app:1", server.address());
        let arguments = ["push", &path, &reference, "--retry-wait=0"];
        wharf(home.path(), &[&arguments[..], flags].concat())
    };
    for (flags, code) in [
        (&[][..], 0),
        (&["--patience=0"][..], 6),
        (&["--retries=2"][..], 6),
        (&["--retries=2", "--patience=1m"][..], 0),
    ] {
        let run = push(flags);
        assert_eq!(run.code, code, "{flags:?}: {run:?}");
    }
}

#[test]
fn r5_timeouts_are_flags() {
    let (home, path) = image();
    let server = FaultServer::start(Script::new().on("*", "/v2/*", [Answer::hang()]));
    let reference = format!("{}/app:1", server.address());
    let run = wharf(
        home.path(),
        &[
            "push",
            &path,
            &reference,
            "--retries=1",
            "--retry-wait=0",
            "--timeout-answer=200ms",
        ],
    );
    assert_eq!(run.code, 5);
    let said = "no answer for 0.2 s";
    assert!(run.stderr.contains(said), "{}", run.stderr);
}

#[test]
fn r5_a_time_that_makes_no_sense_is_one_line() {
    let home = tempfile::tempdir().unwrap();
    let arguments = ["push", "--timeout-idle", "soon", "a", "r.example/a"];
    let run = wharf(home.path(), &arguments);
    assert_eq!(run.code, 2);
    assert_eq!(
        run.stderr,
        "wharf: invalid value 'soon' for '--timeout-idle <TIME>': not a time; write 30s, 2m, 1h, \
         500ms or a number of seconds\n"
    );
}

#[test]
fn p3_requests_are_shown_on_demand() {
    let (home, path) = image();
    let server = FaultServer::start(push_registry());
    let reference = format!("{}/app:1", server.address());
    let (put, document) = ("request method=PUT", "request: {\\n  \"config\"");
    for (flag, shown) in [
        ("-v", [false, false]),
        ("-vv", [true, false]),
        ("-vvv", [true, true]),
    ] {
        let run = done(home.path(), &["push", flag, &path, &reference]);
        let said = run.stderr;
        assert_eq!(
            [put, document].map(|part| said.contains(part)),
            shown,
            "{said}"
        );
    }
}
