//! `wharf index append` and `wharf index filter`: what is printed, put and left alone.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use wharf_testkit::{
    ArchiveStyle, Child, DockerArchive, DockerImage, DockerRegistry, ImageFixture, LayerSpec,
    LayoutFixture, RecordingProxy, Skopeo, sha256_hex,
};

use crate::common::{Served, complaint, done, text, wharf};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A home with a layout of two images, tagged `amd64` and `arm`.
struct Scene {
    home: TempDir,
    layout: LayoutFixture,
    amd64: ImageFixture,
    arm: ImageFixture,
}

impl Scene {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut layout = LayoutFixture::new(home.path().join("layout"));
        let mut add = |tag: &str, platform: &str, seed| {
            let image = layout.child(platform, &[LayerSpec::random(seed, 900)]);
            layout.list(Some(tag), &image.content());
            image
        };
        let amd64 = add("amd64", "linux/amd64", 1);
        let arm = add("arm", "linux/arm/v7", 2);
        Scene {
            home,
            layout,
            amd64,
            arm,
        }
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    /// Copies what the layout has under a tag.
    fn push(&self, tag: &str, to: &str) {
        let from = format!("oci:{}:{tag}", text(self.layout.directory()));
        done(self.home(), &["copy", "-q", &from, to]);
    }

    /// What `wharf` prints with these arguments.
    fn prints(&self, arguments: &[&str]) -> String {
        done(self.home(), &[arguments, &["-q"]].concat()).stdout
    }

    /// The bytes of a manifest in a registry.
    fn bytes(&self, at: &str) -> String {
        done(self.home(), &["manifest", at]).stdout
    }

    fn value(&self, at: &str) -> Value {
        serde_json::from_str(&self.bytes(at)).unwrap()
    }

