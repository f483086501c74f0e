//! Opens what is to be moved, and finds the one root in it that was meant.

use std::env;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use wharf::copy::{RetryPolicy, RootContent};
use wharf::layer::{LayerMemory, Settings};
use wharf::remote::Client;
use wharf::store::Source;
use wharf::store::archive::{self, Archive, ArchiveOptions, DockerArchive, ImageChoice, Input};
use wharf::store::{Entry, Layout, WholeLayout};
use wharf::{Error, ErrorKind, Result, Side};
use wharf_oci::{Reference, Selector, Tag};

use crate::args::PlatformChoice;
use crate::context::Context;
use crate::location::{Choice, Form, Local, Location, Place};
use crate::platform;

/// How much of a layout is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// One of the things it lists.
    One,
    /// All of them, as the index that it is.
    Whole,
}

/// A source, and what of it is to be moved.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// Where it is read from.
    pub(crate) source: Arc<dyn Source>,
    /// The one image or index that was meant.
    pub(crate) content: RootContent,
    /// The tag it carries, where it carries exactly one.
    pub(crate) tag: Option<Tag>,
    /// The reference it carries, as text that a stranger wrote.
    pub(crate) name: Option<String>,
}

impl Chosen {
    /// Opens what `location` names.
    ///
    /// # Errors
    /// Where there is nothing, or several things and none was chosen.
    pub(crate) async fn open(
        location: &Location,
        client: &Client,
        context: &Context,
    ) -> Result<Self> {
        match location {
            Location::Registry(reference) => {
                let chosen = Chosen::registry(reference, client, &context.retry).await;
                chosen.map_err(|error| error.side(Side::Source))
            }
            Location::Local(local) => Chosen::local(local, Part::One, context).await,
        }
    }

    /// Opens a file, a directory or standard input.
    ///
    /// # Errors
    /// As [`Chosen::open`].
    pub(crate) async fn local(local: &Local, part: Part, context: &Context) -> Result<Self> {
        if part == Part::Whole && local.choice.is_some() {
            let message = "--index pushes all that a layout lists, so nothing of it can be chosen";
            return Err(Error::new(ErrorKind::Invalid, message).target(&local.place));
        }
        let opened = match (&local.place, is_directory(local)) {
            (Place::Path(path), Ok(true)) => {
                Chosen::layout(path, local.choice.as_ref(), part, &context.platform).await
            }
            (_, Ok(_)) => Chosen::archive(local, part, context).await,
            (place, Err(error)) => Err(Error::io(place, error)),
        };
        opened.map_err(|error| error.side(Side::Source))
    }

    async fn registry(reference: &Reference, client: &Client, retry: &RetryPolicy) -> Result<Self> {
        let repository = client.source(reference.repository()).await?;
        let selector = reference.selector();
        let resolve = async || repository.resolve(&selector).await;
        let descriptor = retry.run(resolve).await?;
        let tag = match reference.digest() {
            Some(_) => reference.tag().cloned(),
            None => Some(reference.tag_or_latest()),
        };
        let content = RootContent::Manifest(descriptor);
        Ok(Chosen {
            source: Arc::new(repository),
            content,
            tag,
            name: None,
        })
    }

    async fn layout(
        directory: &Path,
        choice: Option<&Choice>,
        part: Part,
        platform: &PlatformChoice,
    ) -> Result<Self> {
        let (directory, wanted) = (directory.to_owned(), choice.map(Choice::to_string));
        let found = blocking(move || {
            let layout = Layout::open(directory)?;
            if part == Part::Whole {
                return layout.whole().map(whole);
            }
            let selected = layout.select(wanted.as_deref());
            let listed = Listed::of(selected, || layout.entries())?;
            let source: Arc<dyn Source> = Arc::new(layout);
            Ok((source, listed))
        });
        let (source, listed) = found.await?;
        let entry = listed.settled(source.as_ref(), choice, platform).await?;
        Ok(Chosen::entry(source, entry, choice))
    }

    async fn archive(local: &Local, part: Part, context: &Context) -> Result<Self> {
        let choice = local.choice.as_ref();
        let input = match &local.place {
            Place::Path(path) => Input::Path(path.clone()),
            Place::Stdin => Input::Reader(Box::new(io::stdin()), local.place.to_string()),
        };
        match archive::open(input, archive_options(context)).await? {
            Archive::Oci(_) if local.form == Form::DockerArchive => {
                Err(other_form(local, "an OCI layout", "oci-archive:"))
            }
            Archive::Docker(_) if local.form == Form::OciArchive => {
                Err(other_form(local, "a docker archive", "docker-archive:"))
            }
            Archive::Oci(archive) => {
                let wanted = choice.map(Choice::to_string);
                let found = blocking(move || {
                    if part == Part::Whole {
                        return archive.whole().map(whole);
                    }
                    let selected = archive.select(wanted.as_deref());
                    let listed = Listed::of(selected, || archive.entries())?;
                    let source: Arc<dyn Source> = Arc::new(archive);
                    Ok((source, listed))
                });
                let (source, listed) = found.await?;
                let settled = listed.settled(source.as_ref(), choice, &context.platform);
                Ok(Chosen::entry(source.clone(), settled.await?, choice))
            }
            Archive::Docker(_) if part == Part::Whole => {
                let message = "a docker archive, which has no index that --index could push";
                Err(Error::new(ErrorKind::Invalid, message).target(&local.place))
            }
            Archive::Docker(archive) => Chosen::docker(archive, choice).await,
            _ => {
                Err(Error::new(ErrorKind::Unsupported, "this kind of archive").target(&local.place))
            }
        }
    }

