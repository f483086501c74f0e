//! Sends requests and bounds every wait. Follows redirects; bodies are made anew for them.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, future, stream};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;
use wharf_oci::Registry;

use super::clients::{Clients, Settings};
use super::counts::{Counts, RequestClass};
use super::kind::Kind;
use super::replay::Replay;
use super::{activity, failure, trace};
use crate::blob::ByteStream;
use crate::credentials::Secret;
use crate::remote::auth::same_origin;
use crate::remote::guard;
use crate::{Error, ErrorKind, Result};

/// How long anything may take without anything moving. There is no limit on total time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands; 10 s by default.
    pub connect: Duration,
    /// From the end of a request to the headers of its answer; 30 s by default.
    pub header: Duration,
    /// The same for a request that makes the registry work, committing a blob or manifest; 300 s
    /// by default.
    pub commit: Duration,
    /// Between two bytes, in either direction; 60 s by default. Waiting for our own source does
    /// not count.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(10),
            header: Duration::from_secs(30),
            commit: Duration::from_secs(300),
            idle: Duration::from_secs(60),
        }
    }
}

/// Hops of a read before it is given up (PUSH.md section 11, rule 2).
const REDIRECTS: usize = 10;

/// Sends requests to all hosts. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    clients: Arc<Clients>,
    timeouts: Timeouts,
    counts: Arc<Counts>,
}

/// One request, before it is sent.
#[derive(Debug)]
pub(crate) struct Request {
    pub(super) head: Head,
    body: Body,
}

/// A request without what it carries.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    wait: Wait,
    reach: Reach,
    /// Which limit it is under.
    pub(super) kind: Kind,
    /// What it is counted as, also where it is sent on to.
    pub(super) class: RequestClass,
}

/// Where a request may be sent on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Wherever the registry may send us at all.
    Any,
    /// Nowhere but the origin it went to.
    Origin,
}

/// What a request carries.
pub(crate) enum Body {
    /// Nothing; `Content-Length: 0` where the method suggests a body.
    Empty,
    /// A small document.
    Bytes(Bytes),
    /// A stream, of announced length or chunked.
    Stream(Payload),
}

/// Makes the bytes of a body once more, for a registry that sends us elsewhere with it.
pub(crate) type Again = Arc<dyn Fn() -> BoxFuture<'static, Result<ByteStream>> + Send + Sync>;

/// Bytes to send as they come.
pub(crate) struct Payload {
    /// The bytes, from the first on.
    pub(crate) stream: ByteStream,
    /// How many there are; `None`: they are sent in chunks of HTTP's own.
    pub(crate) length: Option<u64>,
    /// How to get them again; `None` where they come only once.
    pub(crate) again: Option<Again>,
}

/// How long the answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// As long as any answer.
    Header,
    /// As long as the registry may need to check and keep content.
    Commit,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        let head = Head {
            kind: Kind::of(&method),
            class: RequestClass::of(&method, url.path()),
            method,
            url,
            headers: HeaderMap::new(),
            wait: Wait::Header,
            reach: Reach::Any,
        };
        Request {
            head,
            body: Body::Empty,
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        // Every value we send is made of digests, numbers and media types.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.head.headers.insert(name, value);
        }
        self
    }

    /// Adds a header that is shown to nobody but the origin the request goes to.
    pub(crate) fn secret(mut self, name: HeaderName, value: &Secret) -> Self {
        // Makers of such values see to it that they fit.
        if let Ok(mut value) = HeaderValue::from_str(value.expose()) {
            value.set_sensitive(true);
            self.head.headers.insert(name, value);
        }
        self
    }

    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn wait(mut self, wait: Wait) -> Self {
        self.head.wait = wait;
        self
    }

    /// Has it go to its own origin or nowhere: its body is nobody else's business.
    pub(crate) fn stay(mut self) -> Self {
        self.head.reach = Reach::Origin;
        self
    }

    pub(crate) fn method(&self) -> &Method {
        &self.head.method
    }

    /// Puts it under another limit than its method suggests.
    pub(crate) fn kind(mut self, kind: Kind) -> Self {
        self.head.kind = kind;
        self
    }

    pub(crate) fn url(&self) -> &Url {
        &self.head.url
    }

    /// The same request elsewhere; another origin is not to see who we are.
    pub(crate) fn at(mut self, url: Url) -> Self {
        if !same_origin(&self.head.url, &url) {
            self.head.headers.remove(AUTHORIZATION);
        }
        self.head.url = url;
        self
    }

    /// The same request once more, unless its body can be read once only.
    pub(crate) fn again(&self) -> Option<Request> {
        let body = match &self.body {
            Body::Empty => Body::Empty,
            Body::Bytes(bytes) => Body::Bytes(bytes.clone()),
            Body::Stream(_) => return None,
        };
        let head = self.head.clone();
        Some(Request { head, body })
    }

    /// The request, and what it takes to send it once more.
    pub(crate) fn twice(self) -> (Self, Spare) {
        let Request { head, body } = self;
        let (body, rest) = split(repeatable(body));
        let spare = Spare {
            head: head.clone(),
            rest,
        };
        (Request { head, body }, spare)
    }
}

