//! What a registry needs of the place where its bytes lie.

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
/// Each call is about one object and happens as a whole or not at all, also when the process dies.
/// What a call has written is durable when it returns. All fail with what the system says.
#[async_trait]
pub trait Driver: Debug + Send + Sync {
    /// Reads a small object whole.
    async fn get(&self, key: &Key) -> Result<Option<Object>>;

    /// Tells the size and the age of an object.
    async fn stat(&self, key: &Key) -> Result<Option<Stat>>;

    /// Streams `length` bytes of an object from `start` on; both must lie within it.
    async fn read(&self, key: &Key, start: u64, length: u64) -> Result<Option<ByteStream>>;

    /// Writes an object where `when` holds. No other write to it happens between the look and
    /// the write, by any process.
    async fn put(&self, key: &Key, bytes: Bytes, when: When) -> Result<Applied>;

    /// Deletes an object, or only this version of it. Whether it was there.
    ///
    /// A store that cannot compare before it deletes may write an empty object in the same
    /// version's place, and take that for none from then on.
    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<bool>;

    /// Makes an object as young as one that was just written. Whether it is there.
    async fn touch(&self, key: &Key) -> Result<bool>;

    /// Lists the keys of a folder in order, those after `after`. Fewer than `limit` are all.
    async fn list(&self, folder: &Folder, after: Option<&Key>, limit: usize) -> Result<Vec<Entry>>;

    /// Begins a session without bytes. Sessions that were not written to for a day may go.
    async fn begin(&self, session: &Session) -> Result<()>;

    /// Tells how many bytes a session has, also while a request writes to it.
    async fn length(&self, session: &Session) -> Result<Option<u64>>;

    /// Opens a session to write at its end.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::Busy`] where another request has it open.
    async fn open(&self, session: &Session) -> Result<Option<Box<dyn OpenSession>>>;

    /// Removes a session and its bytes, also while it is open. Whether it was there.
    async fn abort(&self, session: &Session) -> Result<bool>;
}

/// A session that one request has open. It is closed when it is dropped; its bytes stay.
#[async_trait]
pub trait OpenSession: Debug + Send + Sync {
    /// How many bytes it has.
    fn length(&self) -> u64;

    /// The state that was saved last, as it was given.
    fn state(&self) -> Option<&[u8]>;

    /// Adds bytes at the end: all of them, or none where it fails.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::NotFound`] where the session was aborted meanwhile.
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()>;

    /// Makes the bytes durable, then keeps `state` beside them. A state that cannot be written
    /// is left out. Where the bytes cannot be made durable the session is gone: nothing tells
    /// which of them are lost.
    async fn save(&mut self, state: Bytes) -> Result<()>;

    /// Streams its bytes from `start` on.
    async fn read(&self, start: u64) -> Result<ByteStream>;

    /// Ends the session: its bytes become the object of `key`.
    ///
    /// # Errors
    /// [`wharf_core::ErrorKind::NotFound`] where the session was aborted meanwhile.
    async fn finish(self: Box<Self>, key: &Key) -> Result<()>;
}

/// An object and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// All of its bytes.
    pub bytes: Bytes,
    /// What they are compared by.
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

/// What must hold of an object in the moment that it is written.
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
    /// Whether it holds where these bytes are there, or none, by [`Version::of`].
    pub(super) fn holds(&self, current: Option<&[u8]>) -> bool {
        match self {
            When::Always => true,
            When::Absent => current.is_none(),
            When::Is(version) => current.is_some_and(|bytes| Version::of(bytes) == *version),
        }
    }
}

/// What a conditional write did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It wrote this version.
    Done(Version),
    /// Its condition did not hold; it changed nothing.
    Declined,
}

/// What is known of an object without reading it.
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
