//! How many requests a registry gets at a time, and when: wire.md R2, R7, P4.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use wharf::ErrorKind;
use wharf::copy::copy;
use wharf::oci::{Descriptor, Digest, MediaType};
use wharf::remote::{Client, EndpointClass, Limits, PauseObserver, RemoteRepository};
use wharf::store::{Names, Store};
use wharf_testkit::{Answer, FaultServer, Script, push_registry, seeded_bytes};

use crate::support::{BLOB, SESSION, descriptor, image, options};

fn client(limits: Limits) -> Client {
    Client::builder().limits(limits).build().unwrap()
}

fn app(client: &Client, address: SocketAddr) -> RemoteRepository {
    let app = client.repository(&format!("{address}/app").parse().unwrap());
    app.single_tries()
}

fn blob(number: usize) -> Descriptor {
    let digest = Digest::of(number.to_string().as_bytes());
    Descriptor::new(MediaType::OCI_LAYER_GZIP, digest, 1)
}

#[derive(Debug, Default)]
struct Told(Mutex<Vec<(String, Duration)>>);

impl PauseObserver for Told {
    fn on_pause(&self, host: &str, wait: Duration) {
        self.0.lock().unwrap().push((host.to_owned(), wait));
    }
}

#[tokio::test]
async fn r2_the_whole_host_waits_and_the_user_is_told_once() {
    const WAIT: Duration = Duration::from_secs(1);
    let busy = Answer::status(429).header("Retry-After", "1");
    let usual = Answer::fall_through();
    let answers = [usual.clone(), busy.clone(), busy, usual];
    let script = push_registry().on("HEAD", BLOB, answers);
    let server = FaultServer::start(script);
    let told = Arc::new(Told::default());
    let observer = Arc::clone(&told);
    let client = Client::builder().pause_observer(observer).build().unwrap();
    let store = app(&client, server.address());
    let (one, two) = (blob(1), blob(2));
    // From now on the scheme of the host is known: the next two requests go at once.
    assert!(!store.contains(&one).await.unwrap());
    let refused = tokio::join!(store.contains(&one), store.contains(&two));
    let refused_at = Instant::now();
    for refused in [refused.0, refused.1] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Busy);
    }
    // Another blob, and another repository of the same registry: both wait for it.
    let other = client.repository(&format!("{}/other", server.address()).parse().unwrap());
    let before = server.requests().len();
    let (three, pushed) = (blob(3), other.contains(&one));
    let (here, there) = tokio::join!(store.contains(&three), pushed);
    assert!(!here.unwrap() && !there.unwrap());
    // The pause began before the answer was returned.
    let waited = refused_at.elapsed();
    assert!(waited > WAIT / 2, "{waited:?}");
    assert_eq!(server.requests().len(), before + 2);
    let told = told.0.lock().unwrap();
    assert_eq!(*told, [(server.address().to_string(), WAIT)]);
}

#[tokio::test]
async fn r2_waits_of_the_host_and_of_the_try_do_not_add_up() {
    let busy = Answer::status(503).header("Retry-After", "2");
    let script = push_registry().on("POST", "/v2/*", [busy, Answer::fall_through()]);
    let server = FaultServer::start(script);
    let (source, root) = image(&[]).await;
    let store = app(&client(Limits::default()), server.address());
    let started = Instant::now();
    copy(&source, &store, &[root], &options().0).await.unwrap();
    let taken = started.elapsed().as_secs_f64();
    assert!((2.0..4.0).contains(&taken), "{taken}");
}

#[tokio::test]
async fn r2_a_registry_is_not_waited_for_longer_than_patience_lasts() {
    let busy = Answer::status(503).header("Retry-After", "86400");
    let script = push_registry().on("HEAD", BLOB, [busy, Answer::fall_through()]);
    let server = FaultServer::start(script);
    let limits = Limits {
        patience: Duration::from_millis(10),
        ..Limits::default()
    };
    let store = app(&client(limits), server.address());
    store.contains(&blob(1)).await.unwrap_err();
    assert!(!store.contains(&blob(1)).await.unwrap());
}

/// How many requests are under way at a server: at each arrival, this one included.
#[derive(Clone, Debug, Default)]
struct Gauge(Arc<Mutex<(usize, Vec<usize>)>>);

impl Gauge {
    /// `push_registry`, with slow HEADs of blobs, answered with `status`.
    fn script(&self, status: impl Fn() -> u16 + Send + Sync + 'static) -> Script {
        let (arriving, leaving) = (self.clone(), self.clone());
        let arrive = move |_: &_| {
            let mut state = arriving.0.lock().unwrap();
            state.0 += 1;
            let now = state.0;
            state.1.push(now);
            true
        };
        let leave = move |_: &_| {
            leaving.0.lock().unwrap().0 -= 1;
            Answer::status(status())
        };
        let slow = Answer::from_fn(leave).after(Duration::from_millis(20));
        push_registry().on_when("HEAD", BLOB, arrive, [slow])
    }

    /// The numbers since the last call.
    fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().unwrap().1)
    }
}

