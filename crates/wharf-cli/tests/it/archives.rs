//! Archives as destinations of `wharf copy`: their members, names and layers, and other readers.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use wharf_testkit::{
    Child, DockerRegistry, LayerSpec, LayoutFixture, Podman, RecordingProxy, Skopeo, sha256_hex,
};

use crate::common::{Served, command, complaint, done, text};

/// The names in a tar, in their order.
pub(crate) fn members(tar: &Path) -> Vec<String> {
    let listed = tar_of(&["-tf", text(tar)]);
    let lines = listed.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| String::from_utf8(line.to_vec()).unwrap());
    lines.filter(|line| !line.is_empty()).collect()
}

/// The content of a member.
pub(crate) fn member(tar: &Path, name: &str) -> Vec<u8> {
    tar_of(&["-xOf", text(tar), name])
}

fn tar_of(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("tar").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// What `manifest.json` lists.
pub(crate) fn listed(tar: &Path) -> serde_json::Value {
    serde_json::from_slice(&member(tar, "manifest.json")).unwrap()
}

/// The names beside `path`, which failures must not add to.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = names
        .map(|name| name.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The standard output of a run that succeeds.
pub(crate) fn output(home: &Path, arguments: &[&str]) -> Vec<u8> {
    let run = command(home).args(arguments).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    run.stdout
}

/// `sha256:HEX` without its beginning.
pub(crate) fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap()
}

#[test]
fn a_docker_archive_goes_through_registries_and_keeps_its_digests() {
    let home = tempfile::tempdir().unwrap();
    let layers = [
        LayerSpec::random(1, 70_000),
        LayerSpec::tar(&[("a", b"1")]),
        LayerSpec::random(1, 70_000),
    ];
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let image = layout.image(Some("1"), &layers);
    let served = Served::start(&home.path().join("registry"));
    let docker = DockerRegistry::start();
    let addresses = [
        Some(served.address),
        docker.as_ref().map(|docker| docker.address()),
    ];
    for address in addresses.into_iter().flatten() {
        let from = format!("oci:{}:1", text(layout.directory()));
        let to = format!("{address}/team/app:1");
        done(home.path(), &["copy", &from, &to]);
        let tar = home.path().join("a.tar");
        let archive = format!("docker-archive:{}", text(&tar));
        let run = done(home.path(), &["copy", &to, &archive]);
        assert_eq!(run.stdout, "");
        let (one, two) = (hex(&image.layers[0].0), hex(&image.layers[1].0));
        let (one, two) = (format!("{one}.tar.gz"), format!("{two}.tar"));
        let expected = serde_json::json!([
            {"Config": image.config_digest, "RepoTags": [to], "Layers": [one, two, one]}
        ]);
        assert_eq!(listed(&tar), expected);
        let names = members(&tar);
        assert_eq!((names.len(), names[3].as_str()), (4, "manifest.json"));
        for (name, digest) in [
            (&one, &image.layers[0].0),
            (&two, &image.layers[1].0),
            (&image.config_digest, &image.config_digest),
        ] {
            assert_eq!(sha256_hex(member(&tar, name)), hex(digest), "{name}");
        }
        // Into a registry, where the plain layer becomes gzip, and out of it again.
        let again = format!("{address}/team/again:2");
        done(home.path(), &["copy", &archive, &again]);
        let (other, third) = (home.path().join("b.tar"), home.path().join("c.tar"));
        let archive = format!("docker-archive:{}:name/of:its", text(&other));
        done(home.path(), &["copy", &again, &archive]);
        let back = listed(&other);
        assert_eq!(back[0]["Config"], image.config_digest);
        assert_eq!(back[0]["RepoTags"], serde_json::json!(["name/of:its"]));
        assert_eq!(back[0]["Layers"][0], one);
        let plain = format!("docker-archive:{}", text(&other));
        done(
            home.path(),
            &["copy", &plain, &format!("docker-archive:{}", text(&third))],
        );
        assert_eq!(listed(&third), back);
    }
}

#[test]
fn other_tools_read_what_is_written() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let layers = [
        LayerSpec::zstd(&[("etc/zstd", b"1")]),
        LayerSpec::gzip(&[("etc/gzip", b"2")]),
    ];
    let image = layout.image(Some("1"), &layers);
    let (docker, oci) = (home.path().join("d.tar"), home.path().join("o.tar"));
    let from = format!("oci:{}:1", text(layout.directory()));
    let to = format!("docker-archive:{}:localhost/app", text(&docker));
    done(home.path(), &["copy", &from, &to]);
    let stored = format!("oci-archive:{}:1", text(&oci));
    done(home.path(), &["copy", &from, &stored]);
    // The zstd layer is gzip with the same diff id; the other one is as it was.
    let layers = &listed(&docker)[0]["Layers"];
    assert_eq!(layers[1], format!("{}.tar.gz", hex(&image.layers[1].0)));
    let made = member(&docker, layers[0].as_str().unwrap());
    let unpacked = home.path().join("layer.gz");
    fs::write(&unpacked, made).unwrap();
    let gunzip = Command::new("gzip")
        .arg("-dc")
        .arg(&unpacked)
        .output()
        .unwrap();
    assert_eq!(sha256_hex(gunzip.stdout), hex(&image.diff_ids[0]));
    if let Some(skopeo) = Skopeo::find() {
        let read = skopeo.inspect(&format!("docker-archive:{}", text(&docker)));
        assert_eq!(read["Layers"], serde_json::json!(image.diff_ids));
        assert_eq!(skopeo.inspect_digest(&stored), image.manifest_digest);
    }
    if let Some(podman) = Podman::find() {
        let loaded = podman.load(text(&docker));
        let named = (
            image.config_digest.clone(),
            "localhost/app:latest".to_owned(),
        );
        assert_eq!(loaded, [named]);
        let loaded = podman.load(text(&oci));
        assert!(
            loaded.iter().all(|(id, _)| *id == image.config_digest),
            "{loaded:?}"
        );
    }
    // An OCI archive unpacks to the layout that it was made of.
    let unpacked = home.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    tar_of(&["-xf", text(&oci), "-C", text(&unpacked)]);
    let again = home.path().join("again");
    let (from, to) = (
        format!("oci:{}", text(&unpacked)),
        format!("oci:{}", text(&again)),
    );
    done(home.path(), &["copy", &from, &to]);
    let blob = format!("blobs/sha256/{}", hex(&image.manifest_digest));
    assert!(again.join(blob).is_file());
}

