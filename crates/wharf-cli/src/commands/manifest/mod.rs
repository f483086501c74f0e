//! `wharf manifest`: single manifests.

crate::command::commands! {
    /// Single manifests, without what they link to
    enum Manifest {
        Put(put::Put),
    }
}
