//! `wharf blob`: single blobs.

crate::command::commands! {
    /// Single blobs, such as layers, without a manifest
    enum Blob {
        Push(push::Push),
    }
}
