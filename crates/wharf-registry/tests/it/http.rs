//! The registry over real sockets. distribution-spec 1.1: push, pull, tags.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use reqwest::Response;
use serde_json::{Value, json};
use wharf::oci::{Algorithm, Digest};
use wharf_testkit::{Child, LayerSpec, LayoutFixture, Skopeo, files_below, seeded_bytes};

use crate::common::{IMAGE, Running, code, disk, header};

/// Opens a session, and checks that the registry reports it as empty.
async fn begin(registry: &Running, repository: &str) -> String {
    let path = format!("/v2/{repository}/blobs/uploads/");
    let answer = registry.send("POST", &path, &[], "").await;
    assert_eq!(answer.status(), 202);
    assert_eq!(header(&answer, "range"), "0-0");
    header(&answer, "location")
}

/// Puts a blob with two requests.
async fn put_blob(registry: &Running, repository: &str, content: &[u8]) -> Digest {
    let digest = Digest::of(content);
    let location = begin(registry, repository).await;
    let path = format!("{location}?digest={digest}");
    let put = registry.send("PUT", &path, &[], content.to_vec()).await;
    assert_eq!(put.status(), 201);
    assert_eq!(
        header(&put, "location"),
        format!("/v2/{repository}/blobs/{digest}")
    );
    digest
}

async fn put_manifest(
    registry: &Running,
    path: &str,
    media_type: &str,
    document: &Value,
) -> Response {
    let headers = [("content-type", media_type)];
    registry
        .send("PUT", path, &headers, document.to_string())
        .await
}

async fn status(
    registry: &Running,
    method: &str,
    path: &str,
    body: impl Into<reqwest::Body>,
) -> u16 {
    registry
        .send(method, path, &[], body)
        .await
        .status()
        .as_u16()
}

/// Runs a test against a registry on a directory of its own, and shuts it down.
async fn with_registry<F: Future<Output = ()>>(test: impl FnOnce(Arc<Running>, PathBuf) -> F) {
    let directory = tempfile::tempdir().unwrap();
    let registry = Arc::new(Running::over(disk(directory.path()).await).await);
    test(Arc::clone(&registry), directory.path().to_owned()).await;
    Arc::into_inner(registry).unwrap().stop().await;
}

fn image(config: &[u8], layer: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(config), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": Digest::of(layer), "size": layer.len()}],
    })
}

