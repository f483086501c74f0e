//! `wharf blob` and `wharf blob push` against real registries.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use wharf_testkit::compress::compress_bytes;
use wharf_testkit::layer::tar_of;
use wharf_testkit::{
    DockerRegistry, Kind, PeakRss, RecordingProxy, compressible_bytes, seeded_bytes, sha256_hex,
};

use crate::common::shelf::Shelf;
use crate::common::{Run, Served, command, complaint, done, is_failure, piped, text, wharf};

/// The blob as the registry returns it.
fn pulled(address: SocketAddr, name: &str, digest: &str) -> Vec<u8> {
    let mut connection = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /v2/{name}/blobs/{digest} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{name}@{digest}");
    let end = answer
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .unwrap();
    answer.split_off(end + 4)
}

fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256_hex(bytes))
}

/// The text on standard error after "diff id ".
fn diff_id(run: &Run) -> &str {
    let mut lines = run.stderr.lines();
    lines
        .find_map(|line| line.strip_prefix("diff id "))
        .unwrap()
}

/// A registry of each kind; Debian's where it is installed.
fn registries(home: &Path) -> (Served, Option<DockerRegistry>) {
    (
        Served::start(&home.join("registry")),
        DockerRegistry::start(),
    )
}

fn addresses(served: &Served, docker: Option<&DockerRegistry>) -> Vec<SocketAddr> {
    let docker = docker.map(DockerRegistry::address);
    [served.address].into_iter().chain(docker).collect()
}

#[test]
fn o3_a_file_is_pushed_once_and_its_digest_printed() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("blob");
    let bytes = seeded_bytes(1, 2_000_000);
    fs::write(&path, &bytes).unwrap();
    let (served, docker) = registries(home.path());
    for address in addresses(&served, docker.as_ref()) {
        let proxy = RecordingProxy::start(address);
        let push = [
            "blob",
            "push",
            &format!("{}/a/b", proxy.address()),
            text(&path),
        ];
        let first = done(home.path(), &push);
        assert_eq!(first.stdout, format!("{}\n", digest_of(&bytes)));
        assert!(
            first.stderr.contains("pushed, 2.0 MB; "),
            "{}",
            first.stderr
        );
        assert!(pulled(address, "a/b", first.stdout.trim_end()) == bytes);
        proxy.forget();
        let again = done(home.path(), &push);
        assert_eq!(again.stdout, first.stdout);
        assert!(again.stderr.contains("already there"), "{}", again.stderr);
        let sends = proxy.lines().iter().any(|line| line.starts_with("P"));
        assert!(!sends, "{:?}", proxy.lines());
    }
}

#[test]
fn o3_u2_standard_input_is_pushed_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let bytes = seeded_bytes(1, 3_000_000);
    let (served, docker) = registries(home.path());
    for address in addresses(&served, docker.as_ref()) {
        let push = ["blob", "push", &format!("{address}/a"), "-"];
        let run = piped(home.path(), &push, &bytes);
        assert_eq!(
            (run.code, run.stdout),
            (0, format!("{}\n", digest_of(&bytes)))
        );
        assert!(pulled(address, "a", &digest_of(&bytes)) == bytes);
    }
}

#[test]
fn s3_a_tar_is_compressed_on_its_way_and_its_diff_id_said() {
    let home = tempfile::tempdir().unwrap();
    let tar = tar_of(&[("file", &compressible_bytes(1, 3_000_000))]);
    let path = home.path().join("layer.tar");
    fs::write(&path, &tar).unwrap();
    let served = Served::start(&home.path().join("registry"));
    let repository = format!("{}/a", served.address);
    for (format, magic) in [
        ("gzip", &b"\x1f\x8b\x08"[..]),
        ("zstd", b"\x28\xb5\x2f\xfd"),
    ] {
        let push = ["blob", "push", "--compress", format, &repository];
        let file = done(home.path(), &[&push[..], &[text(&path)]].concat());
        let stream = piped(home.path(), &[&push[..], &["-"]].concat(), &tar);
        assert_eq!(file.stdout, stream.stdout);
        let expected = digest_of(&tar);
        assert_eq!([diff_id(&file), diff_id(&stream)], [&expected; 2]);
        let layer = pulled(served.address, "a", file.stdout.trim_end());
        assert!(layer.starts_with(magic));
        assert_eq!(format!("{}\n", digest_of(&layer)), file.stdout);
    }
}

