//! Selects one of the images of an archive.

use std::convert::Infallible;
use std::str::FromStr;

use wharf_oci::{Digest, Reference, Tag};

use super::docker_image::DockerImage;
use crate::{Error, ErrorKind, Result};

/// The most images that a message lists.
const MOST_LISTED: usize = 20;

/// A choice among the images of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ImageChoice {
    /// The only one there is.
    #[default]
    Only,
    /// By a name: `name:tag` as in the archive, a full reference, or a tag only.
    Name(String),
    /// By the digest of its config, docker's image id.
    Config(Digest),
    /// By its place in `manifest.json`, from 0.
    Place(usize),
}

impl FromStr for ImageChoice {
    type Err = Infallible;

    /// `sha256:…` is a config, `@N` a place, empty text the only image, anything else a name.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        if text.is_empty() {
            return Ok(ImageChoice::Only);
        }
        if let Some(place) = text.strip_prefix('@').and_then(|place| place.parse().ok()) {
            return Ok(ImageChoice::Place(place));
        }
        Ok(text
            .parse()
            .map_or_else(|_| ImageChoice::Name(text.to_owned()), ImageChoice::Config))
    }
}

/// The image of `images` that `choice` selects.
///
/// # Errors
/// [`ErrorKind::NotFound`] or [`ErrorKind::Ambiguous`], with a list of the images.
pub(super) fn select<'a>(
    images: &'a [DockerImage],
    choice: &ImageChoice,
) -> Result<&'a DockerImage> {
    let fitting: Vec<&DockerImage> = match choice {
        ImageChoice::Only => images.iter().collect(),
        ImageChoice::Place(place) => {
            let images = images.iter();
            images
                .filter(|image| image.places.contains(place))
                .collect()
        }
        ImageChoice::Config(digest) => images
            .iter()
            .filter(|image| image.config.digest == *digest)
            .take(1)
            .collect(),
        ImageChoice::Name(name) => named(images, name),
    };
    match fitting[..] {
        [image] => Ok(image),
        [] if images.is_empty() => Err(Error::new(ErrorKind::NotFound, "archive has no images")),
        [] => Err(Error::new(
            ErrorKind::NotFound,
            format!(
                "no image {}; there are: {}",
                describe(choice),
                list(images.iter())
            ),
        )),
        _ => {
            let several = match choice {
                ImageChoice::Only => "the archive holds several images".to_owned(),
                choice => format!("{} matches several images", describe(choice)),
            };
            let listed = list(fitting.into_iter());
            let message = format!("{several}, choose one: {listed}");
            Err(Error::new(ErrorKind::Ambiguous, message))
        }
    }
}

/// The images of this name; if there are none, those of this tag.
fn named<'a>(images: &'a [DockerImage], name: &str) -> Vec<&'a DockerImage> {
    let wanted = canonical(name);
    let by_name: Vec<_> = images
        .iter()
        .filter(|image| {
            image
                .repo_tags
                .iter()
                .any(|tag| tag == name || (wanted.is_some() && canonical(tag) == wanted))
        })
        .collect();
    if !by_name.is_empty() {
        return by_name;
    }
    let Ok(tag) = name.parse::<Tag>() else {
        return Vec::new();
    };
    images
        .iter()
        .filter(|image| image.tags().any(|own| own == tag))
        .collect()
}

/// A name with all defaults filled in, for comparison.
fn canonical(name: &str) -> Option<Reference> {
    let reference: Reference = name.parse().ok()?;
    let tag = reference.tag_or_latest();
    Some(reference.with_tag(tag))
}

fn describe(choice: &ImageChoice) -> String {
    match choice {
        ImageChoice::Only => "the archive".to_owned(),
        ImageChoice::Name(name) => name.escape_debug().to_string(),
        ImageChoice::Config(digest) => digest.to_string(),
        ImageChoice::Place(place) => format!("@{place}"),
    }
}

fn list<'a>(images: impl ExactSizeIterator<Item = &'a DockerImage>) -> String {
    let more = images.len().saturating_sub(MOST_LISTED);
    let mut names: Vec<String> = images.take(MOST_LISTED).map(DockerImage::label).collect();
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}
