//! Lists in pages: one page, and the next one that the registry names (distribution-spec: "Listing
//! Tags").
//!
//! The `Link` is followed as it is: what continues a list is for the registry to say. It may lead
//! to another path or query, and never to another origin.

use std::str::FromStr;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use url::Url;

use super::link_header;
use crate::answer::{self, Answered};
use crate::transport::{Response, follow, same_origin};
use wharf_core::{Error, ErrorKind, Result};

/// How many entries of a page to request; a registry may send fewer.
pub(super) const ENTRIES: usize = 1000;

/// Bytes of a page.
const PAGE: usize = 8 << 20;

/// Pages of a list: a hostile registry names a next page after each.
const PAGES: usize = 10_000;

/// A page of a list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page<T> {
    /// The entries, in the order of the registry.
    pub items: Vec<T>,
    /// Entries that are no such names, as the registry wrote them. They are not among the items.
    pub unfit: Vec<String>,
    /// The position of the next page; `None` after the last page.
    pub next: Option<NextPage>,
}

/// The position of the next page of a list, as the registry named it.
#[derive(Clone, Debug)]
pub struct NextPage {
    url: Url,
    number: usize,
    /// An earlier page: its number doubles each time, so that a circle of any length is met.
    milestone: Option<Box<Url>>,
}

impl NextPage {
    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

/// Reads the answer to a request for the page `at` of a list; `asked` is its URL, and `names` gets
/// the list out of the document.
///
/// # Errors
/// The registry's error; [`ErrorKind::Invalid`] if the answer is not such a document, is too long,
/// or names a next page that must not be followed.
pub(super) async fn read<D, T>(
    response: Response,
    asked: &Url,
    at: Option<&NextPage>,
    names: impl FnOnce(D) -> Option<Vec<String>>,
) -> Result<Page<T>>
where
    D: DeserializeOwned,
    T: FromStr,
{
    let body = PageBody::of(response, asked, at).await?;
    let invalid = |error: String| Error::new(ErrorKind::Invalid, error).target(&body.endpoint);
    let document: D =
        serde_json::from_slice(&body.bytes).map_err(|error| invalid(error.to_string()))?;
    let (mut items, mut unfit) = (Vec::new(), Vec::new());
    for name in names(document).unwrap_or_default() {
        match name.parse() {
            Ok(item) => items.push(item),
            Err(_) => unfit.push(name),
        }
    }
    let next = body.next()?;
    Ok(Page { items, unfit, next })
}

/// The body of a page before it is parsed.
pub(super) struct PageBody {
    pub(super) bytes: Bytes,
    pub(super) endpoint: String,
    next: Result<Option<NextPage>>,
}

impl PageBody {
    /// Reads it. `at` and `asked` are as in [`read`].
    ///
    /// # Errors
    /// The registry's error; [`ErrorKind::Invalid`] if it is too long.
    pub(super) async fn of(
        response: Response,
        asked: &Url,
        at: Option<&NextPage>,
    ) -> Result<PageBody> {
        let response = answer::expect(response, &[200]).await?;
        let (endpoint, answered) = (response.endpoint().to_owned(), Answered::of(&response));
        let next = response.all("link").find_map(link_header::next);
        let next = next.map(|link| following(asked, at, link));
        let bytes = response.bytes(PAGE).await?;
        match answered.page(&bytes) {
            Some(error) => Err(error),
            None => Ok(PageBody {
                bytes,
                endpoint,
                next: next.transpose().map(Option::flatten),
            }),
        }
    }

    /// The next page, if any.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it must not be followed.
    pub(super) fn next(self) -> Result<Option<NextPage>> {
        self.next.map_err(|error| error.target(self.endpoint))
    }
}

/// The page that `link` leads to, from the page `at` of a list; `asked` is the URL of that page.
///
/// # Errors
/// [`ErrorKind::Invalid`] if it is not followed.
fn following(asked: &Url, at: Option<&NextPage>, link: &str) -> Result<Option<NextPage>> {
    let number = at.map_or(1, |at| at.number + 1);
    let milestone = match number.is_power_of_two() {
        true => Some(Box::new(asked.clone())),
        false => at.and_then(|at| at.milestone.clone()),
    };
    let invalid = |error: &str| Err(Error::new(ErrorKind::Invalid, error));
    let url = follow(asked, link)?;
    match () {
        // A page that names itself as the next one is the last.
        () if url == *asked => Ok(None),
        // So is one that leads back to an earlier page.
        () if milestone.as_deref() == Some(&url) => Ok(None),
        () if !same_origin(&url, asked) => invalid("the next page is on another host"),
        () if number >= PAGES => invalid("the list has too many pages"),
        () => Ok(Some(NextPage {
            url,
            number,
            milestone,
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_page_is_followed_at_the_same_origin_until_there_are_too_many() {
        let asked = Url::parse("https://r.example/v2/a/tags/list?n=2").unwrap();
        for (link, number, expected) in [
            (
                "?n=2&last=b",
                1,
                Ok(Some("https://r.example/v2/a/tags/list?n=2&last=b")),
            ),
            (
                "/other?page=%2f",
                1,
                Ok(Some("https://r.example/other?page=%2f")),
            ),
            ("/v2/a/tags/list?n=2", 1, Ok(None)),
            (
                "https://other.example/v2/a/tags/list",
                1,
                Err(ErrorKind::Invalid),
            ),
            (
                "http://r.example/v2/a/tags/list",
                1,
                Err(ErrorKind::Invalid),
            ),
            ("file:///etc/passwd", 1, Err(ErrorKind::Rejected)),
            ("?last=b", PAGES, Err(ErrorKind::Invalid)),
        ] {
            let at = NextPage {
                url: asked.clone(),
                number: number - 1,
                milestone: None,
            };
            let found = following(&asked, Some(&at), link);
            let found = found.map(|next| next.map(|next| next.url.to_string()));
            let found = found.map_err(|error| error.kind());
            assert_eq!(found, expected.map(|url| url.map(str::to_owned)), "{link}");
        }
    }

    #[test]
    fn fault_x_circle_pages_that_lead_in_a_circle_end() {
        for length in [2, 3, 5, 100] {
            let url = |page: usize| format!("https://r.example/v2/a/tags/list?p={}", page % length);
            let (mut asked, mut at) = (Url::parse(&url(0)).unwrap(), None);
            let ended = (1..1000).find(|page| {
                let next = following(&asked, at.as_ref(), &url(*page)).unwrap();
                let Some(next): Option<NextPage> = next else {
                    return true;
                };
                (asked, at) = (next.url().clone(), Some(next));
                false
            });
            let page = ended.unwrap();
            assert!(page <= 4 * length, "{page}");
        }
    }
}