    /// The digests of the children of an index.
    fn children(&self, at: &str) -> Vec<String> {
        let index = self.value(at);
        let children = index["manifests"].as_array().unwrap().iter();
        children
            .map(|child| child["digest"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn digest(bytes: &str) -> String {
    format!("sha256:{}", sha256_hex(bytes.as_bytes()))
}

/// The embedded registry and, where it is installed, Debian's.
fn on_both(test: impl Fn(SocketAddr)) {
    let disk = tempfile::tempdir().unwrap();
    test(Served::start(disk.path()).address);
    if let Some(real) = DockerRegistry::start() {
        test(real.address());
    }
}

#[test]
fn images_of_a_repository_become_an_index_with_the_bytes_of_other_tools() {
    on_both(|address| {
        let scene = Scene::new();
        let [amd64, arm, all] = ["amd64", "arm", "all"].map(|tag| format!("{address}/app:{tag}"));
        scene.push("amd64", &amd64);
        scene.push("arm", &arm);
        let printed = scene.prints(&["index", "append", "-m", &amd64, "-m", &arm, "-t", &all]);
        let child = |image: &ImageFixture, platform: &str| {
            format!(
                r#"{{"mediaType":"{IMAGE}","size":{},"digest":"{}","platform":{platform}}}"#,
                image.manifest_size, image.manifest_digest
            )
        };
        let expected = format!(
            r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{},{}]}}"#,
            child(&scene.amd64, r#"{"architecture":"amd64","os":"linux"}"#),
            child(
                &scene.arm,
                r#"{"architecture":"arm","os":"linux","variant":"v7"}"#
            ),
        );
        assert_eq!(scene.bytes(&all), expected);
        assert_eq!(printed, format!("{address}/app@{}\n", digest(&expected)));
        // A list, in the order of the list; and once more gives the same.
        let both = format!("{amd64},{arm}");
        let again = scene.prints(&["index", "append", "-m", &both, "-t", &all]);
        assert_eq!(again, printed);
        if let Some(skopeo) = Skopeo::find() {
            let found = skopeo.inspect_digest(&format!("docker://{all}"));
            assert_eq!(found, digest(&expected));
        }
    });
}

#[test]
fn an_index_of_images_of_its_repository_costs_the_index_alone() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let proxy = RecordingProxy::start(registry.address());
    let scene = Scene::new();
    let at = |tag: &str| format!("{}/app:{tag}", proxy.address());
    let [amd64, arm, all] = ["amd64", "arm", "all"].map(at);
    scene.push("amd64", &amd64);
    scene.push("arm", &arm);
    let methods = |arguments: &[&str]| -> Vec<String> {
        proxy.forget();
        scene.prints(arguments);
        let requests = proxy.requests().into_iter();
        requests.map(|request| request.method).collect()
    };
    let made = methods(&["index", "append", "-m", &amd64, "-m", &arm, "-t", &all]);
    assert_eq!(made, ["GET", "GET", "GET", "GET", "PUT"]);
    let appended = methods(&["index", "append", &all, "-m", &amd64]);
    assert_eq!(appended, ["GET", "GET", "GET", "PUT"]);
    let filtered = methods(&["index", "filter", "--platform", "linux/arm", &all]);
    assert_eq!(filtered, ["GET", "PUT"]);
    let unchanged = methods(&["index", "filter", "--platform", "linux/arm", &all]);
    assert_eq!(unchanged, ["GET", "HEAD"]);
}

#[test]
fn children_of_other_repositories_are_mounted_and_those_of_a_layout_are_sent() {
    on_both(|address| {
        let scene = Scene::new();
        let (amd64, all) = (format!("{address}/one:1"), format!("{address}/two:all"));
        scene.push("amd64", &amd64);
        let arm = format!("oci:{}:arm", text(scene.layout.directory()));
        // A further argument is one more -m.
        scene.prints(&["index", "append", "-m", &amd64, "-t", &all]);
        scene.prints(&["index", "append", &all, &arm]);
        let digests = [&scene.amd64, &scene.arm].map(|image| image.manifest_digest.clone());
        assert_eq!(scene.children(&all), digests);
        // Everything below it is there.
        let copy = format!("oci:{}", text(&scene.home().join("copy")));
        done(scene.home(), &["copy", "-q", &all, &copy]);
    });
}

#[test]
fn an_index_is_added_child_by_child_or_as_one() {
    on_both(|address| {
        let mut scene = Scene::new();
        let note = scene
            .layout
            .child("unknown/unknown", &[LayerSpec::random(7, 9)]);
        let children = [
            Child::image(&scene.arm, "linux/arm/v6"),
            Child::image(&note, "unknown/unknown"),
        ];
        let inner = scene.layout.index(Some("inner"), &children);
        let [inside, all, own] = ["inner", "all", "own"].map(|tag| format!("{address}/app:{tag}"));
        scene.push("inner", &inside);
        scene.push("amd64", &own);
        scene.prints(&[
            "index",
            "append",
            "-m",
            &own,
            "-t",
            &all,
            "--docker-empty-base",
        ]);
        assert_eq!(scene.value(&all)["mediaType"], json!(LIST));

        let flat = format!("{address}/app:flat");
        scene.prints(&["index", "append", &all, "-m", &inside, "-t", &flat]);
        let listed = &scene.value(&flat)["manifests"];
        assert_eq!(
            listed[1],
            scene.value(&inside)["manifests"][0],
            "as it is described"
        );
        assert_eq!(listed[2]["platform"]["os"], json!("unknown"));
        assert_eq!(scene.children(&all).len(), 1, "BASE stays");

        scene.prints(&["index", "append", &all, "-m", &inside, "--flatten=false"]);
        let whole = &scene.value(&all)["manifests"][1];
        let expected = json!({"mediaType": INDEX, "digest": inner.digest, "size": inner.size});
        assert_eq!(*whole, expected);
    });
}

#[test]
fn a_tag_moves_and_a_digest_gets_no_tag() {
    on_both(|address| {
        let scene = Scene::new();
        let repository = format!("{address}/app");
        let latest = format!("{repository}:latest");
        let arm = format!("oci:{}:arm", text(scene.layout.directory()));
        // Nothing to add is pushed all the same.
        let empty = scene.prints(&["index", "append", "-t", &repository]);
        let nothing = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#);
        assert_eq!(empty, format!("{repository}@{}\n", digest(&nothing)));
        assert_eq!(scene.bytes(&latest), nothing);

        let by_digest = scene.prints(&["index", "append", empty.trim_end(), "-m", &arm]);
        assert_ne!(by_digest, empty);
        assert_eq!(scene.bytes(&latest), nothing, "no tag has moved");
        assert_eq!(
            scene.children(by_digest.trim_end()),
            std::slice::from_ref(&scene.arm.manifest_digest)
        );

        let moved = scene.prints(&["index", "append", &repository, "-m", &arm]);
        assert_eq!(moved, by_digest);
        assert_eq!(scene.children(&latest).len(), 1);
    });
}

#[test]
fn a_layout_is_extended_or_read_as_its_directory() {
    let scene = Scene::new();
    let new = scene.home().join("new");
    let path = text(&new);
    let directory = text(scene.layout.directory());
    // A directory adds all that it lists; a missing one is made.
    let run = done(scene.home(), &["index", "append", path, "-m", directory]);
    assert_eq!(run.stdout, "");
    let index: Value =
        serde_json::from_slice(&std::fs::read(new.join("index.json")).unwrap()).unwrap();
    let listed = index["manifests"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1]["digest"], json!(scene.arm.manifest_digest));
    let one = format!("oci:{directory}:amd64");
    let other = text(&scene.home().join("other")).to_owned();
    done(scene.home(), &["index", "append", &other, "-m", &one]);
    let index: Value =
        serde_json::from_slice(&std::fs::read(Path::new(&other).join("index.json")).unwrap())
            .unwrap();
    let platform = json!({"os": "linux", "architecture": "amd64"});
    assert_eq!(index["manifests"][0]["platform"], platform);
    if let Some(skopeo) = Skopeo::find() {
        let copy = format!("oci:{}", text(&scene.home().join("copied")));
        skopeo.copy(&format!("oci:{other}"), &copy);
    }
    on_both(|address| {
        let all = format!("{address}/app:all");
        scene.prints(&["index", "append", path, "-m", &one, "-t", &all]);
        assert_eq!(scene.children(&all).len(), 3);
        assert_eq!(
            done(scene.home(), &["index", "list", path])
                .stdout
                .lines()
                .count(),
            3
        );
    });
}

