//! `wharf rebase` against real registries.

use serde_json::{Value, json};
use wharf_testkit::{Child, Flavour, LayerSpec, RecordingProxy};

use crate::common::edits::{Registries, config_json, digest, digests, manifest_json, methods};

const NAME: &str = "org.opencontainers.image.base.name";
const DIGEST: &str = "org.opencontainers.image.base.digest";

fn layer(name: &str) -> LayerSpec {
    LayerSpec::gzip(&[(name, name.as_bytes())])
}

/// Pushes `base:old`, `base:new` and, upon the old one, `app:1` with two layers of its own.
fn push(registries: &Registries, flavour: Flavour) {
    let mut layout = registries.layout("layout");
    layout.flavour(flavour);
    layout.image(Some("old"), &[layer("one"), layer("two")]);
    layout.image(Some("new"), &[layer("three")]);
    let app = layout.child(
        "linux/amd64",
        &[layer("one"), layer("two"), layer("app"), layer("more")],
    );
    // Histories tell which entries stay.
    let mut config: Value = serde_json::from_slice(&layout.read(&app.config_digest)).unwrap();
    let step = |by: &str, empty: bool| json!({"created_by": by, "empty_layer": empty});
    config["history"] = json!([
        step("one", false),
        step("two", false),
        step("app", false),
        step("ENV", true),
        step("more", false)
    ]);
    config["config"]["StopTimeout"] = json!(7);
    config["author"] = json!("me");
    let mut document: Value = serde_json::from_slice(&layout.read(&app.manifest_digest)).unwrap();
    let media_type = document["mediaType"].as_str().unwrap().to_owned();
    let config_type = document["config"]["mediaType"].as_str().unwrap().to_owned();
    let config = layout.blob(&config_type, config.to_string().as_bytes());
    document["config"]["digest"] = json!(config.digest);
    document["config"]["size"] = json!(config.size);
    document["annotations"] = json!({"kept": "yes"});
    let app = layout.blob(&media_type, document.to_string().as_bytes());
    layout.list(Some("app"), &app);
    for address in registries.addresses() {
        for (tag, to) in [("old", "base:old"), ("new", "base:new"), ("app", "app:1")] {
            let from = format!("oci:{}:{tag}", registries.file("layout"));
            registries.done(&["push", &from, &format!("{address}/{to}")]);
        }
    }
}

#[test]
fn the_layers_of_the_old_base_are_replaced_and_all_else_stays() {
    for flavour in [Flavour::Oci, Flavour::Docker] {
        let registries = Registries::start();
        push(&registries, flavour);
        for address in registries.addresses() {
            let proxy = RecordingProxy::start(address);
            let at = |rest: &str| format!("{}/{rest}", proxy.address());
            let arguments = [
                "rebase",
                &at("app:1"),
                "--old_base",
                &at("base:old"),
                "--new_base",
                &at("base:new"),
                "-t",
                &at("app:2"),
            ];
            let printed = registries.printed(&arguments);
            assert!(printed.starts_with(&format!("{}@", at("app"))), "{printed}");
            let gets = proxy
                .lines()
                .into_iter()
                .filter(|line| line.starts_with("GET ") && line.contains("/blobs/"));
            assert_eq!(
                gets.count(),
                3,
                "configs alone are read: {:?}",
                proxy.lines()
            );
            if address != registries.addresses()[0] {
                // Three manifests and configs, the layer of the base that is mounted, the config, the
                // manifest.
                let sent = methods(&proxy).len();
                assert_eq!(sent, 6 + 2 + 3 + 1, "docs/requests.md: {:?}", proxy.lines());
            }
            let (old, new) = (
                manifest_json(address, "app", "1"),
                manifest_json(address, "base", "new"),
            );
            let rebased = manifest_json(address, "app", digest(&printed));
            let (was, base) = (digests(&old["layers"]), digests(&new["layers"]));
            assert_eq!(digests(&rebased["layers"]), [base[0], was[2], was[3]]);
            assert_eq!(rebased["mediaType"], old["mediaType"]);
            assert_eq!(rebased["config"]["mediaType"], old["config"]["mediaType"]);
            let base_digest = registries.done(&["digest", &at("base:new")]).stdout;
            let annotations =
                json!({"kept": "yes", NAME: at("base:new"), DIGEST: base_digest.trim_end()});
            assert_eq!(rebased["annotations"], annotations);
            let (before, config) = (
                config_json(address, "app", "1"),
                config_json(address, "app", "2"),
            );
            for key in ["config", "author", "created", "os", "architecture"] {
                assert_eq!(config[key], before[key], "{key}");
            }
            let by: Vec<&Value> = config["history"]
                .as_array()
                .unwrap()
                .iter()
                .map(|step| &step["created_by"])
                .collect();
            assert_eq!(
                by,
                [&Value::Null, &json!("app"), &json!("ENV"), &json!("more")]
            );
            assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 3);
            assert_eq!(registries.printed(&arguments), printed, "the same again");

            // The annotations name the bases of the next time, and the result goes over the tag.
            registries.done(&["copy", &at("base:old"), &at("base:new")]);
            let again = registries.printed(&["rebase", &at("app:2")]);
            let rebased = manifest_json(address, "app", "2");
            assert_eq!(rebased, manifest_json(address, "app", digest(&again)));
            assert_eq!(digests(&rebased["layers"]), was);
            // Back to where it was.
            registries.done(&[
                "push",
                &format!("oci:{}:new", registries.file("layout")),
                &at("base:new"),
            ]);
        }
    }
}

