//! `wharf auth`, and credentials of other tools, against real registries that require them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use wharf_testkit::process::executable;
use wharf_testkit::{
    Answer, DockerRegistry, FaultServer, LayerSpec, LayoutFixture, RecordedRequest, RecordingProxy,
    RegistryAuth, Script, Skopeo, TokenServer, push_registry, seeded_bytes,
};

use crate::common::{Run, command, done, is_failure, piped, text, wharf};

fn layout(home: &Path) -> String {
    let mut layout = LayoutFixture::new(home.join("layout"));
    layout.image(Some("1.0"), &[LayerSpec::random(1, 70_000)]);
    text(layout.directory()).to_owned()
}

/// Registries that require `me` and `hidden`: one by password, one by token.
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
    piped(home, &arguments, b"hidden\n")
}

#[test]
fn a1_push_works_after_login_and_not_after_logout() {
    for (registry, _tokens) in registries() {
        let home = tempfile::tempdir().unwrap();
        let host = registry.address().to_string();
        let (path, reference) = (layout(home.path()), format!("{host}/a/b"));
        let refused = wharf(home.path(), &["push", &path, &reference]);
        assert_eq!(refused.code, 4);
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
        assert_eq!(login.stderr, format!("logged in via {}\n", file.display()));
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        done(home.path(), &["push", &path, &reference]);

        let got = done(home.path(), &["auth", "get", &host]);
        assert_eq!(got.stdout, "{\"Username\":\"me\",\"Secret\":\"hidden\"}\n");
        done(home.path(), &["auth", "logout", &host]);
        let gone = piped(
            home.path(),
            &["auth", "get"],
            format!("{host}\n").as_bytes(),
        );
        assert_eq!(gone.code, 3);
        assert_eq!(gone.stdout, "credentials not found in native keychain\n");
        // Anonymous access may see that the image is there, but not push.
        let other = format!("{host}/other");
        assert_eq!(wharf(home.path(), &["push", &path, &other]).code, 4);
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
        assert_eq!(run.code, 4, "{}", run.stderr);
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
            .args(["push", &path, &format!("{host}/a/b:1.0")])
            .output()
            .unwrap();
        assert!(pushed.status.success(), "{pushed:?}");

        assert_eq!(log_in(home.path(), &host).code, 0);
        let ours = home.path().join(".docker/config.json");
        let copied = skopeo.run(&[
            "copy",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            "--authfile",
            text(&ours),
            &format!("docker://{host}/a/b:1.0"),
            &format!("docker://{host}/copied:1.0"),
        ]);
        assert!(copied.status.success(), "{copied:?}");
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
        let (mine, wrong) = (format!("{host}=me:hidden"), format!("{host}=me:wrong"));
        let (path, reference) = (layout(home.path()), format!("{host}/a/b:2"));
        let push = |creds: &str| {
            let mut command = command(home.path());
            command.env("WHARF_AUTH", &wrong);
            command.args(["push", "--creds", creds, &path, &reference]);
            command.output().unwrap()
        };
        let refused = push(&wrong);
        let words = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(4), "{words}");
        assert!(
            words.contains("the credentials from --creds")
                && words.contains("(are user name and password right?)"),
            "{words}"
        );
        let pushed = push(&mine);
        assert!(pushed.status.success(), "{pushed:?}");
    }
}

