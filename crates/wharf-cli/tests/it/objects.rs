//! `--progress json`: standard error carries objects and nothing else, whatever happens.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use wharf_testkit::{
    Answer, ArchiveStyle, DockerArchive, DockerImage, FaultServer, compressible_bytes,
    push_registry,
};

use crate::common::pushes::signal;
use crate::common::{Run, Served, command, layout, ran, text, wharf};

/// The objects, each of which states its kind.
fn objects(run: &Run) -> Vec<Value> {
    let read = |line: &str| {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{run:?}"));
        assert!(object["event"].is_string(), "{run:?}");
        object
    };
    let objects: Vec<Value> = run.stderr.lines().map(read).collect();
    assert_eq!(objects[0]["event"], "begin", "{run:?}");
    objects
}

fn kinds(objects: &[Value]) -> Vec<&str> {
    let kinds = objects.iter().filter_map(|object| object["event"].as_str());
    kinds.collect()
}

fn said(home: &Path, line: &[&str]) -> (Run, Vec<Value>) {
    let run = wharf(home, &[line, &["--progress", "json"]].concat());
    let objects = objects(&run);
    (run, objects)
}

#[test]
fn fault_c14_every_command_says_objects_with_its_log_too() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(&home.path().join("registry"));
    let layout = layout(&home.path().join("layout"));
    let (path, blob) = (text(layout.directory()), home.path().join("blob"));
    std::fs::write(&blob, "abc").unwrap();
    let app = format!("{}/app", served.address);
    let (tagged, out) = (format!("{app}:1.0"), home.path().join("out"));
    let out = format!("oci:{}", text(&out));
    let gone = "127.0.0.1:9/gone:1".to_owned();
    let lines: [(&[&str], i32); 14] = [
        (&["push", path, &tagged], 0),
        (&["push", path], 0),
        (&["push", path, &tagged, "--stats", "--insecure"], 0),
        (&["push", path, &tagged, "--force", "--dry-run"], 0),
        (&["copy", &tagged, &out], 0),
        (&["blob", "push", &app, text(&blob)], 0),
        (&["blob", "push", "--compress", "gzip", &app, path], 0),
        (&["tag", &tagged, "2"], 0),
        (
            &[
                "delete",
                &format!("{app}:2"),
                &format!("{app}:3"),
                &format!("{app}:4"),
            ],
            3,
        ),
        (
            &[
                "auth",
                "login",
                "-u",
                "me",
                "-p",
                "hidden",
                &served.address.to_string(),
            ],
            0,
        ),
        (&["auth", "logout", &served.address.to_string()], 0),
        (&["auth", "get", "nowhere.example"], 3),
        (
            &["push", path, &gone, &format!("{gone}2"), "--retries", "1"],
            5,
        ),
        (&["version"], 0),
    ];
    for (line, code) in lines {
        let (run, objects) = said(home.path(), &[line, &["-vvv"]].concat());
        assert_eq!(run.code, code, "{line:?}: {run:?}");
        let last = kinds(&objects).last().copied();
        assert_eq!(last == Some("failed"), code != 0, "{line:?}: {run:?}");
    }
    let (_, objects) = said(home.path(), &["copy", &tagged, &out, "--force", "-vv"]);
    let log: Vec<&Value> = objects
        .iter()
        .filter(|object| object["event"] == "log")
        .collect();
    let answer = log
        .iter()
        .find(|line| line["text"].as_str().unwrap().starts_with("answer "));
    let answer = answer.unwrap_or_else(|| panic!("{log:?}"));
    assert_eq!(answer["level"], "debug");
    assert!(
        answer["target"].as_str().unwrap().starts_with("wharf"),
        "{answer}"
    );
}

#[test]
fn fault_c14_errors_of_usage_are_objects_too() {
    let home = tempfile::tempdir().unwrap();
    let lines: [&[&str]; 7] = [
        &["push"],
        &["shove"],
        &[],
        &["registry"],
        &["tag", "a@b", "1"],
        &["push", "a", "-j0"],
        &["push", "a", "--frobnicate"],
    ];
    for line in lines {
        let (run, objects) = said(home.path(), line);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        assert_eq!(kinds(&objects), ["begin", "failed"], "{run:?}");
        assert!(objects[1]["error"].as_str().unwrap().len() > 5, "{run:?}");
    }
}

