//! Opens the source at a place, and selects its root.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use wharf_oci::{Descriptor, Manifest, Reference, RepositoryName, Selector, Tag};

use super::address::{Choice, Form, LocalPlace, PathOrStdin, Place};
use super::options::{Part, PlaceOptions, PlatformChoice};
use super::{naming, platform};
use crate::copy::{RetryPolicy, RootContent};
use crate::remote::Client;
use crate::store::archive::{self, Archive, DockerArchive, ImageChoice, Input, Reading};
use crate::store::{Entry, Layout, LayoutReader, Source};
use crate::{Error, ErrorKind, Result, Side};

/// An opened source with its selected root.
#[derive(Clone, Debug)]
pub struct OpenedSource {
    /// The source to read from.
    pub source: Arc<dyn Source>,
    /// The selected image or index.
    pub content: RootContent,
    /// Its tag there, if it has exactly one.
    pub tag: Option<Tag>,
    /// Its reference there: in a registry with its tag, elsewhere unchecked text from a file.
    pub name: Option<String>,
    /// All its names there, if none of them selected it: references, tags, or any text.
    pub names: Vec<String>,
    /// The manifest of the root, if it was read.
    pub(crate) manifest: Option<Manifest>,
}

impl OpenedSource {
    /// A root of a source that is open already.
    pub fn new(source: Arc<dyn Source>, content: impl Into<RootContent>) -> Self {
        OpenedSource {
            source,
            content: content.into(),
            tag: None,
            name: None,
            names: Vec::new(),
            manifest: None,
        }
    }

    /// Opens `place`, and selects the platform in `options`. Reads a repository through the mirrors
    /// that `client` has for its registry; `retry` applies to single requests.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the place has nothing, or nothing for the platform;
    /// [`ErrorKind::Ambiguous`] if it has several roots and the text selects none.
    pub async fn open(
        place: &Place,
        client: &Client,
        retry: &RetryPolicy,
        options: &PlaceOptions,
    ) -> Result<Self> {
        match place {
            Place::Registry(reference) => {
                let opened = OpenedSource::registry(reference, client, retry).await;
                let opened = opened.map_err(|error| error.side(Side::Source))?;
                opened.picked(retry, options).await
            }
            Place::Local(local) => OpenedSource::local(local, Part::One, retry, options).await,
        }
    }

    /// Opens a file, a directory or standard input, and selects the platform in `options`.
    ///
    /// # Errors
    /// As [`OpenedSource::open`]; [`ErrorKind::Invalid`] if a whole layout is wanted but the place
    /// has none, or names one image in it.
    pub async fn local(
        local: &LocalPlace,
        part: Part,
        retry: &RetryPolicy,
        options: &PlaceOptions,
    ) -> Result<Self> {
        if part == Part::Whole && local.choice.is_some() {
            let message = "--index pushes all that a layout lists, so nothing of it can be chosen";
            return Err(Error::new(ErrorKind::Invalid, message).target(&local.at));
        }
        let opened = match (&local.at, is_directory(local)) {
            (PathOrStdin::Path(path), Ok(true)) => {
                let (choice, platform) = (local.choice.as_ref(), &options.platform);
                OpenedSource::layout(path, choice, part, platform).await
            }
            (_, Ok(_)) => OpenedSource::archive(local, part, options).await,
            (at, Err(error)) => Err(Error::io(at, error)),
        };
        let opened = opened.map_err(|error| error.side(Side::Source))?;
        opened.picked(retry, options).await
    }

    /// Its tag at the source, else `latest`: for a destination that no reference names.
    pub fn tag_or_latest(&self) -> Tag {
        self.tag.clone().unwrap_or_else(Tag::latest)
    }

    /// A name for its repository in a registry: that of the image without its registry, else that
    /// of the file or directory, else `image`.
    pub fn repository_name(&self, at: &PathOrStdin) -> RepositoryName {
        naming::repository(self.name.as_deref(), at)
    }

