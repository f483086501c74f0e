//! A directory as storage.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use wharf_core::blob::ByteStream;
use wharf_core::store::Store;
use wharf_core::verify::blocking;
use wharf_core::{ErrorKind, Result};
use wharf_oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, RepositoryName, Tag};

use super::fill::fill;
use super::link::ManifestLink;
use super::locks::Locks;
use super::manifests;
use super::repository::DiskRepository;
use super::start;
use super::tree::{Tree, at, is_absent};
use super::writer::{self, Known, Writer};
use crate::storage::session::{PATIENCE, check_offset, missing};
use crate::storage::{Condition, ReferrersPage, ReferrersQuery, SessionId, Storage, Written};

/// A storage in a directory. Cheap to clone; clones, and other processes, share the content.
#[derive(Clone, Debug)]
pub struct Disk {
    pub(super) tree: Arc<Tree>,
    known: Known,
    locks: Locks,
    swept: Arc<Mutex<Instant>>,
}

/// A storage that is open for long is swept again after so long, when a session begins.
const SWEEP_AFTER: Duration = Duration::from_secs(60 * 60);

/// How long to wait before a session that another request writes to is tried again.
const PAUSE: Duration = Duration::from_millis(10);

impl Disk {
    /// Opens a storage directory, or makes one of a directory that is empty or does not exist.
    /// Temporary files and upload sessions that nobody touched for a day are removed, then and
    /// about every hour.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::Invalid`] where the directory holds something else,
    /// [`wharf_core::ErrorKind::Unsupported`] where another version wrote it, else what the system says.
    pub async fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let tree = blocking(move || start::open(directory)).await??;
        Ok(Disk {
            tree: Arc::new(tree),
            known: Known::default(),
            locks: Locks::new(),
            swept: Arc::new(Mutex::new(Instant::now())),
        })
    }

    /// Takes a stream in whole and makes it a blob of a repository.
    pub(super) async fn take(
        &self,
        repository: &RepositoryName,
        expected: Option<Digest>,
        bytes: ByteStream,
    ) -> Result<Descriptor> {
        let path = self.tree.upload(&SessionId::fresh(), repository);
        let algorithm = expected
            .as_ref()
            .map_or(Algorithm::Sha256, Digest::algorithm);
        let known = self.known.clone();
        let made = path.clone();
        let writer = blocking(move || Writer::create(made, algorithm, known)).await??;
        // Nobody knows this session's name: what is not finished can only be thrown away.
        let _unfinished = Unfinished(path);
        let (writer, result) = fill(writer, bytes).await?;
        result?;
        self.commit(writer, repository, expected).await
    }

    /// Changes manifests or tags of a repository while nobody else does, here or elsewhere.
    pub(super) async fn exclusively<T: Send + 'static>(
        &self,
        name: &RepositoryName,
        work: impl FnOnce(&Tree) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = self.locks.turn(&self.tree.locks(), name).await?;
        let tree = Arc::clone(&self.tree);
        // The turn goes along: it must not end before the work when the caller goes away.
        blocking(move || {
            let _alone = turn.alone()?;
            work(&tree)
        })
        .await?
    }

    /// Writes a manifest's bytes into the pool, where the condition may hold.
    async fn pool(
        &self,
        repository: &RepositoryName,
        manifest: &Manifest,
        condition: Option<&Condition>,
    ) -> Result<Written> {
        let (tree, name) = (Arc::clone(&self.tree), repository.clone());
        let (manifest, condition) = (manifest.clone(), condition.cloned());
        blocking(move || {
            if !manifests::holds(&tree, &name, condition.as_ref())? {
                return Ok(Written::Declined);
            }
            let content = ManifestLink::of(&manifest).content;
            tree.write(&tree.content(&content), manifest.bytes())?;
            Ok(Written::Done)
        })
        .await?
    }

    async fn commit(
        &self,
        writer: Writer,
        repository: &RepositoryName,
        expected: Option<Digest>,
    ) -> Result<Descriptor> {
        let (tree, name) = (Arc::clone(&self.tree), repository.clone());
        blocking(move || {
            let (digest, size) = writer.commit(&tree, expected.as_ref())?;
            Tree::touch(&tree.blob_link(&name, &digest))?;
            Ok(Descriptor::new(MediaType::OCTET_STREAM, digest, size))
        })
        .await?
    }

    /// Whether it is time to sweep; says so to one caller only.
    fn is_sweep_due(&self) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let due = swept.elapsed() >= SWEEP_AFTER;
        if due {
            *swept = Instant::now();
        }
        due
    }

    async fn writer(
        &self,
        id: &SessionId,
        repository: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<Writer> {
        let (path, known) = (self.tree.upload(id, repository), self.known.clone());
        patiently(id, move || {
            Writer::open(path.clone(), algorithm, known.clone())
        })
        .await
    }
}

/// Tries until the request that writes to a session has ended: its client may be gone, and it
/// about to find out. The attempt gives `None` where there is no such session.
async fn patiently<T: Send + 'static>(
    id: &SessionId,
    attempt: impl Fn() -> Result<Option<T>> + Clone + Send + 'static,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        match blocking(attempt.clone()).await? {
            Err(error) if error.kind() == ErrorKind::Busy && begun.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            tried => return tried?.ok_or_else(|| missing(id)),
        }
    }
}