#[test]
fn a_file_of_credentials_may_be_named_and_is_then_the_only_one() {
    for (registry, _tokens) in registries() {
        let home = tempfile::tempdir().unwrap();
        let host = registry.address().to_string();
        let file = home.path().join("own/auth.json");
        let file = text(&file);
        let (path, reference) = (layout(home.path()), format!("{host}/a/b"));
        let tags = std::cell::Cell::new(0);
        // A new tag needs more than read access.
        let push = |more: &[&str]| {
            tags.set(tags.get() + 1);
            let reference = format!("{reference}:{}", tags.get());
            wharf(home.path(), &[&["push", &path, &reference], more].concat())
        };
        let absent = push(&["--auth-file", file]);
        assert_eq!(absent.code, 3, "{absent:?}");
        let expected = format!("wharf: {file}: no such file or directory\n");
        assert_eq!(absent.stderr, expected);

        let arguments = [
            "auth",
            "login",
            "--auth-file",
            file,
            "-u",
            "me",
            "--password-stdin",
            &host,
        ];
        let run = piped(home.path(), &arguments, b"hidden\n");
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stderr.contains(file), "{run:?}");
        assert_eq!(push(&["--auth-file", file]).code, 0);
        assert_eq!(push(&["--authfile", file]).code, 0);
        // Nothing was written where other tools look.
        let refused = push(&[]);
        assert_eq!(refused.code, 4, "{refused:?}");
        assert!(refused.stderr.contains("401"), "{refused:?}");

        // Credentials in other places are not used.
        assert_eq!(log_in(home.path(), &host).code, 0);
        assert_eq!(push(&[]).code, 0);
        let out = ["auth", "logout", "--auth-file", file, &host];
        assert_eq!(wharf(home.path(), &out).code, 0);
        let refused = push(&["--auth-file", file]);
        assert_eq!(refused.code, 4, "{refused:?}");
        assert!(refused.stderr.contains(file), "{refused:?}");
        assert_eq!(push(&[]).code, 0);
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
    assert!(!run.stdout.contains('\n'), "{}", run.stdout);
    let mounts = format!("{base},{host}/other");
    done(
        home.path(),
        &["auth", "token", "-m", &mounts, "-m", &app, &app],
    );
    let asked = tokens.requests().pop().unwrap().target;
    for scope in ["base%2Fimage%3Apull", "repository%3Aother%3Apull"] {
        assert!(asked.contains(scope), "{asked}");
    }
    let run = done(home.path(), &["auth", "token", &app]);
    assert!(
        run.stdout.starts_with("{\"token\":\"")
            && run
                .stdout
                .ends_with("\",\"refresh_token\":\"\",\"expires_in\":60}\n"),
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
fn a_token_is_printed_with_all_that_its_server_says() {
    let home = tempfile::tempdir().unwrap();
    for (answer, json, token) in [
        (
            r#"{"access_token":"a","expires_in":"300"}"#,
            r#"{"token":"a","access_token":"a","refresh_token":"","expires_in":300}"#,
            "a",
        ),
        (
            r#"{"token":"t","access_token":"a","refresh_token":"r","scope":"x"}"#,
            r#"{"token":"t","access_token":"a","refresh_token":"r","expires_in":0}"#,
            "t",
        ),
    ] {
        let granting =
            FaultServer::start(Script::new().on("*", "/token", [Answer::status(200).body(answer)]));
        let wants = format!("Bearer realm=\"{}/token\",service=\"s\"", granting.base());
        let wants = Answer::status(401).header("WWW-Authenticate", &wants);
        let server = FaultServer::start(Script::new().on("*", "*", [wants]));
        let app = format!("{}/app", server.address());
        let run = done(home.path(), &["auth", "token", &app]);
        assert_eq!(run.stdout, format!("{json}\n"));
        let run = done(home.path(), &["auth", "token", "-H", &app]);
        assert_eq!(run.stdout, format!("Authorization: Bearer {token}"));
    }
}

#[test]
fn a_registry_without_tokens_has_none_to_print() {
    let home = tempfile::tempdir().unwrap();
    let wants = Answer::status(401).header("WWW-Authenticate", "Basic");
    let server = FaultServer::start(Script::new().on("*", "*", [wants]));
    let host = server.address().to_string();
    for flags in [&["auth", "token"][..], &["auth", "token", "-H"]] {
        let mut token = command(home.path());
        token.env("WHARF_AUTH", format!("{host}=me:hidden"));
        let output = token.args(flags).arg(format!("{host}/app")).output();
        let output = output.unwrap();
        assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("a password, not a token"), "{said}");
        assert!(!said.contains("hidden"), "{said}");
    }
    let open = FaultServer::start(Script::new().on("*", "*", [Answer::status(200)]));
    let app = format!("{}/app", open.address());
    let run = wharf(home.path(), &["auth", "token", &app]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
}

/// The least time of the push below, in seconds: several token lifetimes. Set the variable for a
/// longer run.
fn slowness() -> u32 {
    let said = std::env::var("WHARF_TEST_SLOW_SECONDS").ok();
    said.map_or(8, |seconds| seconds.parse().unwrap())
}

#[test]
fn a2_a_push_outlives_its_tokens_many_times() {
    const LIFE: u32 = 2;
    // Much more than one read, which passes without delay.
    const PACE: u32 = 2_000_000;
    let tokens = TokenServer::start(Duration::from_secs(LIFE.into()));
    let Some(registry) = DockerRegistry::start_with(&tokens.auth()) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let proxy = RecordingProxy::start(registry.address());
    let (seconds, host) = (slowness(), proxy.address().to_string());
    // One blob per second, one after the other, and a last one that takes longer than a token's
    // lifetime.
    let sizes = std::iter::repeat_n(1, seconds as usize - 3).chain([3]);
    let specs = (0..).zip(sizes).map(|(seed, long): (u64, u32)| {
        LayerSpec::bytes(
            "application/vnd.oci.image.layer.v1.tar",
            &seeded_bytes(seed, (PACE * long) as usize),
        )
    });
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    layout.image(Some("1.0"), &specs.collect::<Vec<_>>());
    assert_eq!(log_in(home.path(), &host).code, 0);
    let before = tokens.requests().len();
    proxy.pace(PACE.into());
    let reference = format!("{host}/a/b:1.0");
    let run = done(
        home.path(),
        &["push", "--jobs", "1", text(layout.directory()), &reference],
    );
    assert!(run.stdout.starts_with(&host), "{run:?}");
    let asked = tokens.requests().len() - before;
    assert!(
        asked as u32 >= seconds / LIFE - 1,
        "{asked} tokens in {seconds} s"
    );
    // Tokens are replaced before they expire: almost no request is refused.
    let refused = proxy
        .requests()
        .into_iter()
        .filter(|request| request.status == Some(401));
    let refused = refused.map(|request| request.line()).collect::<Vec<_>>();
    assert!(refused.len() <= 2 + asked, "{refused:?}");
}

#[test]
fn rule_10_logins_of_many_processes_lose_nothing_and_keep_what_is_there() {
    let wants = Answer::status(401).header("WWW-Authenticate", "Basic");
    let bare = |request: &RecordedRequest| request.header("authorization").is_none();
    let script = || {
        Script::new()
            .on("GET", "/v2/", [Answer::status(200)])
            .on_when("*", "*", bare, [wants.clone()])
    };
    let servers: Vec<FaultServer> = (0..10).map(|_| FaultServer::start(script())).collect();
    let home = tempfile::tempdir().unwrap();
    let (docker, kept) = (home.path().join(".docker"), home.path().join("kept.json"));
    fs::create_dir(&docker).unwrap();
    fs::write(
        &kept,
        r#"{"psFormat":"x","auths":{"old.example":{"auth":"bzpw","new":[1]}}}"#,
    )
    .unwrap();
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o644)).unwrap();
    let file = docker.join("config.json");
    std::os::unix::fs::symlink(&kept, &file).unwrap();
    let runs: Vec<_> = servers
        .iter()
        .map(|server| {
            let host = server.address().to_string();
            let mut login = command(home.path());
            login.args(["auth", "login", "-u", "me", "-p", "hidden", &host]);
            login.stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    for server in &servers {
        let host = format!("{}\n", server.address());
        let got = piped(home.path(), &["auth", "get"], host.as_bytes());
        assert_eq!(
            got.stdout, "{\"Username\":\"me\",\"Secret\":\"hidden\"}\n",
            "{got:?}"
        );
    }
    assert!(fs::symlink_metadata(&file).unwrap().is_symlink());
    let text = fs::read_to_string(&kept).unwrap();
    for part in [
        r#""psFormat": "x""#,
        r#""old.example": {"auth":"bzpw","new":[1]}"#,
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(
        fs::metadata(&kept).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_login_that_cannot_be_kept_is_told_in_one_line() {
    let server = FaultServer::start(Script::new().on("*", "*", [Answer::status(200)]));
    let home = tempfile::tempdir().unwrap();
    let closed = home.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let host = server.address().to_string();
    let not_one = format!("{}: not a directory", file.display());
    for (place, why) in [(&closed, "permission denied"), (&file, &not_one)] {
        if fs::write(place.join("probe"), "").is_ok() {
            // The superuser may write anywhere.
            continue;
        }
        let mut login = command(home.path());
        login.env("DOCKER_CONFIG", place);
        login.args(["auth", "login", "-u", "me", "-p", "hidden", &host]);
        let output = login.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(7), "{said}");
        let expected = format!("wharf: {}: {why}\n", place.join("config.json").display());
        assert_eq!(said, expected);
    }
}

#[test]
fn a_helper_is_asked_once_for_each_host_and_quoted_when_it_fails() {
    let wants = Answer::status(401).header("WWW-Authenticate", "Basic");
    let bare = |request: &RecordedRequest| request.header("authorization").is_none();
    let script = || push_registry().on_when("*", "*", bare, [wants.clone()]);
    let servers = [FaultServer::start(script()), FaultServer::start(script())];
    let home = tempfile::tempdir().unwrap();
    let docker = home.path().join(".docker");
    fs::create_dir(&docker).unwrap();
    fs::write(docker.join("config.json"), r#"{"credsStore":"test"}"#).unwrap();
    let push = |script: &str| {
        let helper = home.path().join("docker-credential-test");
        executable(&helper, &format!("#!/bin/sh\n{script}\n"));
        let mut push = command(home.path());
        let path = format!(
            "{}:{}",
            home.path().display(),
            std::env::var("PATH").unwrap()
        );
        push.env("PATH", path)
            .args(["push", "--no-cache", &layout(home.path())]);
        for server in &servers {
            push.arg(format!("{}/a:1", server.address()));
            push.arg(format!("{}/b:1", server.address()));
        }
        push.output().unwrap()
    };
    let log = home.path().join("log");
    let pushed = push(&format!(
        "echo $1 $(cat) >> {}\necho '{{\"Username\":\"me\",\"Secret\":\"hidden\"}}'",
        log.display()
    ));
    assert!(pushed.status.success(), "{pushed:?}");
    let log = fs::read_to_string(log).unwrap();
    let mut asked: Vec<&str> = log.lines().collect();
    asked.sort_unstable();
    let mut expected = servers
        .each_ref()
        .map(|server| format!("get {}", server.address()));
    expected.sort();
    assert_eq!(asked, expected);
    for (script, why) in [
        (
            "echo 'the vault is locked'; exit 1",
            ": the vault is locked",
        ),
        ("yes hidden", ": printed more than 65536 bytes"),
        ("echo hidden", ": it printed no credential"),
    ] {
        let failed = push(script);
        let said = String::from_utf8(failed.stderr).unwrap();
        assert!(is_failure(failed.status.code().unwrap()), "{said}");
        assert!(
            said.lines()
                .all(|line| line.contains("docker-credential-test")),
            "{said}"
        );
        assert!(said.lines().all(|line| line.contains(why)), "{said}");
        assert!(!said.contains("hidden"), "{said}");
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
    assert_eq!((run.code, run.stdout.as_str()), (7, ""));
    assert!(run.stderr.contains("HOST"), "{}", run.stderr);
}
