//! `wharf manifest`: exact bytes from every kind of place, and beside it `wharf manifest put`.

use std::fs;

use wharf_testkit::{ArchiveStyle, DockerArchive, DockerImage, Skopeo, sha256_hex};

use crate::common::shelf::Shelf;
use crate::common::{command, complaint, done, piped, text, wharf};

#[test]
fn the_exact_bytes_are_printed_from_every_kind_of_place() {
    let shelf = Shelf::new();
    for (tag, digest) in [
        ("1", &shelf.index.digest),
        ("2", &shelf.arm64.manifest_digest),
        ("3", &shelf.artifact.digest),
    ] {
        let bytes = shelf.bytes(digest);
        for place in shelf.places(tag) {
            assert_eq!(shelf.printed(&["manifest", &place]), bytes, "{place}");
        }
    }
    let attestation = &shelf.attestation.digest;
    for proxy in &shelf.proxies {
        let place = format!("{}/app@{attestation}", proxy.address());
        assert_eq!(
            shelf.printed(&["manifest", &place]),
            shelf.bytes(attestation)
        );
    }
    let amd64 = shelf.bytes(&shelf.amd64.manifest_digest);
    for place in shelf.places("1") {
        let arguments = ["manifest", "--platform", "linux/amd64", &place];
        assert_eq!(shelf.printed(&arguments), amd64);
        let run = shelf.run(&["manifest", &place, "--platform", "linux/s390x"]);
        assert!(
            run.complaint().contains("no image for linux/s390x"),
            "{run:?}"
        );
    }
    // What is no index is taken as it is.
    for (tag, digest) in [
        ("2", &shelf.arm64.manifest_digest),
        ("3", &shelf.artifact.digest),
    ] {
        for place in shelf.places(tag) {
            let arguments = ["manifest", "--platform", "linux/s390x", &place];
            assert_eq!(shelf.printed(&arguments), shelf.bytes(digest));
            let arguments = ["digest", "--platform", "linux/s390x", &place];
            assert_eq!(shelf.printed(&arguments), format!("{digest}\n"));
        }
    }
    for methods in shelf.requests(|app| vec!["manifest".to_owned(), format!("{app}:1")]) {
        assert_eq!(methods, ["GET"]);
    }
    let picked = |app: &str| {
        let words = ["manifest", "--platform", "linux/arm64"];
        let words = words.iter().map(ToString::to_string);
        words.chain([format!("{app}:1")]).collect()
    };
    for methods in shelf.requests(picked) {
        assert_eq!(methods, ["GET", "GET"]);
    }
}

#[test]
fn of_a_docker_archive_it_is_what_a_push_puts() {
    let shelf = Shelf::new();
    let archive = shelf.home.path().join("saved.tar");
    let image = DockerImage::new(&["app:1"]).layer(&[("a", b"1")]);
    for style in ArchiveStyle::ALL {
        DockerArchive::new(style)
            .image(image.clone())
            .write(&archive);
        let place = format!("docker-archive:{}", text(&archive));
        let printed = shelf.printed(&["manifest", &place]);
        assert_eq!(shelf.printed(&["manifest", "--no-cache", &place]), printed);
        let bytes = fs::read(&archive).unwrap();
        for plain in ["-", "docker-archive:-"] {
            let run = piped(shelf.home.path(), &["manifest", plain], &bytes);
            assert_eq!(run.code, 0, "{run:?}");
            let same = plain == "-" || run.stdout == printed;
            assert!(same, "{style:?}: {run:?}");
        }
        for proxy in &shelf.proxies {
            let to = format!("{}/saved:1", proxy.address());
            done(shelf.home.path(), &["copy", "-q", &place, &to]);
            assert_eq!(shelf.printed(&["manifest", &to]), printed, "{style:?}");
        }
    }
}

#[test]
fn an_image_and_a_subcommand_stand_side_by_side() {
    let shelf = Shelf::new();
    let home = shelf.home.path();
    let file = home.join("manifest.json");
    fs::write(&file, shelf.bytes(&shelf.artifact.digest)).unwrap();
    for proxy in &shelf.proxies {
        let to = format!("{}/app:new", proxy.address());
        for words in [["manifest", "put", "-q"], ["manifest", "-q", "put"]] {
            let run = wharf(home, &[&words[..], &[to.as_str(), text(&file)]].concat());
            assert_eq!(run.code, 0, "{run:?}");
            let printed = shelf.printed(&["manifest", &to]);
            assert_eq!(
                format!("sha256:{}", sha256_hex(&printed)),
                shelf.artifact.digest
            );
        }
        let said = complaint(home, &["manifest", &to, "put", &to, text(&file)]);
        assert!(said.contains("not both"), "{said}");
    }
    for arguments in [
        &["manifest"][..],
        &["manifest", "put"],
        &["manifest", "a/b", "c"],
    ] {
        let run = wharf(home, arguments);
        assert_eq!((run.code != 0, run.stdout.as_str()), (true, ""), "{run:?}");
    }
    let absent = format!("{}/app:absent", shelf.proxies[0].address());
    let said = complaint(home, &["manifest", &absent]);
    assert!(said.contains("absent"), "{said}");
}

#[test]
fn skopeo_reads_the_same() {
    let Some(skopeo) = Skopeo::find() else { return };
    let shelf = Shelf::new();
    for tag in ["1", "2"] {
        for proxy in &shelf.proxies {
            let place = format!("{}/app:{tag}", proxy.address());
            let theirs = skopeo.manifest(&format!("docker://{place}"));
            let ours = shelf.printed(&["manifest", &place]);
            assert_eq!(ours.as_bytes(), theirs);
            let digest = format!("sha256:{}", sha256_hex(theirs));
            assert_eq!(shelf.printed(&["digest", &place]).trim_end(), digest);
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let shelf = Shelf::new();
    let layer = format!(
        "oci:{}@{}",
        text(shelf.layout.directory()),
        shelf.arm64.layers[0].0
    );
    let place = shelf.local("1");
    for arguments in [
        &["manifest", place.as_str()][..],
        &["config", &place],
        &["digest", &place],
        &["blob", &layer],
        &["inspect", &place],
        &["tree", &place],
        &["validate", &place],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = command(shelf.home.path());
        let output = command.args(arguments).stdout(writer).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_path_that_was_taken_for_a_reference_is_named() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("127.0.0.1/app")).unwrap();
    for command_line in [
        "manifest", "config", "digest", "inspect", "tree", "validate",
    ] {
        let mut command = command(home.path());
        command.current_dir(home.path());
        let words = [command_line, "--retries", "0", "127.0.0.1/app"];
        let output = command.args(words).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{said}"
        );
        let hint = "did you mean the directory oci:127.0.0.1/app?";
        assert!(said.contains(hint), "{said}");
    }
}
