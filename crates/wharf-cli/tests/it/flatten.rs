//! `wharf flatten`: one layer, and everything else as it was.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use wharf_testkit::layout::Flavour;
use wharf_testkit::{
    Content, DockerRegistry, ImageFixture, LayerSpec, LayoutFixture, RecordingProxy, Skopeo,
};

use crate::common::{Run, Served, command, done, ran, text, wharf};

const LOWER: &[(&str, &[u8])] = &[("etc/motd", b"old"), ("etc/gone", b"1")];
const UPPER: &[(&str, &[u8])] = &[("etc/motd", b"new"), ("etc/.wh.gone", b"")];

/// Seconds since 1970, and how configs write them.
const TIME: (&str, &str) = ("1700000000", "2023-11-14T22:13:20Z");

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn layers() -> [LayerSpec; 2] {
    [LayerSpec::zstd(LOWER), LayerSpec::gzip(UPPER)]
}

/// Runs `wharf` at that time.
fn at_time(home: &Path, arguments: &[&str]) -> Run {
    let mut command = command(home);
    command.env("SOURCE_DATE_EPOCH", TIME.0);
    ran(command.args(arguments).output().unwrap())
}

/// The reference that a successful run prints.
fn printed(home: &Path, arguments: &[&str]) -> String {
    let run = at_time(home, &[&["flatten", "-q"], arguments].concat());
    assert_eq!((run.code, &*run.stderr), (0, ""), "{run:?}");
    let line = run.stdout.strip_suffix('\n').unwrap();
    line.to_owned()
}

fn document(home: &Path, command: &str, at: &str) -> Value {
    serde_json::from_str(&done(home, &[command, at]).stdout).unwrap()
}

/// The same image with annotations, a subject, a history, and fields that are in no specification.
fn dressed(layout: &mut LayoutFixture, image: &ImageFixture, subject: &ImageFixture) -> Content {
    let mut config: Value = serde_json::from_slice(&layout.read(&image.config_digest)).unwrap();
    config["history"] = json!([
        { "created": "2020-01-01T00:00:00Z", "created_by": "COPY <a> & b" },
        { "created_by": "RUN rm", "comment": "c" },
    ]);
    config["moby.buildkit.cache"] = json!({ "x": 1 });
    config["config"]["StopTimeout"] = json!(3);
    let mut manifest: Value = serde_json::from_slice(&layout.read(&image.manifest_digest)).unwrap();
    let media_type = manifest["config"]["mediaType"].as_str().unwrap().to_owned();
    let config = layout.blob(&media_type, config.to_string().as_bytes());
    manifest["config"]["digest"] = json!(config.digest);
    manifest["config"]["size"] = json!(config.size);
    manifest["annotations"] = json!({ "note": "kept" });
    manifest["subject"] = json!({
        "mediaType": subject.media_type, "digest": subject.manifest_digest, "size": subject.manifest_size,
    });
    let media_type = image.media_type.clone();
    layout.blob(&media_type, manifest.to_string().as_bytes())
}

/// Both registries, each for one test.
fn registries(home: &Path) -> (Served, Option<DockerRegistry>, Vec<SocketAddr>) {
    let served = Served::start(&home.join("registry"));
    let docker = DockerRegistry::start();
    let all = std::iter::once(served.address).chain(docker.as_ref().map(DockerRegistry::address));
    let all = all.collect();
    (served, docker, all)
}

