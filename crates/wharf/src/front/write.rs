//! Copies an opened source to one opened store, or to several at once.

use std::sync::Arc;

use wharf_oci::Descriptor;

use super::Wharf;
use crate::copy::{self, Destination, Observer, Plan, Root, RootContent, Summary, Survey};
use crate::place::{OpenedSource, OpenedStore};
use crate::store::{Source, Store};
use crate::{Error, ErrorKind, Result};

/// The result of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The manifest that was copied, as the store has it.
    pub descriptor: Descriptor,
    /// The summary of its work.
    pub summary: Summary,
}

/// One of several stores that a copy goes to.
#[derive(Clone, Debug)]
pub struct Receiver<'a> {
    /// The store to write to.
    pub store: &'a OpenedStore,
    /// Gets the progress of the copy to this store.
    pub observer: Arc<dyn Observer>,
}

impl Wharf {
    /// Copies an opened source to a store that was opened for it.
    ///
    /// # Errors
    /// As [`copy::copy`]: no tag has moved then, and a second copy does only what is missing.
    pub async fn write(&self, from: &OpenedSource, to: &OpenedStore) -> Result<Copied> {
        let store = to.store.as_ref();
        let root = root(&from.content, to);
        let copied = self.copy_root(from.source.as_ref(), store, root).await;
        finished(copied, to).await
    }

    /// Copies an opened source to several stores at once: content that several of them lack is
    /// read, and made, once. The observer of the options gets no events: each receiver has its own.
    ///
    /// # Errors
    /// Each store fails or succeeds on its own, as with [`Wharf::write`]; the results are in the
    /// order of `to`.
    pub async fn write_to_all(
        &self,
        from: &OpenedSource,
        to: &[Receiver<'_>],
    ) -> Vec<Result<Copied>> {
        let roots = to.iter().map(|to| [root(&from.content, to.store)]);
        let roots: Vec<[Root; 1]> = roots.collect();
        let destinations = to.iter().zip(&roots).map(|(to, roots)| Destination {
            store: to.store.store.as_ref(),
            roots,
            observer: Arc::clone(&to.observer),
        });
        let destinations: Vec<_> = destinations.collect();
        let copied = self.copy_roots(from.source.as_ref(), &destinations).await;
        let ending = copied.into_iter().zip(to);
        let ending = ending.map(|(copied, to)| finished(copied, to.store));
        futures::future::join_all(ending).await
    }

    /// Finds out what [`Wharf::write`] would do with the same arguments, and changes nothing.
    ///
    /// # Errors
    /// As [`Wharf::write`], if content is missing at the source or the store cannot be asked.
    pub async fn plan_write(&self, from: &OpenedSource, to: &OpenedStore) -> Result<Survey> {
        let (source, store) = (from.source.as_ref(), to.store.as_ref());
        self.survey(source, store, root(&from.content, to)).await
    }

    pub(super) async fn copy_root(
        &self,
        source: &dyn Source,
        store: &dyn Store,
        root: Root,
    ) -> Result<Copied> {
        let options = &self.options().copy;
        Copied::of(copy::copy(source, store, &[root], options).await?)
    }

    pub(super) async fn copy_roots(
        &self,
        source: &dyn Source,
        to: &[Destination<'_>],
    ) -> Vec<Result<Copied>> {
        let outcomes = copy::copy_to_all(source, to, &self.options().copy).await;
        let outcomes = outcomes.into_iter();
        outcomes.map(|outcome| Copied::of(outcome?)).collect()
    }

    pub(super) async fn survey(
        &self,
        source: &dyn Source,
        store: &dyn Store,
        root: Root,
    ) -> Result<Survey> {
        let options = &self.options().copy;
        let plan = Plan::build(source, store, &[root], options).await?;
        plan.survey(source, store, options).await
    }
}

impl Copied {
    fn of(summary: Summary) -> Result<Self> {
        let unnamed = || Error::new(ErrorKind::Invalid, "the copy named no root");
        let descriptor = summary.roots.last().cloned().ok_or_else(unnamed)?;
        Ok(Copied {
            descriptor,
            summary,
        })
    }
}

/// The outcome of a copy after what it began is ended.
async fn finished(copied: Result<Copied>, to: &OpenedStore) -> Result<Copied> {
    let copied = copied.map_err(|error| match to.is_archive() {
        true => error.in_vain(),
        false => error,
    })?;
    to.finish().await?;
    Ok(copied)
}

fn root(content: &RootContent, to: &OpenedStore) -> Root {
    Root {
        content: to.content.as_ref().unwrap_or(content).clone(),
        tags: to.tags.clone(),
    }
}
