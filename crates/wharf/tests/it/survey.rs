//! Dry runs (wire.md O10), and layouts pushed as one index (wire.md O2).

use wharf::copy::{Fate, Plan, Root, RootContent, Survey, copy};
use wharf::oci::{Digest, MediaType, Selector};
use wharf::store::{Layout, Memory, Source, Store};
use wharf_testkit::{Answer, Child, FaultServer, LayerSpec, LayoutFixture, push_registry};

use crate::support::{descriptor, image, options, repository};

async fn surveyed(source: &dyn Source, store: &dyn Store, root: Root) -> Survey {
    let options = options().0;
    let plan = Plan::build(source, store, &[root], &options).await.unwrap();
    plan.survey(source, store, &options).await.unwrap()
}

#[tokio::test]
async fn o10_a_survey_says_what_a_copy_would_do_and_changes_nothing() {
    let (source, root) = image(&[vec![1; 1000], vec![2; 10]]).await;
    let there = format!("/v2/a/blobs/{}", Digest::of(&[1; 1000]));
    // Existence checks are retried as in a copy.
    let answers = [
        Answer::status(503),
        Answer::status(200).header("Content-Length", "1000"),
    ];
    let server = FaultServer::start(push_registry().on("HEAD", &there, answers));
    let store = repository(server.address(), "a");
    let manifest = descriptor(&root).clone();
    let survey = surveyed(&source, &store, root).await;
    let fates: Vec<(u64, &Fate)> = survey.blobs.iter().map(|(d, f)| (d.size, f)).collect();
    assert_eq!(fates[0], (1000, &Fate::Existing));
    assert_eq!(fates[2], (10, &Fate::Upload));
    assert_eq!(survey.count(|fate| *fate == Fate::Upload).0, 2);
    assert_eq!(survey.count(|fate| *fate == Fate::Existing), (1, 1000));
    let put = &survey.manifests[0];
    assert_eq!(put.descriptor, Some(manifest));
    assert_eq!(put.tags, ["v1".parse().unwrap()]);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| ["GET", "HEAD"].contains(&request.method.as_str())),
        "{:?}",
        server.lines()
    );
}

#[tokio::test]
async fn o10_what_the_same_registry_has_elsewhere_would_be_mounted() {
    let (memory, root) = image(&[vec![1; 1000]]).await;
    let manifest = memory.manifest(descriptor(&root)).await.unwrap();
    let read = Answer::status(200)
        .header("Content-Type", manifest.media_type().as_str())
        .body(manifest.bytes().clone());
    let script = push_registry().on("GET", "/v2/from/manifests/*", [read]);
    let server = FaultServer::start(script);
    let (from, to) = (
        repository(server.address(), "from"),
        repository(server.address(), "to"),
    );
    let survey = surveyed(&from, &to, root.clone()).await;
    let mount = Fate::Mount(from.repository().clone());
    assert!(survey.blobs.iter().all(|(_, fate)| *fate == mount));
    let elsewhere = FaultServer::start(push_registry());
    let to = repository(elsewhere.address(), "to");
    let survey = surveyed(&from, &to, root).await;
    assert_eq!(survey.count(|fate| *fate == Fate::Upload).0, 2);
}

#[tokio::test]
async fn o10_what_was_seen_elsewhere_in_the_registry_would_be_mounted() {
    let (source, root) = image(&[vec![1; 1000]]).await;
    let server = FaultServer::start(push_registry());
    let client = wharf::remote::Client::builder().build().unwrap();
    let store = |name: &str| {
        let name = format!("{}/{name}", server.address());
        client.repository(&name.parse().unwrap())
    };
    let options = options().0;
    copy(&source, &store("a"), std::slice::from_ref(&root), &options)
        .await
        .unwrap();
    let survey = surveyed(&source, &store("b"), root).await;
    let from: wharf::oci::Repository = format!("{}/a", server.address()).parse().unwrap();
    assert!(
        survey
            .blobs
            .iter()
            .all(|(_, fate)| *fate == Fate::Mount(from.clone()))
    );
}

#[tokio::test]
async fn o2_a_whole_layout_is_its_index_json_byte_for_byte() {
    let directory = tempfile::tempdir().unwrap();
    let mut fixture = LayoutFixture::new(directory.path());
    fixture.image(Some("1"), &[LayerSpec::random(1, 100)]);
    let image = fixture.child("linux/arm64", &[LayerSpec::random(2, 100)]);
    let inner = fixture.child_index(&[Child::image(&image, "linux/arm64")]);
    fixture.list(Some("1"), &inner);
    let notes = fixture.blob("text/plain", b"notes");
    fixture.list(Some("1"), &notes);

    let layout = Layout::open(directory.path()).unwrap();
    let (whole, entry) = layout.whole().unwrap();
    assert_eq!(entry.tag, Some("1".parse().unwrap()));
    let bytes = std::fs::read(directory.path().join("index.json")).unwrap();
    assert_eq!(entry.descriptor.digest, Digest::of(&bytes));
    assert_eq!(entry.descriptor.media_type, MediaType::OCI_IMAGE_INDEX);

    let store = Memory::new();
    let root = Root {
        content: RootContent::Manifest(entry.descriptor.clone()),
        tags: vec!["all".parse().unwrap()],
    };
    let summary = copy(&whole, &store, &[root], &options().0).await.unwrap();
    assert_eq!(summary.manifests, 4);
    let tag = Selector::Tag("all".parse().unwrap());
    let there = store.resolve(&tag).await.unwrap();
    let there = store.manifest(&there).await.unwrap();
    assert_eq!(there.bytes(), &bytes);
    let notes: Digest = notes.digest.parse().unwrap();
    assert!(store.blobs().contains(&notes));
}

#[test]
fn o2_a_layout_that_lists_nothing_is_no_index_to_push() {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let error = layout.whole().unwrap_err();
    assert_eq!(error.kind(), wharf::ErrorKind::NotFound);
}
