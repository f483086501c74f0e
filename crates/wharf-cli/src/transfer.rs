//! One copy as the user sees it: with progress while it works and a summary at its end.

use std::sync::Arc;

use wharf::copy::{Observer, Root, copy};
use wharf::{Error, ErrorKind, Result};
use wharf_oci::Descriptor;

use crate::args::Moving;
use crate::context::Context;
use crate::destination::Destination;
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
    /// Does it, and says what the root is in the store.
    ///
    /// # Errors
    /// The first final one of the copy.
    pub(crate) async fn run(&self, context: &Context) -> Result<Descriptor> {
        let progress = Arc::new(Progress::new(context.printer, context.bars.clone()));
        let observer: Arc<dyn Observer> = Arc::clone(&progress) as _;
        let options = context.copy_options(self.moving, observer);
        let root = Root {
            content: self.chosen.content.clone(),
            tags: self.destination.tags.clone(),
        };
        let (source, store) = (self.chosen.source.as_ref(), self.destination.store.as_ref());
        let mut summary = copy(source, store, &[root], &options).await?;
        progress.finish(self.verb, &summary);
        let root = summary.roots.pop();
        root.ok_or_else(|| Error::new(ErrorKind::Invalid, "the copy named no root"))
    }
}
