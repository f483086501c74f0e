//! Ten processes at once push one image and attach ten referrers each to one subject: none is lost
//! (wire.md S1, F2, F3, F4).

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};
use wharf_testkit::{DockerRegistry, ImageFixture, LayerSpec, LayoutFixture, sha256_hex};

use crate::common::wire::fetch;
use crate::common::{Served, done};

const PROCESSES: usize = 10;
const REFERRERS: usize = 10;

/// Which home directories, with locks and memories, the processes use.
#[derive(Clone, Copy, Debug)]
enum Homes {
    OneForAll,
    OneEach,
}

/// The image and the referrers.
struct Storm {
    directory: tempfile::TempDir,
    image: ImageFixture,
}

impl Storm {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut layout = LayoutFixture::new(directory.path().join("layout"));
        let layers = [LayerSpec::random(1, 200_000), LayerSpec::random(2, 5000)];
        let image = layout.image(Some("1"), &layers);
        fs::write(directory.path().join("empty"), EMPTY).unwrap();
        for process in 0..PROCESSES {
            for number in 0..REFERRERS {
                let storm = Storm::path(directory.path(), process, number);
                fs::write(storm, referrer(&image, process, number)).unwrap();
            }
        }
        Storm { directory, image }
    }

    fn path(directory: &Path, process: usize, number: usize) -> PathBuf {
        directory.join(format!("referrer-{process}-{number}"))
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// Runs it against a registry, in a new repository.
    fn run(&self, address: SocketAddr, homes: Homes) {
        let home = |process: usize| match homes {
            Homes::OneForAll => self.directory.path().join("home"),
            Homes::OneEach => self.directory.path().join(format!("home-{process}")),
        };
        let repository = format!("{address}/storm");
        // Referrers link to it, so the registry requires it before them.
        let empty = ["blob", "push", "-q", &repository, &self.file("empty")];
        done(self.directory.path(), &empty);
        let start = Barrier::new(PROCESSES);
        thread::scope(|scope| {
            for process in 0..PROCESSES {
                let (start, home, repository) = (&start, home(process), repository.as_str());
                scope.spawn(move || {
                    start.wait();
                    self.work(process, &home, repository);
                });
            }
        });
    }

    /// The work of one of the ten, one process after the other.
    fn work(&self, process: usize, home: &Path, repository: &str) {
        let tagged = format!("{repository}:1");
        let pushed = done(home, &["push", "-q", &self.file("layout"), &tagged]);
        let digest = &self.image.manifest_digest;
        assert_eq!(pushed.stdout, format!("{repository}@{digest}\n"));
        for number in 0..REFERRERS {
            let file = Storm::path(self.directory.path(), process, number);
            let put = ["manifest", "put", "-q", repository, file.to_str().unwrap()];
            let put = done(home, &put);
            assert_eq!(put.stderr, "");
        }
    }

    /// Checks that `index` lists every referrer, and nothing else, with its type and annotations.
    fn is_whole(&self, index: &[u8]) {
        let index: Value = serde_json::from_slice(index).unwrap();
        let mut listed = BTreeSet::new();
        for entry in index["manifests"].as_array().unwrap() {
            let name = entry["annotations"]["name"].as_str().unwrap();
            let bytes = fs::read(self.file(name)).unwrap();
            assert_eq!(entry["digest"], format!("sha256:{}", sha256_hex(&bytes)));
            assert_eq!(entry["size"], bytes.len());
            assert_eq!(entry["artifactType"], "application/vnd.example.storm");
            assert!(listed.insert(name.to_owned()), "{name} is there twice");
        }
        let all = (0..PROCESSES).flat_map(|process| {
            (0..REFERRERS).map(move |number| format!("referrer-{process}-{number}"))
        });
        let lost: Vec<String> = all.filter(|name| !listed.contains(name)).collect();
        assert!(lost.is_empty(), "{} are lost: {lost:?}", lost.len());
        assert_eq!(listed.len(), PROCESSES * REFERRERS);
    }

    fn through_the_fallback_tag(&self, homes: Homes) {
        let Some(registry) = DockerRegistry::start() else {
            return;
        };
        self.run(registry.address(), homes);
        let tag = self.image.manifest_digest.replace(':', "-");
        let answer = fetch(registry.address(), &format!("/v2/storm/manifests/{tag}"));
        assert_eq!(answer.status, 200);
        self.is_whole(&answer.body);
    }

    fn through_the_api(&self, homes: Homes) {
        let served = Served::start(&self.directory.path().join("registry"));
        self.run(served.address, homes);
        let digest = &self.image.manifest_digest;
        let answer = fetch(served.address, &format!("/v2/storm/referrers/{digest}"));
        assert_eq!((answer.status, answer.header("link")), (200, None));
        self.is_whole(&answer.body);
    }
}

const EMPTY: &[u8] = b"{}";

/// An artifact that refers to the image.
fn referrer(image: &ImageFixture, process: usize, number: usize) -> Vec<u8> {
    let empty = json!({
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": format!("sha256:{}", sha256_hex(EMPTY)),
        "size": EMPTY.len(),
    });
    let subject = image.content();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.example.storm",
        "config": empty,
        "layers": [empty],
        "subject": {
            "mediaType": subject.media_type,
            "digest": subject.digest,
            "size": subject.size,
        },
        "annotations": { "name": format!("referrer-{process}-{number}") },
    });
    serde_json::to_vec_pretty(&manifest).unwrap()
}

#[test]
fn f4_ten_processes_of_one_user_lose_no_referrer_in_the_fallback_tag() {
    Storm::new().through_the_fallback_tag(Homes::OneForAll);
}

#[test]
fn f4_ten_processes_that_share_nothing_lose_no_referrer_in_the_fallback_tag() {
    Storm::new().through_the_fallback_tag(Homes::OneEach);
}

#[test]
fn f2_ten_processes_of_one_user_lose_no_referrer_in_the_api() {
    Storm::new().through_the_api(Homes::OneForAll);
}

#[test]
fn f2_ten_processes_that_share_nothing_lose_no_referrer_in_the_api() {
    Storm::new().through_the_api(Homes::OneEach);
}