#[test]
fn of_an_index_one_image_or_all_of_it() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let amd64 = layout.child("linux/amd64", &[LayerSpec::random(1, 100)]);
    let arm64 = layout.child("linux/arm64", &[LayerSpec::random(2, 100)]);
    let children = [
        Child::image(&arm64, "linux/arm64"),
        Child::image(&amd64, "linux/amd64"),
    ];
    let index = layout.index(Some("1"), &children);
    let served = Served::start(&home.path().join("registry"));
    let from = format!("{}/app:1", served.address);
    let place = format!("oci:{}:1", text(layout.directory()));
    done(home.path(), &["copy", &place, &from]);
    let (docker, oci) = (home.path().join("d.tar"), home.path().join("o.tar"));
    let to = format!("docker-archive:{}", text(&docker));
    done(home.path(), &["copy", &from, &to]);
    assert_eq!(listed(&docker)[0]["Config"], amd64.config_digest);
    done(
        home.path(),
        &["copy", "--platform", "linux/arm64", &from, &to],
    );
    assert_eq!(listed(&docker)[0]["Config"], arm64.config_digest);
    done(
        home.path(),
        &["copy", &from, &format!("oci-archive:{}", text(&oci))],
    );
    let back = format!("{}/back:1", served.address);
    done(
        home.path(),
        &["copy", &format!("oci-archive:{}", text(&oci)), &back],
    );
    let Some(skopeo) = Skopeo::find() else { return };
    let digest = skopeo.inspect_digest(&format!("docker://{back}"));
    assert_eq!(digest, index.digest);
}

