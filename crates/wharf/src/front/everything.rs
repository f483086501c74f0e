//! Pushes all images of an archive or a layout, each under its own names.

use wharf_oci::Repository;

use super::{Copied, Receiver, Wharf};
use crate::copy::{Destination, Plan, Survey};
use crate::place::{Everything, LocalPlace, OpenedStore};
use crate::{Error, ErrorKind, Result};

impl Wharf {
    /// Opens all images of an archive, a layout or standard input, to push each under its own names.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the place names one image; [`ErrorKind::Ambiguous`] if two images
    /// have one name; otherwise as [`Wharf::open_local`].
    pub async fn open_everything(&self, place: &LocalPlace) -> Result<Everything> {
        let options = self.options();
        Everything::open(place, &options.copy.retry, &options.places).await
    }

    /// Pushes all images of `from`: those of each of its repositories to the one that `to` makes of
    /// its name. What several of them need is read once.
    ///
    /// ```no_run
    /// use wharf::oci::{Registry, Repository};
    /// use wharf::place::LocalPlace;
    /// use wharf::{Client, Wharf};
    ///
    /// # async fn example() -> wharf::Result<()> {
    /// let wharf = Wharf::new(Client::builder().build()?);
    /// let saved = wharf.open_everything(&LocalPlace::parse("saved.tar".as_ref())?).await?;
    /// let registry: Registry = "registry.example".parse()?;
    /// let to = |name: &_| Ok(Repository::new(registry.clone(), Clone::clone(name))?);
    /// for (repository, pushed) in wharf.push_everything(&saved, to).await? {
    ///     println!("{repository}: {:?}", pushed?.descriptor);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The error of `to`: nothing is sent then. Each repository fails or succeeds on its own, as
    /// with [`Wharf::push`].
    pub async fn push_everything(
        &self,
        from: &Everything,
        to: impl Fn(&wharf_oci::RepositoryName) -> Result<Repository>,
    ) -> Result<Vec<(Repository, Result<Copied>)>> {
        let repositories = from.repositories.iter().map(|(name, _)| to(name));
        let repositories: Vec<Repository> = repositories.collect::<Result<_>>()?;
        let stores: Vec<OpenedStore> = repositories
            .iter()
            .map(|repository| OpenedStore::in_registry(repository, self.client()))
            .collect();
        let receivers = stores.iter().map(|store| Receiver {
            store,
            observer: std::sync::Arc::new(crate::copy::NoObserver),
        });
        let receivers: Vec<_> = receivers.collect();
        let outcomes = self.write_everything(from, &receivers).await;
        Ok(repositories.into_iter().zip(outcomes).collect())
    }

    /// Copies the images of each repository of `from` to the store at its place in `to`. The tags
    /// are those of `from`.
    ///
    /// # Errors
    /// As [`Wharf::push_everything`]; the results are in the order of `to`.
    pub async fn write_everything(
        &self,
        from: &Everything,
        to: &[Receiver<'_>],
    ) -> Vec<Result<Copied>> {
        let places = from.repositories.iter().zip(to);
        let destinations = places.map(|((_, roots), to)| Destination {
            store: to.store.store.as_ref(),
            roots,
            observer: std::sync::Arc::clone(&to.observer),
        });
        let destinations: Vec<Destination<'_>> = destinations.collect();
        self.copy_roots(from.source.as_ref(), &destinations).await
    }

    /// Finds out what [`Wharf::write_everything`] would do with the repository at `place` of `from`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is no such place; otherwise as [`Wharf::plan_write`].
    pub async fn plan_everything(
        &self,
        from: &Everything,
        place: usize,
        to: &OpenedStore,
    ) -> Result<Survey> {
        let nowhere = || Error::new(ErrorKind::Invalid, "no such repository");
        let (_, roots) = from.repositories.get(place).ok_or_else(nowhere)?;
        let (source, store) = (from.source.as_ref(), to.store.as_ref());
        let options = &self.options().copy;
        let plan = Plan::build(source, store, roots, options).await?;
        plan.survey(source, store, options).await
    }
}