#[tokio::test]
async fn a_ping_names_the_version() {
    with_registry(|registry, _| async move {
        let answer = registry.send("GET", "/v2/", &[], "").await;
        assert_eq!(answer.status(), 200);
        assert_eq!(
            header(&answer, "docker-distribution-api-version"),
            "registry/2.0"
        );
        let version = env!("CARGO_PKG_VERSION");
        for path in ["/v2/", "/v2/a/manifests/v1", "/nowhere"] {
            let answer = registry.send("GET", path, &[], "").await;
            assert_eq!(header(&answer, "server"), format!("wharf/{version}"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_blob_is_read_whole_and_in_parts() {
    with_registry(|registry, _| async move {
        let content = seeded_bytes(1, 3_000_000);
        let digest = put_blob(&registry, "team/app", &content).await;
        let path = format!("/v2/team/app/blobs/{digest}");
        let head = registry.send("HEAD", &path, &[], "").await;
        assert_eq!(head.status(), 200);
        assert_eq!(header(&head, "content-length"), "3000000");
        assert_eq!(header(&head, "docker-content-digest"), digest.to_string());
        assert_eq!(header(&head, "etag"), format!("\"{digest}\""));
        let whole = registry.send("GET", &path, &[], "").await;
        assert_eq!(whole.bytes().await.unwrap(), content);
        let part = registry
            .send("GET", &path, &[("range", "bytes=1000000-2500000")], "")
            .await;
        assert_eq!(part.status(), 206);
        assert_eq!(
            header(&part, "content-range"),
            "bytes 1000000-2500000/3000000"
        );
        assert_eq!(part.bytes().await.unwrap(), content[1_000_000..=2_500_000]);
        let rest = registry
            .send("GET", &path, &[("range", "bytes=2999999-")], "")
            .await;
        assert_eq!(rest.bytes().await.unwrap(), content[2_999_999..]);
        let beyond = registry
            .send("GET", &path, &[("range", "bytes=3000000-")], "")
            .await;
        assert_eq!(beyond.status(), 416);
        assert_eq!(header(&beyond, "content-range"), "bytes */3000000");
        let elsewhere = format!("/v2/team/other/blobs/{digest}");
        let elsewhere = registry.send("GET", &elsewhere, &[], "").await;
        assert_eq!(code(elsewhere).await, (404, "BLOB_UNKNOWN".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    with_registry(|registry, _| async move {
        let digest = put_blob(&registry, "a", b"").await;
        let answer = registry
            .send("GET", &format!("/v2/a/blobs/{digest}"), &[], "")
            .await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.bytes().await.unwrap().len(), 0);
    })
    .await;
}

#[tokio::test]
async fn chunks_must_come_in_order() {
    with_registry(|registry, _| async move {
        let location = begin(&registry, "a").await;
        let range = |range| [("content-range", range)];
        let first = registry
            .send("PATCH", &location, &range("0-4"), "hello")
            .await;
        assert_eq!(first.status(), 202);
        assert_eq!(header(&first, "range"), "0-4");
        let location = header(&first, "location");
        for wrong in ["0-4", "6-10"] {
            let refused = registry
                .send("PATCH", &location, &range(wrong), "xxxxx")
                .await;
            assert_eq!(refused.status(), 416, "{wrong}");
            assert_eq!(header(&refused, "range"), "0-4");
        }
        let lying = registry
            .send("PATCH", &location, &range("5-7"), "xxxxx")
            .await;
        assert_eq!(code(lying).await, (400, "SIZE_INVALID".to_owned()));
        let status = registry.send("GET", &location, &[], "").await;
        assert_eq!(status.status(), 204);
        assert_eq!(header(&status, "range"), "0-4");
        let digest = Digest::of(b"hello world");
        let last = format!("{location}?digest={digest}");
        let last = registry.send("PUT", &last, &range("5-10"), " world").await;
        assert_eq!(last.status(), 201);
        let read = registry
            .send("GET", &format!("/v2/a/blobs/{digest}"), &[], "")
            .await;
        assert_eq!(read.text().await.unwrap(), "hello world");
    })
    .await;
}

#[tokio::test]
async fn a_stream_without_length_is_taken() {
    with_registry(|registry, _| async move {
        let location = begin(&registry, "a").await;
        let content = seeded_bytes(2, 2_500_000);
        let chunks: Vec<Result<Vec<u8>, std::io::Error>> = content
            .chunks(10_007)
            .map(|chunk| Ok(chunk.to_vec()))
            .collect();
        let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
        let sent = registry.send("PATCH", &location, &[], body).await;
        assert_eq!(header(&sent, "range"), "0-2499999");
        let digest = Digest::of_with(Algorithm::Sha512, &content);
        let path = format!("{location}?digest={digest}");
        assert_eq!(status(&registry, "PUT", &path, "").await, 201);
        assert_eq!(
            status(&registry, "HEAD", &format!("/v2/a/blobs/{digest}"), "").await,
            200
        );
    })
    .await;
}

#[tokio::test]
async fn a_blob_may_come_in_one_request() {
    with_registry(|registry, _| async move {
        let digest = Digest::of(b"hello");
        let path = format!("/v2/a/blobs/uploads/?digest={digest}");
        assert_eq!(status(&registry, "POST", &path, "hello").await, 201);
        assert_eq!(
            status(&registry, "HEAD", &format!("/v2/a/blobs/{digest}"), "").await,
            200
        );
    })
    .await;
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_leave_nothing() {
    with_registry(|registry, directory| async move {
        let digest = Digest::of(b"hello");
        let location = begin(&registry, "a").await;
        let put = format!("{location}?digest={digest}");
        let refused = registry.send("PUT", &put, &[], "jello").await;
        assert_eq!(code(refused).await, (400, "DIGEST_INVALID".to_owned()));
        let gone = registry.send("GET", &location, &[], "").await;
        assert_eq!(code(gone).await, (404, "BLOB_UPLOAD_UNKNOWN".to_owned()));
        let post = format!("/v2/a/blobs/uploads/?digest={digest}");
        assert_eq!(status(&registry, "POST", &post, "jello").await, 400);
        let left: Vec<_> = files_below(&directory).into_keys().collect();
        assert_eq!(left.len(), 1, "only the marker: {left:?}");
    })
    .await;
}

#[tokio::test]
async fn a_session_is_given_up_once() {
    with_registry(|registry, _| async move {
        let location = begin(&registry, "a").await;
        assert_eq!(status(&registry, "PATCH", &location, "x").await, 202);
        assert_eq!(status(&registry, "DELETE", &location, "").await, 204);
        assert_eq!(status(&registry, "DELETE", &location, "").await, 404);
        assert_eq!(status(&registry, "PATCH", &location, "x").await, 404);
    })
    .await;
}

#[tokio::test]
async fn a_mount_is_a_201_or_a_session() {
    with_registry(|registry, _| async move {
        let digest = put_blob(&registry, "a", b"hello").await;
        let mount = |from: &str| format!("/v2/b/blobs/uploads/?mount={digest}{from}");
        let session = registry.send("POST", &mount("&from=c"), &[], "").await;
        assert_eq!(session.status(), 202);
        assert!(header(&session, "location").starts_with("/v2/b/blobs/uploads/"));
        let nowhere = Digest::of(b"nowhere");
        let nowhere = format!("/v2/b/blobs/uploads/?mount={nowhere}");
        assert_eq!(status(&registry, "POST", &nowhere, "").await, 202);
        let found = format!("/v2/c/blobs/uploads/?mount={digest}");
        assert_eq!(status(&registry, "POST", &found, "").await, 201);
        let mounted = registry.send("POST", &mount("&from=a"), &[], "").await;
        assert_eq!(mounted.status(), 201);
        assert_eq!(
            header(&mounted, "location"),
            format!("/v2/b/blobs/{digest}")
        );
        assert_eq!(
            status(&registry, "HEAD", &format!("/v2/b/blobs/{digest}"), "").await,
            200
        );
    })
    .await;
}

#[tokio::test]
async fn a_manifest_comes_back_as_it_went_in() {
    with_registry(|registry, _| async move {
        let document = image(b"{}", b"layer");
        let refused = put_manifest(&registry, "/v2/a/manifests/v1", IMAGE, &document).await;
        assert_eq!(
            code(refused).await,
            (404, "MANIFEST_BLOB_UNKNOWN".to_owned())
        );
        put_blob(&registry, "a", b"{}").await;
        put_blob(&registry, "a", b"layer").await;
        let digest = Digest::of(document.to_string().as_bytes());
        for at in ["v1".to_owned(), digest.to_string()] {
            let put = put_manifest(
                &registry,
                &format!("/v2/a/manifests/{at}"),
                IMAGE,
                &document,
            )
            .await;
            assert_eq!(put.status(), 201);
            assert_eq!(header(&put, "docker-content-digest"), digest.to_string());
            assert_eq!(
                header(&put, "location"),
                format!("/v2/a/manifests/{digest}")
            );
            let path = format!("/v2/a/manifests/{at}");
            let head = registry.send("HEAD", &path, &[], "").await;
            assert_eq!(
                header(&head, "content-length"),
                document.to_string().len().to_string()
            );
            assert_eq!(header(&head, "docker-content-digest"), digest.to_string());
            let get = registry.send("GET", &path, &[], "").await;
            assert_eq!(header(&get, "content-type"), IMAGE);
            assert_eq!(get.text().await.unwrap(), document.to_string());
        }
        let sha512 = Digest::of_with(Algorithm::Sha512, document.to_string().as_bytes());
        let put = put_manifest(
            &registry,
            &format!("/v2/a/manifests/{sha512}"),
            IMAGE,
            &document,
        )
        .await;
        assert_eq!(header(&put, "docker-content-digest"), sha512.to_string());
        let other = Digest::of(b"other");
        let wrong = put_manifest(
            &registry,
            &format!("/v2/a/manifests/{other}"),
            IMAGE,
            &document,
        )
        .await;
        assert_eq!(code(wrong).await, (400, "DIGEST_INVALID".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn confused_manifests_are_refused() {
    with_registry(|registry, _| async move {
        put_blob(&registry, "a", b"{}").await;
        put_blob(&registry, "a", b"layer").await;
        let good = image(b"{}", b"layer");
        let mut both = good.clone();
        both["manifests"] = json!([]);
        let index = "application/vnd.oci.image.index.v1+json";
        for (media_type, document) in [(IMAGE, &both), (index, &good), (IMAGE, &json!([]))] {
            let refused = put_manifest(&registry, "/v2/a/manifests/v1", media_type, document).await;
            assert_eq!(code(refused).await, (400, "MANIFEST_INVALID".to_owned()));
        }
        let long = "x".repeat(9 << 20);
        let refused = registry.send("PUT", "/v2/a/manifests/v1", &[], long).await;
        assert_eq!(code(refused).await, (413, "MANIFEST_INVALID".to_owned()));
        let absent = registry.send("GET", "/v2/a/manifests/v1", &[], "").await;
        assert_eq!(code(absent).await, (404, "MANIFEST_UNKNOWN".to_owned()));
        let absent = registry.send("GET", "/v2/b/manifests/v1", &[], "").await;
        assert_eq!(code(absent).await, (404, "NAME_UNKNOWN".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn layers_that_must_not_be_distributed_need_not_be_there() {
    with_registry(|registry, _| async move {
        put_blob(&registry, "a", b"{}").await;
        let mut document = image(b"{}", b"layer");
        document["layers"][0]["mediaType"] =
            json!("application/vnd.oci.image.layer.nondistributable.v1.tar");
        let put = put_manifest(&registry, "/v2/a/manifests/v1", IMAGE, &document).await;
        assert_eq!(put.status(), 201);
    })
    .await;
}

#[tokio::test]
async fn tags_and_repositories_are_listed_in_pages() {
    with_registry(|registry, _| async move {
        let empty = json!({"schemaVersion": 2, "manifests": []});
        let index = "application/vnd.oci.image.index.v1+json";
        for path in [
            "b/x/manifests/2",
            "b/x/manifests/1",
            "b/x/manifests/3",
            "a/manifests/1",
        ] {
            let put = put_manifest(&registry, &format!("/v2/{path}"), index, &empty).await;
            assert_eq!(put.status(), 201);
        }
        let first = registry.send("GET", "/v2/b/x/tags/list?n=2", &[], "").await;
        let link = header(&first, "link");
        assert_eq!(link, "</v2/b/x/tags/list?n=2&last=2>; rel=\"next\"");
        let body: Value = serde_json::from_slice(&first.bytes().await.unwrap()).unwrap();
        assert_eq!(body, json!({"name": "b/x", "tags": ["1", "2"]}));
        let next = registry
            .send("GET", "/v2/b/x/tags/list?n=2&last=2", &[], "")
            .await;
        assert!(next.headers().get("link").is_none());
        let body: Value = serde_json::from_slice(&next.bytes().await.unwrap()).unwrap();
        assert_eq!(body["tags"], json!(["3"]));
        let catalog = registry.send("GET", "/v2/_catalog", &[], "").await;
        let body: Value = serde_json::from_slice(&catalog.bytes().await.unwrap()).unwrap();
        assert_eq!(body, json!({"repositories": ["a", "b/x"]}));
        let unknown = registry.send("GET", "/v2/b/tags/list", &[], "").await;
        assert_eq!(code(unknown).await, (404, "NAME_UNKNOWN".to_owned()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_copies_an_index_in_and_out() {
    let Some(skopeo) = Skopeo::find() else { return };
    with_registry(|registry, _| async move {
        let layout_directory = tempfile::tempdir().unwrap();
        let mut layout = LayoutFixture::new(layout_directory.path());
        let amd64 = layout.child("linux/amd64", &[LayerSpec::random(1, 3_000_000)]);
        let arm64 = layout.child("linux/arm64/v8", &[LayerSpec::random(2, 100)]);
        let children = [
            Child::image(&amd64, "linux/amd64"),
            Child::image(&arm64, "linux/arm64/v8"),
        ];
        let index = layout.index(Some("all"), &children);
        let out = tempfile::tempdir().unwrap();
        let reference = format!("docker://{}/team/app:all", registry.address);
        let source = format!("oci:{}:all", layout_directory.path().display());
        let destination = format!("oci:{}:all", out.path().display());
        let copied = tokio::task::spawn_blocking(move || {
            skopeo.copy(&source, &reference);
            skopeo.copy(&reference, &destination);
            skopeo.inspect_digest(&reference)
        });
        assert_eq!(copied.await.unwrap(), index.digest);
        let blobs = |directory: &std::path::Path| files_below(&directory.join("blobs"));
        assert_eq!(blobs(out.path()), blobs(layout_directory.path()));
    })
    .await;
}

#[tokio::test]
async fn a_request_under_way_ends_after_the_shutdown_began() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Running::over(disk(directory.path()).await).await;
    let (address, client) = (registry.address, registry.client.clone());
    let storage = registry.storage.clone();
    let repository = "a".parse().unwrap();
    let session = storage.begin(&repository).await.unwrap();
    let (sender, receiver) = futures::channel::mpsc::unbounded::<std::io::Result<Vec<u8>>>();
    // More than a batch, so that part of it is written before the end.
    sender.unbounded_send(Ok(vec![1; 3 << 20])).unwrap();
    let url = format!("http://{address}/v2/a/blobs/uploads/{}", session.id);
    let body = reqwest::Body::wrap_stream(receiver);
    let sending = tokio::spawn(client.patch(url).body(body).send());
    while storage.status(&session).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    let stopping = tokio::spawn(registry.stop());
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    sender.unbounded_send(Ok(b"end".to_vec())).unwrap();
    drop(sender);
    let answer = sending.await.unwrap().unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(header(&answer, "range"), format!("0-{}", (3 << 20) + 2));
    stopping.await.unwrap();
}
