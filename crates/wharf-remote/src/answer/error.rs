//! The errors of answers that are not a success (distribution-spec: "Error Codes"; wire.md R1).

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use wharf_oci::Diagnostic;

use super::words::{Words, is_html};
use crate::transport::{Response, SafeUrl};
use wharf_core::{Error, ErrorKind, Result};

/// The most bytes read of an error's body.
const ERROR_BODY: usize = 64 * 1024;

/// The most time for reading an error's body.
const ERROR_WAIT: Duration = Duration::from_secs(10);

/// Codes that mean "try again", whatever the status.
const TRANSIENT_CODES: [&str; 4] = [
    "BLOB_UPLOAD_INVALID",
    "TOOMANYREQUESTS",
    "UNKNOWN",
    "UNAVAILABLE",
];

/// The part of an answer that its error states besides the body.
pub(crate) struct Answered {
    status: StatusCode,
    endpoint: String,
    content_type: Option<String>,
    /// The URL it came from, if that is not the requested one.
    from: Option<String>,
    /// The target of a redirect that is not followed.
    to: Option<String>,
}

impl Answered {
    pub(crate) fn of(response: &Response) -> Self {
        let endpoint = response.endpoint().to_owned();
        let asked = endpoint.split_once(' ').map(|(_, path)| path);
        let moved = asked != Some(response.url().path());
        let target = match response.status().is_redirection() {
            true => response.header("location"),
            false => None,
        };
        let target = target.and_then(|target| response.url().join(target).ok());
        Answered {
            to: target.map(|target| SafeUrl(&target).to_string()),
            status: response.status(),
            content_type: response.header("content-type").map(str::to_owned),
            from: moved.then(|| SafeUrl(response.url()).to_string()),
            endpoint,
        }
    }

    /// The status. For a success, also which statuses were expected.
    fn said(&self, wanted: &[u16]) -> String {
        if self.status.as_u16() >= 400 || wanted.is_empty() {
            return self.to_string();
        }
        let wanted: Vec<String> = wanted.iter().map(u16::to_string).collect();
        format!("answered {self} instead of {}", wanted.join(" or "))
    }

    /// The error of a body that is a web page instead of a document. A server that answers so is
    /// not a registry, and did not do what was requested.
    pub(crate) fn page(self, body: &[u8]) -> Option<Error> {
        match Words::of(self.content_type.as_deref(), body)? {
            page @ Words::Page(_) => {
                let error = Error::new(ErrorKind::Rejected, self.to_string());
                let error = error.answer(self.status.as_u16(), None);
                Some(page.join(error.target(self.endpoint)))
            }
            Words::Text(_) => None,
        }
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(from) = &self.from {
            write!(f, " from {from}")?;
        }
        match &self.to {
            Some(to) => write!(f, " (a redirect to {to})"),
            None => Ok(()),
        }
    }
}

/// The error of an unexpected answer.
pub(crate) async fn error(response: Response) -> Error {
    error_in_words(response, &[], |_| None).await
}

/// The same, for servers with their own error format: uses what `words` finds in the body if there
/// is no diagnostic. For a success, says that one of the statuses `wanted` was expected.
pub(crate) async fn error_in_words(
    response: Response,
    wanted: &[u16],
    words: impl FnOnce(&[u8]) -> Option<String>,
) -> Error {
    let answered = Answered::of(&response);
    let (refusal, asked) = (response.refusal().cloned(), response.asked());
    let wait = wait(&response);
    let body = body(response).await;
    let diagnostic = Diagnostic::parse(&body);
    let words = match &diagnostic {
        None => words(&body)
            .map(Words::Text)
            .or_else(|| Words::of(answered.content_type.as_deref(), &body)),
        Some(_) => None,
    };
    let status = answered.status.as_u16();
    let (kind, transient) = classify(status, diagnostic.as_ref());
    let message = match words {
        // The text of a web page is not an error message.
        Some(Words::Page(_)) => answered.to_string(),
        _ => answered.said(wanted),
    };
    let error = Error::new(kind, message)
        .asked_for(asked)
        .answer(status, diagnostic)
        .transient(transient)
        .retry_after(wait)
        .target(answered.endpoint);
    let error = match refusal {
        Some(refusal) => error.refused(refusal),
        None => error,
    };
    match words {
        Some(words) => words.join(error),
        None => error,
    }
}

