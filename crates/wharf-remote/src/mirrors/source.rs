//! A repository that is read from mirrors and tries its requests again.

use super::raw_source::RawSource;
use crate::retrying::Retrying;

/// One repository of a registry, read from the registry's mirrors if it has some. Cheap to clone;
/// made by [`Client::source`](crate::Client::source).
///
/// Each request goes to one mirror after the other, and then to the registry. If all fail, it is
/// tried again, as with [`RemoteRepository`](crate::RemoteRepository). Messages and mount sources
/// always name the registry, even if a mirror sent the bytes.
pub type RemoteSource = Retrying<RawSource>;
