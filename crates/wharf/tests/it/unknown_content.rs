//! Registries that refuse a manifest because content is unknown that they took, mounted, or said
//! that they have.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::slice::from_ref;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use wharf::copy::{CopyOptions, Existing, Root, RootContent, copy, copy_to_all};
use wharf::layer::{NewImage, PendingLayer};
use wharf::memory::RegistryMemory;
use wharf::oci::{Descriptor, Digest, MediaType};
use wharf::remote::{Client, RemoteRepository};
use wharf::store::{Memory, Source};
use wharf_testkit::{Answer, FaultServer, RecordedRequest, Script, push_registry, seeded_bytes};

use crate::support::{
    BLOB, MANIFEST, SESSION, UPLOADS, count, counted_registry, descriptor, destinations, image,
    lines, methods, options, repository, repository_name, two_platforms,
};

/// What a scripted registry really has, and what it says.
#[derive(Default)]
struct Ledger {
    /// `repository/digest`.
    has: HashSet<String>,
    /// What HEAD says in addition.
    claims: HashSet<String>,
    /// What is gone after the next manifest.
    collects: HashSet<String>,
    /// Whether a mount is confirmed and not made.
    pretends: bool,
    /// The code of its refusals, and whether they name the content.
    code: Option<(u16, &'static str)>,
    anonymous: bool,
}

type Shared = Arc<Mutex<Ledger>>;

fn key(repository: &str, digest: &str) -> String {
    format!("{repository}/{digest}")
}

/// The repository of a path, and its last part.
fn place(request: &RecordedRequest) -> (String, String) {
    let path = request.path().trim_start_matches("/v2/");
    let end = ["/blobs/", "/manifests/"]
        .iter()
        .find_map(|part| path.find(part));
    let last = path.rsplit('/').next().unwrap_or_default();
    (path[..end.unwrap_or(0)].to_owned(), last.to_owned())
}

/// A registry that checks the links of manifests against `ledger`.
fn checking(ledger: &Shared) -> Script {
    let of = |ledger: &Shared| Arc::clone(ledger);
    let head = of(ledger);
    let head = move |request: &RecordedRequest| {
        let (repository, digest) = place(request);
        let (ledger, key) = (head.lock().unwrap(), key(&repository, &digest));
        match ledger.has.contains(&key) || ledger.claims.contains(&key) {
            true => Answer::status(200),
            false => Answer::status(404),
        }
    };
    let commit = of(ledger);
    let commit = move |request: &RecordedRequest| {
        let digest = request.query("digest").unwrap();
        let (repository, _) = place(request);
        commit.lock().unwrap().has.insert(key(&repository, &digest));
        Answer::status(201)
    };
    let open = of(ledger);
    let open = move |request: &RecordedRequest| {
        let mount = request.query("mount").is_some();
        match mount && open.lock().unwrap().pretends {
            true => Answer::status(201),
            false => Answer::status(202).header("Location", "{path}session-{n}"),
        }
    };
    let put = of(ledger);
    let put = move |request: &RecordedRequest| put_manifest(&mut put.lock().unwrap(), request);
    push_registry()
        .on("HEAD", BLOB, [Answer::from_fn(head.clone())])
        .on("HEAD", MANIFEST, [Answer::from_fn(head)])
        .on("POST", UPLOADS, [Answer::from_fn(open)])
        .on("PUT", SESSION, [Answer::from_fn(commit)])
        .on("PUT", MANIFEST, [Answer::from_fn(put)])
}

fn put_manifest(ledger: &mut Ledger, request: &RecordedRequest) -> Answer {
    let (repository, _) = place(request);
    let gone = std::mem::take(&mut ledger.collects);
    ledger.has.retain(|key| !gone.contains(key));
    let document: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let lists = [&document["layers"], &document["manifests"]];
    let entries = lists.iter().filter_map(|list| list.as_array()).flatten();
    let config = Some(&document["config"]).filter(|config| config.is_object());
    let mut digests = entries
        .chain(config)
        .map(|entry| entry["digest"].as_str().unwrap());
    let missing = digests.find(|digest| !ledger.has.contains(&key(&repository, digest)));
    if let Some(missing) = missing {
        let (status, code) = ledger.code.unwrap_or((404, "MANIFEST_BLOB_UNKNOWN"));
        let detail = if ledger.anonymous { "" } else { missing };
        let entry =
            serde_json::json!({ "code": code, "message": "blob unknown", "detail": detail });
        let body = serde_json::json!({ "errors": [entry] }).to_string();
        let answer = Answer::status(status).header("Content-Type", "application/json");
        return answer.body(body);
    }
    let digest = format!("sha256:{}", request.body_sha256);
    ledger.has.insert(key(&repository, &digest));
    Answer::status(201)
}

fn start() -> (Shared, FaultServer) {
    let ledger = Shared::default();
    let server = FaultServer::start(checking(&ledger));
    (ledger, server)
}

/// The digests of all blobs of an image, its config last.
async fn blobs(source: &Memory, root: &Root) -> Vec<Descriptor> {
    let manifest = source.manifest(descriptor(root)).await.unwrap();
    let mut links = manifest.links();
    links.sort_by_key(|link| link.descriptor.media_type == MediaType::OCI_IMAGE_CONFIG);
    links.into_iter().map(|link| link.descriptor).collect()
}

fn puts(server: &FaultServer) -> usize {
    let lines = lines(server, "PUT").into_iter();
    lines.filter(|line| line.contains("/manifests/")).count()
}

/// What reaches the registry of a blob.
fn uploads_of(server: &FaultServer, digest: &Digest) -> usize {
    let digest = digest.to_string();
    let requests = server.requests().into_iter();
    let uploads = requests.filter(|request| request.query("digest").as_ref() == Some(&digest));
    uploads.count()
}

#[tokio::test]
async fn fault_a1_a_mount_that_was_not_made_is_sent() {
    let (ledger, server) = start();
    ledger.lock().unwrap().pretends = true;
    let (source, root) = image(&[seeded_bytes(1, 1000), seeded_bytes(2, 2000)]).await;
    let memory = RegistryMemory::in_process();
    let client = Client::builder().memory(memory.clone()).build().unwrap();
    let base = repository_name(server.address(), "base");
    let blobs = blobs(&source, &root).await;
    for blob in &blobs {
        memory.saw(&base, blob);
    }
    let app = repository_name(server.address(), "app");
    let (options, record) = options();
    let summary = copy(&source, &client.repository(&app), from_ref(&root), &options)
        .await
        .unwrap();
    assert_eq!(
        (summary.written, summary.mounted, summary.existed),
        (3, 0, 0)
    );
    assert_eq!(puts(&server), 2);
    let (total, complete) = record.total_and_complete();
    assert_eq!(total, complete);
    for blob in &blobs {
        assert_eq!(
            memory.elsewhere(&app, &blob.digest),
            None,
            "it was not there"
        );
        assert!(memory.recalls(&app, blob), "it was sent");
    }
}

#[tokio::test]
async fn fault_a1_content_that_head_goes_on_claiming_is_sent_all_the_same() {
    for (status, code, anonymous) in [
        (400, "MANIFEST_BLOB_UNKNOWN", false),
        (404, "BLOB_UNKNOWN", true),
        (404, "MANIFEST_UNKNOWN", false),
    ] {
        let (ledger, server) = start();
        let (source, root) = image(&[seeded_bytes(1, 1000), seeded_bytes(2, 2000)]).await;
        let blobs = blobs(&source, &root).await;
        {
            let mut ledger = ledger.lock().unwrap();
            ledger
                .claims
                .insert(key("app", &blobs[0].digest.to_string()));
            ledger.code = Some((status, code));
            ledger.anonymous = anonymous;
        }
        let store = repository(server.address(), "app");
        let summary = copy(&source, &store, from_ref(&root), &options().0)
            .await
            .unwrap();
        assert_eq!((summary.written, summary.existed), (3, 0), "{code}");
        for blob in &blobs {
            assert_eq!(uploads_of(&server, &blob.digest), 1, "{code}");
        }
        assert_eq!(puts(&server), 3, "{code}");
    }
}

#[tokio::test]
async fn fault_a1_a_new_tag_of_an_image_whose_blob_was_lost_costs_that_blob() {
    let Some((registry, proxy)) = counted_registry() else {
        return;
    };
    let (source, root) = image(&[seeded_bytes(1, 1000), seeded_bytes(2, 2000)]).await;
    let store = repository(proxy.address(), "app");
    copy(&source, &store, from_ref(&root), &options().0)
        .await
        .unwrap();
    let lost = &blobs(&source, &root).await[0].digest;
    let links = "docker/registry/v2/repositories/app/_layers/sha256";
    fs::remove_dir_all(registry.data_dir().join(links).join(lost.hex())).unwrap();
    methods(&proxy);

    let tagged = Root {
        tags: vec!["v2".parse().unwrap()],
        ..root.clone()
    };
    let summary = copy(&source, &store, from_ref(&tagged), &options().0)
        .await
        .unwrap();
    assert_eq!((summary.written, summary.manifests), (1, 1));
    let sent = methods(&proxy);
    // Asked by digest and put; then each blob, one of them sent and looked at, and put again.
    assert_eq!(sent[..2], ["HEAD", "PUT"]);
    assert_eq!(sent.len(), 2 + 3 + 3 + 1, "{sent:?}");
    let resolved = store.resolve(&"v2".parse().unwrap()).await.unwrap();
    assert_eq!(&resolved.digest, &descriptor(&root).digest);
    let all = blobs(&source, &root).await;
    for blob in &all {
        assert!(store.blob(blob).read_all(1 << 20).await.is_ok());
    }
    // The next tag costs two requests again.
    methods(&proxy);
    let again = Root {
        tags: vec!["v3".parse().unwrap()],
        ..root
    };
    copy(&source, &store, from_ref(&again), &options().0)
        .await
        .unwrap();
    assert_eq!(methods(&proxy), ["HEAD", "PUT"]);
}

#[tokio::test]
async fn fault_a1_a_blob_collected_between_head_and_put_is_sent() {
    let (ledger, server) = start();
    let (source, root) = image(&[seeded_bytes(1, 1000), seeded_bytes(2, 2000)]).await;
    let blobs = blobs(&source, &root).await;
    {
        let key = key("app", &blobs[0].digest.to_string());
        let mut ledger = ledger.lock().unwrap();
        ledger.has.insert(key.clone());
        ledger.collects.insert(key);
    }
    let store = repository(server.address(), "app");
    let (options, record) = options();
    let summary = copy(&source, &store, from_ref(&root), &options)
        .await
        .unwrap();
    assert_eq!((summary.written, summary.existed), (3, 0));
    assert_eq!(puts(&server), 2);
    let (total, complete) = record.total_and_complete();
    assert_eq!(total, complete);
}

#[tokio::test]
async fn fault_a1_children_that_an_index_says_are_unknown_are_put_again() {
    let (ledger, server) = start();
    let (source, images, index) = two_platforms().await;
    let key_of = |child: &Descriptor| key("app", &child.digest.to_string());
    // HEAD shows both images; the registry has neither, nor their blobs.
    ledger
        .lock()
        .unwrap()
        .claims
        .extend(images.iter().map(key_of));
    let root = Root {
        content: RootContent::Manifest(index),
        tags: vec!["all".parse().unwrap()],
    };
    let store = repository(server.address(), "app");
    let (options, record) = options();
    let summary = copy(&source, &store, from_ref(&root), &options)
        .await
        .unwrap();
    assert_eq!(
        summary.written, 3,
        "two layers and the config that both share"
    );
    assert_eq!(puts(&server), 1 + 2 + 1);
    let (total, complete) = record.total_and_complete();
    assert_eq!(total, complete);
}

#[tokio::test]
async fn fault_a1_a_copy_out_of_a_registry_repairs_all_its_destinations() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let (memory, root) = image(&[seeded_bytes(1, 1000), seeded_bytes(2, 2000)]).await;
    let source = repository(proxy.address(), "from");
    copy(&memory, &source, from_ref(&root), &options().0)
        .await
        .unwrap();
    let blobs = blobs(&memory, &root).await;
    let registries = [start(), start()];
    for ((ledger, _), lost) in registries.iter().zip(&blobs) {
        let lost = key("app", &lost.digest.to_string());
        ledger.lock().unwrap().claims.insert(lost);
    }
    let stores: Vec<RemoteRepository> = registries
        .iter()
        .map(|(_, server)| repository(server.address(), "app"))
        .collect();
    let roots = [Root {
        tags: ["v1", "v2", "v3"].map(|tag| tag.parse().unwrap()).to_vec(),
        ..root
    }];
    let to = destinations(&stores, &roots);
    for outcome in copy_to_all(&source, &to, &options().0).await {
        let summary = outcome.unwrap();
        assert_eq!((summary.written, summary.existed), (3, 0));
    }
}