#[test]
fn a_base_that_was_compressed_anew_or_is_an_index_is_known() {
    let registries = Registries::start();
    push(&registries, Flavour::Oci);
    let mut layout = registries.layout("bases");
    let zstd = |name: &str| LayerSpec::zstd(&[(name, name.as_bytes())]);
    let old = layout.child("linux/amd64", &[zstd("one"), zstd("two")]);
    let other = layout.child("linux/arm64", &[zstd("arm")]);
    let new = layout.child("linux/amd64", &[zstd("new"), zstd("newer")]);
    let pair = [
        Child::image(&other, "linux/arm64"),
        Child::image(&old, "linux/amd64"),
    ];
    layout.index(Some("old"), &pair);
    let pair = [
        Child::image(&other, "linux/arm64"),
        Child::image(&new, "linux/amd64"),
    ];
    let index = layout.index(Some("new"), &pair);
    for address in registries.addresses() {
        let at = |rest: &str| format!("{address}/{rest}");
        for tag in ["old", "new"] {
            let from = format!("oci:{}:{tag}", registries.file("bases"));
            registries.done(&["push", &from, &at(&format!("multi:{tag}"))]);
        }
        let printed = registries.printed(&[
            "rebase",
            &at("app:1"),
            "--old-base",
            &at("multi:old"),
            "--new-base",
            &at("multi:new"),
            "--rebased",
            &at("app:3"),
        ]);
        let rebased = manifest_json(address, "app", digest(&printed));
        let layers = digests(&rebased["layers"]);
        assert_eq!(
            layers[..2],
            [new.layers[0].0.as_str(), new.layers[1].0.as_str()]
        );
        assert_eq!(layers.len(), 4);
        assert_eq!(rebased["annotations"][DIGEST], index.digest);
    }
}

#[test]
fn layers_that_must_not_be_distributed_stay_where_they_are() {
    let registries = Registries::start();
    push(&registries, Flavour::Docker);
    let mut layout = registries.layout("foreign");
    layout.flavour(Flavour::Docker);
    let foreign = LayerSpec::foreign("https://layers.example/x");
    let new = layout.image(Some("new"), &[foreign, layer("new")]);
    // Debian's registry takes no such layers.
    let address = registries.addresses()[0];
    let at = |rest: &str| format!("{address}/{rest}");
    registries.done(&["push", &registries.file("foreign"), &at("base:foreign")]);
    let printed = registries.printed(&[
        "rebase",
        &at("app:1"),
        "--old-base",
        &at("base:old"),
        "--new-base",
        &at("base:foreign"),
        "-t",
        &at("app:4"),
    ]);
    let rebased = manifest_json(address, "app", digest(&printed));
    assert_eq!(
        digests(&rebased["layers"])[..2],
        [new.layers[0].0.as_str(), new.layers[1].0.as_str()]
    );
    assert_eq!(
        rebased["layers"][0]["urls"],
        json!(["https://layers.example/x"])
    );
}

#[test]
fn what_is_not_upon_the_base_is_refused() {
    let registries = Registries::start();
    push(&registries, Flavour::Oci);
    let address = registries.addresses()[0];
    let at = |rest: &str| format!("{address}/{rest}");
    let before = manifest_json(address, "app", "1");
    for (arguments, message) in [
        (
            &[
                "rebase",
                &at("app:1"),
                "--old-base",
                &at("base:new"),
                "--new-base",
                &at("base:old"),
            ][..],
            "not upon this old base: layer 1 of 1",
        ),
        (&["rebase", &at("app:1")], "the new base image is not given"),
        (
            &["rebase", &at("app:1"), "--new-base", &at("base:new")],
            "the old base image is not given",
        ),
        (
            &[
                "rebase",
                &at("app:1"),
                "--old-base",
                &at("base:none"),
                "--new-base",
                &at("base:new"),
            ],
            "no tag none",
        ),
    ] {
        let line = registries.complaint(arguments);
        assert!(line.contains(message), "{line}");
    }
    assert_eq!(manifest_json(address, "app", "1"), before);
    // The same base again is fine.
    registries.printed(&[
        "rebase",
        &at("app:1"),
        "--old-base",
        &at("base:old"),
        "--new-base",
        &at("base:old"),
    ]);
    let mut layout = registries.layout("index");
    let images = ["linux/amd64", "linux/arm64"].map(|on| {
        (
            layout.child(on, &[layer("one"), layer("two"), layer(on)]),
            on,
        )
    });
    let children = images.iter().map(|(image, on)| Child::image(image, on));
    let children: Vec<Child> = children.collect();
    layout.index(Some("1"), &children);
    registries.done(&["push", &registries.file("index"), &at("multi:1")]);
    let bases = ["--old-base", &at("base:old"), "--new-base", &at("base:new")];
    let line = registries.complaint(&[&["rebase", &at("multi:1")][..], &bases].concat());
    assert!(line.contains("choose one with --platform"), "{line}");
    registries.printed(
        &[
            &["rebase", &at("multi:1"), "--platform", "linux/amd64"][..],
            &bases,
        ]
        .concat(),
    );
}
