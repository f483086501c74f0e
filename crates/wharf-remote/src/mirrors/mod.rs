//! Hosts that stand in for a registry when it is read from, as containerd's `hosts.toml` names
//! them. Nothing is ever written to them.
//!
//! A mirror is trusted for content of a known digest; what a tag names it says only where the file
//! lets it. Whatever it does wrong, the next one is asked, and the registry itself last.

mod blob;
mod candidates;
mod hosts_directory;
mod hosts_file;
mod mirror;
mod single;
mod source;

pub(super) use self::hosts_directory::HostsDirectory;
pub(super) use self::mirror::Mirrors;
pub use self::source::RemoteSource;

/// What is wrong with a `hosts.toml`, for the fuzz target.
#[cfg(fuzzing)]
pub(super) fn judge(text: &str) -> wharf_core::Result<()> {
    hosts_file::parse(text, std::path::Path::new("/etc/certs.d/quay.io")).map(drop)
}
