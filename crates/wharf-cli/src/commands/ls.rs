//! `wharf ls REPO`: the tags of a repository.

use futures::TryStreamExt;
use wharf::Result;
use wharf_oci::{Reference, Tag};

use crate::arguments::InRepository;
use crate::command::{OnSignal, Run};
use crate::context::Context;

/// List the tags of a repository
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Ls {
    /// Repository, REGISTRY/REPOSITORY
    #[arg(value_name = "REPO")]
    repository: InRepository,
    /// Print whole references: REGISTRY/REPOSITORY:TAG
    #[arg(long)]
    full_ref: bool,
    /// Leave out tags that begin with sha256-, which name signatures and the like by a digest
    #[arg(short = 'O', long)]
    omit_digest_tags: bool,
}

const HELP: &str = "\
A tag a line, in the order of the registry, page by page. Entries that are no tags are left out, and
named on standard error.

Example:
  wharf ls -O registry.example/app";

impl Run for Ls {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Prints the tags as they come, and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        let InRepository(repository) = &self.repository;
        let mut pages = context.wharf()?.tag_pages(repository);
        while let Some(page) = pages.try_next().await? {
            let tags = page.items.into_iter().filter(|tag| self.prints(tag));
            let lines = tags.map(|tag| match self.full_ref {
                true => Reference::new(repository.clone(), Some(tag), None).to_string(),
                false => tag.to_string(),
            });
            context.printer.lines(lines)?;
            context.printer.unfit(&page.unfit, "tag");
        }
        Ok(())
    }
}

impl Ls {
    fn prints(&self, tag: &Tag) -> bool {
        !(self.omit_digest_tags && tag.as_str().starts_with("sha256-"))
    }
}
