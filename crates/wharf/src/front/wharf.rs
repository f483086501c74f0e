//! The shared state of all verbs: a client and options.

use std::sync::Arc;

use wharf_oci::Repository;

use crate::Result;
use crate::copy::{CopyOptions, Observer};
use crate::place::PlaceOptions;
use crate::remote::{Client, RemoteRepository, RemoteSource};

/// A client and options, with a verb for each operation. Cheap to clone, and safe to share between
/// tasks.
///
/// ```no_run
/// use wharf::{Client, Layout, Reference, Wharf};
///
/// # async fn example() -> wharf::Result<()> {
/// let wharf = Wharf::new(Client::builder().build()?);
/// let layout = Layout::open("image")?;
/// let image = layout.select(None)?;
/// let to: Reference = "registry.example/team/app:1".parse()?;
/// println!("{}", wharf.push(&layout, image, &to).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Wharf {
    client: Client,
    options: Arc<Options>,
}

/// The options of the verbs of a [`Wharf`].
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The options of copies. Their retry policy applies to every verb.
    pub copy: CopyOptions,
    /// The options for opening places. Their platform also selects the image of an index in
    /// [`Wharf::manifest`], [`Wharf::config`] and [`Wharf::tag`].
    pub places: PlaceOptions,
}

impl From<CopyOptions> for Options {
    fn from(copy: CopyOptions) -> Self {
        Options {
            copy,
            ..Options::default()
        }
    }
}

impl Wharf {
    /// A front door with default options.
    pub fn new(client: Client) -> Self {
        Wharf::with_options(client, Options::default())
    }

    /// A front door with these options.
    pub fn with_options(client: Client, options: impl Into<Options>) -> Self {
        Wharf {
            client,
            options: Arc::new(options.into()),
        }
    }

    /// The same front door with copies that report to `observer`. Make one for each copy that is
    /// reported separately.
    #[must_use]
    pub fn observed_by(&self, observer: Arc<dyn Observer>) -> Self {
        let mut options = Options::clone(&self.options);
        options.copy.observer = observer;
        Wharf::with_options(self.client.clone(), options)
    }

    /// The client that it works with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The options of its verbs.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// A repository that tries once: the verbs retry.
    pub(super) fn repository(&self, repository: &Repository) -> RemoteRepository {
        self.client.repository(repository).single_tries()
    }

    /// A repository to read from that tries once.
    ///
    /// # Errors
    /// As [`Client::source`].
    pub(super) async fn source(&self, repository: &Repository) -> Result<RemoteSource> {
        Ok(self.client.source(repository).await?.single_tries())
    }

    /// Tries a request as often as the options allow.
    pub(super) async fn retry<T, F>(&self, request: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        self.options.copy.retry.run(request).await
    }
}
