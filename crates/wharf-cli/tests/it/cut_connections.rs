//! Connections that break in the middle of a blob, at a registry that forgets their bytes. The
//! embedded registry, which keeps them, has its own tests.

use wharf_testkit::{DockerRegistry, RecordingProxy};

use crate::common::done;
use crate::common::pushes::{MIB, Scene, uploaded};

/// Pushes 64 MiB over connections that break five times, each after this many bodies and this many
/// bytes of the next. Returns the bytes that were sent more than once.
fn sent_again(registry: &DockerRegistry, flags: &[&str], cuts: [(usize, u64); 5]) -> u64 {
    let scene = Scene::new(&[64 * MIB]);
    let proxy = RecordingProxy::start(registry.address());
    let repository = format!("{}/app", proxy.address());
    scene.config_first(&repository);
    proxy.forget();
    for (passing, bytes) in cuts {
        proxy.fail_connection_later(passing, bytes);
    }
    let reference = format!("{repository}:1");
    scene.pushed(flags, &[&reference]);
    let sent = uploaded(&proxy);
    scene.is_whole_at(&reference);
    sent - scene.layers()
}

/// Version 2.8 ends a session that is longer than at its last answer. So everything since the
/// session's beginning is unacknowledged until the blob is complete: a cut costs what was sent so
/// far, and no more.
#[test]
fn u5_a_blob_cut_off_five_times_gets_to_a_registry_that_forgets() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    // From the second try on it is sent in chunks of 16 MiB: 10, 30, 20, 50 and 40 MiB had passed.
    let cuts = [(0, 10), (1, 14), (1, 4), (3, 2), (2, 8)];
    let cuts = cuts.map(|(passing, mebibytes)| (passing, mebibytes * MIB));
    assert_eq!(sent_again(&registry, &[], cuts), 150 * MIB);
}

/// Only between chunks a session has the length of its last answer, and can be continued.
#[test]
fn u5_a_blob_in_chunks_cut_off_between_them_is_gone_on_with_by_a_registry_that_forgets() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let chunks = ["--chunk-size", "4Mi"];
    let between = [(1, 0), (2, 0), (3, 0), (1, 0), (2, 0)];
    assert_eq!(sent_again(&registry, &chunks, between), 0);
}

#[test]
fn u5_a_blob_in_chunks_cut_off_in_them_gets_to_a_registry_that_forgets() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    // After the second cut the session still has 16 MiB; it is lost after 4 MiB more.
    let cuts = [(2, 3 * MIB), (4, 0), (1, 7), (3, MIB), (0, 2 * MIB)];
    let lost = [8 + 3, 0, 16 + 4, 12 + 1, 2];
    let again = sent_again(&registry, &["--chunk-size", "4Mi"], cuts);
    assert_eq!(again, lost.iter().sum::<u64>() * MIB + 7);
}

/// A layer compressed on the way is sent in chunks of 8 MiB once a registry is known to forget.
#[test]
fn u5_a_layer_compressed_on_its_way_and_cut_off_gets_to_a_registry_that_forgets() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let scene = Scene::new(&[MIB]);
    let proxy = RecordingProxy::start(registry.address());
    let reference = format!("{}/app:1", proxy.address());
    for (passing, bytes) in [(0, 10 * MIB), (1, 3 * MIB), (1, 0)] {
        proxy.fail_connection_later(passing, bytes);
    }
    let pushed = scene.push_archive(24 * MIB, &reference).output().unwrap();
    assert!(pushed.status.success(), "{pushed:?}");
    // 10 MiB were lost, then 11; after the third cut the session matches its last answer.
    let again = uploaded(&proxy) - 24 * MIB;
    assert!((21 * MIB..21 * MIB + MIB / 2).contains(&again), "{again}");
    let to = format!("oci:{}", scene.home().join("pulled").display());
    done(scene.home(), &["copy", "-q", &reference, &to]);
}
