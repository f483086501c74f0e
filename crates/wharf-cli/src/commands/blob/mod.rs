//! `wharf blob`: prints a blob, and pushes single blobs.

mod get;

pub(crate) use get::Blob;

crate::command::commands! {
    /// Work with single blobs, such as layers
    enum Work {
        Push(push::Push),
    }
}
