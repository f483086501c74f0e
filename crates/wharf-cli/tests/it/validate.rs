//! `wharf validate`: what is whole passes, and what is not is named.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use wharf_testkit::layer::tar_of;
use wharf_testkit::{
    ArchiveStyle, Child, Content, DockerArchive, DockerImage, LayerSpec, LayoutFixture,
    files_below, tar_layout,
};

use crate::common::shelf::{OCI_MANIFEST, Shelf, link};
use crate::common::{Run, complaint, done, piped, text, wharf};

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// The place of a tag in a layout.
fn at(layout: &LayoutFixture, tag: &str) -> String {
    format!("oci:{}:{tag}", text(layout.directory()))
}

/// What is wrong: the line on standard output, which standard error repeats.
fn wrong(run: &Run, name: &str) -> String {
    assert_ne!(run.code, 0, "{run:?}");
    let line = run.stdout.lines().last().unwrap();
    assert_eq!(run.stderr, format!("wharf: {line}\n"), "{run:?}");
    let what = line.strip_prefix(&format!("FAIL: {name}: "));
    what.unwrap_or_else(|| panic!("{run:?}")).to_owned()
}

fn found(layout: &LayoutFixture, tag: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let place = at(layout, tag);
    wrong(&wharf(home.path(), &["validate", &place]), &place)
}

/// An image with this config, listed under the tag `1`.
fn image(layout: &mut LayoutFixture, config: &Value, layers: &[Content]) -> Content {
    let config = layout.blob(OCI_CONFIG, config.to_string().as_bytes());
    let layers: Vec<Value> = layers.iter().map(link).collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": link(&config), "layers": layers,
    });
    let manifest = layout.blob(OCI_MANIFEST, manifest.to_string().as_bytes());
    layout.list(Some("1"), &manifest);
    manifest
}

/// The same tar with a change of its first header.
fn with_header(tar: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut tar = tar.to_vec();
    let header = &mut tar[..512];
    change(header);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar
}

#[test]
fn images_artifacts_and_attestations_pass_from_every_kind_of_place() {
    let shelf = Shelf::new();
    for tag in ["1", "2", "3"] {
        for place in shelf.places(tag) {
            let expected = format!("PASS: {place}\n");
            assert_eq!(shelf.printed(&["validate", &place]), expected);
            assert_eq!(shelf.printed(&["validate", "--fast", &place]), expected);
            assert_eq!(shelf.printed(&["validate", "--remote", &place]), expected);
        }
    }
    let archive = shelf.home.path().join("layout.tar");
    tar_layout(shelf.layout.directory(), &archive);
    let place = format!("oci-archive:{}:1", text(&archive));
    assert_eq!(
        shelf.printed(&["validate", &place]),
        format!("PASS: {place}\n")
    );
    let several = shelf.places("2");
    let arguments: Vec<&str> = several.iter().map(String::as_str).collect();
    let printed = shelf.printed(&[&["validate"], &arguments[..]].concat());
    let expected: String = several
        .iter()
        .map(|place| format!("PASS: {place}\n"))
        .collect();
    assert_eq!(printed, expected);
    assert_eq!(shelf.printed(&["validate"]), "");
    // Manifest and config; two layers.
    let methods = ["GET", "GET", "GET", "GET"];
    for asked in shelf.requests(|app| vec!["validate".to_owned(), format!("{app}:2")]) {
        assert_eq!(asked, methods);
    }
    let fast = |app: &str| {
        vec![
            "validate".to_owned(),
            "--fast".to_owned(),
            format!("{app}:2"),
        ]
    };
    for asked in shelf.requests(fast) {
        assert_eq!(asked, ["GET", "GET", "HEAD", "HEAD"]);
    }
}

#[test]
fn layers_of_every_compression_pass() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let files: &[(&str, &[u8])] = &[("a", b"1"), ("b/c", b"2")];
    let layers = [
        LayerSpec::tar(files),
        LayerSpec::gzip(files),
        LayerSpec::zstd(files),
    ];
    layout.image(Some("1"), &layers);
    let foreign = LayerSpec::foreign("http://127.0.0.1:9/layer");
    layout.image(Some("2"), &[foreign, LayerSpec::gzip(files).sha512()]);
    for tag in ["1", "2"] {
        let place = at(&layout, tag);
        assert_eq!(
            done(home.path(), &["validate", &place]).stdout,
            format!("PASS: {place}\n")
        );
    }
}

#[test]
fn damage_is_named_and_fast_sees_only_what_is_not_there() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let image = layout.image(
        Some("1"),
        &[LayerSpec::gzip(&[("a", b"1")]), LayerSpec::random(1, 9)],
    );
    let (layer, place) = (&image.layers[0].0, at(&layout, "1"));
    let whole = layout.read(layer);
    layout.corrupt(layer);
    let what = found(&layout, "1");
    assert!(what.contains(&format!("expected {layer}")), "{what}");
    let fast = wharf(home.path(), &["validate", "--fast", &place]);
    assert_eq!((fast.code, fast.stdout), (0, format!("PASS: {place}\n")));
    layout.truncate(layer, 20);
    let what = found(&layout, "1");
    assert!(what.contains(layer) && what.contains("20"), "{what}");
    layout.remove(layer);
    for arguments in [&["validate", &place][..], &["validate", "--fast", &place]] {
        let what = wrong(&wharf(home.path(), arguments), &place);
        assert!(what.contains(layer), "{what}");
    }
    fs::write(layout.blob_path(layer), whole).unwrap();
    layout.corrupt(&image.config_digest);
    let what = found(&layout, "1");
    assert!(what.contains(&image.config_digest), "{what}");
}

