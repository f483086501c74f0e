//! Flags that say where the result of an edit goes, and the way there.

use std::path::{Path, PathBuf};

use wharf::image::Edited;
use wharf::place::{
    Access, Choice, Form, LocalPlace, OpenedSource, OpenedStore, PathOrStdin, Place,
};
use wharf::{Error, ErrorKind, Result, Wharf};
use wharf_oci::{Descriptor, Reference, Tag};

use super::Effect;
use crate::arguments::{Anywhere, InRepository};
use crate::context::Context;
use crate::transfer::Transfer;
use crate::units;

/// Where the result of an edit goes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ResultTo {
    /// Destination of the result, REGISTRY/REPOSITORY[:TAG] or oci:DIR[:TAG]
    #[arg(short = 't', long, value_name = "REF")]
    #[arg(alias = "new_tag", alias = "new-tag", alias = "rebased")]
    tag: Option<Anywhere>,
    /// Push the result to this repository, by digest
    #[arg(long, value_name = "REPO", conflicts_with = "tag")]
    repo: Option<InRepository>,
    /// Write the result to a docker archive, - for standard output, and push nothing
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ResultTo {
    /// Where `-t` says, for commands without the other flags.
    pub(crate) fn tagged(tag: Option<Anywhere>) -> Self {
        ResultTo {
            tag,
            ..ResultTo::default()
        }
    }

    /// Writes `edited`, made of `opened`, as [`ResultTo::land`] does.
    ///
    /// # Errors
    /// As [`ResultTo::land`].
    pub(crate) async fn land_edited(
        &self,
        context: &Context,
        wharf: &Wharf,
        opened: &OpenedSource,
        edited: Edited,
        over: Option<&Anywhere>,
    ) -> Result<()> {
        match edited.left_out().len() {
            0 => {}
            left_out => {
                let attestations = units::count(left_out as u64, "attestation");
                context.printer.say(&format!(
                    "{attestations} about images that change: left out of the index"
                ));
            }
        }
        let result = opened.changed_to(edited);
        self.land(context, wharf, &result, over).await
    }

    /// Writes `result` where the flags say, else over the tag that it began with, if there is one;
    /// what was named by digest gets no tag. Prints the reference with its digest, if it is in a registry.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if nothing says where the result goes; the errors of the copy.
    pub(crate) async fn land(
        &self,
        context: &Context,
        wharf: &Wharf,
        result: &OpenedSource,
        over: Option<&Anywhere>,
    ) -> Result<()> {
        if let Some(file) = &self.output {
            let archive = Place::Local(self.archive(file, over));
            let store = wharf.destination(&archive, result, Access::Write).await?;
            return copy(context, wharf, result, &store).await.map(drop);
        }
        let (store, reference) = self.open(wharf, result, over).await?;
        let root = copy(context, wharf, result, &store).await?;
        match (reference, root) {
            (Some(to), Some(root)) => {
                let named = to.with_digest(root.digest);
                context.printer.data(&named.to_string())
            }
            _ => Ok(()),
        }
    }

    /// The store of the result, and its reference in a registry.
    async fn open(
        &self,
        wharf: &Wharf,
        result: &OpenedSource,
        over: Option<&Anywhere>,
    ) -> Result<(OpenedStore, Option<Reference>)> {
        if let Some(InRepository(repository)) = &self.repo {
            let store = OpenedStore::in_registry(repository, wharf.client());
            return Ok((store, Some(Reference::new(repository.clone(), None, None))));
        }
        let place = match (&self.tag, over) {
            (Some(tag), _) => &tag.place,
            (None, Some(over)) if writable(&over.place) => &over.place,
            (None, _) => {
                let message = "nothing says where the result goes: add -t REF or -o FILE";
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        };
        let reference = match place {
            Place::Registry(reference) => Some(reference.clone()),
            Place::Local(_) => None,
        };
        match (&self.tag, &reference) {
            // What was named by digest has another one now.
            (None, Some(over)) if over.digest().is_some() => {
                let store = OpenedStore::in_registry(over.repository(), wharf.client());
                Ok((store, reference))
            }
            _ => {
                let store = wharf.destination(place, result, Access::Write).await?;
                Ok((store, reference))
            }
        }
    }

    /// Whether the result goes to an archive, which has one image.
    pub(crate) fn is_archive(&self) -> bool {
        self.output.is_some()
    }

    /// Whether a flag says where the result goes.
    pub(crate) fn is_named(&self) -> bool {
        self.tag.is_some() || self.repo.is_some() || self.output.is_some()
    }

    /// What is to be changed: of an index all images.
    ///
    /// # Errors
    /// As [`Wharf::edit`]; [`ErrorKind::Unsupported`] for an index that is to become an archive.
    pub(crate) async fn edit(&self, wharf: &Wharf, opened: &OpenedSource) -> Result<Edited> {
        let edited = wharf.edit(opened).await?;
        if self.is_archive() && matches!(edited, Edited::Index(_)) {
            let message =
                "a docker archive has one image, and this is an index: name one with --platform";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(edited)
    }

    /// The archive of -o, with the name that the result would have in a registry.
    fn archive(&self, file: &Path, over: Option<&Anywhere>) -> LocalPlace {
        let named = match (&self.tag, over) {
            (Some(tag), _) | (None, Some(tag)) => name_in_archive(tag),
            (None, None) => None,
        };
        LocalPlace {
            form: Form::DockerArchive,
            at: match file.to_str() {
                // Of a destination it is standard output.
                Some("-") => PathOrStdin::Stdin,
                _ => PathOrStdin::Path(file.to_owned()),
            },
            choice: named.map(Choice::Name),
        }
    }
}

/// Whether a result can go where the content came from.
fn writable(place: &Place) -> bool {
    let is_archive = |local: &LocalPlace| {
        matches!(local.form, Form::DockerArchive | Form::OciArchive)
            || local.at == PathOrStdin::Stdin
    };
    match place {
        Place::Registry(_) => true,
        Place::Local(local) => !is_archive(local) && OpenedStore::check(place).is_ok(),
    }
}

/// A reference as typed, with a tag.
fn name_in_archive(typed: &Anywhere) -> Option<String> {
    let Place::Registry(reference) = &typed.place else {
        return None;
    };
    let text = typed.typed.trim_start_matches("docker://");
    let (name, _) = text.split_once('@').unwrap_or((text, ""));
    let Some(tag) = reference.tag() else {
        return Some(match reference.digest() {
            Some(_) => format!("{name}:i-was-a-digest"),
            None => format!("{name}:{}", Tag::latest()),
        });
    };
    match reference.digest() {
        Some(_) => {
            let name = name.strip_suffix(tag.as_str()).unwrap_or(name);
            Some(format!("{name}i-was-a-digest"))
        }
        None => Some(name.to_owned()),
    }
}

async fn copy(
    context: &Context,
    wharf: &Wharf,
    source: &OpenedSource,
    store: &OpenedStore,
) -> Result<Option<Descriptor>> {
    let transfer = Transfer {
        wharf,
        source,
        effect: Effect::Lasting,
        printer: &context.printer,
        standing: &context.standing,
    };
    transfer.run(store).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_names_the_reference_as_typed_with_a_tag() {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (typed, expected) in [
            ("ubuntu", "ubuntu:latest"),
            ("localhost:5000/a", "localhost:5000/a:latest"),
            ("docker://localhost:5000/a:1", "localhost:5000/a:1"),
            (&format!("a@{digest}"), "a:i-was-a-digest"),
            (&format!("a:1@{digest}"), "a:i-was-a-digest"),
        ] {
            let name = name_in_archive(&typed.parse().unwrap());
            assert_eq!(name.as_deref(), Some(expected), "{typed}");
        }
        assert_eq!(name_in_archive(&"oci:a:b".parse().unwrap()), None);
    }
}
