//! The library's one error type: a kind for programs, one line for people.
//!
//! An [`Error`] says what was being done, to what, on which side, and what the other end
//! answered. It never holds a secret: URLs enter it only as endpoint paths without query.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use wharf_oci::{Diagnostic, Digest, Printable};

use crate::asked::Asked;
use crate::distrust::Distrust;
use crate::error_kind::{ErrorKind, Side};
use crate::guard::Guard;
use crate::question::Question;
use crate::refusal::Refusal;

/// What every fallible function of the library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error of the library, one pointer wide.
///
/// `Display` gives one line: target, what happened, what the registry said, how many tries.
/// `Debug` gives the kind before that line, as a program sees it whose `main` returns the error;
/// with `{:#?}` it gives all parts.
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    kind: ErrorKind,
    side: Option<Side>,
    targets: Vec<String>,
    message: String,
    status: Option<u16>,
    diagnostic: Option<Diagnostic>,
    retry_after: Option<Duration>,
    transient: Option<bool>,
    tries: u32,
    page: Option<String>,
    refusal: Option<Refusal>,
    guard: Option<Guard>,
    distrust: Option<Distrust>,
    asked: Option<Asked>,
    moving: bool,
    question: Option<Question>,
    source: Option<BoxError>,
}

impl Error {
    /// An error of `kind`; `message` says what happened, in lower case, without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Parts {
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
            refusal: None,
            guard: None,
            distrust: None,
            asked: None,
            moving: false,
            question: None,
            source: None,
        }))
    }

    /// Bytes that are not what their descriptor promised.
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

    /// Names one more thing the error is about, outermost last; it is printed before the rest.
    #[must_use]
    pub fn target(mut self, target: impl fmt::Display) -> Self {
        self.0.targets.push(target.to_string());
        self
    }

    /// Says which side of a copy it belongs to, unless that is known already.
    #[must_use]
    pub fn side(mut self, side: Side) -> Self {
        self.0.side.get_or_insert(side);
        self
    }

    /// Attaches the cause; its text is appended to the line.
    #[must_use]
    pub fn source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Attaches an HTTP status and the registry's own words about it.
    #[must_use]
    pub fn answer(mut self, status: u16, diagnostic: Option<Diagnostic>) -> Self {
        self.0.status = Some(status);
        self.0.diagnostic = diagnostic;
        self
    }

    /// Overrides what [`ErrorKind::is_transient`] says.
    #[must_use]
    pub fn transient(mut self, transient: bool) -> Self {
        self.0.transient = Some(transient);
        self
    }

    /// How long the registry asked to wait before the next try.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// Records how often the work was tried.
    #[must_use]
    pub fn tries(mut self, tries: u32) -> Self {
        self.0.tries = tries;
        self
    }

    /// Says what a registry was shown in vain.
    #[must_use]
    #[doc(hidden)]
    pub fn refused(mut self, refusal: Refusal) -> Self {
        self.0.refusal = Some(refusal);
        self
    }

    /// An error of [`ErrorKind::Refused`]: this guard does not let us go on.
    #[doc(hidden)]
    pub fn guarded(guard: Guard, message: impl Into<String>) -> Self {
        let mut error = Error::new(ErrorKind::Refused, message);
        error.0.guard = Some(guard);
        error
    }

    /// Says what is wrong with the TLS of the other end.
    #[must_use]
    #[doc(hidden)]
    pub fn distrusted(mut self, distrust: Option<Distrust>) -> Self {
        self.0.distrust = distrust;
        self
    }

    /// Says what was asked for.
    #[must_use]
    #[doc(hidden)]
    pub fn asked_for(mut self, asked: Option<Asked>) -> Self {
        self.0.asked = asked;
        self
    }

    /// Says that content was on its way.
    #[must_use]
    #[doc(hidden)]
    pub fn moving(mut self) -> Self {
        self.0.moving = true;
        self
    }

    /// Adds the other end's own words.
    #[must_use]
    #[doc(hidden)]
    pub fn words(mut self, words: String) -> Self {
        self.0.message = format!("{}: {words}", self.0.message);
        self
    }

    /// Says that the answer was a web page of this title.
    #[must_use]
    #[doc(hidden)]
    pub fn page(mut self, title: String) -> Self {
        self.0.page = Some(title);
        self
    }

    /// Says how more can be learned, should the work fail because of it.
    #[must_use]
    #[doc(hidden)]
    pub fn question(mut self, question: Question) -> Self {
        self.0.question = Some(question);
        self
    }

    /// The same error in the words of `said`, which the registry says of the same thing.
    #[must_use]
    #[doc(hidden)]
    pub fn said(mut self, said: Error) -> Self {
        let Parts {
            message,
            diagnostic,
            page,
            ..
        } = *said.0;
        // What is more than the status was known here already.
        if message.starts_with(&self.0.message) {
            self.0.message = message;
        }
        self.0.diagnostic = diagnostic;
        self.0.page = page;
        self
    }

    /// The same error with what the registry has to say about it, where that was left open.
    #[doc(hidden)]
    pub async fn explained(mut self) -> Self {
        let Some(Question(ask)) = self.0.question.take() else {
            return self;
        };
        match ask().await {
            Some(said) if said.status() == self.status() => self.said(said),
            _ => self,
        }
    }

    /// The kind, for programs.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Which side of a copy failed, when known.
    pub fn failed_side(&self) -> Option<Side> {
        self.0.side
    }

    /// The HTTP status the registry answered with, if it answered.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// What a registry was shown in vain, if that is the matter.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.0.refusal.as_ref()
    }

    /// Which guard refused to go on, if that is the matter and it can be told to let it pass.
    pub fn guard(&self) -> Option<&Guard> {
        self.0.guard.as_ref()
    }

    /// What is wrong with the TLS of the other end, if that is the matter.
    pub fn distrust(&self) -> Option<Distrust> {
        self.0.distrust
    }

    /// What was asked for, if it is about a request for one of these.
    pub fn asked(&self) -> Option<Asked> {
        self.0.asked
    }

    /// Whether content was on its way when it happened: what arrived is not moved again when the
    /// work is done again.
    pub fn was_moving(&self) -> bool {
        self.0.moving
    }

    /// The title of the web page that was answered, as proxies and login pages do; it may be
    /// empty. `None`: it was none.
    pub fn web_page(&self) -> Option<&str> {
        self.0.page.as_deref()
    }

    /// The registry's own error envelope, if it sent one.
    pub fn diagnostic(&self) -> Option<&Diagnostic> {
        self.0.diagnostic.as_ref()
    }

    /// The wait the registry asked for, if any.
    pub fn wait(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether doing the same again may succeed.
    pub fn is_transient(&self) -> bool {
        self.0.transient.unwrap_or(self.0.kind.is_transient())
    }
}

