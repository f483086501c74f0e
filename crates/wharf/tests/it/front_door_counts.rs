//! What each call of the front door costs in requests, as `docs/requests.md` promises (wire.md P4).

use futures::TryStreamExt;
use wharf::layer::{Family, NewImage};
use wharf::oci::{ImageConfig, Selector};
use wharf::{Descriptor, Digest, Manifest, MediaType, Memory, Source};
use wharf_testkit::{Answer, FaultServer, push_registry, seeded_bytes};

use crate::support::{
    counted_registry, descriptor, finish, image, layer, methods, reference, repository_name,
    two_platforms, wharf, wharf_for,
};

/// A manifest that refers to `subject`, distinguished by `note`; its config is in the repository
/// already.
async fn referrer(of: &Memory, subject: &Descriptor, note: &str) -> Manifest {
    let extra = serde_json::json!({ "subject": subject, "annotations": { "note": note } });
    let root = finish(of, &[], extra).await;
    of.manifest(descriptor(&root)).await.unwrap()
}

#[tokio::test]
async fn p4_a_sibling_repository_costs_two_requests_a_blob_and_no_bytes() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let layers: Vec<_> = (0..4).map(|seed| seeded_bytes(seed, 1000)).collect();
    let (source, root) = image(&layers).await;
    let (wharf, at) = (wharf(), proxy.address());
    let content = || descriptor(&root).clone();
    let first = reference(at, "first:1");
    wharf.push(&source, content(), &first).await.unwrap();
    proxy.forget();
    let second = reference(at, "second:1");
    let pushed = wharf.push(&source, content(), &second).await.unwrap();
    assert_eq!((pushed.summary.mounted, pushed.summary.bytes), (5, 0));
    let bytes: u64 = proxy.requests().iter().map(|r| r.request_bytes).sum();
    assert_eq!(descriptor(&root).size, bytes, "the manifest alone");
    assert_eq!(methods(&proxy).len(), 2 * 5 + 2);
}

#[tokio::test]
async fn p4_a_generated_image_costs_three_requests_a_layer_and_four_more() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let (wharf, to) = (wharf(), reference(proxy.address(), "app:1"));
    let image = NewImage {
        config: ImageConfig::default(),
        layers: (0..3).map(|seed| layer(seed, 5000)).collect(),
        family: Family::Oci,
    };
    wharf.push(&Memory::new(), image, &to).await.unwrap();
    assert_eq!(methods(&proxy).len(), 3 * 3 + 4);
}

#[tokio::test]
async fn p4_single_blobs_and_layers_cost_three_requests_and_one_where_they_are_there() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let (wharf, to) = (wharf(), repository_name(proxy.address(), "app"));
    let source = Memory::new();
    let blob = source.add_blob(MediaType::OCTET_STREAM, seeded_bytes(1, 100));
    let blob = source.blob(&blob);
    wharf.push_blob(&blob, &to).await.unwrap();
    assert_eq!(methods(&proxy), ["HEAD", "POST", "PUT"]);
    wharf.push_blob(&blob, &to).await.unwrap();
    assert_eq!(methods(&proxy), ["HEAD"]);
    wharf.push_layer(&layer(2, 5000), &to).await.unwrap();
    assert_eq!(methods(&proxy), ["POST", "PATCH", "PUT"]);
}

