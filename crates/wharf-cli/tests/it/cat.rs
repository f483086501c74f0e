//! `wharf cat`: one file, from every kind of place, and no more layers than needed.

use std::fs;
use std::path::Path;

use wharf_testkit::{
    ArchiveStyle, DockerArchive, DockerImage, DockerRegistry, LayoutFixture, RecordingProxy,
    TarLayer,
};

use crate::common::{Served, command, complaint, done, piped, text};

/// Layers, the lowest first. The second puts a file through a link that only the first has.
fn layers() -> [TarLayer; 3] {
    let base = TarLayer::new()
        .directory("usr")
        .directory("usr/lib")
        .file("usr/lib/libc", b"old libc")
        .file("usr/lib/os-release", b"NAME=test\n")
        .symlink("lib", "usr/lib")
        .symlink("absolute", "/usr/lib/../lib/os-release")
        .symlink("up", "../../../usr/lib/os-release")
        .symlink("round", "round")
        .symlink("nowhere", "usr/none")
        .file(b"\xff\xfe", b"no text")
        .fifo("pipe");
    let middle = TarLayer::new().file("lib/libc", b"new libc");
    let top = TarLayer::new()
        .directory("etc")
        .file("etc/motd", b"hello\n")
        .file("etc/.wh.gone", b"");
    [base, middle, top]
}

fn layout(place: &Path) -> String {
    let layers: Vec<_> = layers().iter().map(TarLayer::layer).collect();
    LayoutFixture::new(place).image(Some("1"), &layers);
    format!("oci:{}:1", text(place))
}

#[test]
fn a_file_is_written_as_it_is_and_links_are_followed_within_the_image() {
    let home = tempfile::tempdir().unwrap();
    let from = layout(&home.path().join("layout"));
    for (path, content) in [
        ("/etc/motd", "hello\n"),
        ("etc//./motd", "hello\n"),
        ("/../etc/motd", "hello\n"),
        ("absolute", "NAME=test\n"),
        ("up", "NAME=test\n"),
        ("lib/os-release", "NAME=test\n"),
        // Under both names it is the file of the middle layer.
        ("lib/libc", "new libc"),
        ("usr/lib/libc", "new libc"),
    ] {
        let run = done(home.path(), &["cat", &from, path]);
        assert_eq!((&*run.stdout, &*run.stderr), (content, ""), "{path}");
    }
    for (path, said) in [
        ("etc", "/etc is a directory"),
        ("/", "/ is a directory"),
        ("lib", "/usr/lib is a directory"),
        ("pipe", "/pipe is a device or pipe"),
        ("round", "/round leads through more than 40 links"),
        ("etc/none", "no file /etc/none"),
        ("etc/motd/x", "no file /etc/motd/x"),
        ("etc/.wh.gone", "no file /etc/.wh.gone"),
        ("nowhere", "no file /usr/none, where /nowhere leads"),
    ] {
        let line = complaint(home.path(), &["cat", &from, path]);
        assert!(line.ends_with(said), "{path}: {line}");
    }
}

#[cfg(unix)]
#[test]
fn names_need_no_encoding() {
    use std::os::unix::ffi::OsStrExt;

    let home = tempfile::tempdir().unwrap();
    let from = layout(&home.path().join("layout"));
    let name = std::ffi::OsStr::from_bytes(b"/\xff\xfe");
    let output = command(home.path())
        .arg("cat")
        .arg(&from)
        .arg(name)
        .output();
    assert_eq!(output.unwrap().stdout, b"no text");
}

#[test]
fn only_the_layers_that_are_needed_are_read() {
    let home = tempfile::tempdir().unwrap();
    let from = layout(&home.path().join("layout"));
    let served = Served::start(&home.path().join("registry"));
    let docker = DockerRegistry::start();
    let docker = docker.as_ref().map(DockerRegistry::address);
    for address in std::iter::once(served.address).chain(docker) {
        let at = format!("{address}/app:1");
        done(home.path(), &["copy", "-q", &from, &at]);
        let proxy = RecordingProxy::start(address);
        let through = format!("{}/app:1", proxy.address());
        for (path, content, requests) in [
            // The manifest, the config, and the top layer.
            ("etc/motd", "hello\n", 2 + 1),
            // All layers: the middle one does not say what `lib` is.
            ("lib/libc", "new libc", 2 + 3),
            ("usr/lib/os-release", "NAME=test\n", 2 + 3),
            // Only the lowest layer tells that this is the file of the middle one.
            ("usr/lib/libc", "new libc", 2 + 3 + 1),
        ] {
            proxy.forget();
            let run = done(home.path(), &["cat", &through, path]);
            assert_eq!(run.stdout, content, "{path}");
            let reads = proxy.requests().into_iter();
            let reads = reads.filter(|request| request.target.starts_with("/v2/app/"));
            assert_eq!(reads.count(), requests, "docs/requests.md: {path}");
        }
    }
}

#[test]
fn archives_are_read_too() {
    let home = tempfile::tempdir().unwrap();
    let archive = home.path().join("saved.tar");
    let saved = DockerImage::new(&["app:1"])
        .layer(&[("etc/motd", b"old"), ("etc/name", b"n")])
        .layer(&[("etc/motd", b"hello\n")]);
    for style in ArchiveStyle::ALL {
        DockerArchive::new(style)
            .image(saved.clone())
            .write(&archive);
        for (path, content) in [("etc/motd", "hello\n"), ("etc/name", "n")] {
            let run = done(home.path(), &["cat", text(&archive), path]);
            assert_eq!(run.stdout, content, "{style:?}");
        }
        let bytes = fs::read(&archive).unwrap();
        let run = piped(home.path(), &["cat", "-", "/etc/motd"], &bytes);
        assert_eq!((run.code, &*run.stdout), (0, "hello\n"), "{run:?}");
    }
}
