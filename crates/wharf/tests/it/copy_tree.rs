//! Copies of whole trees: nested indexes, in the right order, with every digest kept.

use std::slice;
use std::time::Duration;

use wharf::ErrorKind;
use wharf::copy::{CopyOptions, Root, copy};
use wharf::oci::{Descriptor, Digest, MediaType, Selector};
use wharf::store::{Memory, Names, Source, Store};
use wharf_testkit::{Answer, FaultServer, push_registry, seeded_bytes};

use crate::support::{add_manifest, descriptor, finish, options, repository};

async fn image(source: &Memory, seed: u64) -> Descriptor {
    let layer = source.add_blob(MediaType::OCI_LAYER_GZIP, seeded_bytes(seed, 500));
    let root = finish(
        source,
        &[layer],
        serde_json::json!({ "annotations": { "seed": seed.to_string() } }),
    )
    .await;
    descriptor(&root).clone()
}

async fn index(source: &Memory, children: &[Descriptor]) -> Root {
    let document = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_INDEX, "manifests": children,
    });
    add_manifest(source, None, document.to_string()).await
}

/// An index of an image, a blob, and an index that holds the same image and another.
async fn tree(source: &Memory) -> Root {
    let (one, two) = (image(source, 1).await, image(source, 2).await);
    let inner = index(source, &[one.clone(), two]).await;
    let blob = source.add_blob(
        "application/vnd.example.notes".parse().unwrap(),
        b"notes".to_vec(),
    );
    index(source, &[one, blob, descriptor(&inner).clone()]).await
}

async fn last_child(source: &Memory, root: &Root) -> Descriptor {
    let manifest = source.manifest(descriptor(root)).await.unwrap();
    manifest.links().pop().unwrap().descriptor
}

#[tokio::test]
async fn rule_6_a_child_is_what_the_index_above_it_says() {
    type Lie = fn(&mut Descriptor);
    let lies: [(Lie, &str); 2] = [
        (
            |child| child.media_type = MediaType::OCI_IMAGE_INDEX,
            "manifest is an image, but its index states index",
        ),
        (|child| child.size += 1, "but its index states"),
    ];
    for (lie, expected) in lies {
        let (source, store) = (Memory::new(), Memory::new());
        let mut child = image(&source, 1).await;
        lie(&mut child);
        let root = index(&source, &[child]).await;
        let error = copy(&source, &store, &[root], &options().0)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(store.blobs().is_empty());
    }
}

#[tokio::test]
async fn a_tree_keeps_every_digest_and_a_second_copy_moves_nothing() {
    let (source, store) = (Memory::new(), Memory::new());
    let root = tree(&source).await;
    let first = copy(&source, &store, slice::from_ref(&root), &options().0)
        .await
        .unwrap();
    // Two layers, one config they share, and the notes.
    assert_eq!((first.written, first.manifests), (4, 4));
    assert_eq!(store.blobs(), source.blobs());
    let tag = Selector::Tag("v1".parse().unwrap());
    assert_eq!(
        store.resolve(&tag).await.unwrap().digest,
        descriptor(&root).digest
    );

    let second = copy(&source, &store, &[root], &options().0).await.unwrap();
    assert_eq!(
        (second.written, second.manifests, second.unchanged),
        (0, 0, 1)
    );
}

#[tokio::test]
async fn s6_children_go_in_parallel_within_one_bound_for_the_whole_tree() {
    let source = Memory::new();
    let mut children = Vec::new();
    for seed in 1..=8 {
        children.push(image(&source, seed).await);
    }
    let inner = index(&source, &children[4..]).await;
    children.truncate(4);
    children.push(descriptor(&inner).clone());
    let root = index(&source, &children).await;
    // Every PUT is held for a moment; POSTs that overtake it show how many are under way.
    let slow = Answer::fall_through().after(Duration::from_millis(30));
    let script = push_registry().on("PUT", "/v2/*/blobs/uploads/*", [slow]);
    let server = FaultServer::start(script);
    let options = CopyOptions {
        jobs: 3,
        ..options().0
    };
    let store = repository(server.address(), "app");
    copy(&source, &store, &[root], &options).await.unwrap();
    let (mut open, mut most) = (0i32, 0);
    for line in server.lines() {
        open += i32::from(line.starts_with("POST"));
        most = most.max(open);
        open -= i32::from(line.starts_with("PUT /v2/app/blobs"));
    }
    // Each child has one layer of its own: more than one at a time are layers of several children.
    assert!((2..=3).contains(&most), "{most}");
}

#[tokio::test]
async fn o2_children_are_put_before_the_index_and_the_tag_last() {
    let server = FaultServer::start(push_registry());
    let source = Memory::new();
    let root = tree(&source).await;
    let store = repository(server.address(), "app");
    copy(&source, &store, slice::from_ref(&root), &options().0)
        .await
        .unwrap();
    let lines = server.lines();
    let puts: Vec<&String> = lines
        .iter()
        .filter(|line| line.starts_with("PUT /v2/app/manifests/"))
        .collect();
    assert_eq!(puts.len(), 4);
    let inner = last_child(&source, &root).await;
    assert!(puts[2].ends_with(&inner.digest.to_string()), "{puts:?}");
    assert!(puts[3].ends_with("/v1"), "{puts:?}");
    let last_blob = lines
        .iter()
        .rposition(|line| line.starts_with("PUT /v2/app/blobs/"))
        .unwrap();
    let first_manifest = lines
        .iter()
        .position(|line| line.starts_with("PUT /v2/app/manifests/"))
        .unwrap();
    assert!(last_blob < first_manifest);
}

#[tokio::test]
async fn s5_a_child_that_is_missing_is_named_before_anything_is_uploaded() {
    let server = FaultServer::start(push_registry());
    let source = Memory::new();
    let there = image(&source, 1).await;
    for media_type in [MediaType::OCI_IMAGE_MANIFEST, MediaType::OCTET_STREAM] {
        let absent = Descriptor::new(media_type, Digest::of(b"absent"), 6);
        let root = index(&source, &[there.clone(), absent.clone()]).await;
        let store = repository(server.address(), "app");
        let error = copy(&source, &store, &[root], &options().0)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(
            error.to_string().contains(&absent.digest.to_string()),
            "{error}"
        );
    }
    assert!(
        server.lines().iter().all(|line| line.starts_with("HEAD")),
        "{:?}",
        server.lines()
    );
}

#[tokio::test]
async fn e2_what_is_below_a_manifest_that_is_there_is_not_asked_for() {
    let (source, store) = (Memory::new(), Memory::new());
    let root = tree(&source).await;
    let inner = last_child(&source, &root).await;
    let inner = source.manifest(&inner).await.unwrap();
    store.put_manifest(&inner, Names::Child).await.unwrap();
    let summary = copy(&source, &store, &[root], &options().0).await.unwrap();
    // The image beside the inner index is not known to be below it too.
    assert_eq!(
        (summary.written, summary.manifests, summary.unchanged),
        (3, 2, 1)
    );
}
