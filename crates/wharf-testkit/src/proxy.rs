//! A reverse proxy before a registry that records what passes.
//!
//! Forwards the `Host` header as the client sent it, so that URLs the registry builds from it point
//! to the proxy.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::handshake;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Sleep;

use crate::loopback::Loopback;

/// A request that passed, or tried to.
#[derive(Clone, Debug)]
pub struct ProxiedRequest {
    /// Upper-case method.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The number of the client's connection, counted from 0.
    pub connection: u64,
    /// The upstream's answer; `None` when there was none.
    pub status: Option<u16>,
    /// Bytes of the request's body that were forwarded.
    pub request_bytes: u64,
    /// Bytes of the response's body that were forwarded.
    pub response_bytes: u64,
}

impl ProxiedRequest {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Method and path and query with a space between: short to compare with.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// The running proxy; it stops when it is dropped.
#[derive(Debug)]
pub struct RecordingProxy {
    loopback: Loopback,
    shared: Arc<Shared>,
}

impl RecordingProxy {
    /// Starts on a free port of 127.0.0.1 before `upstream`, which speaks HTTP/1.1 without TLS.
    pub fn start(upstream: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            upstream,
            records: Mutex::new(Vec::new()),
            faults: Mutex::default(),
            pace: AtomicU64::new(0),
            held: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&shared);
        let loopback = Loopback::start((Ipv4Addr::LOCALHOST, 0).into(), move |stream, number| {
            serve(stream, number, Arc::clone(&serving))
        });
        Self { loopback, shared }
    }

    /// Address and port of the proxy.
    pub fn address(&self) -> SocketAddr {
        self.loopback.address()
    }

    /// Every request so far, in the order in which their headers arrived.
    pub fn requests(&self) -> Vec<ProxiedRequest> {
        let records = lock(&self.shared.records);
        records.iter().map(|record| lock(record).clone()).collect()
    }

