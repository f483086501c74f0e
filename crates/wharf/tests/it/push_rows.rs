//! wire.md, row by row, against a scripted registry that records every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use wharf::copy::{CopyOptions, Existing, Nondistributable, Root, RootContent, copy};
use wharf::draft::{Draft, DraftConfig, DraftLayer, ManifestFields};
use wharf::layer::PendingLayer;
use wharf::oci::{Digest, Manifest, MediaType};
use wharf::remote::{Client, Timeouts};
use wharf::store::{Memory, Source, Store};
use wharf::{Error, ErrorKind};
use wharf_testkit::{Answer, FaultServer, push_registry, seeded_bytes};

use crate::support::{
    BLOB, MANIFEST, SESSION, UPLOADS, add_manifest, count, descriptor, finish, image, options,
    repository,
};

async fn push(
    server: &FaultServer,
    source: &Memory,
    root: &Root,
) -> wharf::Result<wharf::copy::Summary> {
    let (options, _) = options();
    push_with(server, source, root, &options).await
}

async fn push_with(
    server: &FaultServer,
    source: &Memory,
    root: &Root,
    options: &CopyOptions,
) -> wharf::Result<wharf::copy::Summary> {
    copy(
        source,
        &repository(server.address(), "app"),
        std::slice::from_ref(root),
        options,
    )
    .await
}

#[tokio::test]
async fn o1_the_manifest_is_put_last() {
    let server = FaultServer::start(push_registry());
    let (source, root) = image(&[seeded_bytes(1, 1000), seeded_bytes(2, 2000)]).await;
    let summary = push(&server, &source, &root).await.unwrap();
    assert_eq!(
        (summary.written, summary.manifests, summary.skipped),
        (3, 1, 0)
    );
    assert!(
        server
            .lines()
            .last()
            .unwrap()
            .starts_with("PUT /v2/app/manifests/v1")
    );
}

#[tokio::test]
async fn s1_each_distinct_digest_is_uploaded_once() {
    let server = FaultServer::start(push_registry());
    let layer = seeded_bytes(1, 1000);
    let (source, root) = image(&[layer.clone(), layer.clone(), layer]).await;
    push(&server, &source, &root).await.unwrap();
    assert_eq!(count(&server, "POST"), 2, "one layer and the config");
}

#[tokio::test]
async fn s1_concurrent_pushes_to_one_repository_send_a_blob_once() {
    let slow = Answer::fall_through().after(Duration::from_millis(50));
    let server = FaultServer::start(push_registry().on("PUT", SESSION, [slow]));
    let (source, root) = image(&[seeded_bytes(1, 1000), seeded_bytes(2, 2000)]).await;
    let (store, options) = (repository(server.address(), "app"), options().0);
    let roots = [root];
    let push = || copy(&source, &store, &roots, &options);
    let (one, two) = tokio::join!(push(), push());
    assert_eq!(one.unwrap().written + two.unwrap().written, 3);
    assert_eq!(count(&server, "POST"), 3);
}

#[tokio::test]
async fn s2_foreign_layers_are_skipped_unless_allowed() {
    let server = FaultServer::start(push_registry());
    let source = Memory::new();
    let foreign = source.add_blob(MediaType::DOCKER_FOREIGN_LAYER_GZIP, seeded_bytes(1, 100));
    let root = finish(&source, &[foreign], serde_json::json!({})).await;
    let summary = push(&server, &source, &root).await.unwrap();
    assert_eq!((summary.written, summary.skipped), (1, 1));

    let options = CopyOptions {
        nondistributable: Nondistributable::Move,
        ..options().0
    };
    let summary = push_with(&server, &source, &root, &options).await.unwrap();
    assert_eq!((summary.written, summary.skipped), (2, 0));
}

/// A draft of one layer, and how often the layer was started.
fn draft(source: &Memory, bytes: Vec<u8>) -> (Root, Arc<AtomicU32>) {
    let begun = Arc::new(AtomicU32::new(0));
    let (counter, content) = (Arc::clone(&begun), bytes.clone());
    let produce = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        let reader = std::io::Cursor::new(content.clone());
        async move { Ok(wharf::file::reader(reader, "test")) }.boxed()
    };
    let size = bytes.len() as u64;
    let media_type = MediaType::DOCKER_LAYER_GZIP;
    let layer = PendingLayer::new(Digest::of(b"its tar"), size, media_type, produce);
    let draft = Draft {
        media_type: MediaType::DOCKER_MANIFEST,
        config: DraftConfig::Stored(source.add_blob(MediaType::DOCKER_CONFIG, b"{}".to_vec())),
        // The same layer twice, as in base images with several empty layers.
        layers: vec![
            DraftLayer::Pending(layer.clone()),
            DraftLayer::Pending(layer),
        ],
        fields: ManifestFields::default(),
    };
    let root = Root {
        content: RootContent::Draft(draft),
        tags: vec!["v1".parse().unwrap()],
    };
    (root, begun)
}

