//! Opens the store at a place, and pairs it with a source: tags, digest agreement, new layouts.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use wharf_oci::{NameError, Reference, Repository, Selector, Tag};

use super::address::{Choice, Form, LocalPlace, PathOrStdin, Place};
use super::archive::{self, WrittenArchive};
use super::options::PlaceOptions;
use super::pairing;
use super::source::OpenedSource;
use crate::copy::RootContent;
use crate::remote::Client;
use crate::store::archive::{DockerArchiveWriter, OciArchiveWriter};
use crate::store::{Layout, Memory, Store};
use crate::{Error, ErrorKind, Result, Side};

/// Whether a store is written to or only asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Writing: a layout is made if there is none.
    #[default]
    Write,
    /// Asking only, for a plan: the place stays as it is.
    Ask,
}

/// An opened store, with the tags for a root.
///
/// Dropping it removes a layout that was made for it and stayed empty.
#[derive(Debug)]
pub struct OpenedStore {
    /// The store to write to.
    pub store: Arc<dyn Store>,
    /// Its name in messages, without a tag: `localhost:5000/app`, `oci:DIR`.
    pub name: String,
    /// The tags for the root; without any it is put by digest only.
    pub tags: Vec<Tag>,
    /// The repository, if it is in a registry.
    pub repository: Option<Repository>,
    /// What is copied instead of the root of the source, where the store cannot have that.
    pub(crate) content: Option<RootContent>,
    archive: Option<WrittenArchive>,
    _fresh: Option<Fresh>,
}

/// A layout that was made for one copy.
#[derive(Debug)]
struct Fresh {
    layout: Layout,
    /// Whether its directory was made too.
    directory: bool,
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // An empty layout that cannot be removed does no harm.
        if self.layout.clear_unused().unwrap_or(false) && self.directory {
            let _ = fs::remove_dir(self.layout.directory());
        }
    }
}

impl OpenedStore {
    /// A store that is open already.
    pub fn new(store: Arc<dyn Store>, name: impl Into<String>, tags: Vec<Tag>) -> Self {
        OpenedStore {
            store,
            name: name.into(),
            tags,
            repository: None,
            content: None,
            archive: None,
            _fresh: None,
        }
    }

    /// Opens `place` for the root of `source`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a read-only place; [`ErrorKind::Invalid`] if it has a digest
    /// other than the root's; the errors of opening a layout.
    pub async fn open(
        place: &Place,
        source: &OpenedSource,
        client: &Client,
        options: &PlaceOptions,
        access: Access,
    ) -> Result<Self> {
        let local = match place {
            Place::Registry(reference) => {
                return OpenedStore::registry(reference, source, client);
            }
            Place::Local(local) => local,
        };
        match receives(local)? {
            Receives::Layout(directory) => {
                OpenedStore::layout(local, directory, source, access).await
            }
            Receives::OciArchive => {
                let tag = tag_at(local, source)?;
                let opened = OpenedStore::archive(local, options, access).await?;
                Ok(OpenedStore {
                    tags: tag.into_iter().collect(),
                    ..opened
                })
            }
            Receives::DockerArchive => {
                let names = archive::docker_names(local, source)?;
                OpenedStore::docker_archive(local, names, options, access).await
            }
        }
    }

    /// Whether it is for one image that `docker load` and its like read.
    pub(crate) fn is_for_docker(place: &Place) -> bool {
        let Place::Local(local) = place else {
            return false;
        };
        matches!(receives(local), Ok(Receives::DockerArchive))
    }

    /// Whether it is an archive, of which nothing is kept when a copy into it fails.
    pub(crate) fn is_archive(&self) -> bool {
        self.archive.is_some()
    }

    /// Ends what a copy into the store has begun: an archive gets its name. [`crate::Wharf::write`]
    /// and [`crate::Wharf::write_to_all`] do it.
    ///
    /// # Errors
    /// What the system says about the file. A file that was there before is there still.
    pub async fn finish(&self) -> Result<()> {
        let Some(archive) = &self.archive else {
            return Ok(());
        };
        let finished = archive.finish().await;
        finished.map_err(|error| error.side(Side::Destination))
    }

