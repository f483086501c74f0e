//! Lists of a registry, page by page: the tags of a repository, and the repositories.

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use wharf_oci::{Registry, Repository, RepositoryName, Tag};

use super::Wharf;
use crate::remote::{NextPage, Page};
use crate::{Error, Result, Side};

impl Wharf {
    /// The tags of a repository, in the order of its registry. A page is requested when the tags
    /// before it are consumed; dropping the stream requests no more.
    ///
    /// ```no_run
    /// use futures::TryStreamExt;
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let mut tags = wharf.tags(&"registry.example/app".parse()?);
    /// while let Some(tag) = tags.try_next().await? {
    ///     println!("{tag}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Entries that are no tags are left out; [`Wharf::tag_pages`] has them.
    ///
    /// # Errors
    /// In the stream, which ends with it: [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if
    /// the repository does not exist; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if a page
    /// is not a list of tags, or the list has no end; the registry's other errors.
    pub fn tags(&self, repository: &Repository) -> BoxStream<'static, Result<Tag>> {
        entries(self.tag_pages(repository))
    }

    /// The tags of a repository as [`Wharf::tags`] gives them, page by page, with the entries that
    /// are no tags.
    ///
    /// # Errors
    /// As [`Wharf::tags`].
    pub fn tag_pages(&self, repository: &Repository) -> BoxStream<'static, Result<Page<Tag>>> {
        let (wharf, repository) = (self.clone(), repository.clone());
        pages(move |at| {
            let (wharf, repository) = (wharf.clone(), repository.clone());
            async move {
                let source = wharf.source(&repository).await?;
                wharf.retry(|| source.tag_page(at.as_ref())).await
            }
        })
    }

    /// The repositories of a registry, in its order. Pages are requested as with [`Wharf::tags`].
    ///
    /// ```no_run
    /// use futures::TryStreamExt;
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let registry = "registry.example".parse()?;
    /// let names: Vec<_> = wharf.catalog(&registry).try_collect().await?;
    /// println!("{} repositories", names.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// In the stream, which ends with it: [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported)
    /// if the registry does not list its repositories; otherwise as with [`Wharf::tags`].
    pub fn catalog(&self, registry: &Registry) -> BoxStream<'static, Result<RepositoryName>> {
        entries(self.catalog_pages(registry))
    }

    /// The repositories of a registry as [`Wharf::catalog`] gives them, page by page, with the
    /// entries that are no names of repositories.
    ///
    /// # Errors
    /// As [`Wharf::catalog`].
    pub fn catalog_pages(
        &self,
        registry: &Registry,
    ) -> BoxStream<'static, Result<Page<RepositoryName>>> {
        let (wharf, registry) = (self.clone(), registry.clone());
        pages(move |at| {
            let (wharf, registry) = (wharf.clone(), registry.clone());
            async move {
                let client = wharf.client().single_tries();
                wharf
                    .retry(|| client.catalog_page(&registry, at.as_ref()))
                    .await
            }
        })
    }
}

/// The position in a list.
enum Position {
    Start,
    At(NextPage),
    End,
}

/// All pages that `ask` returns.
fn pages<T, F>(
    ask: impl Fn(Option<NextPage>) -> F + Send + 'static,
) -> BoxStream<'static, Result<Page<T>>>
where
    T: Send + 'static,
    F: Future<Output = Result<Page<T>>> + Send + 'static,
{
    let pages = stream::try_unfold(Position::Start, move |position| {
        let page = match position {
            Position::Start => Some(ask(None)),
            Position::At(next) => Some(ask(Some(next))),
            Position::End => None,
        };
        async move {
            let Some(page) = page else {
                return Ok::<_, Error>(None);
            };
            let mut page = page.await.map_err(|error| error.side(Side::Source))?;
            let next = page.next.take().map_or(Position::End, Position::At);
            Ok(Some((page, next)))
        }
    });
    pages.boxed()
}

/// The entries of these pages.
fn entries<T: Send + 'static>(
    pages: BoxStream<'static, Result<Page<T>>>,
) -> BoxStream<'static, Result<T>> {
    let entries = pages.map_ok(|page| stream::iter(page.items.into_iter().map(Ok)));
    entries.try_flatten().boxed()
}
