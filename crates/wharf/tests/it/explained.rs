//! A failed HEAD has no text: one GET fetches the registry's text, and only if the work fails
//! because of it.

use std::sync::Arc;
use std::time::Duration;

use wharf::copy::{RetryPolicy, copy, push_blob};
use wharf::credentials::{Credential, Given};
use wharf::oci::{Registry, Selector};
use wharf::remote::{Client, RemoteRepository};
use wharf::store::Source;
use wharf::{Error, ErrorKind, Lack};
use wharf_testkit::{Answer, FaultServer, Script, push_registry, seeded_bytes};

use crate::support::{descriptor, image, options, repository};

const MANIFEST: &str = "/v2/app/manifests/v1";

fn retry() -> RetryPolicy {
    RetryPolicy {
        tries: 3,
        base: Duration::from_millis(1),
        ..RetryPolicy::default()
    }
}

async fn failure(store: &RemoteRepository) -> Error {
    let tag = Selector::Tag("v1".parse().unwrap());
    retry().run(|| store.resolve(&tag)).await.unwrap_err()
}

fn codes(error: &Error) -> Vec<&str> {
    let diagnostic = error.diagnostic();
    diagnostic.map_or(Vec::new(), |diagnostic| diagnostic.codes().collect())
}

/// A registry that answers HEAD with this status, and GET with text too.
fn says(status: u16, code: &str) -> FaultServer {
    FaultServer::start(Script::new().on("HEAD", "*", [Answer::status(status)]).on(
        "GET",
        "/v2/app/*",
        [Answer::error(status, code, "told")],
    ))
}

#[tokio::test]
async fn what_a_head_cannot_say_a_get_is_asked_for_once() {
    for (status, code, heads, kind) in [
        (401, "UNAUTHORIZED", 1, ErrorKind::Unauthorized),
        (403, "DENIED", 1, ErrorKind::Denied),
        (404, "NAME_UNKNOWN", 1, ErrorKind::NotFound),
        (429, "TOOMANYREQUESTS", 3, ErrorKind::Busy),
        (500, "UNKNOWN", 3, ErrorKind::Server),
    ] {
        let server = says(status, code);
        let error = failure(&repository(server.address(), "app")).await;
        assert_eq!((error.kind(), codes(&error)), (kind, vec![code]), "{error}");
        let mut expected = vec![format!("HEAD {MANIFEST}"); heads];
        expected.push(format!("GET {MANIFEST}"));
        assert_eq!(server.lines(), expected);
    }
}

#[tokio::test]
async fn a_registry_that_asks_to_wait_is_not_asked_again() {
    let wait = Answer::status(429).header("Retry-After", "60");
    let server = FaultServer::start(Script::new().on("*", "*", [wait]));
    let store = repository(server.address(), "app");
    let tag = Selector::Tag("v1".parse().unwrap());
    let once = RetryPolicy {
        tries: 1,
        ..retry()
    };
    let error = once.run(|| store.resolve(&tag)).await.unwrap_err();
    assert_eq!(error.wait(), Some(Duration::from_secs(60)));
    assert_eq!(server.lines(), [format!("HEAD {MANIFEST}")]);
}

#[tokio::test]
async fn a_get_that_fails_otherwise_or_not_at_all_explains_nothing() {
    for (answer, most) in [
        (Answer::status(200).body("{}"), 1),
        (Answer::error(404, "MANIFEST_UNKNOWN", "another matter"), 1),
        // Once more on a new connection (wire.md R8).
        (Answer::drop_connection(), 2),
    ] {
        // After any other refusal a read continues with GET.
        let refusal = Answer::status(401).header("WWW-Authenticate", "Basic realm=\"x\"");
        let script = Script::new().on("HEAD", "*", [refusal]);
        let server = FaultServer::start(script.on("GET", "*", [answer]));
        let error = failure(&repository(server.address(), "app")).await;
        assert_eq!((error.status(), codes(&error)), (Some(401), vec![]));
        let lines = server.lines();
        let asked = |method: &str| {
            let line = format!("{method} {MANIFEST}");
            lines.iter().filter(|known| **known == line).count()
        };
        assert_eq!(asked("HEAD"), 1, "{lines:?}");
        assert!((1..=most).contains(&asked("GET")), "{lines:?}");
    }
}

#[tokio::test]
async fn e2_a_head_that_is_refused_costs_a_push_no_get() {
    let refused = || [Answer::status(403)];
    let server = FaultServer::start(
        push_registry()
            .on("HEAD", "/v2/*/manifests/*", refused())
            .on("HEAD", "/v2/*/blobs/*", refused()),
    );
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let store = repository(server.address(), "app");
    copy(&source, &store, &[root], &options().0).await.unwrap();
    let lines = server.lines();
    let gets: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("GET /v2/app"))
        .collect();
    assert!(gets.is_empty(), "{lines:?}");
}

#[tokio::test]
async fn e1_of_a_blob_no_more_than_a_byte_is_asked_for() {
    let server = says(500, "UNKNOWN");
    let (source, root) = image(&[]).await;
    let config = source.manifest(descriptor(&root)).await.unwrap();
    let config = config.links()[0].descriptor.clone();
    let store = repository(server.address(), "app");
    let mut options = options().0;
    options.retry = retry();
    let error = push_blob(&store, &source.blob(&config), &options).await;
    let error = error.unwrap_err();
    assert_eq!(codes(&error), ["UNKNOWN"], "{error}");
    let asked = server.requests();
    let gets: Vec<_> = asked.iter().filter(|asked| asked.method == "GET").collect();
    let [get] = gets[..] else {
        panic!("{:?}", server.lines());
    };
    assert_eq!(get.header("range"), Some("bytes=0-0"));
}

#[tokio::test]
async fn a2_no_token_is_asked_for_to_hear_why_one_was_refused() {
    let token = Answer::status(200).body(r#"{"token":"t","expires_in":300}"#);
    let tokens = FaultServer::start(Script::new().on("*", "/token", [token]));
    let refusal = |error: &str| {
        let challenge = format!(r#"Bearer realm="{}/token"{error}"#, tokens.base());
        Answer::error(401, "DENIED", "told").header("WWW-Authenticate", &challenge)
    };
    for (error, lack) in [
        ("", Lack::Token),
        (r#",error="invalid_token""#, Lack::Token),
        (r#",error="insufficient_scope""#, Lack::Rights),
    ] {
        let server = FaultServer::start(Script::new().on("*", "/v2/app/*", [refusal(error)]));
        let host: Registry = server.address().to_string().parse().unwrap();
        let credential = Credential::password("me", "hidden".into());
        let client = Client::builder()
            .credentials(Arc::new(Given::new(host, credential, "the test")))
            .build();
        let name = format!("{}/app", server.address()).parse().unwrap();
        let before = tokens.requests().len();
        let failed = failure(&client.unwrap().repository(&name)).await;
        assert_eq!(codes(&failed), ["DENIED"], "{failed}");
        let refusal = failed.refusal().unwrap();
        assert_eq!(refusal.lack, lack, "{failed}");
        assert_eq!(refusal.source.as_deref(), Some("the test"));
        assert_eq!(refusal.scope, "repository:app:pull");
        assert_eq!(tokens.requests().len() - before, 1);
        // Without credentials, with the token, and for the text. A machine under load asks for the
        // root of the API too.
        let mut lines = server.lines();
        lines.retain(|line| line != "GET /v2/");
        assert_eq!(lines.len(), 3, "{lines:?}");
    }
}
