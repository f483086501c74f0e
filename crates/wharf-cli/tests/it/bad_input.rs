//! Bad input ends in one line on standard error, exit code 1, and leaves nothing behind.

use std::fs;
use std::path::Path;

use wharf_testkit::{
    Answer, ArchiveStyle, Child, DockerArchive, DockerImage, FaultServer, LayerSpec, LayoutFixture,
    Script, push_registry,
};

use crate::common::{Served, command, complaint, ran, wharf};

struct Place {
    directory: tempfile::TempDir,
    registry: Served,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let registry = Served::start(&directory.path().join("registry"));
        Place {
            directory,
            registry,
        }
    }

    fn path(&self, name: &str) -> String {
        self.directory
            .path()
            .join(name)
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn push(&self, path: &str) -> String {
        let reference = format!("{}/bad:1", self.registry.address);
        complaint(self.directory.path(), &["push", path, &reference])
    }
}

#[test]
fn a_path_that_does_not_exist() {
    let place = Place::new();
    let path = place.path("nothing");
    assert_eq!(
        place.push(&path),
        format!("{path}: no such file or directory")
    );
}

#[test]
fn an_empty_directory_and_a_layout_without_its_index() {
    let place = Place::new();
    let path = place.path("empty");
    fs::create_dir(&path).unwrap();
    assert_eq!(
        place.push(&path),
        format!("{path}: empty directory, not an OCI image layout")
    );
    fs::write(
        Path::new(&path).join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    let line = place.push(&path);
    assert!(line.contains("index.json"), "{line}");
}

#[test]
fn a_blob_that_is_missing_or_has_wrong_bytes() {
    let place = Place::new();
    let path = place.path("layout");
    let mut layout = LayoutFixture::new(&path);
    let image = layout.image(Some("1"), &[LayerSpec::random(1, 5000)]);
    let (layer, _) = &image.layers[0];
    layout.corrupt(layer);
    let line = place.push(&path);
    assert!(line.contains(layer), "{line}");
    layout.remove(layer);
    let line = place.push(&path);
    assert!(line.contains(&layer.replace("sha256:", "")), "{line}");
    let tags = wharf(
        place.directory.path(),
        &[
            "copy",
            &format!("{}/bad:1", place.registry.address),
            &format!("oci:{}", place.path("out")),
        ],
    );
    assert_eq!(tags.code, 3, "no tag may be left: {tags:?}");
    assert!(!Path::new(&place.path("out")).exists());
}

#[test]
fn a_tar_that_is_cut_off_and_a_file_that_is_no_tar() {
    let place = Place::new();
    let path = place.path("image.tar");
    let archive = DockerArchive::new(ArchiveStyle::Classic)
        .image(DockerImage::new(&["a:1"]).layer(&[("file", &[7; 9000])]));
    archive.write(Path::new(&path));
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let line = place.push(&path);
    assert!(line.starts_with(&path), "{line}");
    fs::write(&path, "plain text, not an archive at all").unwrap();
    let line = place.push(&path);
    assert!(line.starts_with(&path) && line.contains("tar"), "{line}");
}

#[test]
fn a_copy_of_what_is_damaged_leaves_no_empty_layout() {
    let place = Place::new();
    let mut layout = LayoutFixture::new(place.path("layout"));
    let image = layout.image(Some("1"), &[LayerSpec::random(1, 100)]);
    layout.remove(&image.layers[0].0);
    let source = format!("oci:{}", place.path("layout"));
    let (new, empty) = (place.path("new"), place.path("empty"));
    fs::create_dir(&empty).unwrap();
    for target in [&new, &empty] {
        let target = format!("oci:{target}");
        complaint(place.directory.path(), &["copy", &source, &target]);
    }
    assert!(!Path::new(&new).exists());
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
}

#[test]
fn a_stream_that_is_no_tar_is_refused_before_it_ends() {
    let place = Place::new();
    let pipe = place.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    // Open for reading too, so that the reader never sees the end of the file.
    let mut writer = fs::File::options()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    std::io::Write::write_all(&mut writer, &[b'x'; 512]).unwrap();
    let line = place.push(&pipe);
    assert_eq!(line, format!("{pipe}: not a tar: looks like text"));
}

#[test]
fn the_platform_of_an_image_in_an_inner_index_is_found() {
    let place = Place::new();
    let path = place.path("layout");
    let mut layout = LayoutFixture::new(&path);
    let image = layout.child("linux/s390x", &[LayerSpec::random(1, 100)]);
    let inner = layout.child_index(&[Child::image(&image, "linux/s390x")]);
    layout.index(Some("1"), &[Child::content(&inner)]);
    let reference = format!("{}/a:1", place.registry.address);
    let platform = |name| ["push", &path, &reference, "--platform", name].map(str::to_owned);
    let arguments = platform("linux/s390x");
    let run = wharf(
        place.directory.path(),
        &arguments.each_ref().map(String::as_str),
    );
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains(&image.manifest_digest), "{run:?}");
    let arguments = platform("linux/386");
    let line = complaint(
        place.directory.path(),
        &arguments.each_ref().map(String::as_str),
    );
    assert!(
        line.ends_with("no image for linux/386, there is: linux/s390x"),
        "{line}"
    );
}

#[test]
fn a_reference_that_cannot_be_read_is_refused_before_anything_is_opened() {
    let home = tempfile::tempdir().unwrap();
    let line = complaint(home.path(), &["push", "/nowhere", "Foo/bar:tag!"]);
    assert!(
        line.starts_with("reference \"Foo/bar:tag!\": tag \"tag!\""),
        "{line}"
    );
    let line = complaint(home.path(), &["copy", "a/", "localhost:1/a"]);
    assert!(line.contains("a layout directory is oci:DIR"), "{line}");
}

