//! Move container images and OCI artifacts between files, streams and registries.
//!
//! There is one operation, [`copy::copy`], between a [`store::Source`] and a [`store::Store`].

pub mod blob;
pub mod copy;
pub mod draft;
mod error;
pub mod file;
pub mod layer;
pub mod memory;
pub mod push;
pub mod remote;
pub mod spool;
pub mod store;
pub mod verify;

pub use copy::{CopyOptions, Event, Observer, RootContent, Summary};
pub use error::{Error, ErrorKind, Result, Side};
pub use push::{Pushed, Pusher};
pub use remote::Client;
pub use store::{Layout, Memory, Source, Store};
pub use wharf_oci as oci;
pub use wharf_oci::{Descriptor, Digest, Manifest, MediaType, Reference, Repository, Tag};
