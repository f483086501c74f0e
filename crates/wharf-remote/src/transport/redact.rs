//! Redacts requests and answers for logs and errors: no secret, and nothing that controls a
//! terminal.

use std::fmt::{self, Write};

use http::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use url::Url;
use wharf_oci::Printable;

/// A URL for printing: without user name, password and fragment, and only with the values of query
/// parameters that are known not to be secret (wire.md P3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct SafeUrl<'a>(pub(crate) &'a Url);

/// Query parameters of the distribution spec and of token requests that are not secret.
const KEYS: [&str; 10] = [
    "digest",
    "mount",
    "from",
    "n",
    "ns",
    "last",
    "tag",
    "artifactType",
    "origin",
    "service",
];

/// The replacement of hidden text.
const HIDDEN: &str = "***";

/// The most letters of a parameter's name.
const LONGEST_KEY: usize = 40;

impl fmt::Display for SafeUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SafeUrl(url) = self;
        write!(
            f,
            "{}://{}",
            url.scheme(),
            url.host_str().unwrap_or_default()
        )?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())?;
        let Some(query) = url.query() else {
            return Ok(());
        };
        for (position, pair) in query.split('&').enumerate() {
            f.write_char(if position == 0 { '?' } else { '&' })?;
            match pair.split_once('=') {
                Some((key, value)) if KEYS.contains(&key) => write!(f, "{key}={value}")?,
                Some((key, _)) if is_name(key) => write!(f, "{key}={HIDDEN}")?,
                _ => f.write_str(HIDDEN)?,
            }
        }
        Ok(())
    }
}

fn is_name(key: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    key.len() <= LONGEST_KEY && key.bytes().all(plain)
}

/// The headers that help to understand an exchange and are not secret.
pub(super) struct SafeHeaders<'a> {
    /// Of a request or an answer.
    pub(super) headers: &'a HeaderMap,
    /// The base of a relative `Location`.
    pub(super) url: &'a Url,
}

const HEADERS: [&str; 13] = [
    "content-length",
    "content-range",
    "content-type",
    "docker-content-digest",
    "etag",
    "if-match",
    "if-none-match",
    "location",
    "oci-chunk-min-length",
    "oci-subject",
    "range",
    "ratelimit-remaining",
    "retry-after",
];

impl fmt::Display for SafeHeaders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for name in HEADERS {
            for value in self.headers.get_all(name) {
                write!(f, "{separator}{name}: ")?;
                separator = ", ";
                match value.to_str() {
                    Ok(value) if name == LOCATION.as_str() => match self.url.join(value) {
                        Ok(location) => write!(f, "{}", SafeUrl(&location))?,
                        Err(_) => f.write_str(HIDDEN)?,
                    },
                    Ok(value) => write!(f, "{}", Printable(value, usize::MAX))?,
                    Err(_) => f.write_str(HIDDEN)?,
                }
            }
        }
        Ok(())
    }
}

/// Whether a body is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// Yes: manifests and similar documents.
    Document,
    /// No: content of blobs, and answers that may contain tokens.
    Nothing,
}

impl Show {
    /// Whether a body with these headers may be shown; `status` is that of an answer. Plain JSON is
    /// shown only with an error status, because otherwise it may be a token.
    pub(super) fn of(headers: &HeaderMap, status: Option<u16>) -> Self {
        let media_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let media_type = media_type.unwrap_or_default().to_ascii_lowercase();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let is_error = status.is_some_and(|status| status >= 400);
        let suits = media_type.ends_with("+json")
            || media_type.ends_with("+yaml")
            || (is_error && media_type == "application/json");
        if suits { Show::Document } else { Show::Nothing }
    }
}

/// The beginning of a document, in one line.
pub(super) struct Excerpt<'a>(pub(super) &'a [u8]);

/// The most bytes of a document to show.
const LONGEST_EXCERPT: usize = 4096;

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..LONGEST_EXCERPT).unwrap_or(self.0);
        let text = String::from_utf8_lossy(shown);
        write!(f, "{}", Printable(&text, usize::MAX))?;
        match self.0.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} bytes more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn safe(url: &str) -> String {
        SafeUrl(&Url::parse(url).unwrap()).to_string()
    }

    #[test]
    fn p3_of_a_query_only_what_is_known_to_be_no_secret_is_shown() {
        for (url, shown) in [
            ("https://r.example/v2/", "https://r.example/v2/"),
            (
                "http://u:p@r.example:81/v2/a#frag",
                "http://r.example:81/v2/a",
            ),
            (
                "https://[::1]:5000/up?_state=abc&digest=sha256:00",
                "https://[::1]:5000/up?_state=***&digest=sha256:00",
            ),
            (
                "https://s3.example/b?X-Amz-Signature=0f&X-Amz-Credential=AK%2F1&partNumber=1",
                "https://s3.example/b?X-Amz-Signature=***&X-Amz-Credential=***&partNumber=***",
            ),
            (
                "https://r.example/?Digest=x&d%69gest=y",
                "https://r.example/?Digest=***&***",
            ),
            ("https://r.example/?c2VjcmV0", "https://r.example/?***"),
            ("https://r.example/?", "https://r.example/?***"),
            (
                "https://r.example/?n=5&last=v1&from=a%2Fb&mount=sha256:1&tag=x&service=s",
                "https://r.example/?n=5&last=v1&from=a%2Fb&mount=sha256:1&tag=x&service=s",
            ),
        ] {
            assert_eq!(safe(url), shown);
        }
        let long = format!("https://r.example/?{}=1", "k".repeat(41));
        assert_eq!(safe(&long), "https://r.example/?***");
    }

    #[test]
    fn p3_headers_are_shown_by_name() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Basic c2VjcmV0"),
            ("set-cookie", "secret"),
            ("x-amz-security-token", "secret"),
            ("content-length", "7"),
            ("location", "/up?_state=secret"),
            ("etag", "\u{9}\"1\""),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let url = Url::parse("https://r.example/v2/").unwrap();
        let (headers, url) = (&headers, &url);
        assert_eq!(
            SafeHeaders { headers, url }.to_string(),
            "content-length: 7, etag: \\t\"1\", location: https://r.example/up?_state=***"
        );
    }

    #[test]
    fn p3_documents_are_shown_cut_off_and_in_one_line() {
        assert_eq!(Excerpt(b"{\n\x1b[2J}").to_string(), "{\\n\\u{1b}[2J}");
        let long = Excerpt(&[b'x'; 5000]).to_string();
        assert!(long.ends_with("xx and 904 bytes more"), "{long}");
    }

    #[test]
    fn p3_answers_that_may_be_tokens_or_blobs_are_not_shown() {
        let show = |media_type: &str, status| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, media_type.parse().unwrap());
            Show::of(&headers, status)
        };
        let manifest = "application/vnd.oci.image.manifest.v1+json; charset=utf-8";
        assert_eq!(show(manifest, Some(200)), Show::Document);
        assert_eq!(show("application/json", Some(401)), Show::Document);
        assert_eq!(show("application/json", Some(200)), Show::Nothing);
        assert_eq!(show("application/octet-stream", None), Show::Nothing);
    }
}