    async fn docker(archive: DockerArchive, choice: Option<&Choice>) -> Result<Self> {
        let wanted = match choice {
            None => ImageChoice::Only,
            Some(Choice::Selector(Selector::Digest(digest))) => ImageChoice::Config(digest.clone()),
            Some(other) => ImageChoice::Name(other.to_string()),
        };
        let image = archive.select(&wanted)?.clone();
        let content = RootContent::Draft(archive.draft(&image).await?);
        let name = match &wanted {
            ImageChoice::Name(name) => Some(name.clone()),
            _ => image.repo_tags.first().cloned(),
        };
        let tag = match &wanted {
            ImageChoice::Name(name) => name
                .parse::<Reference>()
                .ok()
                .and_then(|name| name.tag().cloned()),
            _ => None,
        };
        let tag = tag.or_else(|| only(image.tags()));
        Ok(Chosen {
            source: Arc::new(archive),
            content,
            tag,
            name,
        })
    }

    /// The tag it gets where nobody says another.
    pub(crate) fn tag_or_latest(&self) -> Tag {
        self.tag.clone().unwrap_or_else(Tag::latest)
    }

    /// The tag that an entry was chosen by is its tag, also where it has several.
    fn entry(source: Arc<dyn Source>, entry: Entry, choice: Option<&Choice>) -> Self {
        let tag = match choice {
            Some(Choice::Selector(Selector::Tag(tag))) => Some(tag.clone()),
            _ => entry.tag,
        };
        // A name that is a tag alone says nothing about the repository.
        let name = entry.name.filter(|name| name.contains(['/', ':']));
        Chosen {
            source,
            content: RootContent::Manifest(entry.descriptor),
            tag,
            name,
        }
    }
}

fn whole(layout: WholeLayout) -> (Arc<dyn Source>, Listed) {
    let entry = layout.entry().clone();
    (Arc::new(layout), Listed::One(Box::new(entry)))
}

/// What of a layout may be meant.
enum Listed {
    One(Box<Entry>),
    /// Several, and what is to be said of that.
    Several(Vec<Entry>, Error),
}

impl Listed {
    fn of(selected: Result<Entry>, all: impl FnOnce() -> Result<Vec<Entry>>) -> Result<Self> {
        match selected {
            Ok(entry) => Ok(Listed::One(Box::new(entry))),
            Err(error) if error.kind() == ErrorKind::Ambiguous => {
                Ok(Listed::Several(all()?, error))
            }
            Err(error) => Err(error),
        }
    }

    /// The one that is meant: of several that nothing else tells apart, that for the platform.
    async fn settled(
        self,
        source: &dyn Source,
        choice: Option<&Choice>,
        platform: &PlatformChoice,
    ) -> Result<Entry> {
        match (self, choice, platform) {
            (Listed::One(entry), ..) => Ok(*entry),
            (Listed::Several(entries, _), None, PlatformChoice::One(wanted)) => {
                platform::among(source, entries, wanted).await
            }
            (Listed::Several(_, error), ..) => Err(error),
        }
    }
}

/// What is opened as a directory: what is said to be one, and any path that is one.
fn is_directory(local: &Local) -> io::Result<bool> {
    match (&local.place, local.form) {
        (_, Form::Layout) => Ok(true),
        (Place::Path(path), Form::Any) => Ok(fs::metadata(path)?.is_dir()),
        _ => Ok(false),
    }
}

fn archive_options(context: &Context) -> ArchiveOptions {
    ArchiveOptions {
        spool_dir: env::temp_dir(),
        compression: Settings::default(),
        memory: context
            .layer_memory()
            .map(|path| Arc::new(LayerMemory::open(path))),
    }
}

fn other_form(local: &Local, found: &str, prefix: &str) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!("it is {found}; write {prefix} before it"),
    )
    .target(&local.place)
}

fn only(mut tags: impl Iterator<Item = Tag>) -> Option<Tag> {
    let first = tags.next()?;
    tags.next().is_none().then_some(first)
}

/// Runs what reads files off the threads that serve connections.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::new(ErrorKind::Cancelled, "reading was given up").source(error))?
}
