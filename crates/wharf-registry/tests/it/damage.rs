//! Files of the storage directory that were damaged below the registry: cut short, or emptied.

use std::path::{Path, PathBuf};

use serde_json::json;
use wharf::oci::Digest;
use wharf_testkit::files_below;

use crate::common::{IMAGE, Running, disk, document, header, index};

const LAYER: &[u8] = b"the bytes of a layer";

async fn on_disk(directory: &Path) -> Running {
    Running::over(disk(directory).await).await
}

fn pool(directory: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    directory.join("blobs/sha256").join(&hex[..2]).join(hex)
}

fn cut(path: &Path, length: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

fn image(config: &Digest, layer: &Digest) -> serde_json::Value {
    json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2 },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": LAYER.len() }],
    })
}

#[tokio::test]
async fn fault_b4_a_broken_tag_counts_as_absent_until_the_next_write() {
    let directory = tempfile::tempdir().unwrap();
    let registry = on_disk(directory.path()).await;
    for broken in ["", "garbage", "sha256:00"] {
        registry.put("/v2/a/manifests/v1", &index("old")).await;
        registry.put("/v2/a/manifests/v2", &index("old")).await;
        let tag = directory.path().join("repositories/a/_tags/v1");
        std::fs::write(&tag, broken).unwrap();
        for method in ["GET", "HEAD"] {
            let status = registry.status(method, "/v2/a/manifests/v1").await;
            assert_eq!(status, 404, "{method} {broken:?}");
        }
        let tags = document(registry.get("/v2/a/tags/list?n=1").await).await;
        assert_eq!(tags["tags"], json!(["v2"]), "{broken:?}");
        // A condition takes it as absent too.
        let when = [("if-match", "*")];
        let document = index("x");
        let put = registry.put_with("/v2/a/manifests/v1", &when, &document);
        assert_eq!(put.await.status(), 412, "{broken:?}");
        let when = [("if-none-match", "*")];
        let document = index("new");
        let put = registry.put_with("/v2/a/manifests/v1", &when, &document);
        assert_eq!(put.await.status(), 201, "{broken:?}");
        assert_eq!(registry.status("HEAD", "/v2/a/manifests/v1").await, 200);
        // A broken tag is no obstacle to the deletion of a manifest.
        std::fs::write(&tag, broken).unwrap();
        let old = Digest::of(index("old").to_string().as_bytes());
        let path = format!("/v2/a/manifests/{old}");
        assert_eq!(registry.status("DELETE", &path).await, 202, "{broken:?}");
        assert_eq!(registry.status("GET", "/v2/a/manifests/v2").await, 404);
    }
}

#[tokio::test]
async fn fault_b4_a_broken_manifest_link_counts_as_absent_until_the_next_write() {
    let directory = tempfile::tempdir().unwrap();
    let registry = on_disk(directory.path()).await;
    for broken in ["", "garbage", "a/b\n", "a/b\nsha256:00\n"] {
        let digest = registry.put("/v2/a/manifests/v1", &index("x")).await;
        let path = format!("/v2/a/manifests/{digest}");
        let link = format!("repositories/a/_manifests/sha256/{}", digest.hex());
        std::fs::write(directory.path().join(&link), broken).unwrap();
        for path in ["/v2/a/manifests/v1", &path] {
            for method in ["GET", "HEAD"] {
                assert_eq!(registry.status(method, path).await, 404, "{broken:?}");
            }
        }
        assert_eq!(registry.status("DELETE", &path).await, 404, "{broken:?}");
        let when = [("if-none-match", "*")];
        let put = registry.put_with(&path, &when, &index("x")).await;
        assert_eq!(put.status(), 201, "{broken:?}");
        assert_eq!(registry.status("GET", "/v2/a/manifests/v1").await, 200);
    }
}

