//! `wharf push` beside `skopeo copy`, in one run, into Debian's docker-registry.
//!
//! Each works on the same image made from this machine's root file system, in turn, into fresh
//! repositories; printed are medians in seconds and their ratio. Nothing is asserted.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use wharf_testkit::{DockerRegistry, PeakRss, RootfsImage, Skopeo};

/// Uncompressed bytes of the image.
const SIZE: u64 = 600 << 20;

/// Runs of each command.
const RUNS: usize = 5;

fn main() {
    let (Some(registry), Some(_)) = (DockerRegistry::start(), Skopeo::find()) else {
        println!("nothing is measured without docker-registry and skopeo");
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let image = RootfsImage::build(directory.path(), SIZE);
    println!(
        "image: {} bytes uncompressed, {} layers",
        image.uncompressed_size,
        image.layers.len()
    );
    let address = registry.address().to_string();
    let bench = Bench {
        home: directory.path(),
        address: &address,
    };

    bench.compare("OCI layout", &image.layout, "oci", |_| true);
    bench.compare("docker archive", &image.archive, "docker-archive", |run| {
        bench.forget(run)
    });
    bench.memory(&image.archive);
}

struct Bench<'a> {
    home: &'a Path,
    address: &'a str,
}

impl Bench<'_> {
    /// `prepare` makes the next run as cold as the first.
    fn compare(&self, what: &str, path: &Path, transport: &str, prepare: impl Fn(usize) -> bool) {
        let name = what.replace(' ', "-").to_lowercase();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for run in 0..RUNS {
            assert!(
                prepare(run),
                "the memory of earlier runs could not be removed"
            );
            ours.push(seconds(
                self.wharf(path)
                    .arg(format!("{}/wharf/{name}-{run}:1", self.address)),
            ));
            let destination = format!("docker://{}/skopeo/{name}-{run}:1", self.address);
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
        let mut command = self.wharf(path);
        command.arg(format!("{}/wharf/memory:1", self.address));
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

    /// Layers compressed before would not be compressed again.
    fn forget(&self, _: usize) -> bool {
        let cache = self.home.join("cache");
        !cache.exists() || std::fs::remove_dir_all(cache).is_ok()
    }
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
