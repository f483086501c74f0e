//! Pushing: copies whose destination is a reference.

use std::fmt;
use std::slice;
use std::sync::Arc;

use wharf_oci::{Descriptor, Reference, Repository};

use super::address;
use crate::blob::Blob;
use crate::copy::{
    self, CopyOptions, Destination, NoObserver, Observer, Plan, Root, RootContent, Summary, Survey,
};
use crate::layer::{MadeLayer, PendingLayer};
use crate::remote::{Client, RemoteRepository};
use crate::store::{Outcome, Source};
use crate::{Error, ErrorKind, Result};

/// A client, and how it is to copy. Cheap to clone, and safe to share between tasks.
///
/// ```no_run
/// use wharf::{Client, Layout, Pusher, Reference};
///
/// # async fn example() -> wharf::Result<()> {
/// let pusher = Pusher::new(Client::builder().build()?);
/// let layout = Layout::open("image")?;
/// let image = layout.select(None)?;
/// let to: Reference = "registry.example/team/app:1".parse()?;
/// println!("{}", pusher.push(&layout, image.descriptor, &to).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Pusher {
    client: Client,
    options: CopyOptions,
}

/// What a push came to. `Display` gives the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Where it is: the repository, and the digest of what was pushed.
    pub reference: Reference,
    /// The manifest that was pushed.
    pub descriptor: Descriptor,
    /// What was done for that.
    pub summary: Summary,
}

impl Pusher {
    /// A pusher with default options.
    pub fn new(client: Client) -> Self {
        Pusher::with_options(client, CopyOptions::default())
    }

    /// A pusher that works as `options` say. Their retry policy is for single requests too.
    pub fn with_options(client: Client, options: CopyOptions) -> Self {
        Pusher { client, options }
    }

    /// The same pusher, whose pushes tell `observer` of their progress: made anew for each push
    /// whose progress is to be told apart.
    #[must_use]
    pub fn observed_by(&self, observer: Arc<dyn Observer>) -> Self {
        let options = CopyOptions {
            observer,
            ..self.options.clone()
        };
        Pusher::with_options(self.client.clone(), options)
    }

    /// The client that it works with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How it copies, and how often single requests are tried.
    pub fn options(&self) -> &CopyOptions {
        &self.options
    }

    /// Pushes `content` of `source`, a manifest with everything below it or an image that is made
    /// on the way, to `to`: under the tag there, by digest where `to` has a digest alone, else as
    /// `latest`. An image whose layers are all made on the way needs nothing of its
    /// source, an empty [`Memory`](crate::store::Memory) for example.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where `to` has a digest that is not that of `content`; otherwise as
    /// [`copy::copy`]: no tag has moved then, and a second push does only what is missing.
    pub async fn push(
        &self,
        source: &dyn Source,
        content: impl Into<RootContent>,
        to: &Reference,
    ) -> Result<Pushed> {
        let root = root(content.into(), to)?;
        let store = self.repository(to.repository());
        let summary = copy::copy(source, &store, slice::from_ref(&root), &self.options).await?;
        Pushed::new(to.repository(), summary)
    }

    /// Pushes an index: everything below it first, depth first, then the index. Like
    /// [`Pusher::push`], but fails if `index` is not an index.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where `index` is none; otherwise as [`Pusher::push`].
    pub async fn push_index(
        &self,
        source: &dyn Source,
        index: &Descriptor,
        to: &Reference,
    ) -> Result<Pushed> {
        if !index.media_type.is_index() {
            let message = format!("is no index but {}", index.media_type);
            return Err(Error::new(ErrorKind::Invalid, message).target(&index.digest));
        }
        self.push(source, index.clone(), to).await
    }

