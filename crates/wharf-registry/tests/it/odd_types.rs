//! Media types that no registry of media types knows: `oras push REF note.txt:text` writes such.

use std::fs;

use serde_json::{Value, json};
use wharf::oci::Digest;
use wharf::{Client, Wharf};
use wharf_testkit::{DockerRegistry, LayoutFixture, tar_layout};

use crate::common::{IMAGE, INDEX, Running, both, document, header};

/// Types that the specification of documents allows, or that tools write.
const ODD: [&str; 5] = [
    "text",
    "text/plain; charset=utf-8",
    "application/vnd.cyclonedx+json;version=0.2",
    "",
    "Application/vnd.oci.image.layer.v1.TAR+gzip",
];

/// As oras writes it for `note.txt:TYPE`.
fn note(media_type: &str) -> Value {
    let (config, layer) = (&b"{}"[..], &b"a note"[..]);
    json!({
        "schemaVersion": 2, "mediaType": IMAGE,
        "config": {"mediaType": "application/vnd.unknown.config.v1+json",
            "digest": Digest::of(config), "size": config.len()},
        "layers": [{"mediaType": media_type, "digest": Digest::of(layer), "size": layer.len(),
            "annotations": {"org.opencontainers.image.title": "note.txt"}}],
    })
}

/// Replaces the field `key` of a document.
fn with(mut value: Value, key: &str, field: Value) -> Value {
    value.as_object_mut().unwrap().insert(key.to_owned(), field);
    value
}

fn long() -> String {
    format!("application/{}", "x".repeat(300))
}

#[tokio::test]
async fn fault_a12_manifests_of_any_media_types_are_taken_and_served_byte_for_byte() {
    let (_directory, registries) = both().await;
    for registry in &registries {
        registry.put_blob("a", b"{}").await;
        registry.put_blob("a", b"a note").await;
        let long = long();
        for odd in ODD.into_iter().chain([long.as_str()]) {
            let mut absent = note(odd);
            absent["layers"][0]
                .as_object_mut()
                .unwrap()
                .remove("mediaType");
            let config = with(note(odd)["config"].clone(), "mediaType", json!(odd));
            let typed = with(note(odd), "artifactType", json!(odd));
            let child = json!({"schemaVersion": 2, "mediaType": INDEX, "artifactType": odd,
                "manifests": [config]});
            for put in [
                note(odd),
                with(note(odd), "config", config.clone()),
                typed,
                absent,
                child,
            ] {
                let digest = Digest::of(put.to_string().as_bytes());
                registry.put("/v2/a/manifests/1", &put).await;
                let got = registry.get(&format!("/v2/a/manifests/{digest}")).await;
                assert_eq!(
                    header(&got, "content-type"),
                    put["mediaType"].as_str().unwrap()
                );
                assert_eq!(got.text().await.unwrap(), put.to_string(), "{odd}");
            }
        }
    }
}

#[tokio::test]
async fn fault_a12_a_content_type_is_served_as_it_was_put() {
    let (_directory, registries) = both().await;
    for registry in &registries {
        registry.put_blob("a", b"{}").await;
        registry.put_blob("a", b"a note").await;
        let plain = with(note("text"), "mediaType", Value::Null);
        for (put, served) in [
            (
                "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
                None,
            ),
            ("Application/VND.oci.image.manifest.v1+JSON", None),
            ("application/vnd.example.v9+json;version=0.2", None),
            // What is not the type of a manifest says nothing.
            ("text", Some(IMAGE)),
            ("", Some(IMAGE)),
            ("application/json; charset=utf-8", Some(IMAGE)),
        ] {
            let headers = [("content-type", put)];
            let body = plain.to_string();
            let answer = registry
                .send("PUT", "/v2/a/manifests/1", &headers, body)
                .await;
            assert_eq!(answer.status(), 201, "{put}");
            let head = registry.send("HEAD", "/v2/a/manifests/1", &[], "").await;
            assert_eq!(header(&head, "content-type"), served.unwrap_or(put));
        }
    }
}

#[tokio::test]
async fn fault_a12_referrers_have_the_artifact_type_that_was_put() {
    let (_directory, registries) = both().await;
    for registry in &registries {
        registry.put_blob("a", b"{}").await;
        registry.put_blob("a", b"a note").await;
        let subject = Digest::of(b"subject");
        let about = json!({"mediaType": IMAGE, "digest": subject, "size": 7});
        for odd in ["text", "text/plain; charset=utf-8"] {
            let put = with(note(odd), "subject", about.clone());
            registry
                .put("/v2/a/manifests/1", &with(put, "artifactType", json!(odd)))
                .await;
        }
        let path = format!("/v2/a/referrers/{subject}");
        assert_eq!(
            document(registry.get(&path).await).await["manifests"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
        let path = format!("{path}?artifactType=text%2Fplain%3B%20charset%3Dutf-8");
        let listed = document(registry.get(&path).await).await;
        let types: Vec<&Value> = listed["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|listed| &listed["artifactType"])
            .collect();
        assert_eq!(types, ["text/plain; charset=utf-8"]);
    }
}

/// Through a layout, an archive, both registries, and back into a layout.
#[tokio::test]
async fn fault_a12_such_manifests_go_through_every_place_unchanged() {
    let place = tempfile::tempdir().unwrap();
    let mut fixture = LayoutFixture::new(place.path().join("layout"));
    fixture.blob("application/vnd.unknown.config.v1+json", b"{}");
    fixture.blob("text", b"a note");
    let mut manifests = Vec::new();
    for (tag, odd) in [
        ("text", "text"),
        ("plain", "text/plain; charset=utf-8"),
        ("none", ""),
    ] {
        let bytes = format!(" {}", note(odd)).into_bytes();
        let manifest = fixture.blob(IMAGE, &bytes);
        fixture.list(Some(tag), &manifest);
        manifests.push((tag, bytes));
    }
    let archive = place.path().join("layout.tar");
    tar_layout(fixture.directory(), &archive);
    let (_directory, registries) = both().await;
    let registry: &Running = &registries[0];
    let docker = DockerRegistry::start();
    let wharf = Wharf::new(Client::builder().build().unwrap());
    for (tag, bytes) in &manifests {
        let ours = format!("{}/ours:{tag}", registry.address);
        let back = place.path().join(format!("back-{tag}"));
        let mut way = vec![format!("oci:{}:{tag}", fixture.directory().display()), ours];
        way.extend(
            docker
                .as_ref()
                .map(|docker| format!("{}/theirs:{tag}", docker.address())),
        );
        way.push(format!("oci:{}:{tag}", back.display()));
        let pairs = way
            .windows(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()));
        let packed = (
            format!("oci-archive:{}:{tag}", archive.display()),
            format!("{}/packed:{tag}", registry.address),
        );
        for (from, to) in pairs.chain([packed]) {
            let source = wharf.open(&from.parse().unwrap()).await.unwrap();
            let access = wharf::place::Access::Write;
            let store = wharf
                .destination(&to.parse().unwrap(), &source, access)
                .await
                .unwrap();
            let copied = wharf.write(&source, &store).await;
            let copied = copied.unwrap_or_else(|error| panic!("{from} to {to}: {error}"));
            assert_eq!(
                copied.descriptor.digest,
                Digest::of(bytes),
                "{from} to {to}"
            );
        }
        let digest = Digest::of(bytes);
        let kept = fs::read(back.join("blobs/sha256").join(digest.hex())).unwrap();
        assert_eq!(&kept, bytes);
    }
}