    async fn archive(local: &LocalPlace, options: &PlaceOptions, access: Access) -> Result<Self> {
        let name = format!("oci-archive:{}", archive::name(&local.at));
        if access == Access::Ask {
            return Ok(OpenedStore::new(Arc::new(Memory::new()), name, Vec::new()));
        }
        let output = archive::output(&local.at);
        let writer = OciArchiveWriter::create(output, &options.spool_dir).await;
        let writer = writer.map_err(|error| error.side(Side::Destination))?;
        Ok(OpenedStore {
            archive: Some(WrittenArchive::Oci(writer.clone())),
            ..OpenedStore::new(Arc::new(writer), name, Vec::new())
        })
    }

    async fn docker_archive(
        local: &LocalPlace,
        names: Vec<String>,
        options: &PlaceOptions,
        access: Access,
    ) -> Result<Self> {
        let name = format!("docker-archive:{}", archive::name(&local.at));
        if access == Access::Ask {
            return Ok(OpenedStore::new(Arc::new(Memory::new()), name, Vec::new()));
        }
        let output = archive::output(&local.at);
        let writer = DockerArchiveWriter::create(output, &options.spool_dir).await;
        let writer = writer.map_err(|error| error.side(Side::Destination))?;
        let store = Arc::new(writer.named(names));
        Ok(OpenedStore {
            archive: Some(WrittenArchive::Docker(writer)),
            ..OpenedStore::new(store, name, Vec::new())
        })
    }

    /// Opens a repository. If `reference` has no tag, the root gets `latest`, whatever its tag at the
    /// source; beside a digest it gets none. A reference without both also means the tags that names
    /// of the root state for that very repository.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if `reference` has a digest other than the root's.
    pub fn registry(reference: &Reference, source: &OpenedSource, client: &Client) -> Result<Self> {
        let mut tags = pairing::tags(reference, &source.content)?;
        add_own(&mut tags, std::slice::from_ref(reference), source);
        let repository = reference.repository().clone();
        Ok(OpenedStore::repository(repository, tags, client))
    }

    /// Opens each repository that `to` names once, with all tags that the root gets there.
    ///
    /// # Errors
    /// As [`OpenedStore::registry`], for the first reference that is wrong.
    pub fn registries(
        to: &[Reference],
        source: &OpenedSource,
        client: &Client,
    ) -> Result<Vec<Self>> {
        let places = pairing::by_repository(to, &source.content).into_iter();
        let open = |(repository, tags): (Repository, Result<_>)| {
            let (mut tags, here): (Vec<Tag>, _) =
                (tags?, |to: &&Reference| *to.repository() == repository);
            let here: Vec<Reference> = to.iter().filter(here).cloned().collect();
            add_own(&mut tags, &here, source);
            Ok(OpenedStore::repository(repository, tags, client))
        };
        places.map(open).collect()
    }

    /// Opens a repository for several roots, which have their own tags. Sends no request.
    pub fn in_registry(repository: &Repository, client: &Client) -> Self {
        OpenedStore::repository(repository.clone(), Vec::new(), client)
    }

    fn repository(repository: Repository, tags: Vec<Tag>, client: &Client) -> Self {
        let store = Arc::new(client.repository(&repository));
        OpenedStore {
            repository: Some(repository.clone()),
            ..OpenedStore::new(store, repository.to_string(), tags)
        }
    }

    /// Whether `place` can be written to at all, before anything is opened.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a read-only place.
    pub fn check(place: &Place) -> Result<()> {
        match place {
            Place::Registry(_) => Ok(()),
            Place::Local(local) => match receives(local)? {
                Receives::Layout(_) | Receives::OciArchive => written_tag(local).map(|_| ()),
                Receives::DockerArchive => archive::written_name(local).map(|_| ()),
            },
        }
    }

