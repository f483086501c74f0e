//! Signals, and sources that turn out wrong, in the middle of a push: it ends at once, and the next
//! run sends what is missing. After a signal large uploads stay, and nothing else.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wharf_testkit::{
    Answer, DockerRegistry, FaultServer, RecordingProxy, Script, files_below, push_registry,
};

use crate::common::pushes::{
    MIB, Scene, interrupt, sessions, signal, stop, until, until_held, uploaded, uploads,
};
use crate::common::wire::fetch;
use crate::common::{Run, Served, command, done, ran, wharf};

/// The goal is one second; a busy machine gets more.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Neither sessions nor notes of them, nor temporary files.
fn nothing_is_left(scene: &Scene, disk: &Path) {
    // The registry ends a single request itself, when it sees that the client is gone.
    until("sessions are gone", || sessions(disk).is_empty());
    assert_eq!(scene.notes(), Vec::<PathBuf>::new());
    assert_eq!(scene.temporary(), Vec::<PathBuf>::new());
}

/// What a push says that was stopped before it moved a tag.
const GO_ON: &str = "wharf: interrupted; no tag was moved; run it again to go on\n";

/// A push of the image in `scene`, held after `passing` bodies and `bytes` of the next.
struct Held {
    scene: Scene,
    proxy: RecordingProxy,
    reference: String,
    disk: PathBuf,
    _served: Served,
}

impl Held {
    fn new(scene: Scene, passing: usize, bytes: u64) -> Self {
        let (served, disk) = scene.registry();
        let proxy = RecordingProxy::start(served.address);
        let repository = format!("{}/app", proxy.address());
        scene.config_first(&repository);
        proxy.forget();
        proxy.hold_later(passing, bytes);
        let reference = format!("{repository}:1");
        Held {
            scene,
            proxy,
            reference,
            disk,
            _served: served,
        }
    }

    /// Starts `command`, waits until it is held, and stops it. Returns the bytes that passed.
    fn stopped(&self, mut command: Command, name: &str, code: i32) -> (Run, u64) {
        let before = self.proxy.held();
        let child = command.spawn().unwrap();
        until("a request is held", || self.proxy.held() > before);
        let start = Instant::now();
        let run = stop(child, name);
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{run:?}");
        let passed = uploaded(&self.proxy);
        self.proxy.forget();
        (run, passed)
    }

    /// Pushes again, to the end, and returns the bytes that passed.
    fn push_again(&self, flags: &[&str]) -> u64 {
        self.scene.pushed(flags, &[&self.reference]);
        let sent = uploaded(&self.proxy);
        self.scene.is_whole_at(&self.reference);
        nothing_is_left(&self.scene, &self.disk);
        sent
    }
}

/// Whether `sent` is the `missing` bytes, and at most a few that were on their way when the
/// connection broke.
fn is_rest(sent: u64, missing: u64) {
    let rest = missing..=missing + MIB;
    assert!(rest.contains(&sent), "{sent} bytes for {missing}");
}

/// Makes the process of `command` treat SIGHUP in this way, whatever the tests inherited.
fn with_hang_up(how: &str, command: &Command) -> Command {
    let mut with = Command::new("env");
    with.arg(format!("--{how}-signal=HUP"));
    with.arg(command.get_program()).args(command.get_args());
    let set = |(name, value): (_, Option<_>)| Some((name, value?));
    with.envs(command.get_envs().filter_map(set));
    with.stdout(Stdio::piped()).stderr(Stdio::piped());
    with
}

fn goes_on(flags: &[&str], passing: usize, name: &str, code: i32) {
    let held = Held::new(Scene::new(&[20 * MIB, 20 * MIB]), passing, 9 * MIB);
    let push = held.scene.push(flags, &[&held.reference]);
    let push = with_hang_up("default", &push);
    let (run, passed) = held.stopped(push, name, code);
    assert_eq!(run.stderr, GO_ON);
    assert_eq!(held.scene.notes().len(), 1);
    assert_eq!(held.scene.temporary(), Vec::<PathBuf>::new());
    is_rest(held.push_again(flags), held.scene.layers() - passed);
}

#[test]
fn fault_b13_a_push_that_is_interrupted_goes_on_where_it_stopped() {
    goes_on(&["--jobs", "1"], 0, "INT", 130);
}

#[test]
fn fault_b13_a_push_that_is_terminated_goes_on_where_it_stopped() {
    goes_on(&["--jobs", "1"], 1, "TERM", 143);
}

