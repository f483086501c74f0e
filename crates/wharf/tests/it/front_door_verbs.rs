//! The verbs of the front door: what each does, how it fails, and that it tries again.

use std::path::Path;
use std::sync::Arc;

use wharf::copy::NoObserver;
use wharf::front::{Receiver, deletable};
use wharf::place::{Access, OpenedSource, OpenedStore, Place};
use wharf::store::Layout;
use wharf::{Digest, ErrorKind, Memory, Side, Source};
use wharf_testkit::{
    Answer, DockerRegistry, FaultServer, LayerSpec, LayoutFixture, Script, push_registry,
    seeded_bytes,
};

use crate::support::{
    Record, descriptor, image, options, reference, two_platforms, wharf, wharf_for,
};

fn place(text: &str, path: &Path) -> Place {
    format!("{text}:{}", path.display()).parse().unwrap()
}

#[tokio::test]
async fn an_image_is_pulled_into_a_layout_under_its_tag() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let (wharf, content) = (wharf(), descriptor(&root).clone());
    let from = reference(registry.address(), "app:1");
    wharf.push(&source, content.clone(), &from).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path().join("app")).unwrap();
    let pulled = wharf.pull(&from, &layout).await.unwrap();
    assert_eq!(pulled.descriptor.digest, content.digest);
    assert_eq!(pulled.summary.written, 2);
    let entry = layout.select(Some("1")).unwrap();
    assert_eq!(entry.descriptor.digest, content.digest);
}

#[tokio::test]
async fn fault_c10_a_copy_is_latest_in_a_registry_and_keeps_the_tag_in_a_layout() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut fixture = LayoutFixture::new(directory.path().join("from"));
    let image = fixture.image(Some("1.0"), &[LayerSpec::random(1, 500)]);
    let (from, to) = (
        place("oci", fixture.directory()),
        place("oci", &directory.path().join("to")),
    );
    let wharf = wharf();
    let registry: Place = reference(registry.address(), "app").into();
    let copied = wharf.copy(&from, &registry).await.unwrap();
    assert_eq!(copied.descriptor.digest.to_string(), image.manifest_digest);
    for (from, tag) in [(&registry, "latest"), (&from, "1.0")] {
        wharf.copy(from, &to).await.unwrap();
        let entry = Layout::open(directory.path().join("to")).unwrap();
        let entry = entry.select(Some(tag)).unwrap();
        assert_eq!(entry.descriptor.digest.to_string(), image.manifest_digest);
    }
}

#[tokio::test]
async fn a_layout_that_was_made_for_nothing_is_taken_away_again() {
    let server = FaultServer::start(push_registry());
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().join("to");
    let from: Place = reference(server.address(), "app:1").into();
    let error = wharf().copy(&from, &place("oci", &to)).await.unwrap_err();
    assert_eq!(error.failed_side(), Some(Side::Source));
    assert!(!to.exists());

    let (source, root) = image(&[]).await;
    let source = OpenedSource::new(Arc::new(source), descriptor(&root).clone());
    let (wharf, at) = (wharf(), place("oci", &to));
    let opened = wharf.destination(&at, &source, Access::Write).await;
    assert!(to.exists());
    drop(opened.unwrap());
    assert!(!to.exists());
}

#[tokio::test]
async fn a_place_that_states_no_form_is_refused_before_any_request() {
    let server = FaultServer::start(push_registry());
    let from: Place = reference(server.address(), "app:1").into();
    let to = "./app.tar".parse().unwrap();
    let error = wharf().copy(&from, &to).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(server.lines().is_empty());
}

