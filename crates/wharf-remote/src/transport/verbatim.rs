//! The target of a URL as a registry wrote it (wire.md M4).
//!
//! A parser of URLs writes each in its own form: `'` in a query becomes `%27`. That breaks signed
//! URLs. So the path and query as they came are kept in the fragment of the URL, which no request
//! sends. A URL without a fragment is sent as it is.

use http::uri::PathAndQuery;
use url::{Position, Url};

use super::follow::follow;
use wharf_core::Result;

/// As [`follow`], for a `Location`: the request is sent to its path and query byte for byte.
///
/// # Errors
/// As [`follow`].
pub(crate) fn follow_verbatim(answered: &Url, location: &str) -> Result<Url> {
    let mut url = follow(answered, location)?;
    if let Some(target) = target(&url, location) {
        keep(&mut url, &target);
    }
    Ok(url)
}

/// As [`follow`], for a URL of [`follow_verbatim`] that was written to a file.
///
/// # Errors
/// As [`follow`].
pub(crate) fn follow_kept(root: &Url, kept: &str) -> Result<Url> {
    let mut url = follow(root, kept)?;
    if let Some(target) = kept.split_once('#').map(|(_, target)| unescaped(target)) {
        keep(&mut url, &target);
    }
    Ok(url)
}

/// The path and query to send, if they are not those of the URL.
pub(super) fn verbatim(url: &Url) -> Option<PathAndQuery> {
    unescaped(url.fragment()?).parse().ok()
}

/// Adds a parameter to the query, and changes nothing else of it.
pub(crate) fn append(url: &mut Url, parameter: &str) {
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&{parameter}"),
        _ => parameter.to_owned(),
    };
    let target = url.fragment().map(|target| match target.split_once('?') {
        Some((_, "")) => format!("{target}{parameter}"),
        Some(_) => format!("{target}&{parameter}"),
        None => format!("{target}?{parameter}"),
    });
    url.set_query(Some(&query));
    // Parameters of ours need no escape.
    url.set_fragment(target.as_deref());
}

/// Keeps a target that the URL would change, if it can be sent.
fn keep(url: &mut Url, target: &str) {
    let changed = url[Position::BeforePath..Position::AfterQuery] != *target;
    let sent: Option<PathAndQuery> = target.parse().ok();
    let is_sent = sent.is_some_and(|sent| sent.as_str() == target);
    if !changed || !target.starts_with('/') || !is_sent {
        return;
    }
    url.set_fragment(Some(&escaped(target)));
}

/// What a fragment would change, and the escape itself.
const ESCAPES: [(&str, &str); 5] = [
    ("%", "%25"),
    ("`", "%60"),
    ("\"", "%22"),
    ("<", "%3C"),
    (">", "%3E"),
];

fn escaped(target: &str) -> String {
    let escape = |text: String, (plain, escape): &(&str, &str)| text.replace(plain, escape);
    ESCAPES.iter().fold(target.to_owned(), escape)
}

fn unescaped(fragment: &str) -> String {
    let unescape = |text: String, (plain, escape): &(&str, &str)| text.replace(escape, plain);
    ESCAPES.iter().rev().fold(fragment.to_owned(), unescape)
}

/// The path and query of `location`, which was resolved to `url`.
fn target(url: &Url, location: &str) -> Option<String> {
    let location = location.trim_matches(|letter: char| letter <= ' ');
    let location = location.split('#').next().unwrap_or_default();
    let (before, query) = match location.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (location, None),
    };
    let path = path(before).unwrap_or_else(|| url.path());
    match query {
        Some(query) => Some(format!("{path}?{query}")),
        // The query may be that of the base.
        None => (!before.is_empty()).then(|| path.to_owned()),
    }
}

/// The path of a URL without its query; `None` if it is relative, or must be resolved.
fn path(before: &str) -> Option<&str> {
    let at = match before.split_once("//") {
        Some((scheme, rest)) if scheme.is_empty() || scheme.ends_with(':') => {
            before.len() - rest.len() + rest.find('/')?
        }
        _ if before.starts_with('/') => 0,
        _ => return None,
    };
    let path = before.get(at..)?;
    let is_dots = |part: &str| {
        matches!(
            part.replace("%2e", ".").replace("%2E", ".").as_str(),
            "." | ".."
        )
    };
    // A parser takes a backslash for a slash.
    let resolves = before.contains('\\') || path.split('/').any(is_dots);
    (!resolves).then_some(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sent(location: &str) -> String {
        let answered = Url::parse("https://r.example/v2/a/blobs/uploads/?x=1").unwrap();
        let url = follow_verbatim(&answered, location).unwrap();
        target_of(&url)
    }

    fn target_of(url: &Url) -> String {
        match verbatim(url) {
            Some(target) => target.to_string(),
            None => url[Position::BeforePath..Position::AfterQuery].to_owned(),
        }
    }

    #[test]
    fn fault_c19_a_location_is_sent_as_it_came() {
        for (location, expected) in [
            ("https://cdn.example/up?sig=a'b", "/up?sig=a'b"),
            ("//cdn.example/up?sig='", "/up?sig='"),
            (
                "/up?sig='&b=%2f%2F+~!*();:@$,[]|^`",
                "/up?sig='&b=%2f%2F+~!*();:@$,[]|^`",
            ),
            ("/a^b/c|d'e/%7e?f", "/a^b/c|d'e/%7e?f"),
            ("1?state='", "/v2/a/blobs/uploads/1?state='"),
            ("?state='", "/v2/a/blobs/uploads/?state='"),
            ("https://cdn.example?sig='", "/?sig='"),
            ("/up?a='#piece", "/up?a='"),
            ("/up?a=?b='", "/up?a=?b='"),
            ("/up?", "/up?"),
            ("/up", "/up"),
            ("", "/v2/a/blobs/uploads/?x=1"),
            // What must be resolved, or cannot be sent as it is.
            ("/a/../b?c='", "/b?c='"),
            ("/a/%2e%2E/b", "/b"),
            ("/a\\b?c='", "/a/b?c='"),
            ("/up?a=b c", "/up?a=b%20c"),
            ("https://me:hidden@r.example/up?a='", "/up?a='"),
        ] {
            assert_eq!(sent(location), expected, "{location}");
        }
    }

    #[test]
    fn fault_c19_a_parameter_is_added_without_a_change() {
        let root = Url::parse("https://r.example/").unwrap();
        for (location, expected) in [
            ("/up?sig='", "/up?sig='&digest=x"),
            ("/a'b^", "/a'b^?digest=x"),
            ("/a^?", "/a^?digest=x"),
            ("/up?a=b", "/up?a=b&digest=x"),
            ("/up", "/up?digest=x"),
        ] {
            let mut url = follow_verbatim(&root, location).unwrap();
            append(&mut url, "digest=x");
            assert_eq!(target_of(&url), expected);
            // Through a file.
            let read = follow_kept(&root, url.as_str()).unwrap();
            assert_eq!(target_of(&read), expected);
        }
    }

    proptest! {
        #[test]
        fn fault_c19_the_host_is_that_of_the_url(location in "(https?:)?/{0,3}[-a-z.@:/?#'\\\\%2e ]{0,30}") {
            let answered = Url::parse("https://r.example/v2/").unwrap();
            if let (Ok(plain), Ok(url)) = (follow(&answered, &location), follow_verbatim(&answered, &location)) {
                let mut same = url.clone();
                same.set_fragment(None);
                prop_assert_eq!(&plain, &same);
                let target = target_of(&url);
                prop_assert!(target.starts_with('/') && !target.contains([' ', '#']), "{}", target);
            }
        }
    }
}
