//! Pushes to several references, some of which fail; and several pushes at once.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use wharf_testkit::{ArchiveStyle, DockerArchive, DockerImage, DockerRegistry, RecordingProxy};

use crate::common::pushes::{MIB, Scene, kill, sessions, until, until_held, uploaded};
use crate::common::{done, ran};

/// An address without a listener.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A reference with a digest instead of its tag.
fn pinned(reference: &str, digest: &str) -> String {
    let (repository, _tag) = reference.rsplit_once(':').unwrap();
    format!("{repository}@{digest}")
}

#[test]
fn o7_what_fails_at_one_destination_succeeds_at_the_others() {
    let scene = Scene::new(&[5 * MIB]);
    let (served, disk) = scene.registry();
    let Some(other) = DockerRegistry::start() else {
        return;
    };
    let cutting = RecordingProxy::start(served.address);
    for _ in 0..50 {
        cutting.fail_connection_after(0);
    }
    let good = [
        format!("{}/good:1", served.address),
        format!("{}/good:2", other.address()),
    ];
    let bad = [
        format!("{}/bad:1", cutting.address()),
        format!("{}/bad:2", nobody()),
    ];
    let flags = ["--retries", "1"];
    let references = [&bad[0], &good[0], &bad[1], &good[1]].map(String::as_str);
    let run = ran(scene.push(&flags, &references).output().unwrap());
    assert_eq!(run.code, 5, "{run:?}");
    let digest = &scene.image.manifest_digest;
    let expected: Vec<String> = good.iter().map(|name| pinned(name, digest)).collect();
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), expected);
    assert_eq!(run.stderr.lines().count(), 2, "{run:?}");
    for name in bad {
        let address = name.split('/').next().unwrap();
        assert!(
            run.stderr.lines().any(|line| line.contains(address)),
            "{run:?}"
        );
    }
    for name in good {
        scene.is_whole_at(&name);
    }
    until("sessions are gone", || sessions(&disk).is_empty());
}

#[test]
fn o7_a_destination_that_stands_still_does_not_hold_up_the_other() {
    let scene = Scene::new(&[30 * MIB]);
    let (served, disk) = scene.registry();
    let Some(other) = DockerRegistry::start() else {
        return;
    };
    let slow = RecordingProxy::start(other.address());
    slow.pace(50_000);
    let quick = RecordingProxy::start(served.address);
    let references = [
        format!("{}/app:1", slow.address()),
        format!("{}/app:1", quick.address()),
    ];
    let references = [references[0].as_str(), references[1].as_str()];
    let child = scene.push(&[], &references).spawn().unwrap();
    // The slow one needs ten minutes at its pace.
    until("the other has the manifest", || {
        let requests = quick.requests().into_iter();
        let puts = requests.filter(|r| r.method == "PUT" && r.path().contains("/manifests/"));
        puts.into_iter().any(|request| request.status == Some(201))
    });
    kill(child);
    scene.is_whole_at(references[1]);
    assert_eq!(sessions(&disk), Vec::<PathBuf>::new());
}

#[test]
fn o7_layers_of_an_archive_are_the_same_everywhere() {
    let scene = Scene::new(&[]);
    let (served, _) = scene.registry();
    let Some(other) = DockerRegistry::start() else {
        return;
    };
    let archive = scene.home().join("image.tar");
    let content = wharf_testkit::compressible_bytes(7, 5 << 20);
    DockerArchive::new(ArchiveStyle::Classic)
        .image(DockerImage::new(&["a:1"]).layer(&[("file", &content)]))
        .write(&archive);
    let references = [
        format!("{}/app:1", served.address),
        format!("{}/app:1", other.address()),
    ];
    let path = archive.to_str().unwrap();
    let arguments = ["push", "-q", path, &references[0], &references[1]];
    let run = done(scene.home(), &arguments);
    let digests: Vec<&str> = run
        .stdout
        .lines()
        .filter_map(|line| line.rsplit('@').next())
        .collect();
    assert_eq!(digests.len(), 2);
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn fault_c13_two_repositories_of_a_registry_are_one_upload() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let scene = Scene::new(&[5 * MIB, 3 * MIB]);
    let proxy = RecordingProxy::start(registry.address());
    let references = ["one", "two"].map(|name| format!("{}/{name}:1", proxy.address()));
    for flags in [&[][..], &["--no-cache"]] {
        proxy.forget();
        let names = references
            .iter()
            .map(|name| format!("{name}{}", flags.len()));
        let names: Vec<String> = names.collect();
        scene.pushed(flags, &[&names[0], &names[1]]);
        let expected = if flags.is_empty() { scene.layers() } else { 0 };
        let sent = uploaded(&proxy);
        assert!((expected..expected + 1000).contains(&sent), "{sent} bytes");
        for name in &names {
            scene.is_whole_at(name);
        }
    }
}