    /// Pushes `content` to several references at once: what several registries lack is read, and
    /// made, once. References in one repository are one destination with
    /// several tags.
    ///
    /// The observer of the options is told nothing, as it could not tell the destinations apart;
    /// with [`copy::copy_to_all`] each has its own.
    ///
    /// # Errors
    /// Each repository fails or succeeds on its own, as with [`Pusher::push`]; the results are in
    /// the order in which the repositories are named first.
    pub async fn push_to_all(
        &self,
        source: &dyn Source,
        content: impl Into<RootContent>,
        to: &[Reference],
    ) -> Vec<(Repository, Result<Pushed>)> {
        let content = content.into();
        let places = address::by_repository(to, &content);
        let places = places.into_iter().map(|(repository, tags)| {
            let store = self.repository(&repository);
            let content = content.clone();
            let root = tags.map(|tags| [Root { content, tags }]);
            (repository, store, root)
        });
        let places: Vec<(Repository, RemoteRepository, Result<[Root; 1]>)> = places.collect();
        let destinations: Vec<Destination<'_>> = places
            .iter()
            .filter_map(|(_, store, root)| {
                Some(Destination {
                    store,
                    roots: root.as_ref().ok()?,
                    observer: Arc::new(NoObserver),
                })
            })
            .collect();
        let outcomes = copy::copy_to_all(source, &destinations, &self.options).await;
        drop(destinations);
        let mut outcomes = outcomes.into_iter();
        let told = places.into_iter().map(|(repository, _, root)| {
            let unsaid = || Error::new(ErrorKind::Invalid, "the copy did not say what it did");
            let outcome = root.and_then(|_| outcomes.next().ok_or_else(unsaid)?);
            let pushed = outcome.and_then(|summary| Pushed::new(&repository, summary));
            (repository, pushed)
        });
        told.collect()
    }

    /// Pushes a layer, or another blob, that is made while it is sent, and says what it became.
    /// No manifest names it yet: a registry may sweep it away after a while.
    ///
    /// # Errors
    /// As [`copy::push_layer`].
    pub async fn push_layer(&self, layer: &PendingLayer, to: &Repository) -> Result<MadeLayer> {
        copy::push_layer(&self.repository(to), layer, &self.options).await
    }

    /// Pushes a blob of known digest unless it is there. No manifest names it yet: a registry may
    /// sweep it away after a while.
    ///
    /// # Errors
    /// As [`copy::push_blob`].
    pub async fn push_blob(&self, blob: &Blob, to: &Repository) -> Result<Outcome> {
        copy::push_blob(&self.repository(to), blob, &self.options).await
    }

    /// Says what [`Pusher::push`] would do with the same arguments, and changes nothing. Where the plan itself is wanted, [`Plan::build`] makes it.
    ///
    /// # Errors
    /// As [`Pusher::push`], where content is missing at the source or the registry cannot be asked.
    pub async fn plan(
        &self,
        source: &dyn Source,
        content: impl Into<RootContent>,
        to: &Reference,
    ) -> Result<Survey> {
        let root = root(content.into(), to)?;
        let store = self.repository(to.repository());
        let plan = Plan::build(source, &store, slice::from_ref(&root), &self.options).await?;
        plan.survey(source, &store, &self.options).await
    }

    pub(super) fn repository(&self, repository: &Repository) -> RemoteRepository {
        self.client.repository(repository)
    }
}

fn root(content: RootContent, to: &Reference) -> Result<Root> {
    let tags = address::tags(to, &content)?;
    Ok(Root { content, tags })
}

impl Pushed {
    fn new(repository: &Repository, mut summary: Summary) -> Result<Self> {
        let unnamed = || Error::new(ErrorKind::Invalid, "the copy named no root");
        let descriptor = summary.roots.pop().ok_or_else(unnamed)?;
        summary.roots.push(descriptor.clone());
        let digest = Some(descriptor.digest.clone());
        Ok(Pushed {
            reference: Reference::new(repository.clone(), None, digest),
            descriptor,
            summary,
        })
    }
}

impl fmt::Display for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reference.fmt(f)
    }
}
