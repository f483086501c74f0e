//! Work that is interrupted, from outside or by a full disk, loses nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wharf_testkit::{Answer, FaultServer, LayerSpec, LayoutFixture, Script, Skopeo, files_below};

use crate::common::{Served, command, done, text, wharf};

/// A directory `out` with the image `old`, and a registry that sends `new` for ever.
struct Scene {
    home: tempfile::TempDir,
    layout: LayoutFixture,
    slow: FaultServer,
    old: String,
}

impl Scene {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut layout = LayoutFixture::new(home.path().join("layout"));
        let old = layout.image(Some("old"), &[LayerSpec::random(1, 5000)]);
        let new = layout.image(Some("new"), &[LayerSpec::random(2, 300_000)]);
        let copied = [
            "copy",
            &format!("oci:{}:old", text(layout.directory())),
            &format!("oci:{}:old", text(&home.path().join("out"))),
        ];
        done(home.path(), &copied);
        let blob = |digest: &str| {
            let path = format!("/v2/a/blobs/{digest}");
            (path, layout.read(digest))
        };
        let (config_path, config) = blob(&new.config_digest);
        let (layer_path, layer) = blob(&new.layers[0].0);
        let manifest = Answer::status(200)
            .header("Content-Type", &new.media_type)
            .header("Docker-Content-Digest", &new.manifest_digest)
            .body(layout.read(&new.manifest_digest));
        let script = Script::new()
            .on("*", "/v2/a/manifests/*", [manifest])
            .on("GET", &config_path, [Answer::status(200).body(config)])
            .on(
                "GET",
                &layer_path,
                [Answer::status(200)
                    .body(layer)
                    .trickle(1000, Duration::from_millis(200))],
            );
        Scene {
            slow: FaultServer::start(script),
            old: old.manifest_digest,
            home,
            layout,
        }
    }

    fn out(&self) -> PathBuf {
        self.home.path().join("out")
    }

    /// Starts the copy and waits until a part of the layer is on disk.
    fn half_way(&self) -> Child {
        let child = command(self.home.path())
            .args(["copy", &format!("{}/a:new", self.slow.address())])
            .arg(format!("oci:{}:new", text(&self.out())))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !temporary(&self.out()).iter().any(|(_, size)| *size > 0) {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "the copy does not begin"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        child
    }

    /// The old image is still complete, and a second copy of the new one succeeds.
    fn nothing_is_lost(&self) {
        let out = text(&self.out()).to_owned();
        done(
            self.home.path(),
            &[
                "copy",
                &format!("oci:{out}:old"),
                &format!("oci:{out}2:old"),
            ],
        );
        if let Some(skopeo) = Skopeo::find() {
            assert_eq!(skopeo.inspect_digest(&format!("oci:{out}:old")), self.old);
        }
        let missing = wharf(
            self.home.path(),
            &["copy", &format!("oci:{out}:new"), "oci:nowhere"],
        );
        assert_eq!(missing.code, 3, "{missing:?}");
        let layout = text(self.layout.directory());
        done(
            self.home.path(),
            &[
                "copy",
                &format!("oci:{layout}:new"),
                &format!("oci:{out}:new"),
            ],
        );
        done(
            self.home.path(),
            &[
                "copy",
                &format!("oci:{out}:new"),
                &format!("oci:{out}2:new"),
            ],
        );
    }
}

fn temporary(directory: &Path) -> Vec<(PathBuf, u64)> {
    let files = files_below(directory).into_iter();
    files
        .filter(|(path, _)| path.to_string_lossy().contains(".wharf-"))
        .collect()
}

#[test]
fn rule_4_a_copy_that_is_killed_leaves_the_directory_readable_as_it_was() {
    let scene = Scene::new();
    let mut child = scene.half_way();
    child.kill().unwrap();
    child.wait().unwrap();
    scene.nothing_is_lost();
}

#[test]
fn rule_4_a_copy_that_is_interrupted_leaves_nothing_half_written() {
    let scene = Scene::new();
    let mut child = scene.half_way();
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(temporary(&scene.out()), []);
    scene.nothing_is_lost();
}

#[test]
fn a_registry_whose_disk_is_full_is_named_in_one_line_and_keeps_nothing() {
    let home = tempfile::tempdir().unwrap();
    let disk = home.path().join("small");
    fs::create_dir(&disk).unwrap();
    let Some(registry) = on_small_disk(&disk) else {
        return eprintln!("skipped: no small disk can be made here (unshare -rm mount)");
    };
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    layout.image(Some("big"), &[LayerSpec::random(1, 12 << 20)]);
    layout.image(Some("small"), &[LayerSpec::random(2, 2 << 20)]);
    let push = |tag: &str| {
        let source = format!("oci:{}:{tag}", text(layout.directory()));
        wharf(
            home.path(),
            &[
                "push",
                "--quiet",
                &source,
                &format!("{}/a:{tag}", registry.address),
            ],
        )
    };
    let refused = push("big");
    assert_eq!(
        (refused.code, refused.stdout.as_str()),
        (6, ""),
        "{refused:?}"
    );
    assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
    assert!(refused.stderr.contains("507"), "{refused:?}");
    // This one needs half of the disk: the refused content must be gone.
    let taken = push("small");
    assert_eq!(taken.code, 0, "{taken:?}");
}

/// The embedded registry on a disk of four mebibytes, in a mount namespace of its own.
fn on_small_disk(disk: &Path) -> Option<Served> {
    let probe = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs"])
        .arg(disk)
        .stderr(Stdio::null())
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        return None;
    }
    let script = r#"mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@""#;
    let child = Command::new("unshare")
        .args(["-rm", "sh", "-c", script])
        .arg(disk)
        .arg(env!("CARGO_BIN_EXE_wharf"))
        .args(["registry", "serve", "--address", "127.0.0.1:0", "--disk"])
        .arg(disk.join("registry"))
        .stderr(Stdio::piped())
        .spawn();
    Some(Served::announced(child.unwrap()))
}
