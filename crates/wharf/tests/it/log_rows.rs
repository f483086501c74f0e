//! What is in the log, and what never is: wire.md P3. The test runs in a process of its own,
//! because the threads of other tests influence which events are made.

use wharf::copy::copy;
use wharf::remote::Client;
use wharf_testkit::process::runs_alone;
use wharf_testkit::{Answer, FaultServer, push_registry, seeded_bytes};

use crate::support::log::Log;
use crate::support::{SESSION, image, options};

const SECRET_SESSION: &str = "http://user:hunter2@{host}/v2/app/blobs/uploads/{n}\
     ?_state=hunter2&X-Amz-Signature=hunter2&hunter2&digests=hunter2#hunter2";

#[tokio::test]
async fn p3_logs_and_errors_tell_everything_but_secrets() {
    if !runs_alone("log_rows::p3_logs_and_errors_tell_everything_but_secrets") {
        return;
    }
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber());

    let session = Answer::status(202)
        .header("Location", SECRET_SESSION)
        .header("Set-Cookie", "session=hunter2")
        .header("X-Amz-Security-Token", "hunter2");
    let unwell = Answer::error(500, "UNKNOWN", "no\u{1b}[2J luck").header("X-Auth", "hunter2");
    let script = push_registry()
        .on("POST", "/v2/*/blobs/uploads/", [session.clone()])
        .on("PATCH", SESSION, [session])
        .on(
            "PUT",
            SESSION,
            [unwell, Answer::drop_connection(), Answer::fall_through()],
        );
    let server = FaultServer::start(script);
    let client = Client::builder().build().unwrap();
    let repository = format!("{}/app", server.address()).parse().unwrap();
    let store = client.repository(&repository);
    let (source, root) = image(&[seeded_bytes(1, 5000)]).await;
    let mut options = options().0;
    copy(&source, &store, std::slice::from_ref(&root), &options)
        .await
        .unwrap();

    // The errors for the user, of a refusal and of a broken connection.
    options.retry.tries = 1;
    for answer in [Answer::status(403), Answer::drop_connection()] {
        let session = Answer::status(202).header("Location", SECRET_SESSION);
        let script = push_registry()
            .on("POST", "/v2/*/blobs/uploads/", [session])
            .on("PUT", SESSION, [answer]);
        let server = FaultServer::start(script);
        let store = client.repository(&format!("{}/app", server.address()).parse().unwrap());
        let error = copy(&source, &store, std::slice::from_ref(&root), &options).await;
        let error = error.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("PUT /v2/app/blobs/uploads/"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    let log = log.text();
    assert!(!log.contains("hunter2"), "{log}");
    assert!(!log.contains("dXNlcjpodW50ZXIy"), "base64 of it: {log}");
    assert!(!log.contains('\u{1b}'), "steers no terminal");
    for part in [
        "request method=HEAD url=http://127.0.0.1:",
        "?_state=***&X-Amz-Signature=***&***&digests=***&digest=sha256:",
        "location: http://127.0.0.1:",
        "status=500",
        "no answer method=PUT",
        r"no\u001b[2J luck",
        "request: {",
        "content-type: application/octet-stream",
    ] {
        assert!(log.contains(part), "{part} is not in {log}");
    }
}
