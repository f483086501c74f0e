//! Surroundings that are not as usual: credential helpers that fail, homes that are no directories,
//! terminals.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use wharf_testkit::process::executable;
use wharf_testkit::{
    Answer, DockerRegistry, FaultServer, LayerSpec, LayoutFixture, RecordedRequest, RegistryAuth,
    Script, push_registry,
};

use crate::common::pushes::until;
use crate::common::{Run, command, piped, ran, text};

fn layout(home: &Path) -> String {
    let mut layout = LayoutFixture::new(home.join("layout"));
    layout.image(Some("1"), &[LayerSpec::random(1, 1000)]);
    text(layout.directory()).to_owned()
}

/// Docker's file, which names a helper for all registries.
fn names_helper(home: &Path, helper: &str) {
    let directory = home.join(".docker");
    fs::create_dir_all(&directory).unwrap();
    let config = format!(r#"{{"credsStore":"{helper}"}}"#);
    fs::write(directory.join("config.json"), config).unwrap();
}

/// Podman's file, with `me` and `hidden` for `host`.
fn podman_knows(home: &Path, host: &str) {
    let directory = home.join(".config/containers");
    fs::create_dir_all(&directory).unwrap();
    let auths = format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6aGlkZGVu"}}}}}}"#);
    fs::write(directory.join("auth.json"), auths).unwrap();
}

/// Pushes with the helpers in `home`.
fn push(home: &Path, reference: &str) -> Run {
    let path = format!("{}:{}", home.display(), std::env::var("PATH").unwrap());
    let mut push = command(home);
    push.env("PATH", path).arg("push").arg(layout(home));
    ran(push.arg(reference).output().unwrap())
}

/// A registry that wants a token, which its token server gives to anonymous clients too.
fn for_all() -> (FaultServer, FaultServer) {
    let token = Answer::status(200).body(r#"{"token":"t"}"#);
    let tokens = FaultServer::start(Script::new().on("*", "/token", [token]));
    let realm = format!("Bearer realm=\"{}/token\"", tokens.base());
    let wants = Answer::status(401).header("WWW-Authenticate", &realm);
    let bare = |request: &RecordedRequest| request.header("authorization").is_none();
    let script = push_registry().on_when("*", "/v2/*/*", bare, [wants]);
    (FaultServer::start(script), tokens)
}

const FAILING: [(&str, Option<&str>, &str); 3] = [
    ("missing", None, "is not installed"),
    ("killed", Some("kill -9 $$"), "signal: 9 (SIGKILL)"),
    ("odd", Some("echo what?"), "it printed no credential"),
];

fn install(home: &Path, name: &str, script: Option<&str>) {
    names_helper(home, name);
    if let Some(script) = script {
        let helper = home.join(format!("docker-credential-{name}"));
        executable(&helper, &format!("#!/bin/sh\n{script}\n"));
    }
}

#[test]
fn fault_b10_a_helper_that_fails_costs_a_warning_where_anonymous_access_suffices() {
    let (registry, _tokens) = for_all();
    for (name, script, why) in FAILING {
        let home = tempfile::tempdir().unwrap();
        install(home.path(), name, script);
        let run = push(home.path(), &format!("{}/a:1", registry.address()));
        assert_eq!(run.code, 0, "{run:?}");
        let mut warnings = run.stderr.lines();
        let warnings: Vec<_> = warnings
            .by_ref()
            .filter(|line| line.contains("warning"))
            .collect();
        assert_eq!(warnings.len(), 1, "{run:?}");
        let start = format!("warning: docker-credential-{name}");
        assert!(
            warnings[0].starts_with(&start) && warnings[0].contains(why),
            "{run:?}"
        );
    }
}

#[test]
fn fault_b10_a_helper_that_fails_hides_no_other_place() {
    let Some(registry) = DockerRegistry::start_with(&RegistryAuth::Basic) else {
        return;
    };
    let host = registry.address().to_string();
    for (name, script, why) in FAILING {
        let home = tempfile::tempdir().unwrap();
        install(home.path(), name, script);
        let refused = push(home.path(), &format!("{host}/a:{name}"));
        assert_eq!(refused.code, 9, "{refused:?}");
        let last = refused.stderr.lines().last().unwrap();
        assert!(
            last.starts_with("wharf: ") && last.contains(why),
            "{refused:?}"
        );
        podman_knows(home.path(), &host);
        let run = push(home.path(), &format!("{host}/a:{name}"));
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stderr.contains(why), "{run:?}");
    }
}

#[test]
fn fault_b10_a_file_that_makes_no_sense_hides_no_other_place() {
    let Some(registry) = DockerRegistry::start_with(&RegistryAuth::Basic) else {
        return;
    };
    let host = registry.address().to_string();
    let home = tempfile::tempdir().unwrap();
    names_helper(home.path(), "\n");
    podman_knows(home.path(), &host);
    let run = push(home.path(), &format!("{host}/a:1"));
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("warning: "), "{run:?}");
    assert!(
        run.stderr.contains("config.json: line 2, column "),
        "{run:?}"
    );
}

