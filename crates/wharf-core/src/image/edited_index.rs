//! An index with images to be changed.

use std::sync::Arc;

use wharf_oci::{Descriptor, MediaType, attested};

use super::edited::EditedImage;
use crate::Result;
use crate::copy::RootContent;
use crate::draft::{IndexChild, IndexDraft, ManifestFields};
use crate::store::Source;

/// An image or an index, to be changed.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of them")]
pub enum Edited {
    /// An image.
    Image(EditedImage),
    /// An index.
    Index(EditedIndex),
}

/// An index to be changed. What is not changed stays, unknown fields included.
#[derive(Clone, Debug)]
pub struct EditedIndex {
    /// Its media type.
    pub media_type: MediaType,
    /// Its children, in order.
    pub children: Vec<EditedChild>,
    /// What else the index says.
    pub fields: ManifestFields,
    /// The index before it was changed.
    pub before: Descriptor,
    /// Whether `fields` or the list of children differ from those of before.
    pub relisted: bool,
    /// Has the content that is kept.
    pub source: Arc<dyn Source>,
}

/// A child of an index to be changed.
#[derive(Clone, Debug)]
pub struct EditedChild {
    /// Its descriptor before. Platform and annotations stay.
    pub descriptor: Descriptor,
    /// What becomes of it.
    pub content: EditedContent,
}

/// What becomes of a child of an index.
#[derive(Clone, Debug)]
pub enum EditedContent {
    /// It stays as it is.
    Kept,
    /// An image, to be changed.
    Image(Box<EditedImage>),
    /// An index, to be changed.
    Index(Box<EditedIndex>),
}

impl Edited {
    /// The same with every image changed by `edit`, which gets the descriptor of a child in an index.
    ///
    /// # Errors
    /// The first error of `edit`.
    pub fn map<F>(self, edit: &mut F) -> Result<Self>
    where
        F: FnMut(EditedImage, Option<&Descriptor>) -> Result<EditedImage>,
    {
        match self {
            Edited::Image(image) => Ok(Edited::Image(edit(image, None)?)),
            Edited::Index(index) => Ok(Edited::Index(index.map(edit)?)),
        }
    }

    /// It as a root of a copy from [`Edited::source`].
    pub fn into_content(self) -> RootContent {
        match self {
            Edited::Image(image) => image.into_content(),
            Edited::Index(index) => index.into_content(),
        }
    }

    /// The source that has what is kept.
    pub fn source(&self) -> &Arc<dyn Source> {
        match self {
            Edited::Image(image) => image.source(),
            Edited::Index(index) => &index.source,
        }
    }

    /// What is left out of an index; see [`EditedIndex::left_out`].
    pub fn left_out(&self) -> Vec<&Descriptor> {
        match self {
            Edited::Image(_) => Vec::new(),
            Edited::Index(index) => index.left_out(),
        }
    }

    /// The images, at any depth, in order.
    pub fn images(&self) -> Vec<&EditedImage> {
        match self {
            Edited::Image(image) => vec![image],
            Edited::Index(index) => index.images(),
        }
    }
}

impl EditedIndex {
    /// The same with every image changed by `edit`.
    ///
    /// # Errors
    /// The first error of `edit`.
    pub fn map<F>(mut self, edit: &mut F) -> Result<Self>
    where
        F: FnMut(EditedImage, Option<&Descriptor>) -> Result<EditedImage>,
    {
        let mut children = Vec::with_capacity(self.children.len());
        for child in self.children {
            let content = match child.content {
                EditedContent::Kept => EditedContent::Kept,
                EditedContent::Image(image) => {
                    EditedContent::Image(Box::new(edit(*image, Some(&child.descriptor))?))
                }
                EditedContent::Index(index) => EditedContent::Index(Box::new(index.map(edit)?)),
            };
            children.push(EditedChild {
                descriptor: child.descriptor,
                content,
            });
        }
        self.children = children;
        Ok(self)
    }

    /// The images, at any depth, in order.
    pub fn images(&self) -> Vec<&EditedImage> {
        let images = self.children.iter().flat_map(|child| match &child.content {
            EditedContent::Kept => Vec::new(),
            EditedContent::Image(image) => vec![image.as_ref()],
            EditedContent::Index(index) => index.images(),
        });
        images.collect()
    }

    /// The same without these children, at any depth.
    #[must_use]
    pub fn without(mut self, leaves_out: &dyn Fn(&Descriptor) -> bool) -> Self {
        let count = self.children.len();
        self.children.retain(|child| !leaves_out(&child.descriptor));
        self.relisted |= self.children.len() < count;
        for child in &mut self.children {
            if let EditedContent::Index(index) = &mut child.content {
                **index = index.as_ref().clone().without(leaves_out);
            }
        }
        self
    }

    /// The children, at any depth, that are left out because they attest something about an image
    /// that is another now.
    pub fn left_out(&self) -> Vec<&Descriptor> {
        let changed = self.changed();
        let children = self.children.iter().flat_map(|child| match &child.content {
            _ if child.is_about(&changed) => vec![&child.descriptor],
            EditedContent::Index(index) => index.left_out(),
            EditedContent::Kept | EditedContent::Image(_) => Vec::new(),
        });
        children.collect()
    }

    /// The digests of the children that are others now.
    fn changed(&self) -> Vec<String> {
        let changed = self.children.iter().filter(|child| child.is_changed());
        let digests = changed.map(|child| child.descriptor.digest.to_string());
        digests.collect()
    }

    /// Whether nothing was changed.
    pub fn is_unchanged(&self) -> bool {
        !self.relisted && !self.children.iter().any(EditedChild::is_changed)
    }

    /// The index as a root of a copy: what it was, if nothing was changed.
    pub fn into_content(self) -> RootContent {
        match self.is_unchanged() {
            true => RootContent::Manifest(self.before),
            false => RootContent::Index(self.into_draft()),
        }
    }

    /// What a builder attests about an image that is another now is left out: it would speak of
    /// content that is not there.
    fn into_draft(self) -> IndexDraft {
        let changed = self.changed();
        let children = self.children.into_iter();
        let children = children.filter(|child| !child.is_about(&changed));
        let children = children.map(|child| {
            let descriptor = child.descriptor;
            match child.content {
                EditedContent::Image(image) if !image.is_unchanged() => {
                    IndexChild::Image(descriptor, image.into_draft())
                }
                EditedContent::Index(index) if !index.is_unchanged() => {
                    IndexChild::Index(descriptor, index.into_draft())
                }
                _ => IndexChild::Stored(descriptor),
            }
        });
        IndexDraft {
            media_type: self.media_type,
            children: children.collect(),
            fields: self.fields,
        }
    }
}

impl EditedChild {
    /// Whether it attests something about one of these.
    fn is_about(&self, changed: &[String]) -> bool {
        let about = attested(&self.descriptor);
        about.is_some_and(|about| changed.iter().any(|digest| digest == about))
    }

    fn is_changed(&self) -> bool {
        match &self.content {
            EditedContent::Kept => false,
            EditedContent::Image(image) => !image.is_unchanged(),
            EditedContent::Index(index) => !index.is_unchanged(),
        }
    }
}
