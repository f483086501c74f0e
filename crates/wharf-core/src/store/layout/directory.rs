//! An OCI image layout directory.
//!
//! Several processes may write one at once: content appears whole under its digest, and
//! `index.json` is changed by one of them at a time, under a lock on `oci-layout`.

use std::fs::{self, File};
use std::io::ErrorKind as Io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use serde::Serialize;
use tokio::sync::oneshot;
use wharf_oci::{
    Algorithm, Descriptor, Digest, INDEX_FILE, Index, LayoutMarker, Manifest, MediaType,
    OCI_LAYOUT_FILE, Selector, Tag,
};

use super::LayoutReader;
use super::listing;
use super::reader::blob_path;
use super::tree::Tree;
use crate::blob::Blob;
use crate::intake::Intake;
use crate::store::new_file::{NewFile, is_temporary, remove_stale};
use crate::store::parts::{self, Filled, Spot};
use crate::store::{Names, Outcome, Source, Store};
use crate::verify::{self, Seen, blocking};
use crate::{Error, ErrorKind, Result};

/// An OCI image layout directory, as source and store; cheap to clone. Every write is durable when
/// it returns. Its reading half has methods of its own, such as [`LayoutReader::select`].
#[derive(Clone, Debug)]
pub struct Layout {
    root: Arc<PathBuf>,
    reader: LayoutReader,
}