#[test]
fn an_image_keeps_everything_but_its_layers_and_history() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("layout");
    let (_served, _docker, addresses) = registries(home.path());
    for flavour in [Flavour::Oci, Flavour::Docker] {
        let mut layout = LayoutFixture::new(&place);
        let layers = match flavour {
            Flavour::Oci => layers(),
            Flavour::Docker => [LayerSpec::gzip(LOWER), LayerSpec::gzip(UPPER)],
        };
        layout.flavour(flavour);
        let subject = layout.child("linux/amd64", &[LayerSpec::random(1, 10)]);
        let image = layout.child("linux/amd64", &layers);
        let before = dressed(&mut layout, &image, &subject);
        layout.list(Some("1"), &before);
        let from = format!("oci:{}:1", text(&place));
        let old: Value = serde_json::from_slice(&layout.read(&before.digest)).unwrap();
        let mut results = Vec::new();
        for address in &addresses {
            let at = format!("{address}/app:1");
            done(home.path(), &["copy", "-q", &from, &at]);
            let tar = done(home.path(), &["export", &at]).stdout;
            let result = printed(home.path(), &[&at]);
            assert!(
                result.starts_with(&format!("{address}/app@sha256:")),
                "{result}"
            );
            let manifest = document(home.path(), "manifest", &at);
            assert_eq!(manifest["mediaType"], before.media_type);
            assert_eq!(manifest["annotations"], old["annotations"]);
            assert_eq!(manifest["subject"], old["subject"]);
            assert_eq!(manifest["config"]["mediaType"], old["config"]["mediaType"]);
            let [layer] = manifest["layers"].as_array().unwrap().as_slice() else {
                panic!("{manifest}");
            };
            let gzip = match flavour {
                Flavour::Oci => "application/vnd.oci.image.layer.v1.tar+gzip",
                Flavour::Docker => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            };
            assert_eq!(layer["mediaType"], gzip);
            let mut config = document(home.path(), "config", &at);
            let told = "[{\"created\":\"2020-01-01T00:00:00Z\",\"created_by\":\"COPY \\u003ca\\u003e \\u0026 b\"},\
                {\"created_by\":\"RUN rm\",\"comment\":\"c\"}]";
            let step = json!({
                "created": TIME.1,
                "created_by": format!("wharf flatten {}", before.digest),
                "comment": told,
            });
            assert_eq!(config["history"], json!([step]));
            assert_eq!(config["created"], TIME.1);
            // Nothing else changed.
            let mut unchanged: Value =
                serde_json::from_slice(&layout.read(old["config"]["digest"].as_str().unwrap()))
                    .unwrap();
            for field in ["history", "created", "rootfs"] {
                config[field].take();
                unchanged[field].take();
            }
            assert_eq!(config, unchanged);
            assert_eq!(done(home.path(), &["export", &at]).stdout, tar);
            results.push(result.rsplit_once('@').unwrap().1.to_owned());
        }
        results.dedup();
        assert_eq!(results.len(), 1, "the same input at the same time");
        std::fs::remove_dir_all(&place).unwrap();
    }
}

#[test]
fn each_image_of_an_index_is_flattened_and_attestations_are_left_out() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let one = layout.child("linux/amd64", &layers());
    let other = layout.child(
        "linux/arm64",
        &[LayerSpec::gzip(LOWER), LayerSpec::gzip(UPPER)],
    );
    let attested = layout.child(
        "unknown/unknown",
        &[LayerSpec::bytes("application/vnd.in-toto+json", b"{}")],
    );
    let child = |image: &ImageFixture, platform: Value| {
        json!({
            "mediaType": IMAGE, "digest": image.manifest_digest, "size": image.manifest_size,
            "platform": platform, "annotations": { "of": "child" },
        })
    };
    let inner = json!({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [child(&other, json!({ "os": "linux", "architecture": "arm64", "variant": "v8" }))],
    });
    let inner = layout.blob(INDEX, inner.to_string().as_bytes());
    let index = json!({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [
            child(&one, json!({ "os": "linux", "architecture": "amd64" })),
            child(&attested, json!({ "os": "unknown", "architecture": "unknown" })),
            { "mediaType": INDEX, "digest": inner.digest, "size": inner.size },
        ],
        "annotations": { "of": "index" },
    });
    let index = layout.blob(INDEX, index.to_string().as_bytes());
    layout.list(Some("1"), &index);
    let from = format!("oci:{}:1", text(layout.directory()));
    let (_served, _docker, addresses) = registries(home.path());
    for address in addresses {
        let (at, to) = (format!("{address}/app:1"), format!("{address}/app:flat"));
        done(home.path(), &["copy", "-q", &from, &at]);
        let result = printed(home.path(), &["--platform", "linux/arm64", &at, "-t", &to]);
        let flat = document(home.path(), "manifest", &to);
        let digest = done(home.path(), &["digest", &to]).stdout;
        assert!(result.ends_with(digest.trim_end()), "{result}");
        assert_eq!(flat["annotations"], json!({ "of": "index" }));
        assert_eq!(flat["mediaType"], INDEX);
        let [first, second] = flat["manifests"].as_array().unwrap().as_slice() else {
            panic!("{flat}");
        };
        assert_eq!(first["platform"]["architecture"], "amd64");
        assert_eq!(first["annotations"], json!({ "of": "child" }));
        let below = format!("{address}/app@{}", second["digest"].as_str().unwrap());
        let nested = document(home.path(), "manifest", &below);
        let last = &nested["manifests"][0];
        assert_eq!(last["platform"]["variant"], "v8");
        for child in [first, last] {
            let at = format!("{address}/app@{}", child["digest"].as_str().unwrap());
            let manifest = document(home.path(), "manifest", &at);
            assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
        }
        // The tag of before did not move.
        let untouched = done(home.path(), &["digest", &at]).stdout;
        assert_eq!(untouched.trim_end(), index.digest);
    }
}

