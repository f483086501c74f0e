//! The seam of access control: a client that is not allowed is refused, and a mount tells nothing.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use reqwest::Response;
use serde_json::{Value, json};
use wharf::oci::{Digest, RepositoryName};
use wharf_registry::storage::Storage;
use wharf_registry::{Access, Action, Caller, Decision, Registry};

use crate::common::{INDEX, Running, code, document, index};

/// An account may do everything below its own name, and pull from what lies below `public`.
#[derive(Debug)]
struct OwnName;

#[async_trait]
impl Access for OwnName {
    async fn caller(&self, headers: &HeaderMap) -> Caller {
        let account = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
        account.map_or(Caller::Anonymous, |name| Caller::Account(name.to_owned()))
    }

    fn may(&self, caller: &Caller, repository: &RepositoryName, action: Action) -> Decision {
        let (owner, _) = repository.as_str().split_once('/').unwrap();
        let public = owner == "public" && action == Action::Pull;
        match caller {
            Caller::Account(account) if account == owner => Decision::Allowed,
            _ if public => Decision::Allowed,
            _ => Decision::Denied,
        }
    }

    fn may_pull_all(&self, caller: &Caller) -> bool {
        *caller == Caller::Account("root".to_owned())
    }
}

/// A registry under access control on each driver.
async fn guarded() -> (tempfile::TempDir, Vec<Running>) {
    let directory = tempfile::tempdir().unwrap();
    let disk = Storage::on_disk(directory.path()).await.unwrap();
    let mut running = Vec::new();
    for storage in [Storage::in_memory(), disk] {
        let registry = Registry::new(storage.clone()).access(Arc::new(OwnName));
        running.push(Running::start(registry, storage).await);
    }
    (directory, running)
}

async fn send(registry: &Running, account: &str, method: &str, path: &str) -> Response {
    let headers = [("authorization", account)];
    registry.send(method, path, &headers, "").await
}

async fn put_blob(registry: &Running, repository: &str, content: &[u8]) -> Digest {
    let digest = Digest::of(content);
    let (account, _) = repository.split_once('/').unwrap();
    let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    let headers = [("authorization", account)];
    let put = registry.send("POST", &path, &headers, content.to_vec());
    assert_eq!(put.await.status(), 201);
    digest
}

