//! Opens the store at a place, and pairs it with a source: tags, digest agreement, new layouts.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use wharf_oci::{NameError, Reference, Repository, Selector, Tag};

use super::address::{Choice, Form, LocalPlace, PathOrStdin, Place};
use super::pairing;
use super::source::OpenedSource;
use crate::remote::Client;
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
        access: Access,
    ) -> Result<Self> {
        match place {
            Place::Registry(reference) => OpenedStore::registry(reference, source, client),
            Place::Local(local) => OpenedStore::layout(local, source, access).await,
        }
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
            Place::Local(local) => {
                directory(local)?;
                written_tag(local).map(|_| ())
            }
        }
    }

    async fn layout(local: &LocalPlace, source: &OpenedSource, access: Access) -> Result<Self> {
        let path = directory(local)?;
        let tag = match &local.choice {
            Some(Choice::Selector(Selector::Digest(digest))) => {
                pairing::agree(digest, &source.content).map_err(|error| error.target(&local.at))?;
                None
            }
            _ => written_tag(local)?.or_else(|| source.tag.clone()),
        };
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

fn directory(local: &LocalPlace) -> Result<&Path> {
    match (local.form, &local.at) {
        (Form::Layout, PathOrStdin::Path(directory)) => Ok(directory),
        (Form::Any, PathOrStdin::Path(path)) => {
            let path = path.display();
            let message = format!("a destination on disk is a layout; write oci:{path}");
            Err(Error::new(ErrorKind::Unsupported, message).target(&local.at))
        }
        _ => {
            let message = "archives are read only; write to a registry or to oci:DIR[:TAG]";
            Err(Error::new(ErrorKind::Unsupported, message).target(&local.at))
        }
    }
}
