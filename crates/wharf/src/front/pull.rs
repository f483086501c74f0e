//! Out of a registry into a store, and from place to place.

use wharf_oci::Reference;

use super::{Copied, Wharf};
use crate::Result;
use crate::copy::Root;
use crate::place::{Access, OpenedStore, Place};
use crate::store::Store;

impl Wharf {
    /// Copies the image that `from` names out of its registry into `into`: a
    /// [`Layout`](crate::Layout), for example. It keeps the tag of `from`; where that has a digest
    /// alone, it gets none.
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
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where `from` names nothing, or nothing for
    /// the platform of the options; otherwise as [`crate::copy::copy`].
    pub async fn pull(&self, from: &Reference, into: &dyn Store) -> Result<Copied> {
        let from = self.open(&Place::Registry(from.clone())).await?;
        let root = Root {
            content: from.content,
            tags: from.tag.into_iter().collect(),
        };
        self.copy_root(from.source.as_ref(), into, root).await
    }

    /// Copies from place to place. The tag at `to` is, in this order, the one written there, the one
    /// at `from`, and in a registry `latest`.
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
    /// As [`Wharf::open`], [`Wharf::destination`] and [`Wharf::write`]; a place that is only read is
    /// refused first.
    pub async fn copy(&self, from: &Place, to: &Place) -> Result<Copied> {
        OpenedStore::check(to)?;
        let source = self.open(from).await?;
        let store = self.destination(to, &source, Access::Write).await?;
        self.write(&source, &store).await
    }
}
