//! `wharf inspect`: text for people, and JSON in a form that is a promise.

use std::path::Path;

use serde_json::Value;
use snapbox::{Data, assert_data_eq};
use wharf_testkit::{Answer, ArchiveStyle, DockerArchive, DockerImage, FaultServer, LayoutFixture};

use crate::common::shelf::{OCI_MANIFEST, Shelf, artifact, link};
use crate::common::{done, text, wharf};

fn check(found: &str, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = path.join(format!("tests/it/shown/{name}"));
    assert_data_eq!(found.to_owned(), Data::read_from(&path, None).raw());
}

#[test]
fn every_kind_of_place_shows_the_same() {
    let shelf = Shelf::new();
    for (tag, flags, name) in [
        ("1", &[][..], "index"),
        ("1", &["--platform", "linux/amd64"], "image"),
        ("2", &[], "image-alone"),
        ("3", &[], "artifact"),
    ] {
        for place in shelf.places(tag) {
            let printed = shelf.printed(&[&["inspect", &place], flags].concat());
            check(&shelf.masked(&printed), &format!("inspect-{name}.txt"));
            let format = &["--format", "json"];
            let printed = shelf.printed(&[&["inspect", &place], flags, format].concat());
            assert_eq!(printed.lines().count(), 1);
            check(&shelf.masked(&printed), &format!("inspect-{name}.json"));
        }
    }
    // Manifest and config, and the list of referrers; its tag where there is no other list.
    for asked in shelf.requests(|app| vec!["inspect".to_owned(), format!("{app}:2")]) {
        assert_eq!(asked[..3], ["GET", "GET", "GET"]);
        assert!(asked.len() <= 4, "{asked:?}");
    }
}

#[test]
fn an_image_of_a_docker_archive_is_what_a_push_makes_of_it() {
    let home = tempfile::tempdir().unwrap();
    let archive = home.path().join("saved.tar");
    let image = DockerImage::new(&["app:1"]).layer(&[("a", b"1")]);
    DockerArchive::new(ArchiveStyle::Classic)
        .image(image)
        .write(&archive);
    let place = format!("docker-archive:{}", text(&archive));
    let digest = done(home.path(), &["digest", &place]).stdout;
    let printed = done(home.path(), &["inspect", "--format", "json", &place]).stdout;
    let about: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(about["digest"], digest.trim());
    assert_eq!(about["kind"], "image");
    assert_eq!(about["referrers"], Value::from(Vec::<Value>::new()));
    assert_eq!(about["layers"].as_array().unwrap().len(), 1);
}

#[test]
fn referrers_that_cannot_be_listed_are_a_word() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let content = artifact(&mut layout, None);
    let manifest = Answer::status(200).header("Content-Type", OCI_MANIFEST);
    let script = wharf_testkit::Script::new()
        .on("GET", "/v2/", [Answer::status(200)])
        .on(
            "*",
            "/v2/app/*",
            [Answer::error(403, "DENIED", "not for you")],
        )
        .on(
            "GET",
            "/v2/app/manifests/1",
            [manifest.body(layout.read(&content.digest))],
        );
    let server = FaultServer::start(script);
    let place = format!("{}/app:1", server.address());
    let run = wharf(home.path(), &["inspect", &place]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert!(
        run.stdout.contains("Referrers:     not listed: "),
        "{run:?}"
    );
    assert!(run.stdout.contains("not for you"), "{run:?}");
    let run = wharf(home.path(), &["inspect", "--format", "json", &place]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("referrers are not listed: "), "{run:?}");
    let about: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(about.get("referrers"), None);
    let run = wharf(home.path(), &["tree", &place]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert!(
        run.stdout.contains("(referrers are not listed: "),
        "{run:?}"
    );
}

#[test]
fn foreign_text_stays_in_its_line() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let config = serde_json::json!({
        "os": "linux", "architecture": "amd64", "created": "now\n\u{1b}[2Jthen",
        "config": { "Env": ["A=b\nDigest: fake"], "Labels": { "a\u{202e}": "b\rc" } },
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    let config = layout.blob(
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    );
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": link(&config), "layers": [],
    });
    let manifest = layout.blob(OCI_MANIFEST, manifest.to_string().as_bytes());
    layout.list(Some("1"), &manifest);
    let place = format!("oci:{}:1", text(layout.directory()));
    let printed = done(home.path(), &["inspect", &place]).stdout;
    assert!(
        !printed.contains(['\u{1b}', '\r', '\u{202e}']),
        "{printed:?}"
    );
    let digests = printed.lines().filter(|line| line.starts_with("Digest"));
    assert_eq!(digests.count(), 1, "{printed}");
}
