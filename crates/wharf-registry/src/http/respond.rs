//! Answers, and refusals in the envelope of the distribution-spec ("Error Codes").

use bytes::Bytes;
use futures::TryStreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use wharf_core::blob::ByteStream;
use wharf_core::{Error, ErrorKind};

pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, Error>;
pub(crate) type Answer = Response<ResponseBody>;

pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    with_bytes(status, Bytes::new())
}

/// An answer with all of its body in memory.
pub(crate) fn with_bytes(status: StatusCode, bytes: Bytes) -> Answer {
    let length = HeaderValue::from(bytes.len());
    let body = Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    // A 204 must not have a length, and in a 304 it would be that of the content (RFC 9110, 8.6).
    if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        answer.headers_mut().insert(CONTENT_LENGTH, length);
    }
    answer
}

/// An answer with a body that is read while it is sent.
pub(crate) fn streamed(status: StatusCode, stream: ByteStream) -> Answer {
    let mut answer = Response::new(StreamBody::new(stream.map_ok(Frame::data)).boxed_unsync());
    *answer.status_mut() = status;
    answer
}

/// A JSON document.
pub(crate) fn with_json(status: StatusCode, document: &Value) -> Answer {
    let mut answer = with_bytes(status, document.to_string().into());
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// A 201 for stored content. The location is a path only: behind a proxy the registry does not know
/// the host that the client sees.
pub(crate) fn created(location: &str, digest: &wharf_oci::Digest) -> Answer {
    let mut answer = empty(StatusCode::CREATED);
    set(&mut answer, LOCATION, location);
    set(&mut answer, CONTENT_DIGEST, &digest.to_string());
    answer
}

/// A 304: the client has this content already.
pub(crate) fn not_modified(digest: &wharf_oci::Digest) -> Answer {
    let mut answer = empty(StatusCode::NOT_MODIFIED);
    name_content(&mut answer, digest);
    answer
}

/// Sets the digest and the entity tag of an answer.
pub(crate) fn name_content(answer: &mut Answer, digest: &wharf_oci::Digest) {
    set(answer, CONTENT_DIGEST, &digest.to_string());
    set(answer, ETAG, &format!("\"{digest}\""));
}

/// Sets a header. Its text is made of checked names, digests and numbers.
pub(crate) fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// Adds one more line of a header.
pub(crate) fn add(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().append(name, value);
    }
}

/// The codes of the distribution-spec used here, with their usual status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    Denied,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    TooManyRequests,
    Unknown,
    Unsupported,
}

impl Code {
    fn text_and_status(self) -> (&'static str, StatusCode) {
        match self {
            Code::BlobUnknown => ("BLOB_UNKNOWN", StatusCode::NOT_FOUND),
            Code::BlobUploadInvalid => ("BLOB_UPLOAD_INVALID", StatusCode::BAD_REQUEST),
            Code::BlobUploadUnknown => ("BLOB_UPLOAD_UNKNOWN", StatusCode::NOT_FOUND),
            Code::Denied => ("DENIED", StatusCode::FORBIDDEN),
            Code::DigestInvalid => ("DIGEST_INVALID", StatusCode::BAD_REQUEST),
            Code::ManifestBlobUnknown => ("MANIFEST_BLOB_UNKNOWN", StatusCode::NOT_FOUND),
            Code::ManifestInvalid => ("MANIFEST_INVALID", StatusCode::BAD_REQUEST),
            Code::ManifestUnknown => ("MANIFEST_UNKNOWN", StatusCode::NOT_FOUND),
            Code::NameInvalid => ("NAME_INVALID", StatusCode::BAD_REQUEST),
            Code::NameUnknown => ("NAME_UNKNOWN", StatusCode::NOT_FOUND),
            Code::SizeInvalid => ("SIZE_INVALID", StatusCode::BAD_REQUEST),
            Code::TooManyRequests => ("TOOMANYREQUESTS", StatusCode::TOO_MANY_REQUESTS),
            Code::Unknown => ("UNKNOWN", StatusCode::INTERNAL_SERVER_ERROR),
            Code::Unsupported => ("UNSUPPORTED", StatusCode::METHOD_NOT_ALLOWED),
        }
    }
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: Code,
    status: StatusCode,
    message: String,
    headers: Vec<(HeaderName, String)>,
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl ToString) -> Box<Self> {
        let ((_, status), message) = (code.text_and_status(), message.to_string());
        Box::new(Refusal {
            code,
            status,
            message,
            headers: Vec::new(),
        })
    }

    pub(crate) fn status(mut self: Box<Self>, status: StatusCode) -> Box<Self> {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self: Box<Self>, name: HeaderName, value: impl ToString) -> Box<Self> {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(crate) fn into_answer(self) -> Answer {
        let (code, _) = self.code.text_and_status();
        let error = json!({ "code": code, "message": self.message });
        let mut answer = with_json(self.status, &json!({ "errors": [error] }));
        for (name, value) in self.headers {
            set(&mut answer, name, &value);
        }
        answer
    }
}

