//! Copies from a registry into a store, and from place to place.

use std::path::Path;
use std::sync::Arc;

use wharf_oci::Reference;

use super::{Copied, Wharf};
use crate::Result;
use crate::copy::Root;
use crate::place::{Access, OpenedSource, OpenedStore, Place, PullFile, PullForm, Wanted};
use crate::store::{Cached, Store};

impl Wharf {
    /// Copies the image that `from` names from its registry into `into`, for example a
    /// [`Layout`](crate::Layout). It keeps the tag of `from`, and gets none if `from` has only a
    /// digest.
    ///
    /// ```no_run
    /// use wharf::{Client, Layout, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let layout = Layout::create("app")?;
    /// let pulled = wharf.pull(&"registry.example/app:1".parse()?, &layout).await?;
    /// println!("{}", pulled.descriptor.digest);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if `from` names nothing, or nothing for
    /// the platform of the options; otherwise as [`crate::copy::copy`].
    pub async fn pull(&self, from: &Reference, into: &dyn Store) -> Result<Copied> {
        let from = self.open(&Place::Registry(from.clone())).await?;
        let root = Root {
            content: from.content,
            tags: from.tag.into_iter().collect(),
        };
        self.copy_root(from.source.as_ref(), into, root).await
    }

    /// Pulls images into one file or directory, under the names that they were asked by. An archive
    /// gets one image of an index, as [`Wharf::export`] chooses it; a layout gets all of it, unless the
    /// options name a platform.
    ///
    /// ```no_run
    /// use wharf::place::{Access, PathOrStdin, PullFile, PullForm, Wanted};
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let at = PathOrStdin::Path("images.tar".into());
    /// let options = &wharf.options().places;
    /// let file = PullFile::create(&at, PullForm::Docker, options, Access::Write).await?;
    /// let image = Wanted {
    ///     place: "registry.example/app:1".parse()?,
    ///     typed: "registry.example/app:1".to_owned(),
    /// };
    /// wharf.pull_all(&[image], &file, None).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// With `cache`, layers are kept in files of that directory, and taken from there.
    ///
    /// # Errors
    /// As [`Wharf::read`] and [`Wharf::write`], for the first image that fails: an archive is not there
    /// then, and the one before it is whole.
    pub async fn pull_all(
        &self,
        images: &[Wanted],
        file: &PullFile,
        cache: Option<&Path>,
    ) -> Result<Vec<Copied>> {
        let mut all = Vec::new();
        for image in images {
            let (source, store) = self.open_pull(image, file, cache).await?;
            let copied = self.write(&source, &store).await?;
            file.received(image, &copied.descriptor).await?;
            all.push(copied);
        }
        file.finish().await?;
        Ok(all)
    }

    /// Opens one image for [`Wharf::pull_all`], and the store that it is written to.
    ///
    /// # Errors
    /// As [`Wharf::pull_all`].
    pub async fn open_pull(
        &self,
        image: &Wanted,
        file: &PullFile,
        cache: Option<&Path>,
    ) -> Result<(OpenedSource, OpenedStore)> {
        let mut source = self.read(&image.place).await?;
        if let Some(cache) = cache {
            let (inner, cache) = (Arc::clone(&source.source), cache.to_owned());
            let cached = crate::verify::blocking(move || Cached::new(inner, cache)).await??;
            source.source = Arc::new(cached);
        }
        let content = match file.form() {
            PullForm::Docker => Some(self.loadable(&source).await?),
            PullForm::Legacy => Some(self.one_image(&source).await?),
            PullForm::Layout(_) => None,
        };
        let store = file.store(image, &source, content)?;
        Ok((source, store))
    }

    /// Copies from place to place. The tag at `to` is the one written there, else in a registry
    /// `latest`, in a layout the one at `from`; [`Wharf::destination`] says more of archives.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let from = "oci-archive:app.tar:1.0".parse()?;
    /// wharf.copy(&from, &"registry.example/app".parse()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Wharf::open`], [`Wharf::destination`] and [`Wharf::write`]. A destination that cannot be
    /// written to is refused first.
    pub async fn copy(&self, from: &Place, to: &Place) -> Result<Copied> {
        OpenedStore::check(to)?;
        let source = self.open(from).await?;
        let store = self.destination(to, &source, Access::Write).await?;
        self.write(&source, &store).await
    }
}
