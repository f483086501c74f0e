//! The engine of wharf: everything that moves content, without HTTP.
//!
//! [`mod@copy`] is the one operation, from a [`Source`] to a [`Store`]. [`store`] has the stores on
//! disk and in memory, [`blob`] the lazy handles that they exchange, [`layer`] and [`draft`]
//! content that is made while it is sent, [`image`] what is read out of images, [`rootfs`] the merge
//! of their layers, [`verify`] the only check of content. Repositories of registries are in the
//! crate `wharf-remote`; the crate `wharf` puts both behind one front door.

pub mod blob;
mod byte_stream;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod copy;
pub mod draft;
mod errors;
pub mod file;
pub mod image;
pub mod intake;
pub mod layer;
mod rewind;
pub mod rootfs;
mod slab;
mod sniff;
pub mod spool;
#[doc(hidden)]
pub mod state;
pub mod store;
mod stream_reader;
#[doc(hidden)]
pub mod sync;
mod tar_entries;
mod thread;
pub mod verify;

pub use copy::{CopyOptions, Event, Observer, RootContent, Summary};
pub use errors::{
    Asked, Distrust, Error, ErrorKind, Guard, Lack, Refusal, Result, Side, Unreached,
};
pub use store::{Layout, Memory, Source, Store};
