//! Registries that lost content.

use std::fs;

use wharf_testkit::{Answer, DockerRegistry, FaultServer, files_below, push_registry};

use crate::common::{Served, done, layout, text, wharf};

#[test]
fn fault_a1_a_blob_that_the_embedded_registry_lost_comes_back_with_the_next_tag() {
    let home = tempfile::tempdir().unwrap();
    layout(&home.path().join("app"));
    let disk = home.path().join("registry");
    let served = Served::start(&disk);
    let source = format!("oci:{}:1.0", text(&home.path().join("app")));
    let to = |tag: &str| format!("{}/app:{tag}", served.address);
    done(home.path(), &["copy", &source, &to("1")]);
    let links = disk.join("repositories/app/_blobs/sha256");
    let lost = files_below(&links).into_keys().max().unwrap();
    fs::remove_file(links.join(&lost)).unwrap();

    done(home.path(), &["copy", &source, &to("2")]);
    assert!(links.join(&lost).exists());
    let back = format!("oci:{}", text(&home.path().join("back")));
    done(home.path(), &["copy", &to("2"), &back]);
}

#[test]
fn fault_a1_a_refusal_that_stands_names_the_blob_and_force() {
    let home = tempfile::tempdir().unwrap();
    let layout = layout(&home.path().join("app"));
    let index = fs::read_to_string(layout.directory().join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let manifest = layout.read(index["manifests"][0]["digest"].as_str().unwrap());
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let digest = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let body = serde_json::json!({ "errors": [
        { "code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown", "detail": digest },
    ] });
    let refused = Answer::status(404).body(body.to_string());
    let put = push_registry()
        .on("HEAD", "/v2/*/blobs/*", [Answer::status(200)])
        .on("PUT", "/v2/*/manifests/*", [refused]);
    let server = FaultServer::start(put);
    let source = format!("oci:{}:1.0", text(layout.directory()));
    let to = format!("{}/app:1", server.address());
    let run = wharf(home.path(), &["copy", &source, &to]);
    let line = run.stderr.lines().last().unwrap();
    assert_eq!(run.code, 3, "{run:?}");
    assert!(!run.stderr.contains("try 4"), "{run:?}");
    assert!(
        line.contains(&format!("does not have {digest}")) && line.contains("--force"),
        "{line}"
    );
    let lines = server.lines().into_iter();
    let puts = lines
        .filter(|line| line.starts_with("PUT /v2/app/manifests/"))
        .count();
    assert_eq!(puts, 3, "{line}");
}

#[test]
fn fault_a2_force_says_that_the_registry_keeps_a_blob_cut_off() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    layout(&home.path().join("app"));
    let source = format!("oci:{}:1.0", text(&home.path().join("app")));
    let to = |name: &str| format!("{}/{name}:1", registry.address());
    for name in ["base", "app"] {
        done(home.path(), &["copy", &source, &to(name)]);
    }
    let blobs = registry.data_dir().join("docker/registry/v2/blobs");
    let files = files_below(&blobs).into_iter();
    let (layer, whole) = files.max_by_key(|(_, size)| *size).unwrap();
    let file = fs::File::options()
        .write(true)
        .open(blobs.join(&layer))
        .unwrap();
    file.set_len(1000).unwrap();
    let run = wharf(home.path(), &["copy", "--force", &source, &to("app")]);
    assert_eq!(run.code, 6, "{run:?}");
    let ending = format!(" of {whole} and takes no others\n");
    assert!(
        run.stderr
            .contains("the registry keeps 1000 bytes of blob sha256:"),
        "{run:?}"
    );
    assert!(
        run.stderr.ends_with(&ending) && !run.stdout.contains("mounted"),
        "{run:?}"
    );
}
