//! Places by name: `oci:DIR:TAG`, `docker-archive:FILE` or a registry reference.
//!
//! A [`Place`] is parsed text; parsing touches neither disk nor network. An [`OpenedSource`] is an
//! opened source with its selected root; an [`OpenedStore`] is an opened store with the tags for
//! that root.

mod address;
mod archive;
pub(crate) mod content;
mod everything;
mod foreign;
mod names;
mod naming;
mod options;
pub(crate) mod pairing;
pub(crate) mod part;
pub(crate) mod platform;
mod pull_file;
mod source;
mod store;

pub use self::address::{Choice, Form, LocalPlace, PathOrStdin, Place, reference};
pub use self::everything::Everything;
pub use self::options::{Part, PlaceOptions, PlatformChoice};
pub use self::pull_file::{PullFile, PullForm, RefNames, Wanted};
pub use self::source::OpenedSource;
pub use self::store::{Access, OpenedStore};
