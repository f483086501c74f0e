//! Requests that say two things, or that are not as HTTP says. RFC 9110, RFC 9112; distribution-spec:
//! "Pushing a blob in chunks".

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wharf::oci::Digest;

use crate::common::{Running, both, code, header};

/// The status of the answer to raw bytes.
async fn status_of(address: SocketAddr, request: &str) -> u16 {
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    peer.read_exact(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.strip_prefix("HTTP/1.1 ").unwrap();
    status.parse().unwrap()
}

/// Sends a body in chunks of the transfer coding, with these lines in the head.
async fn send_chunked(
    registry: &Running,
    method: &str,
    target: &str,
    lines: &str,
    body: &[&str],
) -> u16 {
    let chunks: String = body
        .iter()
        .map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len()))
        .collect();
    let request =
        format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n{chunks}0\r\n\r\n");
    status_of(registry.address, &request).await
}

/// The range that a session reports.
async fn range(registry: &Running, path: &str) -> String {
    let mut status = registry.get(path).await;
    while status.status() == 429 {
        status = registry.get(path).await;
    }
    assert_eq!(status.status(), 204);
    header(&status, "range")
}

#[tokio::test]
async fn fault_b18_a_coding_that_is_not_undone_is_not_stored() {
    for registry in both().await.1 {
        let path = registry.begin("a").await;
        for lines in [
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: deflate, gzip, chunked\r\n",
        ] {
            let status = send_chunked(&registry, "PATCH", &path, lines, &["packed"]).await;
            assert_eq!(status, 501, "{lines}");
            let put = format!("{path}?digest={}", Digest::of(b"packed"));
            let status = send_chunked(&registry, "PUT", &put, lines, &["packed"]).await;
            assert_eq!(status, 501, "{lines}");
        }
        assert_eq!(range(&registry, &path).await, "0-0");
        let lines = "transfer-encoding: chunked\r\n";
        let status = send_chunked(&registry, "PATCH", &path, lines, &["pla", "in"]).await;
        assert_eq!(status, 202);
        assert_eq!(range(&registry, &path).await, "0-4");
    }
}

#[tokio::test]
async fn fault_b18_a_chunk_of_another_length_than_its_range_changes_nothing() {
    for registry in both().await.1 {
        let path = registry.begin("a").await;
        let lines =
            |range: &str| format!("transfer-encoding: chunked\r\ncontent-range: {range}\r\n");
        let digest = Digest::of(b"hello world");
        let put = format!("{path}?digest={digest}");
        for (start, before) in [(0, "0-0"), (5, "0-4")] {
            for (length, body) in [
                (5, &["hell"][..]),
                (5, &["hello", "!"]),
                (5, &["hello!"]),
                (3, &[" world"]),
                (100, &[" world"]),
                (5, &[]),
            ] {
                let lines = lines(&format!("{start}-{}", start + length - 1));
                for (method, target) in [("PATCH", &path), ("PUT", &put)] {
                    let status = send_chunked(&registry, method, target, &lines, body).await;
                    assert_eq!(status, 416, "{method} {lines} {body:?}");
                    assert_eq!(range(&registry, &path).await, before, "{body:?}");
                }
            }
            if start == 0 {
                let body = ["he", "llo"];
                let status = send_chunked(&registry, "PATCH", &path, &lines("0-4"), &body).await;
                assert_eq!(status, 202);
            }
        }
        let status = send_chunked(&registry, "PUT", &put, &lines("5-10"), &[" world"]).await;
        assert_eq!(status, 201);
        let read = registry.get(&format!("/v2/a/blobs/{digest}")).await;
        assert_eq!(read.text().await.unwrap(), "hello world");
    }
}