#[test]
fn o6_two_tags_of_a_repository_are_one_upload() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let scene = Scene::new(&[5 * MIB]);
    let proxy = RecordingProxy::start(registry.address());
    let repository = format!("{}/app", proxy.address());
    scene.config_first(&repository);
    proxy.forget();
    let references = [format!("{repository}:v1"), format!("{repository}:v2")];
    let run = scene.pushed(&[], &[&references[0], &references[1]]);
    assert_eq!(run.stdout.lines().count(), 2);
    assert_eq!(uploaded(&proxy), scene.layers());
    let lines = proxy.lines();
    let puts = lines
        .iter()
        .filter(|line| line.starts_with("PUT /v2/app/manifests/"));
    assert_eq!(puts.count(), 2, "{lines:?}");
    for reference in references {
        scene.is_whole_at(&reference);
    }
}

#[test]
fn u6_two_processes_that_push_the_same_image_at_once_both_succeed() {
    let scene = Scene::new(&[20 * MIB, 8 * MIB]);
    let (served, disk) = scene.registry();
    let Some(other) = DockerRegistry::start() else {
        return;
    };
    for address in [served.address, other.address()] {
        let proxy = RecordingProxy::start(address);
        // Slow enough for both to be in the middle of it.
        proxy.pace(40_000_000);
        let reference = format!("{}/app:1", proxy.address());
        let start = || scene.push(&[], &[&reference]).spawn().unwrap();
        let pushing = [start(), start(), start()];
        for child in pushing {
            let run = ran(child.wait_with_output().unwrap());
            assert_eq!(run.code, 0, "{run:?}");
        }
        scene.is_whole_at(&reference);
        assert_eq!(scene.notes(), Vec::<PathBuf>::new());
        assert_eq!(scene.temporary(), Vec::<PathBuf>::new());
    }
    until("sessions are gone", || sessions(&disk).is_empty());
}

#[test]
fn u6_a_process_does_not_go_on_with_the_session_of_one_that_lives() {
    let scene = Scene::new(&[20 * MIB]);
    let (served, disk) = scene.registry();
    let proxy = RecordingProxy::start(served.address);
    let repository = format!("{}/app", proxy.address());
    scene.config_first(&repository);
    proxy.hold_after(9 * MIB);
    let reference = format!("{repository}:1");
    let held = scene.push(&[], &[&reference]).spawn().unwrap();
    until_held(&proxy);
    proxy.forget();
    scene.pushed(&[], &[&reference]);
    assert_eq!(uploaded(&proxy), scene.layers());
    assert_eq!(scene.notes().len(), 1);
    kill(held);
    // The third finds the image there, and nothing to resume.
    scene.pushed(&[], &[&reference]);
    drop((served, disk));
}

#[test]
fn o7_every_line_says_which_destination_it_is_about_where_there_are_several() {
    let scene = Scene::new(&[1000]);
    let (served, _) = scene.registry();
    let names = ["a", "b"].map(|name| format!("{}/{name}", served.address));
    let push = |references: &[&str]| {
        let layout = scene.layout.directory().to_str().unwrap();
        let arguments = [&["push", "--progress", "plain", layout], references].concat();
        done(scene.home(), &arguments).stderr
    };
    let stderr = push(&[&names[0], &names[1]]);
    let known = |line: &str| {
        names
            .iter()
            .any(|name| line.starts_with(&format!("{name}:")))
    };
    assert!(stderr.lines().count() >= 4, "{stderr}");
    assert!(stderr.lines().all(known), "{stderr}");
    let alone = format!("{}/c", served.address);
    let stderr = push(&[&alone]);
    // Only the offer of a tag and the last line name it.
    let naming = stderr.lines().filter(|line| line.contains(&alone));
    assert_eq!(naming.count(), 2, "{stderr}");
}

#[test]
fn o7_what_is_wrong_with_the_source_is_said_once() {
    let scene = Scene::new(&[MIB]);
    let (served, _) = scene.registry();
    let (digest, _) = &scene.image.layers[0];
    scene.layout.remove(digest);
    let names = ["a:1", "b:1"].map(|name| format!("{}/{name}", served.address));
    let push = scene.push(&[], &[&names[0], &names[1]]).output();
    let run = ran(push.unwrap());
    assert_eq!(run.code, 3);
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    assert!(run.stderr.contains(digest.as_str()), "{run:?}");
}

#[test]
fn a_dry_run_says_which_destination_each_summary_is_about() {
    let scene = Scene::new(&[MIB]);
    let (served, _) = scene.registry();
    let names = ["a", "b"].map(|name| format!("{}/{name}", served.address));
    scene.pushed(&[], &[&names[0]]);
    let dry = |references: &[&str]| {
        let path = scene.layout.directory().to_str().unwrap();
        let arguments = [&["push", "--dry-run", "--no-cache", path], references].concat();
        done(scene.home(), &arguments)
    };
    let run = dry(&[&names[0], &names[1]]);
    let lines: Vec<&str> = run.stderr.lines().collect();
    let [there, missing] = lines[..] else {
        panic!("{run:?}")
    };
    assert_eq!(
        there,
        format!("{}: already up to date; nothing to do", names[0])
    );
    assert!(
        missing.starts_with(&format!("{}: would upload 2 blobs, ", names[1])),
        "{run:?}"
    );
    let run = dry(&[&names[0]]);
    assert_eq!(run.stderr, "already up to date; nothing to do\n");
}
