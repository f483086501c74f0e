//! A repository in a registry, as a source and a store: `raw` tries each request once, and `remote`
//! tries it again, as `retrying` does.

mod raw;
mod remote;

pub(super) use self::raw::RawRepository;
pub use self::remote::RemoteRepository;
