//! Images for several platforms: new ones, and those of an index.

use std::collections::BTreeSet;
use std::sync::Arc;

use wharf_oci::{Descriptor, Digest, Platform};

use super::{Edited, EditedChild, EditedContent, EditedImage, EditedIndex};
use crate::draft::ManifestFields;
use crate::layer::Family;
use crate::store::Memory;
use crate::{Error, ErrorKind, Result, Side};

impl Edited {
    /// An image without layers for a platform, or an index of such images for several. Without a
    /// platform it is an image that states none.
    pub fn empty(family: Family, platforms: &[Platform]) -> Self {
        let [first, rest @ ..] = platforms else {
            return Edited::Image(EditedImage::empty(family));
        };
        if rest.is_empty() {
            return Edited::Image(empty_for(family, first));
        }
        // Digest and size are those of nothing: there was no index before.
        let nothing = Descriptor::new(family.index(), Digest::of(b""), 0);
        let children = platforms.iter().map(|platform| EditedChild {
            descriptor: Descriptor {
                platform: Some(platform.clone()),
                ..nothing.clone()
            },
            content: EditedContent::Image(Box::new(empty_for(family, platform))),
        });
        Edited::Index(EditedIndex {
            media_type: family.index(),
            children: children.collect(),
            fields: ManifestFields::default(),
            before: nothing.clone(),
            relisted: true,
            source: Arc::new(Memory::new()),
        })
    }

    /// The same with only the images for these platforms.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a platform without an image, and if it is a single image.
    pub fn for_platforms(self, wanted: &[Platform]) -> Result<Self> {
        let index = match self {
            Edited::Index(index) => index,
            Edited::Image(image) => {
                let here = image.config.platform();
                let message = format!("one image for {here}, and no index of several platforms");
                return Err(Error::new(ErrorKind::NotFound, message).side(Side::Source));
            }
        };
        let here: Vec<Platform> = index
            .images()
            .into_iter()
            .map(|image| image.config.platform())
            .collect();
        let lacking = |wanted: &&Platform| !here.iter().any(|here| here.matches(wanted));
        if let Some(lacking) = wanted.iter().find(lacking) {
            let here: BTreeSet<String> = here.iter().map(ToString::to_string).collect();
            let here = here.into_iter().collect::<Vec<_>>().join(", ");
            let message = format!("no image for {lacking}, there is: {here}");
            return Err(Error::new(ErrorKind::NotFound, message).side(Side::Source));
        }
        Ok(Edited::Index(narrowed(index, wanted)))
    }
}

fn empty_for(family: Family, platform: &Platform) -> EditedImage {
    let mut image = EditedImage::empty(family);
    let platform = platform.clone();
    image.config.os = platform.os;
    image.config.architecture = platform.architecture;
    image.config.variant = platform.variant;
    image.config.os_version = platform.os_version;
    image
}

/// The index with the images for these platforms, at any depth. What is no image goes.
fn narrowed(mut index: EditedIndex, wanted: &[Platform]) -> EditedIndex {
    let before = index.children.len();
    let children = index.children.into_iter().filter_map(|child| {
        let content = match child.content {
            EditedContent::Kept => return None,
            EditedContent::Image(image) => {
                let here = image.config.platform();
                let fits = wanted.iter().any(|wanted| here.matches(wanted));
                fits.then_some(EditedContent::Image(image))?
            }
            EditedContent::Index(inner) => {
                let inner = narrowed(*inner, wanted);
                let empty = inner.children.is_empty();
                (!empty).then(|| EditedContent::Index(Box::new(inner)))?
            }
        };
        Some(EditedChild { content, ..child })
    });
    index.children = children.collect();
    index.relisted |= index.children.len() < before;
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platforms(texts: &[&str]) -> Vec<Platform> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn of(edited: &Edited) -> Vec<String> {
        let images = edited.images().into_iter();
        images
            .map(|image| image.config.platform().to_string())
            .collect()
    }

    #[test]
    fn one_platform_is_an_image_and_several_are_an_index() {
        let one = Edited::empty(Family::Oci, &platforms(&["linux/arm/v7"]));
        assert!(matches!(one, Edited::Image(_)));
        assert_eq!(of(&one), ["linux/arm/v7"]);
        let several = platforms(&["linux/amd64", "linux/arm64", "windows/amd64:10"]);
        let edited = Edited::empty(Family::Docker, &several);
        assert_eq!(
            of(&edited),
            ["linux/amd64", "linux/arm64", "windows/amd64:10"]
        );

        let fewer = edited
            .clone()
            .for_platforms(&platforms(&["linux/arm64/v8", "linux/amd64"]));
        assert_eq!(of(&fewer.unwrap()), ["linux/amd64", "linux/arm64"]);
        let said = edited
            .for_platforms(&platforms(&["linux/s390x"]))
            .unwrap_err()
            .to_string();
        assert!(
            said.starts_with("no image for linux/s390x, there is: linux/amd64"),
            "{said}"
        );
        assert_eq!(
            one.for_platforms(&several).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
}