/// A body that is cut off, too slow or too long counts as empty; the status remains.
async fn body(response: Response) -> Bytes {
    let body = tokio::time::timeout(ERROR_WAIT, response.bytes(ERROR_BODY)).await;
    body.ok().and_then(Result::ok).unwrap_or_default()
}

/// Checks that the answer is not a web page, as proxies and login pages answer any request.
///
/// # Errors
/// Where it is one.
pub(crate) async fn no_page(response: Response) -> Result<()> {
    if !is_html(response.header("content-type")) {
        return Ok(());
    }
    let answered = Answered::of(&response);
    match answered.page(&body(response).await) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// How long an answer asks to wait before the next request.
pub(crate) fn wait(response: &Response) -> Option<Duration> {
    retry_after(response.header("retry-after")?, SystemTime::now())
}

/// The answer itself if its status is one of `welcome`.
pub(crate) async fn expect(response: Response, welcome: &[u16]) -> Result<Response> {
    if welcome.contains(&response.status().as_u16()) {
        return Ok(response);
    }
    Err(error_in_words(response, welcome, |_| None).await)
}

fn classify(status: u16, diagnostic: Option<&Diagnostic>) -> (ErrorKind, bool) {
    let kind = match status {
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        408 | 429 | 499 | 503 => ErrorKind::Busy,
        500..=599 => ErrorKind::Server,
        _ => ErrorKind::Rejected,
    };
    let by_status = matches!(status, 408 | 429 | 499 | 500 | 502 | 503 | 504 | 522);
    (kind, by_status || diagnostic.is_some_and(says_try_again))
}

fn says_try_again(diagnostic: &Diagnostic) -> bool {
    let errors = &diagnostic.errors;
    !errors.is_empty()
        && errors
            .iter()
            .all(|error| TRANSIENT_CODES.contains(&error.code.as_str()))
}

/// Seconds or a date (RFC 9110, section 10.2.3).
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_x_redirect_the_error_names_the_target() {
        let answered = Answered {
            status: StatusCode::FOUND,
            endpoint: "POST /v2/a/blobs/uploads/".to_owned(),
            content_type: None,
            from: None,
            to: Some("https://r.example/v2/".to_owned()),
        };
        let said = "answered 302 Found (a redirect to https://r.example/v2/) instead of 202";
        assert_eq!(answered.said(&[202]), said);
    }

    #[test]
    fn r1_knows_which_statuses_pass_by_themselves() {
        for status in [408, 429, 499, 500, 502, 503, 504, 522] {
            assert!(classify(status, None).1, "{status}");
        }
        for status in [400, 401, 403, 404, 405, 413, 416, 501, 505, 507] {
            assert!(!classify(status, None).1, "{status}");
        }
    }

    #[test]
    fn r1_codes_count_only_when_all_of_them_are_transient() {
        let diagnostic = |codes: &[&str]| {
            let errors: Vec<_> = codes
                .iter()
                .map(|code| serde_json::json!({ "code": code }))
                .collect();
            Diagnostic::parse(
                serde_json::json!({ "errors": errors })
                    .to_string()
                    .as_bytes(),
            )
            .unwrap()
        };
        assert!(classify(400, Some(&diagnostic(&["BLOB_UPLOAD_INVALID", "UNKNOWN"]))).1);
        assert!(
            !classify(
                400,
                Some(&diagnostic(&["BLOB_UPLOAD_INVALID", "DIGEST_INVALID"]))
            )
            .1
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let read = |value| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(read(" 7 "), Some(7));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(read("Sat, 06 Nov 1993 08:50:37 GMT"), Some(0));
        assert_eq!(read("soon"), None);
    }
}
