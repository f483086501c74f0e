//! Rules about requests: conditions on reads and deletions, sizes, media types, pages, hosts.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wharf::oci::Digest;
use wharf_registry::storage::Storage;
use wharf_registry::{Registry, Server, Sizes};

use crate::common::{IMAGE, INDEX, Running, both, code, header, index};

const LAYER: &[u8] = b"0123456789";

#[tokio::test]
async fn fault_c21_conditions_count_on_reads_of_blobs_and_manifests() {
    for registry in both().await.1 {
        let blob = registry.put_blob("a", LAYER).await;
        let manifest = registry.put("/v2/a/manifests/v1", &index("x")).await;
        let by_digest = format!("/v2/a/manifests/{manifest}");
        for (path, digest) in [
            (format!("/v2/a/blobs/{blob}"), &blob),
            ("/v2/a/manifests/v1".to_owned(), &manifest),
            (by_digest, &manifest),
        ] {
            let (own, other) = (format!("\"{digest}\""), format!("\"{}\"", Digest::of(b"?")));
            let (weak, list) = (format!("W/{own}"), format!("{other}, {own}"));
            for method in ["GET", "HEAD"] {
                for (name, value, expected) in [
                    ("if-match", own.as_str(), 200),
                    ("if-match", "*", 200),
                    ("if-match", &list, 200),
                    ("if-match", &other, 412),
                    ("if-match", &weak, 412),
                    ("if-none-match", &own, 304),
                    ("if-none-match", &weak, 304),
                    ("if-none-match", &list, 304),
                    ("if-none-match", "*", 304),
                    ("if-none-match", &other, 200),
                ] {
                    let answer = registry.send(method, &path, &[(name, value)], "").await;
                    let status = answer.status().as_u16();
                    assert_eq!(status, expected, "{method} {path} {name}: {value}");
                    if status != 412 {
                        assert_eq!(header(&answer, "etag"), own);
                        assert_eq!(header(&answer, "docker-content-digest"), digest.to_string());
                    } else if method == "GET" {
                        assert_eq!(code(answer).await.1, "UNSUPPORTED");
                    }
                }
                // `If-Match` first; what is not there is not there.
                let both = [("if-match", other.as_str()), ("if-none-match", &own)];
                assert_eq!(registry.send(method, &path, &both, "").await.status(), 412);
                let nowhere = path.replace("/v2/a/", "/v2/nowhere/");
                for name in ["if-match", "if-none-match"] {
                    let answer = registry.send(method, &nowhere, &[(name, "*")], "").await;
                    assert_eq!(answer.status(), 404);
                }
            }
        }
    }
}

#[tokio::test]
async fn fault_c21_a_range_counts_only_for_the_content_that_if_range_names() {
    for registry in both().await.1 {
        let digest = registry.put_blob("a", LAYER).await;
        let path = format!("/v2/a/blobs/{digest}");
        let (own, other) = (format!("\"{digest}\""), format!("\"{}\"", Digest::of(b"?")));
        let weak = format!("W/{own}");
        for (validator, range, expected) in [
            (own.as_str(), "bytes=2-3", 206),
            (&own, "bytes=99-", 416),
            (&other, "bytes=2-3", 200),
            (&other, "bytes=99-", 200),
            (&weak, "bytes=2-3", 200),
            ("*", "bytes=2-3", 200),
            ("Sat, 29 Oct 1994 19:43:31 GMT", "bytes=2-3", 200),
        ] {
            let headers = [("range", range), ("if-range", validator)];
            let answer = registry.send("GET", &path, &headers, "").await;
            let status = answer.status().as_u16();
            assert_eq!(status, expected, "{validator} {range}");
            let bytes = answer.bytes().await.unwrap();
            match expected {
                200 => assert_eq!(bytes, LAYER),
                206 => assert_eq!(bytes, LAYER[2..4]),
                _ => {}
            }
        }
        // Preconditions come before the range.
        for (name, value, expected) in [
            ("if-match", other.as_str(), 412),
            ("if-none-match", &own, 304),
        ] {
            let headers = [("range", "bytes=99-"), (name, value)];
            let answer = registry.send("GET", &path, &headers, "").await;
            assert_eq!(answer.status(), expected);
        }
    }
}