    async fn layout(
        local: &LocalPlace,
        path: &Path,
        source: &OpenedSource,
        access: Access,
    ) -> Result<Self> {
        let tag = tag_at(local, source)?;
        let path = path.to_owned();
        let opened = crate::verify::blocking(move || open_layout(&path, access)).await?;
        let (store, fresh) = opened.map_err(|error| error.side(Side::Destination))?;
        let name = format!("oci:{}", local.at);
        Ok(OpenedStore {
            _fresh: fresh,
            ..OpenedStore::new(store, name, tag.into_iter().collect())
        })
    }
}

/// Adds the tags that the names of the source state for the repository of a reference without tag
/// and digest.
fn add_own(tags: &mut Vec<Tag>, to: &[Reference], source: &OpenedSource) {
    let open = |to: &&Reference| to.tag().is_none() && to.digest().is_none();
    if let Some(to) = to.iter().find(open) {
        let own = source.tags_in(to.repository()).into_iter();
        for tag in own {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
    }
}

/// The layout in a directory. For a plan, a missing one is an empty store.
fn open_layout(directory: &Path, access: Access) -> Result<(Arc<dyn Store>, Option<Fresh>)> {
    let before = Before::of(directory);
    match (access, before) {
        (Access::Ask, Before::Used) => Ok((Arc::new(Layout::open(directory)?), None)),
        (Access::Ask, _) => Ok((Arc::new(Memory::new()), None)),
        (Access::Write, _) => {
            let layout = Layout::create(directory)?;
            let fresh = (before != Before::Used).then(|| Fresh {
                layout: layout.clone(),
                directory: before == Before::Nothing,
            });
            Ok((Arc::new(layout), fresh))
        }
    }
}

/// The state of a place before a layout was made there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    EmptyDirectory,
    Used,
}

impl Before {
    fn of(directory: &Path) -> Self {
        match fs::read_dir(directory).map(Iterator::count) {
            Ok(0) => Before::EmptyDirectory,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Before::Nothing,
            _ => Before::Used,
        }
    }
}

/// The tag that the text of a destination states.
///
/// # Errors
/// [`ErrorKind::Invalid`] for another name: a layout is written under tags.
fn written_tag(local: &LocalPlace) -> Result<Option<Tag>> {
    match &local.choice {
        Some(Choice::Selector(Selector::Tag(tag))) => Ok(Some(tag.clone())),
        Some(Choice::Name(name)) => {
            let tag: Result<Tag, _> = name.parse();
            let invalid = |error: NameError| Error::new(ErrorKind::Invalid, error.to_string());
            tag.map(Some)
                .map_err(|error| invalid(error).target(&local.at))
        }
        _ => Ok(None),
    }
}

/// The tag that the root of `source` gets in a layout: the one that is written there, else its own;
/// none beside a digest.
fn tag_at(local: &LocalPlace, source: &OpenedSource) -> Result<Option<Tag>> {
    match &local.choice {
        Some(Choice::Selector(Selector::Digest(digest))) => {
            let agreed = pairing::agree(digest, &source.content);
            agreed.map_err(|error| error.target(archive::name(&local.at)))?;
            Ok(None)
        }
        _ => Ok(written_tag(local)?.or_else(|| source.tag.clone())),
    }
}

/// What a place on disk, or standard output, is as a destination.
enum Receives<'a> {
    Layout(&'a Path),
    OciArchive,
    DockerArchive,
}

/// # Errors
/// [`ErrorKind::Unsupported`] for a path that says nothing of its form.
fn receives(local: &LocalPlace) -> Result<Receives<'_>> {
    match (local.form, &local.at) {
        (Form::Layout, PathOrStdin::Path(directory)) => Ok(Receives::Layout(directory)),
        (Form::OciArchive, _) => Ok(Receives::OciArchive),
        (Form::DockerArchive, _) | (Form::Any, PathOrStdin::Stdin) => Ok(Receives::DockerArchive),
        (Form::Any, PathOrStdin::Path(path)) => {
            let path = path.display();
            let message = format!(
                "a destination on disk states its form; write oci:{path} for a directory, \
                 docker-archive:{path} or oci-archive:{path} for a file"
            );
            Err(Error::new(ErrorKind::Unsupported, message).target(&local.at))
        }
        (Form::Layout, PathOrStdin::Stdin) => {
            let message = "a layout directory cannot be standard output";
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }
}
