//! `wharf config`: exact bytes from every kind of place.

use std::fs;

use wharf_testkit::{ArchiveStyle, Child, DockerArchive, DockerImage};

use crate::common::shelf::Shelf;
use crate::common::{complaint, piped, text};

#[test]
fn the_exact_bytes_are_printed_from_every_kind_of_place() {
    let shelf = Shelf::new();
    let amd64 = shelf.bytes(&shelf.amd64.config_digest);
    let arm64 = shelf.bytes(&shelf.arm64.config_digest);
    for (flags, tag, expected) in [
        (&[][..], "1", amd64.as_str()),
        (&["--platform=linux/amd64"], "1", &amd64),
        (&["--platform=linux/arm64"], "1", &arm64),
        (&[], "2", &arm64),
        (&[], "3", "{}"),
    ] {
        for place in shelf.places(tag) {
            let arguments = [flags, &["config", &place]].concat();
            assert_eq!(shelf.printed(&arguments), expected, "{arguments:?}");
        }
    }
    for methods in shelf.requests(|app| vec!["config".to_owned(), format!("{app}:2")]) {
        assert_eq!(methods, ["GET", "GET"]);
    }
    for methods in shelf.requests(|app| vec!["config".to_owned(), format!("{app}:1")]) {
        assert_eq!(methods, ["GET", "GET", "GET"]);
    }
}

#[test]
fn that_of_a_docker_archive_needs_no_layer() {
    let home = tempfile::tempdir().unwrap();
    let archive = home.path().join("saved.tar");
    let image = DockerImage::new(&["app:1"]).layer(&[("a", b"1")]);
    for style in ArchiveStyle::ALL {
        let saved = DockerArchive::new(style)
            .image(image.clone())
            .write(&archive);
        let place = format!("docker-archive:{}:app:1", text(&archive));
        let run = crate::common::done(home.path(), &["config", &place]);
        assert_eq!(run.stdout.as_bytes(), saved[0].config, "{style:?}");
        let bytes = fs::read(&archive).unwrap();
        let run = piped(home.path(), &["config", "-"], &bytes);
        assert_eq!(run.stdout.as_bytes(), saved[0].config, "{style:?}");
    }
}

#[test]
fn an_index_without_the_usual_platform_is_no_guess() {
    let shelf = Shelf::new();
    let mut layout = wharf_testkit::LayoutFixture::new(shelf.home.path().join("other"));
    let layers = [wharf_testkit::LayerSpec::random(1, 10)];
    let arm = layout.child("linux/arm", &layers);
    let windows = layout.child("windows/amd64", &layers);
    layout.index(Some("one"), &[Child::image(&arm, "linux/arm")]);
    let children = [
        Child::image(&arm, "linux/arm"),
        Child::image(&windows, "windows/amd64"),
    ];
    layout.index(Some("two"), &children);
    let place = |tag: &str| format!("oci:{}:{tag}", text(layout.directory()));
    let config = String::from_utf8(layout.read(&arm.config_digest)).unwrap();
    assert_eq!(shelf.printed(&["config", &place("one")]), config);
    let said = complaint(shelf.home.path(), &["config", &place("two")]);
    assert!(
        said.contains("no image for linux/amd64, there is: linux/arm, windows/amd64"),
        "{said}"
    );
}