#[tokio::test]
async fn each_of_several_opened_stores_has_its_own_observer() {
    let (good, bad) = (
        FaultServer::start(push_registry()),
        FaultServer::start(push_registry().on("PUT", "/v2/*", [Answer::status(403)])),
    );
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let source = OpenedSource::new(Arc::new(source), descriptor(&root).clone());
    let to = [
        reference(good.address(), "app:1"),
        reference(bad.address(), "app:1"),
        reference(good.address(), "app:2"),
    ];
    let wharf = wharf();
    let stores = wharf.destinations(&to, &source).unwrap();
    let tags: Vec<usize> = stores.iter().map(|store| store.tags.len()).collect();
    assert_eq!(tags, [2, 1]);
    let records = [Arc::new(Record::default()), Arc::new(Record::default())];
    let receivers = stores.iter().zip(&records).map(|(store, record)| Receiver {
        store,
        observer: Arc::clone(record) as _,
    });
    let receivers: Vec<Receiver<'_>> = receivers.collect();
    let outcomes = wharf.write_to_all(&source, &receivers).await;
    assert_eq!(outcomes[0].as_ref().unwrap().summary.manifests, 2);
    let error = outcomes[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let failed = records.each_ref().map(|record| record.ended_with_failure());
    assert_eq!(failed, [false, true]);
}

#[tokio::test]
async fn a_reference_with_another_digest_is_no_destination() {
    let (source, root) = image(&[]).await;
    let source = OpenedSource::new(Arc::new(source), descriptor(&root).clone());
    let to = format!("r.example/app@{}", Digest::of(b"something else"));
    let error = wharf().destinations(&[to.parse().unwrap()], &source);
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().starts_with(&to), "{error}");
}

#[tokio::test]
async fn what_a_write_would_do_is_asked_of_an_empty_store_too() {
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let source = OpenedSource::new(Arc::new(source), descriptor(&root).clone());
    let tags = vec!["1".parse().unwrap()];
    let nothing = OpenedStore::new(Arc::new(Memory::new()), "nothing", tags);
    let survey = wharf().plan_write(&source, &nothing).await.unwrap();
    assert_eq!((survey.blobs.len(), survey.manifests.len()), (2, 1));
}

#[tokio::test]
async fn manifest_and_config_are_given_byte_for_byte() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let (wharf, content) = (wharf(), descriptor(&root).clone());
    let at = reference(registry.address(), "app:1");
    wharf.push(&source, content.clone(), &at).await.unwrap();
    let manifest = wharf.manifest(&at).await.unwrap();
    let expected = source.manifest(&content).await.unwrap();
    assert_eq!(manifest.bytes(), expected.bytes());
    let config = wharf.config(&at).await.unwrap();
    assert_eq!(Digest::of(&config.bytes), config.descriptor.digest);
    assert!(config.bytes.starts_with(b"{\"architecture\":\"amd64\""));
}

#[tokio::test]
async fn the_platform_of_the_options_is_picked_out_of_an_index() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let (source, [amd64, arm64], index) = two_platforms().await;
    let at = reference(registry.address(), "app:all");
    wharf().push(&source, index.clone(), &at).await.unwrap();
    let all = wharf();
    let arm = wharf_for("linux/arm64");
    assert_eq!(*all.manifest(&at).await.unwrap().digest(), index.digest);
    assert_eq!(*arm.manifest(&at).await.unwrap().digest(), arm64.digest);
    let tagged = arm.tag(&at, &["arm".parse().unwrap()]).await;
    assert_eq!(tagged.unwrap().digest, arm64.digest);
    let pulled = wharf_for("linux/amd64").pull(&at, &Memory::new()).await;
    assert_eq!(pulled.unwrap().descriptor.digest, amd64.digest);

    let error = all.config(&at).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    let named = error.to_string().ends_with("linux/amd64, linux/arm64");
    assert!(named, "{error}");
    arm.config(&at).await.unwrap();
    let error = wharf_for("linux/s390x").manifest(&at).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.failed_side(), Some(Side::Source));
}

