//! `wharf index list`: columns, JSON, and what is no index.

use serde_json::{Value, json};
use wharf_testkit::{Child, DockerRegistry, LayerSpec, LayoutFixture, RecordingProxy};

use crate::common::{Served, complaint, done, text};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A layout with an index of three children, tagged `all`, and an image, tagged `one`.
fn layout(directory: &std::path::Path) -> (LayoutFixture, Vec<String>) {
    let mut layout = LayoutFixture::new(directory);
    let amd64 = layout.child("linux/amd64", &[LayerSpec::random(1, 9)]);
    let arm = layout.child("linux/arm/v7", &[LayerSpec::random(2, 9)]);
    let bare = layout.child("linux/arm64", &[LayerSpec::random(3, 9)]);
    let children = [
        Child::image(&amd64, "linux/amd64"),
        Child::image(&arm, "linux/arm/v7"),
        Child::content(&bare.content()),
    ];
    layout.index(Some("all"), &children);
    layout.image(Some("one"), &[LayerSpec::random(4, 9)]);
    let digests = [amd64, arm, bare].map(|image| image.manifest_digest);
    (layout, digests.to_vec())
}

fn expected(digests: &[String]) -> String {
    let mut lines = format!("{:<70} {:<20} Platform\n", "Digest", "MediaType");
    for (digest, platform) in digests.iter().zip(["linux/amd64", "linux/arm/v7", "-"]) {
        lines += &format!("{digest} {IMAGE} {platform}\n");
    }
    lines
}

#[test]
fn a_header_and_a_line_for_each_child_from_every_place() {
    let home = tempfile::tempdir().unwrap();
    let (fixture, digests) = layout(&home.path().join("layout"));
    let directory = text(fixture.directory());
    let (all, one) = (
        format!("oci:{directory}:all"),
        format!("oci:{directory}:one"),
    );
    let lists = |from: &str, more: &[&str]| {
        let run = done(home.path(), &[&["index", "list"], more, &[from]].concat());
        assert_eq!(run.stderr, "");
        run.stdout
    };
    assert_eq!(lists(&all, &[]), expected(&digests));

    let served = Served::start(&home.path().join("registry"));
    let real = DockerRegistry::start();
    let registries = [
        Some(served.address),
        real.as_ref().map(DockerRegistry::address),
    ];
    for address in registries.into_iter().flatten() {
        let [index, image] = ["all", "one"].map(|tag| format!("{address}/app:{tag}"));
        done(home.path(), &["copy", "-q", &all, &index]);
        done(home.path(), &["copy", "-q", &one, &image]);
        assert_eq!(lists(&index, &[]), expected(&digests));
        // No platform is picked here.
        assert_eq!(
            lists(&index, &["--platform", "linux/amd64"]),
            expected(&digests)
        );
        let said = complaint(home.path(), &["index", "list", &image]);
        assert!(
            said.contains(&format!("not an index but {IMAGE}")),
            "{said}"
        );
    }

    let found: Value = serde_json::from_str(&lists(&all, &["--format", "json"])).unwrap();
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(found[1]["digest"], json!(digests[1]));
    let platform = json!({"os": "linux", "architecture": "arm", "variant": "v7"});
    assert_eq!(found[1]["platform"], platform);
    assert_eq!(found[2].get("platform"), None);
}

#[test]
fn a_directory_is_all_that_a_layout_lists() {
    let home = tempfile::tempdir().unwrap();
    let (fixture, _) = layout(&home.path().join("layout"));
    let run = done(home.path(), &["index", "list", text(fixture.directory())]);
    let index = std::fs::read(fixture.directory().join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let listed = index["manifests"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    for (line, entry) in run.stdout.lines().skip(1).zip(listed) {
        assert!(
            line.starts_with(entry["digest"].as_str().unwrap()),
            "{line}"
        );
    }
}

#[test]
fn what_is_not_there_is_said_in_a_line() {
    let home = tempfile::tempdir().unwrap();
    let said = complaint(home.path(), &["index", "list", "./none"]);
    assert!(said.contains("./none"), "{said}");
}

#[test]
fn a_list_costs_one_request() {
    let home = tempfile::tempdir().unwrap();
    let (fixture, _) = layout(&home.path().join("layout"));
    let served = Served::start(&home.path().join("registry"));
    let proxy = RecordingProxy::start(served.address);
    let from = format!("oci:{}:all", text(fixture.directory()));
    let to = format!("{}/app:1", proxy.address());
    done(home.path(), &["copy", "-q", &from, &to]);
    proxy.forget();
    done(home.path(), &["index", "list", &to]);
    assert_eq!(proxy.lines().len(), 1, "{:?}", proxy.lines());
}
