//! One request, before it is sent.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use super::body::{Body, Rest, split};
use super::counts::RequestClass;
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

/// A request without what it carries.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) wait: Wait,
    pub(super) reach: Redirects,
    pub(super) cover: Cover,
    pub(super) sent_secrets: SentSecrets,
    /// Which limit it is under.
    pub(super) kind: LaneKind,
    /// What it is counted as, also where it is sent on to.
    pub(super) class: RequestClass,
}

/// Where a request may be sent on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Redirects {
    /// Wherever the registry may send us at all.
    Any,
    /// Nowhere but the origin it went to.
    Origin,
}

/// Whether a request and its answer may be seen, and changed, on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    /// Nobody said that they may not.
    Open,
    /// The answer is checked against a digest, whoever gives it.
    Digest,
    /// It goes over TLS or not at all.
    Tls,
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

    /// Says that the body tells `secret`: should the answer repeat it, that is not told.
    pub(crate) fn telling(mut self, secret: &Secret) -> Self {
        self.head.sent_secrets.about(secret);
        self
    }

    /// Adds headers that are shown to nobody but the origin the request goes to, unless there are
    /// such already.
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

    /// Has it go to its own origin or nowhere: its body is nobody else's business.
    pub(crate) fn stay(mut self) -> Self {
        self.head.reach = Redirects::Origin;
        self
    }

    /// Says that it asks for what a digest names: it does not matter who answers.
    pub(crate) fn verified(mut self) -> Self {
        self.head.cover = Cover::Digest;
        self
    }

    /// Has it go over TLS or not at all, if it matters.
    pub(crate) fn covered(mut self) -> Self {
        if self.head.cover == Cover::Open {
            self.head.cover = Cover::Tls;
        }
        self
    }

    pub(crate) fn method(&self) -> &Method {
        &self.head.method
    }

    /// Which limit it is under.
    pub(crate) fn lane_kind(&self) -> LaneKind {
        self.head.kind
    }

    /// Puts it under another limit than its method suggests.
    pub(crate) fn lane(mut self, kind: LaneKind) -> Self {
        self.head.kind = kind;
        self
    }

    pub(crate) fn url(&self) -> &Url {
        &self.head.url
    }

    /// The same request elsewhere; another origin is not to see who we are.
    pub(crate) fn at(mut self, url: Url) -> Self {
        if !same_origin(&self.head.url, &url) {
            self.head.forget_secrets();
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
        let (body, rest) = split(body);
        let spare = Spare {
            head: head.clone(),
            rest,
        };
        (Request { head, body }, spare)
    }
}

impl Head {
    /// Takes out what is only for the origin that the request went to so far.
    pub(super) fn forget_secrets(&mut self) {
        let secret =
            |(name, value): (&HeaderName, &HeaderValue)| value.is_sensitive().then(|| name.clone());
        let secrets: Vec<HeaderName> = self.headers.iter().filter_map(secret).collect();
        for name in secrets {
            self.headers.remove(name);
        }
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
    /// What the body's source says.
    pub(crate) async fn request(self) -> Result<Request> {
        let body = self.rest.renew().await?;
        Ok(Request {
            head: self.head,
            body,
        })
    }
}