#[test]
fn standard_output_gets_the_archive_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let layout = crate::common::layout(&home.path().join("layout"));
    let from = format!("oci:{}:1.0", text(layout.directory()));
    let tar = home.path().join("a.tar");
    for to in ["-", "docker-archive:-"] {
        fs::write(&tar, output(home.path(), &["copy", &from, to])).unwrap();
        assert_eq!(members(&tar).last().unwrap(), "manifest.json");
        let image = format!("docker-archive:{}", text(&tar));
        done(
            home.path(),
            &[
                "copy",
                &image,
                &format!("oci:{}", text(&home.path().join("back"))),
            ],
        );
    }
    fs::write(&tar, output(home.path(), &["copy", &from, "oci-archive:-"])).unwrap();
    assert_eq!(members(&tar).last().unwrap(), "index.json");
    // A reader that has seen enough.
    let mut copy = command(home.path());
    copy.args(["copy", "--progress", "none", &from, "-"]);
    let mut child = copy
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let run = child.wait_with_output().unwrap();
    assert_eq!((run.status.code(), run.stderr), (Some(0), Vec::new()));
}

#[test]
fn a_failed_copy_leaves_no_new_file_and_the_old_one_whole() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let image = layout.image(
        Some("1"),
        &[LayerSpec::random(1, 70_000), LayerSpec::random(2, 9)],
    );
    let served = Served::start(&home.path().join("registry"));
    let proxy = RecordingProxy::start(served.address);
    let from = format!("oci:{}:1", text(layout.directory()));
    let image_at = format!("{}/app:1", proxy.address());
    done(home.path(), &["copy", &from, &image_at]);
    let blob = hex(&image.layers[0].0);
    let data = wharf_testkit::files_below(&home.path().join("registry"));
    let stored = data
        .keys()
        .find(|path| path.ends_with(blob) || text(path).contains(blob));
    let stored = home.path().join("registry").join(stored.unwrap());
    let mut bytes = fs::read(&stored).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&stored, bytes).unwrap();
    let out = home.path().join("out");
    fs::create_dir(&out).unwrap();
    for (kind, file) in [("docker-archive", "a.tar"), ("oci-archive", "b.tar")] {
        let place = out.join(file);
        let to = format!("{kind}:{}", text(&place));
        let said = complaint(home.path(), &["copy", "--progress", "none", &image_at, &to]);
        assert!(said.contains(blob), "{said}");
        assert_eq!(names_in(&out), Vec::<String>::new());
        fs::write(&place, "old").unwrap();
        complaint(home.path(), &["copy", "--progress", "none", &image_at, &to]);
        assert_eq!(fs::read(&place).unwrap(), b"old");
        assert_eq!(names_in(&out), [file]);
        fs::remove_file(&place).unwrap();
    }
    let to = format!("oci-archive:{}/none/x.tar", text(&out));
    let said = complaint(home.path(), &["copy", &from, &to]);
    assert!(said.ends_with("none: no such file or directory"), "{said}");
}

#[test]
fn a_dry_run_writes_no_archive() {
    let home = tempfile::tempdir().unwrap();
    let layout = crate::common::layout(&home.path().join("layout"));
    let from = format!("oci:{}:1.0", text(layout.directory()));
    let tar = home.path().join("a.tar");
    let to = format!("docker-archive:{}", text(&tar));
    let run = done(home.path(), &["copy", "--dry-run", &from, &to]);
    assert!(run.stdout.contains("upload"), "{run:?}");
    assert!(!tar.exists());
}

#[test]
fn requests_of_a_copy_into_a_docker_archive_are_as_promised() {
    let home = tempfile::tempdir().unwrap();
    let layout = crate::common::layout(&home.path().join("layout"));
    let served = Served::start(&home.path().join("registry"));
    let proxy = RecordingProxy::start(served.address);
    let image = format!("{}/app:1", proxy.address());
    let from = format!("oci:{}:1.0", text(layout.directory()));
    done(home.path(), &["copy", &from, &image]);
    proxy.forget();
    let to = format!("docker-archive:{}", text(&home.path().join("a.tar")));
    done(home.path(), &["copy", &image, &to]);
    let layers = 2;
    assert_eq!(proxy.lines().len(), layers + 4, "{:?}", proxy.lines());
}