#[async_trait]
impl Storage for Disk {
    async fn repository(&self, name: &RepositoryName) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(DiskRepository::new(self.clone(), name.clone())))
    }

    async fn exists(&self, name: &RepositoryName) -> Result<bool> {
        let (tree, name) = (Arc::clone(&self.tree), name.clone());
        blocking(move || tree.exists(&name)).await
    }

    async fn repositories(
        &self,
        after: Option<&RepositoryName>,
        limit: usize,
    ) -> Result<Vec<RepositoryName>> {
        let (tree, after) = (Arc::clone(&self.tree), after.cloned());
        blocking(move || {
            let mut names = repositories(&tree)?;
            names.retain(|name| after.as_ref().is_none_or(|after| name > after));
            names.sort_unstable();
            names.truncate(limit);
            Ok(names)
        })
        .await?
    }

    async fn put_manifest(
        &self,
        repository: &RepositoryName,
        manifest: &Manifest,
        tags: &[Tag],
        condition: Option<&Condition>,
    ) -> Result<Written> {
        let (name, manifest) = (repository.clone(), manifest.clone());
        let (tags, condition) = (tags.to_vec(), condition.cloned());
        // The larger part of the work needs no lock: the pool takes the same bytes from anybody.
        // It does not take those of whom the condition turns away already.
        let placed = self.pool(repository, &manifest, condition.as_ref()).await?;
        if placed == Written::Declined {
            return Ok(placed);
        }
        self.exclusively(repository, move |tree| {
            manifests::put(tree, &name, &manifest, &tags, condition.as_ref())
        })
        .await
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        query: &ReferrersQuery,
    ) -> Result<ReferrersPage> {
        let tree = Arc::clone(&self.tree);
        let (name, query) = (repository.clone(), query.clone());
        blocking(move || manifests::referrers(&tree, &name, &query)).await?
    }

    async fn delete_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<()> {
        let (link, digest) = (self.tree.blob_link(repository, digest), digest.clone());
        blocking(move || manifests::remove_existing(&link, &digest)).await?
    }

    async fn mount(
        &self,
        digest: &Digest,
        from: Option<&RepositoryName>,
        into: &RepositoryName,
    ) -> Result<bool> {
        let source = from.map(|from| self.tree.blob_link(from, digest));
        let target = self.tree.blob_link(into, digest);
        let content = self.tree.content(digest);
        blocking(move || {
            if !source.is_none_or(|source| source.is_file()) || !content.is_file() {
                return Ok(false);
            }
            Tree::touch(&target).map(|()| true)
        })
        .await?
    }

    async fn begin(&self, repository: &RepositoryName) -> Result<SessionId> {
        let id = SessionId::fresh();
        let (path, known) = (self.tree.upload(&id, repository), self.known.clone());
        let (tree, due) = (Arc::clone(&self.tree), self.is_sweep_due());
        blocking(move || {
            if due {
                start::sweep(&tree)?;
                known.retain_existing();
            }
            Writer::create(path, Algorithm::Sha256, known).map(drop)
        })
        .await??;
        Ok(id)
    }

    async fn append(
        &self,
        id: &SessionId,
        repository: &RepositoryName,
        offset: Option<u64>,
        algorithm: Algorithm,
        bytes: ByteStream,
    ) -> Result<u64> {
        let writer = self.writer(id, repository, algorithm).await?;
        check_offset(offset, writer.length())?;
        let (writer, result) = fill(writer, bytes).await?;
        result.map(|()| writer.length())
    }

    async fn status(&self, id: &SessionId, repository: &RepositoryName) -> Result<u64> {
        let path = self.tree.upload(id, repository);
        let found = blocking(move || match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(at(&path, error)),
        })
        .await??;
        found.ok_or_else(|| missing(id))
    }

    async fn settled(&self, id: &SessionId, repository: &RepositoryName) -> Result<u64> {
        let path = self.tree.upload(id, repository);
        patiently(id, move || writer::settled(&path)).await
    }

    async fn finish(
        &self,
        id: &SessionId,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor> {
        let writer = self.writer(id, repository, digest.algorithm()).await?;
        self.commit(writer, repository, Some(digest.clone())).await
    }

    async fn cancel(&self, id: &SessionId, repository: &RepositoryName) -> Result<()> {
        let (path, known) = (self.tree.upload(id, repository), self.known.clone());
        let found = blocking(move || known.give_up(&path)).await??;
        if found { Ok(()) } else { Err(missing(id)) }
    }
}

/// Removes the file of a session when its upload ends, in whatever way.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone when all went well; else the sweep at the next start has another go.
        let _ = fs::remove_file(&self.0);
    }
}

/// All repositories of a storage directory, in any order.
pub(super) fn repositories(tree: &Tree) -> Result<Vec<RepositoryName>> {
    let mut names = Vec::new();
    walk(&tree.repositories(), "", &mut names)?;
    Ok(names)
}

/// All repositories below a directory, in any order. What is no name is not ours.
fn walk(directory: &Path, prefix: &str, names: &mut Vec<RepositoryName>) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(|e| at(directory, e))? {
        let entry = entry.map_err(|e| at(directory, e))?;
        let Ok(component) = entry.file_name().into_string() else {
            continue;
        };
        let Ok(name) = format!("{prefix}{component}").parse::<RepositoryName>() else {
            continue;
        };
        let path = entry.path();
        if !path.is_dir() {
            continue;
        }
        walk(&path, &format!("{name}/"), names)?;
        if Tree::is_repository(&path) {
            names.push(name);
        }
    }
    Ok(())
}