#[tokio::test]
async fn fault_c21_a_deletion_happens_only_where_its_condition_holds() {
    for registry in both().await.1 {
        let blob = registry.put_blob("a", LAYER).await;
        let manifest = registry.put("/v2/a/manifests/v1", &index("x")).await;
        for (path, digest) in [
            ("/v2/a/manifests/v1".to_owned(), &manifest),
            (format!("/v2/a/manifests/{manifest}"), &manifest),
            (format!("/v2/a/blobs/{blob}"), &blob),
        ] {
            let (own, other) = (format!("\"{digest}\""), format!("\"{}\"", Digest::of(b"?")));
            for (name, value) in [
                ("if-match", other.as_str()),
                ("if-match", &format!("W/{own}")),
                ("if-none-match", &own),
                ("if-none-match", "*"),
            ] {
                let kept = registry.send("DELETE", &path, &[(name, value)], "").await;
                assert_eq!(kept.status(), 412, "{path} {name}: {value}");
                assert_eq!(registry.status("HEAD", &path).await, 200, "{path}");
            }
            let when = [("if-match", own.as_str())];
            let gone = registry.send("DELETE", &path, &when, "");
            assert_eq!(gone.await.status(), 202, "{path}");
            let again = registry.send("DELETE", &path, &when, "");
            assert_eq!(again.await.status(), 404, "{path}");
        }
    }
}

fn image(config: &[u8], stated: Value) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": Digest::of(config),
            "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": Digest::of(LAYER),
            "size": stated,
        }],
    })
}

#[tokio::test]
async fn fault_b17_a_stated_size_that_is_wrong_is_taken_unless_sizes_are_strict() {
    for (sizes, expected) in [(Sizes::Lenient, 201), (Sizes::Strict, 400)] {
        let storage = Storage::in_memory();
        let registry = Registry::new(storage.clone()).sizes(sizes);
        let registry = Running::start(registry, storage).await;
        for content in [LAYER, b"{}"] {
            registry.put_blob("a", content).await;
        }
        for stated in [json!(53), json!(0)] {
            let document = image(b"{}", stated.clone());
            let put = registry
                .put_with("/v2/a/manifests/v1", &[], &document)
                .await;
            assert_eq!(put.status(), expected, "{stated}");
            if expected == 400 {
                let text = put.text().await.unwrap();
                let words = [" 10 bytes".to_owned(), format!("states {stated}")];
                assert!(text.contains("SIZE_INVALID"), "{text}");
                assert!(words.iter().all(|word| text.contains(word)), "{text}");
            }
        }
        // The size of a child is one too.
        let child = registry.put("/v2/a/manifests/child", &index("child")).await;
        let mut parent = index("parent");
        parent["manifests"] = json!([{ "mediaType": INDEX, "digest": child, "size": 1 }]);
        let put = registry
            .put_with("/v2/a/manifests/parent", &[], &parent)
            .await;
        assert_eq!(put.status(), expected);
        for refused in [json!(-1), json!("10"), json!(1.5)] {
            let document = image(b"{}", refused);
            let put = registry
                .put_with("/v2/a/manifests/v2", &[], &document)
                .await;
            assert_eq!(code(put).await, (400, "MANIFEST_INVALID".to_owned()));
        }
        let unknown = image(b"other", json!(10));
        let put = registry.put_with("/v2/a/manifests/v2", &[], &unknown).await;
        assert_eq!(code(put).await, (404, "MANIFEST_BLOB_UNKNOWN".to_owned()));
    }
}

