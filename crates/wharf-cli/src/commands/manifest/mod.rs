//! `wharf manifest`: prints a manifest, and puts single manifests.

mod get;

pub(crate) use get::Manifest;

crate::command::commands! {
    /// Work with single manifests
    enum Work {
        Put(put::Put),
    }
}