#[tokio::test]
async fn p4_tag_put_plan_and_delete_cost_what_is_promised() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let (wharf, at) = (wharf(), proxy.address());
    let (source, root) = image(&[seeded_bytes(1, 100)]).await;
    let to = reference(at, "app:1");
    let content = || descriptor(&root).clone();
    wharf.plan(&source, content(), &to).await.unwrap();
    assert_eq!(methods(&proxy), ["HEAD", "HEAD", "HEAD"]);
    let pushed = wharf.push(&source, content(), &to).await.unwrap();
    proxy.forget();

    wharf.tag(&to, &["2".parse().unwrap()]).await.unwrap();
    assert_eq!(methods(&proxy), ["GET", "PUT"]);
    let several = ["3".parse().unwrap(), "4".parse().unwrap()];
    wharf.tag(&pushed.reference, &several).await.unwrap();
    assert_eq!(methods(&proxy), ["GET", "PUT", "PUT"]);

    let manifest = source.manifest(descriptor(&root)).await.unwrap();
    for to in [&to, &pushed.reference] {
        let bytes = manifest.bytes().clone();
        wharf.put(None, bytes, to).await.unwrap();
        assert_eq!(methods(&proxy), ["PUT"]);
    }
    wharf.delete(&pushed.reference).await.unwrap();
    assert_eq!(methods(&proxy), ["GET", "DELETE"]);
    let store = wharf.client().repository(to.repository());
    let gone = store.resolve(&Selector::Tag("1".parse().unwrap())).await;
    gone.unwrap_err();
}

#[tokio::test]
async fn p4_deleting_a_tag_costs_one_request() {
    let answer = Answer::status(202);
    let script = push_registry().on("DELETE", "/v2/*/manifests/*", [answer]);
    let server = FaultServer::start(script);
    let at = reference(server.address(), "app:1");
    wharf().delete(&at).await.unwrap();
    assert_eq!(server.lines(), ["DELETE /v2/app/manifests/1"]);
}

#[tokio::test]
async fn p4_a_referrer_costs_one_request_where_the_registry_says_that_it_lists_it() {
    let (source, root) = image(&[]).await;
    let subject = descriptor(&root);
    let artifact = referrer(&source, subject, "a").await;
    let taken = Answer::status(201).header("OCI-Subject", &subject.digest.to_string());
    let script = push_registry().on("PUT", "/v2/*/manifests/*", [taken]);
    let server = FaultServer::start(script);
    let to = reference(server.address(), "app").with_digest(artifact.digest().clone());
    let put = wharf().put(None, artifact.bytes().clone(), &to).await;
    put.unwrap();
    assert_eq!(server.lines().len(), 1, "{:?}", server.lines());
}

#[tokio::test]
async fn p4_a_registry_is_asked_once_whether_it_lists_referrers() {
    let (source, root) = image(&[]).await;
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_INDEX, "manifests": [],
    });
    let listed = Answer::status(200)
        .header("Content-Type", MediaType::OCI_IMAGE_INDEX.as_str())
        .body(index.to_string());
    let script = push_registry().on("GET", "/v2/*/referrers/*", [listed]);
    let (server, wharf) = (FaultServer::start(script), wharf());
    for note in ["a", "b", "c"] {
        let artifact = referrer(&source, descriptor(&root), note).await;
        let to = reference(server.address(), "app").with_digest(artifact.digest().clone());
        let bytes = artifact.bytes().clone();
        wharf.put(None, bytes, &to).await.unwrap();
    }
    assert_eq!(server.lines().len(), 3 + 1, "{:?}", server.lines());
}

#[tokio::test]
async fn p4_a_referrer_that_is_listed_under_a_tag_costs_five_requests() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let (source, root) = image(&[]).await;
    let (wharf, at) = (wharf(), proxy.address());
    let content = descriptor(&root).clone();
    let to = reference(at, "app:1");
    wharf.push(&source, content, &to).await.unwrap();
    proxy.forget();
    let update = ["GET", "PUT", "GET", "GET"];
    // The first time, the registry is asked whether it lists referrers.
    for (note, asked) in [("a", &["GET"][..]), ("b", &[])] {
        let artifact = referrer(&source, descriptor(&root), note).await;
        let to = to.with_digest(artifact.digest().clone());
        let bytes = artifact.bytes().clone();
        wharf.put(None, bytes, &to).await.unwrap();
        let expected = [&["PUT"][..], asked, &update].concat();
        assert_eq!(methods(&proxy), expected);
    }
    let store = wharf.client().repository(to.repository());
    let listed = store.referrers(&descriptor(&root).digest).await.unwrap();
    assert_eq!(listed.len(), 2);
}

