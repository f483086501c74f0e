//! Counts requests by method and endpoint: their number is a promise (wire.md P4).

use std::collections::BTreeMap;
use std::fmt;

use http::Method;

use wharf_core::Asked;
use wharf_core::sync::Lock;

/// The class of a request: `PUT uploads`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestClass {
    /// The part of the API.
    pub endpoint: EndpointClass,
    /// The method in capitals; `OTHER` if the distribution spec does not use it.
    pub method: &'static str,
}

/// The parts of a registry's API (distribution-spec: "Endpoints").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EndpointClass {
    /// `/v2/`, the API's root (end-1).
    Root,
    /// Reading and checking blobs (end-2, end-10).
    Blobs,
    /// Sessions, at any URL of the registry's choice, and mounts (end-4 to end-6, end-11, end-13).
    Uploads,
    /// Manifests (end-3, end-7, end-9).
    Manifests,
    /// Lists of tags (end-8).
    Tags,
    /// Lists of referrers (end-12).
    Referrers,
    /// Anything else.
    Other,
}

/// Numbers of requests. Each try and each hop of a redirect counts; a request without a connection
/// does not.
///
/// `Display` gives one line: `5 requests: 2 HEAD blobs, 1 POST uploads, 1 PUT uploads, …`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// The number for each class; never zero.
    pub by_class: BTreeMap<RequestClass, u64>,
}

impl RequestCounts {
    /// All requests.
    pub fn total(&self) -> u64 {
        self.by_class.values().sum()
    }

    /// Requests of `method`, in capitals, for `endpoint`.
    pub fn of(&self, method: &str, endpoint: EndpointClass) -> u64 {
        let counts = self.by_class.iter();
        let counts =
            counts.filter(|(class, _)| class.method == method && class.endpoint == endpoint);
        counts.map(|(_, count)| count).sum()
    }
}

impl fmt::Display for RequestCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total() {
            1 => f.write_str("1 request")?,
            total => write!(f, "{total} requests")?,
        }
        let mut separator = ": ";
        for (class, count) in &self.by_class {
            write!(f, "{separator}{count} {class}")?;
            separator = ", ";
        }
        Ok(())
    }
}

impl RequestClass {
    /// The kind of content requested, for messages.
    pub(super) fn asked(self) -> Option<Asked> {
        match self.endpoint {
            EndpointClass::Manifests => Some(Asked::Manifest),
            EndpointClass::Blobs | EndpointClass::Uploads => Some(Asked::Blob),
            _ => None,
        }
    }

    /// Whether the request moves content, or follows one that did.
    pub(super) fn moves_content(self) -> bool {
        match self.endpoint {
            EndpointClass::Blobs => self.method == "GET",
            EndpointClass::Uploads => matches!(self.method, "PATCH" | "PUT"),
            EndpointClass::Manifests => self.method == "PUT",
            _ => false,
        }
    }

    /// The class of a request of `method` for `path`.
    pub(super) fn of(method: &Method, path: &str) -> Self {
        RequestClass {
            endpoint: EndpointClass::of(method, path),
            method: name(method),
        }
    }
}

impl fmt::Display for RequestClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.endpoint)
    }
}

impl EndpointClass {
    fn of(method: &Method, path: &str) -> Self {
        let api = path.strip_prefix("/v2/");
        // Matched from the end, because repository names are arbitrary. Sessions are matched last:
        // their paths are the registry's choice.
        let mut parts = api.unwrap_or_default().rsplit('/');
        match (api, parts.next(), parts.next()) {
            (Some(""), ..) => EndpointClass::Root,
            (Some(_), _, Some("manifests")) => EndpointClass::Manifests,
            (Some(_), Some("list"), Some("tags")) => EndpointClass::Tags,
            (Some(_), _, Some("referrers")) => EndpointClass::Referrers,
            (Some(_), Some(last), Some("blobs")) if last != "uploads" => EndpointClass::Blobs,
            (Some(api), ..) if api.contains("/blobs/uploads") => EndpointClass::Uploads,
            _ if matches!(*method, Method::PUT | Method::PATCH) => EndpointClass::Uploads,
            _ => EndpointClass::Other,
        }
    }
}

impl fmt::Display for EndpointClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EndpointClass::Root => "/v2/",
            EndpointClass::Blobs => "blobs",
            EndpointClass::Uploads => "uploads",
            EndpointClass::Manifests => "manifests",
            EndpointClass::Tags => "tags",
            EndpointClass::Referrers => "referrers",
            EndpointClass::Other => "other",
        })
    }
}

fn name(method: &Method) -> &'static str {
    match *method {
        Method::HEAD => "HEAD",
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    }
}

/// The running numbers.
#[derive(Debug, Default)]
pub(crate) struct Counts(Lock<RequestCounts>);

impl Counts {
    /// The numbers so far.
    pub(crate) fn read(&self) -> RequestCounts {
        self.0.lock().clone()
    }

    /// Counts a request.
    pub(super) fn add(&self, class: RequestClass) {
        *self.0.lock().by_class.entry(class).or_default() += 1;
    }

    /// Removes a counted request that was never sent.
    pub(super) fn take_back(&self, class: RequestClass) {
        let mut counts = self.0.lock();
        let left = counts.by_class.remove(&class).unwrap_or_default();
        if left > 1 {
            counts.by_class.insert(class, left - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p4_requests_are_classed_by_method_and_endpoint() {
        for (method, path, class) in [
            (Method::GET, "/v2/", "GET /v2/"),
            (Method::HEAD, "/v2/a/b/blobs/sha256:00", "HEAD blobs"),
            (Method::POST, "/v2/a/blobs/uploads/", "POST uploads"),
            (Method::POST, "/v2/a/blobs/uploads", "POST uploads"),
            (Method::PATCH, "/v2/a/blobs/uploads/1-2", "PATCH uploads"),
            (Method::GET, "/v2/a/blobs/uploads/1/state", "GET uploads"),
            (Method::PUT, "/elsewhere/session", "PUT uploads"),
            (Method::PUT, "/v2/a/manifests/v1", "PUT manifests"),
            (
                Method::HEAD,
                "/v2/blobs/uploads/manifests/v1",
                "HEAD manifests",
            ),
            (
                Method::DELETE,
                "/v2/a/manifests/sha256:00",
                "DELETE manifests",
            ),
            (Method::GET, "/v2/manifests/blobs/sha256:00", "GET blobs"),
            (Method::GET, "/v2/a/tags/list", "GET tags"),
            (Method::GET, "/v2/a/referrers/sha256:00", "GET referrers"),
            (Method::GET, "/token", "GET other"),
            (Method::OPTIONS, "/v2/_catalog", "OTHER other"),
        ] {
            assert_eq!(RequestClass::of(&method, path).to_string(), class, "{path}");
        }
    }

    #[test]
    fn p4_counts_are_one_short_line() {
        let counts = Counts::default();
        assert_eq!(counts.read().to_string(), "0 requests");
        let head = RequestClass::of(&Method::HEAD, "/v2/a/blobs/x");
        let put = RequestClass::of(&Method::PUT, "/v2/a/manifests/x");
        for class in [head, head, put, head] {
            counts.add(class);
        }
        counts.take_back(head);
        let counts = counts.read();
        assert_eq!(counts.of("HEAD", EndpointClass::Blobs), 2);
        assert_eq!(
            counts.to_string(),
            "3 requests: 2 HEAD blobs, 1 PUT manifests"
        );
    }
}
