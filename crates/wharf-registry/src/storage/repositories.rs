//! Repositories, and their tags.

use std::sync::Arc;

use bytes::Bytes;
use wharf_core::{Error, ErrorKind, Result};
use wharf_oci::{RepositoryName, Tag};

use super::link::LEAST_OF_TAG;
use crate::driver::{Driver, Folder, Key, Memory, When};
use crate::share::Shares;

/// What a registry holds. Cheap to clone; clones share the content.
///
/// Its methods fail with the driver's error; each method names its other errors.
#[derive(Clone, Debug)]
pub struct Storage {
    pub(super) driver: Arc<dyn Driver>,
    /// The uploads that arrive.
    pub(super) fills: Shares,
}

/// How many keys of a folder to read at a time when all are needed.
pub(super) const PAGE: usize = 1000;

impl Storage {
    /// The storage of a driver's content.
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        Storage {
            driver,
            fills: Shares::default(),
        }
    }

    /// A storage in memory, without content.
    pub fn in_memory() -> Self {
        Storage::new(Arc::new(Memory::new()))
    }

    /// Whether anything was ever written to a repository.
    pub async fn exists(&self, name: &RepositoryName) -> Result<bool> {
        let mark = Key::Repository(name.clone());
        Ok(self.driver.stat(&mark).await?.is_some())
    }

    /// At most `limit` names of repositories in lexical order, beginning after `after`.
    pub async fn repositories(
        &self,
        after: Option<&RepositoryName>,
        limit: usize,
    ) -> Result<Vec<RepositoryName>> {
        let after = after.cloned().map(Key::Repository);
        let listed = self
            .driver
            .list(&Folder::Repositories, after.as_ref(), limit);
        let names = listed
            .await?
            .into_iter()
            .filter_map(|entry| match entry.key {
                Key::Repository(name) => Some(name),
                _ => None,
            });
        Ok(names.collect())
    }

    /// At most `limit` tags of a repository in lexical order, beginning after `after`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such repository.
    pub async fn tags(
        &self,
        name: &RepositoryName,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Tag>> {
        if !self.exists(name).await? {
            return Err(Error::new(ErrorKind::NotFound, "no such repository").target(name));
        }
        let folder = Folder::Tags(name.clone());
        let mut after = after.map(|tag| Key::Tag(name.clone(), tag.clone()));
        let mut tags = Vec::new();
        loop {
            let wanted = limit.saturating_sub(tags.len());
            let listed = self.driver.list(&folder, after.as_ref(), wanted).await?;
            let is_last = listed.len() < wanted || wanted == 0;
            after = listed.last().map(|entry| entry.key.clone());
            // An empty or cut link counts as absent; one of the right length is not read here.
            let whole = listed
                .into_iter()
                .filter(|entry| entry.stat.size >= LEAST_OF_TAG);
            tags.extend(whole.filter_map(|entry| match entry.key {
                Key::Tag(_, tag) => Some(tag),
                _ => None,
            }));
            if is_last || tags.len() == limit {
                return Ok(tags);
            }
        }
    }

    /// Makes a repository exist.
    pub(super) async fn mark(&self, name: &RepositoryName) -> Result<()> {
        let mark = Key::Repository(name.clone());
        // If it is there already, nothing needs to be done.
        let put = self.driver.put(&mark, Bytes::new(), When::Absent);
        put.await.map(drop)
    }

    /// All keys of a folder.
    pub(super) async fn all(&self, folder: &Folder) -> Result<Vec<Key>> {
        let mut keys: Vec<Key> = Vec::new();
        loop {
            let page = self.driver.list(folder, keys.last(), PAGE).await?;
            let is_last = page.len() < PAGE;
            keys.extend(page.into_iter().map(|entry| entry.key));
            if is_last {
                return Ok(keys);
            }
        }
    }
}

/// The error of content that a repository does not have.
pub(super) fn missing(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, "not in this repository").target(what)
}
