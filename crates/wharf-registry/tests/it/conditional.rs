//! Conditional writes of manifests (RFC 9110, 13), and several tags on one PUT.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::json;
use wharf::oci::Digest;

use crate::common::{Running, both, code, disk, document, header, index};

const PATH: &str = "/v2/a/manifests/v1";

#[tokio::test]
async fn the_entity_tag_is_the_digest() {
    for registry in both().await.1 {
        let put = registry.put_with(PATH, &[], &index("x")).await;
        let etag = header(&put, "etag");
        let digest = Digest::of(index("x").to_string().as_bytes());
        assert_eq!(etag, format!("\"{digest}\""));
        for method in ["GET", "HEAD"] {
            let read = registry.send(method, PATH, &[], "").await;
            assert_eq!(header(&read, "etag"), etag);
            let weak = format!("W/{etag}");
            for known in [etag.as_str(), &weak, "*"] {
                let headers = [("if-none-match", known)];
                let same = registry.send(method, PATH, &headers, "").await;
                assert_eq!(same.status(), 304, "{known}");
                assert_eq!(header(&same, "etag"), etag);
                assert_eq!(header(&same, "docker-content-digest"), digest.to_string());
                assert!(same.bytes().await.unwrap().is_empty());
            }
            let other = format!("\"{}\"", Digest::of(b"other"));
            let headers = [("if-none-match", other.as_str())];
            let new = registry.send(method, PATH, &headers, "").await;
            assert_eq!(new.status(), 200);
        }
    }
}

#[tokio::test]
async fn a_put_happens_only_where_its_condition_holds() {
    for registry in both().await.1 {
        let tag = |note: &str| format!("\"{}\"", Digest::of(index(note).to_string().as_bytes()));
        let (one, two) = (tag("1"), tag("2"));
        for (name, value, note, expected) in [
            ("if-match", "*", "1", 412),
            ("if-match", one.as_str(), "1", 412),
            ("if-none-match", "*", "1", 201),
            ("if-none-match", "*", "2", 412),
            ("if-match", &two, "2", 412),
            ("if-match", "\"nonsense\"", "2", 412),
            ("if-match", &one, "2", 201),
            ("if-match", &one, "3", 412),
            ("if-match", "*", "1", 201),
            ("if-none-match", &one, "2", 412),
            ("if-none-match", &two, "2", 201),
        ] {
            let before = document(registry.get(PATH).await).await;
            let headers = [(name, value)];
            let put = registry.put_with(PATH, &headers, &index(note)).await;
            let status = put.status();
            assert_eq!(status, expected, "{name}: {value}, {note}");
            let after = document(registry.get(PATH).await).await;
            if expected == 201 {
                assert_eq!(after, index(note));
            } else {
                assert_eq!(code(put).await.1, "UNSUPPORTED");
                assert_eq!(after["manifests"], before["manifests"]);
                assert_eq!(after["annotations"], before["annotations"]);
            }
        }
        // Not even by digest: nothing was written.
        let three = Digest::of(index("3").to_string().as_bytes());
        let three = format!("/v2/a/manifests/{three}");
        assert_eq!(registry.status("GET", &three).await, 404);
    }
}

#[tokio::test]
async fn a_condition_on_a_digest_looks_at_that_manifest() {
    for registry in both().await.1 {
        let digest = Digest::of(index("x").to_string().as_bytes());
        let path = format!("/v2/a/manifests/{digest}");
        for expected in [201, 412] {
            let headers = [("if-none-match", "*")];
            let put = registry.put_with(&path, &headers, &index("x")).await;
            assert_eq!(put.status(), expected);
        }
    }
}

/// Two servers on one directory, like two processes.
async fn two_on_one_directory() -> (tempfile::TempDir, Vec<Arc<Running>>) {
    let directory = tempfile::tempdir().unwrap();
    let mut servers = Vec::new();
    for _ in 0..2 {
        let storage = disk(directory.path()).await;
        servers.push(Arc::new(Running::over(storage).await));
    }
    (directory, servers)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_create_a_tag_one_wins() {
    let (_directory, servers) = two_on_one_directory().await;
    for round in 0..4 {
        let path = format!("/v2/a/manifests/round-{round}");
        let puts = (0..10).map(|number| {
            let (server, path) = (&servers[number % 2], &path);
            async move {
                let document = index(&number.to_string());
                let headers = [("if-none-match", "*")];
                let put = server.put_with(path, &headers, &document).await;
                (put.status().as_u16(), document)
            }
        });
        let answers = join_all(puts).await;
        let won: Vec<_> = answers
            .iter()
            .filter(|(status, _)| *status == 201)
            .collect();
        let lost = answers.iter().filter(|(status, _)| *status == 412).count();
        assert_eq!((won.len(), lost), (1, 9));
        assert_eq!(document(servers[0].get(&path).await).await, won[0].1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_update_under_if_match_is_lost() {
    const WRITERS: usize = 8;
    let (_directory, servers) = two_on_one_directory().await;
    servers[0].put(PATH, &index("")).await;
    let writers = (0..WRITERS).map(|number| {
        let server = Arc::clone(&servers[number % 2]);
        tokio::spawn(async move {
            loop {
                let read = server.get(PATH).await;
                let etag = header(&read, "etag");
                let mut changed = document(read).await;
                changed["annotations"][number.to_string()] = json!("here");
                let headers = [("if-match", etag.as_str())];
                let put = server.put_with(PATH, &headers, &changed).await;
                match put.status().as_u16() {
                    201 => return,
                    status => assert_eq!(status, 412),
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let written = document(servers[1].get(PATH).await).await;
    for number in 0..WRITERS {
        assert_eq!(written["annotations"][number.to_string()], "here");
    }
}

#[tokio::test]
async fn one_put_sets_several_tags() {
    for registry in both().await.1 {
        registry.put("/v2/a/manifests/latest", &index("old")).await;
        let new = index("new");
        let digest = Digest::of(new.to_string().as_bytes());
        let wanted = ["1.2.3", "1.2", "1", "latest"];
        let path = format!("/v2/a/manifests/{digest}?tag={}", wanted.join("&tag="));
        let put = registry.put_with(&path, &[], &new).await;
        assert_eq!(put.status(), 201);
        let set: Vec<_> = put.headers().get_all("oci-tag").iter().collect();
        assert_eq!(set, wanted);
        for tag in wanted {
            let read = registry.get(&format!("/v2/a/manifests/{tag}")).await;
            assert_eq!(document(read).await, new, "{tag}");
        }
        let plain = registry.put_with(PATH, &[], &new).await;
        assert!(!plain.headers().contains_key("oci-tag"));
    }
}

#[tokio::test]
async fn several_tags_are_set_only_where_the_condition_holds() {
    for registry in both().await.1 {
        let digest = registry.put(PATH, &index("x")).await;
        let path = format!("/v2/a/manifests/{digest}?tag=v2&tag=v3");
        let headers = [("if-none-match", "*")];
        let put = registry.put_with(&path, &headers, &index("x")).await;
        assert_eq!(put.status(), 412);
        assert_eq!(registry.status("GET", "/v2/a/manifests/v2").await, 404);
    }
}
