//! The messages of `wharf auth` when something about credentials is unexpected.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wharf_testkit::process::executable;
use wharf_testkit::{
    Answer, FaultServer, LayerSpec, LayoutFixture, RecordedRequest, Script, push_registry,
};

use crate::common::pushes::{interrupt, until};
use crate::common::{command, done, is_failure, piped, wharf};

/// base64 of `me:hidden`.
const ENCODED: &str = "bWU6aGlkZGVu";

/// A registry that refuses all clients.
fn closed() -> FaultServer {
    let wants = Answer::status(401).header("WWW-Authenticate", "Basic");
    FaultServer::start(Script::new().on("*", "*", [wants]))
}

/// Docker's file in `home`, with this text.
fn config(home: &Path, text: &str) -> PathBuf {
    let directory = home.join(".docker");
    fs::create_dir_all(&directory).unwrap();
    let file = directory.join("config.json");
    fs::write(&file, text).unwrap();
    file
}

fn layout(home: &Path) -> String {
    let mut layout = LayoutFixture::new(home.join("layout"));
    layout.image(Some("1"), &[LayerSpec::random(1, 1000)]);
    layout.directory().to_str().unwrap().to_owned()
}

#[test]
fn a_login_that_makes_no_sense_is_refused_before_anybody_is_asked() {
    let home = tempfile::tempdir().unwrap();
    let part = "HOST: 127.0.0.1:1/r/a is a part of a registry; logins are for all of 127.0.0.1:1";
    let no_password = "no password, and no terminal to ask for it: \
                       --password-stdin reads it from standard input";
    let no_user = "no user name, and no terminal to ask for it: -u USER";
    for (arguments, expected) in [
        (
            &["login", "-u", "me", "-p", "x", "127.0.0.1:1/r/a"][..],
            part,
        ),
        (&["logout", "127.0.0.1:1/r/a"], part),
        (&["login", "-u", "me", "127.0.0.1:1"], no_password),
        (&["login", "127.0.0.1:1"], no_user),
        (&["login", "-p", "x", "127.0.0.1:1"], no_user),
        (
            &["login", "-u", "me:too", "-p", "x", "127.0.0.1:1"],
            "a user name cannot contain a colon",
        ),
        (
            &["token", "127.0.0.1:1"],
            "127.0.0.1:1 names no repository, as 127.0.0.1:1/team/app does",
        ),
    ] {
        let run = piped(home.path(), &[&["auth"], arguments].concat(), b"x\n");
        assert!(is_failure(run.code), "{run:?}");
        assert_eq!(run.stderr, format!("wharf: {expected}\n"));
    }
    assert!(!home.path().join(".docker").exists());
}

#[test]
fn a_login_that_was_not_checked_or_does_not_count_says_so() {
    let server = FaultServer::start(Script::new().on("GET", "/v2/", [Answer::status(200)]));
    let host = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".docker/config.json");
    let login = |given: &str| {
        let mut command = command(home.path());
        command.env("WHARF_AUTH", format!("{host}={given}"));
        command.args(["auth", "login", "-u", "me", "-p", "hidden"]);
        let output = command.arg(format!("http://{host}/v2/")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = format!(
        "logged in via {}\n\
         {host} did not ask for credentials, so they could not be checked\n",
        file.display()
    );
    assert_eq!(login("me:hidden"), said);
    assert_eq!(
        login("me:other"),
        format!("{said}WHARF_AUTH has other credentials for {host}, which are used first\n")
    );
    let asking = |request: &RecordedRequest| request.header("authorization").is_none();
    let wants = Answer::status(401).header("WWW-Authenticate", "Basic");
    let script = Script::new().on("GET", "/v2/", [Answer::status(200)]);
    let server = FaultServer::start(script.on_when("*", "*", asking, [wants]));
    let host = server.address().to_string();
    let run = done(
        home.path(),
        &["auth", "login", "-u", "me", "-p", "x", &host],
    );
    assert_eq!(run.stderr, format!("logged in via {}\n", file.display()));
}

#[test]
fn a_logout_says_what_there_was_and_what_stays() {
    let home = tempfile::tempdir().unwrap();
    let entry = format!(r#"{{"auth":"{ENCODED}"}}"#);
    let file = config(
        home.path(),
        &format!(r#"{{"auths":{{"r.example":{entry},"r.example/a/b":{entry}}}}}"#),
    );
    let file = file.display();
    let stays = format!("{file} still has credentials for r.example/a/b\n");
    for (host, said) in [
        ("r.example", format!("logged out via {file}\n{stays}")),
        (
            "r.example",
            format!("there were no credentials for r.example in {file}\n{stays}"),
        ),
        (
            "other.example",
            format!("there were no credentials for other.example in {file}\n"),
        ),
    ] {
        assert_eq!(done(home.path(), &["auth", "logout", host]).stderr, said);
    }
}

#[test]
fn an_entry_for_a_part_of_a_registry_is_to_be_corrected() {
    let home = tempfile::tempdir().unwrap();
    let server = closed();
    let host = server.address().to_string();
    let entry = format!(r#"{{"auth":"{ENCODED}"}}"#);
    let file = config(
        home.path(),
        &format!(r#"{{"auths":{{"{host}":{entry},"{host}/a":{entry}}}}}"#),
    );
    let reference = format!("{host}/a/b:1");
    let run = wharf(home.path(), &["push", &layout(home.path()), &reference]);
    let expected = format!(
        "tried the credentials from {} ({host}/a) (correct or remove that entry: {host}/a \
         is used before {host})\n",
        file.display()
    );
    assert!(run.stderr.ends_with(&expected), "{}", run.stderr);
}

#[test]
fn a_helper_that_cannot_be_started_is_told_from_one_that_is_missing() {
    let home = tempfile::tempdir().unwrap();
    let server = closed();
    config(home.path(), r#"{"credsStore":"test"}"#);
    let programs = home.path().join("programs");
    fs::create_dir(&programs).unwrap();
    let helper = programs.join("docker-credential-test");
    executable(&helper, "#!/nonexistent/python\n");
    let mut push = command(home.path());
    push.env("PATH", &programs).arg("push");
    push.arg(layout(home.path()));
    push.arg(format!("{}/a:1", server.address()));
    let said = String::from_utf8(push.output().unwrap().stderr).unwrap();
    let expected = format!("{} exists, but its interpreter does not", helper.display());
    assert!(said.contains(&expected), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_that_nobody_writes_to_does_not_outlive_an_interrupt() {
    use std::os::unix::fs::OpenOptionsExt;

    const O_NONBLOCK: i32 = 0o4000;
    let home = tempfile::tempdir().unwrap();
    let server = FaultServer::start(push_registry().on_when(
        "*",
        "*",
        |request| request.header("authorization").is_none(),
        [Answer::status(401).header("WWW-Authenticate", "Basic")],
    ));
    let pipe = home.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let mut push = command(home.path());
    push.arg("push").arg("--auth-file").arg(&pipe);
    push.arg(layout(home.path()));
    push.arg(format!("{}/a:1", server.address()));
    push.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = push.spawn().unwrap();
    // It can be opened so only if a process reads it. Nothing is written.
    let writer = || {
        let mut options = fs::File::options();
        options.write(true).custom_flags(O_NONBLOCK);
        options.open(&pipe)
    };
    let held = std::cell::OnceCell::new();
    until("the pipe is read", || {
        writer().is_ok_and(|writer| held.set(writer).is_ok())
    });
    let run = interrupt(child);
    let expected = "wharf: interrupted; no tag was moved; run it again to go on\n";
    assert_eq!((run.code, run.stderr.as_str()), (130, expected), "{run:?}");
}
