//! One request, before it is sent.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use super::body::{Body, Rest, split};
use super::counts::{EndpointClass, RequestClass};
use super::follow::same_origin;
use super::lane_kind::LaneKind;
use super::sent_secrets::SentSecrets;
use crate::credentials::Secret;
use wharf_core::Result;

/// One request, before it is sent.
#[derive(Debug)]
pub(crate) struct Request {
    pub(super) head: Head,
    pub(super) body: Body,
}

/// A request without its body.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) wait: Wait,
    pub(super) reach: Redirects,
    pub(super) cover: Cover,
    pub(super) sent_secrets: SentSecrets,
    /// The kind, which selects its limit.
    pub(super) kind: LaneKind,
    /// Its class for counting, also after redirects.
    pub(super) class: RequestClass,
}

/// The hosts that a request may be redirected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Redirects {
    /// Wherever the registry may redirect.
    Any,
    /// Only within its origin.
    Origin,
}

/// How a request is protected against reading and changes on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    /// Not protected.
    Open,
    /// The answer is checked against a digest, from any host.
    Digest,
    /// Sent over TLS or not at all.
    Tls,
}

/// The limit for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// That of any answer.
    Header,
    /// That of a commit, for which the registry checks and stores content.
    Commit,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        let head = Head {
            kind: LaneKind::of(&method),
            class: RequestClass::of(&method, url.path()),
            method,
            url,
            headers: HeaderMap::new(),
            wait: Wait::Header,
            reach: Redirects::Any,
            cover: Cover::Open,
            sent_secrets: SentSecrets::default(),
        };
        Request {
            head,
            body: Body::Empty,
        }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        // Every value consists of digests, numbers and media types.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.head.headers.insert(name, value);
        }
        self
    }

    /// Adds a header that is sent to the request's origin only.
    pub(crate) fn secret(mut self, name: HeaderName, value: &Secret) -> Self {
        // Such values are escaped to fit.
        if let Ok(mut value) = HeaderValue::from_str(value.expose()) {
            value.set_sensitive(true);
            self.head.headers.insert(name, value);
        }
        self
    }

    /// Records that the body contains `secret`, so that it is removed from the text of the answer.
    pub(crate) fn telling(mut self, secret: &Secret) -> Self {
        self.head.sent_secrets.about(secret);
        self
    }

    /// Adds headers that are sent to the request's origin only, unless they are set already.
    pub(crate) fn secrets(mut self, headers: &HeaderMap) -> Self {
        for name in headers.keys() {
            if self.head.headers.contains_key(name) {
                continue;
            }
            for value in headers.get_all(name) {
                let mut value = value.clone();
                value.set_sensitive(true);
                self.head.headers.append(name, value);
            }
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

    /// Restricts redirects to its own origin, because its body is secret.
    pub(crate) fn stay(mut self) -> Self {
        self.head.reach = Redirects::Origin;
        self
    }

    /// Records that a digest verifies the answer, so any host may give it.
    pub(crate) fn verified(mut self) -> Self {
        self.head.cover = Cover::Digest;
        self
    }

    /// Requires TLS, unless a digest verifies the answer.
    pub(crate) fn covered(mut self) -> Self {
        if self.head.cover == Cover::Open {
            self.head.cover = Cover::Tls;
        }
        self
    }

    pub(crate) fn method(&self) -> &Method {
        &self.head.method
    }

    /// The kind, which selects its limit.
    pub(crate) fn lane_kind(&self) -> LaneKind {
        self.head.kind
    }

    /// Sets another kind than its method suggests.
    pub(crate) fn lane(mut self, kind: LaneKind) -> Self {
        self.head.kind = kind;
        self
    }

    pub(crate) fn url(&self) -> &Url {
        &self.head.url
    }

    /// The same request at another URL. Another origin gets no credentials.
    pub(crate) fn at(mut self, url: Url) -> Self {
        if !same_origin(&self.head.url, &url) {
            self.head.forget_secrets();
        }
        self.head.url = url;
        self
    }

    /// The same request again, unless its body can be read only once.
    pub(crate) fn again(&self) -> Option<Request> {
        let body = match &self.body {
            Body::Empty => Body::Empty,
            Body::Bytes(bytes) => Body::Bytes(bytes.clone()),
            Body::Stream(_) => return None,
        };
        let head = self.head.clone();
        Some(Request { head, body })
    }

    /// The request, and the means to send it again.
    pub(crate) fn twice(self) -> (Self, Spare) {
        let Request { head, body } = self;
        let (body, rest) = split(body);
        let spare = Spare {
            head: head.clone(),
            rest,
        };
        (Request { head, body }, spare)
    }
}

impl Head {
    /// Whether a host may act on it twice: it reads, mounts, opens a session that ends by itself when
    /// it is not used, or brings a blob under its digest. Anything else may mean another thing the
    /// second time.
    pub(super) fn may_be_repeated(&self) -> bool {
        match self.method {
            Method::GET | Method::HEAD => true,
            Method::POST => self.class.endpoint == EndpointClass::Uploads,
            _ => false,
        }
    }

    /// Removes everything that is only for the previous origin.
    pub(super) fn forget_secrets(&mut self) {
        let secret =
            |(name, value): (&HeaderName, &HeaderValue)| value.is_sensitive().then(|| name.clone());
        let secrets: Vec<HeaderName> = self.headers.iter().filter_map(secret).collect();
        for name in secrets {
            self.headers.remove(name);
        }
    }
}

/// The means to send a request again.
pub(crate) struct Spare {
    head: Head,
    rest: Rest,
}

impl Spare {
    /// The request with its body made again.
    ///
    /// # Errors
    /// What the body's source says.
    pub(crate) async fn request(self) -> Result<Request> {
        let body = self.rest.renew().await?;
        Ok(Request {
            head: self.head,
            body,
        })
    }
}
