//! Opens images and indexes to be changed.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use wharf_oci::{Descriptor, Index, Manifest, Payload, Platform};

use super::Wharf;
use crate::image::{Edited, EditedChild, EditedContent, EditedImage, EditedIndex, StoredImage};
use crate::place::{OpenedSource, platform};
use crate::store::Source;
use crate::{Error, ErrorKind, Result, RootContent, Side};

/// Indexes within indexes; real ones have two levels.
const DEPTH: usize = 8;

/// Configs to read at once.
const AT_ONCE: usize = 8;

impl Wharf {
    /// The image of an opened source to be changed, or all images of an index. Reads manifests and
    /// configs. What is made of it is written with [`Wharf::write`].
    ///
    /// ```no_run
    /// use wharf::place::Access;
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let at = "registry.example/app:1".parse()?;
    /// let opened = wharf.open(&at).await?;
    /// let edited = wharf.edit(&opened).await?;
    /// let edited = edited.map(&mut |mut image, _| {
    ///     image.config.author = Some("me".to_owned());
    ///     Ok(image)
    /// })?;
    /// let source = opened.changed_to(edited);
    /// let store = wharf.destination(&at, &source, Access::Write).await?;
    /// println!("{}", wharf.write(&source, &store).await?.descriptor.digest);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for other manifests; as [`EditedImage::open`].
    pub async fn edit(&self, opened: &OpenedSource) -> Result<Edited> {
        let source = Arc::clone(&opened.source);
        let edited = match &opened.content {
            RootContent::Manifest(_) => {
                let manifest = self.manifest_in(opened).await?;
                self.edited(source, manifest, DEPTH).await?
            }
            RootContent::Draft(draft) => {
                let retry = self.options().copy.retry;
                Edited::Image(EditedImage::of_draft(source, draft, retry).await?)
            }
            RootContent::Index(_) => {
                let message = "an index cannot be changed before it is made";
                return Err(Error::new(ErrorKind::Unsupported, message).side(Side::Source));
            }
        };
        Ok(edited)
    }

    /// The image of an opened source to be changed. Of an index it is the one for the platform of the
    /// options, or the only one there is, or that for linux/amd64.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if an index has no such image; as [`Wharf::edit`].
    pub async fn edit_one(&self, opened: &OpenedSource) -> Result<EditedImage> {
        if let RootContent::Draft(draft) = &opened.content {
            let source = Arc::clone(&opened.source);
            let retry = self.options().copy.retry;
            return EditedImage::of_draft(source, draft, retry).await;
        }
        let image = self.image_in_or(opened, Some(&platform::usual())).await?;
        EditedImage::open(&image).await
    }

    async fn manifest_below(
        &self,
        source: &Arc<dyn Source>,
        descriptor: &Descriptor,
    ) -> Result<Manifest> {
        let raw = source.raw_source().unwrap_or(source.as_ref());
        let manifest = self.retry(|| raw.manifest(descriptor)).await;
        manifest.map_err(|error| error.side(Side::Source))
    }

    /// Boxed, as it calls itself for indexes in indexes.
    fn edited(
        &self,
        source: Arc<dyn Source>,
        manifest: Manifest,
        depth: usize,
    ) -> BoxFuture<'_, Result<Edited>> {
        async move {
            if let Payload::Index(index) = manifest.payload() {
                let index = self.edited_index(source, &manifest, index, depth);
                return Ok(Edited::Index(index.await?));
            }
            let image = StoredImage::new(source, manifest);
            let image = image.map_err(|error| error.side(Side::Source))?;
            let image = image.retry(self.options().copy.retry);
            Ok(Edited::Image(EditedImage::open(&image).await?))
        }
        .boxed()
    }

    async fn edited_index(
        &self,
        source: Arc<dyn Source>,
        manifest: &Manifest,
        index: &Index,
        depth: usize,
    ) -> Result<EditedIndex> {
        let Some(depth) = depth.checked_sub(1) else {
            let message = format!("more than {DEPTH} levels of indexes");
            let error = Error::new(ErrorKind::Invalid, message);
            return Err(error.target(manifest.digest()).side(Side::Source));
        };
        let children = index.manifests.iter().map(|child| {
            let source = Arc::clone(&source);
            async move {
                let content = self.edited_child(source, child, depth).await?;
                Ok::<_, Error>(EditedChild {
                    descriptor: child.clone(),
                    content,
                })
            }
        });
        // Collected, because otherwise the compiler does not see that this is `Send`
        // (rust-lang/rust#102211).
        let children: Vec<_> = children.collect();
        let children = stream::iter(children).buffered(AT_ONCE).try_collect();
        Ok(EditedIndex {
            media_type: manifest.media_type().clone(),
            children: children.await?,
            fields: index.into(),
            before: manifest.descriptor().clone(),
            relisted: false,
            source: Arc::clone(&source),
        })
    }

    /// A child of an index. Artifacts, and what builders attest beside images, stay as they are.
    async fn edited_child(
        &self,
        source: Arc<dyn Source>,
        child: &Descriptor,
        depth: usize,
    ) -> Result<EditedContent> {
        let images = child.media_type.is_image_manifest() || child.media_type.is_index();
        if !images || is_attestation(child) {
            return Ok(EditedContent::Kept);
        }
        let manifest = self.manifest_below(&source, child).await?;
        Ok(match self.edited(source, manifest, depth).await? {
            Edited::Image(image) if image.is_runnable() => EditedContent::Image(Box::new(image)),
            Edited::Image(_) => EditedContent::Kept,
            Edited::Index(index) => EditedContent::Index(Box::new(index)),
        })
    }
}

/// Whether a child of an index is something that a builder attests about another child, and no
/// image.
pub fn is_attestation(child: &Descriptor) -> bool {
    let unknown = |on: &Platform| on.os == "unknown" && on.architecture == "unknown";
    child.platform.as_ref().is_some_and(unknown)
}

impl OpenedSource {
    /// What was made of this source, as the source of a copy. It keeps tag and names.
    #[must_use]
    pub fn changed_to(&self, edited: Edited) -> Self {
        let source = Arc::clone(edited.source());
        OpenedSource {
            tag: self.tag.clone(),
            name: self.name.clone(),
            names: self.names.clone(),
            ..OpenedSource::new(source, edited)
        }
    }
}
