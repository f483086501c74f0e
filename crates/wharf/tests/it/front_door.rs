//! The front door: what a `Wharf` does, and what the pushes of one client share (wire.md O8).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use wharf::copy::Fate;
use wharf::layer::{Family, NewImage};
use wharf::oci::ImageConfig;
use wharf::store::Outcome;
use wharf::{CopyOptions, Digest, ErrorKind, Event, MediaType, Memory, Observer, Source, Wharf};
use wharf_testkit::{Answer, DockerRegistry, FaultServer, push_registry, seeded_bytes};

use crate::support::{
    SESSION, add_manifest, count, descriptor, finish, image, layer, reference, repository_name,
    wharf,
};

#[tokio::test]
async fn o8_every_operation_is_a_short_call_that_can_be_spawned() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let (wharf, at) = (wharf(), registry.address());
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let root = descriptor(&root).clone();
    let to = reference(at, "app:1");
    let all = async move {
        let survey = wharf.plan(&source, root.clone(), &to).await.unwrap();
        assert_eq!(survey.count(|fate| *fate == Fate::Upload).0, 2);
        let pushed = wharf.push(&source, root.clone(), &to).await.unwrap();
        assert_eq!(pushed.to_string(), format!("{at}/app@{}", root.digest));
        assert_eq!(pushed.summary.written, 2);

        let again = ["2".parse().unwrap(), "3".parse().unwrap()];
        assert_eq!(wharf.tag(&to, &again).await.unwrap().digest, root.digest);
        let by_digest = pushed.reference.clone();
        let bytes = source.manifest(&root).await.unwrap().bytes().clone();
        wharf
            .put(
                None,
                bytes.clone(),
                &by_digest.with_tag("4".parse().unwrap()),
            )
            .await
            .unwrap();
        wharf.put(None, bytes, &by_digest).await.unwrap();
        let store = wharf.client().repository(to.repository());
        assert_eq!(store.tags(None, 9).await.unwrap().len(), 4);

        let made = wharf.push_layer(&layer(2, 500), to.repository()).await;
        assert_eq!(made.unwrap().descriptor.size, 500);
        let blob = source.blob(&descriptor_of(b"{}"));
        let blob = wharf::blob::Blob::from_bytes(blob.descriptor().clone(), "{}".into());
        let blob = wharf.push_blob(&blob, to.repository()).await.unwrap();
        assert_eq!(blob, Outcome::Written);

        let new = NewImage {
            config: ImageConfig::default(),
            layers: vec![layer(3, 700)],
            family: Family::Oci,
        };
        let pushed = wharf.push(&Memory::new(), new, &to).await.unwrap();
        assert_eq!(pushed.summary.layers.len(), 1);
    };
    tokio::spawn(all).await.unwrap();
}

fn descriptor_of(bytes: &[u8]) -> wharf::Descriptor {
    wharf::Descriptor::new(
        MediaType::OCTET_STREAM,
        Digest::of(bytes),
        bytes.len() as u64,
    )
}

#[tokio::test]
async fn o2_an_index_is_pushed_after_its_children_and_nothing_else_is_taken_for_one() {
    let server = FaultServer::start(push_registry());
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let document = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_INDEX,
        "manifests": [descriptor(&root)],
    });
    let index = add_manifest(&source, None, document.to_string()).await;
    let (wharf, to) = (wharf(), reference(server.address(), "app:all"));
    let pushed = wharf.push_index(&source, descriptor(&index), &to).await;
    assert_eq!(pushed.unwrap().descriptor.digest, descriptor(&index).digest);
    let lines = server.lines();
    let child = format!("PUT /v2/app/manifests/{}", descriptor(&root).digest);
    let last = [child, "PUT /v2/app/manifests/all".to_owned()];
    assert_eq!(lines[lines.len() - 2..], last);

    let refused = wharf.push_index(&source, descriptor(&root), &to).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(server.lines().len(), lines.len());
}

