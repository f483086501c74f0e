//! The requests that arrived.

use bytes::Bytes;
use http::HeaderMap;

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// Upper-case method.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The connection it came on, counted from 0.
    pub connection: u64,
    /// Bytes of the body that were read.
    pub body_len: u64,
    /// sha256 of those bytes, 64 hexadecimal digits.
    pub body_sha256: String,
    /// The first 64 KiB of the body: manifests, not layers.
    pub body: Bytes,
    /// Whether the body was read to its end.
    pub complete: bool,
    /// The status that was answered, if any was.
    pub status: Option<u16>,
}

impl RecordedRequest {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of a query parameter, percent-decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| percent_decoded(value))
    }

    /// The value of a header, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Method and path and query with a space between: short to compare with.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let decoded = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_are_found_and_decoded() {
        let request = RecordedRequest {
            method: "PUT".into(),
            target: "/v2/a/blobs/uploads/1?state=x%2&digest=sha256%3Aab".into(),
            headers: HeaderMap::new(),
            connection: 0,
            body_len: 0,
            body_sha256: String::new(),
            body: Bytes::new(),
            complete: true,
            status: None,
        };
        assert_eq!(request.path(), "/v2/a/blobs/uploads/1");
        assert_eq!(request.query("digest").as_deref(), Some("sha256:ab"));
        assert_eq!(request.query("state").as_deref(), Some("x%2"));
        assert_eq!(request.query("mount"), None);
    }
}
