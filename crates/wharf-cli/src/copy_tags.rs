//! `wharf copy --all-tags SRC DST`: everything that has a tag in a repository.

use futures::StreamExt;
use wharf::front::CopiedReferrers;
use wharf::place::OpenedStore;
use wharf::{Error, ErrorKind, Result, Wharf};
use wharf_oci::{Descriptor, Repository};

use crate::context::Context;
use crate::failures;
use crate::progress::{Company, Progress};
use crate::units::count;

/// Copies all tags, each on its own, then, if wanted, what refers to them. Prints a line for each tag.
///
/// # Errors
/// The last one of several tags and referrers; others are printed.
pub(crate) async fn copy(
    wharf: &Wharf,
    (from, to): (&Repository, &Repository),
    beside: Beside,
    context: &Context,
) -> Result<()> {
    let to = OpenedStore::in_registry(to, wharf.client());
    let (roots, mut failed) = tags(wharf, from, &to, context).await;
    if beside == Beside::Referrers && !roots.is_empty() {
        let source = wharf.client().source(from).await?;
        let store = to.store.as_ref();
        let copied = wharf.copy_referrers(&source, store, &roots).await;
        failed.extend(tell(&to.name, copied, context));
    }
    failures::all(&context.printer, failed)
}

/// What is copied beside images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    Nothing,
    Referrers,
}

/// The roots that were copied, and why others were not.
async fn tags(
    wharf: &Wharf,
    from: &Repository,
    to: &OpenedStore,
    context: &Context,
) -> (Vec<Descriptor>, Vec<Error>) {
    let progress = Progress::new(&context.printer, &to.name, Company::Several);
    let (mut roots, mut failed) = (Vec::new(), Vec::new());
    let mut copied = match wharf.copy_tags(from, to).await {
        Ok(copied) => copied,
        Err(error) => return (roots, vec![error]),
    };
    while let Some(outcome) = copied.next().await {
        match outcome {
            Ok((tag, Ok(copied))) => {
                progress.finish(std::slice::from_ref(&tag), &copied);
                roots.push(copied.descriptor);
            }
            Ok((tag, Err(error))) if error.kind() == ErrorKind::Exists => {
                let kept = format!("{}:{tag}  is there already, and stays as it is", to.name);
                context.printer.say(&kept);
            }
            Ok((tag, Err(error))) => failed.push(error.target(format_args!("tag {tag}"))),
            Err(error) => failed.push(error),
        }
    }
    (roots, failed)
}

/// Says how many referrers were copied to `name`, and returns the errors of the others.
pub(crate) fn tell(name: &str, copied: CopiedReferrers, context: &Context) -> Vec<Error> {
    let count = count(copied.copied.len() as u64, "referrer");
    context.printer.say(&format!("{name}  {count} copied"));
    copied.failed
}
