//! `wharf push` beside `skopeo copy`, in one run, into Debian's docker-registry.
//!
//! Both push the same image, made from this machine's root file system, in turn, each into a fresh
//! registry, because both remember where they saw a blob. Prints medians in seconds and their
//! ratio. Asserts nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use wharf_testkit::{DockerRegistry, PeakRss, RootfsImage, Skopeo};

/// Uncompressed bytes of the image.
const SIZE: u64 = 600 << 20;

/// Runs of each command.
const RUNS: usize = 5;

fn main() {
    if DockerRegistry::start().is_none() || Skopeo::find().is_none() {
        println!("nothing is measured without docker-registry and skopeo");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let image = RootfsImage::build(directory.path(), SIZE);
    println!(
        "image: {} bytes uncompressed, {} layers",
        image.uncompressed_size,
        image.layers.len()
    );
    let bench = Bench {
        home: directory.path(),
    };

    bench.compare("OCI layout", &image.layout, "oci");
    bench.compare("docker archive", &image.archive, "docker-archive");
    bench.memory(&image.archive);
}

struct Bench<'a> {
    home: &'a Path,
}

impl Bench<'_> {
    fn compare(&self, what: &str, path: &Path, transport: &str) {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            self.forget();
            let registry = fresh_registry();
            let destination = format!("{}/app:1", registry.address());
            ours.push(seconds(self.wharf(path).arg(&destination)));

            let registry = fresh_registry();
            let destination = format!("docker://{}/app:1", registry.address());
            let source = format!("{transport}:{}", path.display());
            let mut skopeo = Command::new("skopeo");
            skopeo.args([
                "--insecure-policy",
                "copy",
                "--quiet",
                "--dest-tls-verify=false",
            ]);
            theirs.push(seconds(skopeo.args([source, destination])));
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!(
            "{what}: wharf {ours:.2} s, skopeo {theirs:.2} s, ratio {:.2}",
            theirs / ours
        );
    }

    fn memory(&self, path: &Path) {
        self.forget();
        let registry = fresh_registry();
        let mut command = self.wharf(path);
        command.arg(format!("{}/app:1", registry.address()));
        match PeakRss::of(&mut command) {
            Ok(PeakRss {
                peak_kib: Some(peak),
                ..
            }) => println!("peak memory: {peak} KiB"),
            _ => println!("peak memory: cannot be measured here"),
        }
    }

    fn wharf(&self, path: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
        command
            .args(["push", "--quiet"])
            .arg(path)
            .env("XDG_CACHE_HOME", self.home.join("cache"));
        command
    }

    /// Remembered layers would not be compressed again.
    fn forget(&self) {
        let cache = self.home.join("cache");
        if cache.exists() {
            std::fs::remove_dir_all(cache).expect("the memory of earlier runs can be removed");
        }
    }
}

fn fresh_registry() -> DockerRegistry {
    DockerRegistry::start().expect("docker-registry was there a moment ago")
}

fn seconds(command: &mut Command) -> f64 {
    let start = Instant::now();
    let status = command
        .stdout(Stdio::null())
        .status()
        .expect("the command starts");
    assert!(status.success(), "{command:?} did not succeed");
    start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
