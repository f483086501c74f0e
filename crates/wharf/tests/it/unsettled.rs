//! Registries that show a write only after a moment.

use wharf::copy::{Summary, copy};
use wharf::{ErrorKind, Result};
use wharf_testkit::{Answer, FaultServer, push_registry};

use crate::support::{MANIFEST, image, options, repository};

/// Pushes an image to a registry with these answers to its manifest. Returns how often it was put.
async fn push(answers: Vec<Answer>) -> (Result<Summary>, usize) {
    let (source, root) = image(&[b"layer".to_vec()]).await;
    let server = FaultServer::start(push_registry().on("PUT", MANIFEST, answers));
    let (options, _) = options();
    let store = repository(server.address(), "app");
    let pushed = copy(&source, &store, &[root], &options).await;
    let lines = server.lines();
    let puts = lines.iter().filter(|line| line.contains("/manifests/v1"));
    (pushed, puts.filter(|line| line.starts_with("PUT ")).count())
}

#[tokio::test]
async fn r3_a_manifest_whose_blobs_are_not_seen_yet_is_put_again() {
    let unseen = || Answer::error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
    let (pushed, puts) = push(vec![unseen(), unseen(), Answer::fall_through()]).await;
    assert_eq!((pushed.unwrap().manifests, puts), (1, 3));
    // A registry that never shows it fails the push.
    let (pushed, puts) = push(vec![unseen()]).await;
    let error = pushed.unwrap_err();
    assert!(puts > 1 && error.to_string().contains("(after "), "{error}");
}

#[tokio::test]
async fn r1_a_manifest_that_is_refused_for_what_it_is_is_put_once() {
    let refused = Answer::error(400, "MANIFEST_INVALID", "no");
    let (pushed, puts) = push(vec![refused]).await;
    assert_eq!((pushed.unwrap_err().kind(), puts), (ErrorKind::Rejected, 1));
}