#[tokio::test]
async fn s3_a_layer_of_unknown_digest_is_made_once_and_the_manifest_after_it() {
    let server = FaultServer::start(push_registry());
    let source = Memory::new();
    let bytes = seeded_bytes(4, 3 << 20);
    let (root, begun) = draft(&source, bytes.clone());
    let (options, record) = options();
    let summary = push_with(&server, &source, &root, &options).await.unwrap();
    assert_eq!(begun.load(Ordering::Relaxed), 1);
    assert_eq!((summary.written, count(&server, "PATCH")), (2, 1));
    let put = server.requests().pop().unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&put.body).unwrap();
    for layer in [0, 1] {
        assert_eq!(
            manifest["layers"][layer]["digest"],
            Digest::of(&bytes).to_string()
        );
        assert_eq!(manifest["layers"][layer]["size"], 3 << 20);
    }
    assert_eq!(
        summary.roots[0].digest.to_string(),
        format!("sha256:{}", put.body_sha256)
    );
    let (total, complete) = record.total_and_complete();
    assert_eq!(total, complete, "p1 holds for what joins late, too");
}

#[tokio::test]
async fn s3_a_layer_that_broke_off_is_made_again_from_its_start() {
    let answers = [Answer::close_after(1_000_000), Answer::fall_through()];
    let server = FaultServer::start(push_registry().on("PATCH", SESSION, answers));
    let source = Memory::new();
    let (root, begun) = draft(&source, seeded_bytes(4, 3 << 20));
    assert_eq!(push(&server, &source, &root).await.unwrap().written, 2);
    assert_eq!(begun.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn s4_a_known_config_goes_beside_the_layers() {
    let server = FaultServer::start(push_registry());
    let (source, root) = image(&[seeded_bytes(1, 10), seeded_bytes(2, 10)]).await;
    push(&server, &source, &root).await.unwrap();
    let lines = server.lines();
    let manifest = lines
        .iter()
        .position(|line| line.starts_with("PUT /v2/app/manifests"))
        .unwrap();
    assert_eq!(
        lines[..manifest]
            .iter()
            .filter(|line| line.starts_with("POST"))
            .count(),
        3
    );
}

#[tokio::test]
async fn s7_empty_blobs_no_layers_many_layers_sha512_and_unknown_fields() {
    let server = FaultServer::start(push_registry());
    let (source, root) = image(&[Vec::new()]).await;
    assert_eq!(push(&server, &source, &root).await.unwrap().written, 2);
    let (source, root) = image(&[]).await;
    assert_eq!(push(&server, &source, &root).await.unwrap().written, 1);
    let many: Vec<_> = (0..1000).map(|n: u32| n.to_be_bytes().to_vec()).collect();
    let (source, root) = image(&many).await;
    assert_eq!(push(&server, &source, &root).await.unwrap().written, 1001);
}

#[tokio::test]
async fn s7_the_exact_bytes_of_a_manifest_are_pushed() {
    let server = FaultServer::start(push_registry());
    let source = Memory::new();
    let layer = source.add_blob(MediaType::OCI_LAYER_GZIP, seeded_bytes(3, 50));
    let padding = "x".repeat(4 << 20);
    let root = finish(
        &source,
        &[layer],
        serde_json::json!({ "com.example.future": padding }),
    )
    .await;
    push(&server, &source, &root).await.unwrap();
    let put = server.requests().pop().unwrap();
    assert_eq!(
        format!("sha256:{}", put.body_sha256),
        descriptor(&root).digest.to_string()
    );
}

#[tokio::test]
async fn s8_docker_schema_2_and_schema_1_are_kept_as_they_are() {
    let server = FaultServer::start(push_registry());
    let source = Memory::new();
    let config = source.add_blob(MediaType::DOCKER_CONFIG, b"{}".to_vec());
    let schema2 = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::DOCKER_MANIFEST, "config": config, "layers": [],
    });
    let root = add_manifest(&source, None, schema2.to_string()).await;
    push(&server, &source, &root).await.unwrap();
    let put = server.requests().pop().unwrap();
    assert_eq!(
        put.header("content-type"),
        Some(MediaType::DOCKER_MANIFEST.as_str())
    );

    let layer = source.add_blob(MediaType::DOCKER_LAYER_GZIP, seeded_bytes(5, 64));
    let schema1 = serde_json::json!({
        "schemaVersion": 1, "name": "app", "tag": "v1", "architecture": "amd64",
        "fsLayers": [{ "blobSum": layer.digest }], "history": [{ "v1Compatibility": "{}" }],
    });
    let root = add_manifest(
        &source,
        Some(&MediaType::DOCKER_MANIFEST_V1),
        schema1.to_string(),
    )
    .await;
    let summary = push(&server, &source, &root).await.unwrap();
    assert_eq!(summary.written, 1);
    let put = server.requests().pop().unwrap();
    assert_eq!(
        put.header("content-type"),
        Some(MediaType::DOCKER_MANIFEST_V1.as_str())
    );
}