#[test]
fn what_a_registry_lost_is_named() {
    let shelf = Shelf::new();
    let (layer, _) = &shelf.arm64.layers[1];
    let bytes = shelf.layout.read(layer);
    for (proxy, disk) in shelf.proxies.iter().zip(&shelf.disks) {
        let is_layer = |path: &PathBuf| fs::read(path).is_ok_and(|here| here == bytes);
        let files = files_below(disk).into_keys().map(|path| disk.join(path));
        let file = files.into_iter().find(is_layer).unwrap();
        let mut damaged = bytes.clone();
        damaged[600] ^= 1;
        fs::write(&file, damaged).unwrap();
        let place = format!("{}/app:1", proxy.address());
        let what = wrong(&shelf.run(&["validate", "--remote", &place]), &place);
        assert!(what.contains(&format!("expected {layer}")), "{what}");
        let passed = format!("PASS: {place}\n");
        assert_eq!(
            shelf.printed(&["validate", "--remote", &place, "--fast"]),
            passed
        );
        fs::remove_file(&file).unwrap();
        for flags in [&[][..], &["--fast"]] {
            let run = shelf.run(&[&["validate", &place], flags].concat());
            assert!(wrong(&run, &place).contains(layer), "{run:?}");
        }
        let absent = format!("{}/app:absent", proxy.address());
        let said = complaint(shelf.home.path(), &["validate", "--remote", &absent]);
        assert!(!said.contains("FAIL"), "{said}");
    }
}

#[test]
fn configs_must_fit_their_manifests() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("layout");
    let tar = tar_of(&[("a", b"1")]);
    let digest = format!("sha256:{}", wharf_testkit::sha256_hex(&tar));
    let other = format!("sha256:{}", wharf_testkit::sha256_hex("other"));
    let config = |kind: &str, diff_ids: &[&str]| {
        json!({ "os": "linux", "architecture": "amd64",
            "rootfs": { "type": kind, "diff_ids": diff_ids } })
    };
    for (config, expected) in [
        (config("layers", &[&other]), format!("expected {other}")),
        (
            config("layers", &[]),
            "1 layers, but the config has 0 diff ids".to_owned(),
        ),
        (
            config("layers", &[&digest, &digest]),
            "1 layers, but the config has 2".to_owned(),
        ),
        (
            config("base", &[&digest]),
            "rootfs.type is \"base\", not \"layers\"".to_owned(),
        ),
        (
            json!({ "rootfs": { "diff_ids": [&digest] } }),
            "rootfs.type is \"\"".to_owned(),
        ),
        (
            json!({ "os": "linux" }),
            "1 layers, but the config has 0".to_owned(),
        ),
        (
            json!({ "rootfs": 7 }),
            "image config is not valid".to_owned(),
        ),
    ] {
        let mut layout = LayoutFixture::new(&place);
        let layer = layout.blob("application/vnd.oci.image.layer.v1.tar", &tar);
        image(&mut layout, &config, &[layer]);
        let what = found(&layout, "1");
        assert!(what.contains(&expected), "{config}: {what}");
    }
}

#[test]
fn a_layer_must_be_a_tar_with_each_path_once() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("layout");
    let twice = tar_of(&[("a", b"1"), ("b", b"2"), ("./a", b"3")]);
    let mut cut = tar_of(&[("a", &[7; 2000])]);
    cut.truncate(1024);
    let above = with_header(&tar_of(&[("a", b"1")]), |header| {
        header[..7].copy_from_slice(b"../../x");
    });
    for (bytes, expected) in [
        (twice, Some("the path /a is there twice")),
        (cut, Some("truncated tar")),
        (vec![7; 3000], Some("layer sha256:")),
        (above, Some("../../x leaves the root")),
        (Vec::new(), None),
    ] {
        let mut layout = LayoutFixture::new(&place);
        layout.image(
            Some("1"),
            &[LayerSpec::bytes(
                "application/vnd.oci.image.layer.v1.tar",
                &bytes,
            )],
        );
        let Some(expected) = expected else {
            done(home.path(), &["validate", &at(&layout, "1")]);
            continue;
        };
        let what = found(&layout, "1");
        assert!(what.contains(expected), "{what}");
    }
}

