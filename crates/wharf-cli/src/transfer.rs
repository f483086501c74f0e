//! One copy as the user sees it: with progress while it works and a summary at its end.

use wharf::copy::{NoObserver, Plan, Root, copy};
use wharf::{Error, ErrorKind, Result};
use wharf_oci::Descriptor;

use crate::args::Moving;
use crate::context::Context;
use crate::destination::Destination;
use crate::dry_run;
use crate::progress::Progress;
use crate::source::Chosen;

/// What is copied where, and what that is called.
#[derive(Debug)]
pub(crate) struct Transfer<'a> {
    /// What is copied.
    pub(crate) chosen: &'a Chosen,
    /// Where to.
    pub(crate) destination: &'a Destination,
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
    pub(crate) async fn run(&self, context: &Context) -> Result<Option<Descriptor>> {
        let root = Root {
            content: self.chosen.content.clone(),
            tags: self.destination.tags.clone(),
        };
        match self.moving.dry_run {
            true => self.survey(root, context).await.map(|()| None),
            false => self.copy(root, context).await.map(Some),
        }
    }

    async fn copy(&self, root: Root, context: &Context) -> Result<Descriptor> {
        let progress = Progress::new(context.printer, &context.bars, &self.destination.name);
        let options = context.copy_options(self.moving, progress.observer());
        let (source, store) = (self.chosen.source.as_ref(), self.destination.store.as_ref());
        let mut summary = copy(source, store, &[root], &options).await?;
        progress.finish(self.verb, &summary);
        let root = summary.roots.pop();
        root.ok_or_else(|| Error::new(ErrorKind::Invalid, "the copy named no root"))
    }

    async fn survey(&self, root: Root, context: &Context) -> Result<()> {
        let options = context.copy_options(self.moving, std::sync::Arc::new(NoObserver));
        let (source, store) = (self.chosen.source.as_ref(), self.destination.store.as_ref());
        let plan = Plan::build(source, store, &[root], &options).await?;
        let survey = plan.survey(source, store, &options).await?;
        dry_run::print(context.printer, &self.destination.name, &survey)
    }
}
