//! `wharf mutate` against real registries: what it changes, what it keeps, and what it prints.

use std::fs;

use serde_json::{Value, json};
use wharf_testkit::{
    ArchiveStyle, Child, DockerArchive, DockerImage, Flavour, ImageFixture, LayerSpec,
    LayoutFixture, RecordingProxy, Skopeo,
};

use crate::common::edits::{
    Registries, blob, config, config_json, digest, digests, manifest, manifest_json, methods,
};
use crate::common::wharf;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// An image of two layers, pushed as `app:1`.
fn image(registries: &Registries, flavour: Flavour) -> (LayoutFixture, ImageFixture) {
    let mut layout = registries.layout("layout");
    layout.flavour(flavour);
    let layers = [
        LayerSpec::gzip(&[("a", b"a")]),
        LayerSpec::gzip(&[("b", b"b")]),
    ];
    let image = layout.image(Some("1"), &layers);
    for address in registries.addresses() {
        let path = registries.file("layout");
        registries.done(&["push", &path, &format!("{address}/app:1")]);
    }
    (layout, image)
}

#[test]
fn config_and_annotations_change_and_only_they_are_uploaded() {
    for (flavour, media_type) in [
        (Flavour::Oci, OCI_MANIFEST),
        (Flavour::Docker, DOCKER_MANIFEST),
    ] {
        let registries = Registries::start();
        let (layout, image) = image(&registries, flavour);
        for address in registries.addresses() {
            let proxy = RecordingProxy::start(address);
            let (from, to) = (
                format!("{}/app:1", proxy.address()),
                format!("{}/app:2", proxy.address()),
            );
            let arguments = [
                "mutate",
                &from,
                "-t",
                &to,
                "--label",
                "b=2,a=<1>",
                "-l",
                "c=x,y",
                "-a",
                "k=v",
                "-e",
                "A=x=y,z",
                "--env=PATH=/opt",
                "-e",
                "EMPTY=",
                "--cmd",
                r#"-c,"a,b""#,
                "--entrypoint=sh",
                "-u",
                "me:us",
                "-w",
                "/w",
                "--exposed-ports",
                "80/tcp,53/udp",
                "--set-platform",
                "linux/arm/v7",
            ];
            let printed = registries.printed(&arguments);
            let name = format!("{}/app@", proxy.address());
            assert!(printed.starts_with(&name), "{printed}");
            // Two reads, then the config unless it is there, and the manifest.
            let sent = methods(&proxy);
            assert_eq!(sent.first().map(String::as_str), Some("GET"), "{sent:?}");
            assert!(sent.len() <= 6, "docs/requests.md: {:?}", proxy.lines());
            let lines = proxy.lines();
            let layer = |line: &&String| image.layers.iter().any(|layer| line.contains(&layer.0));
            assert_eq!(lines.iter().find(layer), None);

            let (bytes, found) = manifest(address, "app", "2");
            assert_eq!(found, media_type);
            assert_eq!(
                format!("sha256:{}", wharf_testkit::sha256_hex(&bytes)),
                digest(&printed)
            );
            let document: Value = serde_json::from_slice(&bytes).unwrap();
            let before: Value =
                serde_json::from_slice(&layout.read(&image.manifest_digest)).unwrap();
            assert_eq!(document["layers"], before["layers"]);
            assert_eq!(
                document["config"]["mediaType"],
                before["config"]["mediaType"]
            );
            assert_eq!(document["annotations"], json!({"k": "v"}));
            // The bytes are in the order of other tools.
            let expected = format!(
                r#"{{"architecture":"arm","created":"2023-11-14T22:13:20Z","os":"linux","rootfs":{{"type":"layers","diff_ids":["{}","{}"]}},"config":{{"Cmd":["-c","a,b"],"Entrypoint":["sh"],"Env":["PATH=/opt","A=x=y,z","EMPTY="],"Labels":{{"a":"\u003c1\u003e","b":"2","c":"x,y"}},"User":"me:us","WorkingDir":"/w","ExposedPorts":{{"53/udp":{{}},"80/tcp":{{}}}}}},"variant":"v7"}}"#,
                image.diff_ids[0], image.diff_ids[1]
            );
            assert_eq!(
                String::from_utf8(config(address, "app", "2")).unwrap(),
                expected
            );
            // The tag of before stays, and the same again is the same.
            assert!(manifest(address, "app", "1").0 == layout.read(&image.manifest_digest));
            assert_eq!(registries.printed(&arguments), printed);
            if let Some(skopeo) = Skopeo::find() {
                let seen = skopeo.inspect(&format!("docker://{address}/app:2"));
                assert_eq!(seen["Labels"], json!({"a": "<1>", "b": "2", "c": "x,y"}));
                assert_eq!(seen["Architecture"], "arm");
            }
        }
    }
}