#[test]
fn fault_c16_places_of_other_tools_and_paths_never_go_to_the_network() {
    let place = Place::new();
    let mut layout = LayoutFixture::new(place.path("layout"));
    layout.image(Some("1"), &[LayerSpec::random(1, 100)]);
    let server = FaultServer::start(push_registry());
    let to = format!("{}/a:1", server.address());
    let said = |arguments: &[&str]| {
        let mut command = command(place.directory.path());
        let run = command.current_dir(place.directory.path()).args(arguments);
        ran(run.output().unwrap())
    };
    for kind in ["docker-daemon:", "containers-storage:", "dir:"] {
        let foreign = format!("{kind}x");
        let start = format!("\"{foreign}\": {kind} is not supported, only docker://, oci:, ");
        for arguments in [
            &["copy", &foreign, &to][..],
            &["copy", &to, &foreign],
            &["push", &foreign, &to],
            &["push", "layout", &foreign],
            &["tag", &foreign, "2"],
            &["blob", "push", &foreign, "layout"],
        ] {
            let run = said(arguments);
            assert!(
                run.complaint().starts_with(&start),
                "{arguments:?}: {run:?}"
            );
        }
    }
    let run = said(&["copy", "./nowhere", &to]);
    assert_eq!(run.complaint(), "./nowhere: no such file or directory");
    let run = said(&["copy", &to, "./out"]);
    let expected = "./out: a destination on disk states its form; write oci:./out for a directory, \
                    docker-archive:./out or oci-archive:./out for a file";
    assert_eq!(run.complaint(), expected);
    assert_eq!(server.lines(), Vec::<String>::new());

    let docker = format!("docker://{to}");
    for arguments in [
        &["copy", "./layout", &to][..],
        &["copy", "oci:layout", &docker],
        &["push", "layout", &docker],
    ] {
        let run = said(arguments);
        assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
    }
}

#[test]
fn a_registry_that_is_not_there() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    layout.image(Some("1"), &[LayerSpec::random(1, 100)]);
    let path = layout.directory().to_str().unwrap();
    // The port was free a moment ago, and no other process listens on this address.
    let gone = FaultServer::start(Script::new()).address();
    let line = complaint(
        home.path(),
        &["push", path, &format!("{gone}/a:1"), "--retries", "0"],
    );
    assert!(line.contains(&gone.to_string()), "{line}");
    assert!(line.contains("is a registry running there?"), "{line}");
}

#[test]
fn a_registry_that_answers_500_to_all() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    layout.image(Some("1"), &[LayerSpec::random(1, 100)]);
    let path = layout.directory().to_str().unwrap();
    let server = FaultServer::start(Script::new().on("*", "*", [Answer::status(500)]));
    let reference = format!("{}/a:1", server.address());
    let line = complaint(home.path(), &["push", path, &reference, "--retries", "1"]);
    assert!(line.contains("500"), "{line}");
}

#[test]
fn several_images_and_no_choice() {
    let place = Place::new();
    let path = place.path("layout");
    let mut layout = LayoutFixture::new(&path);
    layout.image(Some("one"), &[LayerSpec::random(1, 100)]);
    layout.image(Some("two"), &[LayerSpec::random(2, 100)]);
    let line = place.push(&path);
    assert!(line.contains("one") && line.contains("two"), "{line}");
    assert!(line.contains("write oci:DIR:TAG"), "{line}");
}

#[test]
fn usage_errors_are_one_line_and_exit_with_1() {
    let home = tempfile::tempdir().unwrap();
    assert!(complaint(home.path(), &["push"]).starts_with("the following required arguments"));
    assert!(complaint(home.path(), &["shove"]).starts_with("no such command: shove"));
}

#[test]
fn a_destination_with_a_wrong_name_is_refused_before_the_source_is_opened() {
    let home = tempfile::tempdir().unwrap();
    for (to, said) in [
        ("docker-archive:x.tar:A", "x.tar: A: "),
        ("oci-archive:x.tar:a b", "x.tar: "),
        (
            &format!("docker-archive:x.tar:a@sha256:{}", "0".repeat(64)),
            "x.tar: ",
        ),
    ] {
        let line = complaint(home.path(), &["copy", "oci:/nowhere", to]);
        assert!(line.starts_with(said), "{line}");
    }
    let line = complaint(home.path(), &["copy", "oci:/nowhere", "oci-archive:x.tar"]);
    assert!(line.starts_with("/nowhere: "), "{line}");
}

#[test]
fn a_first_push_of_what_is_incomplete_makes_no_registry() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let image = layout.image(Some("1"), &[LayerSpec::random(1, 500)]);
    let blob = image.layers[0].0.replace(':', "/");
    fs::remove_file(layout.directory().join("blobs").join(blob)).unwrap();
    let path = layout.directory().to_str().unwrap();
    let said = complaint(home.path(), &["push", path]);
    assert!(said.contains("is missing"), "{said}");
    assert!(!home.path().join(".local").exists());
}

#[test]
fn nothing_at_all_is_too_few() {
    let home = tempfile::tempdir().unwrap();
    for flag in ["--jobs", "--checks"] {
        let arguments = ["push", "nothing", "127.0.0.1:1/a:1", flag, "0"];
        let line = complaint(home.path(), &arguments);
        assert!(line.ends_with(": at least 1 is needed"), "{line}");
    }
}
