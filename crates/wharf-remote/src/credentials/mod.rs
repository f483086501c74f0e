//! Credentials for registries, from where users keep them.
//!
//! [`AuthFile`] reads what `docker login` and `podman login` write and runs the credential
//! helpers that such files name; [`Given`] is a credential for one use; [`Chain`] asks several in
//! turn. The library looks nowhere by itself: whoever builds a client says where.

mod chain;
mod credential;
mod document;
mod edit;
mod exchange;
mod fields;
mod file;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod helper;
mod keep;
mod key;
mod secret;

pub use self::chain::{Chain, Given};
pub use self::credential::{Credential, Credentials, Found};
pub use self::file::AuthFile;
pub use self::helper::Helpers;
pub use self::keep::Forgotten;
pub use self::key::{registry_of, whole_registry};
pub use self::secret::Secret;