#[tokio::test]
async fn e1_blobs_that_are_there_are_not_sent() {
    let script = push_registry().on("HEAD", BLOB, [Answer::status(200)]);
    let server = FaultServer::start(script);
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let summary = push(&server, &source, &root).await.unwrap();
    assert_eq!(
        (summary.existed, summary.written, count(&server, "POST")),
        (2, 0, 0)
    );
}

#[tokio::test]
async fn e1_rule_7_a_head_that_is_refused_means_unknown_and_the_blob_is_sent() {
    let statuses = [204, 304, 400, 401, 403, 405, 406, 410, 418, 501].map(Answer::status);
    let around = Answer::status(307).header("Location", "{path}");
    let nowhere = Answer::status(307).header("Location", "ftp://{host}/x");
    for answer in statuses.into_iter().chain([around, nowhere]) {
        let told = format!("{answer:?}");
        let script = push_registry().on("HEAD", BLOB, [answer]);
        let server = FaultServer::start(script);
        let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
        assert_eq!(
            push(&server, &source, &root).await.unwrap().written,
            2,
            "{told}"
        );
    }
}

#[tokio::test]
async fn e2_rule_7_whatever_odd_is_said_of_a_tag_it_is_set() {
    let long = " ".repeat(9 << 20);
    let found = |body: &str| {
        Answer::status(200)
            .header("Content-Type", MediaType::OCI_IMAGE_MANIFEST.as_str())
            .body(body.to_owned())
    };
    let to = |location: &str| Answer::status(307).header("Location", location);
    for odd in [
        Answer::status(300),
        Answer::status(304),
        Answer::status(307),
        Answer::status(410),
        to("{path}"),
        to("ftp://{host}/x"),
        found("garbage"),
        found(&long),
    ] {
        let tag = "/v2/app/manifests/v1";
        let script = push_registry()
            .on("HEAD", tag, [odd.clone()])
            .on("GET", tag, [odd]);
        let server = FaultServer::start(script);
        let (source, root) = image(&[]).await;
        assert_eq!(push(&server, &source, &root).await.unwrap().manifests, 1);
    }
}

#[tokio::test]
async fn e1_a_head_that_fails_is_an_error_after_retries_where_get_fails_too() {
    let failing = || [Answer::status(500)];
    for (get, expected) in [
        (failing(), Err(ErrorKind::Server)),
        ([Answer::status(404)], Ok(1)),
    ] {
        let script = push_registry()
            .on("HEAD", BLOB, failing())
            .on("GET", BLOB, get);
        let server = FaultServer::start(script);
        let (source, root) = image(&[]).await;
        let pushed = push(&server, &source, &root).await;
        let written = pushed.map(|summary| summary.written);
        assert_eq!(written.map_err(|error| error.kind()), expected);
        assert_eq!(count(&server, "HEAD /v2/app/blobs"), 5);
    }
}

#[tokio::test]
async fn e2_403_for_a_manifest_counts_as_absent() {
    let script = push_registry().on("HEAD", MANIFEST, [Answer::status(403)]);
    let server = FaultServer::start(script);
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    assert_eq!(push(&server, &source, &root).await.unwrap().written, 2);
}