impl Layout {
    /// Opens the layout in `directory`. Blocking.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such directory, [`ErrorKind::Invalid`] where it
    /// is no layout, [`ErrorKind::Unsupported`] where it is one of another version.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        let root = directory.as_ref();
        if names_in(root)?.is_empty() {
            return Err(about(root, "empty directory, not an OCI image layout"));
        }
        let reader = LayoutReader::new(Arc::new(Tree::new(root)))?;
        Ok(Layout {
            root: Arc::new(root.to_owned()),
            reader,
        })
    }

    /// Opens the layout in `directory`, and makes it first where the directory is empty or not
    /// there. Temporary files more than a day old are removed. Blocking.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the directory holds something else, which then stays as it is;
    /// otherwise as [`Layout::open`], and what the system says.
    pub fn create(directory: impl AsRef<Path>) -> Result<Self> {
        let root = directory.as_ref();
        match fs::create_dir_all(root) {
            Err(error) if matches!(error.kind(), Io::AlreadyExists | Io::NotADirectory) => {
                return Err(about(root, "not a directory, so not an OCI image layout"));
            }
            made => made.map_err(|error| Error::io(root.display(), error))?,
        }
        make_marker(root)?;
        let lock = lock(root)?;
        // Only the marker: this or another process has just begun to make the layout.
        if names_in(root)? == [OCI_LAYOUT_FILE] {
            let index = json_file(root, &Index::new(Vec::new()))?;
            index.publish_unless_there(&root.join(INDEX_FILE))?;
        }
        drop(lock);
        remove_stale(root);
        Layout::open(root)
    }

    /// Takes away the files of a layout that nothing was written into, and says whether it did;
    /// the directory stays, empty. For what was made by [`Layout::create`] in vain. Blocking.
    ///
    /// # Errors
    /// What the system says about the files.
    pub fn clear_unused(&self) -> Result<bool> {
        let root = self.root.as_path();
        let lock = lock(root)?;
        // Temporary files count: a process is writing.
        let files = fs::read_dir(root).map_err(|error| Error::io(root.display(), error))?;
        if files.count() != 2 || !root.join(INDEX_FILE).exists() || !self.entries()?.is_empty() {
            return Ok(false);
        }
        // The marker last: it says that the other files belong to a layout.
        for name in [INDEX_FILE, OCI_LAYOUT_FILE] {
            let path = root.join(name);
            fs::remove_file(&path).map_err(|error| Error::io(path.display(), error))?;
        }
        drop(lock);
        Ok(true)
    }

    /// Adds to the entries of `index.json` for these manifests what they do not state yet: platform,
    /// artifact type and annotations. Blocking.
    ///
    /// # Errors
    /// As [`Layout::open`].
    pub fn describe(&self, manifests: &[Descriptor]) -> Result<()> {
        let _lock = lock(&self.root)?;
        let mut index = self.reader.index()?;
        let mut changed = false;
        for manifest in manifests {
            changed |= listing::describe(&mut index, manifest);
        }
        match changed {
            true => json_file(&self.root, &index)?.publish(&self.root.join(INDEX_FILE)),
            false => Ok(()),
        }
    }

    /// Names a manifest that is here with any text, such as a full reference, in `index.json`.
    ///
    /// # Errors
    /// What the system says about the files.
    pub async fn name(&self, manifest: &Descriptor, name: &str) -> Result<()> {
        let (layout, manifest, name) = (self.clone(), manifest.clone(), name.to_owned());
        blocking(move || {
            let _lock = lock(&layout.root)?;
            let mut index = layout.reader.index()?;
            listing::enter_named(&mut index, &manifest, &name);
            json_file(&layout.root, &index)?.publish(&layout.root.join(INDEX_FILE))
        })
        .await?
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.root
    }

    /// Whether the very bytes are here, not only a file of their name and size.
    async fn has_bytes(&self, descriptor: &Descriptor) -> Result<bool> {
        if !self.reader.contains(descriptor).await? {
            return Ok(false);
        }
        let Ok(stream) = self.reader.blob(descriptor).read().await else {
            return Ok(false);
        };
        Ok(stream.try_for_each(|_| async { Ok(()) }).await.is_ok())
    }

    async fn new_file(&self) -> Result<NewFile> {
        let root = Arc::clone(&self.root);
        blocking(move || NewFile::create(&root)).await?
    }

    async fn publish(&self, file: NewFile, digest: &Digest) -> Result<()> {
        let path = self.root.join(blob_path(digest));
        blocking(move || file.publish(&path)).await?
    }

    /// Writes a manifest's bytes, which were checked when it was parsed.
    async fn put_bytes(&self, manifest: &Manifest) -> Result<()> {
        let (root, manifest) = (Arc::clone(&self.root), manifest.clone());
        blocking(move || {
            let path = root.join(blob_path(manifest.digest()));
            let same_size = fs::metadata(&path).is_ok_and(|file| file.len() == manifest.size());
            if same_size && fs::read(&path).is_ok_and(|bytes| bytes == *manifest.bytes()) {
                return Ok(());
            }
            let mut file = NewFile::create(&root)?;
            file.write(manifest.bytes())?;
            file.publish(&path)
        })
        .await?
    }

    /// Lists a manifest in `index.json`, under each of `tags`.
    async fn list(&self, manifest: &Manifest, tags: &[Tag]) -> Result<()> {
        let (layout, descriptor) = (self.clone(), manifest.descriptor().clone());
        let tags = tags.to_vec();
        blocking(move || {
            let _lock = lock(&layout.root)?;
            let mut index = layout.reader.index()?;
            let mut changed = tags.is_empty() && listing::enter(&mut index, &descriptor, None);
            for tag in &tags {
                changed |= listing::enter(&mut index, &descriptor, Some(tag));
            }
            if !changed {
                return Ok(());
            }
            json_file(&layout.root, &index)?.publish(&layout.root.join(INDEX_FILE))
        })
        .await?
    }
}

impl Deref for Layout {
    type Target = LayoutReader;

    fn deref(&self) -> &LayoutReader {
        &self.reader
    }
}

#[async_trait]
impl Source for Layout {
    async fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        self.reader.resolve(at).await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.reader.manifest(descriptor).await
    }

    fn place(&self) -> Option<String> {
        self.reader.place()
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        self.reader.blob(descriptor)
    }

    async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        self.reader.blob_size(digest).await
    }

    async fn precheck(&self, descriptor: &Descriptor) -> Result<()> {
        self.reader.precheck(descriptor).await
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> Result<Vec<Tag>> {
        self.reader.tags(after, limit).await
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.reader.referrers(subject).await
    }
}

#[async_trait]
impl Store for Layout {
    async fn contains(&self, descriptor: &Descriptor) -> Result<bool> {
        self.reader.contains(descriptor).await
    }

