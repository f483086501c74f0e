//! `wharf digest`: of images in registries, on disk, and of archives before they are pushed.

use std::fs;

use wharf_testkit::{ArchiveStyle, DockerArchive, DockerImage};

use crate::common::shelf::Shelf;
use crate::common::{complaint, done, piped, text, wharf};

#[test]
fn an_index_has_a_digest_of_its_own_and_a_platform_picks_a_child() {
    let shelf = Shelf::new();
    for (flags, tag, digest) in [
        (&[][..], "1", &shelf.index.digest),
        (
            &["--platform", "linux/amd64"],
            "1",
            &shelf.amd64.manifest_digest,
        ),
        (
            &["--platform=linux/arm64/v8"],
            "1",
            &shelf.arm64.manifest_digest,
        ),
        (&["--platform", "all"], "2", &shelf.arm64.manifest_digest),
        (&[], "3", &shelf.artifact.digest),
    ] {
        for place in shelf.places(tag) {
            let arguments = [&["digest"], flags, &[place.as_str()]].concat();
            assert_eq!(
                shelf.printed(&arguments),
                format!("{digest}\n"),
                "{arguments:?}"
            );
        }
    }
    for methods in shelf.requests(|app| vec!["digest".to_owned(), format!("{app}:1")]) {
        assert_eq!(methods, ["HEAD"]);
    }
}

#[test]
fn full_references_spell_the_host_as_it_was_typed() {
    let shelf = Shelf::new();
    let digest = &shelf.index.digest;
    for proxy in &shelf.proxies {
        for host in [
            proxy.address().to_string(),
            format!("localhost:{}", proxy.address().port()),
        ] {
            for at in ["", ":1", &format!("@{digest}"), &format!(":1@{digest}")] {
                let place = format!("{host}/app{at}");
                if at.is_empty() {
                    let latest = format!("{host}/app:latest");
                    done(
                        shelf.home.path(),
                        &["copy", "-q", &shelf.local("1"), &latest],
                    );
                }
                let printed = shelf.printed(&["digest", "--full-ref", &place]);
                assert_eq!(printed, format!("{host}/app@{digest}\n"));
                assert_eq!(shelf.printed(&["digest", &place]), format!("{digest}\n"));
            }
        }
    }
    let said = complaint(
        shelf.home.path(),
        &["digest", "--full-ref", &shelf.local("1")],
    );
    assert!(said.contains("no full reference"), "{said}");
}

#[test]
fn of_an_archive_it_is_what_a_push_prints() {
    let shelf = Shelf::new();
    let home = shelf.home.path();
    let archive = home.join("saved.tar");
    let file = text(&archive);
    let one = DockerImage::new(&["one:1", "two:latest"]).layer(&[("a", b"1")]);
    let other = DockerImage::new(&["localhost:5000/three:3"]).layer(&[("a", b"1"), ("b", b"2")]);
    for style in ArchiveStyle::ALL {
        DockerArchive::new(style).image(one.clone()).write(&archive);
        let digest = shelf.printed(&["digest", "--tarball", file]);
        for proxy in &shelf.proxies {
            let to = format!("{}/pushed:1", proxy.address());
            let pushed = done(home, &["push", "-q", file, &to]).stdout;
            assert_eq!(
                pushed,
                format!("{}/pushed@{digest}", proxy.address()),
                "{style:?}"
            );
        }
        for name in ["one:1", "two", "two:latest", "docker.io/library/two:latest"] {
            let printed = shelf.printed(&["digest", "--tarball", file, name]);
            assert_eq!(printed, digest, "{style:?} {name}");
        }
        let run = piped(
            home,
            &["digest", "--tarball", "-"],
            &fs::read(&archive).unwrap(),
        );
        assert_eq!(run.stdout, digest, "{style:?}: {run:?}");
        let said = complaint(home, &["digest", "--tarball", file, "one:2"]);
        assert!(said.contains("one:2"), "{said}");

        DockerArchive::new(style)
            .image(one.clone())
            .image(other.clone())
            .write(&archive);
        complaint(home, &["digest", "--tarball", file]);
        let first = shelf.printed(&["digest", "--tarball", file, "one:1"]);
        assert_eq!(first, digest, "{style:?}");
        let second = shelf.printed(&["digest", "--tarball", file, "localhost:5000/three:3"]);
        assert_ne!(second, digest, "{style:?}");
    }
}

#[test]
fn what_cannot_be_right_is_refused() {
    let shelf = Shelf::new();
    let home = shelf.home.path();
    let archive = home.join("saved.tar");
    let tar = wharf_testkit::layer::tar_of(&[("a", b"1")]);
    let image = DockerImage::new(&["one:1"]).layer_bytes(tar);
    DockerArchive::new(ArchiveStyle::Classic)
        .image(image)
        .write(&archive);
    let file = text(&archive);
    for arguments in [
        &["digest"][..],
        &["digest", "a/b", "c"],
        &["digest", "--tarball"],
        &["digest", "--full-ref", "--tarball", file],
        &["digest", "--tarball", "absent.tar"],
    ] {
        let run = wharf(home, arguments);
        assert_eq!((run.code != 0, run.stdout.as_str()), (true, ""), "{run:?}");
    }
    for proxy in &shelf.proxies {
        let said = complaint(
            home,
            &["digest", &format!("{}/app:absent", proxy.address())],
        );
        assert!(said.contains("absent"), "{said}");
    }
}
