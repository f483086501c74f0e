//! The peak memory of pushes of large layers.
#![cfg(target_os = "linux")]

use wharf_testkit::{LayerSpec, LayoutFixture, PeakRss, seeded_bytes};

use crate::common::pushes::{MIB, Scene};
use crate::common::{Served, command, text};

/// The limit in KiB, for layers of any size.
const MOST: u64 = 64 << 10;

#[test]
fn a_large_layer_takes_little_memory_to_one_destination_or_two_or_in_chunks() {
    let scene = Scene::new(&[256 * MIB]);
    let served = [0, 1].map(|n| Served::start(&scene.home().join(format!("registry-{n}"))));
    let references = |name: &str| {
        let references = served.iter().map(|one| format!("{}/{name}:1", one.address));
        references.collect::<Vec<String>>()
    };
    let (one, two, chunks) = (references("one"), references("two"), references("chunks"));
    // Blobs that were sent must not be mounted.
    let runs = [
        scene.push(&["--no-cache"], &[&one[0]]),
        scene.push(&["--no-cache"], &[&two[0], &two[1]]),
        scene.push(&["--no-cache", "--chunk-size", "64Mi"], &[&chunks[0]]),
    ];
    for mut command in runs {
        let run = PeakRss::of(&mut command).unwrap();
        assert!(run.output.status.success(), "{:?}", run.output);
        let peak = run.peak_kib.unwrap();
        assert!(peak < MOST, "{peak} KiB");
    }
}

#[test]
fn a_large_layer_is_exported_and_flattened_in_little_memory() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let bytes = seeded_bytes(1, 96 << 20);
    layout.image(Some("1"), &[LayerSpec::tar(&[("big", &bytes)])]);
    let from = format!("oci:{}:1", text(layout.directory()));
    let served = Served::start(&home.path().join("registry"));
    let to = format!("{}/app:flat", served.address);
    let into = format!("{}/", text(&home.path().join("files")));
    // Compression without optimisation has larger code, and a thread more.
    let more = MOST + MOST / 4;
    for (arguments, most) in [
        (["export", "-q", &from, "/dev/null"], MOST),
        (["export", "-q", &from, &into], MOST),
        (["flatten", &from, "-t", &to], more),
    ] {
        let mut command = command(home.path());
        let run = PeakRss::of(command.args(arguments)).unwrap();
        assert!(run.output.status.success(), "{:?}", run.output);
        let peak = run.peak_kib.unwrap();
        assert!(peak < most, "{arguments:?}: {peak} KiB");
    }
}
