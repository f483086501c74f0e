//! The number of requests of each operation, exactly as the documentation promises.

use std::path::Path;
use std::slice::from_ref;

use wharf::copy::{Root, RootContent, copy};
use wharf::memory::RegistryMemory;
use wharf::oci::{Manifest, MediaType};
use wharf::remote::{Client, RemoteRepository};
use wharf::store::{Memory, Names, Source, Store};
use wharf_testkit::{
    Answer, FaultServer, RecordedRequest, RecordingProxy, push_registry, seeded_bytes,
};

use crate::support::{counted_registry, descriptor, image, methods, options};

fn client(memory: RegistryMemory) -> Client {
    Client::builder().memory(memory).build().unwrap()
}

fn repository(client: &Client, proxy: &RecordingProxy, name: &str) -> RemoteRepository {
    let name = format!("{}/{name}", proxy.address());
    client.repository(&name.parse().unwrap())
}

async fn push(store: &RemoteRepository, source: &Memory, root: &Root) {
    let (options, _) = options();
    copy(source, store, from_ref(root), &options).await.unwrap();
}

fn tagged(root: &Root, tag: &str) -> Root {
    Root {
        content: root.content.clone(),
        tags: vec![tag.parse().unwrap()],
    }
}

/// A client as in a new process: only the memory is kept.
fn later(directory: &Path, before: &RegistryMemory) -> Client {
    before.save();
    client(RegistryMemory::open(directory))
}

#[tokio::test]
async fn e3_cold_unchanged_and_new_tag_cost_3n_plus_5_and_1_and_2_requests() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    for n in [0, 1, 4] {
        let layers: Vec<_> = (0..n).map(|seed| seeded_bytes(seed, 1000)).collect();
        let (source, root) = image(&layers).await;
        let store = repository(
            &client(RegistryMemory::in_process()),
            &proxy,
            &format!("app{n}"),
        );
        push(&store, &source, &root).await;
        let layers = usize::try_from(n).unwrap();
        assert_eq!(methods(&proxy).len(), 3 * layers + 5, "{n} layers");
        push(&store, &source, &root).await;
        assert_eq!(methods(&proxy), ["HEAD"]);
        push(&store, &source, &tagged(&root, "v2")).await;
        assert_eq!(methods(&proxy), ["HEAD", "PUT"]);
        push(&store, &source, &tagged(&root, "v2")).await;
        assert_eq!(methods(&proxy), ["HEAD"]);
    }
}

#[tokio::test]
async fn e3_another_process_knows_what_was_there() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let memory = RegistryMemory::open(directory.path());
    push(
        &repository(&client(memory.clone()), &proxy, "app"),
        &source,
        &root,
    )
    .await;
    methods(&proxy);

    let next = later(directory.path(), &memory);
    push(
        &repository(&next, &proxy, "app"),
        &source,
        &tagged(&root, "v2"),
    )
    .await;
    assert_eq!(methods(&proxy), ["HEAD", "PUT"]);
    let next = later(directory.path(), &memory);
    push(&repository(&next, &proxy, "app"), &source, &root).await;
    assert_eq!(methods(&proxy), ["HEAD"]);
    // Remembered in one repository, and mounted from there into another.
    push(&repository(&next, &proxy, "other"), &source, &root).await;
    assert_eq!(methods(&proxy).len(), 2 + 4);
}

#[tokio::test]
async fn e4_a_wrong_memory_costs_no_more_than_asking() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let memory = RegistryMemory::in_process();
    let store = repository(&client(memory.clone()), &proxy, "app");
    memory.saw(store.repository(), descriptor(&root));
    push(&store, &source, &root).await;
    assert_eq!(methods(&proxy).len(), 3 + 5, "by digest instead of by tag");
    assert!(store.resolve(&"v1".parse().unwrap()).await.is_ok());
}

#[tokio::test]
async fn e3_a_tag_that_moves_back_to_a_known_image_costs_two_requests() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let store = repository(&client(RegistryMemory::in_process()), &proxy, "app");
    let (first, one) = image(&[seeded_bytes(1, 1000)]).await;
    let (second, two) = image(&[seeded_bytes(2, 1000)]).await;
    push(&store, &first, &one).await;
    push(&store, &second, &two).await;
    methods(&proxy);
    push(&store, &first, &one).await;
    assert_eq!(methods(&proxy), ["HEAD", "PUT"]);
}

#[tokio::test]
async fn e2_an_index_is_asked_for_by_digest_and_so_are_its_children() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let document = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_INDEX,
        "manifests": [descriptor(&root)],
    });
    let index = Manifest::parse(None, document.to_string().into()).unwrap();
    source.put_manifest(&index, Names::Child).await.unwrap();
    let index = Root {
        content: RootContent::Manifest(index.descriptor().clone()),
        tags: vec!["all".parse().unwrap()],
    };
    let store = repository(&client(RegistryMemory::in_process()), &proxy, "app");
    push(&store, &source, &index).await;
    // Two blobs; HEAD by tag, by digest, of the child; PUT of both manifests.
    assert_eq!(methods(&proxy).len(), 2 * 3 + 3 + 2);
    push(&store, &source, &index).await;
    assert_eq!(methods(&proxy), ["HEAD"]);
}

#[tokio::test]
async fn a3_a_remembered_scheme_is_used_without_a_tls_hello_and_dropped_when_it_is_wrong() {
    let server = FaultServer::start(push_registry());
    let (source, root) = image(&[]).await;
    let registry: wharf::oci::Registry = server.address().to_string().parse().unwrap();
    let (http, https) = (wharf::memory::Scheme::Http, wharf::memory::Scheme::Https);
    let memory = RegistryMemory::in_process();
    // The memory is wrong: the hello fails, plain http is found again, and remembered.
    memory.learn(&registry, wharf::memory::Fact::Scheme(https));
    let name = format!("{registry}/app").parse().unwrap();
    push(&client(memory.clone()).repository(&name), &source, &root).await;
    assert_eq!(memory.facts(&registry).scheme, Some(http));
    let before = server.requests();
    push(&client(memory).repository(&name), &source, &root).await;
    let after = server.requests();
    let connection = |request: &RecordedRequest| request.connection;
    // A hello would have used a connection of its own.
    let last = before.iter().map(connection).max().unwrap();
    assert_eq!(after.get(before.len()).map(connection), Some(last + 1));
}

#[tokio::test]
async fn a3_an_answer_that_asks_for_tls_has_both_schemes_tried_and_counts_if_it_is_the_only_one() {
    let head = "/v2/*/manifests/*";
    let script = push_registry().on("HEAD", head, [Answer::status(400)]);
    let server = FaultServer::start(script.on("GET", head, [Answer::status(404)]));
    let (source, root) = image(&[]).await;
    let registry: wharf::oci::Registry = server.address().to_string().parse().unwrap();
    let memory = RegistryMemory::in_process();
    let http = wharf::memory::Scheme::Http;
    memory.learn(&registry, wharf::memory::Fact::Scheme(http));
    let name = format!("{registry}/app").parse().unwrap();
    push(&client(memory.clone()).repository(&name), &source, &root).await;
    let heads = server.lines();
    let heads = heads
        .iter()
        .filter(|line| line.starts_with("HEAD /v2/app/manifests"));
    assert_eq!(heads.count(), 1, "sent again only to another place");
    assert_eq!(memory.facts(&registry).scheme, Some(http));
}
