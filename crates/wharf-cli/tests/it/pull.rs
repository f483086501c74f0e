//! `wharf pull`: each format, names, several images, the cache, and failures.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use wharf_testkit::{
    Answer, Child, Content, DockerRegistry, FaultServer, ImageFixture, LayerSpec, LayoutFixture,
    Podman, RecordingProxy, Script, Skopeo, Umoci, sha256_hex,
};

use crate::archives::{hex, listed, member, members, names_in, output};
use crate::common::{Served, command, complaint, done, text, wharf};

/// Our registry, and Debian's where it is installed.
struct Registries {
    served: Served,
    docker: Option<DockerRegistry>,
}

impl Registries {
    fn start(home: &Path) -> Self {
        Registries {
            served: Served::start(&home.join("registry")),
            docker: DockerRegistry::start(),
        }
    }

    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let docker = self.docker.as_ref().map(DockerRegistry::address);
        [Some(self.served.address), docker].into_iter().flatten()
    }
}

/// Two images and an index of them in a layout: the first one has history.
struct Images {
    layout: LayoutFixture,
    amd64: ImageFixture,
    arm64: ImageFixture,
    index: Content,
}

impl Images {
    fn new(home: &Path) -> Self {
        let mut layout = LayoutFixture::new(home.join("images"));
        let shared = LayerSpec::random(1, 50_000);
        let zstd = LayerSpec::zstd(&[("etc/zstd", b"1")]);
        let amd64 = layout.child("linux/amd64", &[shared.clone(), LayerSpec::random(2, 99)]);
        let arm64 = layout.child("linux/arm64", &[shared, zstd]);
        layout.list(Some("amd64"), &amd64.content());
        layout.list(Some("arm64"), &arm64.content());
        let children = [
            Child::image(&arm64, "linux/arm64"),
            Child::image(&amd64, "linux/amd64"),
        ];
        let index = layout.index(Some("both"), &children);
        Images {
            layout,
            amd64,
            arm64,
            index,
        }
    }

