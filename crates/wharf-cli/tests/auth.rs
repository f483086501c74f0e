//! `wharf auth`, and credentials of other tools, against real registries that want them.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fixture that fails fails the test"
)]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::{Run, command, done, wharf};
use wharf_testkit::{
    Answer, DockerRegistry, FaultServer, LayerSpec, LayoutFixture, RegistryAuth, Script, Skopeo,
    TokenServer,
};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn layout(home: &Path) -> String {
    let mut layout = LayoutFixture::new(home.join("layout"));
    layout.image(Some("1.0"), &[LayerSpec::random(1, 70_000)]);
    text(layout.directory()).to_owned()
}

/// Runs the binary with something on its standard input.
fn with_input(home: &Path, arguments: &[&str], input: &str) -> Run {
    let mut child = command(home)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A registry that wants `me` and `hidden`, to log in to by password and by token.
fn registries() -> Vec<(DockerRegistry, Option<TokenServer>)> {
    let tokens = TokenServer::start(Duration::from_secs(60));
    let basic = DockerRegistry::start_with(&RegistryAuth::Basic);
    let bearer = DockerRegistry::start_with(&tokens.auth());
    basic
        .map(|registry| (registry, None))
        .into_iter()
        .chain(bearer.map(|registry| (registry, Some(tokens))))
        .collect()
}

fn log_in(home: &Path, host: &str) -> Run {
    let arguments = ["auth", "login", "-u", "me", "--password-stdin", host];
    with_input(home, &arguments, "hidden\n")
}

#[test]
fn a1_push_works_after_login_and_not_after_logout() {
    for (registry, _tokens) in registries() {
        let home = tempfile::tempdir().unwrap();
        let host = registry.address().to_string();
        let (path, reference) = (layout(home.path()), format!("{host}/a/b"));
        let refused = wharf(home.path(), &["push", &path, &reference]);
        assert_eq!(refused.code, 1);
        let hint = format!("(wharf auth login {host})\n");
        assert!(refused.stderr.ends_with(&hint), "{}", refused.stderr);

        let login = log_in(home.path(), &host);
        let file = home.path().join(".docker/config.json");
        assert_eq!(
            (login.code, login.stdout.as_str()),
            (0, ""),
            "{}",
            login.stderr
        );
        assert_eq!(
            login.stderr,
            format!("logged in to {host} via {}\n", file.display())
        );
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        done(home.path(), &["push", &path, &reference]);

        let got = done(home.path(), &["auth", "get", &host]);
        assert_eq!(got.stdout, "{\"Username\":\"me\",\"Secret\":\"hidden\"}\n");
        done(home.path(), &["auth", "logout", &host]);
        let gone = with_input(home.path(), &["auth", "get"], &format!("{host}\n"));
        assert_eq!(gone.code, 1);
        assert_eq!(gone.stdout, "credentials not found in native keychain\n");
        // Nobody in particular may see that the image is there; pushing is another thing.
        let other = format!("{host}/other");
        assert_eq!(wharf(home.path(), &["push", &path, &other]).code, 1);
    }
}

#[test]
fn a1_wrong_credentials_are_not_kept() {
    for (registry, _tokens) in registries() {
        let home = tempfile::tempdir().unwrap();
        let host = registry.address().to_string();
        let run = wharf(
            home.path(),
            &["auth", "login", "-u", "me", "-p", "wrong!", &host],
        );
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(run.stderr.contains("401 Unauthorized"), "{}", run.stderr);
        assert!(!run.stderr.contains("wrong!"), "{}", run.stderr);
        assert!(!home.path().join(".docker").exists());
    }
}

#[test]
fn credentials_that_skopeo_wrote_are_found_and_ours_are_found_by_skopeo() {
    let Some(skopeo) = Skopeo::find() else { return };
    for (registry, _tokens) in registries() {
        let home = tempfile::tempdir().unwrap();
        let host = registry.address().to_string();
        let (path, theirs) = (layout(home.path()), home.path().join("auth.json"));
        let login = skopeo.run(&[
            "login",
            "--tls-verify=false",
            "--authfile",
            text(&theirs),
            "-u",
            "me",
            "-p",
            "hidden",
            &host,
        ]);
        assert!(login.status.success(), "{login:?}");
        let pushed = command(home.path())
            .env("REGISTRY_AUTH_FILE", &theirs)
            .args(["push", &path, &format!("{host}/a/b")])
            .output()
            .unwrap();
        assert!(pushed.status.success(), "{pushed:?}");

        assert_eq!(log_in(home.path(), &host).code, 0);
        let ours = home.path().join(".docker/config.json");
        let inspected = skopeo.run(&[
            "inspect",
            "--tls-verify=false",
            "--authfile",
            text(&ours),
            &format!("docker://{host}/a/b:1.0"),
        ]);
        assert!(inspected.status.success(), "{inspected:?}");
    }
}

#[test]
fn credentials_may_be_given_for_one_run() {
    for (registry, _tokens) in registries() {
        let home = tempfile::tempdir().unwrap();
        let host = registry.address().to_string();
        let pushed = command(home.path())
            .env(
                "WHARF_AUTH",
                format!("other.example=you:x\n{host}=me:hidden"),
            )
            .args(["push", &layout(home.path()), &format!("{host}/a/b")])
            .output()
            .unwrap();
        assert!(pushed.status.success(), "{pushed:?}");
    }
}

#[test]
fn m3_a_token_for_other_programs_allows_what_was_asked() {
    let home = tempfile::tempdir().unwrap();
    let tokens = TokenServer::start(Duration::from_secs(60));
    let Some(registry) = DockerRegistry::start_with(&tokens.auth()) else {
        return;
    };
    let host = registry.address().to_string();
    assert_eq!(log_in(home.path(), &host).code, 0);
    let (app, base) = (format!("{host}/app"), format!("{host}/base/image"));
    let run = done(
        home.path(),
        &["auth", "token", "-H", "--push", "-m", &base, &app],
    );
    assert!(
        run.stdout.starts_with("Authorization: Bearer "),
        "{}",
        run.stdout
    );
    let asked = tokens.requests().pop().unwrap().target;
    assert!(
        asked.ends_with(
            "scope=repository%3Aapp%3Apull%2Cpush&scope=repository%3Abase%2Fimage%3Apull"
        ),
        "{asked}"
    );
    let run = done(home.path(), &["auth", "token", &app]);
    assert!(
        run.stdout.starts_with("{\"token\":\"") && run.stdout.ends_with("\"}\n"),
        "{}",
        run.stdout
    );
    assert!(
        tokens
            .requests()
            .pop()
            .unwrap()
            .target
            .ends_with("scope=repository%3Aapp%3Apull")
    );
}

#[test]
fn a_helper_is_run_once_for_a_push() {
    for (registry, _tokens) in registries() {
        let home = tempfile::tempdir().unwrap();
        let host = registry.address().to_string();
        let helper = home.path().join("docker-credential-test");
        let script = format!(
            "#!/bin/sh\necho $1 $(cat) >> {}/log\necho '{{\"Username\":\"me\",\"Secret\":\"hidden\"}}'\n",
            home.path().display()
        );
        fs::write(&helper, script).unwrap();
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
        let docker = home.path().join("docker");
        fs::create_dir(&docker).unwrap();
        fs::write(docker.join("config.json"), r#"{"credsStore":"test"}"#).unwrap();
        let path = std::env::var("PATH").unwrap();
        let pushed = command(home.path())
            .env("DOCKER_CONFIG", &docker)
            .env("PATH", format!("{}:{path}", home.path().display()))
            .args(["push", &layout(home.path()), &format!("{host}/a/b")])
            .output()
            .unwrap();
        assert!(pushed.status.success(), "{pushed:?}");
        let log = fs::read_to_string(home.path().join("log")).unwrap();
        assert_eq!(log, format!("get {host}\n"));
    }
}

#[test]
fn p3_no_log_however_verbose_shows_a_secret() {
    let home = tempfile::tempdir().unwrap();
    let tokens = TokenServer::start(Duration::from_secs(60));
    let Some(registry) = DockerRegistry::start_with(&tokens.auth()) else {
        return;
    };
    let host = registry.address().to_string();
    assert_eq!(log_in(home.path(), &host).code, 0);
    let run = done(
        home.path(),
        &["push", "-vvv", &layout(home.path()), &format!("{host}/a/b")],
    );
    assert!(run.stderr.contains("/token"), "{}", run.stderr);
    // Every token begins so: it is base64 of {"alg".
    for secret in ["hidden", "bWU6aGlkZGVu", "eyJhbGci"] {
        assert!(!run.stderr.contains(secret), "{}", run.stderr);
    }
}

#[test]
fn bad_files_and_hosts_are_told_as_they_are() {
    let home = tempfile::tempdir().unwrap();
    let wants = Answer::status(401).header("WWW-Authenticate", "Basic");
    let server = FaultServer::start(Script::new().on("*", "*", [wants]));
    let reference = format!("{}/a/b", server.address());
    let docker = home.path().join(".docker");
    fs::create_dir(&docker).unwrap();
    let file = docker.join("config.json");
    fs::write(&file, "{\n  \"auths\": {,}\n}").unwrap();
    let path = layout(home.path());
    let run = wharf(home.path(), &["push", &path, &reference]);
    let expected = format!("{}: line 2, column 13: not JSON", file.display());
    assert!(run.stderr.contains(&expected), "{}", run.stderr);

    fs::write(&file, r#"{"credsStore":"nowhere"}"#).unwrap();
    let run = wharf(home.path(), &["push", &path, &reference]);
    assert!(
        run.stderr.contains("docker-credential-nowhere"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains(file.to_str().unwrap()),
        "{}",
        run.stderr
    );

    let run = wharf(home.path(), &["auth", "get", "not a host"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("HOST"), "{}", run.stderr);
}
