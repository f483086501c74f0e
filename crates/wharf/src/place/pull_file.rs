//! The file or directory that images are pulled into, under the names by which they were asked for.

use std::path::PathBuf;
use std::sync::Arc;

use wharf_oci::{Descriptor, Reference, Tag};

use super::address::{Choice, Form, LocalPlace, PathOrStdin, Place};
use super::archive::{docker_names, name, output};
use super::options::PlaceOptions;
use super::source::OpenedSource;
use super::store::{Access, OpenedStore};
use crate::copy::RootContent;
use crate::store::archive::DockerArchiveWriter;
use crate::store::{Layout, Memory};
use crate::{Error, ErrorKind, Result, Side};

/// The form of a file or directory that images are pulled into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullForm {
    /// An archive that `docker load` reads.
    #[default]
    Docker,
    /// An archive with unpacked layers, in the format of Docker before 1.10.
    Legacy,
    /// A layout directory, made or added to.
    Layout(RefNames),
}

/// Whether images in a layout have a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefNames {
    /// None.
    #[default]
    None,
    /// The full reference, as the annotation `org.opencontainers.image.ref.name`.
    Full,
}

/// An image to pull: its place, and how it was named.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The place.
    pub place: Place,
    /// The text that named it, for its name in an archive.
    pub typed: String,
}

/// A file or directory that images are pulled into. Nothing of an archive is in its place before
/// [`PullFile::finish`].
#[derive(Debug)]
pub struct PullFile {
    kind: Kind,
    name: String,
}

#[derive(Debug)]
enum Kind {
    Docker(PullForm, DockerArchiveWriter),
    Layout(RefNames, Layout),
    /// Nothing is written.
    Asked(PullForm),
}

impl PullFile {
    /// Begins an archive, or opens or makes a layout; [`Access::Ask`] does neither. An archive can be
    /// standard output.
    ///
    /// # Errors
    /// What the system says about the place; [`ErrorKind::Invalid`] for a layout in a stream, or in
    /// a directory with something else.
    pub async fn create(
        at: &PathOrStdin,
        form: PullForm,
        options: &PlaceOptions,
        access: Access,
    ) -> Result<Self> {
        if access == Access::Ask {
            return Ok(PullFile {
                kind: Kind::Asked(form),
                name: name(at),
            });
        }
        let opened = PullFile::open(at, form, options).await;
        opened.map_err(|error| error.side(Side::Destination))
    }

    async fn open(at: &PathOrStdin, form: PullForm, options: &PlaceOptions) -> Result<Self> {
        let spool = &options.spool_dir;
        let kind = match form {
            PullForm::Docker => {
                let archive = DockerArchiveWriter::create(output(at), spool).await?;
                Kind::Docker(form, archive)
            }
            PullForm::Legacy => {
                let archive = DockerArchiveWriter::create_legacy(output(at), spool).await?;
                Kind::Docker(form, archive)
            }
            PullForm::Layout(names) => {
                let PathOrStdin::Path(path) = at else {
                    let message = "a layout directory cannot be standard output";
                    return Err(Error::new(ErrorKind::Invalid, message));
                };
                let path: PathBuf = path.clone();
                let layout = crate::verify::blocking(move || Layout::create(path)).await??;
                Kind::Layout(names, layout)
            }
        };
        Ok(PullFile {
            kind,
            name: name(at),
        })
    }

    /// The form in which images are written.
    pub fn form(&self) -> PullForm {
        match &self.kind {
            Kind::Docker(form, _) | Kind::Asked(form) => *form,
            Kind::Layout(names, _) => PullForm::Layout(*names),
        }
    }

    /// The store for an image that was opened at its place. `content` is what is written of it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it has no name that an archive can hold.
    pub(crate) fn store(
        &self,
        wanted: &Wanted,
        opened: &OpenedSource,
        content: Option<RootContent>,
    ) -> Result<OpenedStore> {
        let mut store = match &self.kind {
            Kind::Docker(_, archive) => {
                let names = names(wanted, opened)?;
                let store = Arc::new(archive.named(names));
                OpenedStore::new(store, &*self.name, Vec::new())
            }
            Kind::Layout(_, layout) => {
                OpenedStore::new(Arc::new(layout.clone()), &*self.name, Vec::new())
            }
            Kind::Asked(_) => OpenedStore::new(Arc::new(Memory::new()), &*self.name, Vec::new()),
        };
        store.content = content;
        Ok(store)
    }