#[tokio::test]
async fn fault_b18_bytes_that_are_dropped_do_not_stay_in_the_hash() {
    for registry in both().await.1 {
        let path = registry.begin("a").await;
        let (kept, wrong) = (vec![1; 3 << 20], vec![2; 3 << 20]);
        registry.send("PATCH", &path, &[], kept.clone()).await;
        let stream = futures::stream::iter([Ok::<_, std::io::Error>(wrong)]);
        let body = reqwest::Body::wrap_stream(stream);
        let claimed = format!("{}-{}", 3 << 20, 9 << 20);
        let headers = [("content-range", claimed.as_str())];
        let refused = registry.send("PATCH", &path, &headers, body).await;
        assert_eq!(refused.status(), 416);
        assert_eq!(header(&refused, "range"), format!("0-{}", (3 << 20) - 1));
        assert_eq!(header(&refused, "location"), path);
        let whole = [kept, b"end".to_vec()].concat();
        let target = format!("{path}?digest={}", Digest::of(&whole));
        let put = registry.send("PUT", &target, &[], "end").await;
        assert_eq!(put.status(), 201);
    }
}

#[tokio::test]
async fn fault_b18_numbers_are_made_of_digits() {
    for registry in both().await.1 {
        let path = registry.begin("a").await;
        for wrong in ["+0-4", "0-+4", "bytes +0-4/5", "0-4/+5", "0-4/2", "0x0-4"] {
            let headers = [("content-range", wrong)];
            let refused = registry.send("PATCH", &path, &headers, "hello").await;
            let refused = code(refused).await;
            assert_eq!(refused, (400, "BLOB_UPLOAD_INVALID".to_owned()), "{wrong}");
        }
        let twice = [("content-range", "0-4"), ("content-range", "0-4")];
        let refused = registry.send("PATCH", &path, &twice, "hello").await;
        assert_eq!(refused.status(), 400);
        assert_eq!(range(&registry, &path).await, "0-0");
        let digest = registry.put_blob("a", b"hello").await;
        let blob = format!("/v2/a/blobs/{digest}");
        for ignored in ["bytes=+1-3", "bytes=1-+3", "bytes=-+3"] {
            let whole = registry.send("GET", &blob, &[("range", ignored)], "").await;
            assert_eq!(whole.status(), 200, "{ignored}");
            assert_eq!(whole.text().await.unwrap(), "hello");
        }
        let twice = [("range", "bytes=0-1"), ("range", "bytes=2-3")];
        let whole = registry.send("GET", &blob, &twice, "").await;
        assert_eq!(whole.status(), 200);
        assert_eq!(registry.status("GET", "/v2/_catalog?n=%2B5").await, 400);
    }
}

#[tokio::test]
async fn fault_b18_an_empty_last_chunk_is_where_the_session_ends() {
    for registry in both().await.1 {
        let digest = Digest::of(b"hello");
        let path = registry.begin("a").await;
        registry.send("PATCH", &path, &[], "hello").await;
        let target = format!("{path}?digest={digest}");
        for (wrong, status) in [("6-5", 416), ("9-9", 416), ("4-4", 416), ("5-9", 400)] {
            let headers = [("content-range", wrong)];
            let refused = registry.send("PUT", &target, &headers, "").await;
            assert_eq!(refused.status(), status, "{wrong}");
            assert_eq!(range(&registry, &path).await, "0-4");
        }
        let headers = [("content-range", "5-4")];
        let put = registry.send("PUT", &target, &headers, "").await;
        assert_eq!(put.status(), 201);
    }
}

#[tokio::test]
async fn fault_b18_two_hosts_or_a_malformed_one_are_refused() {
    let registry = both().await.1.remove(0);
    for (lines, expected) in [
        ("host: localhost\r\n", 200),
        ("host: 127.0.0.1:5000\r\n", 200),
        ("host: localhost\r\nhost: localhost\r\n", 400),
        ("host: localhost\r\nhost: 127.0.0.1\r\n", 400),
        ("host: localhost:port\r\n", 400),
        ("host: local host\r\n", 400),
        ("host: localhost/b\r\n", 400),
        ("host: user@localhost\r\n", 400),
        ("host:\r\n", 400),
    ] {
        let request = format!("GET /v2/ HTTP/1.1\r\n{lines}\r\n");
        assert_eq!(
            status_of(registry.address, &request).await,
            expected,
            "{lines}"
        );
    }
}
