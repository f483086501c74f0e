//! Conversions into the root of a copy.

use wharf_oci::Descriptor;

use super::RootContent;
use crate::draft::Draft;
use crate::image::ImageOnBase;
use crate::layer::NewImage;
use crate::store::Entry;

/// A manifest of the source.
impl From<Descriptor> for RootContent {
    fn from(manifest: Descriptor) -> Self {
        RootContent::Manifest(manifest)
    }
}

/// An entry of a layout.
impl From<Entry> for RootContent {
    fn from(entry: Entry) -> Self {
        RootContent::Manifest(entry.descriptor)
    }
}

/// An image with some layers that are made on the way.
impl From<Draft> for RootContent {
    fn from(draft: Draft) -> Self {
        RootContent::Draft(draft)
    }
}

/// An image upon a base; the source has its layers.
impl From<ImageOnBase> for RootContent {
    fn from(image: ImageOnBase) -> Self {
        RootContent::Draft(image.into_draft())
    }
}

/// An image with only layers that are made on the way.
impl From<NewImage> for RootContent {
    fn from(image: NewImage) -> Self {
        RootContent::Draft(image.into_draft())
    }
}
