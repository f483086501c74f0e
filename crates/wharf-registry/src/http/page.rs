//! Pages of lists. distribution-spec: "Listing Tags", `n` and `last`.

use http::StatusCode;

use super::respond::{Code, Refusal};

/// The requested part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    /// The most entries.
    pub(crate) limit: usize,
    /// Entries after this one.
    pub(crate) after: Option<T>,
}

/// The most entries of a page, even if the client asks for more.
const MOST: usize = 10_000;

impl<T: std::str::FromStr<Err: ToString>> Page<T> {
    pub(crate) fn parse(n: Option<&str>, last: Option<&str>) -> Result<Self, Box<Refusal>> {
        let limit = n.map_or(Some(MOST), limit);
        let limit = limit.ok_or_else(|| invalid("n is not a number"))?;
        let after = last
            .filter(|last| !last.is_empty())
            .map(str::parse::<T>)
            .transpose();
        let after = after.map_err(|error| invalid(&format!("last: {}", error.to_string())))?;
        Ok(Page { limit, after })
    }
}

/// The number of a query: digits only, however many.
fn limit(n: &str) -> Option<usize> {
    let is_number = !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| n.parse().unwrap_or(MOST).min(MOST))
}

/// The specification's table of codes has none for pages; `UNSUPPORTED` is also that of an invalid
/// set of parameters.
fn invalid(message: &str) -> Box<Refusal> {
    Refusal::new(Code::Unsupported, message).status(StatusCode::BAD_REQUEST)
}

impl<T: std::fmt::Display> Page<T> {
    /// Cuts a list, which was read with one entry more, to the page. Returns the `Link` to the next
    /// page, if there is one.
    pub(crate) fn cut(&self, path: &str, entries: &mut Vec<T>) -> Option<String> {
        if entries.len() <= self.limit {
            return None;
        }
        entries.truncate(self.limit);
        let last = entries.last()?;
        // No character of names and tags must be escaped in a query.
        Some(format!(
            "<{path}?n={}&last={last}>; rel=\"next\"",
            self.limit
        ))
    }
}

#[cfg(test)]
mod tests {
    use wharf_oci::Tag;

    use super::*;

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_full_page_links_to_the_next() {
        let page = Page::<Tag>::parse(Some("2"), None).unwrap();
        let mut found = tags(&["a", "b", "c"]);
        let link = page.cut("/v2/x/tags/list", &mut found);
        assert_eq!(
            link.as_deref(),
            Some("</v2/x/tags/list?n=2&last=b>; rel=\"next\"")
        );
        assert_eq!(found, tags(&["a", "b"]));
    }

    #[test]
    fn the_last_page_and_an_empty_page_have_no_link() {
        let page = Page::<Tag>::parse(Some("2"), Some("a")).unwrap();
        assert_eq!(page.after, Some("a".parse().unwrap()));
        assert_eq!(page.cut("/", &mut tags(&["b", "c"])), None);
        let none = Page::<Tag>::parse(Some("0"), None).unwrap();
        let mut found = tags(&["b"]);
        assert_eq!(none.cut("/", &mut found), None);
        assert!(found.is_empty());
    }

    #[test]
    fn what_is_no_number_or_no_tag_is_refused() {
        for n in ["-1", "+3", "", "x", "1.5"] {
            assert!(Page::<Tag>::parse(Some(n), None).is_err(), "{n}");
        }
        let most = Page::<Tag>::parse(Some("99999999999999999999999"), None).unwrap();
        assert_eq!(most.limit, MOST);
        assert!(Page::<Tag>::parse(None, Some("a/b")).is_err());
    }
}