#[tokio::test]
async fn fault_b4_a_broken_referrer_link_hides_no_other_referrer() {
    let directory = tempfile::tempdir().unwrap();
    let registry = on_disk(directory.path()).await;
    let subject = Digest::of(b"subject");
    let referrer = |note: &str| {
        let mut document = index(note);
        document["subject"] = json!({ "mediaType": "a/b", "digest": subject, "size": 7 });
        document
    };
    let mut digests = Vec::new();
    for note in ["1", "2"] {
        digests.push(registry.put("/v2/a/manifests/x", &referrer(note)).await);
    }
    let list = format!("/v2/a/referrers/{subject}");
    let link = |digest: &Digest| {
        let (subject, hex) = (subject.hex(), digest.hex());
        let place = format!("repositories/a/_referrers/sha256/{subject}/sha256-{hex}");
        directory.path().join(place)
    };
    for broken in ["", "{", "[]"] {
        std::fs::write(link(&digests[0]), broken).unwrap();
        let found = document(registry.get(&list).await).await;
        assert_eq!(found["manifests"].as_array().unwrap().len(), 1, "{broken}");
        assert_eq!(found["manifests"][0]["digest"], digests[1].to_string());
        registry.put("/v2/a/manifests/x", &referrer("1")).await;
        let found = document(registry.get(&list).await).await;
        assert_eq!(found["manifests"].as_array().unwrap().len(), 2, "{broken}");
    }
    // A referrer with a broken manifest link is not listed either.
    let place = format!("repositories/a/_manifests/sha256/{}", digests[0].hex());
    std::fs::write(directory.path().join(place), "").unwrap();
    let found = document(registry.get(&list).await).await;
    assert_eq!(found["manifests"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn fault_b14_content_cut_short_is_absent_until_it_is_uploaded_again() {
    for length in [0, 5, 100] {
        let directory = tempfile::tempdir().unwrap();
        let registry = on_disk(directory.path()).await;
        let digest = registry.put_blob("a", LAYER).await;
        let config = registry.put_blob("a", b"{}").await;
        cut(&pool(directory.path(), &digest), length);
        let path = format!("/v2/a/blobs/{digest}");
        for method in ["GET", "HEAD"] {
            assert_eq!(registry.status(method, &path).await, 404, "{method}");
        }
        let part = registry.send("GET", &path, &[("range", "bytes=0-1")], "");
        assert_eq!(part.await.status(), 404);
        for from in ["&from=a", ""] {
            let mount = format!("/v2/b/blobs/uploads/?mount={digest}{from}");
            assert_eq!(registry.status("POST", &mount).await, 202, "{from}");
        }
        let document = image(&config, &digest);
        let put = registry
            .put_with("/v2/a/manifests/v1", &[], &document)
            .await;
        assert_eq!(put.status(), 404);
        assert!(put.text().await.unwrap().contains("MANIFEST_BLOB_UNKNOWN"));
        // An upload into any repository replaces it for all.
        registry.put_blob("c", LAYER).await;
        let whole = registry.get(&path).await;
        assert_eq!(whole.bytes().await.unwrap(), LAYER);
        let mount = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
        assert_eq!(registry.status("POST", &mount).await, 201);
    }
}

#[tokio::test]
async fn fault_b14_content_of_an_earlier_version_is_mounted_only_if_its_digest_is_right() {
    let directory = tempfile::tempdir().unwrap();
    let registry = on_disk(directory.path()).await;
    let digest = registry.put_blob("a", LAYER).await;
    let config = registry.put_blob("a", b"{}").await;
    std::fs::remove_dir_all(directory.path().join("lengths")).unwrap();
    let mount = format!("/v2/b/blobs/uploads/?mount={config}&from=a");
    assert_eq!(registry.status("POST", &mount).await, 201);
    assert_eq!(files_below(&directory.path().join("lengths")).len(), 1);
    cut(&pool(directory.path(), &digest), 5);
    for from in ["&from=a", ""] {
        let mount = format!("/v2/b/blobs/uploads/?mount={digest}{from}");
        assert_eq!(registry.status("POST", &mount).await, 202, "{from}");
    }
    // Nor does a manifest count on it.
    let document = image(&config, &digest);
    let put = registry.put_with("/v2/a/manifests/v1", &[], &document);
    assert_eq!(put.await.status(), 404);
    registry.put_blob("a", LAYER).await;
    let mount = format!("/v2/b/blobs/uploads/?mount={digest}");
    assert_eq!(registry.status("POST", &mount).await, 201);
}

#[tokio::test]
async fn fault_b14_a_manifest_cut_short_is_absent_until_it_is_put_again() {
    let directory = tempfile::tempdir().unwrap();
    let registry = on_disk(directory.path()).await;
    let digest = registry.put("/v2/a/manifests/v1", &index("x")).await;
    cut(&pool(directory.path(), &digest), 9);
    for method in ["GET", "HEAD"] {
        assert_eq!(registry.status(method, "/v2/a/manifests/v1").await, 404);
    }
    registry.put("/v2/a/manifests/v1", &index("x")).await;
    let read = registry.get("/v2/a/manifests/v1").await;
    assert_eq!(header(&read, "etag"), format!("\"{digest}\""));
    assert_eq!(document(read).await, index("x"));
}

#[tokio::test]
async fn fault_b14_a_length_that_is_broken_itself_is_unknown() {
    let directory = tempfile::tempdir().unwrap();
    let registry = on_disk(directory.path()).await;
    for broken in ["", "7", "x\n", "-1\n"] {
        let digest = registry.put_blob("a", LAYER).await;
        for (path, _) in files_below(&directory.path().join("lengths")) {
            std::fs::write(directory.path().join("lengths").join(path), broken).unwrap();
        }
        let path = format!("/v2/a/blobs/{digest}");
        assert_eq!(registry.status("GET", &path).await, 200, "{broken:?}");
        let mount = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
        assert_eq!(registry.status("POST", &mount).await, 201, "{broken:?}");
        cut(&pool(directory.path(), &digest), 5);
        assert_eq!(registry.status("GET", &path).await, 404, "{broken:?}");
    }
}

/// The mode that a file gets from this process.
#[cfg(unix)]
fn usual(directory: &Path) -> u32 {
    let place = directory.join("usual");
    std::fs::write(&place, "").unwrap();
    mode(&place)
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode()
}

#[cfg(unix)]
#[tokio::test]
async fn fault_c8_every_file_has_the_mode_that_the_umask_leaves() {
    let (directory, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let registry = on_disk(directory.path()).await;
    let layer = registry.put_blob("a", LAYER).await;
    let config = registry.put_blob("a", b"{}").await;
    let mut document = image(&config, &layer);
    document["subject"] = json!({ "mediaType": "a/b", "digest": config, "size": 7 });
    registry.put("/v2/a/manifests/v1", &document).await;
    // A session, and its state.
    let session = registry.begin("a").await;
    registry
        .send("PATCH", &session, &[], vec![0; 2 << 20])
        .await;
    let (usual, files) = (usual(beside.path()), files_below(directory.path()));
    for part in [
        "_tags",
        "_manifests",
        "_referrers",
        "blobs",
        ".state",
        "lengths",
    ] {
        let is_there = |path: &PathBuf| path.display().to_string().contains(part);
        assert!(files.keys().any(is_there), "{part}");
    }
    for path in files.into_keys() {
        let mode = mode(&directory.path().join(&path));
        assert_eq!(mode, usual, "{:o} {}", mode, path.display());
    }
}