/// What it takes to send a request once more.
pub(crate) struct Spare {
    head: Head,
    rest: Rest,
}

impl Spare {
    /// The request, with its body made anew.
    ///
    /// # Errors
    /// What the body's source says; [`ErrorKind::Unsupported`] where it comes only once.
    pub(crate) async fn request(self) -> Result<Request> {
        let body = self.rest.renew().await?;
        Ok(Request {
            head: self.head,
            body,
        })
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Body::Empty => f.write_str("Empty"),
            Body::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Body::Stream(payload) => write!(f, "Stream({:?})", payload.length),
        }
    }
}

impl Transport {
    pub(crate) fn new(settings: Settings, timeouts: Timeouts) -> Result<Self> {
        let clients = Clients::new(settings, timeouts.connect)?;
        Ok(Transport {
            clients: Arc::new(clients),
            timeouts,
            counts: Arc::default(),
        })
    }

    /// How many requests were sent so far.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether somebody answers HTTP at `url`, and with what status; an error that is final is
    /// given as such.
    pub(crate) async fn probe(&self, url: Url) -> Result<StatusCode, Probe> {
        match self.probe_with(self.clients.rootless(), &url).await {
            // Somebody speaks TLS: only now is it worth loading whom the system trusts.
            Err(probe) if probe.distrusted => match self.clients.trusting() {
                Ok(client) => self.probe_with(client, &url).await,
                Err(error) => Err(Probe {
                    distrusted: true,
                    error,
                }),
            },
            other => other,
        }
    }

    async fn probe_with(&self, client: &reqwest::Client, url: &Url) -> Result<StatusCode, Probe> {
        let authority = authority(url);
        let sending = client.get(url.clone()).send();
        match tokio::time::timeout(self.timeouts.header, sending).await {
            Ok(Ok(response)) => {
                self.counts.add(RequestClass::of(&Method::GET, url.path()));
                trace::probed(url, response.status());
                Ok(response.status())
            }
            Ok(Err(error)) => Err(Probe {
                distrusted: failure::distrusts(&error),
                error: failure::explain(&error, &authority),
            }),
            Err(_) => Err(Probe {
                distrusted: false,
                error: activity::silence(&format!("{authority}: no answer"), self.timeouts.header),
            }),
        }
    }

