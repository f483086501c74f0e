//! Copies all tags of a repository.

use futures::StreamExt;
use futures::stream::BoxStream;
use wharf_oci::{Repository, Selector, Tag};

use super::{Copied, Wharf};
use crate::copy::Root;
use crate::place::OpenedStore;
use crate::store::Source;
use crate::{Result, Side};

/// The most tags at once.
const MOST_AT_ONCE: usize = 256;

/// A tag, and what became of its copy.
pub type CopiedTag = (Tag, Result<Copied>);

impl Wharf {
    /// Copies everything that has a tag in `from` to `to`, under the same tags, `large` tags at once
    /// (see [`CopyOptions`](crate::CopyOptions)). Together they move no more blobs at once than a
    /// single copy. Each tag fails or succeeds on its own, one that is there and must not move with
    /// [`ErrorKind::Exists`](crate::ErrorKind::Exists); the results are in the order in which they
    /// end. A page of tags is asked for when those before it are under way. The observer of the
    /// options gets no event.
    ///
    /// ```no_run
    /// use futures::TryStreamExt;
    /// use wharf::place::OpenedStore;
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let from = "registry.example/app".parse()?;
    /// let to = OpenedStore::in_registry(&"other.example/app".parse()?, wharf.client());
    /// let mut copied = wharf.copy_tags(&from, &to).await?;
    /// while let Some((tag, outcome)) = copied.try_next().await? {
    ///     println!("{tag} {}", outcome.is_ok());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the repository has no mirror that could be used. In the stream, as [`Wharf::tags`]: tags
    /// that were listed before are copied all the same.
    pub async fn copy_tags<'a>(
        &self,
        from: &Repository,
        to: &'a OpenedStore,
    ) -> Result<BoxStream<'a, Result<CopiedTag>>> {
        let wharf = self.beside();
        let source = wharf.source(from).await?;
        let copy = &wharf.options().copy;
        let at_once = copy.large.min(copy.jobs).clamp(1, MOST_AT_ONCE);
        let tags = wharf.tags(from).map(move |tag| {
            let (wharf, source) = (wharf.clone(), source.clone());
            async move {
                let tag = tag?;
                let copied = wharf.copy_tag(&source, to, &tag).await;
                Ok((tag, copied))
            }
        });
        // Boxed: the compiler cannot see yet that it is `Send` (rust-lang/rust#110338).
        Ok(tags.buffer_unordered(at_once).boxed())
    }

    async fn copy_tag(&self, source: &dyn Source, to: &OpenedStore, tag: &Tag) -> Result<Copied> {
        let at = Selector::Tag(tag.clone());
        let descriptor = self.retry(|| source.resolve(&at)).await;
        let content = descriptor.map_err(|error| error.side(Side::Source))?.into();
        let tags = vec![tag.clone()];
        self.copy_root(source, to.store.as_ref(), Root { content, tags })
            .await
    }
}
