//! The server: reads a request as far as its answer says, records it, and sends the answer.

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::answer::{Answer, ReadBody, Reply, Then};
use super::body::ScriptedBody;
use super::record::RecordedRequest;
use super::script::Script;
use crate::content::{hex, sha256_hex};
use crate::loopback::Loopback;

const KEPT_BODY: usize = 64 * 1024;

/// The most bytes of a body that are read after the answer.
const SMALL_BODY: u64 = 64 * 1024;

/// The running server; it stops when it is dropped.
#[derive(Debug)]
pub struct FaultServer {
    loopback: Loopback,
    shared: Arc<Shared>,
}

impl FaultServer {
    /// Starts on a free port of 127.0.0.1.
    pub fn start(script: Script) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), script)
    }

    /// Starts on a free port of a loopback address, such as 127.0.0.2 for "another host", or on an
    /// address of [`crate::network`].
    ///
    /// # Panics
    /// When `ip` is neither, or has no free port.
    pub fn start_on(ip: IpAddr, script: Script) -> Self {
        Self::start_at((ip, 0).into(), script)
    }

    /// Starts at the address of an earlier server, as after a restart.
    ///
    /// # Panics
    /// As [`FaultServer::start_on`]; when `address` is in use.
    pub fn start_at(address: SocketAddr, script: Script) -> Self {
        let shared = Arc::new(Shared {
            script,
            records: Mutex::new(Vec::new()),
            arrived: watch::Sender::new(0),
        });
        let serving = Arc::clone(&shared);
        let loopback = Loopback::start(address, move |stream, number| {
            serve(stream, number, Arc::clone(&serving))
        });
        Self { loopback, shared }
    }

    /// Address and port.
    pub fn address(&self) -> SocketAddr {
        self.loopback.address()
    }

    /// `http://ADDRESS:PORT`, without a slash at the end.
    pub fn base(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Every request so far, in the order in which their headers arrived.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.records().clone()
    }

    /// [`RecordedRequest::line`] of every request so far.
    pub fn lines(&self) -> Vec<String> {
        self.shared
            .records()
            .iter()
            .map(RecordedRequest::line)
            .collect()
    }

    /// Returns when at least `count` requests have arrived.
    pub async fn arrived(&self, count: usize) {
        let mut arrived = self.shared.arrived.subscribe();
        // The sender lives in `self`, so waiting cannot end in an error.
        let _ = arrived.wait_for(|number| *number >= count).await;
    }
}

#[derive(Debug)]
struct Shared {
    script: Script,
    records: Mutex<Vec<RecordedRequest>>,
    arrived: watch::Sender<usize>,
}

impl Shared {
    fn records(&self) -> MutexGuard<'_, Vec<RecordedRequest>> {
        self.records.lock().expect("no thread panics with the lock")
    }

    fn add(&self, record: RecordedRequest) -> usize {
        let mut records = self.records();
        records.push(record);
        self.arrived.send_replace(records.len());
        records.len() - 1
    }
}

