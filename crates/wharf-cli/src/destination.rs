//! Where content goes: a repository in a registry, or a layout directory.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use wharf::copy::RootContent;
use wharf::remote::Client;
use wharf::store::{Layout, Memory, Store};

use wharf::{Error, ErrorKind, Result, Side};
use wharf_oci::{Digest, Reference, Selector, Tag};

use crate::location::{Choice, Form, Local, Location, Place};
use crate::source::Chosen;

/// Whether a destination is written to or only asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It is made where it is not there.
    Write,
    /// It stays as it is, for a dry run.
    Ask,
}

/// A store, and the tags a root gets in it.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) store: Arc<dyn Store>,
    /// What it is called, without a tag: `localhost:5000/app`, `oci:DIR`.
    pub(crate) name: String,
    /// None: the root is there by digest only.
    pub(crate) tags: Vec<Tag>,
    /// What is taken away again where nothing came to be written into it.
    _fresh: Option<Fresh>,
}

/// A layout that was made for one copy.
#[derive(Debug)]
struct Fresh {
    layout: Layout,
    /// Whether its directory was made for it too.
    directory: bool,
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // What cannot be taken away is an empty layout, which harms nobody.
        if self.layout.clear_unused().unwrap_or(false) && self.directory {
            let _ = fs::remove_dir(self.layout.directory());
        }
    }
}

impl Destination {
    /// A store that needs nothing done before or after.
    pub(crate) fn of(store: Arc<dyn Store>, name: String, tag: Tag) -> Self {
        Destination {
            store,
            name,
            tags: vec![tag],
            _fresh: None,
        }
    }

    /// What `location` names, for `chosen` to be written to.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for places that are only read; otherwise as opening them.
    pub(crate) fn open(
        location: &Location,
        chosen: &Chosen,
        client: &Client,
        access: Access,
    ) -> Result<Self> {
        match location {
            Location::Registry(reference) => Destination::registry(reference, chosen, client),
            Location::Local(local) => Destination::layout(local, chosen, access),
        }
    }

    /// A repository. Without a tag in `reference` the image keeps its own, else it is `latest`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where `reference` has a digest that is not that of `chosen`.
    pub(crate) fn registry(
        reference: &Reference,
        chosen: &Chosen,
        client: &Client,
    ) -> Result<Self> {
        let tags = match reference.digest() {
            Some(digest) => {
                same_digest(digest, &chosen.content).map_err(|error| error.target(reference))?;
                reference.tag().cloned().into_iter().collect()
            }
            None => vec![tag_in_registry(reference, chosen)],
        };
        Ok(Destination {
            store: Arc::new(client.repository(reference.repository())),
            name: reference.repository().to_string(),
            tags,
            _fresh: None,
        })
    }

    fn layout(local: &Local, chosen: &Chosen, access: Access) -> Result<Self> {
        let directory = directory(local)?;
        let tag = match &local.choice {
            Some(Choice::Selector(Selector::Tag(tag))) => Some(tag.clone()),
            Some(Choice::Selector(Selector::Digest(digest))) => {
                same_digest(digest, &chosen.content).map_err(|error| error.target(&local.place))?;
                None
            }
            Some(Choice::Name(_)) | None => chosen.tag.clone(),
        };
        let (name, tags) = (format!("oci:{}", local.place), tag.into_iter().collect());
        let before = state(directory);
        if access == Access::Ask {
            return Ok(Destination {
                store: asked(directory, before).map_err(|error| error.side(Side::Destination))?,
                name,
                tags,
                _fresh: None,
            });
        }
        let layout = Layout::create(directory).map_err(|error| error.side(Side::Destination))?;
        Ok(Destination {
            store: Arc::new(layout.clone()),
            name,
            tags,
            _fresh: (before != Before::Used).then(|| Fresh {
                layout,
                directory: before == Before::Nothing,
            }),
        })
    }
}

/// What is there now; what would be made has nothing in it.
fn asked(directory: &Path, before: Before) -> Result<Arc<dyn Store>> {
    match before {
        Before::Nothing | Before::EmptyDirectory => Ok(Arc::new(Memory::new())),
        Before::Used => Ok(Arc::new(Layout::open(directory)?)),
    }
}

/// What was at a place before a layout was made there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    EmptyDirectory,
    Used,
}

fn state(directory: &Path) -> Before {
    match fs::read_dir(directory).map(Iterator::count) {
        Ok(0) => Before::EmptyDirectory,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Before::Nothing,
        _ => Before::Used,
    }
}

/// Whether `location` can be written to at all, told before anything is opened.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for places that are only read.
pub(crate) fn check(location: &Location) -> Result<()> {
    match location {
        Location::Registry(_) => Ok(()),
        Location::Local(local) => directory(local).map(|_| ()),
    }
}

fn directory(local: &Local) -> Result<&Path> {
    match (local.form, &local.place) {
        (Form::Layout, Place::Path(directory)) => Ok(directory),
        _ => {
            let message = "archives are read only; write to a registry or to oci:DIR[:TAG]";
            Err(Error::new(ErrorKind::Unsupported, message).target(&local.place))
        }
    }
}

fn tag_in_registry(reference: &Reference, chosen: &Chosen) -> Tag {
    reference
        .tag()
        .or(chosen.tag.as_ref())
        .cloned()
        .unwrap_or_else(Tag::latest)
}

fn same_digest(digest: &Digest, content: &RootContent) -> Result<()> {
    match content {
        RootContent::Manifest(descriptor) if descriptor.digest == *digest => Ok(()),
        RootContent::Manifest(descriptor) => Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "content goes to a tag, and its digest is {}",
                descriptor.digest
            ),
        )),
        RootContent::Draft(_) => Err(Error::new(
            ErrorKind::Invalid,
            "content goes to a tag, and its digest is not known before its layers are compressed",
        )),
    }
}
