//! Places are opened, and paired: what is read, and where it is written to.

use wharf_oci::Reference;

use super::Wharf;
use crate::Result;
use crate::place::{Access, LocalPlace, OpenedSource, OpenedStore, Part, Place};

impl Wharf {
    /// Opens the source at `place` and picks the platform of the options. A repository is read from
    /// the mirrors of its registry, where the client knows some.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where the place has nothing, or nothing
    /// for the platform; [`ErrorKind::Ambiguous`](crate::ErrorKind::Ambiguous) where it has several
    /// roots and its text chooses none.
    pub async fn open(&self, place: &Place) -> Result<OpenedSource> {
        let options = self.options();
        OpenedSource::open(place, self.client(), &options.copy.retry, &options.places).await
    }

    /// Opens a file, a directory or standard input and picks the platform of the options; `part`
    /// says whether a whole layout is meant.
    ///
    /// # Errors
    /// As [`Wharf::open`]; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where a whole layout is
    /// meant and there is none, or the place names one image in it.
    pub async fn open_local(&self, place: &LocalPlace, part: Part) -> Result<OpenedSource> {
        let options = self.options();
        OpenedSource::local(place, part, &options.copy.retry, &options.places).await
    }

    /// Opens the store at `place` for the root of `source`, with the tags that the root gets there:
    /// the tag of the place, else that of the root. In a registry a root without any tag is
    /// `latest`; beside a digest it gets no tag that is not written.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a place that is only read;
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where the digest of the place is not that of
    /// the root; what opening a layout says.
    pub async fn destination(
        &self,
        place: &Place,
        source: &OpenedSource,
        access: Access,
    ) -> Result<OpenedStore> {
        OpenedStore::open(place, source, self.client(), access).await
    }

    /// The repositories that `to` names, each once, in the order in which they are first named and
    /// with all tags that the root of `source` gets there, as [`Wharf::destination`] chooses them.
    /// Makes no request.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for the first reference whose digest is not
    /// that of the root.
    pub fn destinations(
        &self,
        to: &[Reference],
        source: &OpenedSource,
    ) -> Result<Vec<OpenedStore>> {
        OpenedStore::registries(to, source, self.client())
    }
}