#[tokio::test]
async fn e2_another_digest_under_the_tag_is_replaced() {
    let other = Digest::of(b"other").to_string();
    let there = Answer::status(200)
        .header("Docker-Content-Digest", &other)
        .header("Content-Type", MediaType::OCI_IMAGE_MANIFEST.as_str())
        .header("Content-Length", "10");
    let server = FaultServer::start(push_registry().on("HEAD", "/v2/app/manifests/v1", [there]));
    let (source, root) = image(&[]).await;
    assert_eq!(push(&server, &source, &root).await.unwrap().manifests, 1);
}

#[tokio::test]
async fn e3_an_unchanged_image_costs_one_request() {
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let there = Answer::status(200)
        .header(
            "Docker-Content-Digest",
            &descriptor(&root).digest.to_string(),
        )
        .header("Content-Type", MediaType::OCI_IMAGE_MANIFEST.as_str())
        .header("Content-Length", &descriptor(&root).size.to_string());
    let server = FaultServer::start(push_registry().on("HEAD", MANIFEST, [there]));
    let summary = push(&server, &source, &root).await.unwrap();
    assert_eq!((summary.written, summary.manifests), (0, 0));
    assert_eq!(server.lines(), ["HEAD /v2/app/manifests/v1"]);
}

#[tokio::test]
async fn e3_what_is_behind_a_manifest_that_is_there_is_repaired_on_demand() {
    let (source, root) = image(&[seeded_bytes(1, 1000), seeded_bytes(2, 2000)]).await;
    let there = Answer::status(200)
        .header(
            "Docker-Content-Digest",
            &descriptor(&root).digest.to_string(),
        )
        .header("Content-Type", MediaType::OCI_IMAGE_MANIFEST.as_str())
        .header("Content-Length", &descriptor(&root).size.to_string());
    let manifest = source.manifest(descriptor(&root)).await.unwrap();
    let lost = manifest.links().pop().unwrap().descriptor.digest;
    // The registry has everything but the last layer.
    let script = push_registry()
        .on("HEAD", MANIFEST, [there])
        .on("HEAD", BLOB, [Answer::status(200)])
        .on(
            "HEAD",
            &format!("/v2/app/blobs/{lost}"),
            [Answer::status(404)],
        );
    let server = FaultServer::start(script);
    let options = CopyOptions {
        existing: Existing::Check,
        ..options().0
    };
    let summary = push_with(&server, &source, &root, &options).await.unwrap();
    assert_eq!(
        (summary.existed, summary.written, summary.manifests),
        (2, 1, 1)
    );
    assert_eq!(count(&server, "POST"), 1);
}

#[tokio::test]
async fn e3_a_head_without_digest_falls_back_to_get() {
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let manifest = source.manifest(descriptor(&root)).await.unwrap();
    let content_type = MediaType::OCI_IMAGE_MANIFEST;
    let head = Answer::status(200).header("Content-Type", content_type.as_str());
    let get = Answer::status(200)
        .header("Content-Type", content_type.as_str())
        .body(manifest.bytes().clone());
    let script = push_registry()
        .on("HEAD", MANIFEST, [head])
        .on("GET", MANIFEST, [get]);
    let server = FaultServer::start(script);
    push(&server, &source, &root).await.unwrap();
    assert_eq!(
        server.lines(),
        ["HEAD /v2/app/manifests/v1", "GET /v2/app/manifests/v1"]
    );
}

#[tokio::test]
async fn m4_a_session_without_location_is_an_error_that_names_the_endpoint() {
    let server = FaultServer::start(push_registry().on("POST", UPLOADS, [Answer::status(202)]));
    let (source, root) = image(&[]).await;
    let error = push(&server, &source, &root).await.unwrap_err().to_string();
    assert!(
        error.contains("POST /v2/app/blobs/uploads/: answered 202 Accepted without a Location"),
        "{error}"
    );
}

#[tokio::test]
async fn m4_the_query_of_a_location_is_kept_and_the_digest_appended() {
    let session = Answer::status(202).header(
        "Location",
        "{base}/v2/app/blobs/uploads/1?z=%2f&_state=a+b&a=",
    );
    let server = FaultServer::start(push_registry().on("POST", UPLOADS, [session]));
    let (source, root) = image(&[]).await;
    push(&server, &source, &root).await.unwrap();
    let put = server
        .lines()
        .into_iter()
        .find(|line| line.starts_with("PUT /v2/app/blobs"))
        .unwrap();
    assert!(
        put.contains("/uploads/1?z=%2f&_state=a+b&a=&digest=sha256:"),
        "{put}"
    );
}

