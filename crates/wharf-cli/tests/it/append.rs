//! `wharf append` against real registries: layers, config, requests, and what it prints.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use wharf_testkit::{
    Child, Flavour, ImageFixture, Kind, LayerSpec, LayoutFixture, RecordingProxy, Skopeo, Umoci,
    compress, compress_bytes, sha256_hex,
};

use crate::common::edits::{
    Registries, blob, config, config_json, digest, digests, manifest, manifest_json, methods,
};
use crate::common::{piped, text, wharf};

const OCI: &str = "application/vnd.oci.image.";
const DOCKER: &str = "application/vnd.docker.";

/// A tar of one file.
fn tar_of(name: &str, content: &[u8]) -> Vec<u8> {
    wharf_testkit::tar_of(&[(name, content)])
}

fn write(registries: &Registries, name: &str, bytes: &[u8]) -> String {
    let path = registries.file(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// An image of two layers, pushed as `app:1`.
fn base(registries: &Registries, flavour: Flavour) -> (LayoutFixture, ImageFixture) {
    let mut layout = registries.layout("layout");
    layout.flavour(flavour);
    let layers = [
        LayerSpec::gzip(&[("a", b"a")]),
        LayerSpec::gzip(&[("b", b"b")]),
    ];
    let image = layout.image(Some("1"), &layers);
    for address in registries.addresses() {
        registries.done(&[
            "push",
            &registries.file("layout"),
            &format!("{address}/app:1"),
        ]);
    }
    (layout, image)
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("packed");
    fs::write(&file, bytes).unwrap();
    let unpacked = Command::new("gzip")
        .arg("-dc")
        .stdin(fs::File::open(&file).unwrap())
        .output();
    unpacked.unwrap().stdout
}

#[test]
fn layers_are_added_in_order_and_nothing_of_the_base_is_read_or_sent() {
    for (flavour, family) in [(Flavour::Oci, OCI), (Flavour::Docker, DOCKER)] {
        let registries = Registries::start();
        let (layout, image) = base(&registries, flavour);
        let (plain, packed) = (tar_of("c", b"c"), tar_of("d", b"d"));
        let plain_file = write(&registries, "c.tar", &plain);
        let packed_file = write(&registries, "d.tar", &packed);
        let packed_file = compress(Path::new(&packed_file), Kind::Gzip);
        for address in registries.addresses() {
            let proxy = RecordingProxy::start(address);
            let app = format!("{}/app", proxy.address());
            let arguments = [
                "append",
                "-b",
                &format!("{app}:1"),
                "-f",
                &plain_file,
                "--new_layer",
                text(&packed_file),
                "-t",
                &format!("{app}:2"),
            ];
            let printed = registries.printed(&arguments);
            assert!(printed.starts_with(&format!("{app}@")), "{printed}");
            let sent = methods(&proxy);
            if address != registries.addresses()[0] {
                // Two layers of three requests, the config of two, the manifest; and GET of the
                // manifest, GET and HEAD of the configs.
                assert_eq!(
                    sent.len(),
                    2 * 3 + 2 + 1 + 3,
                    "docs/requests.md: {:?}",
                    proxy.lines()
                );
            }
            let of_base = |line: &&String| image.layers.iter().any(|layer| line.contains(&layer.0));
            assert_eq!(proxy.lines().iter().find(of_base), None);

            let document = manifest_json(address, "app", digest(&printed));
            let layers = document["layers"].as_array().unwrap();
            let types: Vec<&str> = layers
                .iter()
                .map(|layer| layer["mediaType"].as_str().unwrap())
                .collect();
            assert!(
                types
                    .iter()
                    .all(|one| one.starts_with(family) && one.ends_with("gzip")),
                "{types:?}"
            );
            let before: Value =
                serde_json::from_slice(&layout.read(&image.manifest_digest)).unwrap();
            assert_eq!(layers[..2], before["layers"].as_array().unwrap()[..]);
            let all = digests(&document["layers"]);
            assert!(gunzip(&blob(address, "app", all[2])) == plain);
            assert!(blob(address, "app", all[3]) == fs::read(&packed_file).unwrap());
            let expected = format!(
                r#"{{"architecture":"amd64","created":"2023-11-14T22:13:20Z","history":[{{"created":"0001-01-01T00:00:00Z"}},{{"created":"0001-01-01T00:00:00Z"}}],"os":"linux","rootfs":{{"type":"layers","diff_ids":["{}","{}","sha256:{}","sha256:{}"]}},"config":{{"Cmd":["/bin/sh"],"Env":["PATH=/usr/bin:/bin"]}}}}"#,
                image.diff_ids[0],
                image.diff_ids[1],
                sha256_hex(&plain),
                sha256_hex(&packed)
            );
            assert_eq!(
                String::from_utf8(config(address, "app", "2")).unwrap(),
                expected
            );
            assert!(manifest(address, "app", "1").0 == layout.read(&image.manifest_digest));
            assert_eq!(registries.printed(&arguments), printed, "the same again");
            if let Some(skopeo) = Skopeo::find() {
                let copy = registries.file(&format!("copy-{}", address.port()));
                skopeo.copy(
                    &format!("docker://{address}/app:2"),
                    &format!("oci:{copy}:2"),
                );
                // umoci reads no Docker images.
                if let Some(umoci) = Umoci::find().filter(|_| flavour == Flavour::Oci) {
                    let bundle = registries.file(&format!("bundle-{}", address.port()));
                    let files = umoci.unpack(Path::new(&copy), "2", Path::new(&bundle));
                    let read = ["a", "b", "c", "d"];
                    let read = read.map(|name| fs::read_to_string(files.join(name)).unwrap());
                    assert_eq!(read, ["a", "b", "c", "d"]);
                }
            }
            // Commands chain.
            let line = registries.printed(&["mutate", &printed, "--entrypoint", "/c"]);
            assert_eq!(
                config_json(address, "app", digest(&line))["config"]["Entrypoint"],
                json!(["/c"])
            );
        }
    }
}

#[test]
fn a_pipe_is_one_layer_and_lists_may_be_split_at_commas() {
    let registries = Registries::start();
    base(&registries, Flavour::Oci);
    let tar = tar_of("c", &[7; 100_000]);
    let file = write(&registries, "d.tar", &tar_of("d", b"d"));
    let packed = compress(Path::new(&write(&registries, "c.tar", &tar)), Kind::Gzip);
    for address in registries.addresses() {
        let app = format!("{address}/app");
        for input in [tar.clone(), fs::read(&packed).unwrap()] {
            let arguments = [
                "append",
                "-b",
                &format!("{app}:1"),
                "-f",
                &format!("-,{file}"),
                "-t",
                &format!("{app}:3"),
            ];
            let run = piped(registries.home(), &arguments, &input);
            assert_eq!(run.code, 0, "{run:?}");
            let document = manifest_json(address, "app", "3");
            let layers = digests(&document["layers"]);
            assert_eq!(layers.len(), 4);
            assert!(gunzip(&blob(address, "app", layers[2])) == tar);
            let diff_ids = &config_json(address, "app", "3")["rootfs"]["diff_ids"];
            assert_eq!(diff_ids[2], format!("sha256:{}", sha256_hex(&tar)));
        }
    }
}

#[test]
fn zstd_files_stay_and_have_the_type_of_their_family() {
    for (flavour, media_type) in [
        (Flavour::Oci, "application/vnd.oci.image.layer.v1.tar+zstd"),
        (
            Flavour::Docker,
            "application/vnd.docker.image.rootfs.diff.tar.zstd",
        ),
    ] {
        let registries = Registries::start();
        base(&registries, flavour);
        let tar = tar_of("c", b"c");
        let file = compress(Path::new(&write(&registries, "c.tar", &tar)), Kind::Zstd);
        for address in registries.addresses() {
            let app = format!("{address}/app");
            registries.printed(&[
                "append",
                "-b",
                &format!("{app}:1"),
                "-f",
                text(&file),
                "-t",
                &format!("{app}:2"),
            ]);
            let layer = &manifest_json(address, "app", "2")["layers"][2];
            assert_eq!(layer["mediaType"], media_type);
            assert_eq!(
                layer["digest"],
                format!("sha256:{}", sha256_hex(fs::read(&file).unwrap()))
            );
            let diff_ids = &config_json(address, "app", "2")["rootfs"]["diff_ids"];
            assert_eq!(diff_ids[2], format!("sha256:{}", sha256_hex(&tar)));
        }
    }
}

#[test]
fn without_a_base_the_image_is_empty_and_a_warning_says_so() {
    let registries = Registries::start();
    let tar = tar_of("c", b"c");
    let file = write(&registries, "c.tar", &tar);
    for address in registries.addresses() {
        let to = format!("{address}/new");
        for (flags, family, kind) in [
            (&[][..], DOCKER, "Docker"),
            (&["--oci-empty-base"], OCI, "OCI"),
        ] {
            let arguments = [&["append", "-f", &file, "-t", &to], flags].concat();
            let run = registries.done(&arguments);
            assert!(
                run.stderr.contains(&format!("an empty {kind} image")),
                "{run:?}"
            );
            let (bytes, media_type) = manifest(address, "new", "latest");
            assert!(media_type.starts_with(family), "{media_type}");
            let document: Value = serde_json::from_slice(&bytes).unwrap();
            assert!(
                document["config"]["mediaType"]
                    .as_str()
                    .unwrap()
                    .starts_with(family)
            );
            assert!(
                document["layers"][0]["mediaType"]
                    .as_str()
                    .unwrap()
                    .starts_with(family)
            );
            let expected = format!(
                r#"{{"architecture":"","created":"0001-01-01T00:00:00Z","history":[{{"created":"0001-01-01T00:00:00Z"}}],"os":"","rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}},"config":{{}}}}"#,
                sha256_hex(&tar)
            );
            assert_eq!(
                String::from_utf8(config(address, "new", "latest")).unwrap(),
                expected
            );
        }
    }
    let address = registries.addresses()[0];
    let base = format!("{address}/new");
    let run = wharf(
        registries.home(),
        &[
            "append",
            "-b",
            &base,
            "--oci-empty-base",
            "-f",
            &file,
            "-t",
            &base,
        ],
    );
    assert_ne!(run.code, 0);
}

#[test]
fn a_base_may_be_in_another_place() {
    let registries = Registries::start();
    let (_, image) = base(&registries, Flavour::Oci);
    let file = write(&registries, "c.tar", &tar_of("c", b"c"));
    let addresses = registries.addresses();
    let layout = format!("oci:{}:1", registries.file("layout"));
    let elsewhere = format!("{}/app:1", addresses[0]);
    for to in addresses.iter().skip(1) {
        for (base, name) in [(&layout, "from-layout"), (&elsewhere, "from-registry")] {
            let printed = registries.printed(&[
                "append",
                "-b",
                base,
                "-f",
                &file,
                "-t",
                &format!("{to}/{name}"),
            ]);
            let document = manifest_json(*to, name, digest(&printed));
            let layers = digests(&document["layers"]);
            assert_eq!(
                layers[..2],
                [image.layers[0].0.as_str(), image.layers[1].0.as_str()]
            );
            for layer in layers {
                blob(*to, name, layer);
            }
        }
    }
    let copy = format!("oci:{}:2", registries.file("layout"));
    let run = registries.done(&["append", "-b", &layout, "-f", &file, "-t", &copy]);
    assert_eq!(run.stdout, "");
    let config: Value = serde_json::from_str(&registries.done(&["config", &copy]).stdout).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 3);
}

#[test]
fn the_base_is_named_where_that_is_wanted() {
    let registries = Registries::start();
    let (_, image) = base(&registries, Flavour::Oci);
    let file = write(&registries, "c.tar", &tar_of("c", b"c"));
    for address in registries.addresses() {
        let (app, to) = (format!("{address}/app"), format!("{address}/other:2"));
        for (base, name) in [
            (format!("{app}:1"), json!(format!("{app}:1"))),
            (format!("{app}@{}", image.manifest_digest), Value::Null),
        ] {
            registries.printed(&[
                "append",
                "-b",
                &base,
                "-f",
                &file,
                "-t",
                &to,
                "--set-base-image-annotations",
            ]);
            let annotations = &manifest_json(address, "other", "2")["annotations"];
            assert_eq!(
                annotations["org.opencontainers.image.base.digest"],
                image.manifest_digest
            );
            assert_eq!(annotations["org.opencontainers.image.base.name"], name);
        }
    }
}

#[test]
fn each_image_of_an_index_gets_the_layers() {
    let registries = Registries::start();
    let mut layout = registries.layout("index");
    let amd = layout.child("linux/amd64", &[LayerSpec::gzip(&[("a", b"amd")])]);
    let windows = layout.child("windows/amd64", &[LayerSpec::gzip(&[("Files/a", b"win")])]);
    let children = [
        Child::image(&amd, "linux/amd64"),
        Child::image(&windows, "windows/amd64"),
    ];
    layout.index(Some("1"), &children);
    let file = write(&registries, "c.tar", &tar_of("c", b"c"));
    for address in registries.addresses() {
        let multi = format!("{address}/multi");
        registries.done(&["push", &registries.file("index"), &format!("{multi}:1")]);
        let arguments = [
            "append",
            "-b",
            &format!("{multi}:1"),
            "-f",
            &file,
            "-t",
            &format!("{multi}:2"),
        ];
        let printed = registries.printed(&arguments);
        let index = manifest_json(address, "multi", digest(&printed));
        let names = |at: usize| {
            let child = index["manifests"][at]["digest"].as_str().unwrap();
            let document = manifest_json(address, "multi", child);
            let layer = gunzip(&blob(address, "multi", digests(&document["layers"])[1]));
            let mut archive = tar_names(&layer);
            archive.sort();
            archive
        };
        assert_eq!(names(0), ["c"]);
        // A layer of Windows has its files elsewhere.
        assert_eq!(names(1), ["Files", "Files/c", "Hives"]);
        assert_eq!(registries.printed(&arguments), printed, "the same again");
        let one = registries.printed(&[&arguments[..], &["--platform", "windows/amd64"]].concat());
        assert_eq!(config_json(address, "multi", digest(&one))["os"], "windows");
        let run = piped(
            registries.home(),
            &[
                "append",
                "-b",
                &format!("{multi}:1"),
                "-f",
                "-",
                "-t",
                &format!("{multi}:3"),
            ],
            &tar_of("c", b"c"),
        );
        assert!(run.complaint().contains("can be read once"), "{run:?}");
    }
}

/// The names of the entries of a tar.
fn tar_names(bytes: &[u8]) -> Vec<String> {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("layer.tar");
    fs::write(&file, bytes).unwrap();
    let listed = Command::new("tar").arg("-tf").arg(&file).output().unwrap();
    let names = String::from_utf8(listed.stdout).unwrap();
    names
        .lines()
        .map(|name| name.trim_end_matches('/').to_owned())
        .collect()
}

#[test]
fn an_archive_names_the_image_as_typed_and_nothing_is_pushed() {
    let registries = Registries::start();
    let mut layout = registries.layout("index");
    let amd = layout.child("linux/amd64", &[LayerSpec::zstd(&[("a", b"amd")])]);
    let arm = layout.child("linux/arm64", &[LayerSpec::gzip(&[("a", b"arm")])]);
    let children = [
        Child::image(&arm, "linux/arm64"),
        Child::image(&amd, "linux/amd64"),
    ];
    layout.index(Some("1"), &children);
    let tar = tar_of("c", b"c");
    let file = write(&registries, "c.tar", &tar);
    for address in registries.addresses() {
        let multi = format!("{address}/multi:1");
        registries.done(&["push", &registries.file("index"), &multi]);
        let proxy = RecordingProxy::start(address);
        let base = format!("{}/multi:1", proxy.address());
        for (to, flags, name, os) in [
            (
                "ubuntu",
                &["--platform", "linux/amd64"][..],
                "ubuntu:latest",
                "amd64",
            ),
            (
                "localhost:1/a:b",
                &["--platform", "linux/arm64"],
                "localhost:1/a:b",
                "arm64",
            ),
        ] {
            let output = registries.file("out.tar");
            let arguments = ["append", "-b", &base, "-f", &file, "-t", to, "-o", &output];
            let run = registries.done(&[&arguments[..], flags].concat());
            assert_eq!(run.stdout, "");
            let written = |line: &&String| !line.starts_with("GET ") && !line.starts_with("HEAD ");
            assert_eq!(proxy.lines().iter().find(written), None);
            let members = Command::new("tar")
                .args(["-xOf", &output, "manifest.json"])
                .output()
                .unwrap();
            let document: Value = serde_json::from_slice(&members.stdout).unwrap();
            assert_eq!(document[0]["RepoTags"], json!([name]));
            assert_eq!(document[0]["Layers"].as_array().unwrap().len(), 2);
            let archive = format!("docker-archive:{output}");
            let config: Value =
                serde_json::from_str(&registries.done(&["config", &archive]).stdout).unwrap();
            assert_eq!(config["architecture"], os);
            assert_eq!(
                config["rootfs"]["diff_ids"][1],
                format!("sha256:{}", sha256_hex(&tar))
            );
            if let Some(skopeo) = Skopeo::find() {
                assert_eq!(skopeo.inspect(&archive)["Architecture"], os);
            }
            // Edits begin and end with archives too.
            let changed = registries.file("changed.tar");
            let run = registries.done(&["mutate", &archive, "-l", "a=1", "-o", &changed]);
            assert_eq!(run.stdout, "");
            let run = registries.done(&["config", &format!("docker-archive:{changed}")]);
            assert!(run.stdout.contains(r#""Labels":{"a":"1"}"#), "{run:?}");
        }
    }
}

#[test]
fn what_cannot_be_added_is_refused_before_anything_moves() {
    let registries = Registries::start();
    base(&registries, Flavour::Oci);
    let address = registries.addresses()[0];
    let app = format!("{address}/app:1");
    let file = write(&registries, "c.tar", &tar_of("c", b"c"));
    let odd = write(&registries, "odd", b"#!/bin/sh\n");
    let xz = compress(Path::new(&file), Kind::Xz);
    let before = manifest(address, "app", "1").0;
    for (arguments, message) in [
        (
            &["append", "-b", &app, "-f", "/nowhere.tar", "-t", &app][..],
            "/nowhere.tar: no such file",
        ),
        (&["append", "-b", &app, "-f", &odd, "-t", &app], "not a tar"),
        (&["append", "-b", &app, "-f", text(&xz), "-t", &app], "xz"),
        (&["append", "-b", &app, "-f", &file], "add -t REF"),
        (
            &[
                "append",
                "-b",
                &format!("{address}/app:none"),
                "-f",
                &file,
                "-t",
                &app,
            ],
            "no tag none",
        ),
    ] {
        let line = registries.complaint(arguments);
        assert!(line.contains(message), "{line}");
    }
    for arguments in [
        &["append"][..],
        &["append", "-t", &app],
        &["append", "-f", &file, "-t", &app, "x"],
    ] {
        let run = wharf(registries.home(), arguments);
        assert!(
            run.code != 0 && run.stdout.is_empty() && !run.stderr.is_empty(),
            "{run:?}"
        );
    }
    assert!(manifest(address, "app", "1").0 == before);
}

#[test]
fn compressed_files_that_hold_no_whole_tar_are_refused_and_nothing_is_pushed() {
    let registries = Registries::start();
    base(&registries, Flavour::Oci);
    let whole = tar_of("c", &[7; 3000]);
    let cut = &whole[..2000];
    // One record of zeros is what tar writes for no files.
    let no_files = [0; 10_240];
    for (kind, name) in [(Kind::Gzip, "gzip"), (Kind::Zstd, "zstd")] {
        for (content, said) in [
            (&b"hello\n"[..], "not a tar: looks like text"),
            (b"", "not a tar: it is empty"),
            (&[7; 2 << 20], "not a tar: looks like data"),
            (
                &compress_bytes(&whole, kind),
                &format!("with {name} already"),
            ),
            (cut, "truncated tar"),
        ] {
            let packed = compress_bytes(content, kind);
            let file = write(&registries, "odd.tar.packed", &packed);
            for address in registries.addresses() {
                let (app, to) = (format!("{address}/app:1"), format!("{address}/new:1"));
                let before = manifest(address, "app", "1").0;
                for arguments in [
                    &["append", "-b", &app, "-f", &file, "-t", &to][..],
                    &["append", "-f", &file, "-t", &app],
                    &["append", "-f", "-", "-t", &app],
                    &["mutate", &app, "--append", &file],
                ] {
                    let run = piped(registries.home(), arguments, &packed);
                    let refused = run.code != 0 && run.stdout.is_empty();
                    assert!(refused && run.stderr.contains(said), "{run:?}");
                }
                assert!(manifest(address, "app", "1").0 == before);
                let run = wharf(registries.home(), &["ls", &format!("{address}/new")]);
                assert_eq!(run.stdout, "", "{run:?}");
                let layer = format!("{address}/app@sha256:{}", sha256_hex(&packed));
                let run = wharf(registries.home(), &["blob", &layer]);
                assert_ne!(run.code, 0, "{run:?}");
            }
        }
        let file = write(&registries, "no-files", &compress_bytes(&no_files, kind));
        for address in registries.addresses() {
            let to = format!("{address}/none:1");
            registries.printed(&["append", "-f", &file, "-t", &to]);
            registries.done(&["validate", "--remote", &to]);
        }
    }
}