#[test]
fn the_result_goes_where_it_is_told_to() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let image = layout.image(Some("1"), &layers());
    let from = format!("oci:{}:1", text(layout.directory()));
    let (_served, _docker, addresses) = registries(home.path());
    for address in addresses {
        let at = format!("{address}/app:1");
        done(home.path(), &["copy", "-q", &from, &at]);
        // By digest there is no tag to move.
        let by_digest = format!("{address}/app@{}", image.manifest_digest);
        let result = printed(home.path(), &[&by_digest]);
        assert_eq!(
            done(home.path(), &["ls", &format!("{address}/app")]).stdout,
            "1\n"
        );
        let digest = done(home.path(), &["digest", &at]).stdout;
        assert_eq!(digest.trim_end(), image.manifest_digest);
        done(home.path(), &["manifest", &result]);
        let elsewhere = format!("{address}/other:2");
        assert_eq!(
            printed(home.path(), &["-t", &elsewhere, &from]).rsplit_once('@'),
            Some((
                &*format!("{address}/other"),
                result.rsplit_once('@').unwrap().1
            ))
        );
        if let Some(skopeo) = Skopeo::find() {
            let seen = skopeo.inspect(&format!("docker://{elsewhere}"));
            assert_eq!(seen["Layers"].as_array().unwrap().len(), 1);
        }
    }
    let archive = home.path().join("flat.tar");
    let run = at_time(home.path(), &["flatten", "-q", &from, "-o", text(&archive)]);
    assert_eq!(
        (run.code, &*run.stdout, &*run.stderr),
        (0, "", ""),
        "{run:?}"
    );
    let same = done(home.path(), &["export", &from]).stdout;
    assert_eq!(done(home.path(), &["export", text(&archive)]).stdout, same);
    let run = wharf(home.path(), &["flatten", text(&archive)]);
    assert_ne!(run.code, 0, "{run:?}");
    assert!(
        run.stderr.contains("nothing says where the result goes"),
        "{run:?}"
    );
}

#[test]
fn requests_are_few_and_a_failure_moves_no_tag() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let image = layout.image(Some("1"), &layers());
    let from = format!("oci:{}:1", text(layout.directory()));
    let Some(docker) = DockerRegistry::start() else {
        return;
    };
    let at = format!("{}/app:1", docker.address());
    done(home.path(), &["copy", "-q", &from, &at]);
    let proxy = RecordingProxy::start(docker.address());
    let through = format!("{}/app:1", proxy.address());
    printed(home.path(), &[&through]);
    let requests = proxy.requests().into_iter();
    let requests = requests.filter(|request| request.target.starts_with("/v2/app/"));
    let methods: Vec<String> = requests.map(|request| request.method).collect();
    let reads = methods.iter().filter(|method| *method == "GET").count();
    assert_eq!(
        (reads, methods.len()),
        (2 + 2, 2 + 9),
        "docs/requests.md: {methods:?}"
    );

    // A layer that is damaged on the way.
    layout.corrupt(&image.layers[0].0);
    let to = format!("{}/other:1", docker.address());
    let run = at_time(home.path(), &["flatten", &from, "-t", &to]);
    assert_ne!(run.code, 0, "{run:?}");
    assert!(
        run.stdout.is_empty() && run.stderr.contains(&image.layers[0].0),
        "{run:?}"
    );
    assert_ne!(wharf(home.path(), &["digest", &to]).code, 0);
}