    async fn picked(mut self, retry: &RetryPolicy, options: &PlaceOptions) -> Result<Self> {
        if let PlatformChoice::One(wanted) = &options.platform {
            let source = self.source.raw_source().unwrap_or(self.source.as_ref());
            let picked = async {
                let Some(read) = &self.manifest else {
                    let narrow = || platform::narrow(source, &self.content, wanted);
                    return retry.run(narrow).await.map(Some);
                };
                let image = retry.run(|| platform::image_in(source, read, wanted));
                Ok(image.await?.map(RootContent::from))
            };
            let picked = picked.await;
            if let Some(content) = picked.map_err(|error: Error| error.side(Side::Source))? {
                (self.content, self.manifest) = (content, None);
            }
        }
        Ok(self)
    }

    /// Opens an image or index in a registry and reads its manifest: one request, where resolving it
    /// first would take two.
    pub(crate) async fn manifest_at(
        reference: &Reference,
        client: &Client,
        retry: &RetryPolicy,
        options: &PlaceOptions,
    ) -> Result<Self> {
        let opened = async {
            let repository = client.source(reference.repository()).await?;
            let repository = repository.with_retry(*retry);
            let manifest = repository.manifest_at(&reference.selector()).await?;
            let descriptor = manifest.descriptor().clone();
            Ok(OpenedSource {
                manifest: Some(manifest),
                ..OpenedSource::in_registry(reference, Arc::new(repository), descriptor)
            })
        };
        let opened = opened
            .await
            .map_err(|error: Error| error.side(Side::Source))?;
        opened.picked(retry, options).await
    }

    async fn registry(reference: &Reference, client: &Client, retry: &RetryPolicy) -> Result<Self> {
        let repository = client.source(reference.repository()).await?;
        let repository = repository.with_retry(*retry);
        let descriptor = repository.resolve(&reference.selector()).await?;
        let repository = Arc::new(repository);
        Ok(OpenedSource::in_registry(reference, repository, descriptor))
    }

    fn in_registry(reference: &Reference, source: Arc<dyn Source>, root: Descriptor) -> Self {
        let tag = match reference.digest() {
            Some(_) => reference.tag().cloned(),
            None => Some(reference.tag_or_latest()),
        };
        let named = |tag: &Tag| format!("{}:{tag}", reference.repository());
        OpenedSource {
            name: tag.as_ref().map(named),
            tag,
            ..OpenedSource::new(source, root)
        }
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
                return whole(&layout);
            }
            let selected = layout.select(wanted.as_deref());
            let listed = Listed::of(selected, || layout.entries())?;
            let all = layout.entries()?;
            let source: Arc<dyn Source> = Arc::new(layout);
            Ok((source, listed, all))
        });
        let (source, listed, all) = found.await?;
        let entry = listed.settled(source.as_ref(), choice, platform).await?;
        let names = names_of(&entry, all, choice);
        Ok(OpenedSource::entry(source, entry, choice, names))
    }

    async fn archive(local: &LocalPlace, part: Part, options: &PlaceOptions) -> Result<Self> {
        let choice = local.choice.as_ref();
        match open_archive(local, part, options).await? {
            Archive::Oci(archive) => {
                let (wanted, layout) = (choice.map(Choice::to_string), archive.clone());
                let found = blocking(move || {
                    if part == Part::Whole {
                        return whole(&archive);
                    }
                    let selected = archive.select(wanted.as_deref());
                    let listed = Listed::of(selected, || archive.entries())?;
                    let all = archive.entries()?;
                    let source: Arc<dyn Source> = Arc::new(archive);
                    Ok((source, listed, all))
                });
                let (source, listed, all) = found.await?;
                let settled = listed.settled(source.as_ref(), choice, &options.platform);
                let mut entry = settled.await?;
                let names = names_of(&entry, all, choice);
                if options.platform == PlatformChoice::All && part == Part::One {
                    entry = blocking(move || layout.narrowed(entry)).await?;
                }
                Ok(OpenedSource::entry(source, entry, choice, names))
            }
            Archive::Docker(_) if part == Part::Whole => {
                let message = "a docker archive has no index, so --index cannot push it";
                Err(Error::new(ErrorKind::Invalid, message).target(&local.at))
            }
            Archive::Docker(archive) => OpenedSource::docker(archive, choice).await,
            _ => Err(Error::new(ErrorKind::Unsupported, "this kind of archive").target(&local.at)),
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
            ImageChoice::Name(name) => tag_of(name),
            _ => None,
        };
        let names = match &wanted {
            ImageChoice::Name(_) => Vec::new(),
            _ => image.repo_tags.clone(),
        };
        let tag = tag.or_else(|| only(image.tags()));
        Ok(OpenedSource {
            tag,
            name,
            names,
            ..OpenedSource::new(Arc::new(archive), content)
        })
    }

    /// The tag that selected an entry is its tag, even if it has several.
    fn entry(
        source: Arc<dyn Source>,
        entry: Entry,
        choice: Option<&Choice>,
        names: Vec<String>,
    ) -> Self {
        let tag = match choice {
            Some(Choice::Selector(Selector::Tag(tag))) => Some(tag.clone()),
            Some(Choice::Name(name)) => tag_of(name).or(entry.tag),
            _ => entry.tag,
        };
        // A name that is only a tag does not name the repository.
        let name = entry.name.filter(|name| name.contains(['/', ':']));
        OpenedSource {
            tag,
            name,
            names,
            ..OpenedSource::new(source, entry.descriptor)
        }
    }
}