#[test]
fn the_result_goes_over_the_tag_by_digest_or_where_flags_say() {
    let registries = Registries::start();
    let (_, image) = image(&registries, Flavour::Oci);
    for address in registries.addresses() {
        let app = format!("{address}/app");
        let over = registries.printed(&["mutate", &format!("{app}:1"), "-l", "a=1"]);
        assert_eq!(
            manifest_json(address, "app", "1"),
            manifest_json(address, "app", digest(&over))
        );
        // By digest no tag moves; printed references are arguments.
        let by_digest = registries.printed(&["mutate", &over, "-l", "b=2"]);
        assert_ne!(digest(&by_digest), digest(&over));
        assert_eq!(
            manifest_json(address, "app", "1"),
            manifest_json(address, "app", digest(&over))
        );
        let labels = &config_json(address, "app", digest(&by_digest))["config"]["Labels"];
        assert_eq!(labels, &json!({"a": "1", "b": "2"}));
        // The digest counts where there is a tag too.
        let both = format!("{app}:1@{}", image.manifest_digest);
        registries.printed(&["mutate", &both, "-l", "c=3"]);
        assert_eq!(
            manifest_json(address, "app", "1"),
            manifest_json(address, "app", digest(&over))
        );
        // Another repository, by digest, or under a tag.
        let other = format!("{address}/other");
        let elsewhere = registries.printed(&["mutate", &over, "--repo", &other, "-l", "d=4"]);
        assert!(elsewhere.starts_with(&format!("{other}@")), "{elsewhere}");
        let document = manifest_json(address, "other", digest(&elsewhere));
        for layer in digests(&document["layers"]) {
            blob(address, "other", layer);
        }
        let tagged = registries.printed(&["mutate", &elsewhere, "--tag", &other]);
        assert_eq!(
            digest(&tagged),
            digest(&elsewhere),
            "nothing was to be changed"
        );
        assert_eq!(manifest_json(address, "other", "latest"), document);
    }
    let app = format!("{}/app:1", registries.addresses()[0]);
    let run = wharf(
        registries.home(),
        &["mutate", &app, "--repo", "r.example/a", "-t", &app],
    );
    assert_ne!(run.code, 0);
    assert_eq!(run.stdout, "");
}