#[tokio::test]
async fn m5_a_registry_elsewhere_cannot_send_us_to_a_near_address() {
    let near = FaultServer::start_on("127.0.0.2".parse().unwrap(), push_registry());
    let location = format!("{}/v2/app/blobs/uploads/1", near.base());
    let session = Answer::status(202).header("Location", &location);
    let server = FaultServer::start(push_registry().on("POST", UPLOADS, [session]));
    // The registry has a public name; only this client resolves it to loopback.
    let client = Client::builder()
        .insecure(wharf::remote::Insecure::Yes)
        .resolve("registry.example", server.address())
        .build()
        .unwrap();
    let name = format!("registry.example:{}/app", server.address().port());
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let store = client.repository(&name.parse().unwrap());
    let error = copy(&source, &store, &[root], &options().0)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert_eq!(near.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn u1_a_known_blob_takes_one_put_with_its_length() {
    let server = FaultServer::start(push_registry());
    let (source, root) = image(&[seeded_bytes(1, 3 << 20)]).await;
    push(&server, &source, &root).await.unwrap();
    assert_eq!(count(&server, "PATCH"), 0);
    let requests = server.requests();
    let put = requests
        .iter()
        .find(|request| request.body_len == 3 << 20)
        .unwrap();
    assert_eq!(put.header("content-length"), Some("3145728"));
    assert!(put.header("transfer-encoding").is_none());
}

#[tokio::test]
async fn u1_a_registry_that_refuses_one_put_gets_patch_and_put_from_then_on() {
    let refuse = |request: &wharf_testkit::RecordedRequest| {
        request.method == "PUT" && request.header("content-length") != Some("0")
    };
    let script = push_registry().on_when("PUT", SESSION, refuse, [Answer::status(404)]);
    let server = FaultServer::start(script);
    let (source, root) = image(&[seeded_bytes(1, 1000), seeded_bytes(2, 900)]).await;
    let options = CopyOptions {
        jobs: 1,
        ..options().0
    };
    push_with(&server, &source, &root, &options).await.unwrap();
    assert_eq!(count(&server, "PATCH"), 3);
    let refused = server
        .requests()
        .iter()
        .filter(|request| request.status == Some(404) && request.method == "PUT")
        .count();
    assert_eq!(refused, 1, "learned at the first");
}

#[tokio::test]
async fn u2_u3_unknown_content_goes_by_patch_and_put() {
    for status in [202, 201, 204] {
        let patched = Answer::status(status).header("Location", "/v2/app/blobs/uploads/next?s=2");
        let server = FaultServer::start(push_registry().on("PATCH", SESSION, [patched]));
        let store = repository(server.address(), "app");
        let bytes = seeded_bytes(9, 2 << 20);
        let stream = wharf::file::reader(std::io::Cursor::new(bytes.clone()), "test");
        let intake = wharf::intake::once(stream);
        let ingested = store.ingest(&MediaType::OCI_LAYER, intake).await.unwrap();
        assert_eq!(
            (ingested.digest.clone(), ingested.size),
            (Digest::of(&bytes), 2 << 20)
        );
        let lines = server.lines();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(
            lines[2],
            format!(
                "PUT /v2/app/blobs/uploads/next?s=2&digest={}",
                ingested.digest
            )
        );
    }
}

#[tokio::test]
async fn u3_rule_8_a_sloppy_answer_to_a_commit_counts_when_the_blob_is_there() {
    let other = Digest::of(b"other").to_string();
    let names_another = Answer::status(201).header("Docker-Content-Digest", &other);
    let odd = [200, 202, 203, 204, 206, 226].map(Answer::status);
    for odd in odd.into_iter().chain([names_another.clone()]) {
        let there = [Answer::fall_through(), Answer::status(200)];
        let script = push_registry()
            .on("PUT", SESSION, [odd])
            .on("HEAD", BLOB, there);
        let server = FaultServer::start(script);
        let (source, root) = image(&[]).await;
        assert_eq!(push(&server, &source, &root).await.unwrap().written, 1);
    }
    let server = FaultServer::start(push_registry().on("PUT", SESSION, [Answer::status(200)]));
    let (source, root) = image(&[]).await;
    let error = push(&server, &source, &root).await.unwrap_err().to_string();
    assert!(
        error.contains("answered 200 OK, but the blob is not there"),
        "{error}"
    );
    let server = FaultServer::start(push_registry().on("PUT", SESSION, [names_another]));
    let (source, root) = image(&[]).await;
    push(&server, &source, &root).await.unwrap_err();
}

#[tokio::test]
async fn f1_the_digest_a_registry_names_must_be_ours() {
    for status in [200, 201, 202] {
        let server =
            FaultServer::start(push_registry().on("PUT", MANIFEST, [Answer::status(status)]));
        let (source, root) = image(&[]).await;
        push(&server, &source, &root).await.unwrap();
    }
    let other = Digest::of(b"other").to_string();
    let answer = Answer::status(201).header("Docker-Content-Digest", &other);
    let server = FaultServer::start(push_registry().on("PUT", MANIFEST, [answer]));
    let (source, root) = image(&[]).await;
    let error = push(&server, &source, &root).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains(&other), "{error}");
}

#[tokio::test]
async fn r1_broken_connections_and_passing_statuses_are_retried() {
    for answers in [
        vec![Answer::drop_connection(), Answer::fall_through()],
        vec![Answer::close_after(100_000), Answer::fall_through()],
        vec![
            Answer::status(503),
            Answer::status(429),
            Answer::fall_through(),
        ],
        vec![
            Answer::error(400, "BLOB_UPLOAD_INVALID", "odd"),
            Answer::error(400, "UNKNOWN", "odd"),
            Answer::fall_through(),
        ],
    ] {
        let server = FaultServer::start(push_registry().on("PUT", SESSION, answers));
        let (source, root) = image(&[seeded_bytes(1, 1 << 20)]).await;
        assert_eq!(push(&server, &source, &root).await.unwrap().written, 2);
    }
}

#[tokio::test]
async fn r1_other_refusals_are_final() {
    let server = FaultServer::start(push_registry().on(
        "POST",
        UPLOADS,
        [Answer::error(403, "DENIED", "no pushing here")],
    ));
    let (source, root) = image(&[]).await;
    let error = push(&server, &source, &root).await.unwrap_err();
    assert_eq!(
        (error.kind(), count(&server, "POST")),
        (ErrorKind::Denied, 1)
    );
}

#[tokio::test]
async fn r3_rule_1_tries_of_a_blob_are_not_multiplied_by_its_requests() {
    let server = FaultServer::start(push_registry().on("PUT", SESSION, [Answer::status(500)]));
    let (source, root) = image(&[]).await;
    push(&server, &source, &root).await.unwrap_err();
    assert_eq!(count(&server, "PUT"), 5);
    assert_eq!(count(&server, "POST"), 5);
    assert_eq!(
        count(&server, "HEAD /v2/app/blobs"),
        5,
        "each try asks first whether the last one got through"
    );
}

#[tokio::test]
async fn r4_the_error_says_which_blob_and_what_the_registry_said_and_how_often_it_was_tried() {
    let script = push_registry().on(
        "PUT",
        SESSION,
        [Answer::error(500, "UNKNOWN", "disk on fire")],
    );
    let server = FaultServer::start(script);
    let (source, root) = image(&[]).await;
    let (options, record) = options();
    let error = push_with(&server, &source, &root, &options)
        .await
        .unwrap_err()
        .to_string();
    let blob = source.blobs().pop().unwrap();
    assert!(
        error.starts_with(&format!(
            "{}/app: blob {blob}: PUT /v2/app/blobs/uploads/",
            server.address()
        )),
        "{error}"
    );
    for part in [
        "500 Internal Server Error",
        "UNKNOWN",
        "disk on fire",
        "(after 5 tries)",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains('\n') && !error.contains('?'), "{error}");
    assert_eq!((record.retried(), record.ended_with_failure()), (4, true));
    assert_eq!(count(&server, "PUT /v2/app/manifests"), 0);
}

#[tokio::test]
async fn r4_the_first_final_error_cancels_the_rest() {
    // One blob is refused for good while the other hangs: the copy must not wait for that one.
    let hangs =
        |request: &wharf_testkit::RecordedRequest| request.header("content-length") == Some("1000");
    let script = push_registry()
        .on("PUT", SESSION, [Answer::error(403, "DENIED", "no")])
        .on_when("PUT", SESSION, hangs, [Answer::hang()]);
    let server = FaultServer::start(script);
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let error = push(&server, &source, &root).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn r5_a_registry_that_does_not_answer_is_given_up() {
    let server = FaultServer::start(push_registry().on("HEAD", MANIFEST, [Answer::hang()]));
    let timeouts = Timeouts {
        header: Duration::from_millis(100),
        ..Timeouts::default()
    };
    let client = Client::builder().timeouts(timeouts).build().unwrap();
    let store = client.repository(&format!("{}/app", server.address()).parse().unwrap());
    let error = store
        .resolve(&wharf::oci::Selector::Tag("v1".parse().unwrap()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        error
            .to_string()
            .contains("HEAD /v2/app/manifests/v1: no answer for 0.1 s"),
        "{error}"
    );
}

#[tokio::test]
async fn r6_no_more_than_jobs_blobs_are_moved_at_once() {
    // Every PUT is held for a moment; POSTs that overtake it show how many are under way.
    let slow = Answer::fall_through().after(Duration::from_millis(20));
    let server = FaultServer::start(push_registry().on("PUT", SESSION, [slow]));
    let layers: Vec<_> = (0..12).map(|n| seeded_bytes(n, 100)).collect();
    let (source, root) = image(&layers).await;
    let options = CopyOptions {
        jobs: 2,
        ..options().0
    };
    push_with(&server, &source, &root, &options).await.unwrap();
    let (mut open, mut most) = (0i32, 0);
    for line in server.lines() {
        open += i32::from(line.starts_with("POST"));
        most = most.max(open);
        open -= i32::from(line.starts_with("PUT /v2/app/blobs"));
    }
    assert!((1..=2).contains(&most), "{most}");
}

#[tokio::test]
async fn p1_what_is_complete_is_exactly_the_total() {
    let script = push_registry().on(
        "PUT",
        SESSION,
        [Answer::close_after(100_000), Answer::fall_through()],
    );
    let server = FaultServer::start(script);
    let (source, root) = image(&[seeded_bytes(1, 1 << 20), seeded_bytes(2, 10)]).await;
    let (options, record) = options();
    push_with(&server, &source, &root, &options).await.unwrap();
    let (total, complete) = record.total_and_complete();
    assert!(total > 1 << 20);
    assert_eq!(total, complete);
    assert_eq!(record.retried(), 1);
}

#[tokio::test]
async fn a_source_whose_bytes_are_wrong_is_final_and_leaves_no_manifest() {
    #[derive(Debug)]
    struct Liar(Memory);

    #[async_trait::async_trait]
    impl Source for Liar {
        async fn resolve(
            &self,
            at: &wharf::oci::Selector,
        ) -> wharf::Result<wharf::oci::Descriptor> {
            self.0.resolve(at).await
        }
        async fn manifest(&self, descriptor: &wharf::oci::Descriptor) -> wharf::Result<Manifest> {
            self.0.manifest(descriptor).await
        }
        fn blob(&self, descriptor: &wharf::oci::Descriptor) -> wharf::blob::Blob {
            let wrong = vec![b'x'; usize::try_from(descriptor.size).unwrap()];
            wharf::blob::Blob::from_bytes(descriptor.clone(), wrong.into())
        }
        async fn blob_size(&self, digest: &Digest) -> wharf::Result<u64> {
            self.0.blob_size(digest).await
        }
        async fn precheck(&self, _: &wharf::oci::Descriptor) -> wharf::Result<()> {
            Ok(())
        }
        async fn tags(
            &self,
            _: Option<&wharf::oci::Tag>,
            _: usize,
        ) -> wharf::Result<Vec<wharf::oci::Tag>> {
            Err(Error::new(ErrorKind::Unsupported, "no tags"))
        }
    }

    let server = FaultServer::start(push_registry());
    let (source, root) = image(&[seeded_bytes(1, 100_000)]).await;
    let store = repository(server.address(), "app");
    let error = copy(&Liar(source), &store, &[root], &options().0)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.failed_side()),
        (ErrorKind::Corrupt, Some(wharf::Side::Source))
    );
    assert_eq!(count(&server, "PUT /v2/app/manifests"), 0);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.method != "PUT" || !request.complete)
    );
}
