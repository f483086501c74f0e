//! `wharf tree`: what is below an image or index, and what refers to it.

use std::path::Path;

use serde_json::Value;
use snapbox::{Data, assert_data_eq};
use wharf_testkit::{Child, LayerSpec, LayoutFixture};

use crate::common::shelf::{OCI_MANIFEST, Shelf, artifact};
use crate::common::{complaint, done, text};

fn check(found: &str, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = path.join(format!("tests/it/shown/{name}"));
    assert_data_eq!(found.to_owned(), Data::read_from(&path, None).raw());
}

#[test]
fn every_kind_of_place_shows_the_same() {
    let shelf = Shelf::new();
    for place in shelf.places("1") {
        let printed = shelf.printed(&["tree", &place]);
        check(&shelf.masked(&printed), "tree.txt");
        let printed = shelf.printed(&["tree", "--format", "json", &place]);
        check(&shelf.masked(&printed), "tree.json");
    }
    for place in shelf.places("3") {
        check(
            &shelf.masked(&shelf.printed(&["tree", &place])),
            "tree-artifact.txt",
        );
    }
    // An index, two images and an attestation, each with a list of referrers; its tag where there
    // is no other list.
    let asked = shelf.requests(|app| vec!["tree".to_owned(), format!("{app}:1")]);
    let numbers: Vec<usize> = asked.iter().map(Vec::len).collect();
    assert_eq!(numbers, [2 * 4, 3 * 4][..numbers.len()]);
}

#[test]
fn referrers_of_referrers_are_shown_and_each_manifest_once() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let image = layout.image(Some("1"), &[LayerSpec::tar(&[("a", b"1")])]);
    let note = artifact(&mut layout, Some(&image.content()));
    let upon = artifact(&mut layout, Some(&note));
    layout.list(None, &note);
    layout.list(None, &upon);
    let place = format!("oci:{}:1", text(layout.directory()));
    let printed = done(home.path(), &["tree", "--format", "json", &place]).stdout;
    let tree: Value = serde_json::from_str(&printed).unwrap();
    let referrer = |of: &Value| {
        let mut children = of["children"].as_array().unwrap().iter();
        let referrer = children.find(|child| child["role"] == "referrer");
        referrer.unwrap().clone()
    };
    let first = referrer(&tree);
    assert_eq!(first["digest"], note.digest.as_str());
    assert_eq!(first["artifactType"], "application/vnd.example.note");
    assert_eq!(referrer(&first)["digest"], upon.digest.as_str());

    let twice = [
        Child::image(&image, "linux/amd64"),
        Child::image(&image, "linux/arm64"),
    ];
    layout.index(Some("2"), &twice);
    let printed = done(home.path(), &["tree", &place.replace(":1", ":2")]).stdout;
    assert_eq!(printed.matches("(shown above)").count(), 1, "{printed}");
    assert_eq!(printed.matches(&note.digest).count(), 1, "{printed}");
}

#[test]
fn what_is_not_there_is_noted() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let image = layout.child("linux/amd64", &[LayerSpec::tar(&[("a", b"1")])]);
    let children = [
        Child::image(&image, "linux/amd64"),
        Child::absent(OCI_MANIFEST, 1),
    ];
    layout.index(Some("1"), &children);
    let place = format!("oci:{}:1", text(layout.directory()));
    let printed = done(home.path(), &["tree", &place]).stdout;
    assert_eq!(printed.matches("(not there)").count(), 1, "{printed}");
    let said = complaint(home.path(), &["tree", &place.replace(":1", ":absent")]);
    assert!(said.contains("absent"), "{said}");
}
