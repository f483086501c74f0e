//! Nothing that can be printed contains a secret, with any credential and after any outcome:
//! wire.md P3. Logs everything that any crate logs. The test runs in a process of its own, because
//! loggers serve the whole process.

use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use wharf::copy::copy;
use wharf::credentials::{Chain, Credential, Given};
use wharf::oci::Registry;
use wharf::remote::Client;
use wharf_testkit::process::runs_alone;
use wharf_testkit::{
    Answer, Authority, DockerRegistry, FaultServer, RecordedRequest, RegistryAuth, RegistryTls,
    Script, push_registry, seeded_bytes,
};

use crate::support::log::Log;
use crate::support::{image, options, trusting};

/// Part of each secret of this test, so that a forgotten one is found too.
const MARK: &str = "hunter2";

/// base64 of `me:hunter2-password` and of `me:hidden`.
const ENCODED: [&str; 2] = ["bWU6aHVudGVyMi1wYXNzd29yZA", "bWU6aGlkZGVu"];

/// Prints with `Debug`, as programs and debugging people do.
fn print(log: &Log, thing: &dyn Debug) {
    log.add(&format!("{thing:?}\n{thing:#?}\n"));
}

/// The logger of reqwest and rustls.
struct Ear(Log);

impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        self.0
            .add(&format!("{}: {}\n", record.target(), record.args()));
    }
    fn flush(&self) {}
}

fn listen() -> Log {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.subscriber()).unwrap();
    log::set_boxed_logger(Box::new(Ear(log.clone()))).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    log
}

/// A token server with secret tokens and secret text in its answers.
fn token_server() -> FaultServer {
    let count = AtomicU32::new(0);
    let answer = Answer::from_fn(move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let body = format!(
            r#"{{"token":"hunter2-token-{number}","refresh_token":"hunter2-refresh","expires_in":300}}"#
        );
        Answer::status(200)
            .header("Content-Type", "application/json")
            .header("Set-Cookie", "session=hunter2-cookie")
            .body(body)
    });
    FaultServer::start(Script::new().on("*", "/token", [answer]))
}

/// A registry that requires credentials, and redirects uploads to signed URLs of a store.
fn registry(challenge: &str, store: &FaultServer, manifest: Answer) -> FaultServer {
    let bare = |request: &RecordedRequest| request.header("authorization").is_none();
    let refusal = Answer::error(401, "UNAUTHORIZED", "authentication required")
        .header("WWW-Authenticate", challenge)
        .header("Set-Cookie", "session=hunter2-cookie");
    let signed = format!(
        "{}/upload/{{n}}?_state=hunter2-state&X-Amz-Signature=hunter2-aws&sig=hunter2-azure\
         &X-Amz-Credential=hunter2-id&hunter2-bare",
        store.base()
    );
    let session = Answer::status(202)
        .header("Location", &signed)
        .header("X-Amz-Security-Token", "hunter2-amz");
    FaultServer::start(
        push_registry()
            .on("POST", "/v2/*/blobs/uploads/", [session])
            .on("PUT", "/v2/*/manifests/*", [manifest])
            .on_when("*", "/v2/*/*", bare, [refusal]),
    )
}

/// A store of blobs that accepts the first two, and answers `last` to the third.
fn store(last: Answer) -> FaultServer {
    let taken = || Answer::status(201);
    let script = Script::new().on("PUT", "*", [taken(), taken(), last]);
    FaultServer::start_on(Ipv4Addr::new(127, 0, 0, 2).into(), script)
}

async fn push(log: &Log, client: &Client, host: &str) -> bool {
    let (source, root) = image(&[seeded_bytes(1, 5000), seeded_bytes(2, 5000)]).await;
    let name = format!("{host}/app").parse().unwrap();
    let repository = client.repository(&name);
    let copied = copy(&source, &repository, &[root], &options().0).await;
    print(log, &client);
    print(log, &repository);
    if let Err(error) = &copied {
        log.add(&error.to_string());
        print(log, error);
    }
    copied.is_ok()
}

fn client(log: &Log, host: &str, credential: Credential) -> Client {
    let registry: Registry = host.parse().unwrap();
    let given = Given::new(registry, credential, "the test");
    let chain = Chain::new(vec![Arc::new(given)]);
    print(log, &chain);
    let builder = Client::builder().credentials(Arc::new(chain));
    print(log, &builder);
    builder.build().unwrap()
}

/// A push with each kind of credential, to a registry that accepts everything and to one that
/// fails.
async fn scripted(log: &Log) {
    let tokens = token_server();
    let bearer = format!(
        r#"Bearer realm="{}/token?tenant=open-to-all""#,
        tokens.base()
    );
    let password = || Credential::password("me", "hunter2-password".into());
    let denied = || Answer::error(403, "DENIED", "not yours");
    for (challenge, credential) in [
        ("Basic", password()),
        (&bearer, password()),
        (
            &bearer,
            Credential::IdentityToken("hunter2-identity".into()),
        ),
        (
            &bearer,
            Credential::RegistryToken("hunter2-registry".into()),
        ),
    ] {
        for (last, manifest, expected) in [
            (Answer::status(201), Answer::status(201), true),
            (Answer::status(403), Answer::status(201), false),
            (Answer::drop_connection(), Answer::status(201), false),
            (Answer::status(201), denied(), false),
            (Answer::status(201), Answer::drop_connection(), false),
        ] {
            let store = store(last);
            let registry = registry(challenge, &store, manifest);
            let host = registry.address().to_string();
            let client = client(log, &host, credential.clone());
            assert_eq!(push(log, &client, &host).await, expected, "{}", log.text());
            let shown = registry.requests().into_iter();
            let mut shown = shown.filter_map(|asked| asked.header("authorization").map(str::len));
            assert!(shown.next().is_some(), "it was never shown anything");
            assert!(store.requests()[0].target.contains("sig=hunter2-azure"));
        }
    }
}

/// The same to a real registry over TLS.
async fn encrypted(log: &Log) {
    let authority = Authority::new();
    let tls = RegistryTls {
        server: authority.server(),
        clients: None,
    };
    let Some(registry) = DockerRegistry::start_tls(&RegistryAuth::Basic, &tls) else {
        return;
    };
    let host = registry.address().to_string();
    let given = Credential::password("me", "hidden".into());
    let given = Given::new(host.parse().unwrap(), given, "the test");
    let client = Client::builder()
        .credentials(Arc::new(given))
        .tls(trusting(&authority))
        .build();
    assert!(push(log, &client.unwrap(), &host).await, "{}", log.text());
}

#[tokio::test]
async fn p3_no_secret_is_logged_or_printed() {
    if !runs_alone("secrets::p3_no_secret_is_logged_or_printed") {
        return;
    }
    let log = listen();
    scripted(&log).await;
    encrypted(&log).await;
    let text = log.text();
    for secret in [MARK, ENCODED[0], ENCODED[1], "me:hidden"] {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is told");
    }
    // Other crates do log, so the absence of secrets means something.
    for voice in ["DEBUG wharf_remote::", "reqwest::connect: starting"] {
        assert!(text.contains(voice), "{voice} is silent");
    }
}
