//! Places by name: what `oci:DIR:TAG`, `docker-archive:FILE` or a registry reference means.
//!
//! A [`Place`] is text turned into a type; reading it touches neither disk nor network. An
//! [`OpenedSource`] is what was found there, with the one root that is meant; an [`OpenedStore`] is
//! where it is written to, with the tags that it gets.

mod address;
mod naming;
mod options;
pub(crate) mod pairing;
pub(crate) mod platform;
mod source;
mod store;

pub use self::address::{Choice, Form, LocalPlace, PathOrStdin, Place};
pub use self::options::{Part, PlaceOptions, PlatformChoice};
pub use self::source::OpenedSource;
pub use self::store::{Access, OpenedStore};
