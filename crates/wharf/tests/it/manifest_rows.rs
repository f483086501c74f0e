//! wire.md, sections 1 and 6: manifests, tags and referrers, against a scripted registry that
//! stores manifests, and against Debian's `docker-registry`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future;
use serde_json::{Value, json};
use wharf::ErrorKind;
use wharf::copy::copy;
use wharf::oci::{Descriptor, Digest, Manifest, MediaType, Selector, Tag};
use wharf::remote::{Client, ReferrersFallback, RemoteRepository};
use wharf::store::{Memory, Names, Source, Store};
use wharf_testkit::{
    Answer, DockerRegistry, FaultServer, RecordedRequest, Script, push_registry, seeded_bytes,
};

use crate::support::{MANIFEST, TAKES, image, lines, options, repository};

const REFERRERS: &str = "/v2/*/referrers/*";
const EMPTY: &[u8] = b"{}";

/// The manifests of a registry, by name: bytes and media type.
type Kept = Arc<Mutex<BTreeMap<String, (Bytes, String)>>>;

fn name(request: &RecordedRequest) -> String {
    request.path().rsplit('/').next().unwrap().to_owned()
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", Digest::of(bytes))
}

/// Whether a registry checks conditions and sends entity tags.
#[derive(Clone, Copy, PartialEq)]
enum Conditions {
    None,
    /// It sends entity tags and ignores conditions.
    Ignored,
    Decided,
}

/// A registry that stores manifests under their names, and has no referrers API.
fn keeping(kept: &Kept, conditions: Conditions) -> Script {
    let (get, put, gone) = (Arc::clone(kept), Arc::clone(kept), Arc::clone(kept));
    let get = Answer::from_fn(move |request| {
        let Some((bytes, kind)) = get.lock().unwrap().get(&name(request)).cloned() else {
            return Answer::error(404, "MANIFEST_UNKNOWN", "no");
        };
        let answer = Answer::status(200)
            .header("Content-Type", &kind)
            .header("Docker-Content-Digest", &Digest::of(&bytes).to_string());
        let answer = match conditions {
            Conditions::None => answer,
            _ => answer.header("ETag", &etag(&bytes)),
        };
        answer.body(bytes)
    });
    let put = Answer::from_fn(move |request| {
        let mut kept = put.lock().unwrap();
        let there = kept.get(&name(request)).map(|(bytes, _)| etag(bytes));
        let fails = match (request.header("if-match"), request.header("if-none-match")) {
            (Some(wanted), _) => there.as_deref() != Some(wanted),
            (None, Some("*")) => there.is_some(),
            _ => false,
        };
        if fails && conditions == Conditions::Decided {
            return Answer::error(412, "DENIED", "changed meanwhile");
        }
        let kind = request.header("content-type").unwrap().to_owned();
        let digest = Digest::of(&request.body).to_string();
        kept.insert(digest.clone(), (request.body.clone(), kind.clone()));
        kept.insert(name(request), (request.body.clone(), kind));
        Answer::status(201).header("Docker-Content-Digest", &digest)
    });
    let delete =
        Answer::from_fn(
            move |request| match gone.lock().unwrap().remove(&name(request)) {
                Some(_) => Answer::status(202),
                None => Answer::error(404, "MANIFEST_UNKNOWN", "no"),
            },
        );
    push_registry()
        .on("GET", MANIFEST, [get.clone()])
        .on("HEAD", MANIFEST, [get])
        .on("PUT", MANIFEST, [put])
        .on("DELETE", MANIFEST, [delete])
        .on(
            "GET",
            REFERRERS,
            [Answer::error(404, "UNSUPPORTED", "no such endpoint")],
        )
}

/// Makes the server identify itself as the embedded registry.
fn ours(server: Script) -> Script {
    let own = Answer::status(200).header("Wharf-Takes", TAKES);
    server.on("HEAD", "/v2/*/manifests/named", [own])
}

fn descriptor(kind: MediaType, bytes: &[u8]) -> Descriptor {
    Descriptor::new(kind, Digest::of(bytes), bytes.len() as u64)
}

fn subject() -> Descriptor {
    descriptor(MediaType::OCI_IMAGE_MANIFEST, b"a subject")
}

