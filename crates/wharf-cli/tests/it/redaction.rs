//! No secret leaves the binary, with any credential and at any verbosity: wire.md P3.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use wharf_testkit::process::executable;
use wharf_testkit::{
    DockerRegistry, LayerSpec, LayoutFixture, RecordingProxy, RegistryAuth, TokenServer,
    files_below,
};

use crate::common::pushes::{Scene, kill, until_held};
use crate::common::{Run, command, ran};

/// A way to give wharf credentials.
#[derive(Clone, Copy, Debug)]
enum Way {
    Given,
    File,
    /// By an identity token.
    Refresh,
    Helper,
}

/// A home directory with something to push, and the place of credentials.
struct Place {
    directory: tempfile::TempDir,
    layout: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for part in ["home", "login"] {
            fs::create_dir(directory.path().join(part)).unwrap();
        }
        let mut layout = LayoutFixture::new(directory.path().join("layout"));
        layout.image(Some("1"), &[LayerSpec::random(1, 70_000)]);
        let layout = layout.directory().to_owned();
        Place { directory, layout }
    }

    fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// The binary, with the credentials of `me` for `host` given in this way.
    fn command(&self, way: Way, host: &str) -> Command {
        let login = self.directory.path().join("login");
        let mut command = command(&self.home());
        command
            .env("DOCKER_CONFIG", &login)
            .env("RUST_LOG", "trace");
        let config = match way {
            Way::Given => {
                command.env("WHARF_AUTH", format!("{host}=me:hidden"));
                "{}".to_owned()
            }
            // base64 of me:hidden.
            Way::File => format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6aGlkZGVu"}}}}}}"#),
            Way::Refresh => {
                format!(r#"{{"auths":{{"{host}":{{"identitytoken":"identity"}}}}}}"#)
            }
            Way::Helper => {
                let path = std::env::var("PATH").unwrap();
                command.env("PATH", format!("{}:{path}", login.display()));
                helper(&login);
                r#"{"credsStore":"test"}"#.to_owned()
            }
        };
        fs::write(login.join("config.json"), config).unwrap();
        command
    }

    fn push(&self, way: Way, repository: &str, flags: &[&str]) -> Run {
        let (host, _) = repository.split_once('/').unwrap();
        let mut command = self.command(way, host);
        command.arg("push").args(flags).arg(&self.layout);
        let output = command.arg(format!("{repository}:1")).output().unwrap();
        ran(output)
    }
}

fn helper(directory: &Path) {
    let path = directory.join("docker-credential-test");
    let script = "#!/bin/sh\ncat > /dev/null\necho '{\"Username\":\"me\",\"Secret\":\"hidden\"}'\n";
    executable(&path, script);
}

/// All secrets: what was sent to the registry, and the state of its sessions.
fn secrets(proxy: &RecordingProxy) -> BTreeSet<String> {
    let mut secrets: BTreeSet<String> = ["hidden", "identity", "bWU6aGlkZGVu"]
        .map(str::to_owned)
        .into();
    for request in proxy.requests() {
        let shown = request.headers.get("authorization");
        let shown = shown.and_then(|value| value.to_str().ok()?.split_once(' '));
        secrets.extend(shown.map(|(_, secret)| secret.to_owned()));
        let state = request.target.split(['?', '&']);
        let state = state.filter_map(|pair| pair.strip_prefix("_state="));
        secrets.extend(state.map(str::to_owned));
    }
    secrets
}

/// Fails if one of them is in `text`.
fn hides(secrets: &BTreeSet<String>, what: &str, text: &str) {
    for secret in secrets {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{what} tells {secret}");
    }
}

/// The files below a directory, except notes of sessions, with their text.
fn kept(home: &Path) -> Vec<(PathBuf, String)> {
    let files = files_below(home).into_keys();
    let read = files.map(|file| {
        let bytes = fs::read(home.join(&file)).unwrap();
        (file, String::from_utf8_lossy(&bytes).into_owned())
    });
    read.filter(|(file, _)| !file.iter().any(|part| part == "sessions"))
        .collect()
}

fn pushed_in_all_ways(registry: &DockerRegistry, ways: &[Way]) {
    for way in ways {
        let (place, proxy) = (Place::new(), RecordingProxy::start(registry.address()));
        for flags in [&["-vvv"][..], &["-vvv", "--progress", "json", "--stats"]] {
            let repository = format!("{}/{way:?}{}", proxy.address(), proxy.requests().len());
            let repository = repository.to_lowercase();
            let run = place.push(*way, &repository, flags);
            assert_eq!(run.code, 0, "{way:?}: {}", run.stderr);
            let secrets = secrets(&proxy);
            // Three that are known, and the states of two sessions.
            assert!(secrets.len() >= 5, "{way:?}: {secrets:?}");
            hides(&secrets, "standard output", &run.stdout);
            hides(&secrets, "standard error", &run.stderr);
            for (file, text) in kept(&place.home()) {
                hides(&secrets, &file.display().to_string(), &text);
            }
            assert!(run.stderr.contains("answer method=PUT"), "{}", run.stderr);
        }
        assert!(!kept(&place.home()).is_empty(), "nothing was remembered");
    }
}

#[test]
fn p3_nothing_that_opens_a_registry_is_said_or_kept() {
    let tokens = TokenServer::start(Duration::from_secs(60));
    let all = [Way::Given, Way::File, Way::Refresh, Way::Helper];
    if let Some(registry) = DockerRegistry::start_with(&tokens.auth()) {
        pushed_in_all_ways(&registry, &all);
    }
    if let Some(registry) = DockerRegistry::start_with(&RegistryAuth::Basic) {
        pushed_in_all_ways(&registry, &[Way::Given, Way::File, Way::Helper]);
    }
}

#[test]
fn p3_what_goes_wrong_is_told_without_secrets_too() {
    let tokens = TokenServer::start(Duration::from_secs(60));
    let Some(registry) = DockerRegistry::start_with(&tokens.auth()) else {
        return;
    };
    let proxy = RecordingProxy::start(registry.address());
    let (repository, place) = (format!("{}/a/b", proxy.address()), Place::new());
    for way in [Way::File, Way::Refresh, Way::Helper] {
        // Every try is cut off.
        (0..20).for_each(|_| proxy.fail_connection_after(30_000));
        let flags = [
            "-vvv",
            "--progress",
            "json",
            "--retries",
            "1",
            "--retry-wait",
            "1ms",
        ];
        let run = place.push(way, &repository, &flags);
        assert_eq!(run.code, 5, "{way:?}: {}", run.stderr);
        let secrets = secrets(&proxy);
        hides(&secrets, "standard error", &run.stderr);
        assert!(
            run.stderr.contains("\"event\":\"failed\""),
            "{}",
            run.stderr
        );
        for (file, text) in kept(&place.home()) {
            hides(&secrets, &file.display().to_string(), &text);
        }
    }
}

#[test]
fn u6_notes_of_sessions_are_for_their_owner_only() {
    let scene = Scene::new(&[8 << 20]);
    let (served, _) = scene.registry();
    let proxy = RecordingProxy::start(served.address);
    let repository = format!("{}/app", proxy.address());
    scene.config_first(&repository);
    proxy.hold_after(5 << 20);
    let mut push = scene.push(&[], &[&format!("{repository}:1")]);
    let child = push
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until_held(&proxy);
    kill(child);
    let notes = scene.notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    let sessions = scene.home().join(".cache/wharf/sessions");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&sessions.join(&notes[0])), 0o600);
    assert_eq!(mode(&sessions), 0o700);
}