/// Foreign text neither breaks the line nor steers a terminal.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write_line(&mut text)?;
        write!(f, "{}", Printable(&text, usize::MAX))
    }
}

impl Error {
    fn write_line(&self, f: &mut impl fmt::Write) -> fmt::Result {
        for target in self.0.targets.iter().rev() {
            write!(f, "{}: ", cut(target))?;
        }
        f.write_str(&cut(&self.0.message))?;
        if let Some(diagnostic) = &self.0.diagnostic {
            write!(f, ": {diagnostic}")?;
        }
        match self.0.page.as_deref() {
            None => {}
            Some("") => f.write_str(", with a web page")?,
            Some(title) => write!(f, ", with a web page: \"{title}\"")?,
        }
        if let Some(refusal) = &self.0.refusal {
            write!(f, "; {refusal}")?;
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> =
            self.0.source.as_deref().map(|error| error as _);
        let mut said = String::new();
        while let Some(error) = cause {
            // Many layers repeat the text of the layer below in their own.
            let text = error.to_string();
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said.push_str(&text);
            }
            cause = error.source();
        }
        if self.0.tries > 1 {
            write!(f, " (after {} tries)", self.0.tries)?;
        }
        Ok(())
    }
}

/// Characters of a part of a line. Where a registry sends us may have any length.
const LONG: usize = 1000;

fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONG) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return f.debug_tuple("Error").field(&self.0).finish();
        }
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        // One of ours, on its way through somebody who knows only those of the system.
        let error = match error.downcast::<Error>() {
            Ok(ours) => return ours,
            Err(error) => error,
        };
        let kind = match error.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::StorageFull | Io::QuotaExceeded => ErrorKind::NoSpace,
            Io::UnexpectedEof | Io::InvalidData => ErrorKind::Corrupt,
            _ => ErrorKind::Io,
        };
        Error::new(kind, plain(&error))
    }
}

/// The system's text without Rust's "(os error 2)" and in lower case.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if letters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

impl From<wharf_oci::ManifestError> for Error {
    fn from(error: wharf_oci::ManifestError) -> Self {
        Error::new(ErrorKind::Invalid, error.to_string())
    }
}

impl From<wharf_oci::ReferenceError> for Error {
    fn from(error: wharf_oci::ReferenceError) -> Self {
        Error::new(ErrorKind::Invalid, error.to_string())
    }
}

impl From<wharf_oci::NameError> for Error {
    fn from(error: wharf_oci::NameError) -> Self {
        Error::new(ErrorKind::Invalid, error.to_string())
    }
}

impl From<wharf_oci::DigestError> for Error {
    fn from(error: wharf_oci::DigestError) -> Self {
        Error::new(ErrorKind::Invalid, error.to_string())
    }
}

impl From<wharf_oci::MediaTypeError> for Error {
    fn from(error: wharf_oci::MediaTypeError) -> Self {
        Error::new(ErrorKind::Invalid, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_targets_outermost_first_and_the_tries() {
        let error = Error::new(ErrorKind::Server, "500 Internal Server Error")
            .target("PUT /v2/a/blobs/uploads/1")
            .target("localhost:5000/a")
            .tries(5);
        assert_eq!(
            error.to_string(),
            "localhost:5000/a: PUT /v2/a/blobs/uploads/1: 500 Internal Server Error (after 5 tries)"
        );
    }

    #[test]
    fn a_main_that_returns_it_says_kind_and_line() {
        let name = "Foo".parse::<wharf_oci::Reference>().map_err(Error::from);
        let error = name.unwrap_err();
        assert_eq!(format!("{error:?}"), format!("Invalid: {error}"));
        assert!(format!("{error:#?}").contains("transient: None"));
    }

    #[test]
    fn says_what_the_system_said_without_its_number() {
        let error = Error::io("/nowhere", std::io::Error::from_raw_os_error(2));
        assert_eq!(error.to_string(), "/nowhere: no such file or directory");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn foreign_text_is_one_line_that_steers_nothing() {
        let inner = std::io::Error::other("c\rd");
        let error = Error::new(ErrorKind::Invalid, "a\n\u{1b}[2Jb")
            .target("x\u{202e}y")
            .source(inner);
        assert_eq!(error.to_string(), r"x\u{202e}y: a\n\u{1b}[2Jb: c\rd");
    }

    #[test]
    fn a_line_has_an_end_whatever_it_is_about() {
        let error = Error::new(ErrorKind::Rejected, "no").target("é".repeat(60_000));
        let text = error.to_string();
        assert!(
            text.ends_with("é…: no") && text.len() < 2100,
            "{}",
            text.len()
        );
    }

    #[test]
    fn a_full_disk_is_its_own_kind() {
        let error = Error::from(std::io::Error::from_raw_os_error(28));
        assert_eq!(error.kind(), ErrorKind::NoSpace);
    }

    #[test]
    fn does_not_repeat_a_cause_that_its_wrapper_printed() {
        let inner = std::io::Error::other("cut");
        let error = Error::new(ErrorKind::Interrupted, "connection broke").source(inner);
        assert_eq!(error.to_string(), "connection broke: cut");
    }
}
