//! A copy to one store or several, as the user sees it: progress, then a summary of each.

use wharf::front::Receiver;
use wharf::place::{OpenedSource, OpenedStore};
use wharf::{Error, ErrorKind, Result, Wharf};
use wharf_oci::{Descriptor, Reference};

use crate::dry_run;
use crate::flags::Effect;
use crate::printer::{Printer, Voice};
use crate::progress::{Company, Progress};
use crate::standing::Standing;

/// The content to copy, and the settings.
#[derive(Debug)]
pub(crate) struct Transfer<'a> {
    /// Copies, as the flags say.
    pub(crate) wharf: &'a Wharf,
    /// The content.
    pub(crate) source: &'a OpenedSource,
    /// Without effect, the plan is printed instead.
    pub(crate) effect: Effect,
    /// The printer.
    pub(crate) printer: &'a Printer,
    /// Notes how far it got.
    pub(crate) standing: &'a Standing,
}

impl Transfer<'_> {
    /// Copies to one store, and returns the root's descriptor there; a dry run has none.
    ///
    /// # Errors
    /// The first final one of the copy.
    pub(crate) async fn run(&self, to: &OpenedStore) -> Result<Option<Descriptor>> {
        let mut outcomes = self.run_all(std::slice::from_ref(to)).await;
        let nowhere = || Error::new(ErrorKind::Invalid, "no destination");
        outcomes.pop().ok_or_else(nowhere)?
    }

    /// Copies to several stores at once. Each fails or succeeds on its own, in the order given, as
    /// with [`Transfer::run`].
    pub(crate) async fn run_all(&self, to: &[OpenedStore]) -> Vec<Result<Option<Descriptor>>> {
        match self.effect {
            Effect::Lasting => self.write(to).await,
            Effect::None => self.plan(to).await,
        }
    }

    /// Offers the tag that the content has at its source, where a reference without a tag means
    /// `latest`. The plan of a dry run names each tag anyway, and programs need no offer.
    pub(crate) fn offer_own_tag(&self, stores: &[OpenedStore], to: &[Reference]) {
        let Some(own) = self.source.tag.as_ref() else {
            return;
        };
        if self.effect == Effect::None || self.printer.voice() == Voice::Json {
            return;
        }
        let open = |to: &Reference| to.tag().is_none() && to.digest().is_none();
        for store in stores {
            let mut here = to
                .iter()
                .filter(|to| Some(to.repository()) == store.repository.as_ref());
            if here.any(open) && !store.tags.contains(own) {
                let name = &store.name;
                self.printer.say(&format!(
                    "{name}: no tag given, so latest is set; for the image's own tag, write {name}:{own}"
                ));
            }
        }
    }

    async fn write(&self, to: &[OpenedStore]) -> Vec<Result<Option<Descriptor>>> {
        let company = Company::of(to.len());
        let shown = to
            .iter()
            .map(|to| Progress::new(self.printer, &to.name, company));
        let shown: Vec<Progress> = shown.collect();
        let receivers = to.iter().zip(&shown).map(|(store, progress)| Receiver {
            store,
            observer: self.standing.watch(&store.name, progress.observer()),
        });
        let receivers: Vec<_> = receivers.collect();
        let outcomes = self.wharf.write_to_all(self.source, &receivers).await;
        let shown = to.iter().zip(&shown);
        let told = outcomes.into_iter().zip(shown);
        let told = told.map(|(outcome, (store, progress))| {
            let copied = outcome?;
            progress.finish(&store.tags, &copied);
            Ok(Some(copied.descriptor))
        });
        told.collect()
    }

    async fn plan(&self, to: &[OpenedStore]) -> Vec<Result<Option<Descriptor>>> {
        let mut outcomes = Vec::new();
        for store in to {
            let company = Company::of(to.len());
            let survey = self.wharf.plan_write(self.source, store).await;
            let printed = survey
                .and_then(|survey| dry_run::print(self.printer, &store.name, company, &survey));
            outcomes.push(printed.map(|()| None));
        }
        outcomes
    }
}