    /// [`ProxiedRequest::line`] of every request so far.
    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(ProxiedRequest::line).collect()
    }

    /// Forgets the requests so far, to count those of the next step.
    ///
    /// Bytes of them that pass later are not recorded.
    pub fn forget(&self) {
        lock(&self.shared.records).clear();
    }

    /// Cuts the next request with a body longer than `bytes`, once: forwards exactly that many,
    /// then closes both connections without an answer. Each further call cuts one more request.
    pub fn fail_connection_after(&self, bytes: u64) {
        self.fail_connection_later(0, bytes);
    }

    /// As [`RecordingProxy::fail_connection_after`], but forwards `passing` requests with longer
    /// bodies first.
    pub fn fail_connection_later(&self, passing: usize, bytes: u64) {
        self.shared.fault(bytes, passing, Cut::Soon);
    }

    /// Holds the next request with a body longer than `bytes`, once: forwards exactly that many,
    /// and then nothing until the client or this proxy ends. Discards what the client still sends,
    /// so that its end is seen at once.
    pub fn hold_after(&self, bytes: u64) {
        self.hold_later(0, bytes);
    }

    /// As [`RecordingProxy::hold_after`], but forwards `passing` requests with longer bodies first.
    pub fn hold_later(&self, passing: usize, bytes: u64) {
        self.shared.fault(bytes, passing, Cut::Hold);
    }

    /// Cuts and holds no further request.
    pub fn heal(&self) {
        lock(&self.shared.faults).clear();
    }

    /// How many requests were held so far.
    pub fn held(&self) -> usize {
        self.shared.held.load(Ordering::Relaxed)
    }

    /// From now on forwards no body to the upstream faster than this, in bytes per second.
    pub fn pace(&self, bytes: u64) {
        self.shared.pace.store(bytes, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    records: Mutex<Vec<Record>>,
    faults: Mutex<VecDeque<Fault>>,
    /// Bytes per second; 0: no limit.
    pace: AtomicU64,
    held: AtomicUsize,
}

/// What happens to the next body that is longer than this many bytes.
#[derive(Clone, Copy, Debug)]
struct Fault {
    bytes: u64,
    /// How many such bodies are forwarded first.
    passing: usize,
    cut: Cut,
}

impl Shared {
    fn fault(&self, bytes: u64, passing: usize, cut: Cut) {
        lock(&self.faults).push_back(Fault {
            bytes,
            passing,
            cut,
        });
    }
}

type Record = Arc<Mutex<ProxiedRequest>>;
type Upstreams = Arc<Mutex<JoinSet<()>>>;

async fn serve(stream: TcpStream, connection: u64, shared: Arc<Shared>) {
    // Connections to the upstream end with the client's.
    let upstreams = Upstreams::default();
    let service = service_fn(|request| {
        let (shared, upstreams) = (Arc::clone(&shared), Arc::clone(&upstreams));
        forward(request, connection, shared, upstreams)
    });
    // An error here is the connection's end, by the client or by `fail_connection_after`.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// An error makes hyper close the client's connection without a response.
async fn forward(
    request: Request<Incoming>,
    connection: u64,
    shared: Arc<Shared>,
    upstreams: Upstreams,
) -> io::Result<Response<PassingBody>> {
    let (head, body) = request.into_parts();
    let record = Arc::new(Mutex::new(ProxiedRequest {
        method: head.method.to_string(),
        target: head
            .uri
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
        headers: head.headers.clone(),
        connection,
        status: None,
        request_bytes: 0,
        response_bytes: 0,
    }));
    lock(&shared.records).push(Arc::clone(&record));
    let stream = TcpStream::connect(shared.upstream).await?;
    stream.set_nodelay(true)?;
    let (mut sender, upstream) = handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    lock(&upstreams).spawn(async {
        // The exchange reports the same error.
        let _ = upstream.await;
    });
    let body = PassingBody::new(body, Arc::clone(&record), Direction::ToUpstream(shared));
    let response = sender
        .send_request(Request::from_parts(head, body))
        .await
        .map_err(io::Error::other)?;
    lock(&record).status = Some(response.status().as_u16());
    Ok(response.map(|body| PassingBody::new(body, record, Direction::ToClient)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics with the lock")
}

/// A body that is counted while it is forwarded.
#[derive(Debug)]
struct PassingBody {
    inner: Incoming,
    record: Record,
    direction: Direction,
    cut: Cut,
    wait: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum Direction {
    ToUpstream(Arc<Shared>),
    ToClient,
}

#[derive(Debug, Clone, Copy)]
enum Cut {
    No,
    Soon,
    Now,
    Hold,
}

impl PassingBody {
    fn new(inner: Incoming, record: Record, direction: Direction) -> Self {
        Self {
            inner,
            record,
            direction,
            cut: Cut::No,
            wait: None,
        }
    }

    fn count(&mut self, bytes: Bytes) -> Bytes {
        let mut record = lock(&self.record);
        let Direction::ToUpstream(shared) = &self.direction else {
            record.response_bytes += bytes.len() as u64;
            return bytes;
        };
        let mut faults = lock(&shared.faults);
        let end = record.request_bytes + bytes.len() as u64;
        let passes = |limit: u64| record.request_bytes <= limit && limit < end;
        let passed = match faults.front_mut() {
            Some(fault) if passes(fault.bytes) && fault.passing > 0 => {
                fault.passing -= 1;
                bytes
            }
            Some(Fault {
                bytes: limit, cut, ..
            }) if passes(*limit) => {
                // Less than the length of `bytes`, so it fits.
                let passed = bytes.slice(..(*limit - record.request_bytes) as usize);
                self.cut = *cut;
                if matches!(cut, Cut::Hold) {
                    shared.held.fetch_add(1, Ordering::Relaxed);
                }
                faults.pop_front();
                passed
            }
            _ => bytes,
        };
        record.request_bytes += passed.len() as u64;
        let pace = shared.pace.load(Ordering::Relaxed);
        if pace > 0 {
            let time = Duration::from_secs_f64(passed.len() as f64 / pace as f64);
            self.wait = Some(Box::pin(tokio::time::sleep(time)));
        }
        passed
    }
}

impl PassingBody {
    /// Reads on and yields nothing until the client is gone.
    fn throw_away(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        while let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(context)) {
            if let Err(error) = frame {
                return Poll::Ready(Some(Err(io::Error::other(error))));
            }
        }
        // The body is complete: hyper ends the exchange when the client closes.
        Poll::Pending
    }
}

impl Body for PassingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(context));
            self.wait = None;
        }
        match self.cut {
            Cut::No => {}
            Cut::Hold => return self.throw_away(context),
            Cut::Soon => {
                // hyper writes its buffer out only when the body makes it wait.
                self.cut = Cut::Now;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Cut::Now => return Poll::Ready(Some(Err(io::Error::other("cut as asked")))),
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        let frame = frame.map(|frame| {
            let frame = frame.map_err(io::Error::other)?;
            Ok(frame.map_data(|bytes| self.count(bytes)))
        });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.cut, Cut::No) && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::seeded_bytes;
    use crate::fault_server::{Answer, FaultServer, Script};
    use crate::wire::send;

    fn upstream(answers: impl IntoIterator<Item = Answer>) -> (FaultServer, RecordingProxy) {
        let server = FaultServer::start(Script::new().on("*", "*", answers));
        let proxy = RecordingProxy::start(server.address());
        (server, proxy)
    }

    #[test]
    fn bodies_pass_unchanged_and_are_counted() {
        let (server, proxy) = upstream([Answer::status(201).body("created")]);
        let body = seeded_bytes(3, 500_000);
        let got = send(proxy.address(), "PUT /v2/a?b=c", "", &body);
        assert!(got.ends_with("\r\n\r\ncreated"), "{got}");
        assert_eq!(server.requests()[0].body_sha256, crate::sha256_hex(&body));
        let passed = proxy.requests().remove(0);
        assert_eq!(passed.line(), "PUT /v2/a?b=c");
        assert_eq!(passed.status, Some(201));
        assert_eq!((passed.request_bytes, passed.response_bytes), (500_000, 7));
    }

    #[test]
    fn the_host_header_is_the_clients() {
        let (server, proxy) = upstream([Answer::status(200)]);
        send(proxy.address(), "GET /", "", b"");
        let host = proxy.address().to_string();
        assert_eq!(server.requests()[0].header("host"), Some(host.as_str()));
    }

    #[test]
    fn head_keeps_the_announced_length() {
        let (_server, proxy) = upstream([Answer::status(200).header("Content-Length", "77")]);
        let got = send(proxy.address(), "HEAD /", "", b"");
        assert!(got.contains("content-length: 77\r\n"), "{got}");
    }

    #[test]
    fn a_connection_is_cut_once_after_exactly_so_many_bytes() {
        let (server, proxy) = upstream([Answer::status(201)]);
        proxy.fail_connection_after(70_000);
        assert!(send(proxy.address(), "PUT /small", "", &[0; 10]).starts_with("HTTP/1.1 201"));
        assert_eq!(send(proxy.address(), "PUT /cut", "", &[0; 900_000]), "");
        let again = send(proxy.address(), "PUT /again", "", &[0; 900_000]);
        assert!(again.starts_with("HTTP/1.1 201"), "{again}");
        assert_eq!(proxy.requests()[1].request_bytes, 70_000);
        assert_eq!(proxy.requests()[1].status, None);
        assert_eq!(server.requests()[1].body_len, 70_000);
        assert_eq!(server.requests()[2].body_len, 900_000);
    }

    #[test]
    fn a_body_is_held_until_its_client_is_gone() {
        use std::io::Write;
        let (server, proxy) = upstream([Answer::status(201)]);
        proxy.hold_after(70_000);
        let mut client = std::net::TcpStream::connect(proxy.address()).unwrap();
        let head = b"PUT /held HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n";
        client.write_all(head).unwrap();
        client.write_all(&[0; 900_000]).unwrap();
        drop(client);
        while server.requests().first().map(|request| request.body_len) != Some(70_000) {
            std::thread::yield_now();
        }
        assert_eq!(proxy.requests()[0].request_bytes, 70_000);
        assert_eq!(proxy.requests()[0].status, None);
    }

    #[test]
    fn an_upstream_that_is_not_there_closes_the_connection() {
        let server = FaultServer::start(Script::new());
        let proxy = RecordingProxy::start(server.address());
        drop(server);
        assert_eq!(send(proxy.address(), "GET /", "", b""), "");
        assert_eq!(proxy.requests()[0].status, None);
    }

    #[test]
    fn forgotten_requests_are_not_listed() {
        let (_server, proxy) = upstream([Answer::status(200)]);
        send(proxy.address(), "GET /1", "", b"");
        proxy.forget();
        send(proxy.address(), "GET /2", "", b"");
        assert_eq!(proxy.lines(), ["GET /2"]);
    }
}
