//! `--dry-run`, `--index` and `--progress`, against real registries.

use std::fs;
use std::path::Path;

use serde_json::Value;
use snapbox::{assert_data_eq, str};
use wharf_testkit::{
    Answer, ArchiveStyle, Child, DockerArchive, DockerImage, FaultServer, LayerSpec, LayoutFixture,
    RecordingProxy, files_below, push_registry, tar_layout,
};

use crate::common::{Served, command, done, is_failure, layout, text, wharf};

/// The lines of JSON on standard error.
fn events(stderr: &str) -> Vec<Value> {
    let lines = stderr.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    let name = |event: &Value| event["event"].is_string();
    assert!(events.iter().all(name), "{events:?}");
    events
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect()
}

#[test]
fn o10_a_dry_run_prints_the_plan_and_sends_nothing() {
    let home = tempfile::tempdir().unwrap();
    let fixture = layout(&home.path().join("layout"));
    let served = Served::start(&home.path().join("registry"));
    let proxy = RecordingProxy::start(served.address);
    let reference = format!("{}/a", proxy.address());
    let arguments = ["push", text(fixture.directory()), &reference, "--dry-run"];
    let before = files_below(&home.path().join("registry"));
    let run = done(home.path(), &arguments);
    let plan = run.stdout.replace(&proxy.address().to_string(), "REGISTRY");
    assert_data_eq!(
        plan,
        str![[r#"
upload  layer     sha256:[..]  [..] kB
upload  config    sha256:[..]  [..] B
upload  layer     sha256:[..]  [..] B
put     manifest  sha256:[..]  [..] B
tag     REGISTRY/a:latest

"#]]
    );
    assert!(
        run.stderr.starts_with("would upload 3 blobs, "),
        "{}",
        run.stderr
    );
    assert!(
        proxy
            .lines()
            .iter()
            .all(|line| line.starts_with("HEAD") || line.starts_with("GET")),
        "{:?}",
        proxy.lines()
    );
    assert_eq!(files_below(&home.path().join("registry")), before);

    done(home.path(), &arguments[..3]);
    let again = done(home.path(), &arguments);
    assert_eq!(again.stderr, "already up to date; nothing to do\n");
    assert!(again.stdout.starts_with("exists  manifest  sha256:"));
    assert_eq!(again.stdout.lines().count(), 1);
}

#[test]
fn o10_a_dry_run_makes_no_layout_no_registry_and_no_file() {
    let home = tempfile::tempdir().unwrap();
    let fixture = layout(&home.path().join("layout"));
    let out = home.path().join("out");
    let (from, to) = (
        format!("oci:{}", fixture.directory().display()),
        format!("oci:{}", out.display()),
    );
    let run = done(home.path(), &["copy", &from, &to, "--dry-run"]);
    assert!(run.stdout.ends_with(&format!("tag     {to}:1.0\n")));
    assert!(!out.exists());
    done(home.path(), &["copy", &from, &to]);
    let run = done(home.path(), &["copy", &from, &to, "--dry-run"]);
    assert!(run.stdout.starts_with("exists  manifest"), "{run:?}");

    let path = text(fixture.directory());
    let run = done(home.path(), &["push", path, "--dry-run"]);
    assert!(
        run.stdout.ends_with("tag     localhost:5000/layout:1.0\n"),
        "{run:?}"
    );
    assert!(!home.path().join(".local").exists());
    done(home.path(), &["push", path]);
    let run = done(home.path(), &["push", path, "--dry-run"]);
    assert!(run.stdout.starts_with("exists  manifest"), "{run:?}");

    let refs = home.path().join("refs");
    let run = wharf(
        home.path(),
        &["push", path, "--dry-run", "--image-refs", text(&refs)],
    );
    assert_eq!((run.code, refs.exists()), (2, false));
}

#[test]
fn o10_layers_that_are_compressed_on_their_way_have_their_size_before_that() {
    let home = tempfile::tempdir().unwrap();
    let archive = home.path().join("image.tar");
    DockerArchive::new(ArchiveStyle::Classic)
        .image(DockerImage::new(&["app:7"]).layer(&[("file", &[7; 90_000])]))
        .write(&archive);
    let served = Served::start(&home.path().join("registry"));
    let reference = format!("{}/app", served.address);
    let dry = |more: &[&str]| {
        let arguments = [&["push", text(&archive), &reference, "--dry-run"], more].concat();
        done(home.path(), &arguments)
    };
    let run = dry(&[]);
    assert_data_eq!(
        run.stdout.replace(&served.address.to_string(), "REGISTRY"),
        str![[r#"
upload  layer     diff id sha256:[..]  91.6 kB before compression
upload  config    sha256:[..]  [..] B
put     manifest  made when its layers are compressed
tag     REGISTRY/app:latest

"#]]
    );
    let run = dry(&["--progress", "json"]);
    let plan: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(plan[0]["action"], "upload");
    assert_eq!(plan[0]["uncompressed_size"], 91_648);
    assert_eq!(plan[3]["reference"], format!("{reference}:latest"));
    let events = events(&run.stderr);
    assert_eq!(names(&events), ["begin", "dry_run"]);
    assert_eq!(events[1]["layers"], 1);
}

#[test]
fn o2_index_pushes_a_layout_directory_or_archive_whole() {
    let home = tempfile::tempdir().unwrap();
    let mut fixture = LayoutFixture::new(home.path().join("layout"));
    fixture.image(Some("one"), &[LayerSpec::random(1, 100)]);
    let arm = fixture.child("linux/arm64", &[LayerSpec::random(2, 100)]);
    let inner = fixture.child_index(&[Child::image(&arm, "linux/arm64")]);
    fixture.list(Some("two"), &inner);
    let notes = fixture.blob("text/plain", b"notes");
    fixture.list(None, &notes);
    let index = fs::read(fixture.directory().join("index.json")).unwrap();
    let archive = home.path().join("layout.tar");
    tar_layout(fixture.directory(), &archive);

    let served = Served::start(&home.path().join("registry"));
    let mut pushed = Vec::new();
    for (name, path) in [("dir", fixture.directory()), ("tar", &archive)] {
        let reference = format!("{}/{name}", served.address);
        let run = wharf(home.path(), &["push", text(path), &reference]);
        assert_eq!(run.code, 2);
        assert!(run.stderr.contains("push --index"), "{}", run.stderr);
        let run = done(home.path(), &["push", "--index", text(path), &reference]);
        let (pushed_to, digest) = run.stdout.trim_end().split_once('@').unwrap();
        assert_eq!(pushed_to, reference);
        pushed.push(digest.to_owned());
        let out = home.path().join(name);
        let to = format!("oci:{}", out.display());
        done(home.path(), &["copy", &format!("{reference}:latest"), &to]);
        let blob = out.join("blobs").join(digest.replace(':', "/"));
        assert_eq!(fs::read(blob).unwrap(), index);
        assert!(fs::read(fixture.blob_path(&notes.digest)).is_ok());
    }
    assert_eq!(pushed[0], pushed[1]);
}

#[test]
fn o2_index_takes_one_entry_too_and_the_tag_that_all_entries_have() {
    let home = tempfile::tempdir().unwrap();
    let fixture = layout(&home.path().join("layout"));
    let path = text(fixture.directory());
    let run = done(home.path(), &["push", path, "--index", "--dry-run"]);
    assert!(run.stdout.contains("put     index     sha256:"), "{run:?}");
    assert!(
        run.stdout.ends_with("tag     localhost:5000/layout:1.0\n"),
        "{run:?}"
    );
}

#[test]
fn o2_index_is_refused_where_there_is_none_or_one_entry_is_chosen() {
    let home = tempfile::tempdir().unwrap();
    let fixture = layout(&home.path().join("layout"));
    let chosen = format!("oci:{}:1.0", fixture.directory().display());
    let run = wharf(home.path(), &["push", "--index", &chosen]);
    assert!(
        run.stderr.contains("nothing of it can be chosen"),
        "{run:?}"
    );
    let archive = home.path().join("image.tar");
    DockerArchive::new(ArchiveStyle::Classic)
        .image(DockerImage::new(&["app:7"]).layer(&[("file", &[7; 10])]))
        .write(&archive);
    let run = wharf(home.path(), &["push", "--index", text(&archive)]);
    let line = "a docker archive has no index, so --index cannot push it";
    assert_eq!(
        run.stderr,
        format!("wharf: {}: {line}\n", archive.display())
    );
}

#[test]
fn p2_progress_json_tells_the_whole_story_and_adds_up() {
    let home = tempfile::tempdir().unwrap();
    let mut fixture = LayoutFixture::new(home.path().join("layout"));
    fixture.image(Some("1"), &[LayerSpec::random(1, 3 << 20)]);
    let cut = [Answer::close_after(1_500_000), Answer::fall_through()];
    let server = FaultServer::start(push_registry().on("PUT", "/v2/a/blobs/uploads/*", cut));
    let reference = format!("{}/a", server.address());
    let path = text(fixture.directory());
    let push = ["push", path, &reference, "-j1", "--progress", "json"];
    let run = done(home.path(), &push);
    let events = events(&run.stderr);
    assert_eq!(events.len(), run.stderr.lines().count(), "{}", run.stderr);
    let names = names(&events);
    assert_eq!((names[0], names[1]), ("begin", "planned"));
    assert_eq!(events[0]["schema"], 1);
    assert_eq!(names.last(), Some(&"summary"));
    for name in ["checked", "started", "advanced", "retried", "finished"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let told = &events[events.len() - 2];
    assert_eq!(told["complete"], told["total"]);
    assert_eq!(told["total"], events[1]["bytes"]);
}

#[test]
fn p1_the_last_line_of_json_is_the_error() {
    let home = tempfile::tempdir().unwrap();
    let run = wharf(home.path(), &["push", "/nowhere", "--progress", "json"]);
    assert_data_eq!(
        run.stderr,
        str![[r#"
{"event":"begin","schema":1,"version":"[..]"}
{"event":"failed","error":"/nowhere: no such file or directory"}

"#]]
    );
}

#[test]
fn p4_progress_none_is_quiet_and_plain_says_lines() {
    let home = tempfile::tempdir().unwrap();
    let fixture = layout(&home.path().join("layout"));
    let served = Served::start(&home.path().join("registry"));
    let push = |name: &str, how: &str| {
        let reference = format!("{}/{name}:1", served.address);
        let path = text(fixture.directory());
        done(home.path(), &["push", path, &reference, "--progress", how]).stderr
    };
    assert_eq!(push("none", "none"), "");
    for how in ["plain", "bars", "auto"] {
        let said = push(how, how);
        assert_eq!(said.lines().count(), 5, "{said}");
        let last = format!("\n{}/{how}:1 sha256:", served.address);
        assert!(said.contains(&last), "{said}");
    }
}

#[test]
fn image_refs_that_cannot_be_written_are_found_before_anything_is_sent() {
    let home = tempfile::tempdir().unwrap();
    let fixture = layout(&home.path().join("layout"));
    let server = FaultServer::start(push_registry());
    let reference = format!("{}/a", server.address());
    let path = text(fixture.directory());
    let run = wharf(
        home.path(),
        &["push", path, &reference, "--image-refs", "/nowhere/refs"],
    );
    assert_eq!(
        run.stderr,
        "wharf: /nowhere/refs: no such file or directory\n"
    );
    assert_eq!(server.lines(), Vec::<String>::new());
}

#[test]
fn a_copy_of_a_name_that_is_a_file_hints_at_the_prefix() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("App.tar"), "").unwrap();
    let to = format!("oci:{}", home.path().join("out").display());
    let run = command(home.path())
        .current_dir(home.path())
        .args(["copy", "App.tar", &to])
        .output()
        .unwrap();
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert!(
        stderr.contains("did you mean the file docker-archive:App.tar"),
        "{stderr}"
    );
}

#[test]
fn serving_takes_the_address_before_it_makes_a_directory() {
    let home = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let disk = home.path().join("disk");
    let serve = |address: &str, disk: &Path| {
        let arguments = ["registry", "serve", "--address", address, "--disk"];
        let run = wharf(home.path(), &[&arguments[..], &[text(disk)]].concat());
        assert!(is_failure(run.code));
        run.stderr
    };
    let said = serve(&address, &disk);
    assert!(said.contains(&address) && said.contains("in use"), "{said}");
    assert!(!disk.exists());
    fs::write(&disk, "").unwrap();
    assert_eq!(
        serve("127.0.0.1:0", &disk),
        format!(
            "wharf: {}: not a directory; a registry needs one for its content\n",
            disk.display()
        )
    );
}

#[test]
fn p4_stats_say_the_requests_by_kind() {
    let home = tempfile::tempdir().unwrap();
    let fixture = layout(&home.path().join("layout"));
    let served = Served::start(&home.path().join("registry"));
    let reference = format!("{}/a", served.address);
    let push = ["push", text(fixture.directory()), &reference, "--stats"];
    let said = done(home.path(), &push).stderr;
    assert!(
        said.contains(" requests: ") && said.contains(", 1 PUT manifests\n"),
        "{said}"
    );
    let json = [&push[..], &["--progress", "json"]].concat();
    let events = events(&done(home.path(), &json).stderr);
    assert_eq!(names(&events).last(), Some(&"requests"));
    assert_eq!(events[events.len() - 1]["HEAD manifests"], 1);
}

#[test]
fn o10_a_dry_run_leaves_even_the_cache_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let fixture = layout(&home.path().join("layout"));
    let served = Served::start(&home.path().join("registry"));
    let cache = home.path().join(".cache");
    let dry = |name: &str| {
        let reference = format!("{}/{name}", served.address);
        done(
            home.path(),
            &["push", text(fixture.directory()), &reference, "--dry-run"],
        );
    };
    dry("a");
    assert!(!cache.exists());
    let reference = format!("{}/b", served.address);
    done(
        home.path(),
        &["push", text(fixture.directory()), &reference],
    );
    let before = files_below(&cache);
    assert_ne!(before.len(), 0);
    dry("c");
    assert_eq!(files_below(&cache), before);
}

#[test]
fn a_platform_tells_several_images_of_a_layout_apart() {
    let home = tempfile::tempdir().unwrap();
    let mut fixture = LayoutFixture::new(home.path().join("layout"));
    let amd64 = fixture.image(Some("one"), &[LayerSpec::random(1, 50)]);
    let arm64 = fixture.child("linux/arm64", &[LayerSpec::random(2, 50)]);
    fixture.list(Some("two"), &arm64.content());
    let archive = home.path().join("layout.tar");
    tar_layout(fixture.directory(), &archive);
    let served = Served::start(&home.path().join("registry"));
    let reference = format!("{}/a", served.address);
    for path in [fixture.directory(), archive.as_path()] {
        for (platform, image) in [("linux/amd64", &amd64), ("linux/arm64", &arm64)] {
            let run = done(
                home.path(),
                &["push", "-q", "--platform", platform, text(path), &reference],
            );
            let expected = format!("{reference}@{}\n", image.manifest_digest);
            assert_eq!(run.stdout, expected);
        }
        let run = wharf(
            home.path(),
            &["push", "--platform", "linux/s390x", text(path), &reference],
        );
        let line = "no image for linux/s390x, there is: linux/amd64, linux/arm64";
        assert_eq!(run.code, 3);
        assert!(run.stderr.contains(line), "{run:?}");
    }
    let third = fixture.image(Some("three"), &[LayerSpec::random(3, 50)]);
    let run = wharf(
        home.path(),
        &[
            "push",
            "--platform",
            "linux/amd64",
            text(fixture.directory()),
            &reference,
        ],
    );
    let line = "several images for linux/amd64, choose one by tag or digest: one, three";
    assert!(run.stderr.contains(line), "{third:?} {run:?}");
}