/// The status of a mount into the `app` of an account.
async fn mount(registry: &Running, account: &str, digest: &Digest, from: &str) -> u16 {
    let path = format!("/v2/{account}/app/blobs/uploads/?mount={digest}{from}");
    let answer = send(registry, account, "POST", &path).await;
    answer.status().as_u16()
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_before_anything_happens() {
    for registry in guarded().await.1 {
        let blob = put_blob(&registry, "bob/app", b"content").await;
        let headers = [("authorization", "bob")];
        let path = "/v2/bob/app/manifests/v1";
        let put = registry.put_with(path, &headers, &index("x")).await;
        assert_eq!(put.status(), 201);
        let blob = format!("/v2/bob/app/blobs/{blob}");
        for (method, path) in [
            ("GET", blob.as_str()),
            ("GET", path),
            ("GET", "/v2/bob/app/tags/list"),
            ("GET", "/v2/bob/nothing/tags/list"),
            ("PUT", path),
            ("POST", "/v2/bob/app/blobs/uploads/"),
            ("POST", "/v2/public/app/blobs/uploads/"),
            ("DELETE", path),
            ("DELETE", &blob),
        ] {
            for account in ["alice", ""] {
                let refused = send(&registry, account, method, path).await;
                let expected = (403, "DENIED".to_owned());
                assert_eq!(code(refused).await, expected, "{method} {path}");
            }
        }
        let read = send(&registry, "bob", "GET", path).await;
        assert_eq!(document(read).await, index("x"));
        assert_eq!(registry.status("GET", "/v2/").await, 200);
    }
}

#[tokio::test]
async fn a_mount_takes_content_only_from_where_the_client_may_pull() {
    for registry in guarded().await.1 {
        let secret = put_blob(&registry, "bob/app", b"secret").await;
        for from in ["", "&from=bob/app", "&from=public/app"] {
            assert_eq!(
                mount(&registry, "alice", &secret, from).await,
                202,
                "{from}"
            );
        }
        let path = format!("/v2/alice/app/blobs/{secret}");
        let read = send(&registry, "alice", "GET", &path).await;
        assert_eq!(read.status(), 404);
        let nowhere = Digest::of(b"nowhere");
        assert_eq!(mount(&registry, "alice", &nowhere, "").await, 202);

        put_blob(&registry, "public/base", b"secret").await;
        assert_eq!(mount(&registry, "alice", &secret, "").await, 201);
        let read = send(&registry, "alice", "GET", &path).await;
        assert_eq!(read.text().await.unwrap(), "secret");

        let own = put_blob(&registry, "bob/base", b"own").await;
        assert_eq!(mount(&registry, "bob", &own, "").await, 201);
        assert_eq!(mount(&registry, "bob", &own, "&from=bob/base").await, 201);
        assert_eq!(mount(&registry, "root", &own, "").await, 201);
    }
}

#[tokio::test]
async fn content_without_a_link_is_mounted_by_no_client_under_access_control() {
    for registry in guarded().await.1 {
        let blob = put_blob(&registry, "public/app", b"content").await;
        let path = format!("/v2/public/app/blobs/{blob}");
        let deleted = send(&registry, "public", "DELETE", &path).await;
        assert_eq!(deleted.status(), 202);
        assert_eq!(mount(&registry, "alice", &blob, "").await, 202);
    }
}

#[tokio::test]
async fn the_catalog_names_what_the_client_may_pull_from() {
    for registry in guarded().await.1 {
        for name in ["alice/a", "bob/b", "public/c", "zoe/d"] {
            put_blob(&registry, name, b"content").await;
        }
        let mut path = "/v2/_catalog?n=2".to_owned();
        let mut listed = Vec::new();
        loop {
            let answer = send(&registry, "alice", "GET", &path).await;
            let link = answer.headers().get("link").cloned();
            let body: Value = document(answer).await;
            listed.extend(body["repositories"].as_array().unwrap().clone());
            let Some(link) = link else { break };
            let next = link.to_str().unwrap().split_once('>').unwrap().0;
            path = next[1..].to_owned();
        }
        assert_eq!(json!(listed), json!(["alice/a", "public/c"]));
    }
}

#[tokio::test]
async fn a_manifest_of_another_repository_is_no_blob_to_mount() {
    for registry in guarded().await.1 {
        let document = index("internal").to_string();
        let digest = Digest::of(document.as_bytes());
        let path = format!("/v2/bob/app/manifests/{digest}");
        let headers = [("authorization", "bob"), ("content-type", INDEX)];
        let put = registry.send("PUT", &path, &headers, document).await;
        assert_eq!(put.status(), 201);
        assert_eq!(mount(&registry, "alice", &digest, "").await, 202);
    }
}

#[tokio::test]
async fn a_mount_looks_into_so_many_repositories_and_no_more() {
    let registry = guarded().await.1.remove(0);
    let blob = put_blob(&registry, "public/zz", b"content").await;
    let fill = async |owner: &str, count: usize| {
        let other = put_blob(&registry, "public/other", b"other").await;
        for number in 0..count {
            let name = format!("{owner}/{number}").parse().unwrap();
            let mounted = registry.storage.mount(&other, None, &name).await;
            assert!(mounted.unwrap());
        }
    };
    // Those that the client may not pull from do not count.
    fill("bob", 3000).await;
    fill("public", 1000).await;
    assert_eq!(mount(&registry, "alice", &blob, "").await, 201);
    fill("public", 2500).await;
    let (path, headers) = ("/v2/alice/app/blobs", [("authorization", "alice")]);
    let path = format!("{path}/{blob}");
    let deleted = registry.send("DELETE", &path, &headers, "").await;
    assert_eq!(deleted.status(), 202);
    assert_eq!(mount(&registry, "alice", &blob, "").await, 202);
}
