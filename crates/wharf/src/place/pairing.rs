//! The tags that a root gets at a reference. Pure.

use wharf_oci::{Digest, Reference, Repository, Tag};

use crate::copy::{Root, RootContent};
use crate::{Error, ErrorKind, Result};

/// A root of `content` with the tags that it gets at `to`.
///
/// # Errors
/// As [`tags`].
pub(crate) fn root(content: RootContent, to: &Reference) -> Result<Root> {
    let tags = tags(to, &content)?;
    Ok(Root { content, tags })
}

/// The tags that `content` gets at `to`: the tag there; none beside a digest; else `latest`, whatever
/// tag it has at its source, as in other tools.
///
/// # Errors
/// [`ErrorKind::Invalid`] if `to` has a digest, and `content` has another or none yet.
pub(crate) fn tags(to: &Reference, content: &RootContent) -> Result<Vec<Tag>> {
    if let Some(digest) = to.digest() {
        agree(digest, content).map_err(|error| error.target(to))?;
        return Ok(to.tag().cloned().into_iter().collect());
    }
    Ok(vec![to.tag_or_latest()])
}

/// Whether `content` has this digest.
///
/// # Errors
/// [`ErrorKind::Invalid`] if it has another or none yet.
pub(super) fn agree(digest: &Digest, content: &RootContent) -> Result<()> {
    let message = match content {
        RootContent::Manifest(descriptor) if descriptor.digest == *digest => return Ok(()),
        RootContent::Manifest(descriptor) => {
            format!("the digest of the content is {}", descriptor.digest)
        }
        RootContent::Draft(_) | RootContent::Index(_) => {
            "the digest of the content is not known before its layers are compressed; use a tag"
                .to_owned()
        }
    };
    Err(Error::new(ErrorKind::Invalid, message))
}

/// Each repository once, in the order of `to`, with all tags that `content` gets there.
pub(crate) fn by_repository(
    to: &[Reference],
    content: &RootContent,
) -> Vec<(Repository, Result<Vec<Tag>>)> {
    let mut places: Vec<(Repository, Result<Vec<Tag>>)> = Vec::new();
    for reference in to {
        let tags = tags(reference, content);
        let same = places
            .iter_mut()
            .find(|(known, _)| known == reference.repository());
        match same {
            Some((_, known)) => join(known, tags),
            None => places.push((reference.repository().clone(), tags)),
        }
    }
    places
}

/// Adds those of `tags` that are new; the first error stays.
fn join(known: &mut Result<Vec<Tag>>, tags: Result<Vec<Tag>>) {
    match (&mut *known, tags) {
        (Ok(known), Ok(tags)) => {
            for tag in tags {
                if !known.contains(&tag) {
                    known.push(tag);
                }
            }
        }
        (Ok(_), Err(error)) => *known = Err(error),
        (Err(_), _) => {}
    }
}

#[cfg(test)]
mod tests {
    use wharf_oci::{Descriptor, MediaType};

    use super::*;

    fn content() -> RootContent {
        let digest = Digest::of(b"a");
        Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, digest, 1).into()
    }

    fn names(tags: Result<Vec<Tag>>) -> String {
        match tags {
            Ok(tags) => tags.iter().map(|tag| format!("{tag} ")).collect(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn fault_c10_a_reference_says_the_tag_else_it_is_latest_and_the_digest_is_compared() {
        let (right, wrong) = (Digest::of(b"a"), Digest::of(b"b"));
        for (to, expected) in [
            ("r.example/a".to_owned(), "latest ".to_owned()),
            ("r.example/a:1".to_owned(), "1 ".to_owned()),
            (format!("r.example/a@{right}"), String::new()),
            (format!("r.example/a:1@{right}"), "1 ".to_owned()),
            (
                format!("r.example/a@{wrong}"),
                format!("r.example/a@{wrong}: the digest of the content is {right}"),
            ),
        ] {
            let found = names(tags(&to.parse().unwrap(), &content()));
            assert_eq!(found, expected, "{to}");
        }
    }

    #[test]
    fn o6_references_in_one_repository_are_one_place_with_several_tags() {
        let to = [
            "r.example/a:1",
            "r.example/b:1",
            "r.example/a:2",
            "r.example/a:1",
        ];
        let to = to.map(|to| to.parse().unwrap());
        let places = by_repository(&to, &content()).into_iter();
        let places: Vec<_> = places
            .map(|(repository, tags)| (repository.to_string(), names(tags)))
            .collect();
        let place = |name: &str, tags: &str| (name.to_owned(), tags.to_owned());
        assert_eq!(
            places,
            [place("r.example/a", "1 2 "), place("r.example/b", "1 ")]
        );
    }
}
