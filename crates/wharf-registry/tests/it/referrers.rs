//! Referrers. distribution-spec: "Listing Referrers", "Pushing Manifests with Subject".

use serde_json::{Value, json};
use wharf::oci::Digest;
use wharf_registry::storage::{ReferrersQuery, Storage};
use wharf_registry::{Referrers, Registry};

use crate::common::{IMAGE, INDEX, Running, both, code, disk, document, header, index};

const SBOM: &str = "application/vnd.example.sbom.v1+json";
const CONFIG: &str = "application/vnd.example.config";

/// A manifest that was never put.
fn subject() -> Value {
    let digest = Digest::of(b"subject");
    json!({ "mediaType": IMAGE, "digest": digest, "size": 7 })
}

fn subject_path() -> String {
    format!("/v2/a/referrers/{}", Digest::of(b"subject"))
}

/// An index that points at the subject.
fn referrer(note: &str) -> Value {
    let mut document = index(note);
    document["subject"] = subject();
    document
}

async fn put(registry: &Running, document: &Value) -> Digest {
    let digest = Digest::of(document.to_string().as_bytes());
    let path = format!("/v2/a/manifests/{digest}");
    let answer = registry.put_with(&path, &[], document).await;
    assert_eq!(answer.status(), 201);
    let said = header(&answer, "oci-subject");
    assert_eq!(said, Digest::of(b"subject").to_string());
    digest
}

async fn list(registry: &Running, path: &str) -> Vec<Value> {
    let answer = registry.get(path).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "content-type"), INDEX);
    let document = document(answer).await;
    assert_eq!(document["schemaVersion"], 2);
    assert_eq!(document["mediaType"], INDEX);
    document["manifests"].as_array().unwrap().clone()
}

async fn digests(registry: &Running, path: &str) -> Vec<String> {
    let listed = list(registry, path).await;
    let digest = |found: &Value| found["digest"].as_str().unwrap().to_owned();
    listed.iter().map(digest).collect()
}

#[tokio::test]
async fn referrers_are_listed_with_artifact_type_and_annotations() {
    for registry in both().await.1 {
        let config = registry.put_blob("a", b"{}").await;
        let config = json!({ "mediaType": CONFIG, "digest": config, "size": 2 });
        let image = |artifact_type: Option<&str>| {
            let mut document = json!({
                "schemaVersion": 2,
                "mediaType": IMAGE,
                "config": config,
                "layers": [],
                "subject": subject(),
                "annotations": { "org.example.note": "of an image" },
            });
            if let Some(artifact_type) = artifact_type {
                document["artifactType"] = json!(artifact_type);
            }
            document
        };
        let described = |digest: &Digest, document: &Value, artifact_type: Option<&str>| {
            let mut descriptor = json!({
                "mediaType": document["mediaType"],
                "digest": digest,
                "size": document.to_string().len(),
                "annotations": document["annotations"],
            });
            if let Some(artifact_type) = artifact_type {
                descriptor["artifactType"] = json!(artifact_type);
            }
            (digest.clone(), descriptor)
        };
        let mut expected = Vec::new();
        for (document, artifact_type) in [
            (image(Some(SBOM)), Some(SBOM)),
            (image(None), Some(CONFIG)),
            (referrer("an index without artifact type"), None),
        ] {
            let digest = put(&registry, &document).await;
            expected.push(described(&digest, &document, artifact_type));
        }
        expected.sort_by_key(|(digest, _)| digest.clone());
        let expected: Vec<_> = expected.into_iter().map(|(_, found)| found).collect();
        assert_eq!(list(&registry, &subject_path()).await, expected);
        let query = ReferrersQuery::all(Digest::of(b"subject"));
        let name = "a".parse().unwrap();
        let found = registry.storage.referrers(&name, &query).await.unwrap();
        assert_eq!(json!(found.descriptors), json!(expected));
    }
}

#[tokio::test]
async fn a_filter_is_applied_and_said_to_be() {
    for registry in both().await.1 {
        let mut sbom = referrer("sbom");
        sbom["artifactType"] = json!(SBOM);
        let sbom = put(&registry, &sbom).await;
        let untyped = put(&registry, &referrer("other")).await;
        for (wanted, expected) in [
            (SBOM.replace('+', "%2B"), vec![sbom.to_string()]),
            ("text/plain".to_owned(), Vec::new()),
            (String::new(), vec![untyped.to_string()]),
        ] {
            let path = format!("{}?artifactType={wanted}", subject_path());
            let answer = registry.get(&path).await;
            assert_eq!(header(&answer, "oci-filters-applied"), "artifactType");
            assert_eq!(digests(&registry, &path).await, expected);
        }
        let all = registry.get(&subject_path()).await;
        assert!(!all.headers().contains_key("oci-filters-applied"));
    }
}

