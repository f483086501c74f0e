//! `examples/hello` is what its script makes, and every name in it is right.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use wharf_testkit::{Skopeo, files_below, sha256_hex};

fn hello() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hello")
}

/// The parsed content of a descriptor. Checks digest and size.
fn checked(descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().expect("a digest is text");
    let path = hello().join("blobs").join(digest.replace(':', "/"));
    let bytes = fs::read(path).expect("the blob is there");
    assert_eq!(digest, format!("sha256:{}", sha256_hex(&bytes)));
    assert_eq!(descriptor["size"], bytes.len());
    bytes
}

#[test]
fn every_descriptor_tells_the_truth_and_no_blob_is_left_over() {
    let index: Value =
        serde_json::from_slice(&fs::read(hello().join("index.json")).unwrap()).unwrap();
    let manifest: Value = serde_json::from_slice(&checked(&index["manifests"][0])).unwrap();
    let config: Value = serde_json::from_slice(&checked(&manifest["config"])).unwrap();
    checked(&manifest["layers"][0]);
    assert_eq!(
        config["rootfs"]["diff_ids"][0],
        manifest["layers"][0]["digest"]
    );
    assert_eq!(files_below(&hello().join("blobs")).len(), 3);
}

#[test]
fn the_script_makes_what_is_checked_in() {
    let tar = Command::new("tar").arg("--version").output();
    if !tar.is_ok_and(|output| output.stdout.starts_with(b"tar (GNU tar)")) {
        eprintln!("skipped: make.sh needs GNU tar");
        return;
    }
    let output = Command::new("sh")
        .arg(hello().join("make.sh"))
        .arg("--check")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn skopeo_reads_it() {
    let Some(skopeo) = Skopeo::find() else { return };
    let said = skopeo.inspect(&format!("oci:{}:latest", hello().display()));
    assert_eq!(said["Architecture"], "amd64");
    assert_eq!(said["Layers"].as_array().unwrap().len(), 1);
}
