//! `wharf manifest`: single manifests.

crate::command::commands! {
    /// Work with single manifests
    enum Manifest {
        Put(put::Put),
    }
}