    /// Pushes all three to a repository.
    fn push(&self, home: &Path, repository: &str) {
        for tag in ["amd64", "arm64", "both"] {
            let from = format!("oci:{}:{tag}", text(self.layout.directory()));
            done(home, &["copy", &from, &format!("{repository}:{tag}")]);
        }
    }
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn an_archive_has_the_images_under_the_names_that_were_typed() {
    let home = tempfile::tempdir().unwrap();
    let images = Images::new(home.path());
    let registries = Registries::start(home.path());
    for address in registries.addresses() {
        let app = format!("{address}/team/app");
        images.push(home.path(), &app);
        done(home.path(), &["tag", &format!("{app}:amd64"), "latest"]);
        let tar = home.path().join("out.tar");
        let path = text(&tar);
        let by_tag = format!("{app}:both");
        let by_digest = format!("{app}@{}", images.amd64.manifest_digest);
        let run = done(home.path(), &["pull", &by_tag, &app, &by_digest, path]);
        assert_eq!(run.stdout, "");
        let names = [
            format!("{app}:both"),
            format!("{app}:i-was-a-digest"),
            format!("{app}:latest"),
        ];
        let layers: Vec<String> = images.amd64.layers.iter().map(file_name).collect();
        let expected = json!([{
            "Config": images.amd64.config_digest, "RepoTags": names, "Layers": layers,
        }]);
        assert_eq!(listed(&tar), expected);
        let names = members(&tar);
        assert_eq!((names.len(), &*names[3]), (4, "manifest.json"));
        assert_eq!(
            sha256_hex(member(&tar, &layers[0])),
            hex(&images.amd64.layers[0].0)
        );
        let entry = String::from_utf8(tar_listing(&tar)).unwrap();
        assert!(entry.starts_with("-rw-r--r-- 0/0 "), "{entry}");
        // Another platform, and two images in one file: the shared layer is there once.
        let arm64 = ["pull", "--platform", "linux/arm64", &by_tag, path];
        done(home.path(), &arm64);
        assert_eq!(listed(&tar)[0]["Config"], images.arm64.config_digest);
        let other = format!("{app}:arm64");
        done(home.path(), &["pull", &by_tag, &other, path]);
        let both = listed(&tar);
        assert_eq!(both[0]["RepoTags"], json!([other]));
        assert_eq!(both[1]["RepoTags"], json!([by_tag]));
        assert_eq!(both[0]["Layers"][0], both[1]["Layers"][0]);
        assert_eq!(members(&tar).len(), 2 + 3 + 1);
        // Layers with zstd are gzip now, so that each version of Docker and Podman loads them.
        assert!(both[0]["Layers"][1].as_str().unwrap().ends_with(".tar.gz"));
        if let Some(podman) = Podman::find() {
            let loaded = podman.load(path);
            let mut named = [
                (images.arm64.config_digest.clone(), other),
                (images.amd64.config_digest.clone(), by_tag),
            ];
            named.sort();
            assert_eq!(loaded, named);
        }
    }
}

fn file_name(layer: &(String, u64)) -> String {
    format!("{}.tar.gz", hex(&layer.0))
}

/// What `tar -tv` says.
fn tar_listing(tar: &Path) -> Vec<u8> {
    let mut command = std::process::Command::new("tar");
    command.args(["--numeric-owner", "-tvf", text(tar)]);
    command.output().unwrap().stdout
}

#[test]
fn a_layout_gets_whole_indexes_and_is_added_to() {
    let home = tempfile::tempdir().unwrap();
    let images = Images::new(home.path());
    let registries = Registries::start(home.path());
    for (number, address) in registries.addresses().enumerate() {
        let app = format!("{address}/team/app");
        images.push(home.path(), &app);
        let out = home.path().join(format!("out{number}/deep"));
        let path = text(&out);
        let both = format!("{app}:both");
        let run = done(home.path(), &["pull", "--format", "oci", &both, path]);
        assert_eq!(run.stdout, "");
        let entries = &json_of(&out.join("index.json"))["manifests"];
        assert_eq!(entries.as_array().unwrap().len(), 1);
        assert_eq!(entries[0]["digest"], images.index.digest);
        assert_eq!(entries[0]["annotations"], Value::Null);
        for digest in [&images.arm64.manifest_digest, &images.amd64.layers[1].0] {
            assert!(
                out.join("blobs/sha256").join(hex(digest)).is_file(),
                "{digest}"
            );
        }
        let arm64 = [
            "pull",
            "--format=oci",
            "--annotate-ref",
            "--platform=linux/arm64",
            &both,
            path,
        ];
        done(home.path(), &arm64);
        let by_digest = format!("{app}@{}", images.amd64.manifest_digest);
        done(
            home.path(),
            &["pull", "--format=oci", "--annotate-ref", &by_digest, path],
        );
        let entries = &json_of(&out.join("index.json"))["manifests"];
        let name = |at: usize| &entries[at]["annotations"]["org.opencontainers.image.ref.name"];
        assert_eq!(entries[1]["digest"], images.arm64.manifest_digest);
        assert_eq!((name(1), name(2)), (&json!(both), &json!(by_digest)));
        // Back into a registry, with the same digest.
        let again = format!("{address}/team/again:1");
        let from = format!("oci:{path}@{}", images.index.digest);
        done(home.path(), &["copy", &from, &again]);
        let run = done(home.path(), &["digest", &again]);
        assert_eq!(run.stdout.trim_end(), images.index.digest);
        if let Some(skopeo) = Skopeo::find() {
            let read = skopeo.inspect_digest(&format!("oci:{path}:{both}"));
            assert_eq!(read, images.arm64.manifest_digest);
        }
    }
}

#[test]
fn umoci_unpacks_a_pulled_layout() {
    let Some(umoci) = Umoci::find() else { return };
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    layout.image(Some("1"), &[LayerSpec::gzip(&[("etc/motd", b"hello")])]);
    let served = Served::start(&home.path().join("registry"));
    let image = format!("{}/app:1", served.address);
    let from = format!("oci:{}:1", text(layout.directory()));
    done(home.path(), &["copy", &from, &image]);
    let out = home.path().join("out");
    done(
        home.path(),
        &["pull", "--format", "oci", &image, text(&out)],
    );
    // umoci selects by a tag, which a second copy gives it.
    let tagged = home.path().join("tagged");
    let to = format!("oci:{}:1", text(&tagged));
    done(home.path(), &["copy", &format!("oci:{}", text(&out)), &to]);
    let bundle = home.path().join("bundle");
    umoci.unpack(&tagged, "1", &bundle);
    assert_eq!(fs::read(bundle.join("rootfs/etc/motd")).unwrap(), b"hello");
}

#[test]
fn the_legacy_format_has_a_folder_for_each_layer() {
    let home = tempfile::tempdir().unwrap();
    let images = Images::new(home.path());
    let registries = Registries::start(home.path());
    for address in registries.addresses() {
        let app = format!("{address}/team/app");
        images.push(home.path(), &app);
        let tar = home.path().join("legacy.tar");
        let (one, two) = (format!("{app}:amd64"), format!("{app}:arm64"));
        let pull = ["pull", "--format", "legacy", &one, &two, text(&tar)];
        assert_eq!(done(home.path(), &pull).stdout, "");
        let listed = listed(&tar);
        for (entry, image) in [(&listed[0], &images.amd64), (&listed[1], &images.arm64)] {
            let config = format!("{}.json", hex(&image.config_digest));
            assert_eq!(entry["Config"], config);
            assert_eq!(sha256_hex(member(&tar, &config)), hex(&image.config_digest));
            let layers = entry["Layers"].as_array().unwrap();
            for (layer, diff_id) in layers.iter().zip(&image.diff_ids) {
                let tar_of_layer = member(&tar, layer.as_str().unwrap());
                assert_eq!(sha256_hex(tar_of_layer), hex(diff_id));
            }
            let folder = |at: usize| layers[at].as_str().unwrap().split('/').next().unwrap();
            let facts = |at: usize| -> Value {
                let name = format!("{}/json", folder(at));
                serde_json::from_slice(&member(&tar, &name)).unwrap()
            };
            assert_eq!(facts(0)["id"], folder(0));
            assert_eq!(facts(0)["parent"], Value::Null);
            assert_eq!(
                (&facts(1)["parent"], &facts(1)["os"]),
                (&json!(folder(0)), &json!("linux"))
            );
            assert_eq!(member(&tar, &format!("{}/VERSION", folder(0))), b"1.0");
            let repositories: Value =
                serde_json::from_slice(&member(&tar, "repositories")).unwrap();
            let tag = entry["RepoTags"][0]
                .as_str()
                .unwrap()
                .rsplit_once(':')
                .unwrap()
                .1;
            assert_eq!(repositories[&app][tag], folder(1));
        }
        // The folder of the shared base is there once.
        assert_eq!(listed[0]["Layers"][0], listed[1]["Layers"][0]);
        assert_eq!(members(&tar).len(), 2 + 3 * 3 + 2);
        let (back, place) = (
            home.path().join("back"),
            format!("docker-archive:{}:{one}", text(&tar)),
        );
        done(
            home.path(),
            &["copy", &place, &format!("oci:{}", text(&back))],
        );
        if let Some(podman) = Podman::find() {
            let ids: Vec<String> = podman
                .load(text(&tar))
                .into_iter()
                .map(|(id, _)| id)
                .collect();
            assert!(ids.contains(&images.amd64.config_digest), "{ids:?}");
        }
    }
}

#[test]
fn layers_come_from_the_cache_when_they_are_there() {
    let home = tempfile::tempdir().unwrap();
    let images = Images::new(home.path());
    let served = Served::start(&home.path().join("registry"));
    let proxy = RecordingProxy::start(served.address);
    let app = format!("{}/app", proxy.address());
    images.push(home.path(), &app);
    let (cache, tar) = (home.path().join("cache/deep"), home.path().join("a.tar"));
    let image = format!("{app}:amd64");
    let blobs = || {
        let lines = proxy.lines();
        let lines = lines.iter().filter(|line| line.contains("/blobs/"));
        lines.count()
    };
    for (format, expected) in [("tarball", 3), ("tarball", 1), ("legacy", 1), ("oci", 1)] {
        proxy.forget();
        let to = home.path().join(format);
        let pull = [
            "pull",
            "-c",
            text(&cache),
            "--format",
            format,
            &image,
            text(&to),
        ];
        done(home.path(), &pull);
        assert_eq!(blobs(), expected, "{format}: {:?}", proxy.lines());
    }
    assert_eq!(names_in(&cache).len(), 2);
    let kept = cache.join(&images.amd64.layers[0].0);
    assert_eq!(
        sha256_hex(fs::read(&kept).unwrap()),
        hex(&images.amd64.layers[0].0)
    );
    fs::write(&kept, "damaged").unwrap();
    done(
        home.path(),
        &["pull", "--cache_path", text(&cache), &image, text(&tar)],
    );
    assert_eq!(listed(&tar)[0]["Config"], images.amd64.config_digest);
}

#[test]
fn standard_output_is_the_archive() {
    let home = tempfile::tempdir().unwrap();
    let images = Images::new(home.path());
    let from = format!("oci:{}:amd64", text(images.layout.directory()));
    for format in ["tarball", "legacy"] {
        let tar = home.path().join("a.tar");
        let bytes = output(home.path(), &["pull", "--format", format, &from, "-"]);
        fs::write(&tar, bytes).unwrap();
        let names = members(&tar);
        assert!(
            names.iter().any(|name| name == "manifest.json"),
            "{names:?}"
        );
    }
    let said = complaint(home.path(), &["pull", "--format", "oci", &from, "-"]);
    assert_eq!(said, "a layout directory cannot be standard output");
}

#[test]
fn a_file_may_be_named_without_a_folder() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    layout.image(Some("1"), &[LayerSpec::gzip(&[("a", b"1")])]);
    for words in [
        &["pull", "-q", "oci:layout:1", "p.tar"][..],
        &["copy", "-q", "oci:layout:1", "oci-archive:o.tar"],
        &["mutate", "-q", "oci:layout:1", "-l", "a=b", "-o", "m.tar"],
    ] {
        let run = command(home.path())
            .current_dir(home.path())
            .args(words)
            .output();
        let run = run.unwrap();
        assert!(run.status.success(), "{words:?}: {run:?}");
    }
    for name in ["p.tar", "o.tar", "m.tar"] {
        assert!(home.path().join(name).is_file(), "{name}");
    }
}