#[tokio::test]
async fn p4_pull_manifest_and_config_cost_what_is_promised() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let (source, root) = image(&[seeded_bytes(1, 100), seeded_bytes(2, 100)]).await;
    let to = reference(proxy.address(), "app:1");
    let content = descriptor(&root).clone();
    wharf().push(&source, content, &to).await.unwrap();
    proxy.forget();
    let wharf = wharf();
    wharf.pull(&to, &Memory::new()).await.unwrap();
    assert_eq!(methods(&proxy), ["HEAD", "GET", "GET", "GET", "GET"]);
    wharf.manifest(&to).await.unwrap();
    assert_eq!(methods(&proxy), ["GET"]);
    wharf.config(&to).await.unwrap();
    assert_eq!(methods(&proxy), ["GET", "GET"]);
    let digest = Digest::of(&seeded_bytes(1, 100));
    for range in [0..100, 10..20] {
        let blob = wharf.blob(to.repository(), &digest, range).await.unwrap();
        blob.bytes.try_collect::<Vec<_>>().await.unwrap();
        assert_eq!(methods(&proxy), ["GET"]);
    }
    wharf.referrers(&to).await.unwrap();
    assert_eq!(methods(&proxy), ["HEAD", "GET", "GET"]);
}

#[tokio::test]
async fn p4_one_platform_costs_one_request_more() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let (source, _, index) = two_platforms().await;
    let to = reference(proxy.address(), "app:1");
    wharf().push(&source, index, &to).await.unwrap();
    proxy.forget();
    let wharf = wharf_for("linux/arm64");
    wharf.manifest(&to).await.unwrap();
    assert_eq!(methods(&proxy), ["GET", "GET"]);
    wharf.config(&to).await.unwrap();
    assert_eq!(methods(&proxy), ["GET", "GET", "GET"]);
    wharf.tag(&to, &["arm".parse().unwrap()]).await.unwrap();
    assert_eq!(methods(&proxy), ["GET", "GET", "PUT"]);
}

#[tokio::test]
async fn p4_referrers_that_the_registry_lists_cost_one_request() {
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_INDEX, "manifests": [],
    });
    let listed = Answer::status(200)
        .header("Content-Type", MediaType::OCI_IMAGE_INDEX.as_str())
        .body(index.to_string());
    let script = push_registry().on("GET", "/v2/*/referrers/*", [listed]);
    let server = FaultServer::start(script);
    let (_, root) = image(&[]).await;
    let digest = descriptor(&root).digest.clone();
    let at = reference(server.address(), "app").with_digest(digest.clone());
    assert_eq!(wharf().referrers(&at).await.unwrap(), []);
    assert_eq!(server.lines(), [format!("GET /v2/app/referrers/{digest}")]);
}

#[tokio::test]
async fn p4_what_a_place_names_costs_one_request() {
    let Some((_registry, proxy)) = counted_registry() else {
        return;
    };
    let (source, [amd64, _], index) = two_platforms().await;
    let to = reference(proxy.address(), "app:1");
    wharf().push(&source, index.clone(), &to).await.unwrap();
    proxy.forget();
    let (place, picky) = (to.clone().into(), wharf_for("linux/amd64"));
    let resolved = wharf().resolve(&place).await.unwrap();
    assert_eq!(
        (&resolved.digest, methods(&proxy)),
        (&index.digest, vec!["HEAD".to_owned()])
    );
    let resolved = picky.resolve(&place).await.unwrap();
    assert_eq!(
        (&resolved.digest, methods(&proxy)),
        (&amd64.digest, vec!["GET".to_owned()])
    );

    let opened = wharf().read(&place).await.unwrap();
    let manifest = wharf().manifest_in(&opened).await.unwrap();
    assert_eq!(
        (manifest.digest(), methods(&proxy)),
        (&index.digest, vec!["GET".to_owned()])
    );
    let opened = picky.read(&place).await.unwrap();
    let config = picky.config_in(&opened).await.unwrap();
    assert_eq!(methods(&proxy), ["GET", "GET", "GET"]);
    assert_eq!(Digest::of(&config.bytes), config.descriptor.digest);
}
