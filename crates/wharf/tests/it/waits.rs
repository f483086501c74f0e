//! wire.md R5: which limit ends a wait. Every other limit here is an hour, so that a test ends only
//! by the right one.

use std::time::Duration;

use wharf::copy::{CopyOptions, RetryPolicy, copy};
use wharf::remote::{Client, ClientBuilder, Timeouts};
use wharf::{Error, ErrorKind};
use wharf_testkit::{Answer, FaultServer, Script, push_registry, seeded_bytes};

use crate::support::{MANIFEST, SESSION, image};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(300);

/// The limit of a test that fails: nothing ends it otherwise.
const FAILED: Duration = Duration::from_secs(120);

fn hours() -> Timeouts {
    Timeouts {
        connect: HOUR,
        header: HOUR,
        commit: HOUR,
        idle: HOUR,
    }
}

/// The error of a push that is tried once, of an image with a layer of `size` bytes.
async fn error_of(client: ClientBuilder, script: Script, size: usize) -> Error {
    let server = FaultServer::start(script);
    let name = format!("{}/app", server.address()).parse().unwrap();
    let store = client.build().unwrap().repository(&name);
    let (source, root) = image(&[seeded_bytes(1, size)]).await;
    let options = CopyOptions {
        retry: RetryPolicy {
            tries: 1,
            ..RetryPolicy::default()
        },
        ..CopyOptions::default()
    };
    let roots = [root];
    let pushed = tokio::time::timeout(FAILED, copy(&source, &store, &roots, &options));
    let error = pushed.await.expect("it ends").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    error
}

/// Reads everything and never answers.
fn silent() -> [Answer; 1] {
    [Answer::hang_after(u64::MAX)]
}

#[tokio::test]
async fn fault_a5_a_commit_ends_at_its_own_limit() {
    let timeouts = Timeouts {
        commit: SHORT,
        ..hours()
    };
    for path in [SESSION, MANIFEST] {
        let client = Client::builder().timeouts(timeouts);
        let script = push_registry().on("PUT", path, silent());
        let error = error_of(client, script, 100_000).await.to_string();
        assert!(error.contains("no answer for 0.3 s"), "{error}");
    }
}

#[tokio::test]
async fn fault_a5_a_part_of_a_blob_waits_for_an_answer_and_not_for_a_commit() {
    let timeouts = Timeouts {
        header: SHORT,
        ..hours()
    };
    let client = Client::builder()
        .timeouts(timeouts)
        .chunk_size(10_000.try_into().unwrap());
    let script = push_registry().on("PATCH", SESSION, silent());
    let error = error_of(client, script, 100_000).await.to_string();
    assert!(error.contains("PATCH"), "{error}");
    assert!(error.contains("no answer for 0.3 s"), "{error}");
}

#[tokio::test]
async fn fault_a5_a_connection_that_takes_no_bytes_ends_at_its_own_limit() {
    let timeouts = Timeouts {
        idle: SHORT,
        ..hours()
    };
    let client = Client::builder().timeouts(timeouts);
    // More than the buffers of two sockets.
    let script = push_registry().on("PUT", SESSION, [Answer::hang()]);
    let error = error_of(client, script, 64 << 20).await.to_string();
    assert!(error.contains("accepted no byte for 0.3 s"), "{error}");
}
