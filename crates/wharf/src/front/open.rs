//! Opens places, and pairs sources with stores.

use wharf_oci::Reference;

use super::{Options, Wharf};
use crate::Result;
use crate::copy::RootContent;
use crate::place::{Access, LocalPlace, OpenedSource, OpenedStore, Part, Place};

impl Wharf {
    /// Opens the source at `place` and selects the platform of the options. Reads a repository from
    /// the mirrors of its registry, if the client has some.
    ///
    /// ```no_run
    /// use wharf::place::Access;
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let image = wharf.open(&"docker-archive:app.tar".parse()?).await?;
    /// let to = "registry.example/app".parse()?;
    /// let store = wharf.destination(&to, &image, Access::Write).await?;
    /// wharf.write(&image, &store).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the place has nothing, or nothing for
    /// the platform; [`ErrorKind::Ambiguous`](crate::ErrorKind::Ambiguous) if it has several roots
    /// and its text selects none.
    pub async fn open(&self, place: &Place) -> Result<OpenedSource> {
        let options = self.options();
        let opened =
            OpenedSource::open(place, self.client(), &options.copy.retry, &options.places).await?;
        log(&opened);
        Ok(opened)
    }

    /// Opens the source at `place` as [`Wharf::open`] does, for reading: the manifest of an image in
    /// a registry is read at once, so that opening and [`Wharf::manifest_in`] are one request. A
    /// registry may count that as a pull.
    ///
    /// ```no_run
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let image = wharf.read(&"registry.example/app:1".parse()?).await?;
    /// println!("{}", wharf.manifest_in(&image).await?.media_type());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Wharf::open`].
    pub async fn read(&self, place: &Place) -> Result<OpenedSource> {
        let Place::Registry(reference) = place else {
            return self.open(place).await;
        };
        let Options { copy, places } = self.options();
        let client = self.client();
        let opened = OpenedSource::manifest_at(reference, client, &copy.retry, places).await?;
        log(&opened);
        Ok(opened)
    }

    /// Opens a file, a directory or standard input and selects the platform of the options; `part`
    /// says whether to use a whole layout.
    ///
    /// # Errors
    /// As [`Wharf::open`]; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if a whole layout is
    /// wanted and there is none, or the place names one image in it.
    pub async fn open_local(&self, place: &LocalPlace, part: Part) -> Result<OpenedSource> {
        let options = self.options();
        let opened = OpenedSource::local(place, part, &options.copy.retry, &options.places).await?;
        log(&opened);
        Ok(opened)
    }

    /// Opens the store at `place` for the root of `source`, with its tags there: the tag of the
    /// place, else in a registry `latest`, in a layout the tag that the root has at its source.
    /// Beside a digest it gets only a tag that is written there.
    ///
    /// A docker archive gets one image of an index, as [`Wharf::export`] chooses it, under the names
    /// that it has at its source unless the place states one; layers with zstd become gzip. A file is
    /// there once [`Wharf::write`] is done; `-` is standard output.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a path without a form;
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the digest of the place is not that of
    /// the root; the errors of opening a layout.
    pub async fn destination(
        &self,
        place: &Place,
        source: &OpenedSource,
        access: Access,
    ) -> Result<OpenedStore> {
        let content = match OpenedStore::is_for_docker(place) {
            true => Some(self.loadable(source).await?),
            false => None,
        };
        let places = &self.options().places;
        let mut opened = OpenedStore::open(place, source, self.client(), places, access).await?;
        opened.content = content;
        Ok(opened)
    }

    /// The repositories in `to`, each once, in order of their first occurrence, with all tags of
    /// the root of `source` there, as in [`Wharf::destination`]. Sends no request.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for the first reference with a digest
    /// other than the root's.
    pub fn destinations(
        &self,
        to: &[Reference],
        source: &OpenedSource,
    ) -> Result<Vec<OpenedStore>> {
        OpenedStore::registries(to, source, self.client())
    }
}

fn log(opened: &OpenedSource) {
    let place = opened.source.place().unwrap_or_default();
    match &opened.content {
        RootContent::Manifest(root) => {
            tracing::info!(place, digest = %root.digest, kind = %root.media_type, "opened");
        }
        RootContent::Draft(_) | RootContent::Index(_) => {
            tracing::info!(place, "opened; its manifest will be made")
        }
    }
}