#[test]
fn bombs_and_endless_names_are_bounded() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("layout");
    // A header that states an extension of a terabyte.
    let endless = with_header(&tar_of(&[("a", b"1")]), |header| {
        header[156] = b'x';
        header[124..136].copy_from_slice(b"77777777777\0");
    });
    let mut layout = LayoutFixture::new(&place);
    layout.image(
        Some("1"),
        &[LayerSpec::bytes(
            "application/vnd.oci.image.layer.v1.tar",
            &endless,
        )],
    );
    let what = found(&layout, "1");
    assert!(what.contains("extended header at offset 0"), "{what}");
}

#[test]
fn an_index_states_the_platforms_of_its_images() {
    let shelf = Shelf::new();
    let mut layout = LayoutFixture::new(shelf.home.path().join("other"));
    let amd64 = layout.child("linux/amd64", &[LayerSpec::gzip(&[("a", b"1")])]);
    let arm64 = layout.child("linux/arm64", &[LayerSpec::gzip(&[("a", b"1")])]);
    layout.index(Some("usual"), &[Child::image(&arm64, "linux/arm64/v8")]);
    layout.index(Some("none"), &[Child::content(&amd64.content())]);
    for tag in ["usual", "none"] {
        shelf.printed(&["validate", &at(&layout, tag)]);
    }
    for (tag, stated) in [
        ("os", "windows/amd64"),
        ("arch", "linux/arm"),
        ("variant", "linux/amd64/v2"),
    ] {
        layout.index(
            Some(tag),
            &[
                Child::image(&arm64, "linux/arm64"),
                Child::image(&amd64, stated),
            ],
        );
        let what = found(&layout, tag);
        let expected = format!("its config is for linux/amd64, but the index says {stated}");
        assert!(
            what.contains(&amd64.manifest_digest) && what.contains(&expected),
            "{what}"
        );
        // Only that image is looked at.
        let place = at(&layout, tag);
        shelf.printed(&["validate", "--platform", "linux/arm64", &place]);
    }
    let absent = Child::absent(OCI_MANIFEST, 1);
    let nested = layout.child_index(&[Child::image(&amd64, "linux/amd64"), absent]);
    layout.index(Some("nested"), &[Child::content(&nested)]);
    let what = found(&layout, "nested");
    assert!(what.contains("sha256:"), "{what}");
    layout.corrupt(&arm64.layers[0].0);
    let what = found(&layout, "usual");
    assert!(what.contains(&arm64.layers[0].0), "{what}");
}

#[test]
fn archives_are_checked_without_packing_them() {
    let home = tempfile::tempdir().unwrap();
    let archive = home.path().join("saved.tar");
    let file = text(&archive);
    let one = DockerImage::new(&["one:1"])
        .layer(&[("a", b"1")])
        .layer(&[("b", b"2")]);
    let twice = DockerImage::new(&["one:1"]).layer(&[("a", b"1"), ("a", b"2")]);
    for style in ArchiveStyle::ALL {
        DockerArchive::new(style).image(one.clone()).write(&archive);
        for flags in [&["--tarball"][..], &["--fast", "--tarball"]] {
            let run = done(home.path(), &[&["validate"], flags, &[file]].concat());
            assert_eq!(run.stdout, format!("PASS: {file}\n"), "{style:?}");
        }
        let run = piped(
            home.path(),
            &["validate", "-"],
            &fs::read(&archive).unwrap(),
        );
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (0, "PASS: -\n"),
            "{style:?}"
        );

        let saved = DockerArchive::new(style)
            .image(twice.clone())
            .write(&archive);
        let run = wharf(home.path(), &["validate", "--tarball", file]);
        let what = wrong(&run, file);
        assert!(
            what.contains("the path /a is there twice"),
            "{style:?} {what}"
        );
        assert!(!saved.is_empty());

        DockerArchive::new(style)
            .image(one.clone())
            .image(twice.clone())
            .write(&archive);
        let said = complaint(home.path(), &["validate", "--tarball", file]);
        assert!(!said.contains("FAIL"), "{style:?} {said}");
    }
    let said = complaint(home.path(), &["validate", "--tarball", "absent.tar"]);
    assert!(said.starts_with("absent.tar: "), "{said}");
}

#[test]
fn first_the_file_then_the_reference_and_the_first_failure_ends_it() {
    let shelf = Shelf::new();
    let home = shelf.home.path();
    let archive = home.join("saved.tar");
    let file = text(&archive);
    let good = DockerImage::new(&["one:1"]).layer(&[("a", b"1")]);
    let bad = DockerImage::new(&["one:1"]).layer(&[("a", b"1"), ("a", b"2")]);
    for proxy in &shelf.proxies {
        let remote = format!("{}/app:1", proxy.address());
        DockerArchive::new(ArchiveStyle::Classic)
            .image(good.clone())
            .write(&archive);
        let arguments = ["validate", "--remote", &remote, "--tarball", file];
        assert_eq!(
            shelf.printed(&arguments),
            format!("PASS: {file}\nPASS: {remote}\n")
        );
        DockerArchive::new(ArchiveStyle::Classic)
            .image(bad.clone())
            .write(&archive);
        let run = shelf.run(&arguments);
        wrong(&run, file);
        assert_eq!(run.stdout.lines().count(), 1, "{run:?}");
    }
}