/// The `number`th referrer of the subject.
fn referrer(number: usize) -> Manifest {
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE_MANIFEST,
        "artifactType": "application/x.test",
        "config": descriptor("application/vnd.oci.empty.v1+json".parse().unwrap(), EMPTY),
        "layers": [],
        "subject": subject(),
        "annotations": {"number": number.to_string()},
    });
    Manifest::parse(None, Bytes::from(document.to_string())).unwrap()
}

/// Puts the `number`th referrer.
async fn attach(store: &RemoteRepository, number: usize) -> wharf::Result<()> {
    store.put_manifest(&referrer(number), Names::Child).await
}

fn fallback() -> String {
    subject().digest.to_string().replace(':', "-")
}

/// The digests listed under the fallback tag.
fn listed(kept: &Kept) -> Vec<String> {
    let kept = kept.lock().unwrap();
    let Some((bytes, kind)) = kept.get(&fallback()) else {
        return Vec::new();
    };
    assert_eq!(*kind, MediaType::OCI_IMAGE_INDEX.to_string());
    let index: Value = serde_json::from_slice(bytes).unwrap();
    let entries = index["manifests"].as_array().unwrap();
    let digests = entries
        .iter()
        .map(|entry| entry["digest"].as_str().unwrap().to_owned());
    digests.collect()
}

fn store(address: SocketAddr) -> RemoteRepository {
    repository(address, "app")
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

#[tokio::test]
async fn o4_o6_further_tags_are_puts_of_the_same_bytes_and_nothing_else() {
    let kept = Kept::default();
    let server = FaultServer::start(keeping(&kept, Conditions::None));
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let (options, _) = options();
    let store = store(server.address());
    copy(&source, &store, &[root], &options).await.unwrap();
    let before = server.requests().len();
    let at = Selector::Tag(tag("v1"));
    let manifest = store
        .manifest(&store.resolve(&at).await.unwrap())
        .await
        .unwrap();
    store
        .put_manifest(&manifest, Names::Root(&[tag("a"), tag("b")]))
        .await
        .unwrap();
    let after = server.lines().split_off(before);
    assert_eq!(
        after[2..],
        ["PUT /v2/app/manifests/a", "PUT /v2/app/manifests/b"]
    );
    assert!(
        after[..2].iter().all(|line| line.contains("/manifests/")),
        "{after:?}"
    );
    let kept = kept.lock().unwrap();
    assert_eq!(kept["a"], kept["v1"]);
    assert_eq!(kept["b"].0, *manifest.bytes());
}

#[tokio::test]
async fn o6_several_tags_are_one_put_where_that_is_known_to_work() {
    let both = Answer::status(201)
        .header("OCI-Tag", "a")
        .header("OCI-Tag", "b");
    let script = ours(push_registry()).on_when(
        "PUT",
        MANIFEST,
        |request| request.query("tag").is_some(),
        [both],
    );
    let server = FaultServer::start(script);
    let store = store(server.address());
    let named = Selector::Tag(tag("named"));
    store.resolve(&named).await.unwrap_err();
    let manifest = referrerless();
    store
        .put_manifest(&manifest, Names::Root(&[tag("a"), tag("b"), tag("c")]))
        .await
        .unwrap();
    // The tag that it did not confirm is put by itself.
    let digest = manifest.digest();
    let expected = [
        format!("PUT /v2/app/manifests/{digest}?tag=a&tag=b&tag=c"),
        "PUT /v2/app/manifests/c".to_owned(),
    ];
    assert_eq!(lines(&server, "PUT"), expected);
}

fn referrerless() -> Manifest {
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE_INDEX,
        "manifests": [],
    });
    Manifest::parse(None, Bytes::from(document.to_string())).unwrap()
}