#[tokio::test]
async fn fault_a1_a_refusal_that_stands_is_an_error_that_names_the_blob() {
    let (source, root) = image(&[seeded_bytes(1, 1000), seeded_bytes(2, 2000)]).await;
    let blob = blobs(&source, &root).await[0].clone();
    for anonymous in [false, true] {
        let (ledger, server) = start();
        ledger.lock().unwrap().anonymous = anonymous;
        // The registry takes this blob and does not keep it.
        let session = Answer::status(201);
        let digest = blob.digest.to_string();
        let takes =
            move |request: &RecordedRequest| request.query("digest").as_ref() == Some(&digest);
        let script = checking(&ledger).on_when("PUT", SESSION, takes, [session]);
        let server_that_drops = FaultServer::start(script);
        drop(server);
        let place = tempfile::tempdir().unwrap();
        let memory = RegistryMemory::open(place.path());
        let client = Client::builder().memory(memory.clone()).build().unwrap();
        let app = repository_name(server_that_drops.address(), "app");
        let store = client.repository(&app);
        let error = copy(&source, &store, from_ref(&root), &options().0)
            .await
            .unwrap_err();
        assert_eq!(puts(&server_that_drops), 3, "{error}");
        assert_eq!(
            error.lost_content(),
            Some(&[blob.digest.clone()][..]),
            "{error}"
        );
        assert!(
            error.to_string().contains(&blob.digest.to_string()),
            "{error}"
        );
        memory.save();
        assert!(!RegistryMemory::open(place.path()).recalls(&app, &blob));
    }
}

