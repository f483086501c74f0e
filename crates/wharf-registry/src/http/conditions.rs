//! Conditional requests. RFC 9110, 13: `If-Match`, `If-None-Match`, `If-Range`.
//!
//! The entity tag of content is its digest in quotes. No answer has a `Last-Modified`, so conditions
//! on dates do not apply.

use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use http::{HeaderMap, StatusCode};
use wharf_oci::{Digest, Selector};

use super::respond::{Code, Refusal};
use crate::storage::{Condition, EntityTags};

/// What the conditions of a request say about content that is there. RFC 9110, 13.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The request is answered as one without conditions.
    Proceed,
    /// `If-None-Match`: the client has this content already.
    Known,
    /// `If-Match`: the client wants other content.
    Other,
}

/// What the conditions of a GET or HEAD say. Content that is not there is a 404 whatever they say.
pub(crate) fn of_read(headers: &HeaderMap, digest: &Digest) -> Verdict {
    let matches = |name, comparison| {
        let tags = entity_tags(headers, name, comparison);
        tags.map(|tags| tags.contain(digest))
    };
    if matches(&IF_MATCH, Comparison::Strong) == Some(false) {
        return Verdict::Other;
    }
    match matches(&IF_NONE_MATCH, Comparison::Weak) {
        Some(true) => Verdict::Known,
        _ => Verdict::Proceed,
    }
}

/// The condition on `at` for a write or a deletion, if any.
pub(crate) fn of_write(headers: &HeaderMap, at: &Selector) -> Option<Condition> {
    let matches = entity_tags(headers, &IF_MATCH, Comparison::Strong);
    let differs = entity_tags(headers, &IF_NONE_MATCH, Comparison::Weak);
    (matches.is_some() || differs.is_some()).then(|| Condition {
        at: at.clone(),
        matches,
        differs,
    })
}

/// Whether a `Range` header counts (RFC 9110, 13.1.5): not if `If-Range` names other content, or a
/// date.
pub(crate) fn allows_range(headers: &HeaderMap, digest: &Digest) -> bool {
    match entity_tags(headers, &IF_RANGE, Comparison::Strong) {
        None => true,
        Some(EntityTags::Any) => false,
        Some(these) => these.contain(digest),
    }
}

/// The refusal of a request with a condition that does not hold.
pub(crate) fn failed(on: impl std::fmt::Display) -> Box<Refusal> {
    let message = format!("the condition on {on} does not hold");
    Refusal::new(Code::Unsupported, message).status(StatusCode::PRECONDITION_FAILED)
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
    let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
    if lines.iter().map(|line| line.trim()).eq(["*"]) {
        return Some(EntityTags::Any);
    }
    let mut digests = Vec::new();
    for mut rest in lines {
        while let Some(tag) = next_tag(&mut rest) {
            if tag.strength == Comparison::Strong || comparison == Comparison::Weak {
                digests.extend(tag.opaque.parse::<Digest>());
            }
        }
    }
    Some(EntityTags::These(digests))
}

struct EntityTag<'a> {
    strength: Comparison,
    opaque: &'a str,
}

/// Takes the next tag off a list. A tag in quotes may contain commas; a tag without quotes, which
/// some clients send, ends at a comma.
fn next_tag<'a>(rest: &mut &'a str) -> Option<EntityTag<'a>> {
    let text = rest.trim_start_matches([' ', '\t', ',']);
    if text.is_empty() {
        return None;
    }
    let (tag, strength) = match text.strip_prefix("W/") {
        Some(tag) => (tag, Comparison::Weak),
        None => (text, Comparison::Strong),
    };
    let quoted = tag.strip_prefix('"').and_then(|tag| tag.split_once('"'));
    let (opaque, after) = match quoted {
        Some((opaque, after)) if after.is_empty() || after.starts_with([' ', '\t', ',']) => {
            (opaque, after)
        }
        _ => tag.split_once(',').unwrap_or((tag, "")),
    };
    *rest = after;
    let opaque = opaque.trim();
    Some(EntityTag { strength, opaque })
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
        let (inside, starred) = (format!("\"x,{one}\""), format!("\"x\", *, {second}"));
        for (lines, expected) in [
            (&[][..], None),
            (&["*"], Some(EntityTags::Any)),
            (&[&first], these(&[&one])),
            (&[&list], these(&[&one, &two])),
            (&[&first, &second], these(&[&one, &two])),
            (&[&weak], these(&[])),
            (&["nonsense"], these(&[])),
            (&[""], these(&[])),
            (&[&inside], these(&[])),
            (&[&starred], these(&[&two])),
            (&["*", "*"], these(&[])),
            (&[one.to_string().as_str()], these(&[&one])),
            (&["\""], these(&[])),
        ] {
            assert_eq!(read(lines, Comparison::Strong), expected, "{lines:?}");
        }
        assert_eq!(read(&[&weak], Comparison::Weak), these(&[&one]));
    }

    #[test]
    fn fault_c21_if_match_counts_before_if_none_match() {
        let (this, other) = (Digest::of(b"1"), Digest::of(b"2"));
        let (own, foreign) = (format!("\"{this}\""), format!("\"{other}\""));
        let weak = format!("W/{own}");
        for (matches, differs, expected) in [
            (None, None, Verdict::Proceed),
            (Some(&own), None, Verdict::Proceed),
            (Some(&foreign), None, Verdict::Other),
            (Some(&weak), None, Verdict::Other),
            (None, Some(&own), Verdict::Known),
            (None, Some(&weak), Verdict::Known),
            (None, Some(&foreign), Verdict::Proceed),
            (Some(&foreign), Some(&own), Verdict::Other),
            (Some(&own), Some(&own), Verdict::Known),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [(IF_MATCH, matches), (IF_NONE_MATCH, differs)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            assert_eq!(of_read(&headers, &this), expected, "{headers:?}");
        }
    }
}
