//! Commands that run at the same time, and absurdly large numbers.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use wharf_testkit::{Answer, FaultServer, LayerSpec, LayoutFixture, push_registry};

use crate::common::{Served, wharf};

#[test]
fn two_copies_that_make_one_layout_both_succeed() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    layout.image(Some("1"), &[LayerSpec::random(1, 500)]);
    let source = format!("oci:{}", layout.directory().display());
    for round in 0..5 {
        let made = home.path().join(format!("made-{round}"));
        thread::scope(|scope| {
            for tag in ["a", "b", "c"] {
                let destination = format!("oci:{}:{tag}", made.display());
                let (home, source) = (home.path(), source.as_str());
                scope.spawn(move || {
                    let run = wharf(home, &["copy", source, &destination]);
                    assert_eq!(run.code, 0, "{run:?}");
                });
            }
        });
        let index = std::fs::read_to_string(made.join("index.json")).unwrap();
        assert_eq!(
            index.matches("org.opencontainers.image.ref.name").count(),
            3
        );
    }
}

#[test]
fn more_jobs_than_can_be_are_as_many_as_can_be() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    layout.image(Some("1"), &[LayerSpec::random(1, 500)]);
    let served = Served::start(&home.path().join("registry"));
    let reference = format!("{}/app", served.address);
    let path = layout.directory().to_str().unwrap();
    let jobs = usize::MAX.to_string();
    let run = wharf(home.path(), &["push", "--jobs", &jobs, path, &reference]);
    assert_eq!(run.code, 0, "{run:?}");
}

/// The most concurrent HEADs of blobs while an image of 12 layers is pushed with these flags.
fn checks_at_once(flags: &[&str]) -> usize {
    const BLOB: &str = "/v2/*/blobs/*";
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let layers: Vec<_> = (0..12).map(|seed| LayerSpec::random(seed, 100)).collect();
    layout.image(Some("1"), &layers);
    // The current and the highest number.
    let gauge = Arc::new(Mutex::new((0_usize, 0_usize)));
    let (arriving, leaving) = (Arc::clone(&gauge), Arc::clone(&gauge));
    let arrive = move |_: &_| {
        let mut gauge = arriving.lock().unwrap();
        gauge.0 += 1;
        gauge.1 = gauge.1.max(gauge.0);
        true
    };
    let leave = move |_: &_| {
        leaving.lock().unwrap().0 -= 1;
        Answer::status(404)
    };
    let slow = Answer::from_fn(leave).after(Duration::from_millis(50));
    let server = FaultServer::start(push_registry().on_when("HEAD", BLOB, arrive, [slow]));
    let reference = format!("{}/app", server.address());
    let path = layout.directory().to_str().unwrap();
    let run = wharf(home.path(), &[&["push", path, &reference], flags].concat());
    assert_eq!(run.code, 0, "{run:?}");
    let (now, most) = *gauge.lock().unwrap();
    assert_eq!(now, 0);
    most
}

#[test]
fn r7_a_registry_is_not_asked_more_at_once_than_the_flags_say() {
    assert!(checks_at_once(&[]) > 2, "what the flags are to lower");
    assert_eq!(checks_at_once(&["--max-requests", "checks=1"]), 1);
    assert!(checks_at_once(&["--max-requests", "checks=2"]) <= 2);
    assert_eq!(checks_at_once(&["--checks", "1"]), 1);
    assert!(checks_at_once(&["--checks", "2"]) <= 2);
}
