//! Pushes: copies to references.

use std::fmt;
use std::sync::Arc;

use wharf_oci::{Descriptor, Reference, Repository};

use super::{Copied, Wharf};
use crate::blob::Blob;
use crate::copy::{self, Destination, NoObserver, Root, RootContent, Summary};
use crate::layer::{MadeLayer, PendingLayer};
use crate::place::pairing;
use crate::remote::RemoteRepository;
use crate::store::{Outcome, Source};
use crate::{Error, ErrorKind, Result};

/// What a push did. `Display` gives the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The repository, with the digest of the pushed content.
    pub reference: Reference,
    /// The manifest that was pushed.
    pub descriptor: Descriptor,
    /// What was done.
    pub summary: Summary,
}

impl Wharf {
    /// Pushes `content` of `source`, a manifest with everything below it or an image that is made
    /// on the way, to `to`: under its tag, by digest if it has only a digest, else as `latest`. If
    /// all layers of an image are made on the way, the source can be an empty
    /// [`Memory`](crate::store::Memory).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if `to` has a digest other than that of `content`; otherwise as
    /// [`copy::copy`]: no tag has moved then, and a second push does only what is missing.
    pub async fn push(
        &self,
        source: &dyn Source,
        content: impl Into<RootContent>,
        to: &Reference,
    ) -> Result<Pushed> {
        let root = pairing::root(content.into(), to)?;
        let store = self.repository(to.repository());
        let copied = self.copy_root(source, &store, root).await?;
        Ok(Pushed::new(to.repository(), copied))
    }

    /// Pushes an index: everything below it first, depth first, then the index. Like
    /// [`Wharf::push`], but fails if `index` is not an index.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if `index` is not an index; otherwise as [`Wharf::push`].
    pub async fn push_index(
        &self,
        source: &dyn Source,
        index: &Descriptor,
        to: &Reference,
    ) -> Result<Pushed> {
        if !index.media_type.is_index() {
            let message = format!("is not an index but {}", index.media_type);
            return Err(Error::new(ErrorKind::Invalid, message).target(&index.digest));
        }
        self.push(source, index.clone(), to).await
    }

    /// Pushes `content` to several references at once: content that several registries lack is
    /// read, and made, once. References in one repository are one destination with several tags.
    ///
    /// The observer of the options gets no events, as they would not tell the destinations apart;
    /// with [`Wharf::destinations`] and [`Wharf::write_to_all`] each destination has its own.
    ///
    /// ```no_run
    /// use wharf::{Client, Layout, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let layout = Layout::open("app")?;
    /// let to = ["registry.example/app:1".parse()?, "mirror.example/app:1".parse()?];
    /// for (repository, pushed) in wharf.push_to_all(&layout, layout.select(None)?, &to).await {
    ///     println!("{repository}: {pushed:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Each repository fails or succeeds on its own, as with [`Wharf::push`]; the results are in
    /// the order in which the repositories are named first.
    pub async fn push_to_all(
        &self,
        source: &dyn Source,
        content: impl Into<RootContent>,
        to: &[Reference],
    ) -> Vec<(Repository, Result<Pushed>)> {
        let content = content.into();
        let places = pairing::by_repository(to, &content);
        let places = places.into_iter().map(|(repository, tags)| {
            let store = self.repository(&repository);
            let content = content.clone();
            let root = tags.map(|tags| [Root { content, tags }]);
            (repository, store, root)
        });
        let places: Vec<(Repository, RemoteRepository, Result<[Root; 1]>)> = places.collect();
        let destinations = places.iter().filter_map(|(_, store, root)| {
            Some(Destination {
                store,
                roots: root.as_ref().ok()?,
                observer: Arc::new(NoObserver),
            })
        });
        let destinations: Vec<Destination<'_>> = destinations.collect();
        let outcomes = self.copy_roots(source, &destinations).await;
        drop(destinations);
        let mut outcomes = outcomes.into_iter();
        let told = places.into_iter().map(|(repository, _, root)| {
            let unsaid = || Error::new(ErrorKind::Invalid, "the copy did not say what it did");
            let outcome = root.and_then(|_| outcomes.next().ok_or_else(unsaid)?);
            let pushed = outcome.map(|copied| Pushed::new(&repository, copied));
            (repository, pushed)
        });
        told.collect()
    }

    /// Pushes a layer, or another blob, that is made while it is sent, and returns its descriptor
    /// and diff id. No manifest links to it yet, so a registry may delete it after a while.
    ///
    /// ```no_run
    /// use wharf::layer::{Family, LayerInput, Packing};
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let input = LayerInput::reader("standard input", std::io::stdin());
    /// let layer = input.tar(&Packing::default(), Family::Oci)?;
    /// let made = wharf.push_layer(&layer, &"registry.example/app".parse()?).await?;
    /// println!("{}", made.descriptor.digest);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`copy::push_layer`].
    pub async fn push_layer(&self, layer: &PendingLayer, to: &Repository) -> Result<MadeLayer> {
        copy::push_layer(&self.repository(to), layer, &self.options().copy).await
    }

    /// Pushes a blob of known digest unless it is there. No manifest links to it yet, so a registry
    /// may delete it after a while.
    ///
    /// ```no_run
    /// use wharf::{Client, MediaType, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let blob = wharf::file::blob("notes.txt".as_ref(), MediaType::OCTET_STREAM).await?;
    /// wharf.push_blob(&blob, &"registry.example/app".parse()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`copy::push_blob`].
    pub async fn push_blob(&self, blob: &Blob, to: &Repository) -> Result<Outcome> {
        copy::push_blob(&self.repository(to), blob, &self.options().copy).await
    }
}

impl Pushed {
    fn new(repository: &Repository, copied: Copied) -> Self {
        let Copied {
            descriptor,
            summary,
        } = copied;
        let digest = Some(descriptor.digest.clone());
        Pushed {
            reference: Reference::new(repository.clone(), None, digest),
            descriptor,
            summary,
        }
    }
}

impl fmt::Display for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reference.fmt(f)
    }
}