    /// Sends a request and waits for the headers of the answer, whatever its status.
    ///
    /// # Errors
    /// Where no answer came; or the error of the body's source, where that is what failed.
    pub(crate) async fn send(&self, request: Request) -> Result<Response> {
        let Request { mut head, mut body } = request;
        let endpoint = format!("{} {}", head.method, head.url.path());
        let asked = head.url.clone();
        for _ in 0..=REDIRECTS {
            let (carried, rest) = split(body);
            let response = self
                .observed(&head, carried)
                .await
                .map_err(|error| match error {
                    Failed::Source(error) => error,
                    Failed::Exchange(error) => error.target(&endpoint),
                })?;
            let Some(next) = redirect(&head.method, &response) else {
                let idle = self.timeouts.idle;
                return Ok(Response {
                    url: head.url,
                    endpoint,
                    response,
                    idle,
                    tried: None,
                });
            };
            let next =
                guard::follow(&asked, &head.url, &next).map_err(|error| error.target(&endpoint))?;
            if !same_origin(&asked, &next) {
                // Whoever else gets it is not to see who we are (PUSH.md section 11, rule 2).
                head.headers.remove(AUTHORIZATION);
                if head.reach == Reach::Origin {
                    return Err(elsewhere(&next).target(endpoint));
                }
            }
            head.url = next;
            body = rest
                .renew()
                .await
                .map_err(|error| error.target(&endpoint))?;
        }
        Err(Error::new(
            ErrorKind::Refused,
            format!("more than {REDIRECTS} redirects"),
        )
        .target(endpoint))
    }

    pub(super) async fn exchange(
        &self,
        head: &Head,
        body: Body,
    ) -> Result<reqwest::Response, Failed> {
        let client = self.clients.of(&head.url).map_err(Failed::Exchange)?;
        let mut builder = client
            .request(head.method.clone(), head.url.clone())
            .headers(head.headers.clone());
        let activity = activity::Activity::new(matches!(body, Body::Stream(..)));
        builder = match body {
            Body::Empty if matches!(head.method, Method::GET | Method::HEAD) => builder,
            Body::Empty => builder.header(CONTENT_LENGTH, 0),
            Body::Bytes(bytes) => builder.body(bytes),
            Body::Stream(payload) => {
                if let Some(length) = payload.length {
                    builder = builder.header(CONTENT_LENGTH, length);
                }
                let watched = activity.watch(payload.stream, payload.length);
                builder.body(reqwest::Body::wrap_stream(watched))
            }
        };
        let answer = match head.wait {
            Wait::Header => self.timeouts.header,
            Wait::Commit => self.timeouts.commit,
        };
        // While the connection is being made the body has not begun to move.
        let idle = self.timeouts.idle + self.timeouts.connect;
        let sent = tokio::select! {
            sent = builder.send() => sent,
            error = activity.stalled(idle, answer) => return Err(Failed::Exchange(error)),
        };
        let response = sent.map_err(|error| match activity.take_source_error() {
            Some(error) => Failed::Source(error),
            None => Failed::Exchange(failure::explain(&error, &authority(&head.url))),
        })?;
        // Nobody watches the rest of the body once the answer is here.
        if response.status().is_success() && !activity.is_sent() {
            let message = format!("answered {} before it had everything", response.status());
            return Err(Failed::Exchange(Error::new(
                ErrorKind::Interrupted,
                message,
            )));
        }
        Ok(response)
    }
}

/// What is needed to send a body once more.
enum Rest {
    Empty,
    Bytes(Bytes),
    Stream(Option<Again>, Option<u64>),
}

/// The same body; one that comes only once can be sent again as long as it has only begun.
fn repeatable(body: Body) -> Body {
    let Body::Stream(Payload {
        stream,
        length,
        again: None,
    }) = body
    else {
        return body;
    };
    let (replay, stream) = Replay::new(stream);
    Body::Stream(Payload {
        stream,
        length,
        again: Some(Arc::new(move || future::ready(replay.stream()).boxed())),
    })
}

/// The body to send now, and what is kept of it for another time.
fn split(body: Body) -> (Body, Rest) {
    let rest = match &body {
        Body::Empty => Rest::Empty,
        Body::Bytes(bytes) => Rest::Bytes(bytes.clone()),
        Body::Stream(payload) => Rest::Stream(payload.again.clone(), payload.length),
    };
    (body, rest)
}

