//! Things that happen at the same time: pushes, destinations, lost answers, refusals in the middle
//! of work.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use wharf::Wharf;
use wharf::copy::{CopyOptions, copy, copy_to_all};
use wharf::credentials::{Credential, Given};
use wharf::layer::{Family, LayerInput, NewImage, Packing};
use wharf::memory::{Fact, RegistryMemory, Scheme};
use wharf::oci::{ImageConfig, MediaType, Registry};
use wharf::remote::{Client, Limits, RemoteRepository, Timeouts};
use wharf::store::{Memory, Source};
use wharf_testkit::{Answer, FaultServer, Script, push_registry, seeded_bytes};

use crate::support::{
    BASIC, BLOB, SESSION, UPLOADS, destinations, image, options, repository, repository_name,
};

/// Two pushes over one client to the same two registries, named in opposite order.
#[tokio::test(flavor = "multi_thread")]
async fn o7_o8_pushes_that_cross_do_not_wait_for_each_other_for_ever() {
    let servers = [(); 2].map(|()| FaultServer::start(push_registry()));
    let client = Client::builder().build().unwrap();
    for round in 0..3 {
        let name = format!("app{round}");
        let at = |n: usize| client.repository(&repository_name(servers[n].address(), &name));
        let push = async |stores: [RemoteRepository; 2]| {
            let pushing = tokio::spawn(async move {
                let (source, root) = image(&[seeded_bytes(1, 3_000_000)]).await;
                let roots = [root];
                let to = destinations(&stores, &roots);
                for outcome in copy_to_all(&source, &to, &options().0).await {
                    outcome.unwrap();
                }
            });
            pushing.await.unwrap();
        };
        let both = async { tokio::join!(push([at(0), at(1)]), push([at(1), at(0)])) };
        let done = tokio::time::timeout(Duration::from_secs(15), both).await;
        assert!(done.is_ok(), "hangs in round {round}");
    }
}

/// One copy with the same repository as both destinations.
#[tokio::test]
async fn o7_one_repository_named_twice_is_no_deadlock() {
    let server = FaultServer::start(push_registry());
    let client = Client::builder().build().unwrap();
    let name = repository_name(server.address(), "app");
    let stores = [client.repository(&name), client.repository(&name)];
    let (source, root) = image(&[seeded_bytes(1, 3_000_000)]).await;
    let (roots, options) = ([root], options().0);
    let to = destinations(&stores, &roots);
    let copying = copy_to_all(&source, &to, &options);
    let done = tokio::time::timeout(Duration::from_secs(15), copying).await;
    assert!(done.is_ok(), "hangs");
}

/// Two layers made on the way, two registries, one send at a time at each.
#[tokio::test]
async fn o7_r7_layers_that_cross_at_narrow_gates_get_through() {
    for _round in 0..2 {
        let session = |ms| {
            Answer::status(202)
                .header("Location", "{path}session-{n}")
                .after(Duration::from_millis(ms))
        };
        let x = FaultServer::start(push_registry().on(
            "POST",
            UPLOADS,
            [session(0), session(200), session(0)],
        ));
        let y = FaultServer::start(push_registry().on(
            "POST",
            UPLOADS,
            [session(200), session(0), session(0)],
        ));
        let limits = Limits {
            sends: 1,
            ..Limits::default()
        };
        let client = Client::builder().limits(limits).build().unwrap();
        let layers = (0..2)
            .map(|n| {
                let open = move || {
                    async move {
                        let chunks: Vec<wharf::Result<bytes::Bytes>> = (0..40)
                            .map(|c| Ok(vec![(n * 100 + c) as u8; 1 << 20].into()))
                            .collect();
                        Ok(stream::iter(chunks).boxed())
                    }
                    .boxed()
                };
                LayerInput::again("made", open)
                    .tar(&Packing::Plain, Family::Oci)
                    .unwrap()
            })
            .collect();
        let new = NewImage {
            config: ImageConfig {
                architecture: "amd64".into(),
                os: "linux".into(),
                ..Default::default()
            },
            layers,
            family: Family::Oci,
        };
        let wharf = Wharf::with_options(client, options().0);
        let to = [&x, &y].map(|s| format!("{}/app:1", s.address()).parse().unwrap());
        let source = Memory::new();
        let pushing = wharf.push_to_all(&source, new, &to);
        let done = tokio::time::timeout(Duration::from_secs(20), pushing).await;
        assert!(done.is_ok(), "hangs");
    }
}

/// One cut connection at a registry that neither resumes nor accepts chunks.
#[tokio::test]
async fn u5_a_registry_that_takes_no_chunks_gets_the_blob_whole_after_a_break() {
    let ranged = |r: &wharf_testkit::RecordedRequest| r.header("content-range").is_some();
    let script = push_registry()
        .on("GET", SESSION, [Answer::status(404)])
        .on_when(
            "PATCH",
            SESSION,
            ranged,
            [Answer::error(416, "UNKNOWN_RANGE", "no chunks here")],
        )
        .on(
            "PUT",
            SESSION,
            [Answer::close_after(3_000_000), Answer::fall_through()],
        );
    let server = FaultServer::start(script);
    let (source, root) = image(&[seeded_bytes(1, 40_000_000)]).await;
    let store = repository(server.address(), "app");
    let outcome = copy(&source, &store, &[root], &options().0).await;
    outcome.unwrap();
}