/// Converts an error of the storage; `missing` is the code for absent content.
pub(crate) fn refuse(error: Error, missing: Code) -> Box<Refusal> {
    match error.kind() {
        ErrorKind::NotFound => Refusal::new(missing, error),
        ErrorKind::Invalid | ErrorKind::Interrupted => Refusal::new(Code::BlobUploadInvalid, error),
        ErrorKind::Timeout => {
            Refusal::new(Code::BlobUploadInvalid, error).status(StatusCode::REQUEST_TIMEOUT)
        }
        ErrorKind::Busy => Refusal::new(Code::TooManyRequests, error).header(RETRY_AFTER, 1),
        // Clients retry 500, 502, 503 and the codes UNKNOWN and UNAVAILABLE, each time with the
        // whole blob, although the disk is still full. 507 with DENIED is final for all of them.
        ErrorKind::NoSpace => {
            tracing::error!(%error, "storage");
            Refusal::new(Code::Denied, "no space left in the registry's storage")
                .status(StatusCode::INSUFFICIENT_STORAGE)
        }
        // Final for all clients too. After 405 they would try another way to delete.
        ErrorKind::Unsupported => {
            tracing::error!(%error, "storage");
            Refusal::new(Code::Denied, "the registry's storage is read-only")
        }
        _ => {
            // The message names paths of this machine, which no client needs.
            tracing::error!(%error, "storage");
            Refusal::new(Code::Unknown, "storage error")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_is_the_envelope_of_the_specification() {
        let answer = Refusal::new(Code::NameInvalid, "bad \"name\"").into_answer();
        assert_eq!(answer.status(), 400);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let diagnostic = wharf_oci::Diagnostic::parse(&body).unwrap();
        assert_eq!(diagnostic.to_string(), "NAME_INVALID: bad \"name\"");
    }

    #[test]
    fn a_full_disk_is_no_reason_to_try_again() {
        let refusal = refuse(Error::new(ErrorKind::NoSpace, "full"), Code::BlobUnknown);
        assert_eq!(
            refusal.into_answer().status(),
            StatusCode::INSUFFICIENT_STORAGE
        );
    }

    #[tokio::test]
    async fn paths_of_this_machine_are_not_told() {
        for kind in [ErrorKind::Io, ErrorKind::NoSpace, ErrorKind::Unsupported] {
            let error = Error::new(kind, "broken").target("/secret/place");
            let answer = refuse(error, Code::BlobUnknown).into_answer();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(!String::from_utf8_lossy(&body).contains("secret"));
        }
    }

    #[test]
    fn fault_xreadonly_storage_that_is_read_only_is_no_reason_to_try_again() {
        let error = Error::new(ErrorKind::Unsupported, "read-only");
        let refused = refuse(error, Code::BlobUploadUnknown).into_answer();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    }
}