#[tokio::test]
async fn fault_a1_a_layer_that_was_made_on_the_way_is_made_again() {
    let (ledger, server) = start();
    let bytes = seeded_bytes(5, 3000);
    let content = bytes.clone();
    let produce = move || {
        let reader = std::io::Cursor::new(content.clone());
        async move { Ok(wharf::file::reader(reader, "test")) }.boxed()
    };
    let layer = PendingLayer::new(
        Digest::of(b"its tar"),
        3000,
        MediaType::OCI_LAYER_GZIP,
        produce,
    );
    ledger
        .lock()
        .unwrap()
        .collects
        .insert(key("app", &Digest::of(&bytes).to_string()));
    let made = NewImage {
        layers: vec![layer],
        ..NewImage::default()
    };
    let root = Root {
        content: made.into(),
        tags: vec!["v1".parse().unwrap()],
    };
    let store = repository(server.address(), "app");
    let source = Memory::new();
    let summary = copy(&source, &store, from_ref(&root), &options().0)
        .await
        .unwrap();
    assert_eq!(summary.written, 2);
    assert_eq!(
        (puts(&server), uploads_of(&server, &Digest::of(&bytes))),
        (2, 2)
    );
}

/// Cuts the file of a blob of Debian's registry off.
fn cut_off(data: &Path, digest: &Digest, length: u64) {
    let hex = digest.hex();
    let path = data.join(format!(
        "docker/registry/v2/blobs/sha256/{}/{hex}/data",
        &hex[..2]
    ));
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(length)
        .unwrap();
}

