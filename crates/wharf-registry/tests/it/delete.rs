//! Deletion. distribution-spec: "Content Management".

use serde_json::{Value, json};
use wharf::oci::Digest;
use wharf_testkit::{LayerSpec, LayoutFixture, Skopeo};

use crate::common::{Running, both, code, disk, document, index};

async fn tags(registry: &Running) -> Value {
    document(registry.get("/v2/a/tags/list").await).await["tags"].clone()
}

#[tokio::test]
async fn a_deleted_tag_leaves_the_manifest_and_its_other_tags() {
    for registry in both().await.1 {
        let digest = registry.put("/v2/a/manifests/v1", &index("x")).await;
        registry.put("/v2/a/manifests/v2", &index("x")).await;
        assert_eq!(registry.status("DELETE", "/v2/a/manifests/v1").await, 202);
        assert_eq!(registry.status("GET", "/v2/a/manifests/v1").await, 404);
        let by_digest = format!("/v2/a/manifests/{digest}");
        for path in ["/v2/a/manifests/v2", &by_digest] {
            assert_eq!(registry.status("GET", path).await, 200, "{path}");
        }
        assert_eq!(tags(&registry).await, json!(["v2"]));
    }
}

#[tokio::test]
async fn a_deleted_manifest_takes_all_its_tags_along() {
    for registry in both().await.1 {
        let gone = registry.put("/v2/a/manifests/v1", &index("gone")).await;
        registry.put("/v2/a/manifests/v2", &index("gone")).await;
        registry.put("/v2/a/manifests/v3", &index("kept")).await;
        registry.put("/v2/b/manifests/v1", &index("gone")).await;
        let path = format!("/v2/a/manifests/{gone}");
        assert_eq!(registry.status("DELETE", &path).await, 202);
        for gone in [path.as_str(), "/v2/a/manifests/v1", "/v2/a/manifests/v2"] {
            for method in ["GET", "HEAD", "DELETE"] {
                assert_eq!(registry.status(method, gone).await, 404, "{method} {gone}");
            }
        }
        assert_eq!(tags(&registry).await, json!(["v3"]));
        for kept in ["/v2/a/manifests/v3", "/v2/b/manifests/v1"] {
            assert_eq!(registry.status("GET", kept).await, 200, "{kept}");
        }
        registry.put("/v2/a/manifests/v1", &index("gone")).await;
        assert_eq!(registry.status("GET", &path).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_deletes_an_image() {
    let Some(skopeo) = Skopeo::find() else { return };
    for registry in both().await.1 {
        let layout = tempfile::tempdir().unwrap();
        LayoutFixture::new(layout.path()).image(Some("v1"), &[LayerSpec::random(1, 100)]);
        let source = format!("oci:{}:v1", layout.path().display());
        let image = format!("docker://{}/a:v1", registry.address);
        let skopeo = skopeo.clone();
        let deleted = tokio::task::spawn_blocking(move || {
            skopeo.copy(&source, &image);
            skopeo.run(&["delete", "--tls-verify=false", &image])
        });
        let deleted = deleted.await.unwrap();
        assert!(deleted.status.success(), "{deleted:?}");
        assert_eq!(registry.status("GET", "/v2/a/manifests/v1").await, 404);
        assert_eq!(tags(&registry).await, json!([]));
    }
}

#[tokio::test]
async fn a_deleted_blob_is_gone_from_its_repository_only() {
    for registry in both().await.1 {
        let digest = registry.put_blob("a", b"content").await;
        registry.put_blob("b", b"content").await;
        let path = |repository: &str| format!("/v2/{repository}/blobs/{digest}");
        assert_eq!(registry.status("DELETE", &path("a")).await, 202);
        for method in ["GET", "HEAD", "DELETE"] {
            assert_eq!(registry.status(method, &path("a")).await, 404, "{method}");
        }
        assert_eq!(
            registry.get(&path("b")).await.text().await.unwrap(),
            "content"
        );
        let mount = format!("/v2/c/blobs/uploads/?mount={digest}&from=a");
        assert_eq!(registry.status("POST", &mount).await, 202);
        registry.put_blob("a", b"content").await;
        assert_eq!(registry.status("GET", &path("a")).await, 200);
    }
}

#[tokio::test]
async fn what_is_not_there_cannot_be_deleted() {
    for registry in both().await.1 {
        registry.put("/v2/a/manifests/v1", &index("x")).await;
        let digest = Digest::of(b"nothing");
        for (path, expected) in [
            ("/v2/a/manifests/v2".to_owned(), "MANIFEST_UNKNOWN"),
            (format!("/v2/a/manifests/{digest}"), "MANIFEST_UNKNOWN"),
            ("/v2/b/manifests/v1".to_owned(), "NAME_UNKNOWN"),
            (format!("/v2/b/manifests/{digest}"), "NAME_UNKNOWN"),
            (format!("/v2/a/blobs/{digest}"), "BLOB_UNKNOWN"),
        ] {
            let refused = registry.send("DELETE", &path, &[], "").await;
            assert_eq!(code(refused).await, (404, expected.to_owned()), "{path}");
        }
        assert_eq!(registry.status("GET", "/v2/b/tags/list").await, 404);
    }
}

#[tokio::test]
async fn what_was_deleted_stays_so_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Running::over(disk(directory.path()).await).await;
    let digest = registry.put("/v2/a/manifests/v1", &index("x")).await;
    let blob = registry.put_blob("a", b"content").await;
    for path in [
        format!("/v2/a/manifests/{digest}"),
        format!("/v2/a/blobs/{blob}"),
    ] {
        assert_eq!(registry.status("DELETE", &path).await, 202);
    }
    registry.stop().await;
    let registry = Running::over(disk(directory.path()).await).await;
    for path in [
        "/v2/a/manifests/v1".to_owned(),
        format!("/v2/a/manifests/{digest}"),
        format!("/v2/a/blobs/{blob}"),
    ] {
        assert_eq!(registry.status("GET", &path).await, 404, "{path}");
    }
    assert_eq!(tags(&registry).await, json!([]));
}

#[tokio::test]
async fn a_deletion_that_was_cut_short_can_be_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Running::over(disk(directory.path()).await).await;
    let digest = registry.put("/v2/a/manifests/v1", &index("x")).await;
    registry.put("/v2/a/manifests/v2", &index("x")).await;
    // The process ended after the first of its tags was removed.
    let tag = directory.path().join("repositories/a/_tags/v1");
    std::fs::remove_file(tag).unwrap();
    let path = format!("/v2/a/manifests/{digest}");
    assert_eq!(registry.status("GET", &path).await, 200);
    assert_eq!(registry.status("DELETE", &path).await, 202);
    assert_eq!(tags(&registry).await, json!([]));
}
