//! The engine of wharf: everything that moves content, and nothing that knows HTTP.
//!
//! [`mod@copy`] is the one operation, from a [`Source`] to a [`Store`]; [`store`] has those on disk and
//! in memory, [`blob`] the lazy handles that they exchange, [`layer`] and [`draft`] what is made on
//! the way, [`verify`] the only place where content is checked. Repositories of registries are in
//! the crate `wharf-remote`; the crate `wharf` puts both behind one front door.

mod asked;
pub mod blob;
pub mod copy;
mod distrust;
pub mod draft;
mod error;
mod error_kind;
pub mod file;
mod guard;
pub mod intake;
pub mod layer;
#[doc(hidden)]
pub mod question;
mod refusal;
mod rewind;
pub mod spool;
#[doc(hidden)]
pub mod state;
pub mod store;
#[doc(hidden)]
pub mod sync;
pub mod verify;

pub use asked::Asked;
pub use copy::{CopyOptions, Event, Observer, RootContent, Summary};
pub use distrust::Distrust;
pub use error::{Error, Result};
pub use error_kind::{ErrorKind, Side};
pub use guard::Guard;
pub use refusal::{Lack, Refusal};
pub use store::{Layout, Memory, Source, Store};
