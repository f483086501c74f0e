//! What the server does with one request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::record::RecordedRequest;

/// What the server does with one request: an answer, or a failure to give one.
///
/// In header values `{base}` stands for the server's base URL (`http://127.0.0.1:PORT`), `{host}` for
/// its address and port, `{path}` for the request's path, `{digest}` for the request's `digest` query
/// parameter, `{body_digest}` for the sha256 digest of the request's body, and `{n}` for the request's
/// number, counted from 0.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) read: ReadBody,
    pub(super) delay: Duration,
    pub(super) then: Then,
}

/// How much of the request's body is read before anything else happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReadBody {
    All,
    UpTo(u64),
}

#[derive(Clone)]
pub(super) enum Then {
    Respond(Reply),
    Drop,
    Hang,
    FallThrough,
    Compute(Arc<dyn Fn(&RecordedRequest) -> Answer + Send + Sync>),
}

impl fmt::Debug for Then {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respond(reply) => reply.fmt(formatter),
            Self::Drop => formatter.write_str("Drop"),
            Self::Hang => formatter.write_str("Hang"),
            Self::FallThrough => formatter.write_str("FallThrough"),
            Self::Compute(_) => formatter.write_str("Compute"),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) trickle: Option<(usize, Duration)>,
    pub(super) cut_after: Option<usize>,
    pub(super) chunked: bool,
}

impl Answer {
    /// Reads the whole request and answers with this status and an empty body.
    pub fn status(status: u16) -> Self {
        Self::new(
            ReadBody::All,
            Then::Respond(Reply {
                status,
                headers: Vec::new(),
                body: Bytes::new(),
                trickle: None,
                cut_after: None,
                chunked: false,
            }),
        )
    }

    /// Reads the whole request and answers with this status and the distribution spec's error envelope.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let envelope = json!({ "errors": [{ "code": code, "message": message, "detail": null }] });
        Self::status(status)
            .header("Content-Type", "application/json")
            .body(envelope.to_string())
    }

    /// Reads the whole request, then does what `answer` returns for it. Settings of that answer for
    /// reading, waiting and falling through have no effect.
    pub fn from_fn(answer: impl Fn(&RecordedRequest) -> Self + Send + Sync + 'static) -> Self {
        Self::new(ReadBody::All, Then::Compute(Arc::new(answer)))
    }

    /// Leaves the request to the rule before this one: for "fail once, then behave".
    pub fn fall_through() -> Self {
        Self::new(ReadBody::UpTo(0), Then::FallThrough)
    }

    /// Closes the connection without an answer once `read` bytes of the request's body have
    /// arrived, or all of a shorter one. The sender may have handed some more to its kernel by
    /// then.
    pub fn close_after(read: u64) -> Self {
        Self::new(ReadBody::UpTo(read), Then::Drop)
    }

    /// Closes the connection when the request's headers have arrived.
    pub fn drop_connection() -> Self {
        Self::close_after(0)
    }

    /// Reads nothing after the headers and never answers; the connection stays open.
    pub fn hang() -> Self {
        Self::hang_after(0)
    }

    /// Reads `read` bytes of the body, or all of a shorter one, and never answers.
    pub fn hang_after(read: u64) -> Self {
        Self::new(ReadBody::UpTo(read), Then::Hang)
    }

    /// Adds a header; see [`Answer`] for placeholders in its value.
    ///
    /// # Panics
    /// When this answer is not a response.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.reply()
            .headers
            .push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the response's body; its length is announced unless a `Content-Length` header is given.
    ///
    /// # Panics
    /// When this answer is not a response.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.reply().body = body.into();
        self
    }

    /// Sends the body without announcing its length.
    ///
    /// # Panics
    /// When this answer is not a response.
    pub fn chunked(mut self) -> Self {
        self.reply().chunked = true;
        self
    }

    /// Sends the body in pieces of `size` bytes with a pause of `interval` before each.
    ///
    /// # Panics
    /// When this answer is not a response, or `size` is 0.
    pub fn trickle(mut self, size: usize, interval: Duration) -> Self {
        assert!(size > 0, "a piece has at least one byte");
        self.reply().trickle = Some((size, interval));
        self
    }

    /// Announces the whole body, sends `sent` bytes of it, and closes the connection.
    ///
    /// # Panics
    /// When this answer is not a response.
    pub fn cut_body_after(mut self, sent: usize) -> Self {
        self.reply().cut_after = Some(sent);
        self
    }

    /// Answers as soon as the headers have arrived, while the body is still on its way.
    pub fn without_reading(mut self) -> Self {
        self.read = ReadBody::UpTo(0);
        self
    }

    /// Waits, after reading, before doing anything else.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn new(read: ReadBody, then: Then) -> Self {
        Self {
            read,
            delay: Duration::ZERO,
            then,
        }
    }

    fn reply(&mut self) -> &mut Reply {
        match &mut self.then {
            Then::Respond(reply) => reply,
            other => panic!("{other:?} is not a response"),
        }
    }
}
