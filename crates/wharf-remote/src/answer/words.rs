//! Finds the error text in bodies that are not errors of the distribution spec: web pages of
//! proxies and login pages, the XML of storage services, a line of text.
//!
//! Pure. Quotes little, and of XML only the text for people.

use wharf_core::Error;

/// The most characters quoted of a body.
const QUOTED: usize = 200;

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// A web page with this title.
    Page(String),
    /// It says this.
    Text(String),
}

impl Words {
    /// The text for people in a body of this media type, if any.
    pub(crate) fn of(content_type: Option<&str>, body: &[u8]) -> Option<Words> {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        if let Some(page) = page(content_type, text) {
            return Some(Words::Page(page));
        }
        if text.starts_with("<?xml") || text.starts_with("<Error>") {
            let code = between(text, "<Code>", "</Code>");
            let message = between(text, "<Message>", "</Message>");
            let parts: Vec<&str> = code.into_iter().chain(message).collect();
            return (!parts.is_empty()).then(|| Words::Text(bounded(&parts.join(": "))));
        }
        let line = text.lines().next().unwrap_or_default();
        let plain = media_type(content_type) == "text/plain" && !line.is_empty();
        plain.then(|| Words::Text(bounded(line)))
    }

    /// The error with this text.
    pub(crate) fn join(self, error: Error) -> Error {
        match self {
            Words::Page(title) => error.page(title),
            Words::Text(text) => error.words(text),
        }
    }
}

/// Whether an answer claims to be a web page. Some registries claim it for an empty body.
pub(crate) fn is_html(content_type: Option<&str>) -> bool {
    matches!(
        media_type(content_type).as_str(),
        "text/html" | "application/xhtml+xml"
    )
}

/// The title of a web page.
fn page(content_type: Option<&str>, text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let tagged = lower.starts_with("<!doctype html") || lower.starts_with("<html");
    if !(tagged || is_html(content_type) && lower.starts_with('<')) {
        return None;
    }
    // Only ASCII letters were changed, so positions are equal.
    let title = lower.find("<title").and_then(|start| {
        let start = start + lower.get(start..)?.find('>')? + 1;
        let end = start + lower.get(start..)?.find('<')?;
        text.get(start..end)
    });
    Some(bounded(title.unwrap_or_default()))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inner, _)| inner)
}

/// The text in one line of bounded length.
fn bounded(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(QUOTED).collect()
}

fn media_type(content_type: Option<&str>) -> String {
    let first = content_type.and_then(|value| value.split(';').next());
    first.unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(content_type: &str, body: &str) -> Option<Words> {
        Words::of(Some(content_type), body.as_bytes())
    }

    #[test]
    fn web_pages_are_known_by_their_beginning_and_told_by_their_title() {
        for (content_type, body, title) in [
            ("text/html", "<html><head><title>Sign in</title>", "Sign in"),
            (
                "text/html; charset=utf-8",
                " <TITLE lang=en>\n A \n B</TITLE>",
                "A B",
            ),
            ("", "<!DOCTYPE html><p>İ<title>ï</title>", "ï"),
            ("application/json", "<HTML>", ""),
            ("text/html", "<p>no title", ""),
            ("text/html", "<title>cut off", ""),
        ] {
            let expected = Words::Page(title.to_owned());
            assert_eq!(said(content_type, body), Some(expected), "{body}");
        }
        // Some registries label empty or one-word answers as HTML.
        for body in ["", "true", "{}"] {
            assert_eq!(said("text/html", body), None, "{body}");
        }
    }

    #[test]
    fn of_other_bodies_a_line_for_people_is_quoted() {
        let s3 = "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>Request has \
                  expired</Message><StringToSign>secret</StringToSign></Error>";
        for (content_type, body, text) in [
            (
                "text/plain; charset=utf-8",
                "404 page not found\n",
                "404 page not found",
            ),
            ("text/plain", "a\u{1b}  b\nc", "a\u{1b} b"),
            ("application/xml", s3, "AccessDenied: Request has expired"),
        ] {
            let expected = Words::Text(text.to_owned());
            assert_eq!(said(content_type, body), Some(expected), "{body}");
        }
        for (content_type, body) in [
            ("application/octet-stream", "secret"),
            ("application/json", "{\"token\":\"secret\"}"),
            ("application/xml", "<?xml?><x>secret</x>"),
            ("text/plain", ""),
        ] {
            assert_eq!(said(content_type, body), None, "{body}");
        }
        let Some(Words::Text(long)) = said("text/plain", &"x".repeat(5000)) else {
            panic!("text is text");
        };
        assert_eq!(long.len(), QUOTED);
    }

    proptest::proptest! {
        #[test]
        fn any_body_is_bounded_and_in_one_line(content_type in "(text/(html|plain)|)", body: Vec<u8>) {
            if let Some(Words::Page(text) | Words::Text(text)) = Words::of(Some(&content_type), &body) {
                proptest::prop_assert!(text.chars().count() <= QUOTED && !text.contains('\n'));
            }
        }
    }
}
