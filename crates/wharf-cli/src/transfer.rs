//! One copy, to one destination or several, as the user sees it: with progress while it works and a summary at its end.

use std::sync::Arc;

use wharf::copy::{self, NoObserver, Plan, Root, copy_to_all};
use wharf::place::{OpenedSource, OpenedStore};
use wharf::{Error, ErrorKind, Result};
use wharf_oci::Descriptor;

use crate::context::Context;
use crate::dry_run;
use crate::flags::Moving;
use crate::progress::{Company, Progress};

/// What is copied, how, and what that is called.
#[derive(Debug)]
pub(crate) struct Transfer<'a> {
    /// What is copied.
    pub(crate) chosen: &'a OpenedSource,
    /// How.
    pub(crate) moving: &'a Moving,
    /// What was done, for the summary: `pushed`.
    pub(crate) verb: &'static str,
}

impl Transfer<'_> {
    /// Does it, and says what the root is in the store; in a dry run it prints what would be
    /// done, and there is no root.
    ///
    /// # Errors
    /// The first final one of the copy.
    pub(crate) async fn run(
        &self,
        to: &OpenedStore,
        context: &Context,
    ) -> Result<Option<Descriptor>> {
        let mut outcomes = self.run_all(&[to], context).await;
        let nowhere = || Error::new(ErrorKind::Invalid, "nowhere to copy to");
        outcomes.pop().ok_or_else(nowhere)?
    }

    /// Does it for several destinations at once: each fails or succeeds on its own, in the order
    /// given, as with [`Transfer::run`].
    pub(crate) async fn run_all(
        &self,
        to: &[&OpenedStore],
        context: &Context,
    ) -> Vec<Result<Option<Descriptor>>> {
        if !self.moving.dry_run {
            return self.copy(to, context).await;
        }
        let mut outcomes = Vec::new();
        for destination in to {
            let company = Company::of(to.len());
            let survey = self.survey(destination, company, context).await;
            outcomes.push(survey.map(|()| None));
        }
        outcomes
    }

    async fn copy(
        &self,
        to: &[&OpenedStore],
        context: &Context,
    ) -> Vec<Result<Option<Descriptor>>> {
        let company = Company::of(to.len());
        let shown = to.iter().map(|to| {
            let progress = Progress::new(&context.printer, &to.name, company);
            (progress, [self.root(to)])
        });
        let shown: Vec<(Progress, [Root; 1])> = shown.collect();
        let destinations = to
            .iter()
            .zip(&shown)
            .map(|(to, (progress, roots))| copy::Destination {
                store: to.store.as_ref(),
                roots,
                observer: progress.observer(),
            });
        let destinations: Vec<_> = destinations.collect();
        let options = self.moving.options(&context.flags, Arc::new(NoObserver));
        let source = self.chosen.source.as_ref();
        let outcomes = copy_to_all(source, &destinations, &options).await;
        let told = outcomes
            .into_iter()
            .zip(&shown)
            .map(|(outcome, (progress, _))| {
                let mut summary = outcome?;
                progress.finish(self.verb, &summary);
                let unnamed = || Error::new(ErrorKind::Invalid, "the copy named no root");
                summary.roots.pop().ok_or_else(unnamed).map(Some)
            });
        told.collect()
    }

    fn root(&self, to: &OpenedStore) -> Root {
        Root {
            content: self.chosen.content.clone(),
            tags: to.tags.clone(),
        }
    }

    /// What there would be to do: finds what is wrong with the source.
    ///
    /// # Errors
    /// Where content is missing.
    pub(crate) async fn plan(&self, to: &OpenedStore, context: &Context) -> Result<Plan> {
        let options = self.moving.options(&context.flags, Arc::new(NoObserver));
        let (source, store) = (self.chosen.source.as_ref(), to.store.as_ref());
        Plan::build(source, store, &[self.root(to)], &options).await
    }

    async fn survey(&self, to: &OpenedStore, company: Company, context: &Context) -> Result<()> {
        let options = self.moving.options(&context.flags, Arc::new(NoObserver));
        let (source, store) = (self.chosen.source.as_ref(), to.store.as_ref());
        let plan = self.plan(to, context).await?;
        let survey = plan.survey(source, store, &options).await?;
        dry_run::print(&context.printer, &to.name, company, &survey)
    }
}
