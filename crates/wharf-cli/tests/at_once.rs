//! Commands that run at the same time, and numbers that no machine can follow.
#![allow(clippy::unwrap_used, reason = "a fixture that fails fails the test")]

mod common;

use std::thread;

use common::{Served, wharf};
use wharf_testkit::{LayerSpec, LayoutFixture};

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
