//! Conditional requests on manifests. RFC 9110, 13.1: `If-Match`, `If-None-Match`.
//!
//! The entity tag of a manifest is its digest in quotes.

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use wharf_oci::{Digest, Selector};

use crate::storage::{Condition, EntityTags};

/// Whether the client has this content already (`If-None-Match`).
pub(crate) fn is_known(headers: &HeaderMap, digest: &Digest) -> bool {
    let known = entity_tags(headers, &IF_NONE_MATCH, Comparison::Weak);
    known.is_some_and(|tags| tags.contain(digest))
}

/// The condition on `at` for a write, if any.
pub(crate) fn of_write(headers: &HeaderMap, at: &Selector) -> Option<Condition> {
    let matches = entity_tags(headers, &IF_MATCH, Comparison::Strong);
    let differs = entity_tags(headers, &IF_NONE_MATCH, Comparison::Weak);
    (matches.is_some() || differs.is_some()).then(|| Condition {
        at: at.clone(),
        matches,
        differs,
    })
}

/// Whether a weak tag, `W/"…"`, matches (RFC 9110, 8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// The tags of a header; `None` if it is absent. A malformed tag matches nothing.
fn entity_tags(
    headers: &HeaderMap,
    name: &HeaderName,
    comparison: Comparison,
) -> Option<EntityTags> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let mut digests = Vec::new();
    // No digest contains a comma, so a tag with a comma matches nothing, even when it is split.
    for item in lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
    {
        let item = item.trim();
        if item == "*" {
            return Some(EntityTags::Any);
        }
        let (tag, weak) = match item.strip_prefix("W/") {
            Some(tag) => (tag, true),
            None => (item, false),
        };
        let digest = tag.trim_matches('"').parse();
        if !weak || comparison == Comparison::Weak {
            digests.extend(digest);
        }
    }
    Some(EntityTags::These(digests))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str], comparison: Comparison) -> Option<EntityTags> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_MATCH, line.parse().unwrap());
        }
        entity_tags(&headers, &IF_MATCH, comparison)
    }

    #[test]
    fn entity_tags_are_read_as_http_says() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let these = |digests: &[&Digest]| {
            Some(EntityTags::These(
                digests.iter().copied().cloned().collect(),
            ))
        };
        let (first, second) = (format!("\"{one}\""), format!("\"{two}\""));
        let (weak, list) = (format!("W/{first}"), format!("\"x\" , {first},{second}"));
        for (lines, expected) in [
            (&[][..], None),
            (&["*"], Some(EntityTags::Any)),
            (&[&first], these(&[&one])),
            (&[&list], these(&[&one, &two])),
            (&[&first, &second], these(&[&one, &two])),
            (&[&weak], these(&[])),
            (&["nonsense"], these(&[])),
            (&[""], these(&[])),
        ] {
            assert_eq!(read(lines, Comparison::Strong), expected, "{lines:?}");
        }
        assert_eq!(read(&[&weak], Comparison::Weak), these(&[&one]));
    }
}