#[tokio::test]
async fn r7_concurrency_falls_when_a_registry_says_so_and_rises_again() {
    let gauge = Gauge::default();
    let status = Arc::new(Mutex::new(404));
    let answered = Arc::clone(&status);
    let server = FaultServer::start(gauge.script(move || *answered.lock().unwrap()));
    let limits = Limits {
        checks: 16,
        ..Limits::default()
    };
    let store = app(&client(limits), server.address());
    let ask = async |count| {
        let blobs: Vec<_> = (0..count).map(blob).collect();
        let asked = join_all(blobs.iter().map(|blob| store.contains(blob))).await;
        asked.into_iter().filter(Result::is_err).count()
    };
    assert_eq!(ask(64).await, 0);
    let most = |numbers: &[usize]| numbers.iter().copied().max().unwrap();
    assert!(most(&gauge.take()) <= 16);

    *status.lock().unwrap() = 429;
    assert_eq!(ask(16).await, 16, "one burst of refusals");
    gauge.take();

    *status.lock().unwrap() = 404;
    assert_eq!(ask(64).await, 0);
    let numbers = gauge.take();
    assert_eq!(numbers.len(), 64);
    assert!(most(&numbers[..8]) <= 8, "half of it: {numbers:?}");
    assert!(most(&numbers) > 8, "and more again: {numbers:?}");
    assert!(most(&numbers) < 16, "one by one: {numbers:?}");
}

#[tokio::test]
async fn r7_work_that_is_given_up_frees_its_place() {
    let answers = [Answer::hang(), Answer::fall_through()];
    let server = FaultServer::start(push_registry().on("HEAD", BLOB, answers));
    let limits = Limits {
        checks: 1,
        ..Limits::default()
    };
    let store = app(&client(limits), server.address());
    let (one, two, three) = (blob(1), blob(2), blob(3));
    let mut hanging = Box::pin(store.contains(&one));
    let mut waiting = Box::pin(store.contains(&two));
    // The first request has the only place.
    tokio::select! {
        biased;
        _ = &mut hanging => unreachable!("it is never answered"),
        _ = &mut waiting => unreachable!("there is no place"),
        () = server.arrived(1) => {}
    }
    drop((hanging, waiting));
    assert!(!store.contains(&three).await.unwrap());
    assert_eq!(server.requests().len(), 2, "the second was never sent");
}

#[tokio::test]
async fn r7_manifests_do_not_wait_for_blobs() {
    let server = FaultServer::start(push_registry().on("PUT", SESSION, [Answer::hang()]));
    let limits = Limits {
        sends: 1,
        ..Limits::default()
    };
    let store = app(&client(limits), server.address());
    let (source, root) = image(&[seeded_bytes(1, 10)]).await;
    let options = options().0;
    let roots = [root];
    let hanging = copy(&source, &store, &roots, &options);
    let manifest = async {
        while !server.lines().iter().any(|line| line.starts_with("PUT")) {
            server.arrived(server.requests().len() + 1).await;
        }
        let root = descriptor(&roots[0]);
        let manifest = wharf::store::Source::manifest(&source, root).await.unwrap();
        store.put_manifest(&manifest, Names::Child).await
    };
    tokio::select! {
        outcome = hanging => unreachable!("{outcome:?}"),
        put = manifest => put.unwrap(),
    }
}

#[tokio::test]
async fn p4_every_request_is_counted_by_method_and_endpoint() {
    let answers = [Answer::status(500), Answer::fall_through()];
    let script = push_registry().on("PUT", "/v2/*/manifests/*", answers);
    let server = FaultServer::start(script);
    let client = client(Limits::default());
    let store = app(&client, server.address());
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    copy(&source, &store, &[root], &options().0).await.unwrap();
    let counts = client.requests();
    assert_eq!(counts.total(), server.requests().len() as u64);
    assert_eq!(
        counts.of("PUT", EndpointClass::Manifests),
        2,
        "a try each: {counts}"
    );
    assert_eq!(
        counts.to_string(),
        "9 requests: 2 HEAD blobs, 2 POST uploads, 2 PUT uploads, 1 HEAD manifests, \
         2 PUT manifests"
    );
}

#[tokio::test]
async fn p4_hops_of_a_redirect_count_and_what_nobody_heard_does_not() {
    let near = Script::new().on("HEAD", "/store/*", [Answer::status(200)]);
    let near = FaultServer::start_on(std::net::Ipv4Addr::new(127, 0, 0, 2).into(), near);
    let away = Answer::status(307).header("Location", &format!("{}/store/1", near.base()));
    let server = FaultServer::start(push_registry().on("HEAD", BLOB, [away]));
    let client = client(Limits::default());
    assert!(
        app(&client, server.address())
            .contains(&blob(1))
            .await
            .unwrap()
    );
    assert_eq!(client.requests().to_string(), "2 requests: 2 HEAD blobs");

    let address = server.address();
    drop(server);
    let nobody = Client::builder().build().unwrap();
    app(&nobody, address).contains(&blob(1)).await.unwrap_err();
    assert_eq!(nobody.requests().to_string(), "0 requests");
}