impl Rest {
    async fn renew(self) -> Result<Body> {
        match self {
            Rest::Empty => Ok(Body::Empty),
            Rest::Bytes(bytes) => Ok(Body::Bytes(bytes)),
            Rest::Stream(Some(again), length) => Ok(Body::Stream(Payload {
                stream: again().await?,
                length,
                again: Some(again),
            })),
            Rest::Stream(None, _) => {
                let message = "it sends us elsewhere with bytes that come only once";
                Err(Error::new(ErrorKind::Unsupported, message))
            }
        }
    }
}

pub(super) enum Failed {
    Source(Error),
    Exchange(Error),
}

/// What came of a question whether anybody is there.
#[derive(Debug)]
pub(crate) struct Probe {
    /// There is somebody who speaks TLS, with a certificate that is not trusted.
    pub(crate) distrusted: bool,
    /// What to tell the user.
    pub(crate) error: Error,
}

/// An answer: status and headers are here, the body may be still to come.
#[derive(Debug)]
pub(crate) struct Response {
    url: Url,
    endpoint: String,
    response: reqwest::Response,
    idle: Duration,
    tried: Option<(Registry, String)>,
}

impl Response {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The URL that answered, after redirects.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Method and path of the request, for messages.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A header's text; `None` where it is absent or not text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Every value of a header that is text.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.response.headers().get_all(name).into_iter();
        values.filter_map(|value| value.to_str().ok())
    }

    /// Notes which credentials were shown in vain.
    pub(crate) fn tried(mut self, registry: Registry, words: String) -> Self {
        self.tried = Some((registry, words));
        self
    }

    /// To whom, and which credentials, were shown in vain.
    pub(crate) fn what_was_tried(&self) -> Option<&(Registry, String)> {
        self.tried.as_ref()
    }

    /// The body as it arrives. Fails when nothing arrives for the idle limit.
    pub(crate) fn stream(self) -> ByteStream {
        let Response {
            endpoint,
            response,
            idle,
            url,
            ..
        } = self;
        let authority = authority(&url);
        let chunks = response.bytes_stream();
        stream::try_unfold(
            (chunks, endpoint, authority),
            move |(mut chunks, endpoint, authority)| async move {
                match tokio::time::timeout(idle, chunks.next()).await {
                    Ok(None) => Ok(None),
                    Ok(Some(Ok(chunk))) => Ok(Some((chunk, (chunks, endpoint, authority)))),
                    Ok(Some(Err(error))) => {
                        Err(failure::explain(&error, &authority).target(endpoint))
                    }
                    Err(_) => Err(activity::silence("no byte arrived", idle).target(endpoint)),
                }
            },
        )
        .boxed()
    }

    /// The whole body, at most `limit` bytes of it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where it is longer; what [`Response::stream`] says.
    pub(crate) async fn bytes(self, limit: usize) -> Result<Bytes> {
        let endpoint = self.endpoint.clone();
        let show = trace::show(&self.response);
        let mut all = BytesMut::new();
        let mut stream = self.stream();
        while let Some(chunk) = stream.next().await.transpose()? {
            if all.len() + chunk.len() > limit {
                let message = format!("answer is longer than {limit} bytes");
                return Err(Error::new(ErrorKind::Invalid, message).target(endpoint));
            }
            all.extend_from_slice(&chunk);
        }
        trace::body(show, "answer", &all);
        Ok(all.freeze())
    }
}

/// Where an answer sends us, as far as we go: with a read anywhere, with a body only where the
/// answer says that method and body stay the same (RFC 9110, section 15.4; PUSH.md U7).
fn redirect(method: &Method, response: &reqwest::Response) -> Option<String> {
    let redirects = match response.status().as_u16() {
        307 | 308 => true,
        301..=303 => matches!(*method, Method::GET | Method::HEAD),
        _ => false,
    };
    let location = response.headers().get(LOCATION).filter(|_| redirects)?;
    location.to_str().ok().map(str::to_owned)
}

fn elsewhere(url: &Url) -> Error {
    let message = format!(
        "it sends us to {} with credentials; nothing was sent there",
        authority(url)
    );
    Error::new(ErrorKind::Refused, message)
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