#[tokio::test]
async fn r1_reading_verbs_are_tried_again() {
    let (source, root) = image(&[]).await;
    let manifest = source.manifest(descriptor(&root)).await.unwrap();
    let config = manifest.links()[0].descriptor.clone();
    let blob = source.blob(&config).read_all(9999).await.unwrap();
    let first = || Answer::status(503);
    let found = Answer::status(200)
        .header("Content-Type", manifest.media_type().as_str())
        .body(manifest.bytes().clone());
    let blob = Answer::status(200).body(blob);
    let listed = format!(
        r#"{{"schemaVersion":2,"mediaType":"{0}","manifests":[]}}"#,
        wharf::MediaType::OCI_IMAGE_INDEX
    );
    let listed = Answer::status(200)
        .header("Content-Type", wharf::MediaType::OCI_IMAGE_INDEX.as_str())
        .body(listed);
    let script = Script::new()
        .on("GET", "/v2/", [Answer::status(200)])
        .on("GET", "/v2/*/manifests/1", [first(), found])
        .on("GET", "/v2/*/blobs/*", [first(), blob])
        .on("GET", "/v2/*/referrers/*", [first(), listed]);
    let server = FaultServer::start(script);
    let (wharf, at) = (wharf(), reference(server.address(), "app:1"));
    let read = wharf.config(&at).await.unwrap();
    assert_eq!(read.descriptor, config);
    let by_digest = at.with_digest(manifest.digest().clone());
    wharf.referrers(&by_digest).await.unwrap();
    let lines = server.lines();
    for what in ["manifests", "blobs", "referrers"] {
        let asked = lines.iter().filter(|line| line.contains(what)).count();
        assert_eq!(asked, 2, "{lines:?}");
    }
}

#[tokio::test]
async fn errors_say_whether_reading_or_writing_failed() {
    let (source, root) = image(&[]).await;
    let manifest = source.manifest(descriptor(&root)).await.unwrap();
    let found = Answer::status(200)
        .header("Content-Type", manifest.media_type().as_str())
        .body(manifest.bytes().clone());
    let script = push_registry().on("GET", "/v2/*/manifests/1", [found]).on(
        "PUT",
        "/v2/*/manifests/*",
        [Answer::status(403)],
    );
    let server = FaultServer::start(script);
    let (wharf, at) = (wharf(), server.address());
    let tags = ["2".parse().unwrap()];
    for (tag, side) in [("absent", Side::Source), ("1", Side::Destination)] {
        let image = reference(at, &format!("app:{tag}"));
        let error = wharf.tag(&image, &tags).await.unwrap_err();
        assert_eq!(error.failed_side(), Some(side), "{error}");
        assert!(error.to_string().starts_with(&format!("{at}/app: ")));
    }
    let to = reference(at, "app:1");
    for (bytes, side) in [
        (manifest.bytes().clone(), Side::Destination),
        ("no manifest".into(), Side::Source),
    ] {
        let error = wharf.put(None, bytes, &to).await.unwrap_err();
        assert_eq!(error.failed_side(), Some(side), "{error}");
    }
}

#[tokio::test]
async fn o4_a_tag_that_is_named_twice_is_put_once() {
    let (source, root) = image(&[]).await;
    let manifest = source.manifest(descriptor(&root)).await.unwrap();
    let found = Answer::status(200)
        .header("Content-Type", manifest.media_type().as_str())
        .body(manifest.bytes().clone());
    let script = push_registry().on("GET", "/v2/*/manifests/1", [found]);
    let server = FaultServer::start(script);
    let at = reference(server.address(), "app:1");
    let tags = ["3", "2", "3"].map(|tag| tag.parse().unwrap());
    wharf().tag(&at, &tags).await.unwrap();
    let lines = server.lines();
    let puts: Vec<&String> = lines
        .iter()
        .filter(|line| line.starts_with("PUT"))
        .collect();
    assert_eq!(puts, ["PUT /v2/app/manifests/3", "PUT /v2/app/manifests/2"]);
}

#[test]
fn o9_what_is_deleted_is_what_is_named() {
    let digest = Digest::of(b"x");
    for (text, expected) in [
        ("r.example/app:1".to_owned(), Some("1".to_owned())),
        (format!("r.example/app@{digest}"), Some(digest.to_string())),
        ("r.example/app".to_owned(), None),
        (format!("r.example/app:1@{digest}"), None),
    ] {
        let found = deletable(&text.parse().unwrap());
        let found = found.ok().map(|selector| selector.to_string());
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn an_observer_of_one_copy_leaves_the_other_options_alone() {
    let wharf = wharf();
    let observed = wharf.observed_by(Arc::new(NoObserver));
    let (before, after) = (wharf.options(), observed.options());
    assert_eq!(after.copy.retry, options().0.retry);
    assert_eq!(after.places.platform, before.places.platform);
}
