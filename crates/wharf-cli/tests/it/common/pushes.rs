//! Pushes in processes of their own that are observed from outside, and interrupted.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Run, Served, command, ran};
use wharf_testkit::{
    ArchiveStyle, DockerArchive, DockerImage, ImageFixture, LayerSpec, LayoutFixture,
    ProxiedRequest, RecordingProxy, files_below, seeded_bytes,
};

pub(crate) const MIB: u64 = 1 << 20;

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A layout to push from, and a home directory with cache and temporary files.
#[derive(Debug)]
pub(crate) struct Scene {
    home: tempfile::TempDir,
    pub(crate) layout: LayoutFixture,
    pub(crate) image: ImageFixture,
}

impl Scene {
    /// With an image of incompressible layers of these sizes.
    pub(crate) fn new(layers: &[u64]) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("tmp")).unwrap();
        let mut layout = LayoutFixture::new(home.path().join("layout"));
        let specs: Vec<LayerSpec> = layers.iter().zip(1..).map(layer).collect();
        let image = layout.image(Some("1"), &specs);
        Scene {
            home,
            layout,
            image,
        }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// `wharf push -q`, with these flags, of the image to these references.
    pub(crate) fn push(&self, flags: &[&str], references: &[&str]) -> Command {
        let mut command = command(self.home());
        command
            .env("TMPDIR", self.home().join("tmp"))
            .args(["push", "-q"])
            .args(flags)
            .arg(self.layout.directory())
            .args(references)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The same for a docker archive with one incompressible layer of this size.
    pub(crate) fn push_archive(&self, layer: u64, reference: &str) -> Command {
        let path = self.home().join("archive.tar");
        let tar = seeded_bytes(9, usize::try_from(layer).unwrap());
        let image = DockerImage::new(&["app:1"]).layer_bytes(tar);
        DockerArchive::new(ArchiveStyle::Classic)
            .image(image)
            .write(&path);
        let mut command = command(self.home());
        command
            .args(["push", "-q", "--jobs", "1"])
            .arg(path)
            .arg(reference)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it and expects success.
    pub(crate) fn pushed(&self, flags: &[&str], references: &[&str]) -> Run {
        let run = ran(self.push(flags, references).output().unwrap());
        assert_eq!(run.code, 0, "{run:?}");
        run
    }

    /// The bytes of all layers together.
    pub(crate) fn layers(&self) -> u64 {
        let sizes = self
            .image
            .layers
            .iter()
            .map(|(digest, _)| self.layout.read(digest).len());
        sizes.map(|size| size as u64).sum()
    }

    /// Pushes only the config, so that later pushes send only layers.
    pub(crate) fn config_first(&self, repository: &str) {
        let config = self.layout.blob_path(&self.image.config_digest);
        let config = config.to_str().unwrap();
        super::done(self.home(), &["blob", "push", "-q", repository, config]);
    }

    /// Notes of upload sessions in the cache.
    pub(crate) fn notes(&self) -> Vec<PathBuf> {
        let sessions = self.home().join(".cache/wharf/sessions");
        match sessions.exists() {
            true => files_below(&sessions).into_keys().collect(),
            false => Vec::new(),
        }
    }

    /// The files in the directory for temporary files.
    pub(crate) fn temporary(&self) -> Vec<PathBuf> {
        files_below(&self.home().join("tmp")).into_keys().collect()
    }

    /// An embedded registry below the home directory.
    pub(crate) fn registry(&self) -> (Served, PathBuf) {
        let disk = self.home().join("registry");
        (Served::start(&disk), disk)
    }

    /// Pulls the image, which checks every byte.
    pub(crate) fn is_whole_at(&self, reference: &str) {
        let out = tempfile::tempdir().unwrap();
        let to = format!("oci:{}", out.path().join("pulled").display());
        super::done(self.home(), &["copy", "-q", reference, &to]);
        let digest = &self.image.manifest_digest;
        let by_digest = format!("{reference}@{digest}");
        let pinned = format!("oci:{}", out.path().join("pinned").display());
        super::done(self.home(), &["copy", "-q", &by_digest, &pinned]);
    }
}

fn layer((size, seed): (&u64, u64)) -> LayerSpec {
    let bytes = seeded_bytes(seed, usize::try_from(*size).unwrap());
    LayerSpec::bytes("application/vnd.oci.image.layer.v1.tar", &bytes)
}

/// The bytes of upload bodies that passed.
pub(crate) fn uploaded(proxy: &RecordingProxy) -> u64 {
    uploads(proxy).map(|request| request.request_bytes).sum()
}

/// Requests to upload sessions.
pub(crate) fn uploads(proxy: &RecordingProxy) -> impl Iterator<Item = ProxiedRequest> {
    let requests = proxy.requests().into_iter();
    requests.filter(|request| request.path().contains("/blobs/uploads/"))
}

/// Waits until a condition holds.
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PATIENCE, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a request is held.
pub(crate) fn until_held(proxy: &RecordingProxy) {
    until("a request is held", || proxy.held() > 0);
}

/// Files of upload sessions below a directory of the embedded registry.
pub(crate) fn sessions(disk: &Path) -> Vec<PathBuf> {
    let files = files_below(disk).into_keys();
    files
        .filter(|file| file.iter().any(|part| part == "uploads"))
        .collect()
}

/// `kill -9`.
pub(crate) fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// `kill -INT`, and the end of the process.
pub(crate) fn interrupt(child: Child) -> Run {
    stop(child, "INT")
}

/// The end of a process after this signal.
pub(crate) fn stop(child: Child, name: &str) -> Run {
    signal(&child, name);
    ran(child.wait_with_output().unwrap())
}

/// Sends a signal of this name.
pub(crate) fn signal(child: &Child, name: &str) {
    let kill = [format!("-{name}"), child.id().to_string()];
    assert!(Command::new("kill").args(kill).status().unwrap().success());
}
