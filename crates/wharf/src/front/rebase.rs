//! Puts images upon another version of their base.

use std::sync::Arc;

use wharf_oci::{
    ANNOTATION_BASE_DIGEST, ANNOTATION_BASE_NAME, Descriptor, Digest, Platform, Reference,
};

use super::{Options, Wharf};
use crate::image::{EditedImage, EditedLayer, StoredImage};
use crate::place::platform::usual;
use crate::place::{Place, PlaceOptions, PlatformChoice, reference};
use crate::store::Joined;
use crate::{Error, ErrorKind, Result, RootContent, Side};

/// The base images of a rebase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bases {
    /// The image has its layers now.
    pub old: Place,
    /// The image gets its layers.
    pub new: Place,
    /// What the annotations of the image call the new one.
    pub name: String,
}

impl Bases {
    /// The bases of an image: those that are given, else the new one that its annotations name, and
    /// in the repository of that name the old one by its digest.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if neither says it, or the annotations are no reference and digest.
    pub fn of(
        image: &EditedImage,
        old: Option<Place>,
        new: Option<(Place, String)>,
    ) -> Result<Self> {
        let annotation = |key: &str| image.fields.annotations.get(key);
        let named = annotation(ANNOTATION_BASE_NAME);
        let (new, name) = match (new, named) {
            (Some(new), _) => new,
            (None, Some(name)) => (Place::Registry(reference(name)?), name.clone()),
            (None, None) => return Err(unnamed("new", ANNOTATION_BASE_NAME)),
        };
        let old = match (old, named, annotation(ANNOTATION_BASE_DIGEST)) {
            (Some(old), ..) => old,
            (None, Some(name), Some(digest)) => {
                let digest: Digest = digest
                    .parse()
                    .map_err(|error| Error::from(error).target(ANNOTATION_BASE_DIGEST))?;
                let repository = reference(name)?.repository().clone();
                Place::Registry(Reference::new(repository, None, Some(digest)))
            }
            (None, None, _) => return Err(unnamed("old", ANNOTATION_BASE_NAME)),
            (None, ..) => return Err(unnamed("old", ANNOTATION_BASE_DIGEST)),
        };
        Ok(Bases { old, new, name })
    }
}

fn unnamed(which: &str, annotation: &str) -> Error {
    let message = format!("the {which} base image is not given, and {annotation} does not name it");
    Error::new(ErrorKind::Invalid, message)
}

impl Wharf {
    /// The image upon the new base in place of the old one, with annotations that say so. Of a base
    /// that is an index it is the image for the platform of `image`. No layer is read: they are
    /// found, mounted or copied when the result is written.
    ///
    /// ```no_run
    /// use wharf::front::Bases;
    /// use wharf::image::Edited;
    /// use wharf::place::Access;
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let at = "registry.example/app:1".parse()?;
    /// let opened = wharf.read(&at).await?;
    /// let image = wharf.edit_one(&opened).await?;
    /// let bases = Bases::of(&image, None, None)?;
    /// let rebased = Edited::Image(wharf.rebase(image, &bases).await?);
    /// let source = opened.changed_to(rebased);
    /// let store = wharf.destination(&at, &source, Access::Write).await?;
    /// println!("{}", wharf.write(&source, &store).await?.descriptor.digest);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if a base is not there, or not for the platform; as
    /// [`EditedImage::rebased`].
    pub async fn rebase(&self, image: EditedImage, bases: &Bases) -> Result<EditedImage> {
        let mut platform = image.config.platform();
        if platform.os.is_empty() {
            platform = usual();
        }
        // Its version differs between the bases.
        platform.os_version = None;
        let (old, _) = self.base(&bases.old, &platform).await?;
        let (new, named) = self.base(&bases.new, &platform).await?;
        let mut source = Joined::new();
        for image in [&image, &new] {
            let stored = image.layers().iter().filter_map(EditedLayer::descriptor);
            source.add(Arc::clone(image.source()), stored);
        }
        let mut image = image.rebased(&old, &new)?.from_source(Arc::new(source));
        let annotations = &mut image.fields.annotations;
        annotations.insert(ANNOTATION_BASE_NAME.to_owned(), bases.name.clone());
        annotations.insert(ANNOTATION_BASE_DIGEST.to_owned(), named.digest.to_string());
        Ok(image)
    }

    /// A base image, and what its place names: an index, if it is one.
    async fn base(&self, place: &Place, platform: &Platform) -> Result<(EditedImage, Descriptor)> {
        let options = self.options();
        let places = PlaceOptions {
            platform: PlatformChoice::All,
            ..options.places.clone()
        };
        let copy = options.copy.clone();
        let all = Wharf::with_options(self.client().clone(), Options { copy, places });
        let opened = all.read(place).await?;
        let RootContent::Manifest(named) = &opened.content else {
            let message = "a docker archive cannot be a base image of a rebase; push it first";
            return Err(Error::new(ErrorKind::Unsupported, message).side(Side::Source));
        };
        let manifest = self.manifest_in(&opened).await?;
        let source = opened.source.as_ref();
        let choice = platform.clone().into();
        let picked = self.picked_for(source, manifest, &choice).await?;
        let image = StoredImage::new(Arc::clone(&opened.source), picked);
        let image = image.map_err(|error| error.side(Side::Source))?;
        let image = image.retry(options.copy.retry);
        Ok((EditedImage::open(&image).await?, named.clone()))
    }
}