#[test]
fn fault_c7_a_push_whose_terminal_is_closed_goes_on_where_it_stopped() {
    goes_on(&["--jobs", "1"], 0, "HUP", 129);
}

#[test]
fn fault_c7_a_push_that_is_to_outlive_its_terminal_does() {
    let held = Held::new(Scene::new(&[20 * MIB]), 0, 9 * MIB);
    let push = held.scene.push(&[], &[&held.reference]);
    let child = with_hang_up("ignore", &push).spawn().unwrap();
    until_held(&held.proxy);
    signal(&child, "HUP");
    assert_eq!(stop(child, "TERM").code, 143);
}

#[test]
fn fault_c7_a_registry_whose_terminal_is_closed_ends_well() {
    let home = tempfile::tempdir().unwrap();
    let mut serve = command(home.path());
    serve.args(["registry", "serve", "--address", "127.0.0.1:0"]);
    let mut child = with_hang_up("default", &serve).spawn().unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("serving "), "{line}");
    assert_eq!(stop(child, "HUP").code, 0);
}

#[test]
fn fault_b13_chunks_that_arrived_before_a_signal_are_not_sent_again() {
    let held = Held::new(Scene::new(&[20 * MIB]), 2, 3 * MIB);
    let flags = ["--chunk-size", "4Mi", "--jobs", "1"];
    let push = held.scene.push(&flags, &[&held.reference]);
    let (run, passed) = held.stopped(push, "INT", 130);
    assert_eq!((run.stderr.as_str(), passed), (GO_ON, 11 * MIB));
    is_rest(held.push_again(&flags), held.scene.layers() - passed);
}

#[test]
fn fault_b13_several_signals_lose_nothing() {
    let held = Held::new(Scene::new(&[20 * MIB]), 0, 9 * MIB);
    let push = held.scene.push(&[], &[&held.reference]);
    let child = spawned(push);
    until_held(&held.proxy);
    for name in ["TERM", "INT"] {
        signal(&child, name);
    }
    let run = stop(child, "TERM");
    assert!([130, 143].contains(&run.code), "{run:?}");
    assert_eq!(run.stderr, GO_ON);
    held.proxy.forget();
    is_rest(held.push_again(&[]), held.scene.layers() - 9 * MIB);
}

fn spawned(mut command: Command) -> Child {
    command.spawn().unwrap()
}

#[test]
fn fault_b13_a_small_blob_of_a_push_that_is_interrupted_leaves_nothing() {
    let held = Held::new(Scene::new(&[3 * MIB]), 0, 2 * MIB);
    let push = held.scene.push(&[], &[&held.reference]);
    let (run, _) = held.stopped(push, "INT", 130);
    assert_eq!(run.stderr, GO_ON);
    nothing_is_left(&held.scene, &held.disk);
    assert_eq!(held.push_again(&[]), held.scene.layers());
}

#[test]
fn fault_b13_a_push_that_waits_to_try_again_goes_on_when_it_was_interrupted() {
    let held = Held::new(Scene::new(&[20 * MIB]), 99, 0);
    for _ in 0..2 {
        held.proxy.fail_connection_after(3 * MIB);
    }
    // Then nothing arrives any more, so that the push is still waiting when the signal comes.
    for _ in 0..99 {
        held.proxy.fail_connection_after(0);
    }
    let flags = ["--retries", "99"];
    let mut push = held.scene.push(&flags, &[&held.reference]);
    let child = push.spawn().unwrap();
    until("a connection is cut twice", || {
        uploaded(&held.proxy) >= 6 * MIB
    });
    let start = Instant::now();
    let run = interrupt(child);
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert_eq!((run.code, run.stderr.as_str()), (130, GO_ON), "{run:?}");
    assert_eq!(held.scene.notes().len(), 1);
    let passed = uploaded(&held.proxy);
    held.proxy.forget();
    held.proxy.heal();
    held.scene.pushed(&flags, &[&held.reference]);
    let asked = uploads(&held.proxy).find(|request| request.method == "GET");
    assert!(asked.is_some_and(|asked| asked.status == Some(204)));
    assert!(passed >= 6 * MIB);
    assert!(uploaded(&held.proxy) <= 14 * MIB + MIB / 2);
    held.scene.is_whole_at(&held.reference);
    nothing_is_left(&held.scene, &held.disk);
}