#[test]
fn an_image_of_a_docker_archive_is_made_on_the_way() {
    on_both(|address| {
        let scene = Scene::new();
        let archive = scene.home().join("saved.tar");
        let image = DockerImage::new(&["app:1"]).layer(&[("a", b"a")]);
        DockerArchive::new(ArchiveStyle::Classic)
            .image(image)
            .write(&archive);
        let (all, amd64) = (format!("{address}/app:all"), format!("{address}/app:1"));
        scene.push("amd64", &amd64);
        scene.prints(&[
            "index",
            "append",
            "-m",
            &amd64,
            "-m",
            text(&archive),
            "-t",
            &all,
        ]);
        let children = scene.value(&all)["manifests"].clone();
        let docker = "application/vnd.docker.distribution.manifest.v2+json";
        assert_eq!(children[1]["mediaType"], json!(docker));
        assert_eq!(children[1]["platform"]["os"], json!("linux"));
        let copy = format!("oci:{}", text(&scene.home().join("copy")));
        done(scene.home(), &["copy", "-q", &all, &copy]);
    });
}

#[test]
fn a_filter_keeps_descriptors_annotations_subject_and_media_type() {
    on_both(|address| {
        let scene = Scene::new();
        let at = |tag: &str| format!("{address}/app:{tag}");
        let [amd64, arm, all, few] = ["amd64", "arm", "all", "few"].map(at);
        scene.push("amd64", &amd64);
        scene.push("arm", &arm);
        let child = |image: &ImageFixture, platform: Value| {
            json!({"mediaType": IMAGE, "digest": image.manifest_digest, "size": image.manifest_size,
                "platform": platform, "annotations": {"k": "<v>"}})
        };
        let windows =
            json!({"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.2"});
        let mut document = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            child(&scene.amd64, json!({"os": "linux", "architecture": "amd64"})),
            child(&scene.arm, json!({"os": "linux", "architecture": "arm", "variant": "v7"})),
            child(&scene.arm, json!({"os": "linux", "architecture": "arm", "variant": "v6"})),
            child(&scene.amd64, windows),
            child(&scene.arm, json!({"os": "unknown", "architecture": "unknown"})),
            json!({"mediaType": IMAGE, "digest": scene.arm.manifest_digest,
                "size": scene.arm.manifest_size}),
        ], "annotations": {"a": "b"}, "subject": {"mediaType": IMAGE,
            "digest": scene.amd64.manifest_digest, "size": scene.amd64.manifest_size}});
        let file = scene.home().join("index.json");
        std::fs::write(&file, document.to_string()).unwrap();
        done(scene.home(), &["manifest", "put", &all, text(&file)]);
        let listed = document["manifests"].as_array().unwrap().clone();
        for (platforms, kept) in [
            (&["--platform", "linux/amd64"][..], &[0][..]),
            (&["--platform", "linux/arm"], &[1, 2]),
            (&["--platform", "linux/arm/v6"], &[2]),
            (&["--platform", "linux"], &[0, 1, 2]),
            (&["--platform", "linux/amd64,windows/amd64"], &[0, 3]),
            (
                &["--platform", "linux/arm/v7", "--platform", "linux/amd64"],
                &[0, 1],
            ),
            (&["--platform", "windows/amd64:10.0.20348.2"], &[3]),
            (&["--platform", "windows/amd64:10.0.20348"], &[]),
            (&["--platform", "linux/s390x"], &[]),
            (&[], &[]),
        ] {
            let printed =
                scene.prints(&[&["index", "filter", &all, "-t", &few], platforms].concat());
            document["manifests"] = kept.iter().map(|at| listed[*at].clone()).collect();
            assert_eq!(scene.value(&few), document, "{platforms:?}");
            let bytes = scene.bytes(&few);
            assert_eq!(printed, format!("{address}/app@{}\n", digest(&bytes)));
            assert!(
                kept.is_empty() || bytes.contains(r#"{"k":"\u003cv\u003e"}"#),
                "{bytes}"
            );
        }
        assert!(scene.bytes(&few).contains(r#""manifests":[]"#));
    });
}