/// A remembered scheme that is wrong, and a remembered challenge that is right.
#[tokio::test]
async fn e4_a_wrong_scheme_beside_a_remembered_challenge_costs_a_request() {
    let refusal = Answer::error(401, "UNAUTHORIZED", "authentication required")
        .header("WWW-Authenticate", r#"Basic realm="x""#);
    let script = push_registry().on_when(
        "*",
        "/v2/*/*",
        |r| r.header("authorization") != Some(BASIC),
        [refusal],
    );
    let server = FaultServer::start(script);
    let host: Registry = server.address().to_string().parse().unwrap();
    let memory = RegistryMemory::in_process();
    memory.learn(&host, Fact::Scheme(Scheme::Https));
    memory.learn(&host, Fact::Challenge(r#"Basic realm="x""#.into()));
    for run in 0..3 {
        let given = Given::new(
            host.clone(),
            Credential::password("me", "hidden".into()),
            "the test",
        );
        let client = Client::builder()
            .memory(memory.clone())
            .credentials(Arc::new(given))
            .build()
            .unwrap();
        let store = client.repository(&format!("{host}/app").parse().unwrap());
        let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
        let outcome = copy(&source, &store, &[root], &options().0).await;
        if run == 2 {
            outcome.unwrap();
        }
    }
}

/// The answer to a commit is lost, and the next existence check finds the blob.
#[tokio::test]
async fn u8_a_session_whose_blob_is_there_after_all_is_ended() {
    let there = Answer::status(200).header("Content-Length", "6000000");
    let script = push_registry()
        .on("HEAD", BLOB, [Answer::status(404), there.clone()])
        .on_when("HEAD", BLOB, |_| true, [Answer::fall_through()])
        .on(
            "PUT",
            SESSION,
            [Answer::close_after(6_000_000), Answer::fall_through()],
        );
    let server = FaultServer::start(script);
    let place = tempfile::tempdir().unwrap();
    let client = Client::builder()
        .sessions(place.path().join("s"))
        .build()
        .unwrap();
    let memory = Memory::new();
    let blob = memory.add_blob(MediaType::OCI_LAYER, seeded_bytes(1, 6_000_000));
    let store = client.repository(&repository_name(server.address(), "app"));
    let _outcome = wharf::copy::push_blob(&store, &memory.blob(&blob), &options().0)
        .await
        .unwrap();
    client.tidy(Duration::from_secs(5)).await;
    let left = std::fs::read_dir(place.path().join("s")).unwrap().count();
    let ended = server
        .lines()
        .iter()
        .filter(|l| l.starts_with("DELETE"))
        .count();
    assert_eq!((left, ended), (0, 1), "notes left, sessions ended");
}

/// The longest possible times.
#[tokio::test]
async fn r5_no_limit_is_a_limit_too() {
    let server = FaultServer::start(push_registry());
    let timeouts = Timeouts {
        idle: Duration::MAX,
        ..Timeouts::default()
    };
    let client = Client::builder().timeouts(timeouts).build().unwrap();
    let store = client.repository(&repository_name(server.address(), "app"));
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    copy(&source, &store, &[root], &options().0).await.unwrap();
}

/// One destination that waits before any byte moves.
#[tokio::test]
async fn o7_a_registry_that_asks_to_wait_does_not_hold_up_another() {
    let x = FaultServer::start(push_registry().on(
        "POST",
        UPLOADS,
        [
            Answer::status(429).header("Retry-After", "20"),
            Answer::fall_through(),
        ],
    ));
    let y = FaultServer::start(push_registry());
    let client = Client::builder().build().unwrap();
    let layers: Vec<_> = (0..8).map(|n| seeded_bytes(n, 1_000_000)).collect();
    let (source, root) = image(&layers).await;
    let stores = [&x, &y].map(|s| client.repository(&repository_name(s.address(), "app")));
    let (roots, options) = ([root], options().0);
    let to = destinations(&stores, &roots);
    let copying = copy_to_all(&source, &to, &options);
    let _ = tokio::time::timeout(Duration::from_secs(12), copying).await;
    assert!(
        y.lines()
            .iter()
            .any(|l| l.starts_with("PUT /v2/app/manifests")),
        "{:#?}",
        y.lines()
    );
}

/// Two pushes to one repository; one fails.
#[tokio::test]
async fn u5_a_push_that_is_given_up_leaves_the_sessions_of_others_alone() {
    let status = Answer::status(204)
        .header("Location", "{path}")
        .header("Range", "0-2999999");
    let script = push_registry()
        .on("GET", SESSION, [status])
        .on_when(
            "PUT",
            SESSION,
            |r| {
                r.header("content-range").is_none() && r.header("content-length") == Some("5000000")
            },
            [Answer::close_after(3_000_000), Answer::fall_through()],
        )
        .on_when(
            "PUT",
            SESSION,
            |r| r.header("content-range").is_some(),
            [Answer::status(201)],
        )
        .on("HEAD", "/v2/app/manifests/bad", [Answer::status(404)])
        .on(
            "PUT",
            "/v2/app/manifests/bad",
            [Answer::error(400, "MANIFEST_INVALID", "no")],
        );
    let server = FaultServer::start(script);
    let client = Client::builder().build().unwrap();
    let store = client.repository(&repository_name(server.address(), "app"));
    let memory = Memory::new();
    let blob = memory.add_blob(MediaType::OCI_LAYER, seeded_bytes(1, 5_000_000));
    let slow = CopyOptions {
        retry: wharf::copy::RetryPolicy {
            base: Duration::from_secs(6),
            ..Default::default()
        },
        ..options().0
    };
    let handle = memory.blob(&blob);
    let one = wharf::copy::push_blob(&store, &handle, &slow);
    let other = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let (source, mut root) = image(&[]).await;
        root.tags = vec!["bad".parse().unwrap()];
        copy(&source, &store, &[root], &options().0)
            .await
            .unwrap_err();
    };
    let (one, ()) = tokio::join!(one, other);
    one.unwrap();
    client.tidy(Duration::from_secs(2)).await;
    let bytes: u64 = server
        .requests()
        .iter()
        .filter(|r| r.method == "PUT" && r.target.contains("uploads"))
        .map(|r| r.body_len)
        .sum();
    assert!(bytes < 6_000_000, "{bytes}");
}

/// A token that is refused in the middle of an upload in chunks.
#[tokio::test]
async fn a2_u5_a_refusal_in_mid_chunk_keeps_what_was_acknowledged() {
    let tokens = FaultServer::start(Script::new().on(
        "*",
        "/token",
        [
            Answer::status(200).body(r#"{"token":"t1","expires_in":300}"#),
            Answer::status(200).body(r#"{"token":"t2","expires_in":300}"#),
        ],
    ));
    let refusal = Answer::status(401).header(
        "WWW-Authenticate",
        &format!(r#"Bearer realm="{}/token",service="x""#, tokens.base()),
    );
    let ok = Answer::fall_through;
    let script = push_registry()
        .on(
            "GET",
            SESSION,
            [Answer::status(204)
                .header("Location", "{path}")
                .header("Range", "0-8388607")],
        )
        .on("PATCH", SESSION, [ok(), ok(), refusal, ok()]);
    let server = FaultServer::start(script);
    let client = Client::builder()
        .chunk_size(std::num::NonZeroU64::new(4 << 20).unwrap())
        .build()
        .unwrap();
    let store = client.repository(&repository_name(server.address(), "app"));
    let mut place = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut place, &seeded_bytes(1, 12 << 20)).unwrap();
    let blob = wharf::file::blob(place.path(), MediaType::OCI_LAYER)
        .await
        .unwrap();
    let _outcome = wharf::copy::push_blob(&store, &blob, &options().0).await;
    let ranges: Vec<_> = server
        .requests()
        .iter()
        .filter(|r| r.method == "PATCH")
        .map(|r| {
            (
                r.header("content-range").unwrap_or_default().to_owned(),
                r.body_len,
                r.status,
            )
        })
        .collect();
    assert!(ranges.len() <= 4, "{}", ranges.len());
}

/// One 404 to a commit, and what is remembered of it.
#[tokio::test]
async fn u5_a_lost_session_is_no_wish_for_patch() {
    let script = push_registry().on(
        "PUT",
        SESSION,
        [
            Answer::error(404, "BLOB_UPLOAD_UNKNOWN", "lost"),
            Answer::fall_through(),
        ],
    );
    let server = FaultServer::start(script);
    let memory = RegistryMemory::in_process();
    let client = Client::builder().memory(memory.clone()).build().unwrap();
    let host: Registry = server.address().to_string().parse().unwrap();
    let store = client.repository(&format!("{host}/app").parse().unwrap());
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    copy(&source, &store, &[root], &options().0).await.unwrap();
    assert_eq!(memory.facts(&host).wants_patch, None);
}

/// An upload that is dropped while the registry asks to wait.
#[tokio::test]
async fn o8_nothing_is_sent_for_a_push_that_was_dropped_while_it_waited() {
    let wait = Answer::status(429).header("Retry-After", "1");
    let script = push_registry().on("POST", UPLOADS, [wait, Answer::fall_through()]);
    let server = FaultServer::start(script);
    let client = Client::builder().build().unwrap();
    let store = client.repository(&repository_name(server.address(), "app"));
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let options = options().0;
    let roots = [root];
    let pushing = copy(&source, &store, &roots, &options);
    let dropped = tokio::time::timeout(Duration::from_millis(500), pushing).await;
    assert!(dropped.is_err());
    let before = server.lines();
    // Longer than the registry asked for.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    client.tidy(Duration::from_secs(5)).await;
    // The session of the other blob is cancelled, and nothing else is sent.
    let mut after = server.lines().split_off(before.len());
    after.retain(|line| !line.starts_with("DELETE"));
    assert_eq!(after, Vec::<String>::new());
}
