//! Conversions into the root of a copy.

use wharf_oci::Descriptor;

use super::RootContent;
use crate::draft::{Draft, IndexDraft};
use crate::image::{Edited, EditedImage};
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

/// An index with images that are made on the way.
impl From<IndexDraft> for RootContent {
    fn from(index: IndexDraft) -> Self {
        RootContent::Index(index)
    }
}

/// A changed image, or one upon a base; the source has the layers that are kept.
impl From<EditedImage> for RootContent {
    fn from(image: EditedImage) -> Self {
        image.into_content()
    }
}

/// A changed image or index.
impl From<Edited> for RootContent {
    fn from(edited: Edited) -> Self {
        edited.into_content()
    }
}

/// An image with only layers that are made on the way.
impl From<NewImage> for RootContent {
    fn from(image: NewImage) -> Self {
        RootContent::Draft(image.into_draft())
    }
}
