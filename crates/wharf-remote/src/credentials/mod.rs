//! Credentials for registries, from the places where users store them.
//!
//! [`AuthFile`] reads the files of `docker login` and `podman login`, and runs the credential
//! helpers that they name. [`Given`] is a credential for one use; [`Chain`] tries several places in
//! turn. The library has no default place: the builder of a client names the places.
//! [`Chain::docker_and_podman`] is those of Docker and Podman, by an [`Environment`] that the program
//! passes.

mod chain;
mod credential;
mod document;
mod edit;
mod environment;
mod exchange;
mod failures;
pub(crate) mod fields;
mod file;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod helper;
mod keep;
mod key;
mod process_group;
mod secret;

pub use self::chain::{Chain, Given};
pub(crate) use self::credential::TOKEN_USER;
pub use self::credential::{Credential, Credentials, Found};
pub use self::environment::Environment;
pub use self::failures::CredentialsObserver;
pub use self::file::AuthFile;
pub use self::helper::Helpers;
pub use self::keep::Forgotten;
pub use self::key::{registry_of, whole_registry};
pub use self::secret::Secret;