#[tokio::test]
async fn who_has_no_referrers_has_an_empty_list() {
    for registry in both().await.1 {
        assert!(list(&registry, &subject_path()).await.is_empty());
        put(&registry, &referrer("here")).await;
        let elsewhere = subject_path().replace("/a/", "/b/");
        let other = format!("/v2/a/referrers/{}", Digest::of(b"other"));
        for path in [elsewhere, other] {
            assert!(list(&registry, &path).await.is_empty(), "{path}");
        }
        let invalid = registry.get("/v2/a/referrers/sha256:00").await;
        assert_eq!(code(invalid).await, (400, "DIGEST_INVALID".to_owned()));
    }
}

#[tokio::test]
async fn a_manifest_without_subject_has_no_oci_subject() {
    for registry in both().await.1 {
        let path = "/v2/a/manifests/v1";
        let answer = registry.put_with(path, &[], &index("plain")).await;
        assert!(!answer.headers().contains_key("oci-subject"));
    }
}

#[tokio::test]
async fn a_deleted_referrer_is_not_listed_until_it_is_put_again() {
    for registry in both().await.1 {
        let (kept, gone) = (referrer("kept"), referrer("gone"));
        let kept = put(&registry, &kept).await.to_string();
        let deleted = put(&registry, &gone).await;
        let path = format!("/v2/a/manifests/{deleted}");
        assert_eq!(registry.status("DELETE", &path).await, 202);
        assert_eq!(digests(&registry, &subject_path()).await, [kept]);
        put(&registry, &gone).await;
        assert_eq!(digests(&registry, &subject_path()).await.len(), 2);
    }
}

#[tokio::test]
async fn a_long_list_comes_in_pages_of_four_mebibytes() {
    for registry in both().await.1 {
        let mut expected = Vec::new();
        for note in ["1", "2", "3", "4", "5", "6"] {
            let mut document = referrer(&note.repeat(1_500_000));
            document["artifactType"] = json!(SBOM);
            expected.push(put(&registry, &document).await.to_string());
        }
        put(&registry, &referrer("of another type")).await;
        expected.sort_unstable();
        let filter = SBOM.replace('+', "%2B").replace('/', "%2F");
        let mut path = format!("{}?artifactType={filter}", subject_path());
        let mut listed = Vec::new();
        for pages_left in [2, 1, 0] {
            let answer = registry.get(&path).await;
            let link = answer.headers().get("link").cloned();
            let body = answer.bytes().await.unwrap();
            assert!(body.len() <= 4 << 20, "{} bytes", body.len());
            listed.extend(digests(&registry, &path).await);
            assert_eq!(link.is_some(), pages_left > 0);
            let Some(link) = link else { break };
            let link = link.to_str().unwrap();
            let next = link.strip_prefix('<').unwrap();
            path = next.strip_suffix(">; rel=\"next\"").unwrap().to_owned();
            assert!(path.ends_with(&format!("&artifactType={filter}")), "{path}");
        }
        assert_eq!(listed, expected);
    }
}

#[tokio::test]
async fn a_registry_may_have_no_referrers() {
    let storage = Storage::in_memory();
    let registry = Registry::new(storage.clone()).referrers(Referrers::Off);
    let registry = Running::start(registry, storage).await;
    let path = "/v2/a/manifests/v1";
    let answer = registry.put_with(path, &[], &referrer("quiet")).await;
    assert_eq!(answer.status(), 201);
    assert!(!answer.headers().contains_key("oci-subject"));
    assert_eq!(registry.status("GET", &subject_path()).await, 404);
}

#[tokio::test]
async fn links_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Running::over(disk(directory.path()).await).await;
    let digest = put(&registry, &referrer("kept")).await.to_string();
    registry.stop().await;
    let registry = Running::over(disk(directory.path()).await).await;
    assert_eq!(digests(&registry, &subject_path()).await, [digest]);
}

#[tokio::test]
async fn manifests_from_before_the_links_are_found_once_the_directory_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Running::over(disk(directory.path()).await).await;
    let digest = put(&registry, &referrer("old")).await;
    registry.put("/v2/a/manifests/v1", &index("plain")).await;
    registry.stop().await;
    let repository = directory.path().join("repositories/a");
    std::fs::remove_dir_all(repository.join("_referrers")).unwrap();
    let broken = repository.join("_manifests/sha256").join("0".repeat(64));
    std::fs::write(broken, format!("{IMAGE}\n{}\n", Digest::of(b"gone"))).unwrap();
    let format = directory.path().join("format");
    std::fs::write(&format, "wharf-registry 1\n").unwrap();
    let registry = Running::over(disk(directory.path()).await).await;
    let listed = digests(&registry, &subject_path()).await;
    assert_eq!(listed, [digest.to_string()]);
    let marker = std::fs::read_to_string(&format).unwrap();
    assert_eq!(marker, "wharf-registry 2\n");
}

#[tokio::test]
async fn a_link_that_a_dead_process_left_is_not_listed() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Running::over(disk(directory.path()).await).await;
    let digest = put(&registry, &referrer("half deleted")).await;
    let links = directory.path().join("repositories/a/_manifests/sha256");
    std::fs::remove_file(links.join(digest.hex())).unwrap();
    assert!(list(&registry, &subject_path()).await.is_empty());
    put(&registry, &referrer("half deleted")).await;
    assert_eq!(list(&registry, &subject_path()).await.len(), 1);
}