#[tokio::test]
async fn fault_c22_the_same_bytes_are_served_as_they_were_put() {
    const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    let body = r#"{"schemaVersion":2,"manifests":[]}"#;
    let digest = Digest::of(body.as_bytes());
    for registry in both().await.1 {
        for (repository, media_type) in [("a", INDEX), ("b", LIST), ("c", INDEX)] {
            let path = format!("/v2/{repository}/manifests/v1");
            let headers = [("content-type", media_type)];
            let put = registry.send("PUT", &path, &headers, body);
            assert_eq!(put.await.status(), 201);
        }
        for (repository, media_type) in [("a", INDEX), ("b", LIST), ("c", INDEX)] {
            for reference in ["v1".to_owned(), digest.to_string()] {
                for method in ["GET", "HEAD"] {
                    let path = format!("/v2/{repository}/manifests/{reference}");
                    let read = registry.send(method, &path, &[], "").await;
                    assert_eq!(read.status(), 200);
                    assert_eq!(header(&read, "content-type"), media_type, "{method} {path}");
                }
            }
        }
        // Within a repository the last one counts.
        let again = registry.send("PUT", "/v2/a/manifests/v2", &[("content-type", LIST)], body);
        assert_eq!(again.await.status(), 201);
        let read = registry.get("/v2/a/manifests/v1").await;
        assert_eq!(header(&read, "content-type"), LIST);
    }
}

#[tokio::test]
async fn fault_c23_bad_pages_are_refused_with_a_code_of_the_specification() {
    for registry in both().await.1 {
        registry.put("/v2/a/manifests/v1", &index("x")).await;
        for path in [
            "/v2/a/tags/list?n=x",
            "/v2/a/tags/list?n=-1",
            "/v2/a/tags/list?n=%2B1",
            "/v2/a/tags/list?n=",
            "/v2/a/tags/list?last=a/b",
            "/v2/_catalog?n=x",
            "/v2/_catalog?last=A",
        ] {
            let refused = code(registry.get(path).await).await;
            assert_eq!(refused, (400, "UNSUPPORTED".to_owned()), "{path}");
        }
        for path in [
            "/v2/a/tags/list?n=99999999999999999999999999",
            "/v2/_catalog?n=99999999999999999999999999",
        ] {
            assert_eq!(registry.status("GET", path).await, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn fault_c9_a_web_page_cannot_talk_to_a_registry_on_loopback() {
    let registry = Running::over(Storage::in_memory()).await;
    registry.put_blob("a", LAYER).await;
    let port = registry.address.port();
    for host in ["evil.example".to_owned(), format!("evil.example:{port}")] {
        for (method, path) in [
            ("GET", "/v2/"),
            ("GET", "/v2/_catalog"),
            ("POST", "/v2/a/blobs/uploads/"),
        ] {
            let answer = registry.send(method, path, &[("host", &host)], "").await;
            assert_eq!(answer.status(), 403, "{method} {path}");
            let text = answer.text().await.unwrap();
            assert!(text.contains("DENIED") && text.contains(&host), "{text}");
        }
    }
    for host in ["localhost", "[::1]:5000", "127.0.0.1:81"] {
        let answer = registry.send("GET", "/v2/", &[("host", host)], "").await;
        assert_eq!(answer.status(), 200, "{host}");
    }
}

#[tokio::test]
async fn fault_c9_further_names_are_served_when_the_server_is_told() {
    let registry = Registry::new(Storage::in_memory());
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(address, registry).await.unwrap();
    let server = server.host("registry.example");
    let address = server.local_addr();
    let serving = tokio::spawn(server.run(std::future::pending()));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (host, expected) in [("Registry.Example:5000", 200), ("other.example", 403)] {
        let request = client.get(format!("http://{address}/v2/"));
        let answer = request.header("host", host).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{host}");
    }
    serving.abort();
}

#[tokio::test]
async fn fault_c9_a_request_of_http_1_1_without_a_host_is_refused() {
    let registry = Running::over(Storage::in_memory()).await;
    for (version, expected) in [("1.1", "400"), ("1.0", "200")] {
        let mut stream = TcpStream::connect(registry.address).await.unwrap();
        let request = format!("GET /v2/ HTTP/{version}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1);
        assert_eq!(status, Some(expected), "{answer}");
    }
}
