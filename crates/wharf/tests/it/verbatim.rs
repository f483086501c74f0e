//! wire.md M4: a `Location` is used byte for byte as it came.

use wharf::copy::copy;
use wharf::oci::Digest;
use wharf::remote::{Client, ClientBuilder, RemoteRepository};
use wharf_testkit::{
    Answer, Authority, FaultServer, Script, TlsFront, push_registry, seeded_bytes,
};

use crate::support::{SESSION, UPLOADS, image, lines, options, trusting};

/// Signed targets: each parser would write some of them otherwise.
const TARGETS: [&str; 6] = [
    "/up/1?sig=a'b&z=%2f%2F+~!*();:@$,[]|^",
    "/up/1?sp='&se=2026-01-01T00%3a00%3A00Z&sig=%27'",
    "/u^p/a'b{c}|d/%7e/1?x",
    "/up/1?a=?b='&&c",
    "/up/1?`=\\",
    "/up/1'",
];

fn app(client: ClientBuilder, host: &str) -> RemoteRepository {
    let name = format!("{host}/app").parse().unwrap();
    client.build().unwrap().repository(&name)
}

async fn push(store: &RemoteRepository) -> wharf::Result<()> {
    let (source, root) = image(&[seeded_bytes(1, 5000)]).await;
    copy(&source, store, &[root], &options().0).await.map(drop)
}

/// A registry that takes uploads anywhere, and opens sessions at `location`.
fn opens(location: &str) -> Script {
    push_registry()
        .on("PUT", "/u*", [Answer::status(201)])
        .on("PATCH", "/u*", [Answer::status(202)])
        .on(
            "POST",
            UPLOADS,
            [Answer::status(202).header("Location", location)],
        )
}

/// The targets of requests of `method` to a session, without the digest.
fn targets(server: &FaultServer, method: &str) -> Vec<String> {
    let lines = lines(server, &format!("{method} /u"));
    let lines = lines.iter().map(|line| {
        let target = line.split_once(' ').unwrap().1;
        target.split("digest=sha256:").next().unwrap().to_owned()
    });
    lines.collect()
}

#[tokio::test]
async fn fault_c19_a_session_is_used_where_it_was_opened() {
    for target in TARGETS {
        for base in ["", "{base}"] {
            let server = FaultServer::start(opens(&format!("{base}{target}")));
            let store = app(Client::builder(), &server.address().to_string());
            push(&store).await.unwrap();
            let joint = if target.contains('?') { '&' } else { '?' };
            let expected = format!("{target}{joint}");
            assert_eq!(targets(&server, "PUT"), [expected.clone(), expected]);
            let digest = format!("digest={}", Digest::of(&seeded_bytes(1, 5000)));
            let put = lines(&server, "PUT /u");
            assert!(put.iter().any(|line| line.ends_with(&digest)), "{put:?}");
        }
    }
}

#[tokio::test]
async fn fault_c19_a_relative_session_keeps_its_query() {
    let script = opens("session?state='a'%2f").on("PUT", SESSION, [Answer::status(201)]);
    let server = FaultServer::start(script);
    let store = app(Client::builder(), &server.address().to_string());
    push(&store).await.unwrap();
    let put = lines(&server, "PUT /v2/app/blobs");
    let start = "PUT /v2/app/blobs/uploads/session?state='a'%2f&digest=sha256:";
    assert_eq!(put.len(), 2);
    assert!(put.iter().all(|line| line.starts_with(start)), "{put:?}");
}

#[tokio::test]
async fn fault_c19_chunks_follow_a_signed_session() {
    let next = Answer::status(202).header("Location", "/up/2?sig='b'");
    let script = opens("/up/1?sig='a'").on("PATCH", "/u*", [next]);
    let server = FaultServer::start(script);
    let client = Client::builder().chunk_size(2000.try_into().unwrap());
    push(&app(client, &server.address().to_string()))
        .await
        .unwrap();
    let patched = targets(&server, "PATCH");
    assert_eq!(patched[0], "/up/1?sig='a'");
    assert_eq!(&patched[patched.len() - 2..], ["/up/2?sig='b'"; 2]);
    let bytes = server.requests();
    let bytes = bytes.iter().filter(|one| one.method == "PATCH");
    assert_eq!(bytes.map(|one| one.body_len).sum::<u64>(), 5000);
}

#[tokio::test]
async fn fault_c19_redirects_are_followed_as_they_came() {
    let store = FaultServer::start(Script::new().on("*", "*", [Answer::status(201)]));
    let moved = Answer::status(307).header("Location", &format!("{}/up?sig='x'", store.base()));
    let server = FaultServer::start(push_registry().on("PUT", SESSION, [moved]));
    push(&app(Client::builder(), &server.address().to_string()))
        .await
        .unwrap();
    assert_eq!(store.lines(), ["PUT /up?sig='x'"; 2]);
    let sent = store.requests();
    assert!(sent.iter().any(|one| one.body_len == 5000));
    assert!(sent.iter().all(|one| one.header("user-agent").is_some()));
    let host = store.address().to_string();
    assert!(sent.iter().all(|one| one.header("host") == Some(&host)));
}

#[tokio::test]
async fn fault_c19_signed_sessions_over_tls_are_verified() {
    let (authority, strangers) = (Authority::new(), Authority::new());
    for trusted in [true, false] {
        let store = FaultServer::start(Script::new().on("*", "*", [Answer::status(201)]));
        let pair = match trusted {
            true => authority.server(),
            false => strangers.server(),
        };
        let front = TlsFront::start(&pair, &strangers, store.address());
        let session = format!("https://localhost:{}/up?sig='x'", front.address().port());
        let server = FaultServer::start(opens(&session));
        let client = Client::builder().tls(trusting(&authority));
        let pushed = push(&app(client, &server.address().to_string())).await;
        assert_eq!(pushed.is_ok(), trusted, "{pushed:?}");
        match pushed {
            Ok(()) => assert_eq!(targets(&store, "PUT"), ["/up?sig='x'&"; 2]),
            Err(error) => {
                assert_eq!(error.kind(), wharf::ErrorKind::Untrusted, "{error}");
                assert_eq!(store.lines(), [""; 0]);
            }
        }
    }
}

#[tokio::test]
async fn fault_c19_a_signed_session_without_a_host_is_an_error() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nowhere.local_addr().unwrap();
    drop(nowhere);
    let server = FaultServer::start(opens(&format!("http://{address}/up?sig='x'")));
    let store = app(Client::builder(), &server.address().to_string());
    let error = push(&store).await.unwrap_err();
    assert_eq!(error.kind(), wharf::ErrorKind::Unreachable, "{error}");
    assert!(!error.to_string().contains("sig"), "{error}");
}
