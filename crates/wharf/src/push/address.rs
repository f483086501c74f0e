//! What a reference means for something that is written there. Pure.

use wharf_oci::{Digest, Reference, Repository, Tag};

use crate::copy::RootContent;
use crate::{Error, ErrorKind, Result};

/// The tags that `content` gets at `to`: the one that was typed; none beside a digest; else
/// `latest`.
///
/// # Errors
/// [`ErrorKind::Invalid`] where `to` has a digest, and `content` has another or none yet.
pub(super) fn tags(to: &Reference, content: &RootContent) -> Result<Vec<Tag>> {
    let Some(wanted) = to.digest() else {
        return Ok(vec![to.tag_or_latest()]);
    };
    match content {
        RootContent::Manifest(descriptor) => same(wanted, &descriptor.digest),
        RootContent::Draft(_) => Err(Error::new(
            ErrorKind::Invalid,
            "the digest of an image is not known before its layers are made: push it under a tag",
        )),
    }
    .map_err(|error| error.target(to))?;
    Ok(to.tag().cloned().into_iter().collect())
}

fn same(wanted: &Digest, found: &Digest) -> Result<()> {
    if wanted == found {
        return Ok(());
    }
    let message = format!("what is to be pushed there has digest {found}");
    Err(Error::new(ErrorKind::Invalid, message))
}

/// Each repository once, in the order of `to`, with all tags that `content` gets there.
pub(super) fn by_repository(
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
    fn a_reference_says_the_tag_and_the_digest_is_compared() {
        let (right, wrong) = (Digest::of(b"a"), Digest::of(b"b"));
        for (to, expected) in [
            ("r.example/a".to_owned(), "latest ".to_owned()),
            ("r.example/a:1".to_owned(), "1 ".to_owned()),
            (format!("r.example/a@{right}"), String::new()),
            (format!("r.example/a:1@{right}"), "1 ".to_owned()),
            (
                format!("r.example/a@{wrong}"),
                format!("r.example/a@{wrong}: what is to be pushed there has digest {right}"),
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