#[test]
fn what_was_set_can_be_removed_and_values_can_have_commas() {
    let registries = Registries::start();
    image(&registries, Flavour::Docker);
    let address = registries.addresses()[0];
    let app = format!("{address}/app:1");
    registries.printed(&[
        "mutate",
        &app,
        "-l",
        "a=1,b=2",
        "-a",
        "k=v,l=w",
        "-e",
        "A=1",
        "-e",
        "B=2",
        "--entrypoint",
        "x",
        "--cmd=y",
    ]);
    let result = registries.printed(&[
        "mutate",
        &app,
        "--unlabel",
        "a",
        "--unannotate=k",
        "--unset-env",
        "A",
        "--label-exact",
        "c=1,d=2",
        "--annotation-exact",
        "m=1,n=2",
        "--entrypoint-json",
        r#"["sh","-c","a,b"]"#,
        "--cmd-json",
        r#"["c,d"]"#,
        "--created",
        "1700000000",
    ]);
    let config = config_json(address, "app", digest(&result));
    assert_eq!(config["created"], "2023-11-14T22:13:20Z");
    let running = json!({
        "Entrypoint": ["sh", "-c", "a,b"], "Cmd": ["c,d"], "Env": ["PATH=/usr/bin:/bin", "B=2"],
        "Labels": {"b": "2", "c": "1,d=2"},
    });
    assert_eq!(config["config"], running);
    let annotations = &manifest_json(address, "app", "1")["annotations"];
    assert_eq!(annotations, &json!({"l": "w", "m": "1,n=2"}));
    // An entry point takes the command with it; empty texts remove them, and change nothing else.
    registries.printed(&["mutate", &app, "--entrypoint", "x", "-u", "", "-w", ""]);
    let running = &config_json(address, "app", "1")["config"];
    assert_eq!(
        (&running["Entrypoint"], &running["Cmd"], &running["User"]),
        (&json!(["x"]), &Value::Null, &Value::Null)
    );
    registries.printed(&["mutate", &app, "--cmd", "y"]);
    registries.printed(&["mutate", &app, "--entrypoint", ""]);
    let running = &config_json(address, "app", "1")["config"];
    assert_eq!(
        (&running["Entrypoint"], &running["Cmd"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn unknown_fields_subject_and_type_stay() {
    let registries = Registries::start();
    let (mut layout, image) = image(&registries, Flavour::Oci);
    let mut config: Value = serde_json::from_slice(&layout.read(&image.config_digest)).unwrap();
    config["moby.buildkit.buildinfo.v1"] = json!("abc");
    config["config"]["StopTimeout"] = json!(7);
    let config = layout.blob(
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    );
    let mut document: Value = serde_json::from_slice(&layout.read(&image.manifest_digest)).unwrap();
    let subject = json!({"mediaType": OCI_MANIFEST, "digest": image.manifest_digest, "size": image.manifest_size});
    document["config"]["digest"] = json!(config.digest);
    document["config"]["size"] = json!(config.size);
    document["subject"] = subject.clone();
    document["artifactType"] = json!("application/vnd.example.app");
    document["future"] = json!({"deep": [1]});
    let odd = layout.blob(OCI_MANIFEST, document.to_string().as_bytes());
    layout.list(Some("odd"), &odd);
    for address in registries.addresses() {
        let app = format!("{address}/app:odd");
        registries.done(&[
            "push",
            &format!("oci:{}:odd", registries.file("layout")),
            &app,
        ]);
        registries.printed(&["mutate", &app, "-l", "a=1", "-a", "k=v"]);
        let changed = manifest_json(address, "app", "odd");
        for (key, expected) in [
            ("subject", subject.clone()),
            ("artifactType", json!("application/vnd.example.app")),
            ("future", json!({"deep": [1]})),
            ("annotations", json!({"k": "v"})),
        ] {
            assert_eq!(changed[key], expected, "{key}");
        }
        let config = config_json(address, "app", "odd");
        assert_eq!(config["moby.buildkit.buildinfo.v1"], "abc");
        assert_eq!(config["config"]["StopTimeout"], 7);
    }
}

#[test]
fn of_an_index_each_image_changes_or_the_one_that_a_flag_names() {
    let registries = Registries::start();
    let mut layout = registries.layout("index");
    let amd = layout.child("linux/amd64", &[LayerSpec::gzip(&[("a", b"amd")])]);
    let arm = layout.child("linux/arm64/v8", &[LayerSpec::gzip(&[("a", b"arm")])]);
    let nested = layout.child_index(&[Child::image(&arm, "linux/arm64/v8")]);
    let note = layout.child("unknown/unknown", &[LayerSpec::gzip(&[("note", b"x")])]);
    let children = [
        Child::image(&amd, "linux/amd64"),
        Child::content(&nested),
        Child::image(&note, "unknown/unknown"),
    ];
    let index = layout.child_index(&children);
    // The note is about the first image.
    let mut document: Value = serde_json::from_slice(&layout.read(&index.digest)).unwrap();
    document["manifests"][2]["annotations"] =
        json!({"vnd.docker.reference.digest": amd.manifest_digest});
    document["annotations"] = json!({"k": "v"});
    let index = layout.blob(
        "application/vnd.oci.image.index.v1+json",
        document.to_string().as_bytes(),
    );
    layout.list(Some("1"), &index);
    for address in registries.addresses() {
        let app = format!("{address}/multi:1");
        registries.done(&["push", &registries.file("index"), &app]);
        let to = format!("{address}/multi:2");
        let run = registries.done(&["mutate", &app, "-t", &to, "-l", "a=1"]);
        let left_out = "1 attestation about images that change: left out of the index";
        assert!(run.stderr.contains(left_out), "{run:?}");
        let changed = manifest_json(address, "multi", digest(run.stdout.trim_end()));
        assert_eq!(
            changed["mediaType"],
            "application/vnd.oci.image.index.v1+json"
        );
        assert_eq!(changed["annotations"], json!({"k": "v"}));
        let children = changed["manifests"].as_array().unwrap();
        assert_eq!(
            children.len(),
            2,
            "what was attested about another image is left out"
        );
        assert_eq!(
            children[0]["platform"],
            document["manifests"][0]["platform"]
        );
        let inner = manifest_json(address, "multi", children[1]["digest"].as_str().unwrap());
        for (child, was) in [(&children[0], &amd), (&inner["manifests"][0], &arm)] {
            let at = child["digest"].as_str().unwrap();
            assert_ne!(at, was.manifest_digest);
            assert_eq!(
                config_json(address, "multi", at)["config"]["Labels"],
                json!({"a": "1"})
            );
            let layers = manifest_json(address, "multi", at);
            assert_eq!(digests(&layers["layers"]), [was.layers[0].0.as_str()]);
        }
        // Nothing to change: the index as it is.
        let same = registries.printed(&["mutate", &app]);
        assert_eq!(digest(&same), index.digest);
        let one = registries.printed(&[
            "mutate",
            &app,
            "-t",
            &to,
            "-l",
            "a=1",
            "--platform",
            "linux/arm64",
        ]);
        let config = config_json(address, "multi", digest(&one));
        assert_eq!(config["architecture"], "arm64");
        let line = registries.complaint(&["mutate", &app, "--set-platform", "linux/s390x"]);
        assert!(line.contains("--platform"), "{line}");
        assert_eq!(manifest_json(address, "multi", "1"), document);
    }
}

#[test]
fn layouts_and_archives_are_changed_too() {
    let registries = Registries::start();
    let (_, image) = image(&registries, Flavour::Oci);
    let place = format!("oci:{}:1", registries.file("layout"));
    let run = registries.done(&["mutate", &place, "-l", "a=1"]);
    assert_eq!(run.stdout, "");
    let config: Value = serde_json::from_str(&registries.done(&["config", &place]).stdout).unwrap();
    assert_eq!(config["config"]["Labels"], json!({"a": "1"}));
    let copy = format!("oci:{}:2", registries.file("copy"));
    registries.done(&["mutate", &place, "-l", "b=2", "-t", &copy]);
    assert!(
        registries
            .done(&["config", &copy])
            .stdout
            .contains(r#"{"a":"1","b":"2"}"#)
    );

    let archive = registries.home().join("app.tar");
    let saved = DockerImage::new(&["app:1"]).layer(&[("a", b"a")]);
    DockerArchive::new(ArchiveStyle::Classic)
        .image(saved)
        .write(&archive);
    let archive = format!("docker-archive:{}", archive.display());
    for address in registries.addresses() {
        let to = format!("{address}/from-archive:1");
        let result = registries.printed(&["mutate", &archive, "-e", "A=b", "-t", &to]);
        let changed = manifest_json(address, "from-archive", digest(&result));
        assert_eq!(changed["mediaType"], DOCKER_MANIFEST);
        let env = &config_json(address, "from-archive", "1")["config"]["Env"];
        assert_eq!(env.as_array().unwrap().last().unwrap(), "A=b");
        assert_eq!(
            registries.printed(&["mutate", &archive, "-e", "A=b", "-t", &to]),
            result
        );
    }
    let line = registries.complaint(&["mutate", &archive, "-e", "A=b"]);
    assert!(line.contains("add -t REF or -o FILE"), "{line}");
    let _ = image;
}

#[test]
fn what_cannot_be_done_prints_nothing_and_moves_nothing() {
    let registries = Registries::start();
    let (layout, image) = image(&registries, Flavour::Oci);
    let address = registries.addresses()[0];
    let app = format!("{address}/app:1");
    for arguments in [
        &["mutate"][..],
        &["mutate", &app, "-l", "a"],
        &["mutate", &app, "-l", "a="],
        &["mutate", &app, "-e", "A"],
        &["mutate", &app, "--created", "yesterday"],
        &["mutate", &app, "--cmd-json", "sh"],
        &["mutate", &app, "--set-platform", "linux"],
        &["mutate", &app, "extra"],
        &["mutate", &format!("{address}/app:none"), "-l", "a=1"],
        &[
            "mutate",
            &app,
            "-l",
            "a=1",
            "-t",
            &format!("{app}@{}", image.manifest_digest),
        ],
    ] {
        let run = wharf(registries.home(), arguments);
        assert_ne!(run.code, 0, "{arguments:?}");
        assert_eq!(run.stdout, "", "{arguments:?}");
        assert!(!run.stderr.is_empty(), "{arguments:?}");
    }
    assert!(manifest(address, "app", "1").0 == layout.read(&image.manifest_digest));
    let artifact = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "a/b",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": format!("sha256:{}", wharf_testkit::sha256_hex("{}")), "size": 2},
        "layers": [],
    });
    let file = registries.file("artifact.json");
    fs::write(&file, artifact.to_string()).unwrap();
    let repository = format!("{address}/app");
    let empty = registries.file("empty");
    fs::write(&empty, "{}").unwrap();
    registries.done(&["blob", "push", &repository, &empty]);
    let artifact = registries.printed(&["manifest", "put", &repository, &file]);
    let line = registries.complaint(&["mutate", &artifact, "-l", "a=1"]);
    assert!(line.contains("an artifact has no image config"), "{line}");
    // Its annotations can be changed.
    let annotated = registries.printed(&["mutate", &artifact, "-a", "k=v"]);
    let document = manifest_json(address, "app", digest(&annotated));
    assert_eq!(
        (&document["annotations"], &document["artifactType"]),
        (&json!({"k": "v"}), &json!("a/b"))
    );
}

#[test]
fn an_index_does_not_become_an_archive_of_one_of_its_images() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let children = ["linux/amd64", "linux/arm64"].map(|platform| {
        let image = layout.child(platform, &[LayerSpec::random(1, 100)]);
        Child::image(&image, platform)
    });
    layout.index(Some("1"), &children);
    let source = format!("oci:{}:1", layout.directory().display());
    let file = home.path().join("m.tar");
    let edit = ["mutate", &source, "-l", "a=b", "-o", file.to_str().unwrap()];
    let run = wharf(home.path(), &edit);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("name one with --platform"), "{run:?}");
    assert!(!file.exists());
    let chosen = [&edit[..], &["--platform", "linux/arm64"]].concat();
    assert_eq!(wharf(home.path(), &chosen).code, 0);
}