#[test]
fn a_truncated_tar_is_no_layer_and_is_told_with_file_and_offset() {
    let home = tempfile::tempdir().unwrap();
    let mut tar = tar_of(&[("file", &compressible_bytes(1, 3_000_000))]);
    tar.truncate(2_000_000);
    let path = home.path().join("layer.tar");
    fs::write(&path, &tar).unwrap();
    let served = Served::start(&home.path().join("registry"));
    let repository = format!("{}/a", served.address);
    for format in ["gzip", "zstd"] {
        let push = ["blob", "push", "--compress", format, &repository];
        let file = wharf(home.path(), &[&push[..], &[text(&path)]].concat());
        let stream = piped(home.path(), &[&push[..], &["-"]].concat(), &tar);
        for (run, name) in [(file, text(&path)), (stream, "standard input")] {
            assert_ne!(run.code, 0, "{run:?}");
            assert_eq!(run.stdout, "");
            let said = "truncated tar: it ends in the middle of an entry, at offset 2000000";
            assert!(run.stderr.contains(&format!("{name}: {said}")), "{run:?}");
        }
    }
    assert!(!home.path().join("registry/blobs").exists());
}

#[test]
fn fault_b9_text_is_not_compressed_as_a_layer() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("note.txt");
    fs::write(&path, "hello, world\n").unwrap();
    let served = Served::start(&home.path().join("registry"));
    let repository = format!("{}/a", served.address);
    for format in ["gzip", "zstd"] {
        let push = ["blob", "push", "--compress", format, &repository];
        let file = wharf(home.path(), &[&push[..], &[text(&path)]].concat());
        let stream = piped(
            home.path(),
            &[&push[..], &["-"]].concat(),
            b"hello, world\n",
        );
        for (run, name) in [(file, text(&path)), (stream, "standard input")] {
            assert_eq!((run.code, run.stdout.as_str()), (7, ""), "{run:?}");
            let said = format!("{name}: not a tar: looks like text");
            assert!(run.stderr.contains(&said), "{run:?}");
        }
    }
}

#[test]
fn s3_a_directory_is_a_layer_that_is_the_same_again() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(&home.path().join("registry"));
    let repository = format!("{}/a", served.address);
    let pushed = ["one", "two"].map(|name| {
        let tree = home.path().join(name);
        fs::create_dir_all(tree.join("etc")).unwrap();
        fs::write(tree.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        let file = fs::File::open(&tree).unwrap();
        let later = std::time::UNIX_EPOCH + std::time::Duration::from_secs(name.len() as u64);
        file.set_modified(later).unwrap();
        let run = command(home.path())
            .args([
                "blob",
                "push",
                "--compress",
                "gzip",
                &repository,
                text(&tree),
            ])
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
        String::from_utf8(run.stdout).unwrap()
    });
    assert_eq!(pushed[0], pushed[1]);
}

/// Four times the allowed memory: a layer that is held in memory fails the test.
#[test]
fn u2_a_layer_from_a_pipe_is_never_in_memory() {
    const ALLOWED: u64 = 64 << 10;
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(&home.path().join("registry"));
    let repository = format!("{}/a", served.address);
    for compress in [&[][..], &["--compress", "gzip"], &["--compress", "zstd"]] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let writing = std::thread::spawn(move || {
            let chunk = compressible_bytes(1, 1 << 20);
            // Only its beginning has to be that of a tar.
            writer.write_all(&tar_of(&[("file", b"")]))?;
            (0..4 * (ALLOWED >> 10)).try_for_each(|_| writer.write_all(&chunk))
        });
        let mut push = command(home.path());
        push.args(["blob", "push", &repository, "-"]);
        let ended = PeakRss::of(push.args(compress).stdin(reader)).unwrap();
        // It holds the reading end.
        drop(push);
        assert!(ended.output.status.success(), "{:?}", ended.output);
        writing.join().unwrap().unwrap();
        let peak = ended.peak_kib.unwrap_or_default();
        assert!(peak < ALLOWED, "{peak} KiB with {compress:?}");
    }
}

#[test]
fn bad_input_is_one_line_that_names_it() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("tree");
    fs::create_dir(&directory).unwrap();
    let absent = home.path().join("absent");
    let digest = digest_of(b"");
    let at_digest = format!("127.0.0.1:1/a@{digest}");
    let no_tag = "a repository has no tag and no digest: write REGISTRY/REPOSITORY";
    for (repository, file, said) in [
        (
            "127.0.0.1:1/a",
            text(&absent),
            format!("{}: no such file or directory", absent.display()),
        ),
        (
            "127.0.0.1:1/a",
            text(&directory),
            format!(
                "{}: is a directory; --compress gzip or zstd pushes it as a layer",
                directory.display()
            ),
        ),
        ("127.0.0.1:1/a:1", "-", format!("127.0.0.1:1/a:1: {no_tag}")),
        (at_digest.as_str(), "-", format!("{at_digest}: {no_tag}")),
    ] {
        let run = wharf(home.path(), &["blob", "push", repository, file]);
        assert_eq!(
            (is_failure(run.code), run.stdout.as_str()),
            (true, ""),
            "{file}"
        );
        assert_eq!(run.stderr, format!("wharf: {said}\n"));
    }
    let run = command(home.path())
        .args([
            "blob",
            "push",
            "--compress",
            "zstd",
            "127.0.0.1:1/a",
            text(&directory),
        ])
        .env("SOURCE_DATE_EPOCH", "yesterday")
        .output()
        .unwrap();
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert_eq!(
        stderr,
        "wharf: SOURCE_DATE_EPOCH: not a number of seconds since 1970\n"
    );
    let run = wharf(home.path(), &["blob", "push", "Bad/a", "-"]);
    assert_eq!(run.code, 5);
    assert!(
        run.stderr.starts_with("wharf: ") && run.stderr.lines().count() == 1,
        "{run:?}"
    );
}