#[test]
fn a_failed_pull_leaves_the_old_file_and_no_new_one() {
    let home = tempfile::tempdir().unwrap();
    let images = Images::new(home.path());
    let served = Served::start(&home.path().join("registry"));
    let app = format!("{}/app", served.address);
    images.push(home.path(), &app);
    let out = home.path().join("out");
    fs::create_dir(&out).unwrap();
    let tar = out.join("a.tar");
    let (good, bad) = (format!("{app}:amd64"), format!("{app}:none"));
    for format in ["tarball", "legacy"] {
        let pull = [
            "pull",
            "--progress=none",
            "--format",
            format,
            &good,
            &bad,
            text(&tar),
        ];
        complaint(home.path(), &pull);
        assert_eq!(names_in(&out), Vec::<String>::new());
    }
    fs::write(&tar, "old").unwrap();
    complaint(
        home.path(),
        &["pull", "--progress=none", &good, &bad, text(&tar)],
    );
    assert_eq!(fs::read(&tar).unwrap(), b"old");
    assert_eq!(names_in(&out), ["a.tar"]);
    // Folders are made for a layout, not for an archive.
    let said = complaint(
        home.path(),
        &["pull", &good, &format!("{}/no/a.tar", text(&out))],
    );
    assert!(said.ends_with("no: no such file or directory"), "{said}");
    let run = wharf(home.path(), &["pull", "--format", "zip", &good, text(&tar)]);
    assert_ne!(run.code, 0);
    assert!(run.stderr.contains("zip"), "{run:?}");
    let run = wharf(home.path(), &["pull", &good]);
    assert_ne!(run.code, 0);
}