fn whole(layout: &LayoutReader) -> Result<(Arc<dyn Source>, Listed, Vec<Entry>)> {
    let (source, entry) = layout.whole()?;
    Ok((Arc::new(source), Listed::One(Box::new(entry)), Vec::new()))
}

/// All names of an entry's content, unless one of them was chosen.
fn names_of(entry: &Entry, all: Vec<Entry>, choice: Option<&Choice>) -> Vec<String> {
    match choice {
        Some(Choice::Selector(Selector::Tag(_)) | Choice::Name(_)) => Vec::new(),
        _ => {
            let digest = &entry.descriptor.digest;
            let same = all
                .into_iter()
                .filter(|other| other.descriptor.digest == *digest);
            same.filter_map(|other| other.name).collect()
        }
    }
}

/// Opens an archive as its place says.
pub(super) async fn open_archive(
    local: &LocalPlace,
    part: Part,
    options: &PlaceOptions,
) -> Result<Archive> {
    let input = match &local.at {
        PathOrStdin::Path(path) => Input::Path(path.clone()),
        PathOrStdin::Stdin => Input::Reader(Box::new(io::stdin()), local.at.to_string()),
    };
    // Only a plain path leaves open how an archive of both kinds is read.
    let reading = match (local.form, part) {
        (Form::OciArchive, _) | (Form::Any, Part::Whole) => Reading::Layout,
        (Form::DockerArchive, _) => Reading::Docker,
        (Form::Any | Form::Layout, Part::One) | (Form::Layout, Part::Whole) => Reading::Best,
    };
    match archive::open_as(input, options.archive(), reading).await? {
        Archive::Oci(_) if local.form == Form::DockerArchive => {
            Err(other_form(local, "an OCI layout", "oci-archive:"))
        }
        Archive::Docker(_) if local.form == Form::OciArchive => {
            Err(other_form(local, "a docker archive", "docker-archive:"))
        }
        archive => Ok(archive),
    }
}

/// The entries of a layout that may be meant.
enum Listed {
    One(Box<Entry>),
    /// Several entries, and the error to give unless the platform tells them apart.
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

    /// The selected entry: if the text fits several, the one for the platform.
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

/// Whether to open a directory: the text states one, or a plain path is one.
pub(super) fn is_directory(local: &LocalPlace) -> io::Result<bool> {
    match (&local.at, local.form) {
        (_, Form::Layout) => Ok(true),
        (PathOrStdin::Path(path), Form::Any) => Ok(fs::metadata(path)?.is_dir()),
        _ => Ok(false),
    }
}

fn other_form(local: &LocalPlace, found: &str, prefix: &str) -> Error {
    let message = format!("it is {found}; write {prefix} before it");
    Error::new(ErrorKind::Invalid, message).target(&local.at)
}

/// The tag in a reference.
fn tag_of(name: &str) -> Option<Tag> {
    name.parse::<Reference>().ok()?.tag().cloned()
}

fn only(mut tags: impl Iterator<Item = Tag>) -> Option<Tag> {
    let first = tags.next()?;
    tags.next().is_none().then_some(first)
}

/// Runs work that reads files off the reactor.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    crate::verify::blocking(work).await?
}