#[tokio::test]
async fn o5_a_manifest_is_put_by_tag_or_digest_as_what_it_is() {
    let kept = Kept::default();
    let server = FaultServer::start(keeping(&kept, Conditions::None));
    let store = store(server.address());
    let plain = Bytes::from_static(br#"{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#);
    let manifest = Manifest::parse(Some(&MediaType::DOCKER_MANIFEST), plain.clone()).unwrap();
    store.put_manifest(&manifest, Names::Child).await.unwrap();
    store
        .put_manifest(&manifest, Names::Root(&[tag("t")]))
        .await
        .unwrap();
    let by_digest = format!("PUT /v2/app/manifests/{}", manifest.digest());
    assert_eq!(
        server.lines(),
        [by_digest, "PUT /v2/app/manifests/t".to_owned()]
    );
    let kept = kept.lock().unwrap();
    assert_eq!(kept["t"], (plain, MediaType::DOCKER_MANIFEST.to_string()));
}

#[tokio::test]
async fn o9_a_tag_or_a_manifest_is_deleted() {
    let kept = Kept::default();
    let server = FaultServer::start(keeping(&kept, Conditions::None));
    let store = store(server.address());
    let manifest = referrerless();
    store
        .put_manifest(&manifest, Names::Root(&[tag("t")]))
        .await
        .unwrap();
    store.delete(&Selector::Tag(tag("t"))).await.unwrap();
    let digest = Selector::Digest(manifest.digest().clone());
    store.delete(&digest).await.unwrap();
    assert!(kept.lock().unwrap().is_empty());
    let error = store.delete(&digest).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn o9_a_registry_that_deletes_nothing_is_explained() {
    for refusal in [
        Answer::error(405, "UNSUPPORTED", "The operation is unsupported."),
        Answer::error(400, "UNSUPPORTED", "no"),
    ] {
        let server = FaultServer::start(push_registry().on("DELETE", MANIFEST, [refusal]));
        let error = store(server.address())
            .delete(&Selector::Tag(tag("t")))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("by its digest"), "{error}");
    }
}

#[tokio::test]
async fn f1_rule_8_odd_successes_count_when_the_manifest_is_there() {
    let kept = Kept::default();
    let quiet = Answer::status(204);
    let server =
        FaultServer::start(keeping(&kept, Conditions::None).on("PUT", MANIFEST, [quiet.clone()]));
    let error = store(server.address())
        .put_manifest(&referrerless(), Names::Root(&[tag("t")]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    let why = "answered 204 No Content, but the manifest is not there";
    assert!(error.to_string().ends_with(why), "{error}");
    let bytes = referrerless().bytes().clone();
    kept.lock().unwrap().insert(
        "t".to_owned(),
        (bytes, MediaType::OCI_IMAGE_INDEX.to_string()),
    );
    store(server.address())
        .put_manifest(&referrerless(), Names::Root(&[tag("t")]))
        .await
        .unwrap();
}

#[tokio::test]
async fn f2_a_registry_that_names_the_subject_is_not_asked_for_more() {
    let done = Answer::status(201).header("OCI-Subject", &subject().digest.to_string());
    let server = FaultServer::start(push_registry().on("PUT", MANIFEST, [done]));
    store(server.address())
        .put_manifest(&referrer(1), Names::Child)
        .await
        .unwrap();
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn f2_whether_a_registry_lists_referrers_is_asked_once() {
    let list =
        json!({"schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_INDEX, "manifests": []});
    let list = Answer::status(200)
        .header("Content-Type", MediaType::OCI_IMAGE_INDEX.as_str())
        .body(list.to_string());
    let server = FaultServer::start(push_registry().on("GET", REFERRERS, [list]));
    let store = store(server.address());
    let manifests: Vec<Manifest> = (0..5).map(referrer).collect();
    let puts = manifests
        .iter()
        .map(|manifest| store.put_manifest(manifest, Names::Child));
    for put in future::join_all(puts).await {
        put.unwrap();
    }
    assert_eq!(lines(&server, "GET /v2/app/referrers/").len(), 1);
    assert_eq!(server.lines().len(), 6);
}

#[tokio::test]
async fn f2_answers_that_are_no_list_mean_that_there_is_none() {
    for answer in [
        Answer::status(400),
        Answer::status(404),
        Answer::status(405),
        Answer::status(406),
        Answer::status(200)
            .header("Content-Type", "text/html")
            .body("<html>"),
    ] {
        let kept = Kept::default();
        let script = keeping(&kept, Conditions::None).on("GET", REFERRERS, [answer.clone()]);
        let server = FaultServer::start(script);
        store(server.address())
            .put_manifest(&referrer(1), Names::Child)
            .await
            .unwrap();
        assert_eq!(
            listed(&kept),
            [referrer(1).digest().to_string()],
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn fault_a3_a_header_that_names_another_digest_teaches_nothing() {
    let other = Digest::of(b"another").to_string();
    for said in ["", "true", "sha256:00", other.as_str()] {
        let kept = Kept::default();
        let by_digest = format!("/v2/app/manifests/{}", referrer(1).digest());
        let done = Answer::status(201).header("OCI-Subject", said);
        let script = keeping(&kept, Conditions::None).on("PUT", &by_digest, [done]);
        let server = FaultServer::start(script);
        let store = store(server.address());
        for number in [1, 2] {
            attach(&store, number).await.unwrap();
        }
        let mut expected = [1, 2].map(|number| referrer(number).digest().to_string());
        expected.sort();
        assert_eq!(listed(&kept), expected, "{said:?}");
    }
}

#[tokio::test]
async fn fault_a3_a_header_speaks_of_its_own_manifest_only() {
    let kept = Kept::default();
    let by_digest = format!("/v2/app/manifests/{}", referrer(1).digest());
    let done = Answer::status(201).header("OCI-Subject", &subject().digest.to_string());
    let script = keeping(&kept, Conditions::None).on("PUT", &by_digest, [done]);
    let server = FaultServer::start(script);
    let store = store(server.address());
    for number in [1, 2] {
        attach(&store, number).await.unwrap();
    }
    assert_eq!(listed(&kept), [referrer(2).digest().to_string()]);
    assert_eq!(lines(&server, "GET /v2/app/referrers/").len(), 1);
}

#[tokio::test]
async fn fault_a3_an_index_type_without_manifests_is_no_list_of_referrers() {
    for body in [
        "",
        "{}",
        r#"{"schemaVersion":2}"#,
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","layers":[]}"#,
        "<!DOCTYPE html><html><title>Sign in</title></html>",
    ] {
        let answer = Answer::status(200)
            .header("Content-Type", MediaType::OCI_IMAGE_INDEX.as_str())
            .body(body);
        let kept = Kept::default();
        let script = keeping(&kept, Conditions::None).on("GET", REFERRERS, [answer]);
        let server = FaultServer::start(script);
        let store = store(server.address());
        store
            .put_manifest(&referrer(1), Names::Child)
            .await
            .unwrap();
        assert_eq!(listed(&kept), [referrer(1).digest().to_string()], "{body}");
        let found = store.referrers(&subject().digest).await.unwrap();
        assert_eq!(found.len(), 1, "{body}");
    }
}

#[tokio::test]
async fn fault_a3_a_list_that_becomes_something_else_is_an_error() {
    let page = |body: &'static str| {
        Answer::status(200)
            .header("Content-Type", MediaType::OCI_IMAGE_INDEX.as_str())
            .body(body)
    };
    let pages = [page(r#"{"schemaVersion":2,"manifests":[]}"#), page("{}")];
    let server = FaultServer::start(push_registry().on("GET", REFERRERS, pages));
    let store = store(server.address());
    assert_eq!(store.referrers(&subject().digest).await.unwrap(), []);
    let error = store.referrers(&subject().digest).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[tokio::test]
async fn fault_a3_another_host_does_not_say_what_a_registry_takes() {
    let takes = Answer::status(404).header("Wharf-Takes", TAKES);
    let other = FaultServer::start(Script::new().on("*", "*", [takes]));
    let moved = Answer::status(307).header("Location", &format!("{}{{path}}", other.base()));
    let server = FaultServer::start(push_registry().on("HEAD", MANIFEST, [moved]));
    let store = store(server.address());
    let named = Selector::Tag(tag("named"));
    store.resolve(&named).await.unwrap_err();
    assert_eq!(other.lines().len(), 1);
    let tags = [tag("a"), tag("b")];
    let root = referrerless();
    let put = store.put_manifest(&root, Names::Root(&tags));
    put.await.unwrap();
    let expected = ["PUT /v2/app/manifests/a", "PUT /v2/app/manifests/b"];
    assert_eq!(lines(&server, "PUT"), expected);
}

#[tokio::test]
async fn fault_a3_conditions_are_decided_where_the_write_says_so() {
    let path = format!("/v2/app/manifests/{}", fallback());
    for (said, reads) in [(false, 3), (true, 1)] {
        let kept = Kept::default();
        // Every answer but that to the write says it.
        let script = ours(keeping(&kept, Conditions::Decided));
        let writing = Arc::clone(&kept);
        let write = Answer::from_fn(move |request| {
            let kind = MediaType::OCI_IMAGE_INDEX.to_string();
            let kept = (request.body.clone(), kind);
            writing.lock().unwrap().insert(fallback(), kept);
            match said {
                true => Answer::status(201).header("Wharf-Takes", TAKES),
                false => Answer::status(201),
            }
        });
        let server = FaultServer::start(script.on("PUT", &path, [write]));
        let store = store(server.address());
        let named = Selector::Tag(tag("named"));
        store.resolve(&named).await.unwrap_err();
        attach(&store, 1).await.unwrap();
        assert_eq!(
            lines(&server, &format!("GET {path}")).len(),
            reads,
            "{said}"
        );
    }
}

/// A registry that reads the tag of a list as the digest in it.
fn reading_tags_as_digests(kept: &Kept) -> Script {
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE_INDEX,
        "manifests": [referrer(7).referrer_descriptor()],
    });
    let kind = MediaType::OCI_IMAGE_INDEX.to_string();
    let bytes = Bytes::from(document.to_string());
    kept.lock()
        .unwrap()
        .insert(fallback_of(&bytes), (bytes, kind));
    keeping(kept, Conditions::None)
}

fn fallback_of(subject: &[u8]) -> String {
    Digest::of(subject).to_string().replace(':', "-")
}

#[tokio::test]
async fn fault_a4_a_tag_that_is_read_as_the_subject_itself_is_not_written() {
    let kept = Kept::default();
    let server = FaultServer::start(reading_tags_as_digests(&kept));
    let there = kept.lock().unwrap().clone();
    let (name, (bytes, kind)) = there.into_iter().next().unwrap();
    let subject = descriptor(MediaType::OCI_IMAGE_INDEX, &bytes);
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE_INDEX,
        "manifests": [],
        "subject": subject,
    });
    let manifest = Manifest::parse(None, Bytes::from(document.to_string())).unwrap();
    let store = store(server.address());
    let put = store.put_manifest(&manifest, Names::Child);
    let error = put.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let message = error.to_string();
    assert!(message.contains("cannot list referrers"), "{error}");
    assert!(!message.contains("tries"), "{error}");
    let listed = store.referrers(&subject.digest).await.unwrap_err();
    assert!(
        listed.to_string().contains("cannot list referrers"),
        "{listed}"
    );
    assert_eq!(kept.lock().unwrap()[&name], (bytes, kind));
    assert_eq!(
        lines(&server, &format!("PUT /v2/app/manifests/{name}")),
        [""; 0]
    );
    // It is deleted like any other.
    let at = Selector::Digest(manifest.digest().clone());
    store.delete(&at).await.unwrap();
}

#[tokio::test]
async fn fault_a4_a_list_that_no_write_changes_is_not_competition() {
    let path = format!("/v2/app/manifests/{}", fallback());
    for there in [false, true] {
        let kept = Kept::default();
        if there {
            let list = json!({
                "schemaVersion": 2,
                "manifests": [referrer(9).referrer_descriptor()],
            });
            let kind = MediaType::OCI_IMAGE_INDEX.to_string();
            let list = (list.to_string().into(), kind);
            kept.lock().unwrap().insert(fallback(), list);
        }
        let ignored = Answer::status(201);
        let script = keeping(&kept, Conditions::None).on("PUT", &path, [ignored]);
        let server = FaultServer::start(script);
        let store = store(server.address());
        let error = attach(&store, 1).await.unwrap_err();
        assert!(
            error.to_string().contains("does not keep the list"),
            "{error}"
        );
        assert_eq!(lines(&server, &format!("PUT {path}")).len(), 2, "{there}");
    }
}

#[tokio::test]
async fn fault_a4_a_list_that_is_read_from_an_old_copy_for_a_moment_is_kept() {
    let kept = Kept::default();
    let path = format!("/v2/app/manifests/{}", fallback());
    let old = || Answer::error(404, "MANIFEST_UNKNOWN", "not yet");
    // Before the write, and right after it.
    let reads = [old(), old(), Answer::fall_through()];
    let script = keeping(&kept, Conditions::None).on("GET", &path, reads);
    let server = FaultServer::start(script);
    let store = store(server.address());
    attach(&store, 1).await.unwrap();
    assert_eq!(listed(&kept), [referrer(1).digest().to_string()]);
    assert_eq!(lines(&server, &format!("PUT {path}")).len(), 1);
}

#[tokio::test]
async fn f3_a_referrer_is_listed_under_the_tag_with_what_it_is() {
    let kept = Kept::default();
    let server = FaultServer::start(keeping(&kept, Conditions::None));
    let store = store(server.address());
    for number in [1, 2, 1] {
        store
            .put_manifest(&referrer(number), Names::Child)
            .await
            .unwrap();
    }
    let mut expected = [1, 2].map(|number| referrer(number).digest().to_string());
    expected.sort();
    assert_eq!(listed(&kept), expected);
    let found = store.referrers(&subject().digest).await.unwrap();
    let first = found
        .iter()
        .find(|found| found.digest == *referrer(1).digest())
        .unwrap();
    assert_eq!(
        first.artifact_type,
        Some("application/x.test".parse().unwrap())
    );
    assert_eq!(first.annotations["number"], "1");
    assert_eq!(first.size, referrer(1).size());
}

#[tokio::test]
async fn f3_what_is_under_the_tag_and_no_list_is_left_alone() {
    let kept = Kept::default();
    let other = (
        Bytes::from_static(b"{\"schemaVersion\":1}"),
        "application/json".to_owned(),
    );
    kept.lock().unwrap().insert(fallback(), other.clone());
    let server = FaultServer::start(keeping(&kept, Conditions::None));
    let error = store(server.address())
        .put_manifest(&referrer(1), Names::Child)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("not a list of referrers"),
        "{error}"
    );
    assert_eq!(kept.lock().unwrap()[&fallback()], other);
}

#[tokio::test]
async fn f3_the_list_can_be_refused() {
    let kept = Kept::default();
    let server = FaultServer::start(keeping(&kept, Conditions::None));
    let client = Client::builder()
        .referrers_fallback(ReferrersFallback::Refuse)
        .build()
        .unwrap();
    let store = client.repository(&format!("{}/app", server.address()).parse().unwrap());
    let error = store
        .put_manifest(&referrer(1), Names::Child)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(!kept.lock().unwrap().contains_key(&fallback()));
}

async fn storm(conditions: Conditions, writers: usize, each: usize) {
    let kept = Kept::default();
    let server = FaultServer::start(keeping(&kept, conditions));
    // Clients that share nothing, like processes.
    let attach = (0..writers).map(|writer| {
        let store = store(server.address());
        async move {
            for number in 0..each {
                let manifest = referrer(writer * each + number);
                store.put_manifest(&manifest, Names::Child).await.unwrap();
            }
        }
    });
    future::join_all(attach).await;
    let mut expected: Vec<String> = (0..writers * each)
        .map(|number| referrer(number).digest().to_string())
        .collect();
    expected.sort();
    assert_eq!(listed(&kept), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_rule_9_nothing_is_lost_without_conditions() {
    storm(Conditions::None, 6, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_rule_9_nothing_is_lost_where_conditions_are_ignored() {
    storm(Conditions::Ignored, 6, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f4_rule_9_nothing_is_lost_where_conditions_are_decided() {
    storm(Conditions::Decided, 6, 3).await;
}

#[tokio::test]
async fn f4_one_client_changes_a_list_in_turns() {
    let kept = Kept::default();
    let server = FaultServer::start(keeping(&kept, Conditions::None));
    let store = store(server.address());
    let manifests: Vec<Manifest> = (0..4).map(referrer).collect();
    let puts = manifests
        .iter()
        .map(|manifest| store.put_manifest(manifest, Names::Child));
    for put in future::join_all(puts).await {
        put.unwrap();
    }
    assert_eq!(listed(&kept).len(), 4);
    assert_eq!(
        lines(&server, &format!("PUT /v2/app/manifests/{}", fallback())).len(),
        4
    );
}

#[tokio::test]
async fn f4_rule_9_an_entry_that_vanishes_is_listed_again() {
    let kept = Kept::default();
    let script = keeping(&kept, Conditions::None);
    // Another writer, which has not seen ours, writes once, right after us.
    let (overwritten, once) = (Arc::clone(&kept), Mutex::new(true));
    let interfering = Answer::from_fn(move |request| {
        let mut kept = overwritten.lock().unwrap();
        let kind = MediaType::OCI_IMAGE_INDEX.to_string();
        let mut bytes = request.body.clone();
        if std::mem::take(&mut *once.lock().unwrap()) {
            let list = json!({
                "schemaVersion": 2,
                "manifests": [referrer(9).referrer_descriptor()],
            });
            bytes = list.to_string().into();
        }
        kept.insert(fallback(), (bytes, kind));
        Answer::status(201)
    });
    let path = format!("/v2/app/manifests/{}", fallback());
    let server = FaultServer::start(script.on("PUT", &path, [interfering]));
    store(server.address())
        .put_manifest(&referrer(1), Names::Child)
        .await
        .unwrap();
    let mut expected = [1, 9].map(|number| referrer(number).digest().to_string());
    expected.sort();
    assert_eq!(listed(&kept), expected);
}

#[tokio::test]
async fn f5_trouble_with_the_list_does_not_put_the_manifest_again() {
    let kept = Kept::default();
    let path = format!("/v2/app/manifests/{}", fallback());
    let trouble = [
        Answer::status(503),
        Answer::drop_connection(),
        Answer::fall_through(),
    ];
    let script = keeping(&kept, Conditions::None).on("PUT", &path, trouble);
    let server = FaultServer::start(script);
    let memory = Memory::new();
    memory.add_blob("application/vnd.oci.empty.v1+json".parse().unwrap(), EMPTY);
    memory
        .put_manifest(&referrer(1), Names::Child)
        .await
        .unwrap();
    let (options, _) = options();
    let root = wharf::copy::Root {
        content: wharf::copy::RootContent::Manifest(referrer(1).descriptor().clone()),
        tags: Vec::new(),
    };
    copy(&memory, &store(server.address()), &[root], &options)
        .await
        .unwrap();
    assert_eq!(listed(&kept), [referrer(1).digest().to_string()]);
    let by_digest = format!("PUT /v2/app/manifests/{}", referrer(1).digest());
    assert_eq!(lines(&server, &by_digest).len(), 1);
}

#[tokio::test]
async fn f5_trouble_with_the_list_has_an_end() {
    let path = format!("/v2/app/manifests/{}", fallback());
    let trouble = [Answer::status(500)];
    for (method, path) in [("PUT", path.as_str()), ("GET", REFERRERS)] {
        let kept = Kept::default();
        let script = keeping(&kept, Conditions::None).on(method, path, trouble.clone());
        let server = FaultServer::start(script);
        let client = Client::builder().list_tries(2.try_into().unwrap());
        let name = format!("{}/app", server.address()).parse().unwrap();
        let store = client.build().unwrap().repository(&name);
        let error = store
            .put_manifest(&referrer(1), Names::Child)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server, "{error}");
        assert!(error.to_string().ends_with("(after 2 tries)"), "{error}");
        let list = ["sha256-", "referrers"];
        let mut asked = lines(&server, &format!("{method} /v2/app/"));
        asked.retain(|line| list.iter().any(|part| line.contains(part)));
        assert_eq!(asked.len(), 2, "{asked:?}");
    }
}

#[tokio::test]
async fn f5_a_referrer_that_is_deleted_is_listed_no_more() {
    let kept = Kept::default();
    let server = FaultServer::start(keeping(&kept, Conditions::None));
    let store = store(server.address());
    for number in [1, 2] {
        store
            .put_manifest(&referrer(number), Names::Child)
            .await
            .unwrap();
    }
    let delete = async |number| {
        let at = Selector::Digest(referrer(number).digest().clone());
        store.delete(&at).await.unwrap();
    };
    delete(1).await;
    assert_eq!(listed(&kept), [referrer(2).digest().to_string()]);
    delete(2).await;
    assert!(!kept.lock().unwrap().contains_key(&fallback()));
    assert_eq!(store.referrers(&subject().digest).await.unwrap(), []);
}

#[tokio::test]
async fn f5_a_deletion_whose_answer_was_lost_is_finished() {
    let kept = Kept::default();
    let by_digest = format!("/v2/app/manifests/{}", referrer(1).digest());
    let gone = Arc::clone(&kept);
    let lost = Answer::from_fn(move |request| {
        gone.lock().unwrap().remove(&name(request));
        Answer::drop_connection()
    });
    let script = keeping(&kept, Conditions::None).on("DELETE", &by_digest, [lost]);
    let server = FaultServer::start(script);
    let store = store(server.address());
    for number in [1, 2] {
        store
            .put_manifest(&referrer(number), Names::Child)
            .await
            .unwrap();
    }
    let at = Selector::Digest(referrer(1).digest().clone());
    store.delete(&at).await.unwrap();
    assert_eq!(listed(&kept), [referrer(2).digest().to_string()]);
}

#[tokio::test]
async fn f2_pages_of_referrers_are_followed_to_their_end() {
    let page = |number: usize, next: Option<&str>| {
        let list = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_IMAGE_INDEX,
            "manifests": [referrer(number).referrer_descriptor()],
        });
        let answer = Answer::status(200)
            .header("Content-Type", MediaType::OCI_IMAGE_INDEX.as_str())
            .body(list.to_string());
        match next {
            Some(next) => answer.header("Link", &format!("<{next}>; rel=\"next\"")),
            None => answer,
        }
    };
    let path = format!("/v2/app/referrers/{}", subject().digest);
    let (second, third) = (format!("{path}?p=2"), format!("{path}?p=3"));
    for (last, expected) in [(None, 3), (Some(second.as_str()), 3)] {
        let pages = [page(1, Some(&second)), page(2, Some(&third)), page(3, last)];
        let server = FaultServer::start(push_registry().on("GET", REFERRERS, pages));
        let found = store(server.address())
            .referrers(&subject().digest)
            .await
            .unwrap();
        assert_eq!(found.len(), expected);
        assert_eq!(server.lines().len(), 3);
    }
    let elsewhere = page(1, Some("http://127.0.0.2:1/v2/app/referrers/x"));
    let server = FaultServer::start(push_registry().on("GET", REFERRERS, [elsewhere]));
    let error = store(server.address())
        .referrers(&subject().digest)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("another host"), "{error}");
}

/// Pages with this body, each with a next one.
fn endless(body: String) -> FaultServer {
    let counted = AtomicUsize::new(0);
    let page = Answer::from_fn(move |request| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        let next = format!("<{}?p={number}>; rel=\"next\"", request.path());
        Answer::status(200)
            .header("Content-Type", MediaType::OCI_IMAGE_INDEX.as_str())
            .header("Link", &next)
            .body(body.clone())
    });
    FaultServer::start(push_registry().on("GET", REFERRERS, [page]))
}

#[tokio::test]
async fn rule_5_pages_without_end_are_given_up() {
    let empty = r#"{"schemaVersion":2,"manifests":[]}"#;
    let full = format!("{empty}{}", " ".repeat(7 << 20));
    for (body, requests, why) in [
        (empty.to_owned(), 1000, "more than 1000 pages of referrers"),
        (full, 10, "the list is longer than 67108864 bytes"),
    ] {
        let server = endless(body);
        let store = store(server.address());
        let error = store.referrers(&subject().digest).await.unwrap_err();
        assert!(error.to_string().ends_with(why), "{error}");
        assert_eq!(server.lines().len(), requests);
    }
}

#[tokio::test]
async fn f3_debians_registry_gets_its_list_under_the_tag() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let store = store(registry.address());
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let (options, _) = options();
    copy(&source, &store, std::slice::from_ref(&root), &options)
        .await
        .unwrap();
    let subject = crate::support::descriptor(&root);
    let empty: MediaType = "application/vnd.oci.empty.v1+json".parse().unwrap();
    let blob = wharf::blob::Blob::from_bytes(descriptor(empty.clone(), EMPTY), EMPTY.into());
    store.put_blob(&blob).await.unwrap();
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE_MANIFEST,
        "artifactType": "application/x.test",
        "config": descriptor(empty.clone(), EMPTY),
        "layers": [descriptor(empty, EMPTY)],
        "subject": subject,
    });
    let manifest = Manifest::parse(None, Bytes::from(document.to_string())).unwrap();
    store.put_manifest(&manifest, Names::Child).await.unwrap();
    let found = store.referrers(&subject.digest).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].digest, *manifest.digest());
}