#[test]
fn fault_c14_the_error_of_each_destination_is_an_object() {
    let home = tempfile::tempdir().unwrap();
    let layout = layout(&home.path().join("layout"));
    let denied = Answer::error(403, "DENIED", "not here");
    let server = FaultServer::start(push_registry().on("POST", "*", [denied]));
    let to = |name: &str| format!("{}/{name}:1", server.address());
    let (one, two) = (to("one"), to("two"));
    let (run, objects) = said(home.path(), &["push", text(layout.directory()), &one, &two]);
    assert_eq!(run.code, 4, "{run:?}");
    let errors: Vec<&Value> = objects
        .iter()
        .filter(|object| object["error"].is_string())
        .collect();
    let kinds: Vec<&Value> = errors.iter().map(|error| &error["event"]).collect();
    assert_eq!(kinds, ["error", "failed"], "{run:?}");
}

#[test]
fn fault_c14_a_server_that_is_stopped_has_said_objects_only() {
    let home = tempfile::tempdir().unwrap();
    let mut serve: Command = command(home.path());
    serve.args(["registry", "serve", "--address", "127.0.0.1:0", "-vvv"]);
    serve.args(["--progress", "json"]).stderr(Stdio::piped());
    let mut child = serve.stdout(Stdio::piped()).spawn().unwrap();
    // Its first two lines are those of its start and its address.
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    while !first.contains("serving") {
        assert!(
            std::io::BufRead::read_line(&mut stderr, &mut first).unwrap() > 0,
            "{first}"
        );
    }
    signal(&child, "TERM");
    std::io::Read::read_to_string(&mut stderr, &mut first).unwrap();
    let mut run = ran(child.wait_with_output().unwrap());
    run.stderr = first;
    assert_eq!(run.code, 0, "{run:?}");
    objects(&run);
}

#[test]
fn fault_c11_layers_made_on_the_way_have_a_total_that_never_falls() {
    let home = tempfile::tempdir().unwrap();
    let layers = [
        compressible_bytes(1, 5 << 20),
        compressible_bytes(2, 3 << 20),
    ];
    let image = layers
        .into_iter()
        .fold(DockerImage::new(&["app:1"]), |image, bytes| {
            image.layer_bytes(bytes)
        });
    let archive = home.path().join("archive.tar");
    let docker = DockerArchive::new(ArchiveStyle::Classic).image(image);
    docker.write(&archive);
    // The first connection for bytes breaks, so that a layer is made twice.
    let cut = [Answer::close_after(100_000), Answer::fall_through()];
    let script = push_registry().on("PATCH", "/v2/a/blobs/uploads/*", cut);
    let server = FaultServer::start(script);
    let to = format!("{}/a:1", server.address());
    let (run, objects) = said(home.path(), &["push", text(&archive), &to]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(kinds(&objects).contains(&"retried"), "{run:?}");
    let sums = objects
        .iter()
        .filter_map(|object| Some((object["complete"].as_u64()?, object["total"].as_u64()?)));
    let sums: Vec<(u64, u64)> = sums.collect();
    assert!(sums[0].1 >= 8 << 20, "{sums:?}");
    assert!(
        sums.iter().all(|(complete, total)| complete <= total),
        "{sums:?}"
    );
    assert!(sums.is_sorted_by_key(|(_, total)| total), "{sums:?}");
    let (complete, total) = sums[sums.len() - 1];
    assert_eq!(complete, total);
    // Nothing counts twice: beside the tars there are config and manifest.
    assert!(total < (8 << 20) + 10_000, "{sums:?}");
    let read = |object: &Value| object["uncompressed_position"].as_u64();
    assert_eq!(
        objects.iter().filter_map(read).max(),
        Some(5 << 20),
        "{run:?}"
    );
}
