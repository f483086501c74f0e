//! The storage that a registry needs.

use std::fmt::Debug;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use wharf_core::Result;
use wharf_core::blob::ByteStream;
use wharf_oci::Digest;

use super::{Folder, Key, Session};

/// Keeps objects under keys, and the sessions of uploads.
///
/// Each call changes one object, completely or not at all, even if the process dies. Its writes are
/// durable when it returns. Content that has another length than it was stored with counts as
/// absent, if the driver can tell. All fail with the system's error.
#[async_trait]
pub trait Driver: Debug + Send + Sync {
    /// Reads a small object whole.
    async fn get(&self, key: &Key) -> Result<Option<Object>>;

    /// Tells the size and the age of an object.
    async fn stat(&self, key: &Key) -> Result<Option<Stat>>;

    /// Streams `length` bytes of an object from `start` on; both must lie within it.
    async fn read(&self, key: &Key, start: u64, length: u64) -> Result<Option<ByteStream>>;

    /// Writes an object if `when` holds. No process writes to it between the check and the write.
    async fn put(&self, key: &Key, bytes: Bytes, when: When) -> Result<Applied>;

    /// Deletes an object, or only this version of it. Returns whether it was there.
    ///
    /// A driver that cannot delete conditionally may overwrite that version with an empty object,
    /// and treat an empty object as absent.
    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<bool>;

    /// Sets the age of an object to zero. Returns whether it is there, and its age could be set.
    /// Content of unknown length must have its digest.
    async fn touch(&self, key: &Key) -> Result<bool>;

    /// Lists the keys of a folder in order, beginning after `after`. Fewer than `limit` means the
    /// last.
    async fn list(&self, folder: &Folder, after: Option<&Key>, limit: usize) -> Result<Vec<Entry>>;

    /// Begins a session without bytes. Sessions without a write for a day may be removed.
    async fn begin(&self, session: &Session) -> Result<()>;

    /// Returns how many bytes a session has, also while a request writes to it.
    async fn length(&self, session: &Session) -> Result<Option<u64>>;

    /// Opens a session to write at its end.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::Busy`] if another request has it open.
    async fn open(&self, session: &Session) -> Result<Option<Box<dyn OpenSession>>>;

    /// Removes a session and its bytes, also while it is open. Returns whether it was there.
    async fn abort(&self, session: &Session) -> Result<bool>;
}

/// A session that one request has open. It is closed when it is dropped; its bytes stay.
#[async_trait]
pub trait OpenSession: Debug + Send + Sync {
    /// How many bytes it has.
    fn length(&self) -> u64;

    /// The state that was saved last, as it was given.
    fn state(&self) -> Option<&[u8]>;

    /// Adds bytes at the end: all of them, or none if it fails.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::NotFound`] if the session was aborted meanwhile.
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()>;

    /// Makes the bytes durable, then stores `state` with them. A state that cannot be written is
    /// left out. If the bytes cannot be made durable the session is removed, because it is unknown
    /// which of them are lost.
    async fn save(&mut self, state: Bytes) -> Result<()>;

    /// Drops the bytes from `length` on, and the saved state.
    async fn truncate(&mut self, length: u64) -> Result<()>;

    /// Streams its bytes from `start` on.
    async fn read(&self, start: u64) -> Result<ByteStream>;

    /// Ends the session: its bytes become the object of `key`.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::NotFound`] if the session was aborted meanwhile.
    async fn finish(self: Box<Self>, key: &Key) -> Result<()>;
}

/// An object and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// All of its bytes.
    pub bytes: Bytes,
    /// The version, for comparison.
    pub version: Version,
}

/// Tells the bytes of an object from other bytes under the same key, as an entity tag does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// A version as the store names it.
    pub fn new(name: impl Into<String>) -> Self {
        Version(name.into())
    }

    /// The version of bytes, for a store that has no name for it.
    pub fn of(bytes: &[u8]) -> Self {
        Version(Digest::of(bytes).hex().to_owned())
    }
}

/// The condition on an object at the moment of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Nothing.
    Always,
    /// It is not there.
    Absent,
    /// It is there in this version.
    Is(Version),
}

impl When {
    /// Whether it holds if the object has these bytes, or is absent. Compares [`Version::of`].
    pub(super) fn holds(&self, current: Option<&[u8]>) -> bool {
        match self {
            When::Always => true,
            When::Absent => current.is_none(),
            When::Is(version) => current.is_some_and(|bytes| Version::of(bytes) == *version),
        }
    }
}

/// The result of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It wrote this version.
    Done(Version),
    /// Its condition did not hold; it changed nothing.
    Declined,
}

/// Metadata of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// How many bytes it has.
    pub size: u64,
    /// When it was last written or touched.
    pub modified: SystemTime,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The object's name.
    pub key: Key,
    /// Its size and age.
    pub stat: Stat,
}
