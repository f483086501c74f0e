//! The parts of an error: what was being done, to what, on which side, and what the registry
//! answered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use wharf_oci::{Diagnostic, Digest};

use super::detail::{Asked, Detail, Distrust, Guard, Refusal, Unreached};
use super::kind::{ErrorKind, Side};

/// The result of every fallible function of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error of the library, one pointer wide. Clones share their parts.
///
/// `Display` gives one line: target, what happened, what the registry said, how many tries. `Debug`
/// gives the kind before that line, for programs that return the error from `main`; with `{:#?}` it
/// gives all parts.
#[derive(Clone)]
pub struct Error(pub(super) Arc<Parts>);

#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) kind: ErrorKind,
    pub(super) side: Option<Side>,
    pub(super) targets: Vec<String>,
    pub(super) message: String,
    pub(super) status: Option<u16>,
    pub(super) diagnostic: Option<Diagnostic>,
    pub(super) retry_after: Option<Duration>,
    pub(super) transient: Option<bool>,
    pub(super) tries: u32,
    pub(super) page: Option<String>,
    pub(super) detail: Option<Detail>,
    pub(super) asked: Option<Asked>,
    pub(super) moving: bool,
    pub(super) moot: bool,
    pub(super) question: Option<Question>,
    pub(super) others: Vec<String>,
    pub(super) source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

type Ask = dyn Fn() -> BoxFuture<'static, Option<Error>> + Send + Sync;

/// How to learn more about an error: the answer to a HEAD has no body. Returns the same error with
/// the registry's text, if there is any.
///
/// Sent only after the last try: a failed HEAD is often retried, or suffices as an answer, and must
/// then cost no second request.
#[derive(Clone)]
pub(super) struct Question(pub(super) Arc<Ask>);

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Question")
    }
}

impl Error {
    /// An error of `kind`; `message` says what happened, in lower case, without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Arc::new(Parts {
            kind,
            side: None,
            targets: Vec::new(),
            message: message.into(),
            status: None,
            diagnostic: None,
            retry_after: None,
            transient: None,
            tries: 1,
            page: None,
            detail: None,
            asked: None,
            moving: false,
            moot: false,
            question: None,
            others: Vec::new(),
            source: None,
        }))
    }

    /// The error of bytes that do not match their descriptor.
    pub fn digest_mismatch(expected: &Digest, actual: &Digest) -> Self {
        Error::new(
            ErrorKind::Corrupt,
            format!("content has digest {actual}, expected {expected}"),
        )
    }

    /// An operating-system error about the file or directory named `path`.
    pub fn io(path: impl fmt::Display, error: std::io::Error) -> Self {
        Error::from(error).target(path)
    }

    /// Names one more thing that the error is about, outermost last. It is printed before the rest.
    #[must_use]
    pub fn target(mut self, target: impl fmt::Display) -> Self {
        self.parts().targets.push(target.to_string());
        self
    }

    /// Sets the side of a copy, unless it is set already.
    #[must_use]
    pub fn side(mut self, side: Side) -> Self {
        self.parts().side.get_or_insert(side);
        self
    }

    /// Attaches the cause; its text is appended to the line.
    #[must_use]
    pub fn source(mut self, source: impl Into<BoxError>) -> Self {
        self.parts().source = Some(Arc::from(source.into()));
        self
    }

    /// Attaches an HTTP status and the registry's own error text.
    #[must_use]
    pub fn answer(mut self, status: u16, diagnostic: Option<Diagnostic>) -> Self {
        let parts = self.parts();
        parts.status = Some(status);
        parts.diagnostic = diagnostic;
        self
    }

    /// Overrides what [`ErrorKind::is_transient`] says.
    #[must_use]
    pub fn transient(mut self, transient: bool) -> Self {
        self.parts().transient = Some(transient);
        self
    }

    /// Sets how long the registry asked to wait before the next try.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.parts().retry_after = wait;
        self
    }

    /// Records how often the work was tried.
    #[must_use]
    pub fn tries(mut self, tries: u32) -> Self {
        self.parts().tries = tries;
        self
    }

    /// The kind, for programs.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The side of a copy that failed, if known.
    pub fn failed_side(&self) -> Option<Side> {
        self.0.side
    }

    /// The HTTP status the registry answered with, if it answered.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Which credentials a registry refused, if that is the cause.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.0.detail {
            Some(Detail::Refusal(refusal)) => Some(refusal),
            _ => None,
        }
    }

    /// Which guard refused, if that is the cause and a setting can allow it.
    pub fn guard(&self) -> Option<&Guard> {
        match &self.0.detail {
            Some(Detail::Guard(guard)) => Some(guard),
            _ => None,
        }
    }

    /// What is wrong with the TLS of the other end, if that is the cause.
    pub fn distrust(&self) -> Option<Distrust> {
        match &self.0.detail {
            Some(Detail::Distrust(distrust)) => Some(*distrust),
            _ => None,
        }
    }

    /// The content that a registry does not know, by its refusal of a manifest, although it took
    /// that content or says that it has it. Empty if it does not say which. `None`: the error is
    /// about something else.
    pub fn lost_content(&self) -> Option<&[Digest]> {
        match &self.0.detail {
            Some(Detail::Lost(content)) => Some(content),
            _ => None,
        }
    }

    /// Why a host was not reached, if that is the cause and known.
    pub fn unreached(&self) -> Option<Unreached> {
        match &self.0.detail {
            Some(Detail::Unreached(why)) => Some(*why),
            _ => None,
        }
    }

    /// Whether the reader of what was being written, such as a closed pipe, is the cause.
    pub fn is_unread(&self) -> bool {
        matches!(self.0.detail, Some(Detail::Unread))
    }

    /// What was requested, if the error is about a request.
    pub fn asked(&self) -> Option<Asked> {
        self.0.asked
    }

    /// Whether content was being transferred. Bytes that arrived are not moved again by the next
    /// run.
    pub fn was_moving(&self) -> bool {
        self.0.moving
    }

    /// Whether the request that failed is not needed: the next try goes without it. Known after
    /// [`Error::explained`] only.
    pub fn is_moot(&self) -> bool {
        self.0.moot
    }

    /// The title, possibly empty, of the web page that a proxy or login page answered with. `None`:
    /// the answer was not a web page.
    pub fn web_page(&self) -> Option<&str> {
        self.0.page.as_deref()
    }

    /// The registry's own error envelope, if it sent one.
    pub fn diagnostic(&self) -> Option<&Diagnostic> {
        self.0.diagnostic.as_ref()
    }

    /// The wait that the registry asked for, if any.
    pub fn wait(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
        self.0.transient.unwrap_or(self.0.kind.is_transient())
    }

    /// The parts, for changes; clones keep their own.
    pub(super) fn parts(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.0)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_says_the_same_and_goes_its_own_way() {
        let error = Error::new(ErrorKind::Server, "500").target("a");
        let clone = error.clone().target("b").tries(2);
        assert_eq!(error.to_string(), "a: 500");
        assert_eq!(clone.to_string(), "b: a: 500 (after 2 tries)");
    }
}
