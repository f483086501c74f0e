//! Notes of sessions that cannot be continued: the blob is sent all the same.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use wharf::blob::Blob;
use wharf::copy::{RetryPolicy, push_blob};
use wharf::oci::{Descriptor, Digest, MediaType};
use wharf::remote::{Client, Resolver, Timeouts};
use wharf::store::Outcome;
use wharf_testkit::{Answer, FaultServer, Script, push_registry, seeded_bytes};

use crate::support::{SESSION, lines, options, repository_name};

/// Resolves no name.
#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn addresses(&self, name: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let error = std::io::Error::other(format!("no such host: {name}"));
        async move { Err(error) }.boxed()
    }
}

fn blob() -> Blob {
    let content = seeded_bytes(1, 5 << 20);
    let size = content.len() as u64;
    let descriptor = Descriptor::new(MediaType::OCI_LAYER_GZIP, Digest::of(&content), size);
    Blob::from_bytes(descriptor, content.into())
}

/// Notes a session as a process that was killed left it.
fn note(directory: &Path, registry: SocketAddr, blob: &Blob, session: &str) {
    let (repository, digest) = (format!("{registry}/app"), &blob.descriptor().digest);
    let key = Digest::of(format!("{repository}\n{digest}").as_bytes());
    let line = serde_json::json!({
        "repository": repository, "digest": digest, "session": session,
    });
    fs::create_dir_all(directory).unwrap();
    fs::write(directory.join(key.hex()), line.to_string()).unwrap();
}

/// Pushes a blob with a note that names `session`, with this many tries at most. Returns how many failed.
async fn push(server: &FaultServer, session: &str, tries: u32) -> (wharf::Result<Outcome>, u32) {
    let place = tempfile::tempdir().unwrap();
    let (blob, notes) = (blob(), place.path().join("sessions"));
    note(&notes, server.address(), &blob, session);
    let outcome = push_noted(server, &notes, &blob, tries).await;
    if outcome.0.is_ok() {
        let left = fs::read_dir(&notes).unwrap().count();
        assert_eq!(left, 0, "the note stays after {session}");
    }
    outcome
}

async fn push_noted(
    server: &FaultServer,
    notes: &Path,
    blob: &Blob,
    tries: u32,
) -> (wharf::Result<Outcome>, u32) {
    let timeouts = Timeouts {
        header: Duration::from_secs(1),
        ..Timeouts::default()
    };
    let client = Client::builder()
        .sessions(notes.to_owned())
        .resolver(Arc::new(Nowhere))
        .timeouts(timeouts)
        .build()
        .unwrap();
    let store = client.repository(&repository_name(server.address(), "app"));
    let (mut options, record) = options();
    options.retry = RetryPolicy {
        tries,
        ..options.retry
    };
    let outcome = push_blob(&store, blob, &options).await;
    client.tidy(Duration::from_secs(10)).await;
    (outcome, record.retried())
}

/// A registry that answers about the session `old` with `status`, and to its rest with `rest`.
fn with_old(status: Answer, rest: Answer) -> Script {
    const OLD: &str = "/v2/app/blobs/uploads/old";
    push_registry()
        .on("GET", SESSION, [status])
        .on("PUT", OLD, [rest.clone()])
        .on("PATCH", OLD, [rest])
}

fn old(server: &FaultServer) -> String {
    format!("http://{}/v2/app/blobs/uploads/old", server.address())
}

#[tokio::test]
async fn fault_a11_a_session_whose_host_is_out_of_reach_costs_no_try() {
    // A port that nothing listens at.
    let dead = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for session in [
        format!("http://{dead}/uploads/1"),
        "http://gone.invalid/uploads/1".to_owned(),
        // Refused as an address near this machine.
        "http://169.254.169.254/uploads/1".to_owned(),
        "nonsense".to_owned(),
    ] {
        let server = FaultServer::start(push_registry());
        let (outcome, failed) = push(&server, &session, 5).await;
        assert_eq!(outcome.unwrap(), Outcome::Written, "{session}");
        assert_eq!(failed, 0, "{session}");
        assert_eq!(lines(&server, "POST").len(), 1, "{session}");
    }
}

#[tokio::test]
async fn fault_a11_a_session_that_never_answers_costs_one_try() {
    for status in [
        Answer::status(503),
        Answer::status(429),
        Answer::drop_connection(),
        Answer::hang(),
    ] {
        let server = FaultServer::start(with_old(status.clone(), Answer::status(500)));
        let (outcome, failed) = push(&server, &old(&server), 2).await;
        assert_eq!(outcome.unwrap(), Outcome::Written, "{status:?}");
        assert_eq!(failed, 1, "{status:?}");
    }
    let server = FaultServer::start(with_old(Answer::status(500), Answer::status(500)));
    let (outcome, failed) = push(&server, &old(&server), 2).await;
    assert_eq!((outcome.unwrap(), failed), (Outcome::Written, 0));
}

#[tokio::test]
async fn fault_a11_a_session_that_takes_no_rest_costs_one_try() {
    let status = || Answer::status(204).header("Range", "0-1048575");
    for rest in [
        Answer::status(500),
        Answer::status(503),
        Answer::drop_connection(),
        Answer::close_after(100_000),
        Answer::error(404, "BLOB_UPLOAD_UNKNOWN", "gone"),
        Answer::error(416, "RANGE_INVALID", "no"),
    ] {
        let server = FaultServer::start(with_old(status(), rest.clone()));
        let (outcome, failed) = push(&server, &old(&server), 2).await;
        assert_eq!(outcome.unwrap(), Outcome::Written, "{rest:?}");
        assert!(failed <= 1, "{rest:?}: {failed}");
    }
}

#[tokio::test]
async fn fault_a11_runs_of_one_try_are_not_blocked_either() {
    let status = || Answer::status(204).header("Range", "0-1048575");
    for (status, rest) in [
        (Answer::status(503), Answer::status(503)),
        (status(), Answer::drop_connection()),
    ] {
        // Nor does the session end.
        let script = with_old(status, rest).on("DELETE", SESSION, [Answer::status(500)]);
        let server = FaultServer::start(script);
        let place = tempfile::tempdir().unwrap();
        let (blob, notes) = (blob(), place.path().join("sessions"));
        note(&notes, server.address(), &blob, &old(&server));
        push_noted(&server, &notes, &blob, 1).await.0.unwrap_err();
        let (outcome, _) = push_noted(&server, &notes, &blob, 1).await;
        assert_eq!(outcome.unwrap(), Outcome::Written);
    }
}

#[tokio::test]
async fn fault_a11_a_registry_in_trouble_loses_no_session() {
    let busy = || Answer::status(503);
    // The session does not answer twice, and no other one can be opened then.
    let stands = Answer::status(204).header("Range", "0-1048575");
    let script = push_registry()
        .on("GET", SESSION, [busy(), busy(), stands])
        .on(
            "POST",
            "/v2/*/blobs/uploads/",
            [busy(), Answer::fall_through()],
        )
        .on("PUT", SESSION, [Answer::status(201)]);
    let server = FaultServer::start(script);
    let (outcome, _) = push(&server, &old(&server), 5).await;
    assert_eq!(outcome.unwrap(), Outcome::Written);
    let put = server
        .requests()
        .into_iter()
        .rfind(|request| request.method == "PUT");
    assert_eq!(put.unwrap().body_len, (5 << 20) - (1 << 20));
}
