//! Mirrors of a registry, from containerd's `hosts.toml`. They are only read from.
//!
//! A mirror may serve content by digest; it resolves tags only if the file allows that. On any
//! error the next mirror is tried, and the registry itself last.

mod blob;
mod candidates;
mod hosts_directory;
mod hosts_file;
mod mirror;
mod raw_source;
mod single;
mod source;

pub(super) use self::hosts_directory::HostsDirectory;
pub(super) use self::mirror::Mirrors;
pub(super) use self::raw_source::RawSource;
pub use self::source::RemoteSource;

/// Parses a `hosts.toml`, for the fuzz target.
#[cfg(fuzzing)]
pub(super) fn judge(text: &str) -> wharf_core::Result<()> {
    hosts_file::parse(text, std::path::Path::new("/etc/certs.d/quay.io")).map(drop)
}