#[test]
fn fault_b11_a_home_that_is_no_directory_is_no_home() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let path = layout(home.path());
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let host = registry.address().to_string();
    for place in [Path::new("/dev/null"), &file] {
        let run = |arguments: &[&str]| {
            let mut command = command(place);
            command.env("XDG_RUNTIME_DIR", place).args(arguments);
            let run = ran(command.output().unwrap());
            (run.code, run.stderr)
        };
        let reference = format!("{host}/a:1");
        let (code, said) = run(&["push", &path, &reference]);
        assert_eq!(code, 0, "{said}");
        assert!(!said.contains("warning"), "{said}");
        let copied = format!("{host}/b:1");
        let (code, said) = run(&["copy", &reference, &copied]);
        assert_eq!(code, 0, "{said}");
        for variable in [
            "DOCKER_CONFIG",
            "REGISTRY_AUTH_FILE",
            "XDG_CONFIG_HOME",
            "XDG_CACHE_HOME",
        ] {
            let mut command = command(place);
            command
                .env(variable, place)
                .args(["push", &path, &reference]);
            let run = ran(command.output().unwrap());
            assert_eq!(run.code, 0, "{variable}: {run:?}");
        }
        let (code, said) = run(&["auth", "logout", &host]);
        assert_eq!(code, 0, "{said}");
        // Credentials need a place to be stored.
        let (code, said) = run(&["auth", "login", "-u", "me", "-p", "x", &host]);
        assert_eq!((code, said.lines().count()), (9, 1), "{said}");
        assert!(said.contains("not a directory"), "{said}");
    }
}

/// A program at a terminal of its own, made by `script`.
struct AtTerminal {
    child: Child,
    shown: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl AtTerminal {
    /// Runs `line` in a shell, with `wharf` as `$WHARF`.
    fn run(home: &Path, line: &str) -> Self {
        let mut command = Command::new("script");
        command
            .args(["-q", "-e", "-c", line, "/dev/null"])
            .env("WHARF", env!("CARGO_BIN_EXE_wharf"))
            .env("HOME", home)
            .env("SHELL", "/bin/sh")
            .env_remove("DOCKER_CONFIG")
            .env_remove("REGISTRY_AUTH_FILE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut stdout, seen) = (child.stdout.take().unwrap(), Arc::clone(&shown));
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; 1024];
            while let Ok(length @ 1..) = stdout.read(&mut chunk) {
                let text = String::from_utf8_lossy(&chunk[..length]);
                seen.lock().unwrap().push_str(&text);
            }
        });
        AtTerminal {
            child,
            shown,
            reader,
        }
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// Waits until `question` is shown, and types `text`.
    fn types(&mut self, question: &str, text: &str) {
        until(question, || self.shown().ends_with(question));
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// The exit code, and all that was shown.
    fn end(mut self) -> (i32, String) {
        // The end of its input would be typed too.
        let stdin = self.child.stdin.take();
        let code = self.child.wait().unwrap().code().unwrap();
        drop(stdin);
        self.reader.join().unwrap();
        let shown = self.shown.lock().unwrap().clone();
        (code, shown)
    }
}

#[test]
fn fault_c6_a_login_at_a_terminal_asks_and_does_not_show_the_password() {
    let Some(registry) = DockerRegistry::start_with(&RegistryAuth::Basic) else {
        return;
    };
    let host = registry.address().to_string();
    for named in [false, true] {
        let home = tempfile::tempdir().unwrap();
        let user = if named { "-u me " } else { "" };
        let line = format!("\"$WHARF\" auth login {user}{host}");
        let mut terminal = AtTerminal::run(home.path(), &line);
        if !named {
            terminal.types("Username: ", "me\r");
        }
        terminal.types("Password: ", "hidden\r");
        let (code, shown) = terminal.end();
        assert_eq!(code, 0, "{shown}");
        assert!(!shown.contains("hidden"), "{shown}");
        assert!(shown.contains("logged in via "), "{shown}");
        let got = crate::common::wharf(home.path(), &["auth", "get", &host]);
        assert_eq!(got.stdout, "{\"Username\":\"me\",\"Secret\":\"hidden\"}\n");
    }
}

#[test]
fn fault_c6_an_interrupted_login_leaves_a_terminal_that_shows_input() {
    let home = tempfile::tempdir().unwrap();
    let line = "trap : INT; \"$WHARF\" auth login -u me 127.0.0.1:1; echo code $?; stty -a";
    let mut terminal = AtTerminal::run(home.path(), line);
    terminal.types("Password: ", "hid\x03");
    let (_, shown) = terminal.end();
    assert!(shown.contains("code 130"), "{shown}");
    assert!(
        shown.contains(" echo ") && !shown.contains(" -echo "),
        "{shown}"
    );
    assert!(!shown.contains("hid"), "{shown}");
}

#[test]
fn fault_c6_nothing_typed_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let line = "\"$WHARF\" auth login 127.0.0.1:1";
    for (typed, expected) in [("\r", "no username given"), ("\x04", "no username given")] {
        let mut terminal = AtTerminal::run(home.path(), line);
        terminal.types("Username: ", typed);
        let (code, shown) = terminal.end();
        assert_eq!(code, 7, "{shown}");
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn fault_c6_without_a_terminal_a_login_says_how_to_give_what_is_missing() {
    let home = tempfile::tempdir().unwrap();
    let run = piped(
        home.path(),
        &["auth", "login", "-u", "me", "127.0.0.1:1"],
        b"x\n",
    );
    assert_eq!(run.code, 7, "{run:?}");
    assert!(run.stderr.contains("no terminal"), "{run:?}");
    assert!(run.stderr.contains("--password-stdin"), "{run:?}");
    let run = piped(
        home.path(),
        &["auth", "login", "--password-stdin", "127.0.0.1:1"],
        b"x\n",
    );
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("--username"), "{run:?}");
}

#[test]
fn fault_c18_a_helper_without_a_host_asks_for_one() {
    let home = tempfile::tempdir().unwrap();
    for input in [&b""[..], b"\n", b" \r\n"] {
        let run = piped(home.path(), &["auth", "get"], input);
        let expected = "no host given: name it, or write it to standard input";
        assert_eq!(run.complaint(), expected);
    }
}