#[test]
fn a_filter_moves_the_tag_and_leaves_alone_what_has_nothing_to_go() {
    on_both(|address| {
        let mut scene = Scene::new();
        let children = [
            Child::image(&scene.amd64, "linux/amd64"),
            Child::image(&scene.arm, "linux/arm/v7"),
        ];
        let index = scene.layout.index(Some("all"), &children);
        let all = format!("{address}/app:all");
        scene.push("all", &all);
        let same = scene.prints(&["index", "filter", "--platform", "linux", &all]);
        assert_eq!(same, format!("{address}/app@{}\n", index.digest));
        let by_digest = same.trim_end();
        let fewer = scene.prints(&["index", "filter", "--platform", "linux/amd64", by_digest]);
        assert_eq!(scene.children(&all).len(), 2, "no tag has moved");
        assert_eq!(
            scene.children(fewer.trim_end()),
            std::slice::from_ref(&scene.amd64.manifest_digest)
        );
        let moved = scene.prints(&["index", "filter", "--platform", "linux/amd64", &all]);
        assert_eq!(moved, fewer);
        assert_eq!(scene.children(&all).len(), 1);
    });
}

#[test]
fn what_cannot_be_done_is_said_and_nothing_is_printed() {
    on_both(|address| {
        let scene = Scene::new();
        let (image, none) = (
            format!("{address}/app:amd64"),
            format!("{address}/app:none"),
        );
        scene.push("amd64", &image);
        for (arguments, words) in [
            (&["index", "append", "-m", &image][..], "add -t"),
            (
                &["index", "append", &image, "-m", &image],
                "not an index but",
            ),
            (&["index", "append", "-m", &none, "-t", &none], "none"),
            (
                &["index", "filter", &image, "--platform", "linux"],
                "not an index but",
            ),
            (
                &["index", "filter", "./layout", "--platform", "linux"],
                "./layout",
            ),
        ] {
            let run = wharf(scene.home(), arguments);
            assert_ne!(run.code, 0, "{arguments:?}");
            assert!(run.stdout.is_empty(), "{run:?}");
            assert!(run.stderr.contains(words), "{run:?}");
        }
        let said = complaint(scene.home(), &["index", "list", &none]);
        assert!(said.contains("none"), "{said}");
    });
}
