//! `wharf catalog REGISTRY`: the repositories of a registry.

use futures::TryStreamExt;
use wharf::Result;

use crate::arguments::Host;
use crate::command::{OnSignal, Run};
use crate::context::Context;

/// List the repositories of a registry
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Catalog {
    /// Registry: HOST or HOST:PORT
    #[arg(value_name = "REGISTRY")]
    registry: Host,
    /// Print names with the registry: REGISTRY/REPOSITORY
    #[arg(long)]
    full_ref: bool,
}

const HELP: &str = "\
A repository a line, in the order of the registry, page by page. Not every registry lists its
repositories, and some list only those that the credentials may see.

Example:
  wharf catalog --full-ref localhost:5000";

impl Run for Catalog {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Prints the names as they come, and nothing else.
    async fn run(self, context: &Context) -> Result<()> {
        let Host(registry) = &self.registry;
        let mut pages = context.wharf()?.catalog_pages(registry);
        while let Some(page) = pages.try_next().await? {
            let lines = page.items.iter().map(|name| match self.full_ref {
                true => format!("{registry}/{name}"),
                false => name.to_string(),
            });
            context.printer.lines(lines)?;
            context.printer.unfit(&page.unfit, "repository");
        }
        Ok(())
    }
}