    /// A file that is there already is read and compared, and replaced where it is wrong.
    async fn put_blob(&self, blob: &Blob) -> Result<Outcome> {
        if self.has_bytes(blob.descriptor()).await? {
            return Ok(Outcome::Existed);
        }
        let file = self.new_file().await?;
        let spot = Spot {
            file: Arc::clone(file.file()),
            name: self.root.display().to_string().into(),
            start: 0,
        };
        let filled = parts::fill(blob, &spot, &Seen::default(), parts::USUAL).await?;
        let file = match filled {
            Filled::Yes => file,
            Filled::No => file.fill(blob.read().await?).await?,
        };
        self.publish(file, &blob.descriptor().digest).await?;
        Ok(Outcome::Written)
    }

    async fn ingest(&self, media_type: &MediaType, intake: Arc<dyn Intake>) -> Result<Descriptor> {
        let (sender, receiver) = oneshot::channel();
        let stream = verify::learn(intake.open(0).await?, Algorithm::Sha256, sender);
        let file = self.new_file().await?.fill(stream).await?;
        let (digest, size) = receiver
            .await
            .expect("a stream that was read to its end has told");
        self.publish(file, &digest).await?;
        Ok(Descriptor::new(media_type.clone(), digest, size))
    }

    /// `index.json` lists roots, and no children of an index.
    async fn put_manifest(&self, manifest: &Manifest, names: Names<'_>) -> Result<()> {
        self.put_bytes(manifest).await?;
        match names {
            Names::Child => Ok(()),
            Names::Root(tags) => self.list(manifest, tags).await,
        }
    }

    /// Only `index.json` changes: what a manifest linked to, and its own bytes, may be needed by
    /// others and stay.
    async fn delete(&self, at: &Selector) -> Result<()> {
        let (layout, at) = (self.clone(), at.clone());
        blocking(move || {
            let _lock = lock(&layout.root)?;
            let mut index = layout.reader.index()?;
            let found = match &at {
                Selector::Tag(tag) => listing::untag(&mut index, tag),
                Selector::Digest(digest) => listing::remove(&mut index, digest),
            };
            if !found {
                let missing = Error::new(
                    ErrorKind::NotFound,
                    match &at {
                        Selector::Tag(tag) => format!("no tag {tag}"),
                        Selector::Digest(digest) => format!("no manifest {digest}"),
                    },
                );
                return Err(missing.target(layout.root.display()));
            }
            json_file(&layout.root, &index)?.publish(&layout.root.join(INDEX_FILE))
        })
        .await?
    }
}

/// Marks an empty directory as a layout, unless it is one.
fn make_marker(root: &Path) -> Result<()> {
    let marker = root.join(OCI_LAYOUT_FILE);
    if marker.exists() {
        return Ok(());
    }
    // The second look is for a process that made the layout between the first and the listing.
    if !names_in(root)?.is_empty() && !marker.exists() {
        let message = "neither empty nor an OCI image layout; nothing was written into it";
        return Err(about(root, message));
    }
    json_file(root, &LayoutMarker::default())?.publish_unless_there(&marker)
}

/// The names in a directory, temporary files of ours not among them.
fn names_in(root: &Path) -> Result<Vec<std::ffi::OsString>> {
    let read = || -> std::io::Result<Vec<_>> {
        fs::read_dir(root)?
            .map(|file| Ok(file?.file_name()))
            .collect()
    };
    let mut names = read().map_err(|error| match error.kind() {
        Io::NotFound => Error::new(ErrorKind::NotFound, "no such directory").target(root.display()),
        Io::NotADirectory => about(root, "not a directory, so not an OCI image layout"),
        _ => Error::io(root.display(), error),
    })?;
    names.retain(|name| !is_temporary(name));
    Ok(names)
}

/// Keeps other processes from changing `index.json` until it is dropped.
fn lock(root: &Path) -> Result<File> {
    let path = root.join(OCI_LAYOUT_FILE);
    // Network file systems lock only what is open for writing.
    let file = File::options().read(true).write(true).open(&path);
    let file = file.or_else(|_| File::open(&path));
    let locked = file.and_then(|file| file.lock().map(|()| file));
    locked.map_err(|error| Error::io(path.display(), error))
}

fn json_file<T: Serialize>(root: &Path, document: &T) -> Result<NewFile> {
    let bytes = serde_json::to_vec(document).expect("what was read as JSON can be written as it");
    let mut file = NewFile::create(root)?;
    file.write(&bytes)?;
    Ok(file)
}

fn about(root: &Path, message: &str) -> Error {
    Error::new(ErrorKind::Invalid, message).target(root.display())
}