    /// Notes that an image was written: in a layout it gets its name.
    ///
    /// # Errors
    /// What the system says about the files.
    pub async fn received(&self, wanted: &Wanted, image: &Descriptor) -> Result<()> {
        match (&self.kind, &wanted.place) {
            (Kind::Layout(RefNames::Full, layout), Place::Registry(reference)) => {
                layout.name(image, &full(reference)).await
            }
            _ => Ok(()),
        }
    }

    /// Ends an archive: a file gets its name.
    ///
    /// # Errors
    /// What the system says about the file. A file that was there before is there still.
    pub async fn finish(&self) -> Result<()> {
        match &self.kind {
            Kind::Docker(_, archive) => {
                let finished = archive.finish().await;
                finished.map_err(|error| error.side(Side::Destination))
            }
            Kind::Layout(..) | Kind::Asked(_) => Ok(()),
        }
    }
}

/// The tag of an image that was asked for by digest, as in other tools.
const BY_DIGEST: &str = "i-was-a-digest";

/// The names of an image in an archive: in a registry as it was typed, with a tag.
fn names(wanted: &Wanted, opened: &OpenedSource) -> Result<Vec<String>> {
    match &wanted.place {
        Place::Registry(reference) => Ok(vec![tagged(&wanted.typed, reference)]),
        Place::Local(_) => {
            let unnamed = LocalPlace {
                form: Form::DockerArchive,
                at: PathOrStdin::Stdin,
                choice: None::<Choice>,
            };
            docker_names(&unnamed, opened)
        }
    }
}

fn tagged(typed: &str, reference: &Reference) -> String {
    let typed = typed.strip_prefix("docker://").unwrap_or(typed);
    let (name, _) = typed.split_once('@').unwrap_or((typed, ""));
    match (reference.tag(), reference.digest()) {
        (Some(tag), Some(_)) => {
            let repository = name.strip_suffix(&format!(":{tag}")).unwrap_or(name);
            format!("{repository}:{BY_DIGEST}")
        }
        (None, Some(_)) => format!("{name}:{BY_DIGEST}"),
        (Some(_), None) => name.to_owned(),
        (None, None) => format!("{name}:{}", Tag::latest()),
    }
}

/// A reference with its tag, or with its digest alone.
fn full(reference: &Reference) -> String {
    let repository = reference.repository().clone();
    let (tag, digest) = match reference.digest() {
        Some(digest) => (None, Some(digest.clone())),
        None => (Some(reference.tag_or_latest()), None),
    };
    Reference::new(repository, tag, digest).to_string()
}

#[cfg(test)]
mod tests {
    use wharf_oci::Digest;

    use super::*;

    #[test]
    fn names_are_as_typed_with_a_tag() {
        let digest = Digest::of(b"a");
        for (typed, named, whole) in [
            ("ubuntu", "ubuntu:latest", "docker.io/library/ubuntu:latest"),
            ("docker://r.example/a:1", "r.example/a:1", "r.example/a:1"),
            (
                "localhost:5000/a",
                "localhost:5000/a:latest",
                "localhost:5000/a:latest",
            ),
            (
                &format!("localhost:5000/a@{digest}"),
                "localhost:5000/a:i-was-a-digest",
                &format!("localhost:5000/a@{digest}"),
            ),
            (
                &format!("localhost:5000/a:1@{digest}"),
                "localhost:5000/a:i-was-a-digest",
                &format!("localhost:5000/a@{digest}"),
            ),
        ] {
            let reference = super::super::reference(typed).unwrap();
            assert_eq!(tagged(typed, &reference), named);
            assert_eq!(full(&reference), whole);
        }
    }
}
