//! `wharf blob`: single blobs.

crate::command::commands! {
    /// Work with single blobs, such as layers
    enum Blob {
        Push(push::Push),
    }
}