#[tokio::test]
async fn fault_a2_a_blob_that_the_registry_keeps_cut_off_fails_the_push() {
    let Some((registry, proxy)) = counted_registry() else {
        return;
    };
    let (source, root) = image(&[seeded_bytes(1, 3_001_190)]).await;
    let client = Client::builder().build().unwrap();
    let repositories = ["app", "base"].map(|name| repository_name(proxy.address(), name));
    for name in &repositories {
        let store = client.repository(name);
        copy(&source, &store, from_ref(&root), &options().0)
            .await
            .unwrap();
    }
    let blob = &blobs(&source, &root).await[0];
    cut_off(&registry.data_dir(), &blob.digest, 1000);
    let before = proxy.lines().len();
    let options = CopyOptions {
        existing: Existing::Check,
        ..options().0
    };
    let store = client.repository(&repositories[0]);
    let error = copy(&source, &store, from_ref(&root), &options)
        .await
        .unwrap_err();
    let expected = format!(
        "{}: the registry keeps 1000 bytes of blob {} of 3001190 and takes no others",
        repositories[0], blob.digest
    );
    assert_eq!(error.to_string(), expected);
    let mounts = proxy.lines().split_off(before);
    assert!(
        !mounts.iter().any(|line| line.contains("mount=")),
        "{mounts:?}"
    );
}

#[tokio::test]
async fn fault_a2_a_blob_of_wrong_length_is_not_mounted_and_what_replaces_it_is_looked_at() {
    let there = |length: usize| Answer::status(200).header("Content-Length", &length.to_string());
    let (source, root) = image(&[seeded_bytes(1, 2000)]).await;
    let blob = blobs(&source, &root).await[0].clone();
    // HEAD shows 10 bytes, and all of them after the upload.
    let path = format!("/v2/app/blobs/{}", blob.digest);
    let script = push_registry().on("HEAD", &path, [there(10), there(2000)]);
    let server = FaultServer::start(script);
    let memory = RegistryMemory::in_process();
    memory.saw(&repository_name(server.address(), "base"), &blob);
    let client = Client::builder().memory(memory).build().unwrap();
    let store = client.repository(&repository_name(server.address(), "app"));
    let summary = copy(&source, &store, from_ref(&root), &options().0)
        .await
        .unwrap();
    assert_eq!((summary.written, summary.mounted), (2, 0));
    assert_eq!(count(&server, &format!("HEAD {path}")), 2);
    assert!(
        !lines(&server, "POST")
            .iter()
            .any(|line| line.contains("mount="))
    );
}
