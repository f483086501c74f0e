//! Move container images and OCI artifacts between files, streams and registries.
//!
//! There is one operation, [`copy::copy`], between a [`store::Source`] and a [`store::Store`].

pub mod blob;
pub mod copy;
pub mod credentials;
pub mod draft;
mod error;
pub mod file;
pub mod layer;
pub mod remote;
pub mod spool;
pub mod store;
pub mod verify;

pub use error::{Error, ErrorKind, Result, Side};
pub use wharf_oci as oci;