#[test]
fn fault_b13_a_layer_that_is_compressed_goes_on_where_it_was_interrupted() {
    let scene = Scene::new(&[MIB]);
    let held = Held::new(scene, 0, 13 * MIB + 5);
    let push = held.scene.push_archive(20 * MIB, &held.reference);
    let (run, passed) = held.stopped(push, "INT", 130);
    assert_eq!(run.stderr, GO_ON);
    assert_eq!(held.scene.notes().len(), 1);
    let mut push = held.scene.push_archive(20 * MIB, &held.reference);
    let run = ran(push.output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    // The rest of the layer, with what compression adds to it, and the config.
    let (sent, rest) = (uploaded(&held.proxy), 20 * MIB - passed);
    assert!((rest..rest + MIB / 2).contains(&sent), "{sent}");
    nothing_is_left(&held.scene, &held.disk);
}

#[test]
fn fault_b13_a_blob_says_whether_it_can_go_on() {
    let held = Held::new(Scene::new(&[20 * MIB]), 0, 9 * MIB);
    let repository = held.reference.trim_end_matches(":1").to_owned();
    let file = held.scene.layout.blob_path(&held.scene.image.layers[0].0);
    let push = |file: &str| {
        let mut push = command(held.scene.home());
        push.args(["blob", "push", "-q", &repository, file]);
        push.stdout(Stdio::piped()).stderr(Stdio::piped());
        push
    };
    let (run, passed) = held.stopped(push(file.to_str().unwrap()), "INT", 130);
    assert_eq!(run.stderr, "wharf: interrupted; run it again to go on\n");
    assert_eq!(held.scene.notes().len(), 1);
    is_rest(held.push_again(&[]), held.scene.layers() - passed);

    // Of a pipe nothing is known beforehand, so that nothing can be continued.
    held.proxy.forget();
    held.proxy.hold_after(9 * MIB);
    let mut piped = push("-");
    piped.stdin(File::open(&file).unwrap());
    let (run, _) = held.stopped(piped, "INT", 130);
    let anew = "wharf: interrupted; nothing was kept; run it again to start over\n";
    assert_eq!(run.stderr, anew);
    nothing_is_left(&held.scene, &held.disk);
}

#[test]
fn fault_b13_a_copy_between_registries_goes_on_where_it_was_interrupted() {
    let held = Held::new(Scene::new(&[20 * MIB]), 99, 0);
    held.scene.pushed(&[], &[&held.reference]);
    let other = Served::start(&held.scene.home().join("other"));
    let proxy = RecordingProxy::start(other.address);
    proxy.hold_after(9 * MIB);
    let to = format!("{}/app:1", proxy.address());
    let copy = || {
        let mut copy = command(held.scene.home());
        copy.args(["copy", "-q", &held.reference, &to]);
        copy.stdout(Stdio::piped()).stderr(Stdio::piped());
        copy
    };
    let child = copy().spawn().unwrap();
    until_held(&proxy);
    let run = interrupt(child);
    assert_eq!((run.code, run.stderr.as_str()), (130, GO_ON), "{run:?}");
    let passed = uploaded(&proxy);
    proxy.forget();
    let run = ran(copy().output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    let config = held.scene.layout.read(&held.scene.image.config_digest);
    let all = held.scene.layers() + config.len() as u64;
    is_rest(uploaded(&proxy), all - passed);
}

#[test]
fn fault_b13_a_pull_keeps_the_blobs_that_arrived() {
    let held = Held::new(Scene::new(&[5 * MIB, 6 * MIB]), 99, 0);
    held.scene.pushed(&[], &[&held.reference]);
    let out = held.scene.home().join("out");
    let second = held.scene.image.layers[0].0.clone();
    let upstream = held.proxy.address();
    let never = Answer::hang();
    let script = Script::new().on("*", "*", [forwarded(upstream)]).on(
        "GET",
        &format!("*/blobs/{second}"),
        [never],
    );
    let server = FaultServer::start(script);
    let from = format!("{}/app:1", server.address());
    let mut copy = command(held.scene.home());
    copy.args(["copy", "-q", &from, &format!("oci:{}", out.display())]);
    let child = copy.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let first = held.scene.image.layers[1].0.replace(':', "/");
    until("a blob arrived", || out.join("blobs").join(&first).exists());
    let run = stop(child.unwrap(), "TERM");
    assert_eq!((run.code, run.stderr.as_str()), (143, GO_ON), "{run:?}");
    assert!(out.join("blobs").join(&first).exists());
}

/// Answers as the registry at `upstream` does.
fn forwarded(upstream: SocketAddr) -> Answer {
    Answer::from_fn(move |request| {
        let fetched = fetch(upstream, request.path());
        let kind = fetched
            .header("content-type")
            .unwrap_or_default()
            .to_owned();
        let answer = Answer::status(fetched.status).header("Content-Type", &kind);
        match fetched.header("docker-content-digest") {
            Some(digest) => answer.header("Docker-Content-Digest", digest),
            None => answer,
        }
        .body(fetched.body.clone())
    })
}

#[test]
fn fault_b13_tags_that_moved_before_a_signal_are_named() {
    let scene = Scene::new(&[MIB]);
    let (served, _) = scene.registry();
    let silent = push_registry().on("PUT", "*/manifests/*", [Answer::hang()]);
    let silent = FaultServer::start(silent);
    let one = format!("{}/app:1", served.address);
    let two = format!("{}/app:1", silent.address());
    let mut push = command(scene.home());
    push.args(["push", "--progress", "plain"]);
    push.arg(scene.layout.directory()).args([&one, &two]);
    push.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = push.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let moved =
        |line: &String| line.starts_with(one.trim_end_matches(":1")) && line.contains("manifest");
    assert!(stderr.any(|line| moved(&line.unwrap())));
    until("the other is asked for its tag", || {
        let lines = silent.lines();
        lines
            .iter()
            .any(|line| line.starts_with("PUT /v2/app/manifests"))
    });
    assert_eq!(stop(child, "INT").code, 130);
    let last = stderr.map(Result::unwrap).last().unwrap();
    let said = format!("moved: {one}; may have been moved: {two}; run it again to go on");
    assert_eq!(last, format!("wharf: interrupted; {said}"));
}

#[test]
fn fault_b13_the_line_comes_though_the_registry_hangs() {
    let scene = Scene::new(&[MIB]);
    for (method, path) in [
        ("HEAD", "*"),
        ("POST", "*"),
        ("PUT", "/v2/app/blobs/uploads/*"),
        ("DELETE", "*"),
    ] {
        let script = push_registry()
            .on("PUT", "/v2/app/blobs/uploads/*", [Answer::hang()])
            .on(method, path, [Answer::hang()]);
        let server = FaultServer::start(script);
        let reference = format!("{}/app:1", server.address());
        let mut push = scene.push(&[], &[&reference]);
        let child = push.spawn().unwrap();
        let awaited = match method {
            "DELETE" => "PUT",
            other => other,
        };
        until("the registry is asked", || {
            server.lines().iter().any(|line| line.starts_with(awaited))
        });
        let start = Instant::now();
        let run = interrupt(child);
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
        assert_eq!((run.code, run.stderr.as_str()), (130, GO_ON), "{run:?}");
    }
}

#[test]
fn fault_b13_other_commands_say_what_is_true_of_them() {
    let scene = Scene::new(&[MIB]);
    let layout = scene.layout.directory().to_str().unwrap();
    let manifest = scene.layout.blob_path(&scene.image.manifest_digest);
    let server = FaultServer::start(Script::new().on("*", "*", [Answer::hang()]));
    let reference = format!("{}/app:1", server.address());
    let repository = reference.trim_end_matches(":1");
    let doubt = "some of it may have been done";
    let lines: [(&[&str], &str); 6] = [
        (&["tag", &reference, "2"], doubt),
        (&["delete", &reference], doubt),
        (
            &["manifest", "put", &reference, manifest.to_str().unwrap()],
            doubt,
        ),
        (
            &["push", "--dry-run", layout, &reference],
            "nothing was changed",
        ),
        (&["auth", "token", repository], "nothing was changed"),
        (
            &["blob", "push", repository, layout, "--compress", "gzip"],
            "nothing was kept; run it again to start over",
        ),
    ];
    for (line, expected) in lines {
        let before = server.lines().len();
        let mut command = command(scene.home());
        command
            .args(line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        until("the registry is asked", || server.lines().len() > before);
        let run = stop(child, "TERM");
        assert_eq!(run.code, 143, "{line:?}: {run:?}");
        let expected = format!("wharf: interrupted; {expected}\n");
        assert_eq!(run.stderr, expected, "{line:?}");
    }
}

#[test]
fn fault_c14_a_signal_is_an_object_too() {
    let held = Held::new(Scene::new(&[20 * MIB]), 0, 9 * MIB);
    let mut push = command(held.scene.home());
    push.args(["push", "--progress", "json"]);
    push.arg(held.scene.layout.directory()).arg(&held.reference);
    push.stdout(Stdio::piped()).stderr(Stdio::piped());
    let (run, _) = held.stopped(push, "TERM", 143);
    let read = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let lines: Vec<serde_json::Value> = run.stderr.lines().map(read).collect();
    let last = &lines[lines.len() - 1];
    assert_eq!(
        (&last["event"], &last["signal"]),
        (&"failed".into(), &"TERM".into())
    );
    let line = last["error"].as_str().unwrap();
    assert_eq!(format!("wharf: {line}\n"), GO_ON);
}

/// Interrupts a chunked push to the reference registry after two chunks and this many bytes of the
/// third. Returns the bytes of the layer, and those that a second push sends.
fn interrupted_at_reference(bytes: u64) -> Option<(u64, u64)> {
    let registry = DockerRegistry::start()?;
    let scene = Scene::new(&[20 * MIB]);
    let proxy = RecordingProxy::start(registry.address());
    let repository = format!("{}/app", proxy.address());
    scene.config_first(&repository);
    proxy.forget();
    proxy.hold_later(2, bytes);
    let (flags, reference) = (["--chunk-size", "4Mi"], format!("{repository}:1"));
    let mut push = scene.push(&flags, &[&reference]);
    let child = push.spawn().unwrap();
    until_held(&proxy);
    let run = interrupt(child);
    assert_eq!((run.code, run.stderr.as_str()), (130, GO_ON), "{run:?}");
    assert_eq!(scene.notes().len(), 1);
    assert!(uploads(&proxy).all(|request| request.method != "DELETE"));
    proxy.forget();
    scene.pushed(&flags, &[&reference]);
    scene.is_whole_at(&reference);
    assert_eq!(scene.notes(), Vec::<PathBuf>::new());
    Some((scene.layers(), uploaded(&proxy)))
}

#[test]
fn fault_b13_the_reference_registry_is_not_sent_again_what_arrived_before_a_signal() {
    if let Some((all, sent)) = interrupted_at_reference(0) {
        assert_eq!(sent, all - 8 * MIB);
    }
}

/// Version 2.8 ends a session that is longer than at its last answer, so that no client can
/// continue it. It is asked once, and the blob sent again.
#[test]
fn fault_b13_a_session_that_cannot_be_continued_costs_a_question() {
    if let Some((all, sent)) = interrupted_at_reference(MIB) {
        assert_eq!(sent, all);
    }
}

#[test]
fn a_push_of_wrong_bytes_leaves_nothing_at_the_registry() {
    let scene = Scene::new(&[9 * MIB]);
    scene.layout.corrupt(&scene.image.layers[0].0);
    let (served, disk) = scene.registry();
    for flags in [&[][..], &["--chunk-size", "2Mi"]] {
        let reference = format!("{}/app:1", served.address);
        let run = ran(scene.push(flags, &[&reference]).output().unwrap());
        assert_eq!(run.code, 7, "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
        nothing_is_left(&scene, &disk);
        let out = format!("oci:{}", scene.home().join("out").display());
        let pulled = wharf(scene.home(), &["copy", "-q", &reference, &out]);
        assert_eq!(pulled.code, 3, "{pulled:?}");
    }
}

/// `wharf push` without a reference stores its content here.
const EMBEDDED: &str = ".local/share/wharf/registry";

#[test]
fn a_push_of_wrong_bytes_leaves_nothing_in_the_embedded_registry() {
    let scene = Scene::new(&[9 * MIB]);
    scene.layout.corrupt(&scene.image.layers[0].0);
    let run = ran(scene.push(&[], &[]).output().unwrap());
    assert_eq!(run.code, 7, "{run:?}");
    nothing_is_left(&scene, &scene.home().join(EMBEDDED));
}

#[test]
fn fault_b13_a_push_into_the_embedded_registry_goes_on_where_it_was_interrupted() {
    let scene = Scene::new(&[400 * MIB]);
    let data = scene.home().join(EMBEDDED);
    let child = scene.push(&[], &[]).spawn().unwrap();
    until("a session has bytes", || {
        data.exists()
            && files_below(&data)
                .iter()
                .any(|(file, size)| *size > 9 * MIB && file.iter().any(|part| part == "uploads"))
    });
    let start = Instant::now();
    let run = interrupt(child);
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert_eq!((run.code, run.stdout.as_str()), (130, ""), "{run:?}");
    assert_eq!(run.stderr, GO_ON);
    assert_eq!(scene.notes().len(), 1);
    let path = scene.layout.directory().to_str().unwrap();
    let run = done(scene.home(), &["push", path, "--progress", "json"]);
    let resumed = run.stderr.lines().find(|line| line.contains("\"resumed\""));
    let resumed: serde_json::Value = serde_json::from_str(resumed.unwrap()).unwrap();
    assert!(resumed["position"].as_u64().unwrap() > 9 * MIB, "{resumed}");
    nothing_is_left(&scene, &data);
}
