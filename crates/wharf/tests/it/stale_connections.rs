//! A host may close a connection just when it is used again (wire.md R8).

use std::collections::HashSet;
use std::sync::Mutex;

use wharf::copy::{CopyOptions, RetryPolicy, copy};
use wharf::oci::MediaType;
use wharf::store::{Memory, Store};
use wharf_testkit::{Answer, FaultServer, RecordedRequest, Script, push_registry, seeded_bytes};

use crate::support::{MANIFEST, count, finish, options, repository};

/// Whether a request is the second of its connection, or a later one.
fn is_later() -> impl Fn(&RecordedRequest) -> bool + Send + Sync + 'static {
    let seen = Mutex::new(HashSet::new());
    move |request| !seen.lock().unwrap().insert(request.connection)
}

/// A registry that closes a connection without a word when it is used again by these methods.
fn closing(methods: &'static [&'static str]) -> Script {
    let again = is_later();
    let closes = move |request: &RecordedRequest| {
        let later = again(request);
        later && methods.contains(&request.method.as_str())
    };
    push_registry().on_when("*", "*", closes, [Answer::drop_connection()])
}

/// Pushes an image of two layers; the number of events of another try.
async fn push(server: &FaultServer, copying: impl FnOnce(&mut CopyOptions)) -> u32 {
    let source = Memory::new();
    let layers = [1, 2].map(|seed| {
        let content = seeded_bytes(seed, 100_000);
        source.add_blob(MediaType::OCI_LAYER_GZIP, content)
    });
    let root = finish(&source, &layers, serde_json::json!({})).await;
    let (mut options, record) = options();
    copying(&mut options);
    let store = repository(server.address(), "app");
    copy(&source, &store, &[root], &options).await.unwrap();
    record.retried()
}

#[tokio::test]
async fn r8_a_connection_that_ends_when_it_is_used_again_costs_no_try() {
    let server = FaultServer::start(closing(&["GET", "HEAD", "POST"]));
    let retried = push(&server, |options| {
        options.jobs = 1.try_into().unwrap();
        options.retry.tries = 1;
    });
    assert_eq!(retried.await, 0);
    // Each one that was dropped was sent once more.
    let requests = server.requests();
    let dropped: Vec<_> = requests.iter().filter(|one| one.status.is_none()).collect();
    assert!(!dropped.is_empty(), "{:?}", server.lines());
    for request in dropped {
        let same = |other: &&RecordedRequest| other.line() == request.line();
        let tries = requests.iter().filter(same);
        let answered = tries.filter(|one| one.status.is_some()).count();
        assert!(answered > 0, "{:?}", server.lines());
    }
    assert_eq!(count(&server, "PUT /v2/app/manifests"), 1);
}

#[tokio::test]
async fn r8_a_server_that_answers_one_request_of_each_connection_is_pushed_to() {
    let server = FaultServer::start(closing(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]));
    let retried = push(&server, |options| options.jobs = 1.try_into().unwrap());
    // A first body may be lost; later ones are not.
    assert!(retried.await <= 1);
}

#[tokio::test]
async fn r8_what_may_have_been_acted_on_is_not_sent_again() {
    let script = closing(&["DELETE", "PUT"]);
    let server = FaultServer::start(script.on("HEAD", "*", [Answer::status(404)]));
    let store = repository(server.address(), "app");
    let tag = "1".parse().unwrap();
    // The connection is open now.
    let _ = wharf::Source::tags(&store, None, 1).await;
    assert!(store.delete(&tag).await.is_err());
    assert_eq!(count(&server, "DELETE"), 1);
}

#[tokio::test]
async fn r8_a_host_that_closes_a_new_connection_is_not_asked_twice() {
    let closes = Answer::drop_connection();
    let server = FaultServer::start(Script::new().on("*", MANIFEST, [closes]));
    let store = repository(server.address(), "app");
    let once = store.with_retry(RetryPolicy {
        tries: 1,
        ..RetryPolicy::default()
    });
    let tag = "1".parse().unwrap();
    assert!(once.manifest_at(&tag).await.is_err());
    assert_eq!(count(&server, "GET"), 1);
}