#[tokio::test]
async fn o7_several_repositories_are_told_apart_and_tags_in_one_are_one_push() {
    let (good, bad) = (
        FaultServer::start(push_registry()),
        FaultServer::start(push_registry().on("PUT", SESSION, [Answer::status(403)])),
    );
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let (there, refused) = (good.address(), bad.address());
    let digest = Digest::of(b"something else");
    let to = [
        reference(there, "app:1"),
        reference(refused, "app:1"),
        reference(there, "app:2"),
        reference(there, &format!("other@{digest}")),
    ];
    let outcomes = wharf()
        .push_to_all(&source, descriptor(&root).clone(), &to)
        .await;
    let outcomes: Vec<_> = outcomes
        .into_iter()
        .map(|(repository, outcome)| {
            let outcome = outcome.map(|pushed| pushed.summary.manifests);
            (repository, outcome.map_err(|error| error.kind()))
        })
        .collect();
    let expected = [
        (repository_name(there, "app"), Ok(2)),
        (repository_name(refused, "app"), Err(ErrorKind::Denied)),
        (repository_name(there, "other"), Err(ErrorKind::Invalid)),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(count(&good, "POST /v2/app/"), 2, "one layer and the config");
}

#[tokio::test]
async fn o8_concurrent_pushes_over_one_client_upload_a_blob_once() {
    let slow = Answer::fall_through().after(Duration::from_millis(50));
    let server = FaultServer::start(push_registry().on("PUT", SESSION, [slow]));
    let (wharf, at) = (wharf(), server.address());
    let source = Memory::new();
    let shared = source.add_blob(MediaType::OCI_LAYER_GZIP, seeded_bytes(1, 1000));
    let mut pushes = Vec::new();
    for tag in ["a", "b", "c"] {
        let extra = serde_json::json!({ "annotations": { "which": tag } });
        let root = finish(&source, std::slice::from_ref(&shared), extra).await;
        let (wharf, source) = (wharf.clone(), source.clone());
        let to = reference(at, &format!("app:{tag}"));
        let push = async move { wharf.push(&source, descriptor(&root).clone(), &to).await };
        pushes.push(tokio::spawn(push));
    }
    let mut written = 0;
    for push in pushes {
        written += push.await.unwrap().unwrap().summary.written;
    }
    assert_eq!(
        written, 2,
        "one layer and the config, which are the same in all three"
    );
    assert_eq!(count(&server, "POST"), 2);
    assert_eq!(count(&server, "PUT /v2/app/manifests/"), 3);
}

/// Signals when the first bytes of a blob have moved.
#[derive(Debug, Default)]
struct Moving(Notify);

impl Observer for Moving {
    fn on(&self, event: Event<'_>) {
        if matches!(event, Event::Advanced(..)) {
            self.0.notify_one();
        }
    }
}

#[tokio::test]
async fn o8_dropping_a_push_cancels_its_work_and_its_sessions() {
    let server = FaultServer::start(push_registry().on("PUT", SESSION, [Answer::hang_after(10)]));
    let (source, root) = image(&[seeded_bytes(1, 1000), seeded_bytes(2, 2000)]).await;
    let (wharf, to) = (wharf(), reference(server.address(), "app:1"));
    let moving = Arc::new(Moving::default());
    let observed = wharf.observed_by(Arc::clone(&moving) as _);
    let push = tokio::spawn(async move {
        let content = descriptor(&root).clone();
        observed.push(&source, content, &to).await.map(drop)
    });
    moving.0.notified().await;
    push.abort();
    assert!(push.await.unwrap_err().is_cancelled());
    wharf.client().tidy(Duration::from_secs(20)).await;
    let lines = server.lines();
    assert!(count(&server, "POST") > 0);
    assert_eq!(
        count(&server, "DELETE"),
        count(&server, "POST"),
        "{lines:?}"
    );
    assert_eq!(count(&server, "PUT /v2/app/manifests/"), 0);

    // The client works as before, and sends nothing else.
    let other = repository_name(server.address(), "other");
    let store = wharf.client().repository(&other).single_tries();
    store.resolve(&"none".parse().unwrap()).await.unwrap_err();
    let after = server.lines();
    assert_eq!(after[lines.len()..], ["HEAD /v2/other/manifests/none"]);
}

#[tokio::test]
async fn r1_single_requests_are_tried_again_too() {
    let answers = [Answer::status(503), Answer::fall_through()];
    let script = push_registry().on("PUT", "/v2/*/manifests/*", answers);
    let server = FaultServer::start(script);
    let (source, root) = image(&[]).await;
    let manifest = source.manifest(descriptor(&root)).await.unwrap();
    let (bytes, to) = (
        manifest.bytes().clone(),
        reference(server.address(), "app:1"),
    );
    let put = wharf().put(Some(manifest.media_type()), bytes, &to).await;
    assert_eq!(put.unwrap(), *manifest.descriptor());
    let put = ["PUT /v2/app/manifests/1"; 2];
    assert_eq!(server.lines()[server.lines().len() - 2..], put);
}

#[tokio::test]
async fn r1_what_is_gone_when_deleting_it_is_tried_again_is_deleted() {
    let answers = [Answer::drop_connection(), Answer::status(404)];
    let script = push_registry().on("DELETE", "/v2/*/manifests/*", answers);
    let server = FaultServer::start(script);
    let at = reference(server.address(), "app:1");
    wharf().delete(&at).await.unwrap();
    let error = wharf().delete(&at).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn o5_what_has_another_digest_than_its_reference_is_not_sent() {
    let server = FaultServer::start(push_registry());
    let (source, root) = image(&[]).await;
    let manifest = source.manifest(descriptor(&root)).await.unwrap();
    let to = format!("app@{}", Digest::of(b"something else"));
    let to = reference(server.address(), &to);
    let error = wharf().put(None, manifest.bytes().clone(), &to).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(server.lines().is_empty());
}

#[tokio::test]
async fn o9_deleting_needs_a_tag_or_a_digest_to_be_named() {
    let server = FaultServer::start(push_registry());
    let digest = Digest::of(b"x");
    for name in ["app".to_owned(), format!("app:1@{digest}")] {
        let at = reference(server.address(), &name);
        let error = wharf().delete(&at).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    assert!(server.lines().is_empty());
}

#[test]
fn o8_the_front_door_can_be_shared() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Wharf>();
    shared::<CopyOptions>();
}