async fn serve(stream: TcpStream, connection: u64, shared: Arc<Shared>) {
    let address = stream.local_addr().map(|address| address.to_string());
    let host = address.unwrap_or_default();
    let service = service_fn(|request| {
        let exchange = Exchange {
            shared: Arc::clone(&shared),
            host: host.clone(),
            connection,
        };
        exchange.answer(request)
    });
    // An error here is the end of the connection, by the script or by the client.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

struct Exchange {
    shared: Arc<Shared>,
    host: String,
    connection: u64,
}

impl Exchange {
    /// An error makes hyper close the connection without a response.
    async fn answer(self, request: Request<Incoming>) -> io::Result<Response<ScriptedBody>> {
        let (head, mut body) = request.into_parts();
        let mut record = record_of(head, self.connection);
        let number = self.shared.add(record.clone());
        let answer = self.shared.script.answer(&record).unwrap_or_else(not_found);
        self.read_body(&mut record, number, &mut body, answer.read)
            .await;
        tokio::time::sleep(answer.delay).await;
        let reply = match decide(answer.then, &record) {
            Then::Respond(reply) => reply,
            Then::Hang => pending().await,
            _ => return Err(io::Error::other("dropped as scripted")),
        };
        self.shared.records()[number].status = Some(reply.status);
        if body
            .size_hint()
            .upper()
            .is_some_and(|left| left <= SMALL_BODY)
        {
            tokio::spawn(rest_of(body));
        }
        Ok(self.response(&reply, &record, number))
    }

    async fn read_body(
        &self,
        record: &mut RecordedRequest,
        number: usize,
        body: &mut Incoming,
        read: ReadBody,
    ) {
        let limit = match read {
            ReadBody::All => u64::MAX,
            ReadBody::UpTo(limit) => limit,
        };
        let mut state = Sha256::new();
        let mut kept = BytesMut::new();
        while record.body_len < limit {
            let Some(frame) = body.frame().await else {
                record.complete = true;
                break;
            };
            // A client that gave up in the middle leaves the record incomplete.
            let Ok(frame) = frame else { break };
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            state.update(&bytes);
            record.body_len += bytes.len() as u64;
            kept.extend_from_slice(&bytes[..bytes.len().min(KEPT_BODY - kept.len())]);
            // Updated while it arrives, so that a test can watch a client that hangs in the middle.
            self.shared.records()[number].body_len = record.body_len;
        }
        record.complete |= body.is_end_stream();
        record.body_sha256 = hex(&state.finalize());
        record.body = kept.freeze();
        self.shared.records()[number].clone_from(record);
    }

    fn response(
        &self,
        reply: &Reply,
        record: &RecordedRequest,
        number: usize,
    ) -> Response<ScriptedBody> {
        let mut response = Response::new(ScriptedBody::new(reply));
        *response.status_mut() = StatusCode::from_u16(reply.status).expect("a status of a script");
        for (name, value) in &reply.headers {
            let value = value
                .replace("{base}", &format!("http://{}", self.host))
                .replace("{host}", &self.host)
                .replace("{path}", record.path())
                .replace("{digest}", &record.query("digest").unwrap_or_default())
                .replace("{body_digest}", &format!("sha256:{}", record.body_sha256))
                .replace("{n}", &number.to_string());
            response.headers_mut().append(
                HeaderName::from_bytes(name.as_bytes()).expect("a header name of a script"),
                HeaderValue::from_str(&value).expect("a header value of a script"),
            );
        }
        response
    }
}

/// Reads what is left of a small body. Closing the connection with bytes unread resets it, and the
/// client may lose the answer.
async fn rest_of(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

fn record_of(head: http::request::Parts, connection: u64) -> RecordedRequest {
    RecordedRequest {
        method: head.method.to_string(),
        target: head
            .uri
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
        headers: head.headers,
        connection,
        body_len: 0,
        body_sha256: sha256_hex(b""),
        body: Bytes::new(),
        complete: false,
        status: None,
    }
}

fn decide(then: Then, record: &RecordedRequest) -> Then {
    match then {
        Then::Compute(answer) => decide(answer(record).then, record),
        decided => decided,
    }
}

fn not_found() -> Answer {
    Answer::error(404, "NOT_FOUND", "the script has no rule for this request")
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::time::Duration;

    use super::*;
    use crate::content::seeded_bytes;
    use crate::wire::{open, read_to_end, send};

    #[test]
    fn answers_are_used_in_turn_and_the_last_repeats() {
        let answers = [Answer::status(500), Answer::status(204)];
        let server = FaultServer::start(Script::new().on("GET", "/a/*", answers));
        let statuses: Vec<String> = (0..3)
            .map(|_| send(server.address(), "GET /a/b", "", b"")[9..12].to_owned())
            .collect();
        assert_eq!(statuses, ["500", "204", "204"]);
    }

    #[test]
    fn a_request_without_a_rule_gets_the_error_envelope() {
        let server = FaultServer::start(Script::new().on("GET", "/a", [Answer::status(200)]));
        let answer = send(server.address(), "GET /b?c=d", "", b"");
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        assert!(answer.contains(r#""code":"NOT_FOUND""#), "{answer}");
        assert_eq!(server.lines(), ["GET /b?c=d"]);
        assert_eq!(server.requests()[0].status, Some(404));
    }

    #[test]
    fn the_last_rule_decides_unless_it_falls_through() {
        let script = Script::new()
            .on("GET", "/*", [Answer::status(200)])
            .on("*", "/a", [Answer::status(503), Answer::fall_through()])
            .on_when("GET", "/*", is_authorized, [Answer::status(299)]);
        let server = FaultServer::start(script);
        let statuses: Vec<String> = ["", "", "Authorization: x\r\n"]
            .iter()
            .map(|headers| send(server.address(), "GET /a", headers, b"")[9..12].to_owned())
            .collect();
        assert_eq!(statuses, ["503", "200", "299"]);
    }

    fn is_authorized(request: &RecordedRequest) -> bool {
        request.header("authorization").is_some()
    }

    #[test]
    fn a_body_is_recorded_by_length_and_digest_and_kept_only_at_its_start() {
        let server = FaultServer::start(Script::new().on("PUT", "*", [Answer::status(201)]));
        let body = seeded_bytes(1, 300_000);
        send(server.address(), "PUT /x", "", &body);
        let request = server.requests().remove(0);
        assert_eq!(request.body_len, 300_000);
        assert_eq!(request.body_sha256, sha256_hex(&body));
        assert_eq!(request.body, body[..KEPT_BODY]);
        assert!(request.complete);
    }

    #[test]
    fn a_connection_is_closed_in_the_middle_of_a_body_without_an_answer() {
        let script = Script::new().on("PUT", "*", [Answer::close_after(1000)]);
        let server = FaultServer::start(script);
        let mut stream = open(server.address(), "PUT /x", "", 1_000_000);
        stream.write_all(&[0; 1000]).unwrap();
        assert_eq!(read_to_end(stream), "");
        let request = server.requests().remove(0);
        assert_eq!((request.body_len, request.complete), (1000, false));
        assert_eq!(request.status, None);
    }

    #[test]
    fn a_dropped_connection_gives_nothing() {
        let script = Script::new().on("GET", "*", [Answer::drop_connection()]);
        let server = FaultServer::start(script);
        assert_eq!(send(server.address(), "GET /", "", b""), "");
    }

    #[tokio::test]
    async fn a_hanging_answer_keeps_the_connection_open_and_silent() {
        let server = FaultServer::start(Script::new().on("GET", "*", [Answer::hang()]));
        let mut stream = open(server.address(), "GET /", "", 0);
        server.arrived(1).await;
        stream
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            "{error}"
        );
    }

    #[test]
    fn an_answer_can_come_before_the_body() {
        let early = Answer::status(413).without_reading();
        let server = FaultServer::start(Script::new().on("PUT", "*", [early]));
        let stream = open(server.address(), "PUT /x", "", 1_000_000);
        assert!(read_to_end(stream).starts_with("HTTP/1.1 413"));
    }

    #[test]
    fn an_answer_before_a_small_body_is_never_lost_to_a_reset() {
        let early = Answer::status(413).without_reading();
        let server = FaultServer::start(Script::new().on("PUT", "*", [early]));
        for _ in 0..20 {
            let mut stream = open(server.address(), "PUT /x", "", 1000);
            std::thread::yield_now();
            stream.write_all(&[0; 1000]).unwrap();
            assert!(read_to_end(stream).starts_with("HTTP/1.1 413"));
        }
    }

    #[test]
    fn placeholders_in_headers_are_filled_in() {
        let answer = Answer::status(202)
            .header("Location", "{base}{path}?n={n}&d={digest}")
            .header("Docker-Content-Digest", "{body_digest}");
        let server = FaultServer::start(Script::new().on("POST", "*", [answer]));
        let got = send(server.address(), "POST /up?digest=sha256%3Aab", "", b"abc");
        let location = format!("location: {}/up?n=0&d=sha256:ab\r\n", server.base());
        assert!(got.contains(&location), "{got}");
        let digest = format!("docker-content-digest: sha256:{}\r\n", sha256_hex("abc"));
        assert!(got.contains(&digest), "{got}");
    }

    #[test]
    fn a_computed_answer_sees_the_body() {
        let answer = Answer::from_fn(|request| Answer::status(200).body(request.body.clone()));
        let server = FaultServer::start(Script::new().on("POST", "*", [answer]));
        assert!(send(server.address(), "POST /", "", b"echo me").ends_with("\r\n\r\necho me"));
    }

    #[test]
    fn a_cut_body_announces_more_than_it_sends() {
        let answer = Answer::status(200)
            .body(vec![b'x'; 1000])
            .cut_body_after(10);
        let server = FaultServer::start(Script::new().on("GET", "*", [answer]));
        let got = send(server.address(), "GET /", "", b"");
        assert!(got.contains("content-length: 1000\r\n"), "{got}");
        assert!(got.ends_with("\r\n\r\nxxxxxxxxxx"), "{got}");
    }

    #[test]
    fn a_trickled_body_comes_whole() {
        let answer = Answer::status(200)
            .body("0123456789")
            .trickle(3, Duration::from_millis(1));
        let server = FaultServer::start(Script::new().on("GET", "*", [answer]));
        let got = send(server.address(), "GET /", "", b"");
        assert!(got.ends_with("\r\n\r\n0123456789"), "{got}");
    }

    #[test]
    fn a_chunked_body_announces_no_length() {
        let answer = Answer::status(200).body("abc").chunked();
        let server = FaultServer::start(Script::new().on("GET", "*", [answer]));
        let got = send(server.address(), "GET /", "", b"");
        assert!(got.contains("transfer-encoding: chunked\r\n"), "{got}");
        assert!(got.ends_with("3\r\nabc\r\n0\r\n\r\n"), "{got}");
    }

    #[test]
    fn head_may_announce_a_length_without_a_body() {
        let answer = Answer::status(200).header("Content-Length", "1234");
        let server = FaultServer::start(Script::new().on("HEAD", "*", [answer]));
        let got = send(server.address(), "HEAD /", "", b"");
        assert!(got.contains("content-length: 1234\r\n"), "{got}");
    }

    #[test]
    fn another_loopback_address_is_another_host() {
        let script = Script::new().on("GET", "*", [Answer::status(200)]);
        let server = FaultServer::start_on(Ipv4Addr::new(127, 0, 0, 2).into(), script);
        assert!(server.base().starts_with("http://127.0.0.2:"));
        assert!(send(server.address(), "GET /", "", b"").starts_with("HTTP/1.1 200"));
    }
}