#[test]
fn a_registry_that_cuts_every_answer_gives_its_layers_by_range() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let image = layout.image(Some("1"), &[LayerSpec::random(1, 6 << 20)]);
    let manifest = layout.read(&image.manifest_digest);
    let manifest = Answer::status(200)
        .header("Content-Type", &image.media_type)
        .body(manifest);
    let config = Answer::status(200).body(layout.read(&image.config_digest));
    let digest = image.layers[0].0.clone();
    let layer = layout.read(&digest);
    let cutting = Answer::from_fn(move |request| {
        let range = request.header("range").unwrap_or("bytes=0-");
        let start = range.trim_start_matches("bytes=").split('-').next();
        let start: usize = start.unwrap().parse().unwrap();
        let (last, whole) = (layer.len() - 1, layer.len());
        let answer = match start {
            0 => Answer::status(200),
            _ => Answer::status(206)
                .header("Content-Range", &format!("bytes {start}-{last}/{whole}")),
        };
        answer.body(layer[start..].to_vec()).cut_body_after(2 << 20)
    });
    let script = Script::new()
        .on("GET", "/v2/", [Answer::status(200)])
        .on("GET", "/v2/app/manifests/*", [manifest])
        .on(
            "GET",
            &format!("/v2/app/blobs/{}", image.config_digest),
            [config],
        )
        .on("GET", &format!("/v2/app/blobs/{digest}"), [cutting]);
    let server = FaultServer::start(script);
    let name = format!("{}/app:1", server.address());
    for format in ["tarball", "legacy", "oci"] {
        let to = home.path().join(format);
        done(home.path(), &["pull", "--format", format, &name, text(&to)]);
    }
    let kept = member(&home.path().join("tarball"), &file_name(&image.layers[0]));
    assert_eq!(sha256_hex(kept), hex(&digest));
}

#[test]
fn requests_of_a_pull_are_as_promised() {
    let home = tempfile::tempdir().unwrap();
    let images = Images::new(home.path());
    let served = Served::start(&home.path().join("registry"));
    let proxy = RecordingProxy::start(served.address);
    let app = format!("{}/app", proxy.address());
    images.push(home.path(), &app);
    let layers = 2;
    for (format, tag, expected) in [
        ("tarball", "amd64", layers + 3),
        ("oci", "amd64", layers + 3),
        ("tarball", "both", layers + 4),
    ] {
        proxy.forget();
        let to = home.path().join(format!("{format}-{tag}"));
        let image = format!("{app}:{tag}");
        done(
            home.path(),
            &["pull", "--format", format, &image, text(&to)],
        );
        assert_eq!(
            proxy.lines().len(),
            expected,
            "{format}: {:?}",
            proxy.lines()
        );
    }
}