#[test]
fn zeros_without_an_end_are_refused_as_an_archive_at_once() {
    let home = tempfile::tempdir().unwrap();
    let mut bytes = vec![0; 3 << 20];
    for compressed in [false, true] {
        if compressed {
            bytes = compress_bytes(&bytes, Kind::Gzip);
        }
        let run = piped(home.path(), &["push", "-", "127.0.0.1:1/a"], &bytes);
        assert_eq!(run.code, 7);
        assert!(run.stderr.contains("standard input: "), "{}", run.stderr);
        assert!(run.stderr.contains("zeros"), "{}", run.stderr);
    }
}

#[test]
fn the_exact_bytes_are_printed_from_every_kind_of_place() {
    let shelf = Shelf::new();
    let home = shelf.home.path();
    let printed = |place: &str| {
        let mut command = command(home);
        let output = command.args(["blob", place]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        output.stdout
    };
    let archive = home.join("archive.tar");
    wharf_testkit::tar_layout(shelf.layout.directory(), &archive);
    for (digest, _) in &shelf.arm64.layers {
        let bytes = shelf.layout.read(digest);
        for (form, path) in [("oci", shelf.layout.directory()), ("oci-archive", &archive)] {
            assert_eq!(printed(&format!("{form}:{}@{digest}", text(path))), bytes);
        }
        for proxy in &shelf.proxies {
            let place = format!("{}/app@{digest}", proxy.address());
            assert_eq!(printed(&place), bytes);
            assert_eq!(printed(&place.replace("/app@", "/app:2@")), bytes);
        }
    }
    let config = &shelf.arm64.config_digest;
    let arguments = |app: &str| vec!["blob".to_owned(), format!("{app}@{config}")];
    for methods in shelf.requests(arguments) {
        assert_eq!(methods, ["GET"]);
    }
}

#[test]
fn a_blob_needs_a_digest_and_has_it() {
    let shelf = Shelf::new();
    let home = shelf.home.path();
    for place in shelf.places("1") {
        let said = complaint(home, &["blob", &place]);
        assert!(said.contains("add @DIGEST"), "{said}");
    }
    let absent = digest_of(b"absent");
    let mut places = vec![format!("oci:{}@{absent}", text(shelf.layout.directory()))];
    let remote = shelf.proxies.iter();
    places.extend(remote.map(|proxy| format!("{}/app@{absent}", proxy.address())));
    for place in places {
        let said = complaint(home, &["blob", &place]);
        assert!(said.contains(&absent), "{said}");
    }
    let (layer, _) = &shelf.amd64.layers[0];
    shelf.layout.corrupt(layer);
    let place = format!("oci:{}@{layer}", text(shelf.layout.directory()));
    let output = command(home).args(["blob", &place]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(7), 0));
    assert!(String::from_utf8(output.stderr).unwrap().contains(layer));
}

#[test]
fn blobs_of_docker_archives_are_found_by_digest() {
    let home = tempfile::tempdir().unwrap();
    let archive = home.path().join("saved.tar");
    let tar = tar_of(&[("a", b"1")]);
    let packed = compress_bytes(&tar, Kind::Gzip);
    let image = wharf_testkit::DockerImage::new(&["app:1"]).layer_bytes(packed.clone());
    let archived = wharf_testkit::DockerArchive::new(wharf_testkit::ArchiveStyle::Classic);
    let saved = archived.image(image).write(&archive);
    for (digest, bytes) in [
        (saved[0].config_digest.clone(), &saved[0].config),
        (digest_of(&packed), &packed),
    ] {
        let place = format!("docker-archive:{}@{digest}", text(&archive));
        let output = command(home.path())
            .args(["blob", &place])
            .output()
            .unwrap();
        assert_eq!(&output.stdout, bytes, "{output:?}");
    }
}
