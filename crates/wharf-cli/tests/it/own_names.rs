//! Images with several names, and archives with several images.

use std::path::{Path, PathBuf};

use wharf_testkit::{ArchiveStyle, DockerArchive, DockerImage, LayerSpec, LayoutFixture};

use crate::common::{Run, Served, complaint, done, text};

/// An archive in which `names` name one image each.
fn saved(home: &Path, names: &[&[&str]]) -> PathBuf {
    let path = home.join("saved.tar");
    let mut archive = DockerArchive::new(ArchiveStyle::Classic);
    for names in names {
        archive = archive.image(DockerImage::new(names).layer(&[("file", names[0].as_bytes())]));
    }
    archive.write(&path);
    path
}

/// The digest of a reference in a registry; `None` if it is not there.
fn digest(home: &Path, reference: &str) -> Option<String> {
    let there = home.join("there");
    let to = format!("oci:{}:x", there.display());
    let run = crate::common::wharf(home, &["copy", reference, &to]);
    let index = std::fs::read_to_string(there.join("index.json")).unwrap_or_default();
    let _ = std::fs::remove_dir_all(&there);
    let start = index.find("sha256:")?;
    (run.code == 0).then(|| index[start..start + 71].to_owned())
}

fn lines(run: &Run) -> Vec<&str> {
    run.stdout.lines().collect()
}

#[test]
fn fault_b8_all_tags_of_the_repository_are_pushed_and_other_names_told() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(&home.path().join("registry"));
    let app = format!("{}/team/app", served.address);
    let (one, two) = (format!("{app}:1"), format!("{app}:2"));
    let path = saved(home.path(), &[&[&one, &two, "other.example/x:3"]]);
    let run = done(home.path(), &["push", text(&path), &app]);
    let pushed = run.stdout.trim_end().rsplit_once('@').unwrap().1;
    for reference in [&one, &two] {
        assert_eq!(digest(home.path(), reference).as_deref(), Some(pushed));
    }
    assert!(
        run.stderr.contains("other names: other.example/x:3;"),
        "{run:?}"
    );
    assert!(run.stderr.contains("--all"), "{run:?}");
    // A tag that is written is the only one.
    let run = done(home.path(), &["push", text(&path), &format!("{app}:9")]);
    for name in [&one, &two] {
        assert!(run.stderr.contains(name.as_str()), "{run:?}");
    }
}

#[test]
fn fault_b8_the_embedded_registry_gets_all_tags_too() {
    let home = tempfile::tempdir().unwrap();
    let path = saved(home.path(), &[&["app:1", "app:2", "other:3"]]);
    let run = done(home.path(), &["push", text(&path)]);
    assert!(
        run.stdout.starts_with("localhost:5000/app@sha256:"),
        "{run:?}"
    );
    assert!(run.stderr.contains("other names: other:3;"), "{run:?}");
    let data = home.path().join(".local/share/wharf/registry");
    let served = Served::start(&data);
    for tag in ["1", "2"] {
        let reference = format!("{}/app:{tag}", served.address);
        assert!(digest(home.path(), &reference).is_some(), "{reference}");
    }
}

#[test]
fn fault_b8_all_pushes_every_image_under_its_own_names() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(&home.path().join("registry"));
    let host = served.address.to_string();
    let path = saved(
        home.path(),
        &[&["app:1", "app:latest"], &["quay.example/team/other:2"]],
    );
    let run = done(home.path(), &["push", "--all", text(&path), &host]);
    let expected = ["app:1", "app:latest", "team/other:2"];
    assert_eq!(lines(&run).len(), 3, "{run:?}");
    for (line, name) in lines(&run).iter().zip(expected) {
        let (reference, pushed) = line.rsplit_once('@').unwrap();
        assert_eq!(reference, format!("{host}/{name}"));
        assert_eq!(digest(home.path(), reference).as_deref(), Some(pushed));
    }
    let below = done(
        home.path(),
        &["push", "--all", text(&path), &format!("{host}/mirror")],
    );
    assert!(
        below.stdout.starts_with(&format!("{host}/mirror/app:1@")),
        "{below:?}"
    );
    let dry = done(
        home.path(),
        &["push", "--all", "--dry-run", text(&path), &host],
    );
    assert!(dry.stderr.contains("up to date"), "{dry:?}");
    let inside = done(home.path(), &["push", "--all", text(&path)]);
    assert!(
        inside.stdout.contains("localhost:5000/team/other:2@"),
        "{inside:?}"
    );
}

#[test]
fn fault_b8_all_pushes_a_layout_too() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(&home.path().join("registry"));
    let host = served.address.to_string();
    let mut layout = LayoutFixture::new(home.path().join("images"));
    for (name, seed) in [("registry.example/a:1", 1), ("registry.example/b:1", 2)] {
        layout.image(Some(name), &[LayerSpec::random(seed, 2000)]);
    }
    let run = done(
        home.path(),
        &["push", "--all", text(layout.directory()), &host],
    );
    let names: Vec<&str> = lines(&run)
        .iter()
        .map(|line| line.split_once('@').unwrap().0)
        .collect();
    assert_eq!(names, [format!("{host}/a:1"), format!("{host}/b:1")]);
}

#[test]
fn fault_b8_what_cannot_be_meant_with_all_is_said() {
    let home = tempfile::tempdir().unwrap();
    let path = saved(home.path(), &[&["app:1"], &["x.example/app:1"]]);
    let line = complaint(home.path(), &["push", "--all", text(&path), "localhost:1"]);
    assert!(line.contains("2 images have the name app:1"), "{line}");
    let line = complaint(
        home.path(),
        &["push", "--all", text(&path), "localhost:1/a:1"],
    );
    assert!(
        line.contains("REF is REGISTRY or REGISTRY/PREFIX"),
        "{line}"
    );
}
