//! Copies from a registry into a store, and from place to place.

use wharf_oci::Reference;

use super::{Copied, Wharf};
use crate::Result;
use crate::copy::Root;
use crate::place::{Access, OpenedStore, Place};
use crate::store::Store;

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
