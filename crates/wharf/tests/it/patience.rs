//! wire.md R1: trouble of a registry as a whole is waited for by time, and that of one piece of work
//! by its tries.

use std::time::Duration;

use wharf::copy::{CopyOptions, RetryPolicy, copy};
use wharf::store::{Memory, Names, Store};
use wharf_testkit::{Answer, FaultServer, Script, push_registry, seeded_bytes};

use crate::support::{BLOB, MANIFEST, count, finish, image, options, repository};

/// `failures` of 100 answers fail with 500, for the first `requests` of them.
fn trouble(failures: u8, requests: usize) -> Vec<Answer> {
    let random = seeded_bytes(7, requests).into_iter();
    let answers = random.map(|byte| match byte % 100 < failures {
        true => Answer::status(500),
        false => Answer::fall_through(),
    });
    answers.chain([Answer::fall_through()]).collect()
}

/// 429 without `Retry-After`, more often than work is tried.
fn limited() -> Vec<Answer> {
    let mut answers = vec![Answer::error(429, "TOOMANYREQUESTS", "slower"); 8];
    answers.push(Answer::fall_through());
    answers
}

async fn push(script: Script, layers: u64, options: &CopyOptions) -> wharf::Result<FaultServer> {
    let server = FaultServer::start(script);
    let layers: Vec<_> = (0..layers).map(|n| seeded_bytes(n, 100)).collect();
    let (source, root) = image(&layers).await;
    let store = repository(server.address(), "app");
    copy(&source, &store, &[root], options).await?;
    Ok(server)
}

#[tokio::test]
async fn fault_b3_many_blobs_arrive_although_a_registry_is_in_trouble_for_some_time() {
    let script = push_registry().on("*", BLOB, trouble(40, 300));
    let server = push(script, 60, &options().0).await.unwrap();
    assert_eq!(count(&server, "PUT /v2/app/manifests/v1"), 1);
    let failed = server.requests();
    let failed = failed.iter().filter(|request| request.status == Some(500));
    assert!(failed.count() > 80);
}

#[tokio::test]
async fn fault_b3_a_rate_limit_without_a_wait_outlasts_five_tries() {
    for (method, path) in [("HEAD", MANIFEST), ("PUT", MANIFEST), ("POST", BLOB)] {
        let script = push_registry().on(method, path, limited());
        push(script, 1, &options().0).await.unwrap();
    }
}

#[tokio::test]
async fn fault_b3_a_rate_limit_on_the_list_of_referrers_outlasts_five_tries() {
    let source = Memory::new();
    let subject = source.add_blob("text/plain".parse().unwrap(), b"subject".to_vec());
    let root = finish(&source, &[], serde_json::json!({ "subject": subject })).await;
    let script = push_registry().on("GET", "/v2/*/referrers/*", limited());
    let server = FaultServer::start(script);
    let store = repository(server.address(), "app");
    let manifest = wharf::store::Source::manifest(&source, crate::support::descriptor(&root));
    let manifest = manifest.await.unwrap();
    // The scripted registry keeps no list under a tag either.
    let error = store.put_manifest(&manifest, Names::Child).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("does not keep the list"), "{error}");
    assert_eq!(count(&server, "GET /v2/app/referrers/"), 9);
}

#[tokio::test]
async fn fault_b3_one_blob_that_fails_while_no_other_succeeds_is_tried_five_times() {
    let script = push_registry().on("POST", BLOB, [Answer::status(500)]);
    let error = push(script, 3, &options().0).await.unwrap_err().to_string();
    assert!(error.ends_with("(after 5 tries)"), "{error}");
}

#[tokio::test]
async fn fault_b3_patience_is_an_option() {
    let retry = RetryPolicy {
        endurance: Some(Duration::ZERO),
        ..options().0.retry
    };
    let options = CopyOptions {
        retry,
        ..options().0
    };
    let script = push_registry().on("PUT", MANIFEST, limited());
    let error = push(script, 1, &options).await.unwrap_err().to_string();
    assert!(error.ends_with("(after 5 tries)"), "{error}");
}
